"""Keypoints of other programs: every joint where it belongs, and one line where a file is none."""

import json

import numpy as np
import pytest

from diffpose_ros.core import COCO17, InputError
from diffpose_ros.media.keypoint_files import read_keypoints

BODY_25 = [
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow",
    "left_wrist", "mid_hip", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee",
    "left_ankle", "right_eye", "left_eye", "right_ear", "left_ear", "left_big_toe",
    "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel",
]  # fmt: skip
COCO_18 = [
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow",
    "left_wrist", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
    "right_eye", "left_eye", "right_ear", "left_ear",
]  # fmt: skip
PLACE = {name: (10.0 + 7 * i, 200.0 + 3 * i, 0.5 + i / 40) for i, name in enumerate(COCO17.joints)}
COCO = [v for name in COCO17.joints for v in PLACE[name]]


def row(names):
    return [v for name in names for v in PLACE.get(name, (900.0, 900.0, 0.9))]


def openpose(*people, **more):
    return {"version": 1.3, "people": [{"pose_keypoints_2d": p, **more} for p in people]}


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def expected():
    return np.array([PLACE[name] for name in COCO17.joints])


@pytest.mark.parametrize(
    ("values", "layout"),
    [
        pytest.param(row(BODY_25), "BODY_25", id="BODY_25"),
        pytest.param(row(COCO_18), "COCO-18", id="COCO-18"),
        pytest.param(COCO, "COCO-17", id="COCO-17"),
        pytest.param(COCO + [900.0, 900.0, 0.9] * 9, "Halpe-26", id="Halpe-26"),
        pytest.param(COCO + [900.0, 900.0, 0.9] * 116, "COCO-WholeBody", id="WholeBody"),
    ],
)
def test_every_joint_goes_where_it_belongs(tmp_path, values, layout):
    recorded = read_keypoints(write(tmp_path / "a_000000000007_keypoints.json", openpose(values)))
    people = recorded.people(0)
    assert recorded.layout == f"OpenPose, {layout}"
    np.testing.assert_allclose(np.dstack([people.xy, people.score[..., None]])[0], expected())


def test_a_folder_is_frames_by_the_number_in_their_names(tmp_path):
    for number in (9, 10, 12):
        write(tmp_path / f"cam1_00000000{number:04d}_keypoints.json", openpose(COCO))
    write(tmp_path / "cam1_000000000011_keypoints.json", openpose())
    write(tmp_path / "._cam1_000000000009_keypoints.json", "resource fork")
    recorded = read_keypoints(tmp_path)
    assert recorded.numbers == [9, 10, 11, 12]
    assert [len(recorded.people(n)) for n in recorded.numbers] == [1, 1, 0, 1]
    assert not recorded.identified


def test_what_was_not_seen_has_no_score(tmp_path):
    values = list(COCO)
    values[0:3] = [0, 0, 0]
    values[3:6] = [None, 5, 0.9]
    values[6:9] = [4, 5, -0.2]
    text = json.dumps(openpose(values)).replace(str(COCO[9]), "NaN")
    people = read_keypoints(write(tmp_path / "f.json", text)).people(0)
    assert (people.score[0, :4] == 0).all()
    assert (people.score[0, 4:] > 0).all()
    assert people.person_score[0] == pytest.approx(people.score[0, 4:].mean())


def test_scores_a_little_above_one_are_one(tmp_path):
    people = read_keypoints(write(tmp_path / "f.json", openpose([*COCO[:2], 1.07, *COCO[3:]]))).people(0)
    assert people.score[0, 0] == 1


def test_identities_count_where_everyone_has_one(tmp_path):
    data = openpose(COCO, [v + 1 for v in COCO])
    for person, identity in zip(data["people"], (4, 2), strict=True):
        person["person_id"] = [identity]
    recorded = read_keypoints(write(tmp_path / "f.json", data))
    assert recorded.identified
    assert recorded.people(0).track_id.tolist() == [4, 2]
    data["people"][1]["person_id"] = [4]
    assert not read_keypoints(write(tmp_path / "f.json", data)).identified


def annotations(images, entries, **more):
    return {"images": images, "annotations": entries, "categories": [], **more}


