"""Orientations of joints against bodies that were posed by known rotations."""

from __future__ import annotations

import numpy as np
import pytest
from moving_bodies import CAMERA, about, body
from scipy.spatial.transform import Rotation

from diffpose_ros.core import H36M17, InputError
from diffpose_ros.kinematics import ANGLES, JointRotations, RotationTracker, joint_angles

J = {name: i for i, name in enumerate(H36M17.joints)}
def degrees_between(a, b):
    """(17,) angle between orientations."""
    return np.rad2deg(Rotation.from_matrix(a.swapaxes(-1, -2) @ b).magnitude())


BENT = {
    "right_hip": about("z", 40) * about("y", 15), "right_knee": about("z", -60),
    "left_hip": about("x", -20) * about("y", -10), "left_knee": about("z", -35),
    "left_shoulder": about("x", -50) * about("y", 25), "left_elbow": about("z", 70),
    "right_shoulder": about("z", 80) * about("y", -40), "right_elbow": about("z", 100),
}  # fmt: skip


def test_hanging_limbs_make_all_frames_parallel() -> None:
    xyz, _ = body()
    got = RotationTracker().update(xyz).matrix
    np.testing.assert_allclose(got, np.broadcast_to(CAMERA, got.shape), atol=1e-9)


def test_bent_limbs_show_how_they_are_turned() -> None:
    tracker = RotationTracker()
    xyz, frames = body(BENT)
    for _ in range(60):  # a few frames, until the first guess does not count any more
        got = tracker.update(xyz, dt=1 / 30)
    assert degrees_between(got.matrix, frames).max() < 1.0


def test_frames_are_rotations_whatever_the_pose() -> None:
    rng = np.random.default_rng(0)
    tracker = RotationTracker()
    for _ in range(50):
        m = tracker.update(rng.normal(0, 0.5, (17, 3)), dt=1 / 30).matrix
        np.testing.assert_allclose(m.swapaxes(1, 2) @ m, np.broadcast_to(np.eye(3), m.shape), atol=1e-9)
        np.testing.assert_allclose(np.linalg.det(m), 1.0)


def test_segments_point_along_y_exactly() -> None:
    """The swing is what positions tell; noise in other joints does not touch it."""
    xyz = body(BENT)[0] + np.random.default_rng(1).normal(0, 0.03, (17, 3))
    m = RotationTracker().update(xyz).matrix
    for start, end, sign in (
        ("right_hip", "right_knee", -1), ("right_knee", "right_ankle", -1), ("spine", "thorax", 1),
        ("left_shoulder", "left_elbow", -1), ("left_elbow", "left_wrist", -1),
    ):  # fmt: skip
        along = xyz[J[end]] - xyz[J[start]]
        np.testing.assert_allclose(m[J[start]][:, 1], sign * along / np.linalg.norm(along), atol=1e-9)
    across = xyz[J["right_hip"]] - xyz[J["left_hip"]]
    np.testing.assert_allclose(m[J["hip"]][:, 2], across / np.linalg.norm(across), atol=1e-9)


def test_a_limb_that_straightens_keeps_its_twist_with_growing_doubt() -> None:
    tracker = RotationTracker()
    shoulder = about("z", 30) * about("y", -50)
    doubts, errors = [], []
    for k in range(60):
        bend = max(90 - 4 * k, 0)
        xyz, frames = body({"right_shoulder": shoulder, "right_elbow": about("z", bend)})
        got = tracker.update(xyz, dt=1 / 30)
        errors.append(degrees_between(got.matrix, frames)[J["right_shoulder"]])
        d = got.matrix[J["right_shoulder"]][:, 1]
        doubts.append(np.sqrt(d @ got.covariance[J["right_shoulder"]] @ d))
    assert errors[15] < 3.0
    assert max(errors) < 20.0  # on the way back to the minimal twist
    assert doubts[15] < np.deg2rad(10)
    assert (np.diff(doubts[17:26]) > 0).all()
    assert doubts[-1] > 3 * doubts[15]


