"""Benchmark files: what is written is read, and what is wrong is named."""

from __future__ import annotations

import numpy as np
import pytest

from diffpose_ros.core import COCO17, H36M17, Camera, InputError, Surroundings
from diffpose_ros.data import benchmark
from diffpose_ros.data.benchmark import Sequence, from_clip, load, to_benchmark
from diffpose_ros.data.clips import Clip

K = np.array([[900.0, 0, 640], [0, 900, 360], [0, 0, 1]])
CAMERA = Camera(matrix=K, width=1280, height=720)
# World (Y up) to a level camera's optical frame: x right, y down, z forward along -z.
LEVEL = np.array([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]])


def sequence(frames=6, **changes) -> Sequence:
    rng = np.random.default_rng(frames)
    given = {
        "name": f"walk {frames}", "subject": "s1", "action": "Walking", "camera": CAMERA,
        "fps": 30.0, "keypoints": rng.uniform(0, 1, (frames, 17, 3)) * [1280, 720, 1],
        "skeleton": rng.normal([0, 0, 4], 0.3, (frames, 17, 3)),
    }  # fmt: skip
    return Sequence(**given | changes)


def person(frames=4) -> Clip:
    body = np.random.default_rng(1).uniform([-0.4, 0, -0.2], [0.4, 1.7, 0.2], (17, 3))
    return Clip("c", "s", "a", 30.0, np.tile(body, (frames, 1, 1)))


def test_what_is_written_is_read(tmp_path):
    wide = Camera(matrix=2 * K + np.diag([0, 0, -1.0]), width=2560, height=1440)
    written = [sequence(), sequence(4, camera=wide, fps=15.0, action="")]
    assert to_benchmark(tmp_path / "b.npz", written) == 10
    for a, b in zip(load(tmp_path / "b.npz"), written, strict=True):
        assert (a.name, a.subject, a.action, a.fps) == (b.name, b.subject, b.action, b.fps)
        assert a.camera.same_as(b.camera)
        assert a.valid is None
        np.testing.assert_allclose(a.keypoints, b.keypoints, atol=1e-3)
        np.testing.assert_allclose(a.skeleton, b.skeleton, atol=1e-6)


def test_gravity_and_camera_height_are_kept_where_they_are_known(tmp_path):
    around = Surroundings(up=np.array([0.0, -0.8, -0.6]), camera_height=1.7)
    to_benchmark(tmp_path / "b.npz", [sequence(around=around), sequence(4)])
    known, unknown = load(tmp_path / "b.npz")
    assert known.around.up == pytest.approx([0, -0.8, -0.6])
    assert known.around.camera_height == pytest.approx(1.7)
    assert unknown.around.up is None
    assert unknown.around.camera_height is None
    assert known.forgetting(gravity=True, camera_height=False).around.up is None
    assert known.forgetting(gravity=False, camera_height=True).around.camera_height is None


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"up": np.zeros((1, 2))}, "up: expected numbers of shape"),
        ({"up": np.array([[0.0, -3.0, 0.0]] * 2)}, "sequence 0: up: expected a unit vector"),
        ({"camera_height": np.array([-1.0, 1.0])}, "sequence 0: camera height: expected 0.1 to 50 m"),
    ],
)
def test_wrong_gravity_and_height_are_named(tmp_path, changes, text):
    np.savez(tmp_path / "b.npz", **arrays(**changes))
    with pytest.raises(InputError, match=text):
        load(tmp_path / "b.npz")


def test_one_size_and_one_rate_are_written_once(tmp_path):
    to_benchmark(tmp_path / "b.npz", [sequence(), sequence(4)])
    with np.load(tmp_path / "b.npz", allow_pickle=False) as f:
        assert f["image_size"].shape == (2,)
        assert f["fps"].shape == ()
        assert f["keypoints"].dtype == f["skeleton"].dtype == np.float32
        assert f["offsets"].tolist() == [0, 6, 10]
        assert "valid" not in f.files


def test_frames_that_do_not_count_are_kept(tmp_path):
    valid = np.array([True, False, True, False, True, True])
    to_benchmark(tmp_path / "b.npz", [sequence(valid=valid), sequence(3)])
    first, second = load(tmp_path / "b.npz")
    np.testing.assert_array_equal(first.valid, valid)
    assert second.valid.all()


