"""``lift --keypoints``: frames, times and identities of another program's keypoints."""

import json

import numpy as np
import pytest

BODY = [[100.0 + 10 * (k % 4), 100.0 + 8 * k, 0.9] for k in range(17)]


def person(shift=0.0):
    return [v for x, y, s in BODY for v in (x + shift, y, s)]


@pytest.fixture
def folder(tmp_path):
    """Frames 3 to 8 with two people; 6 is missing."""
    path = tmp_path / "json"
    path.mkdir()
    for number in (3, 4, 5, 7, 8):
        people = [{"pose_keypoints_2d": person(shift + number)} for shift in (0, 300)]
        (path / f"walk_{number:012d}_keypoints.json").write_text(json.dumps({"people": people}))
    return path


def test_without_a_video_times_come_from_frame_numbers(call, folder, camera, actors, tmp_path):
    out = tmp_path / "w.npz"
    outcome = call("lift", "--keypoints", folder, "--fps", 25, "--camera", camera, "--output", out)
    assert outcome.code == 0, outcome.err
    assert actors.lifter.stamps == [0, 40_000_000, 80_000_000, 160_000_000, 200_000_000]
    assert not actors.eyes.images  # no detector looks
    with np.load(out) as data:
        assert set(data["track_id"]) == {0, 1}
        assert data["frame"].tolist() == [2, 2, 3, 3, 4, 4]
        assert data["keypoints"][0, 0, :2] == pytest.approx([105, 100])


def test_with_a_video_people_belong_to_its_images(call, folder, video, camera, actors, tmp_path):
    for number in (7, 8):
        (folder / f"walk_{number:012d}_keypoints.json").unlink()
    words = ["--camera", camera, "--output", tmp_path / "w.npz", "--overlay", tmp_path / "w.mp4"]
    # frames 3 to 5 of five images: they are counted from 1
    outcome = call("lift", video, "--keypoints", folder, *words)
    assert outcome.code == 0, outcome.err
    with np.load(tmp_path / "w.npz") as data:
        assert set(data["frame"]) == {4}
        assert len(data["stamps"]) == 5
    assert (tmp_path / "w.mp4").exists()


def test_keypoints_beyond_the_video_are_refused(call, folder, video, camera, actors, tmp_path):
    outcome = call("lift", video, "--keypoints", folder, "--camera", camera, "--output", tmp_path / "w.npz")
    assert outcome.code == 1
    assert "reaches to frame 8" in outcome.err
    assert "has 5 images" in outcome.err


def test_identities_of_the_file_are_kept(call, camera, actors, tmp_path):
    entries = [
        {"image_id": n, "keypoints": person(shift), "track_id": t}
        for n in range(3) for t, shift in ((7, 0.0), (4, 300.0))
    ]  # fmt: skip
    (tmp_path / "r.json").write_text(json.dumps(entries))
    out = tmp_path / "w.npz"
    outcome = call("lift", "--keypoints", tmp_path / "r.json", "--camera", camera, "--output", out)
    assert outcome.code == 0, outcome.err
    with np.load(out) as data:
        assert data["track_id"].tolist() == [7, 4] * 3  # from the first frame on


def test_one_frame_is_a_picture(call, camera, actors, tmp_path):
    (tmp_path / "f.json").write_text(json.dumps({"people": [{"pose_keypoints_2d": person()}]}))
    words = ["--camera", camera, "--output", tmp_path / "w.npz"]
    assert call("lift", "--keypoints", tmp_path / "f.json", *words).code == 0
    with np.load(tmp_path / "w.npz") as data:
        assert len(data["frame"]) == 1


@pytest.mark.parametrize(
    ("words", "text"),
    [
        pytest.param([], "expected a VIDEO, or --keypoints", id="neither"),
        pytest.param(["--keypoints", "{folder}"], "how large the images were", id="no size"),
        pytest.param(["--keypoints", "{folder}", "--image-size", "0x4"], "such as 1920x1080", id="size of 0"),
        pytest.param(["--keypoints", "{folder}", "--image-size", "big"], "such as 1920x1080", id="a word"),
        pytest.param(["0", "--keypoints", "{folder}"], "expected a file or a folder", id="a webcam"),
        pytest.param(["--keypoints", "none.json"], "none.json", id="no such file"),
        pytest.param(["{video}", "--image-size", "640x480"], "is for --keypoints", id="size of a video"),
        pytest.param(["--keypoints", "{folder}", "--camera", "{camera}", "--image-size", "64x48"],
                     "is for images of 640x480", id="another camera"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(call, folder, video, camera, actors, tmp_path, capsys, words, text):
    words = [w.format(folder=folder, video=video, camera=camera) for w in words]
    try:
        outcome = call("lift", *words, "--output", tmp_path / "w.npz")
        code, err = outcome.code, outcome.err
    except SystemExit as stop:
        code, err = stop.code, capsys.readouterr().err
    assert code in (1, 2)
    assert text in err
    assert not (tmp_path / "w.npz").exists()


def test_nobody_in_them_is_said(call, camera, actors, tmp_path):
    (tmp_path / "f.json").write_text(json.dumps({"people": []}))
    words = ["--camera", camera, "--output", tmp_path / "w.npz"]
    outcome = call("lift", "--keypoints", tmp_path / "f.json", *words)
    assert outcome.code != 0
    assert "nobody found in" in outcome.err
    assert "mean score" in outcome.err
