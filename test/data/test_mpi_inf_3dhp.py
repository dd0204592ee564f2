"""MPI-INF-3DHP's files in P-STMO's layout, on tiny files made here."""

from __future__ import annotations

import numpy as np
import pytest

from diffpose_ros.core import COCO17, H36M17, InputError
from diffpose_ros.data import benchmark
from diffpose_ros.data.formats import mpi_inf_3dhp as mpi

# The data set's own 28 joints and which of them the files hold, in the files' order.
ALL_28 = (
    "spine3", "spine4", "spine2", "spine", "pelvis", "neck", "head", "head_top", "left_clavicle",
    "left_shoulder", "left_elbow", "left_wrist", "left_hand", "right_clavicle", "right_shoulder",
    "right_elbow", "right_wrist", "right_hand", "left_hip", "left_knee", "left_ankle", "left_foot",
    "left_toe", "right_hip", "right_knee", "right_ankle", "right_foot", "right_toe",
)  # fmt: skip
HELD = [7, 5, 14, 15, 16, 9, 10, 11, 23, 24, 25, 18, 19, 20, 4, 3, 6]
OTHER_NAMES = {"pelvis": "hip", "neck": "thorax", "head": "nose"}


def person(frames: int, seed: int) -> np.ndarray:
    """(frames, 17, 3) metres in an optical frame, in the files' joint order."""
    rng = np.random.default_rng(seed)
    pose = rng.uniform([-0.4, -0.8, -0.3], [0.4, 0.8, 0.3], (17, 3))
    return pose + np.cumsum(rng.normal(0, 0.02, (frames, 1, 3)), axis=0) + [0.1, 0.0, 3.5]


def view(name: str, frames: int, seed: int, scale: float = 1.0) -> dict:
    """Arrays of one camera; ``scale`` is the universal height over the person's own."""
    xyz = person(frames, seed)
    pixels = (xyz / xyz[..., 2:]) @ mpi.camera(name).matrix.T
    return {
        "data_2d": pixels[..., :2].astype(np.float32),
        "data_3d": ((xyz - xyz[:, 14:15]) * scale + xyz[:, 14:15]) * 1000,
    }


@pytest.fixture
def train(tmp_path):
    def make(change=lambda data: None, scale=1.0):
        data = {
            f"S{s} Seq{q}": [{c: view(c, 5 + s, s * 10 + q, scale) for c in ("0", "8")}, 25 * q]
            for s in (1, 2)
            for q in (1, 2)
        }
        change(data)
        np.savez_compressed(tmp_path / "train.npz", data=data)
        return tmp_path / "train.npz"

    return make


@pytest.fixture
def held_out(tmp_path):
    def make(change=lambda data: None):
        data = {}
        for i, name in enumerate(mpi.TEST_SEQUENCES):
            data[name] = view(name, 8 + i, i) | {"valid": (np.arange(8 + i) % 3 == 0).astype("f8")}
        change(data)
        np.savez_compressed(tmp_path / "test.npz", data=data)
        return tmp_path / "test.npz"

    return make


def test_the_files_joint_order_is_the_data_sets():
    names = [OTHER_NAMES.get(ALL_28[i], ALL_28[i]) for i in HELD]
    assert tuple(names) == mpi.JOINTS
    assert [mpi.JOINTS[i] for i in mpi.TO_H36M] == list(H36M17.joints)


@pytest.mark.parametrize("name", ["TS1", "TS4"])
def test_indoor_test_sequences_use_studio_camera_eight(name):
    assert mpi.camera(name).same_as(mpi.camera("8"))
    # The calibration file says 7.32506 mm on a sensor of 10 mm, for images of 2048 pixels.
    np.testing.assert_allclose(mpi.camera(name).focal[0], 7.32506 / 10 * 2048, atol=0.01)


def test_the_outdoor_camera_is_that_of_the_calibration_file():
    k = mpi.camera("TS5").matrix
    focal = 8.770747185 / 10 * 1920
    want = [focal, focal * 0.993236423, 960 - 0.104908645 * 192, 540 + 0.104899704 * 192]
    np.testing.assert_allclose([k[0, 0], k[1, 1], k[0, 2], k[1, 2]], want, atol=1e-3)
    assert (mpi.camera("TS6").width, mpi.camera("TS6").height) == (1920, 1080)


def test_unknown_cameras_are_named():
    with pytest.raises(InputError, match="no camera '14', known are 0 to 13"):
        mpi.camera("14")


def test_training_has_a_recording_per_camera_in_metres(train):
    got = mpi.load_train(train(), subjects=["S2", "S1"])
    assert [(r.subject, r.name, r.fps, len(r.xyz)) for r in got[:5]] == [
        ("S2", "S2 Seq1.0", 25.0, 7), ("S2", "S2 Seq1.8", 25.0, 7),
        ("S2", "S2 Seq2.0", 50.0, 7), ("S2", "S2 Seq2.8", 50.0, 7), ("S1", "S1 Seq1.0", 25.0, 6),
    ]  # fmt: skip
    want = person(7, 21)[:, list(mpi.TO_H36M)]
    np.testing.assert_allclose(got[0].xyz, want, atol=1e-5)
    assert got[0].valid.all()
    assert got[1].camera.same_as(mpi.camera("8"))


def test_cameras_can_be_chosen(train):
    got = mpi.load_train(train(), subjects=["S1"], cameras=["8"])
    assert [r.name for r in got] == ["S1 Seq1.8", "S1 Seq2.8"]


def test_the_papers_split():
    assert mpi.TRAIN_SUBJECTS == ("S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8")
    assert mpi.TEST_SEQUENCES == ("TS1", "TS2", "TS3", "TS4", "TS5", "TS6")