def test_fast_sequences_are_thinned_and_slow_ones_kept(tmp_path):
    valid = np.arange(9) % 4 == 0
    written = [sequence(9, fps=60.0, valid=valid), sequence(4, fps=15.0)]
    to_benchmark(tmp_path / "b.npz", written, rate_hz=30.0)
    fast, slow = load(tmp_path / "b.npz")
    assert [(s.fps, len(s)) for s in (fast, slow)] == [(30.0, 5), (15.0, 4)]
    np.testing.assert_allclose(fast.skeleton, written[0].skeleton[::2], atol=1e-6)
    np.testing.assert_array_equal(fast.valid, valid[::2])


def test_sequences_are_not_sped_up():
    with pytest.raises(InputError, match="at most the file's 30 Hz, got 60"):
        sequence().thinned(60.0)


def test_a_clip_is_seen_by_a_camera_that_one_places():
    seen = from_clip(person(), CAMERA, LEVEL, [0.1, 1.0, 4.0])
    for name in ("left_wrist", "right_ankle", "nose"):
        joint = seen.skeleton[0, H36M17.index(name)]
        x, y, z = person().h36m17[0, H36M17.index(name)]
        np.testing.assert_allclose(joint, [x - 0.1, 1.0 - y, 4.0 - z], atol=1e-6)
        pixel = [900 * joint[0] / joint[2] + 640, 900 * joint[1] / joint[2] + 360, 1]
        np.testing.assert_allclose(seen.keypoints[0, COCO17.index(name)], pixel, atol=1e-3)


def test_keypoints_outside_the_image_score_nothing():
    seen = from_clip(person(), CAMERA, LEVEL, [2.8, 1.0, 4.0])
    inside = (seen.keypoints[..., 0] >= 0) & (seen.keypoints[..., 0] < 1280)
    assert 0 < inside.mean() < 1
    np.testing.assert_array_equal(seen.keypoints[..., 2], inside)


def test_a_detector_of_ones_own_makes_the_keypoints():
    def detector(xy):
        return np.concatenate([xy + 3.0, np.full((*xy.shape[:2], 1), 0.5)], axis=-1)

    exact = from_clip(person(), CAMERA, LEVEL, [0, 1.0, 4.0])
    noisy = from_clip(person(), CAMERA, LEVEL, [0, 1.0, 4.0], detector=detector)
    np.testing.assert_allclose(noisy.keypoints[..., :2], exact.keypoints[..., :2] + 3.0)
    assert (noisy.keypoints[..., 2] == 0.5).all()


def test_a_person_behind_the_camera_is_refused():
    with pytest.raises(InputError, match=r"clip 'c': expected the person before the camera, .* -"):
        from_clip(person(), CAMERA, LEVEL, [0, 1.0, -1.0])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"keypoints": np.zeros((6, 17, 2))}, "keypoints: expected shape"),
        ({"skeleton": np.zeros((5, 17, 3))}, "skeleton: expected shape"),
        ({"skeleton": np.full((6, 17, 3), np.nan)}, "skeleton: expected finite numbers"),
        ({"keypoints": np.full((6, 17, 3), 2.0)}, "expected scores of 0 to 1, got 2 to 2"),
        ({"fps": 0.0}, "fps: expected above 0"),
        ({"valid": np.ones(5, bool)}, r"valid: expected shape \(6,\)"),
        ({"camera": Camera(K, 1280, 720, np.array([0.1, 0, 0, 0]), "plumb_bob")},
         "camera: expected no lens distortion"),
    ],
    ids=["keypoints", "length", "nan", "score", "rate", "valid", "lens"],
)  # fmt: skip
def test_a_wrong_sequence_is_refused(changes, text):
    with pytest.raises(InputError, match=f"sequence 'walk 6': {text}|sequence 'walk 6'.*{text}"):
        sequence(**changes)


def test_nothing_to_write_and_nowhere_to_write_are_named(tmp_path):
    with pytest.raises(InputError, match="at least one sequence to write, got none"):
        to_benchmark(tmp_path / "b.npz", [])
    with pytest.raises(InputError, match=r"b\.npz: cannot be written \(No such file"):
        to_benchmark(tmp_path / "none" / "b.npz", [sequence()])


