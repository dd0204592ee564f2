"""What must not matter to a skeleton does not: the shipped models, through the whole lifter.

Twelve frames of three people before a virtual camera, seen once as they are and once with something
changed that a camera, a clock or a tracker may choose freely.
"""

import cv2
import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="needs onnxruntime")

from scenes import FPS, scene

from diffpose_ros.core import COCO17, H36M17, Camera, People2D
from diffpose_ros.lifting import Lifter, LifterConfig

SECOND = 1_000_000_000
FRAMES, WHO = 12, [1, 4, 6]


@pytest.fixture(scope="module", params=["starpose", "diffpose"])
def lifter(request):
    made = Lifter(LifterConfig(model=request.param, backend="onnxruntime", steps=1))
    yield made
    made.close()


@pytest.fixture(scope="module")
def seen():
    return scene("tall robot", seed=1)


def lift(lifter, camera, keypoints, *, start=SECOND, ids=(1, 2, 3)):
    """Skeletons of every frame by identity, from a lifter that remembers nothing."""
    lifter.reset()
    frames = []
    for i, frame in enumerate(keypoints):
        people = People2D(xy=frame[..., :2], score=frame[..., 2], track_id=np.array(ids))
        result = lifter.lift(people, camera, start + round(i * SECOND / FPS))
        frames.append({s.track_id: s for s in result.skeletons})
    return frames


def assert_same(a, b, *, turn=None, metres, renamed=None):
    """The skeletons of ``b`` are those of ``a``, turned."""
    turn = np.eye(3) if turn is None else turn
    renamed = renamed or {1: 1, 2: 2, 3: 3}
    for one, two in zip(a, b, strict=True):
        assert {renamed[i] for i in one} == set(two)
        for i, s in one.items():
            t = two[renamed[i]]
            np.testing.assert_allclose(t.xyz - t.root, (s.xyz - s.root) @ turn.T, atol=metres)
            np.testing.assert_allclose(t.root, turn @ s.root, atol=20 * metres, rtol=0)
            size = np.abs(s.covariance).max()
            np.testing.assert_allclose(
                t.covariance, turn @ s.covariance @ turn.T, atol=size * min(1.0, 50 * metres)
            )


@pytest.fixture(scope="module")
def plain(lifter, seen):
    return lift(lifter, seen.camera, seen.keypoints[:FRAMES, WHO])


def test_the_scene_is_not_trivial(plain):
    poses = np.array([[s.xyz - s.root for s in frame.values()] for frame in plain])
    assert poses.shape == (FRAMES, 3, 17, 3)
    assert np.abs(np.diff(poses, axis=0)).max() > 0.05
    assert np.abs(poses[:, 0] - poses[:, 1]).max() > 0.2


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_another_resolution_and_principal_point_of_the_same_rays(lifter, seen, plain, factor):
    k = seen.camera.matrix
    other = np.array([[factor * k[0, 0], 0, 211.0], [0, 1.3 * factor * k[1, 1], 87.0], [0, 0, 1]])
    camera = Camera(matrix=other, width=round(1280 * factor), height=round(720 * 1.3 * factor))
    keypoints = seen.keypoints[:FRAMES, WHO].copy()
    rays = (keypoints[..., :2] - k[:2, 2]) / [k[0, 0], k[1, 1]]
    keypoints[..., :2] = rays * [other[0, 0], other[1, 1]] + other[:2, 2]
    assert_same(plain, lift(lifter, camera, keypoints), metres=1e-5)


def test_another_lens_before_the_same_rays(lifter, seen, plain):
    k, d = seen.camera.matrix, np.array([-0.2, 0.05, 0.002, -0.001, 0.01])
    camera = Camera(matrix=k, width=1280, height=720, distortion=d, model="plumb_bob")
    keypoints = seen.keypoints[:FRAMES, WHO].copy()
    rays = (keypoints[..., :2] - k[:2, 2]) / [k[0, 0], k[1, 1]]
    rays = np.concatenate([rays, np.ones_like(rays[..., :1])], -1).reshape(-1, 3)
    bent = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), k, d)[0]
    assert np.abs(bent.reshape((*keypoints.shape[:-1], 2)) - keypoints[..., :2]).max() > 2
    keypoints[..., :2] = bent.reshape(keypoints[..., :2].shape)
    assert_same(plain, lift(lifter, camera, keypoints), metres=1e-4)


@pytest.mark.parametrize("start", [0, 1_700_000_000 * SECOND + 123_456_789])
def test_another_origin_of_the_clock(lifter, seen, plain, start):
    assert_same(plain, lift(lifter, seen.camera, seen.keypoints[:FRAMES, WHO], start=start), metres=1e-6)