def test_nothing_leaps_when_an_arm_passes_overhead() -> None:
    """Straight up is where the shortest rotation from the trunk is undefined."""
    tracker, last = RotationTracker(), None
    for k in range(181):
        xyz, _ = body({"left_shoulder": about("z", 2 * k) * about("x", 0.5), "left_elbow": about("z", 5)})
        now = tracker.update(xyz, dt=1 / 60).matrix
        if last is not None:
            assert degrees_between(last, now)[J["left_shoulder"]] < 6.0
        last = now


def test_turning_on_the_spot_takes_hanging_arms_along() -> None:
    tracker = RotationTracker()
    for k in range(120):
        xyz, frames = body({"hip": about("y", 3 * k)})
        got = tracker.update(xyz, dt=1 / 30).matrix
        assert degrees_between(got, frames).max() < 0.1


@pytest.mark.parametrize("joint", ["left_knee", "right_wrist", "thorax", "right_shoulder"])
def test_an_unknown_joint_leaves_unknown_frames_and_no_others(joint) -> None:
    xyz, _ = body(BENT)
    xyz[J[joint]] = np.nan
    got = RotationTracker().update(xyz)
    unknown = np.isnan(got.matrix).any(axis=(1, 2))
    assert (unknown == np.isnan(got.covariance).any(axis=(1, 2))).all()
    assert unknown.any()
    expected = {
        "left_knee": {"left_hip", "left_knee", "left_ankle"},
        "right_wrist": {"right_elbow", "right_wrist"},
    }.get(joint)
    if expected is not None:
        assert {H36M17.joints[i] for i in np.flatnonzero(unknown)} == expected


def test_its_covariance_is_that_of_its_errors() -> None:
    """Independent noise of 15 mm in every joint; the model halves what neighbours do not share."""
    from diffpose_ros.kinematics import rotations

    rng = np.random.default_rng(2)
    xyz, frames = body(BENT)
    noise = np.tile((0.015**2 / (1 - rotations.TOGETHER)) * np.eye(3), (17, 1, 1))
    vectors, covariances = [], []
    for _ in range(400):
        got = RotationTracker().update(xyz + rng.normal(0, 0.015, (17, 3)), noise)
        vectors.append(Rotation.from_matrix(got.matrix @ frames.swapaxes(1, 2)).as_rotvec())
        covariances.append(got.covariance)
    # Y of limbs and spine, Z of pelvis and thorax: what one segment says alone
    for name in ("right_hip", "right_knee", "left_shoulder", "left_elbow", "spine"):
        across = frames[J[name]][:, 0]
        measured = np.var([v[J[name]] @ across for v in vectors])
        said = np.mean([across @ c[J[name]] @ across for c in covariances])
        assert measured == pytest.approx(said, rel=0.25), name


def about_itself(rotations, joint):
    """rad^2 of a joint's frame about its own Y."""
    y = rotations.matrix[J[joint]][:, 1]
    return y @ rotations.covariance[J[joint]] @ y


def test_the_doubt_about_the_trunk_follows_from_how_far_apart_its_joints_are() -> None:
    """Neighbours share half of an error, so a difference is as noisy as one joint: 1 cm."""
    xyz, _ = body()
    got = RotationTracker().update(xyz, np.tile(0.01**2 * np.eye(3), (17, 1, 1)))
    wide = np.linalg.norm(xyz[J["left_shoulder"]] - xyz[J["right_shoulder"]])
    long = np.linalg.norm(xyz[J["thorax"]] - xyz[J["spine"]])
    doubt = got.matrix[J["spine"]].T @ got.covariance[J["spine"]] @ got.matrix[J["spine"]]
    np.testing.assert_allclose(doubt, 0.01**2 * np.diag([long**-2, wide**-2, long**-2]), atol=1e-9)