def arrays(**changes):
    out = {
        "offsets": np.array([0, 2, 5]), "keypoints": np.full((5, 17, 3), 0.5),
        "skeleton": np.ones((5, 17, 3)), "camera_matrix": np.stack([K, K]),
        "image_size": np.array([1280, 720]), "fps": np.float32(30),
        "valid": np.array([1, 0, 1, 1, 1], bool),
    }  # fmt: skip
    out.update(changes)
    return {k: v for k, v in out.items() if v is not None}


def test_the_least_that_a_file_may_hold(tmp_path):
    np.savez(tmp_path / "b.npz", **arrays(camera_matrix=K, fps=np.array([30.0, 10]), valid=None))
    got = load(tmp_path / "b.npz")
    assert [(s.name, s.subject, s.fps, len(s)) for s in got] == [
        ("sequence 0", "", 30.0, 2), ("sequence 1", "", 10.0, 3)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"skeleton": None}, "missing skeleton; a benchmark file holds offsets"),
        ({"offsets": np.array([0, 3, 3, 5])}, "offsets: expected to start at 0 and to rise"),
        ({"offsets": np.array([0.0, 5])}, "offsets: expected at least two integers"),
        ({"offsets": np.array([0, 2, 6])}, r"keypoints: expected shape \(6, 17, 3\)"),
        ({"keypoints": np.full((5, 17, 3), np.inf)}, r"infinite, the first at \(0, 0, 0\)"),
        ({"keypoints": np.full((5, 17, 3), 1.5)}, "keypoints: expected scores of 0 to 1, got 1.5"),
        ({"camera_matrix": np.zeros((2, 3, 3))}, "sequence 0: camera matrix: all zeros"),
        ({"camera_matrix": np.zeros((3, 3, 3))}, "camera_matrix: expected shape"),
        ({"image_size": np.array([0, 720])}, "sequence 0: image size: expected positive"),
        ({"fps": np.float32(0)}, "fps: expected above 0, got 0"),
        ({"fps": np.array("x")}, "fps: expected numbers, got <U1"),
        ({"valid": np.ones(4, bool)}, r"valid: expected 5 booleans, got bool \(4,\)"),
        ({"valid": np.ones(5)}, "valid: expected 5 booleans, got float64"),
        ({"names": np.array(["a"])}, r"names: expected shape \(2,\), got \(1,\)"),
    ],
)
def test_a_wrong_file_is_named_with_its_array(tmp_path, changes, text):
    np.savez(tmp_path / "b.npz", **arrays(**changes))
    with pytest.raises(InputError, match=rf"b\.npz: .*{text}|b\.npz: {text}"):
        load(tmp_path / "b.npz")


def test_missing_and_foreign_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"no such file; expected a benchmark in \.npz format"):
        load(tmp_path / "b.npz")
    for other, kind in ((tmp_path, "a folder"), ("/dev/zero", "a device")):
        with pytest.raises(InputError, match=f"expected a benchmark in .npz format, got {kind}"):
            load(other)
    (tmp_path / "b.npz").symlink_to("b.npz")
    with pytest.raises(InputError, match=r"b\.npz: cannot be read \(Too many levels"):
        load(tmp_path / "b.npz")
    (tmp_path / "b.npz").unlink()
    (tmp_path / "b.npz").write_text("frames")
    with pytest.raises(InputError, match=r"not a readable \.npz archive"):
        load(tmp_path / "b.npz")


def test_a_truncated_archive_is_refused(tmp_path):
    path = tmp_path / "b.npz"
    np.savez(path, **arrays())
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(InputError, match="not a readable") as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_a_pickle_is_not_opened(tmp_path):
    np.savez(tmp_path / "b.npz", **arrays(offsets=np.array([0, {"a": 1}], dtype=object)))
    with pytest.raises(InputError, match=r"b\.npz: "):
        load(tmp_path / "b.npz")


def test_the_module_names_what_it_offers():
    assert {"load", "to_benchmark", "from_clip", "Sequence"} <= set(benchmark.__all__)
