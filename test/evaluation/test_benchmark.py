"""Benchmark files: what is read, and what is refused with which words."""

import numpy as np
import pytest

from diffpose_ros.core import InputError
from diffpose_ros.evaluation import benchmark


def test_a_file_comes_apart_into_its_sequences(contents, save):
    first, second = benchmark.load(save(contents))
    assert (first.name, first.subject, first.action, first.fps) == ("clip0", "s0", "walk", 30.0)
    assert np.array_equal(second.skeleton, contents["skeleton"][6:12])
    assert np.array_equal(second.keypoints, contents["keypoints"][6:12])
    assert (second.camera.width, second.camera.height) == (1280, 720)
    assert np.array_equal(second.camera.matrix, contents["camera_matrix"][1])


def test_labels_may_be_missing(contents, save):
    for name in ("names", "subject", "action"):
        del contents[name]
    first, _ = benchmark.load(save(contents))
    assert (first.name, first.action) == ("sequence 0", "")


def test_rates_and_sizes_may_differ_between_sequences(contents, save):
    contents["fps"] = np.array([30.0, 10.0])
    contents["image_size"] = np.array([[1280, 720], [640, 480]])
    first, second = benchmark.load(save(contents))
    assert (first.fps, second.fps) == (30.0, 10.0)
    assert (second.camera.width, second.camera.height) == (640, 480)


def test_one_camera_may_serve_all_sequences(contents, save):
    contents["camera_matrix"] = contents["camera_matrix"][0]
    assert all(s.camera.focal == (900.0, 900.0) for s in benchmark.load(save(contents)))


def test_thinning_keeps_the_first_frame_and_the_pace(contents, save):
    first, _ = benchmark.load(save(contents))
    slow = first.thinned(10.0)
    assert slow.fps == 10.0
    assert np.array_equal(slow.skeleton, first.skeleton[[0, 3]])


def test_thinning_to_a_faster_rate_is_refused(contents, save):
    first, _ = benchmark.load(save(contents))
    with pytest.raises(InputError, match="at most the file's 30 Hz, got 60"):
        first.thinned(60.0)


def _nan(name):
    def spoil(c):
        c[name] = c[name].copy()
        c[name][3, 2, 1] = np.nan

    return spoil


def _set(name, value):
    def spoil(c):
        c[name] = value

    return spoil


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda c: c.pop("keypoints"), "missing keypoints; a benchmark file holds offsets"),
        (lambda c: c.pop("fps"), "missing fps"),
        (_nan("keypoints"), r"keypoints: expected finite numbers, got 1 .* first at \(3, 2, 1\)"),
        (_nan("skeleton"), "skeleton: expected finite numbers"),
        (_set("skeleton", np.zeros((12, 16, 3))), r"skeleton: expected shape \(12, 17, 3\), got"),
        (_set("keypoints", np.zeros((11, 17, 3))), r"keypoints: expected shape \(12, 17, 3\)"),
        (_set("camera_matrix", np.zeros((3, 3, 3))), r"camera_matrix: expected shape \(2, 3, 3\)"),
        (_set("camera_matrix", np.zeros((2, 3, 3))), "sequence 0: camera matrix: all zeros"),
        (_set("offsets", np.array([0, 7, 5])), "offsets: expected to start at 0"),
        (_set("offsets", np.array([0.0, 6.0, 12.0])), "offsets: expected at least two integers"),
        (_set("fps", np.array(0.0)), "fps: expected above 0, got 0"),
        (_set("names", np.array(["a"])), r"names: expected shape \(2,\), got \(1,\)"),
        (_set("keypoints", np.full((12, 17, 3), 7.0)), "expected scores of 0 to 1, got 7"),
        (_set("keypoints", np.full((12, 17, 3), "x")), "keypoints: expected numbers"),
    ],
    ids=str,
)  # fmt: skip
def test_a_bad_file_is_refused_with_one_clear_line(contents, save, spoil, text):
    spoil(contents)
    path = save(contents)
    with pytest.raises(InputError, match=text) as caught:
        benchmark.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 torn", b"not an archive"], ids=str)
def test_what_is_no_archive_is_refused(tmp_path, data):
    path = tmp_path / "bad.npz"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"bad\.npz: not a readable"):
        benchmark.load(path)


def test_a_truncated_archive_is_refused(contents, save):
    path = save(contents)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(InputError, match="not a readable"):
        benchmark.load(path)


def test_a_pickle_is_not_opened(tmp_path):
    path = tmp_path / "bad.npz"
    np.savez(path, offsets=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match="not a readable"):
        benchmark.load(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.npz: no such file"):
        benchmark.load(tmp_path / "nowhere.npz")
