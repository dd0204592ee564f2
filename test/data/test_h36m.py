"""Human3.6M's files in VideoPose3D's layout, on tiny files made here."""

from __future__ import annotations

import numpy as np
import pytest

from diffpose_ros.core import COCO17, H36M17, InputError
from diffpose_ros.data import benchmark
from diffpose_ros.data.formats import h36m
from diffpose_ros.data.formats.videopose3d import JOINTS_OF_32

H36M_SIDES = [[4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]]
COCO_SIDES = [[1, 3, 5, 7, 9, 11, 13, 15], [2, 4, 6, 8, 10, 12, 14, 16]]
TAKES = ("Walking", "Walking 1", "SittingDown 2")


def body(frames: int, seed: int, joints: int = 17) -> np.ndarray:
    """(frames, joints, 3) metres, Z up, near the middle of the laboratory."""
    rng = np.random.default_rng(seed)
    pose = rng.uniform([-0.4, -0.4, 0.1], [0.4, 0.4, 1.8], (joints, 3))
    drift = np.cumsum(rng.normal(0, 0.01, (frames, 1, 3)), axis=0)
    return (pose + drift).astype(np.float32)


@pytest.fixture
def files(tmp_path):
    """Makes both files; ``extra`` video frames, a joint layout, any change to the dictionaries."""

    def make(extra=0, sides=None, joints=32, change=lambda d3, d2: None):
        d3, d2 = {}, {}
        for s, subject in enumerate(("S1", "S9", "S11")):
            d3[subject], d2[subject] = {}, {}
            for t, take in enumerate(TAKES):
                world = body(6 + t, 10 * s + t, joints)
                h17 = world[:, list(JOINTS_OF_32)] if joints == 32 else world
                d3[subject][take] = world
                rig = h36m.cameras(subject)
                views = [c.project(c.to_camera(h17)).astype(np.float32) for c in rig]
                d2[subject][take] = [np.concatenate([v] + [v[-1:]] * extra) for v in views]
        change(d3, d2)
        meta = {"layout_name": "h36m", "num_joints": 17, "keypoints_symmetry": sides or H36M_SIDES}
        np.savez_compressed(tmp_path / "3d.npz", positions_3d=d3)
        np.savez_compressed(tmp_path / "2d.npz", positions_2d=d2, metadata=meta)
        return tmp_path / "3d.npz", tmp_path / "2d.npz"

    return make


@pytest.mark.parametrize("subject", [*h36m.TRAIN_SUBJECTS, *h36m.TEST_SUBJECTS])
def test_all_cameras_look_level_and_inwards(subject):
    rig = h36m.cameras(subject)
    assert [c.name for c in rig] == ["54138969", "55011271", "58860488", "60457274"]
    for camera in rig:
        middle = camera.to_camera([0.0, 0.0, 1.0])
        assert 3.5 < middle[2] < 6.5, "the middle of the room lies before the camera"
        assert np.abs(camera.project(middle) - [500, 500]).max() < 250
        up = camera.to_camera([0.0, 0.0, 2.0]) - middle
        assert up[1] < -0.9, "up in the room is up in the image"


def test_a_known_point_lands_on_its_known_pixel():
    """Worked by hand from the table: on the optical axis lens and rotation drop out."""
    camera = h36m.cameras("S9")[2]
    on_axis = camera.position + 4.0 * camera.rotation[2]
    np.testing.assert_allclose(camera.to_camera(on_axis), [0, 0, 4], atol=1e-9)
    np.testing.assert_allclose(camera.project(camera.to_camera(on_axis)), [519.81586, 501.40265])


def test_distortion_is_human36ms_own():
    camera = h36m.cameras("S1")[0]
    x, y, r2 = 0.2, -0.1, 0.05
    k1, k2, k3, p1, p2 = *camera.radial, *camera.tangential
    gain = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3 + p1 * x + p2 * y
    u = 1145.0494 * (x * gain + p1 * r2) + 512.5415
    v = 1143.7811 * (y * gain + p2 * r2) + 515.4515
    want = [u, v]
    np.testing.assert_allclose(camera.project([0.4, -0.2, 2.0]), want, atol=1e-6)


def test_undistortion_undoes_the_lens_over_the_whole_image():
    for camera in h36m.cameras("S1"):
        x, y = np.meshgrid(np.linspace(-0.42, 0.42, 15), np.linspace(-0.42, 0.42, 15))
        xyz = np.stack([x, y, np.ones_like(x)], -1) * 3.0
        pinhole = ((xyz / 3.0) @ camera.pinhole.matrix.T)[..., :2]
        np.testing.assert_allclose(camera.undistort(camera.project(xyz)), pinhole, atol=1e-3)