@pytest.mark.parametrize("order", [(2, 0, 1), (1, 0, 2), (2, 1, 0)])
def test_people_in_another_order(lifter, seen, plain, order):
    keypoints = seen.keypoints[:FRAMES, WHO][:, list(order)]
    ids = [(1, 2, 3)[i] for i in order]
    assert_same(plain, lift(lifter, seen.camera, keypoints, ids=ids), metres=1e-5)


def test_an_order_that_changes_in_every_frame(lifter, seen, plain):
    rng = np.random.default_rng(0)
    lifter.reset()
    frames = []
    for i in range(FRAMES):
        order = rng.permutation(3)
        frame = seen.keypoints[i, WHO][order]
        people = People2D(xy=frame[..., :2], score=frame[..., 2], track_id=order + 1)
        result = lifter.lift(people, seen.camera, SECOND + round(i * SECOND / FPS))
        assert [s.track_id for s in result.skeletons] == list(order + 1)
        frames.append({s.track_id: s for s in result.skeletons})
    assert_same(plain, frames, metres=1e-5)


def test_other_identities(lifter, seen, plain):
    again = lift(lifter, seen.camera, seen.keypoints[:FRAMES, WHO], ids=(70, 3, 12_345))
    assert_same(plain, again, metres=1e-6, renamed={1: 70, 2: 3, 3: 12_345})


@pytest.mark.parametrize("person", [0, 1, 2])
def test_others_in_view(lifter, seen, plain, person):
    alone = lift(lifter, seen.camera, seen.keypoints[:FRAMES, WHO][:, [person]], ids=(person + 1,))
    only = [{person + 1: frame[person + 1]} for frame in plain]
    assert_same(only, alone, metres=1e-5)


def test_what_a_keypoint_without_a_score_holds(lifter, seen):
    hidden = seen.keypoints[:FRAMES, WHO].copy()
    lost = np.random.default_rng(4).random(hidden.shape[:-1]) < 0.2
    hidden[lost] = 0.0
    wild = hidden.copy()
    wild[lost, :2] = [1e6, -300.0]
    assert_same(lift(lifter, seen.camera, hidden), lift(lifter, seen.camera, wild), metres=1e-6)


@pytest.mark.parametrize(
    ("pan", "tilt"), [(0.25, 0.0), (-0.3, 0.0), (0.0, 0.2)], ids=["left", "right", "down"]
)
def test_a_camera_turned_in_place(lifter, seen, plain, pan, tilt):
    """The rays turn, and so do the skeletons. Only so far: a virtual camera looks at the person by
    the shortest turn, which leaves a little roll, and it is told where in the image it looks."""
    c, s, e, f = np.cos(pan), np.sin(pan), np.cos(tilt), np.sin(tilt)
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]) @ np.array([[1, 0, 0], [0, e, -f], [0, f, e]])
    k = seen.camera.matrix
    keypoints = seen.keypoints[:FRAMES, WHO].copy()
    rays = (keypoints[..., :2] - k[:2, 2]) / [k[0, 0], k[1, 1]]
    turned = np.concatenate([rays, np.ones_like(rays[..., :1])], -1) @ turn.T
    keypoints[..., :2] = turned[..., :2] / turned[..., 2:] * [k[0, 0], k[1, 1]] + k[:2, 2]
    for one, two in zip(plain, lift(lifter, seen.camera, keypoints), strict=True):
        for i, a in one.items():
            moved = np.linalg.norm(two[i].xyz - two[i].root - (a.xyz - a.root) @ turn.T, axis=-1)
            assert moved.mean() < 0.02
            assert np.linalg.norm(two[i].root - turn @ a.root) < 0.035 * a.root[2]


def test_a_mirrored_scene_gives_mirrored_people(lifter, seen, plain):
    """Not exactly: noise and weights are not symmetric."""
    keypoints = seen.keypoints[:FRAMES, WHO][:, :, list(COCO17.flip)].copy()
    keypoints[..., 0] = 2 * seen.camera.matrix[0, 2] - keypoints[..., 0]
    for one, two in zip(plain, lift(lifter, seen.camera, keypoints), strict=True):
        for i, a in one.items():
            mirrored = a.xyz[list(H36M17.flip)] * [-1, 1, 1]
            pose = two[i].xyz - two[i].xyz[:1]
            assert np.linalg.norm(pose - (mirrored - mirrored[:1]), axis=-1).mean() < 0.012
            assert np.linalg.norm(two[i].root - a.root * [-1, 1, 1]) < 0.015 * a.root[2]