def test_a_hinge_that_is_seen_exactly_is_still_no_perfect_hinge() -> None:
    """4 degrees, beside the 45 of which nothing was known before."""
    xyz, _ = body({"left_elbow": about("z", 70)})
    got = RotationTracker().update(xyz, np.zeros((17, 3, 3)))
    hinge, before = np.deg2rad(4.0) ** 2, np.deg2rad(45.0) ** 2
    assert about_itself(got, "left_shoulder") == pytest.approx(hinge * before / (hinge + before), rel=1e-6)


def test_an_unseen_twist_is_doubted_by_90_degrees_more_after_a_second() -> None:
    """As a random walk: the variance grows with time."""
    tracker = RotationTracker()
    bent = tracker.update(body({"left_elbow": about("z", 90)})[0])
    for k in range(1, 3):
        straight = tracker.update(body({"left_elbow": about("z", 0)})[0], dt=0.1)
        grown = about_itself(straight, "left_shoulder") - about_itself(bent, "left_shoulder")
        assert grown == pytest.approx(np.deg2rad(90.0) ** 2 * 0.1 * k, rel=1e-3)


def test_the_sigmas_of_angles_are_those_of_turns_about_their_axes() -> None:
    """Two frames, each off by one degree in every direction; at 60 degrees of abduction a flexion is twice
    as unsure, since the limb is half as long in its plane."""
    turned = RotationTracker().update(body({"right_hip": about("x", -60), "right_knee": about("z", -50)})[0])
    one = np.deg2rad(1.0)
    angles = joint_angles(JointRotations(turned.matrix, np.tile(one**2 * np.eye(3), (17, 1, 1))), (0, -1, 0))
    sigma = dict(zip(ANGLES, np.rad2deg(angles.sigma), strict=True))
    for name, degrees in (
        ("right_hip_abduction", 2**0.5), ("right_hip_flexion", 2 * 2**0.5), ("left_hip_flexion", 2**0.5),
        ("right_knee_flexion", 2**0.5), ("trunk_flexion", 1.0), ("trunk_side_bend", 1.0),
    ):  # fmt: skip
        assert sigma[name] == pytest.approx(degrees, rel=1e-6), name


def test_quaternions_are_those_of_the_matrices() -> None:
    rng = np.random.default_rng(3)
    m = Rotation.random(17, random_state=rng).as_matrix()
    m[4] = np.nan
    q = JointRotations(m, np.zeros((17, 3, 3))).quaternions()
    assert np.isnan(q[4]).all()
    rest = np.arange(17) != 4
    np.testing.assert_allclose(Rotation.from_quat(q[rest]).as_matrix(), m[rest], atol=1e-9)
    assert (q[rest, 3] >= 0).all()


def angles_of(turns, up=None):
    xyz, _ = body(turns)
    got = joint_angles(RotationTracker().update(xyz), up)
    assert len(got.value) == len(got.sigma) == len(ANGLES)
    return got.degrees()


@pytest.mark.parametrize(
    ("turns", "angle", "degrees"),
    [
        ({"right_knee": about("z", -50)}, "right_knee_flexion", 50),
        ({"left_elbow": about("z", 110)}, "left_elbow_flexion", 110),
        ({"right_hip": about("z", 35)}, "right_hip_flexion", 35),
        ({"left_hip": about("z", -20)}, "left_hip_flexion", -20),
        ({"right_hip": about("x", -30)}, "right_hip_abduction", 30),
        ({"left_hip": about("x", 30)}, "left_hip_abduction", 30),
        ({"right_shoulder": about("x", -70)}, "right_shoulder_abduction", 70),
        ({"left_shoulder": about("x", 40)}, "left_shoulder_abduction", 40),
        ({"right_shoulder": about("z", 90)}, "right_shoulder_flexion", 90),
        ({"left_shoulder": about("z", 150)}, "left_shoulder_flexion", 150),
    ],
)
def test_angles_are_what_people_call_them(turns, angle, degrees) -> None:
    got = angles_of(turns)
    assert got[angle] == pytest.approx(degrees, abs=1e-6)
    others = [v for k, v in got.items() if k != angle and not k.startswith("trunk")]
    np.testing.assert_allclose(others, 0.0, atol=1e-4)
    assert np.isnan(got["trunk_flexion"])