def test_subjects_without_calibration_are_named():
    with pytest.raises(InputError, match="no calibration for subject 'S2', known are S1, S5"):
        h36m.cameras("S2")


@pytest.mark.parametrize("joints", [32, 17])
def test_every_take_comes_once_per_camera(files, joints):
    got = h36m.load(*files(joints=joints))
    assert [(r.subject, r.take) for r in got[::4]] == [(s, t) for s in ("S9", "S11") for t in TAKES]
    assert len({(r.subject, r.take, r.camera.name) for r in got}) == 2 * 3 * 4
    assert got[0].action == got[4].action == "Walking"
    assert got[8].action == "SittingDown"
    want = body(6, 10, joints)
    np.testing.assert_array_equal(got[0].world, want[:, list(JOINTS_OF_32)] if joints == 32 else want)


def test_a_sequence_has_its_skeleton_where_its_keypoints_are(files):
    for recording in h36m.load(*files()):
        s = recording.to_sequence()
        pixels = (s.skeleton / s.skeleton[..., 2:]) @ s.camera.matrix.T
        for i, name in enumerate(COCO17.joints):
            if name in H36M17.joints:
                joint = pixels[:, H36M17.index(name), :2]
                np.testing.assert_allclose(s.keypoints[:, i, :2], joint, atol=0.05)
                assert (s.keypoints[:, i, 2] == 1).all()
            else:
                assert not s.keypoints[:, i].any(), f"{name} is not known and stays masked"


def test_root_relative_poses_only_turn_between_world_and_camera(files):
    r = h36m.load(*files())[3]
    relative = r.to_sequence().skeleton[2] - r.to_sequence().skeleton[2, 0]
    world = (r.world[2] - r.world[2, 0]).astype(np.float64)
    np.testing.assert_allclose(relative @ relative.T, world @ world.T, atol=1e-5)


def test_keypoints_longer_than_the_motion_capture_are_cut(files):
    assert [len(r.keypoints) for r in h36m.load(*files(extra=3))[::4]] == [6, 7, 8] * 2


def test_keypoints_of_a_coco_detector_keep_their_names(files):
    recording = h36m.load(*files(sides=COCO_SIDES))[0]
    assert recording.layout == "coco17"
    got = recording.to_sequence().keypoints
    want = recording.camera.undistort(recording.keypoints[..., :2])
    np.testing.assert_allclose(got[..., :2], want)
    assert (got[..., 2] == 1).all()


def test_scores_are_kept_where_a_file_has_them(files):
    def score(_d3, d2):
        for views in d2["S9"].values():
            scores = np.full((*views[0].shape[:2], 1), 0.4, np.float32)
            views[:] = [np.concatenate([v, scores], -1) for v in views]

    got = h36m.load(*files(change=score), subjects=["S9"])[0].to_sequence()
    np.testing.assert_allclose(got.keypoints[:, COCO17.index("left_hip"), 2], 0.4, atol=1e-6)


def test_actions_can_be_chosen(files):
    got = h36m.load(*files(), actions=["SittingDown"])
    assert {r.take for r in got} == {"SittingDown 2"}
    with pytest.raises(InputError, match="unknown action Dancing; known are Directions"):
        h36m.load(*files(), actions=["Dancing"])


@pytest.mark.parametrize(
    ("take", "action"),
    [("Walking 1", "Walking"), ("WalkingDog", "WalkDog"), ("TakingPhoto 1", "Photo"),
     ("WalkTogether", "WalkTogether"), ("Directions 1.54138969", "Directions")],
)  # fmt: skip
def test_takes_group_into_the_fifteen_actions(take, action):
    assert h36m.action_of(take) == action
    assert action in h36m.ACTIONS


def test_clips_for_training_are_the_papers_training_subjects(files, monkeypatch):
    path, _ = files()
    got = h36m.load_clips(path, subjects=["S1"])
    assert [(c.name, c.subject, c.action, c.fps, c.up_axis, len(c)) for c in got] == [
        ("S1 Walking", "S1", "Walking", 50.0, "z", 6),
        ("S1 Walking 1", "S1", "Walking", 50.0, "z", 7),
        ("S1 SittingDown 2", "S1", "SittingDown", 50.0, "z", 8),
    ]
    assert set(h36m.TRAIN_SUBJECTS) == {"S1", "S5", "S6", "S7", "S8"}
    assert set(h36m.TEST_SUBJECTS) == {"S9", "S11"}
    with pytest.raises(InputError, match="no subject 'S5', it has S1, S9, S11"):
        h36m.load_clips(path)


