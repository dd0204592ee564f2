"""``lift``: every frame becomes rows of the table; cameras and files are checked first."""

from types import SimpleNamespace

import numpy as np
import pytest

from diffpose_ros.cli import lift
from diffpose_ros.core import H36M17, Camera, InputError, People2D
from diffpose_ros.media.camera_yaml import write_camera
from diffpose_ros.media.video import open_source
from diffpose_ros.search.recorded import read_lifted

FRAMES = 5


def test_the_arrays_are_as_documented(call, video, camera, actors, tmp_path):
    out = tmp_path / "deep" / "walk.npz"
    outcome = call("lift", video, "--camera", camera, "--output", out)
    assert outcome.code == 0, outcome.err
    with np.load(out) as data:
        rows = len(data["frame"])
        shapes = {name: data[name].shape for name in data.files}
        assert shapes == {
            "stamps": (FRAMES,), "frame": (rows,), "track_id": (rows,),
            "keypoints": (rows, 17, 3), "skeleton": (rows, 17, 3),
            "covariance": (rows, 17, 3, 3), "score": (rows, 17), "joint_names": (17,),
            "root_velocity": (rows, 3), "contact": (rows, 2), "size_source": (rows,),
            "up": (FRAMES, 3), "camera_height": (FRAMES,),
        }  # fmt: skip
        assert data["joint_names"].tolist() == list(H36M17.joints)
        assert data["stamps"] == pytest.approx(np.arange(FRAMES) / 25)
        assert data["frame"].min() >= 1  # nobody was in the first
        assert data["frame"].max() == FRAMES - 1


def test_a_row_joins_a_person_with_their_own_keypoints(call, video, camera, actors, tmp_path):
    out = tmp_path / "walk.npz"
    assert call("lift", video, "--camera", camera, "--output", out).code == 0
    with np.load(out) as data:
        assert set(data["track_id"]) == set(data["skeleton"][:, 0, 0].astype(int))
        for identity in set(data["track_id"]):
            mine = data["track_id"] == identity
            assert np.ptp(data["keypoints"][mine, 0, 0]) < 1
        assert len(set(data["keypoints"][:, 0, 0].round())) == 2


def test_every_frame_is_seen_once_and_as_rgb(call, video, camera, actors, tmp_path):
    assert call("lift", video, "--camera", camera, "--output", tmp_path / "w.npz").code == 0
    assert len(actors.eyes.images) == FRAMES
    assert actors.lifter.stamps == [40_000_000 * i for i in range(FRAMES)]


def test_the_overlay_has_every_frame(call, video, camera, actors, tmp_path):
    words = ["--output", tmp_path / "w.npz", "--overlay", tmp_path / "w.mp4"]
    assert call("lift", video, "--camera", camera, *words).code == 0
    with open_source(tmp_path / "w.mp4") as source:
        assert sum(1 for _ in source) == FRAMES
        assert source.fps == pytest.approx(25.0)


def test_without_a_camera_a_guess_is_announced(call, video, actors, tmp_path):
    outcome = call("lift", video, "--fov", 60, "--output", tmp_path / "w.npz")
    assert outcome.code == 0
    assert "guessing one of 60 degrees" in outcome.out
    assert actors.lifter.cameras[0].is_guess


def test_it_stops_where_it_is_told(call, video, camera, actors, tmp_path):
    words = ["--output", tmp_path / "w.npz", "--frames", 2]
    assert call("lift", video, "--camera", camera, *words).code == 0
    assert len(actors.eyes.images) == 2


def test_an_interrupt_keeps_what_is_done(call, video, camera, actors, tmp_path, monkeypatch):
    detect = actors.eyes.detect

    def until_ctrl_c(rgb):
        if len(actors.eyes.images) == 3:
            raise KeyboardInterrupt
        return detect(rgb)

    monkeypatch.setattr(actors.eyes, "detect", until_ctrl_c)
    outcome = call("lift", video, "--camera", camera, "--output", tmp_path / "w.npz")
    assert outcome.code == 130
    assert "3 frames before are kept in" in outcome.err
    assert not (tmp_path / "w.npz").exists()
    with np.load(tmp_path / "w.partial.npz") as data:
        assert len(data["stamps"]) == 3