@pytest.mark.parametrize(
    ("turn", "forward", "side"), [(about("z", -25), 25, 0), (about("x", 20), 0, 20), (about("y", 70), 0, 0)]
)
def test_the_trunk_leans_against_gravity(turn, forward, side) -> None:
    got = angles_of({"hip": turn}, up=(0, -1, 0))
    assert got["trunk_flexion"] == pytest.approx(forward, abs=1e-6)
    assert got["trunk_side_bend"] == pytest.approx(side, abs=1e-6)


def test_the_sigma_of_an_angle_is_that_of_its_errors() -> None:
    from diffpose_ros.kinematics import rotations

    rng = np.random.default_rng(5)
    xyz, _ = body(BENT)
    noise = np.tile((0.01**2 / (1 - rotations.TOGETHER)) * np.eye(3), (17, 1, 1))
    noise[[J["right_hip"], J["left_hip"]]] = 0.01**2 * np.eye(3)
    noise[J["hip"]] = 0.0
    values, sigmas = [], []
    for _ in range(500):
        off = rng.normal(0, 0.01, (17, 3))
        off[J["left_hip"]], off[J["hip"]] = -off[J["right_hip"]], 0.0  # errors count from their middle
        got = joint_angles(RotationTracker().update(xyz + off, noise), (0, -1, 0))
        values.append(got.value)
        sigmas.append(got.sigma)
    ratio = np.std(values, axis=0) / np.mean(sigmas, axis=0)
    # Segments that share a joint are taken as independent: a flexion's noise is a little larger so.
    assert (ratio > 0.7).all(), dict(zip(ANGLES, ratio, strict=True))
    assert (ratio < 1.35).all(), dict(zip(ANGLES, ratio, strict=True))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"positions": np.zeros((16, 3))}, "positions"),
        ({"positions": np.zeros((17, 3)), "covariance": np.zeros((17, 3))}, "covariances"),
        ({"positions": np.zeros((17, 3)), "dt": -1.0}, "time step"),
        ({"positions": np.zeros((17, 3)), "dt": np.nan}, "time step"),
    ],
)
def test_wrong_arguments_are_named(given, words) -> None:
    with pytest.raises(InputError, match=words):
        RotationTracker().update(**given)


@pytest.mark.parametrize("up", [(0, 0, 0), (0, 1), (np.nan, 0, 1)])
def test_up_must_be_a_direction(up) -> None:
    with pytest.raises(InputError, match="up"):
        joint_angles(RotationTracker().update(body()[0]), up)


def flattened(*joints):
    """A body some of whose joints lie in one place."""
    xyz, _ = body(BENT)
    xyz[[J[name] for name in joints]] = xyz[J[joints[0]]]
    return xyz


@pytest.mark.parametrize(
    "xyz",
    [
        flattened("thorax", "nose", "head_top"), flattened("hip", "spine"),
        flattened("left_hip", "right_hip"),
        flattened("left_shoulder", "right_shoulder"), flattened("left_knee", "left_ankle"),
        np.outer(np.arange(17.0), [1, 0, 0]), np.zeros((17, 3)),
    ],
    ids=["head", "waist", "hips", "shoulders", "shank", "line", "point"],
)  # fmt: skip
def test_a_frame_is_known_as_a_whole_or_not_at_all(xyz) -> None:
    """A nose on the line from thorax to crown, and the like, leave one axis without a direction."""
    got = RotationTracker().update(xyz)
    for value in (got.matrix, got.covariance):
        finite = np.isfinite(value.reshape(17, 9))
        assert (finite.all(axis=1) == finite.any(axis=1)).all()
    np.testing.assert_array_equal(np.isnan(got.matrix), np.isnan(got.covariance))