def test_recordings_become_a_benchmark_file(files, tmp_path):
    sequences = [r.to_sequence() for r in h36m.load(*files())]
    benchmark.to_benchmark(tmp_path / "b.npz", sequences, rate_hz=25.0)
    got = benchmark.load(tmp_path / "b.npz")
    assert [s.action for s in got] == [s.action for s in sequences]
    assert {(s.camera.width, s.camera.height) for s in got} == {(1000, 1002), (1000, 1000)}
    assert {s.fps for s in got} == {25.0}
    assert len(got[0]) == 3
    np.testing.assert_allclose(got[5].skeleton, sequences[5].skeleton[::2], atol=1e-5)


def test_points_of_human36m_mask_the_face():
    xy, score = h36m.h36m_to_points(np.arange(34.0).reshape(17, 2))
    np.testing.assert_array_equal(xy[:17], np.arange(34.0).reshape(17, 2))
    assert (score[:17] == 1).all()
    assert not score[17:].any()
    assert not xy[17:].any()
    xy, score = h36m.h36m_to_points(np.ones((2, 17, 2)), np.eye(17)[:2])
    assert xy.sum() == 4
    assert score.sum() == 2


def _drop(d3, d2):
    del d2["S9"]["Walking 1"]


def _three_cameras(d3, d2):
    d2["S9"]["Walking"].pop()


def _short(d3, d2):
    d2["S9"]["Walking"][1] = d2["S9"]["Walking"][1][:-1]


def _sixteen(d3, d2):
    d2["S9"]["Walking"][1] = d2["S9"]["Walking"][1][:, :16]


def _nan2(d3, d2):
    d2["S9"]["Walking"][1][0, 0] = np.nan


def _nan3(d3, d2):
    d3["S9"]["Walking"][0, 1] = np.inf


def _millimetres(d3, d2):
    d3["S9"]["Walking"] = d3["S9"]["Walking"] * 1000


def _twenty(d3, d2):
    d3["S9"]["Walking"] = np.zeros((6, 20, 3), np.float32)


def _no_array(d3, d2):
    d3["S9"]["Walking"] = [1, 2, 3]


def _no_takes(d3, d2):
    d3["S9"] = 3


def _no_subject(d3, d2):
    del d2["S9"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (_drop, "2d.npz: positions_2d: S9 has no take 'Walking 1'"),
        (_three_cameras, "2d.npz: S9 'Walking': expected 4 cameras, got 3"),
        (_short, "2d.npz: S9 'Walking' camera 55011271: expected at least the 6 frames .* got 5"),
        (_sixteen, r"camera 55011271: expected shape \(frames, 17, 2\), got float32 \(6, 16, 2\)"),
        (_nan2, "camera 55011271: expected finite numbers"),
        (_nan3, "3d.npz: S9 'Walking': expected finite numbers"),
        (_millimetres, "3d.npz: S9 'Walking': expected metres, .* divide millimetres by 1000"),
        (_twenty, r"3d.npz: S9 'Walking': expected shape .*, got \(6, 20, 3\)"),
        (_no_array, "3d.npz: S9 'Walking': expected an array"),
        (_no_takes, "3d.npz: S9: expected a dictionary, got int"),
        (_no_subject, "2d.npz: S9: expected a dictionary, got nothing"),
    ],
)
def test_a_wrong_file_says_where(files, change, text):
    with pytest.raises(InputError, match=text):
        h36m.load(*files(change=change))


def test_keypoints_of_other_joint_sets_are_refused(files):
    with pytest.raises(InputError, match=r"expected the 17 joints of Human3\.6M or COCO, got left"):
        h36m.load(*files(sides=[[3, 4, 5], [0, 1, 2]]))


def test_files_of_another_layout_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", positions=np.zeros(3))
    with pytest.raises(InputError, match="missing positions_3d; it holds positions"):
        h36m.load_clips(tmp_path / "x.npz")
    listed = np.empty((), dtype=object)
    listed[()] = [1, 2]
    np.savez(tmp_path / "y.npz", positions_3d=listed)
    with pytest.raises(InputError, match="positions_3d: expected a dictionary, got list"):
        h36m.load_clips(tmp_path / "y.npz")