def test_detectors_get_the_size_under_their_own_name(call, video, camera, actors, tmp_path):
    words = [video, "--camera", camera, "--output", tmp_path / "w.npz", "--overwrite"]
    words += ["--detector-size", 512]
    assert call("lift", *words).code == 0
    assert actors.asked == {"name": "movenet", "front_end": "auto", "input_size": 512}
    actors.asked.clear()
    assert call("lift", *words, "--detector-runtime", "openvino").code == 0
    assert actors.asked == {
        "name": "movenet", "front_end": "auto", "input_size": 512, "runtime": "openvino",
    }  # fmt: skip
    assert call("lift", *words, "--detector-runtime", "tvm").code == 2
    actors.asked.clear()
    assert call("lift", *words, "--detector", "ultralytics", "--detector-model", "x.pt").code == 0
    assert actors.asked == {
        "name": "ultralytics", "front_end": "auto", "imgsz": 512, "model": "x.pt",
    }  # fmt: skip


def test_a_camera_of_another_size_is_refused(call, video, actors, tmp_path):
    write_camera(tmp_path / "c.yaml", Camera.from_fov(1280, 720))
    outcome = call("lift", video, "--camera", tmp_path / "c.yaml", "--output", tmp_path / "w.npz")
    assert outcome.code == 1
    assert "is for images of 1280x720" in outcome.err
    assert "has 640x480" in outcome.err


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["none.mp4", "--output", "o.npz"], 1, "none.mp4: no such file or folder"),
        (["VIDEO", "--output", "o.npz", "--detector-size", 1280], 1, "movenet takes 128 to 1024 pixels"),
        (["VIDEO", "--output", "o.fbx"], 1, "o.fbx: expected a name ending in one of .npz, .csv"),
        (["VIDEO"], 2, "one of the arguments --output --into is required"),
        (["VIDEO", "--output", "o.npz", "--fov", "500"], 2, "expected a number, 5 to 175"),
        (["VIDEO", "--output", "o.npz", "--camera", "no.yaml"], 1, "no.yaml: cannot be read"),
        (["VIDEO", "--output", "o.npz", "--camera", "a", "--fov", "60"], 2, "not allowed with"),
    ],
    ids=lambda v: v if isinstance(v, str) else None,
)
def test_bad_calls_are_one_clear_line(call, video, actors, tmp_path, monkeypatch, words, code, text):
    monkeypatch.chdir(tmp_path)
    outcome = call("lift", *[video if w == "VIDEO" else w for w in words])
    assert outcome.code == code
    assert text in outcome.err
    assert "Traceback" not in outcome.err
    assert not actors.eyes.images


def test_a_video_without_images_is_an_error(call, camera, actors, video, tmp_path, monkeypatch):
    monkeypatch.setattr(lift, "_shown", lambda *a: iter(()))
    outcome = call("lift", video, "--camera", camera, "--output", tmp_path / "w.npz")
    assert outcome.code == 1
    assert "not one image could be read" in outcome.err
    assert not (tmp_path / "w.npz").exists()


def asked(path):
    return SimpleNamespace(format=path.suffix[1:], overwrite=False, apart=[])


def test_nobody_at_all_still_makes_a_table(tmp_path):
    table = lift.PoseTable()
    table.add(0, People2D.empty(), [])
    for name in ("o.npz", "o.csv", "o.json"):
        assert lift.save(table, tmp_path / name, asked(tmp_path / name)) == [tmp_path / name]
    with np.load(tmp_path / "o.npz") as data:
        assert data["skeleton"].shape == (0, 17, 3)
        assert data["covariance"].shape == (0, 17, 3, 3)
    assert len((tmp_path / "o.csv").read_text().splitlines()) == 1
    assert lift.save(table, tmp_path / "o.trc", asked(tmp_path / "o.trc")) == []  # one person per file


def test_an_unwritable_table_is_named(tmp_path):
    table = lift.PoseTable()
    table.add(0, People2D.empty(), [])
    path = tmp_path / "none" / "o.npz"
    with pytest.raises(InputError, match=r"none.o\.npz: cannot be written"):
        lift.save(table, path, asked(path))