def test_coco_annotations_with_flags_instead_of_scores(tmp_path):
    flags = [v if i % 3 < 2 else float((i // 3) % 3) for i, v in enumerate(COCO)]
    images = [{"id": 70, "frame_id": 0, "width": 640, "height": 480}, {"id": 3, "frame_id": 2, "width": 640,
              "height": 480}]  # fmt: skip
    entries = [
        {"image_id": 3, "keypoints": flags, "track_id": 8, "category_id": 1},
        {"image_id": 3, "keypoints": COCO, "iscrowd": 1},
    ]
    recorded = read_keypoints(write(tmp_path / "a.json", annotations(images, entries)))
    assert recorded.numbers == [0, 2]
    assert recorded.size == (640, 480)
    assert recorded.identified
    people = recorded.people(2)
    assert people.score[0, :6].tolist() == [0, 0.5, 1, 0, 0.5, 1]
    assert len(recorded.people(0)) == 0


@pytest.mark.parametrize(
    ("images", "numbers"),
    [
        pytest.param([{"id": 5}, {"id": 9}], [5, 9], id="by the id"),
        pytest.param([{"id": 5, "file_name": "v1/000030.jpg"}, {"id": 9, "file_name": "v1/000031.jpg"}],
                     [30, 31], id="by the file's name"),
        pytest.param([{"id": 5, "file_name": "v/1.jpg", "frame_id": 7}, {"id": 9, "file_name": "v/2.jpg",
                      "frame_id": 8}], [7, 8], id="by the frame's number"),
        pytest.param([{"id": "b"}, {"id": "a"}], [0, 1], id="in the order listed"),
    ],
)  # fmt: skip
def test_frames_of_coco_are_numbered(tmp_path, images, numbers):
    entries = [{"image_id": images[1]["id"], "keypoints": COCO}]
    recorded = read_keypoints(write(tmp_path / "a.json", annotations(images, entries)))
    assert recorded.numbers == numbers
    assert len(recorded.people(numbers[1])) == 1


def test_results_of_detectors(tmp_path):
    entries = [
        {"image_id": 1, "category_id": 1, "keypoints": COCO, "score": 0.83},
        {"image_id": "2.jpg", "category_id": 1, "keypoints": COCO, "score": 3.1, "idx": 4},
    ]
    recorded = read_keypoints(write(tmp_path / "r.json", entries))
    assert recorded.numbers == [1, 2]
    assert [recorded.people(n).person_score.tolist() for n in (1, 2)] == [[0.83], [1.0]]


DEEP = "[" * 200_000


@pytest.mark.parametrize(
    ("data", "text"),
    [
        pytest.param("", "is no JSON", id="empty"),
        pytest.param("\x00\x01", "is no JSON", id="bytes"),
        pytest.param(DEEP, "nested too deeply", id="deep"),
        pytest.param("[1" + "0" * 5000 + "]", "is no JSON", id="a number of 5000 digits"),
        pytest.param({"shapes": []}, "got an object with shapes", id="another program's"),
        pytest.param([], "holds no frame", id="an empty list"),
        pytest.param([7], "got a list of 1", id="a list of numbers"),
        pytest.param([{"keypoints": COCO, "image_id": 1}, 7], "entry 1: expected an object",
                     id="a stray number"),
        pytest.param(openpose([1.0] * 45), "for a person, got 45", id="15 joints"),
        pytest.param(openpose([1.0] * 52), "for a person, got 52", id="no multiple of three"),
        pytest.param(openpose(["1"] * 51), "expected a number, got '1'", id="words"),
        pytest.param(openpose("x" * 51), "expected a list", id="a word"),
        pytest.param({"people": [{"face_keypoints_2d": []}]}, "person 0: expected an object",
                     id="a face alone"),
        pytest.param({"people": [3]}, "person 0: expected an object", id="people are numbers"),
        pytest.param(openpose([1e9, *COCO[1:]]), "got a keypoint at 1e+09", id="far away"),
        pytest.param(openpose([*COCO[:2], 87.0, *COCO[3:]]), "scores from 0 to 1, got 87", id="percent"),
        pytest.param(openpose([0.01 * v if i % 3 < 2 else v for i, v in enumerate([0.5] * 51)]),
                     "--keypoint_scale 0", id="shares of the image"),
        pytest.param([{"keypoints": COCO, "image_id": "front"}], "an image_id with a number", id="no number"),
        pytest.param([{"keypoints": COCO, "image_id": True}], "an image_id with a number", id="a bool"),
        pytest.param([{"keypoints": COCO, "image_id": 0}, {"keypoints": COCO, "image_id": 10**12}],
                     "frame numbers reach", id="frames far apart"),
        pytest.param(annotations([{"id": 1}], [{"image_id": 2, "keypoints": COCO}]),
                     "the image_id of one of the images, got 2", id="no such image"),
        pytest.param(annotations([{"id": 1}], [{"image_id": [2], "keypoints": COCO}]),
                     "the image_id of one of the images", id="an id that is a list"),
        pytest.param(annotations([{"id": 1, "video_id": 1}, {"id": 2, "video_id": 2}], []),
                     "of one video, got 2", id="two videos"),
        pytest.param(annotations([{"id": 1, "width": 4, "height": 4}, {"id": 2, "width": 5, "height": 4}],
                                 []),
                     "of one size, got 2", id="two sizes"),
        pytest.param(annotations([{"id": 1, "width": -4, "height": 4}], []), "in pixels", id="no size"),
        pytest.param(annotations([{"name": 1}], []), "images with an id each", id="images without ids"),
    ],
)  # fmt: skip
def test_what_is_none_is_refused_in_one_line(tmp_path, data, text):
    path = write(tmp_path / "bad.json", data)
    with pytest.raises(InputError) as caught:
        read_keypoints(path)
    assert text in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_folders_that_are_none(tmp_path):
    with pytest.raises(InputError, match=r"found no \.json file"):
        read_keypoints(tmp_path)
    write(tmp_path / "cam1_0001_keypoints.json", openpose(COCO))
    write(tmp_path / "cam2_0001_keypoints.json", openpose(COCO))
    with pytest.raises(InputError, match=r"two files are of frame 1: cam1_0001.* and cam2_0001"):
        read_keypoints(tmp_path)
    with pytest.raises(InputError, match="none"):
        read_keypoints(tmp_path / "none")