def test_the_test_set_keeps_every_frame_and_which_count(held_out):
    got = mpi.load_test(held_out())
    assert [(r.name, len(r.xyz), int(r.valid.sum())) for r in got] == [
        ("TS1", 8, 3), ("TS2", 9, 3), ("TS3", 10, 4), ("TS4", 11, 4), ("TS5", 12, 4), ("TS6", 13, 5)
    ]  # fmt: skip
    s = got[4].to_sequence()
    assert (s.action, s.fps, s.camera.width) == ("TS5", 25.0, 1920)
    np.testing.assert_array_equal(s.valid, got[4].valid)


def test_a_sequence_stands_where_it_was(held_out):
    for i, recording in enumerate(mpi.load_test(held_out())):
        s = recording.to_sequence()
        want = person(8 + i, i)[:, list(mpi.TO_H36M)]
        np.testing.assert_allclose(s.skeleton, want, atol=2e-3)
        wrist = s.keypoints[:, COCO17.index("left_wrist")]
        np.testing.assert_allclose(
            wrist[:, :2], recording.keypoints[:, H36M17.index("left_wrist")], atol=1e-3
        )
        assert not s.keypoints[:, COCO17.index("left_ear")].any()


def test_a_body_of_universal_height_moves_along_its_rays(train):
    """A person scaled by 0.8 fits the same pixels at 0.8 of the distance."""
    s = mpi.load_train(train(scale=0.8), subjects=["S1"])[0].to_sequence()
    want = 0.8 * person(6, 11)[:, list(mpi.TO_H36M)]
    np.testing.assert_allclose(s.skeleton, want, atol=2e-3)


def test_joints_outside_the_image_are_masked(train):
    def leave(data):
        data["S1 Seq1"][0]["0"]["data_2d"][2, 7] = (-5.0, 100.0)

    s = mpi.load_train(train(leave), subjects=["S1"])[0].to_sequence()
    wrist = COCO17.index("left_wrist")
    assert not s.keypoints[2, wrist].any()
    assert s.keypoints[1, wrist, 2] == 1


def test_recordings_become_a_benchmark_file_with_their_valid_frames(held_out, tmp_path):
    sequences = [r.to_sequence() for r in mpi.load_test(held_out())]
    frames = benchmark.to_benchmark(tmp_path / "b.npz", sequences)
    got = benchmark.load(tmp_path / "b.npz")
    assert frames == sum(range(8, 14))
    for a, b in zip(got, sequences, strict=True):
        np.testing.assert_array_equal(a.valid, b.valid)
        assert (a.camera.width, a.camera.height) == (b.camera.width, b.camera.height)


def test_2d_and_3d_that_do_not_belong_together_are_refused(train):
    def shuffle(data):
        data["S1 Seq1"][0]["0"]["data_2d"][3] = -data["S1 Seq1"][0]["0"]["data_2d"][3] + 2048

    recording = mpi.load_train(train(shuffle), subjects=["S1"])[0]
    with pytest.raises(InputError, match=r"S1 Seq1\.0: frame 3: 2D and 3D do not belong together"):
        recording.to_sequence()


def _edit(key, value, take="S1 Seq1", cam="0"):
    def change(data):
        if value is None:
            del data[take][0][cam][key]
        else:
            data[take][0][cam][key] = value

    return change


def _rate(data):
    data["S1 Seq1"][1] = "fast"


def _flat(data):
    data["S1 Seq1"] = data["S1 Seq1"][0]


def _no_cameras(data):
    data["S1 Seq1"][0] = 3


def _unknown_camera(data):
    data["S1 Seq1"][0]["14"] = data["S1 Seq1"][0]["0"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (_edit("data_3d", None), "S1 Seq1 camera 0: missing data_3d, it holds data_2d"),
        (_edit("data_3d", np.zeros((6, 28, 3))), r"data_3d: expected shape \(frames, 17, 3\), got"),
        (_edit("data_2d", np.zeros((6, 17, 3))), r"data_2d: expected shape \(frames, 17, 2\), got"),
        (_edit("data_2d", np.zeros((5, 17, 2))), "as many frames in 3D as in 2D, got 6 and 5"),
        (_edit("data_3d", np.full((6, 17, 3), np.nan)), "data_3d: expected finite numbers"),
        (_edit("data_3d", person(6, 1)), "data_3d: expected millimetres, but joints lie"),
        (_rate, "S1 Seq1: expected frames per second, got 'fast'"),
        (_flat, r"S1 Seq1: expected \[cameras, frames per second\]"),
        (_no_cameras, "S1 Seq1: expected a dictionary, got int"),
        (_unknown_camera, "no camera '14'"),
    ],
)
def test_a_wrong_training_file_says_where(train, change, text):
    with pytest.raises(InputError, match=text):
        mpi.load_train(train(change), subjects=["S1"])


def _no_flags(data):
    del data["TS2"]["valid"]


def _few_flags(data):
    data["TS2"]["valid"] = data["TS2"]["valid"][:-1]


def _no_sequence(data):
    del data["TS6"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (_no_flags, "TS2: valid: expected 9 flags, one per frame, got object"),
        (_few_flags, r"TS2: valid: expected 9 flags, one per frame, got float64 \(8,\)"),
        (_no_sequence, "no sequence 'TS6', it has TS1, TS2, TS3, TS4, TS5"),
    ],
)
def test_a_wrong_test_file_says_where(held_out, change, text):
    with pytest.raises(InputError, match=text):
        mpi.load_test(held_out(change))


def test_missing_subjects_are_named(train):
    with pytest.raises(InputError, match="no subject 'S3', it has S1 Seq1, S1 Seq2, S2 Seq1"):
        mpi.load_train(train())