def test_the_ending_of_the_output_chooses_its_format(call, video, camera, actors, tmp_path):
    outcome = call("lift", video, "--camera", camera, "--output", tmp_path / "w.csv")
    assert outcome.code == 0, outcome.err
    lines = (tmp_path / "w.csv").read_text().splitlines()
    assert lines[0].startswith("stamp,frame,track_id,")
    outcome = call("lift", video, "--camera", camera, "--output", tmp_path / "w", "--format", "trc")
    assert outcome.code == 0, outcome.err
    assert sorted(path.name for path in tmp_path.glob("w_*")) == ["w_0", "w_1"]


def test_lifted_skeletons_are_converted(call, video, camera, actors, tmp_path):
    assert call("lift", video, "--camera", camera, "--output", tmp_path / "w.npz").code == 0
    outcome = call("convert", tmp_path / "w.npz", tmp_path / "w.csv", tmp_path / "w.bvh")
    assert outcome.code == 0, outcome.err
    assert [line.rsplit("/", 1)[-1] for line in outcome.out.split()] == ["w.csv", "w_0.bvh", "w_1.bvh"]
    again = call("convert", tmp_path / "w.npz", tmp_path / "w.csv")
    assert again.code == 1
    assert "exists already" in again.err
    wrong = call("convert", tmp_path / "w.csv", tmp_path / "v.csv")
    assert wrong.code == 1
    assert "w.csv" in wrong.err


def test_the_help_names_what_the_front_end_offers():
    from diffpose_ros.frontend import FRONT_ENDS, detectors

    assert tuple(lift.DETECTORS) == detectors.DETECTORS
    assert lift.RUNTIMES == detectors.RUNTIMES
    assert lift.FRONT_ENDS == FRONT_ENDS


def test_what_people_tell_of_the_cameras_place_is_said(call, video, camera, actors, tmp_path, monkeypatch):
    from diffpose_ros.cli import _options

    configs, see = [], actors.lifter.lift
    learnt = np.array([0.0, -0.8, -0.6])
    report = SimpleNamespace(
        place="by 30 steps of people: level", thinned=False, floor_refused=(), up=learnt
    )  # fmt: skip
    monkeypatch.setattr("diffpose_ros.lifting.Lifter", lambda config: configs.append(config) or actors.lifter)
    monkeypatch.setattr(lift, "make_lifter", _options.make_lifter)
    monkeypatch.setattr(
        actors.lifter, "lift",
        lambda *what, **told: SimpleNamespace(skeletons=see(*what, **told).skeletons, report=report),
    )  # fmt: skip
    done = call("lift", video, "--camera", camera, "--estimate-gravity", "--output", tmp_path / "w.npz")
    assert done.code == 0
    assert configs[0].estimate_gravity
    assert "the camera's place: by 30 steps of people: level" in done.out + done.err
    with np.load(tmp_path / "w.npz") as data:
        assert data["up"] == pytest.approx(np.tile(learnt, (len(data["stamps"]), 1)))
        assert np.isnan(data["camera_height"]).all()


def test_the_cameras_place_goes_to_the_lifter(call, video, camera, actors, tmp_path):
    place = ("--camera-pitch", "30", "--camera-height", "2.5")
    assert call("lift", video, "--camera", camera, *place, "--output", tmp_path / "w.npz").code == 0
    assert actors.lifter.around.up == pytest.approx([0, -np.cos(np.pi / 6), -0.5])
    assert actors.lifter.around.camera_height == 2.5
    with np.load(tmp_path / "w.npz") as data:
        assert data["up"] == pytest.approx(np.tile([0, -np.cos(np.pi / 6), -0.5], (FRAMES, 1)))
        assert data["camera_height"] == pytest.approx(np.full(FRAMES, 2.5))
    recorded = read_lifted(tmp_path / "w.npz")
    assert recorded.up == pytest.approx(np.tile([0, -np.cos(np.pi / 6), -0.5], (len(recorded), 1)))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--camera-height", "2.5"), "--camera-height needs --camera-pitch"),
        (("--camera-roll", "5"), "--camera-roll needs --camera-pitch"),
        (("--camera-pitch", "0", "--camera-height", "-1"), "expected a number, 0.1 to 50, got '-1'"),
        (("--camera-pitch", "95"), "expected a number, -90 to 90, got '95'"),
    ],
)
def test_a_place_that_no_camera_has_is_refused(call, video, camera, actors, tmp_path, options, text):
    outcome = call("lift", video, "--camera", camera, *options, "--output", tmp_path / "w.npz")
    assert outcome.code in (1, 2)
    assert text in outcome.err
