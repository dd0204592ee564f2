"""Each metric against numbers worked out by hand, and the laws they must obey."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffpose_ros.core import InputError
from diffpose_ros.evaluation import metrics


def random_pose(seed: int, frames: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(frames, 17, 3))


def random_rotation(rng: np.random.Generator) -> np.ndarray:
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return q * np.sign(np.linalg.det(q))


def two_joints(*x: float) -> np.ndarray:
    """Frames of a root at the origin and one joint at x millimetres."""
    pose = np.zeros((len(x), 2, 3))
    pose[:, 1, 0] = np.array(x) / 1000
    return pose


def test_mpjpe_averages_over_all_joints_the_root_included():
    true = np.zeros((1, 4, 3))
    predicted = true.copy()
    predicted[0, 1, 0] = 0.030
    predicted[0, 2, 1] = 0.010
    assert metrics.mpjpe(predicted, true) == pytest.approx([10.0])


def test_mpjpe_does_not_see_where_the_root_is():
    pose = random_pose(0)
    assert metrics.mpjpe(pose + np.array([1.0, -2.0, 3.0]), pose) == pytest.approx(np.zeros(4), abs=1e-9)


def test_an_error_of_the_root_moves_every_other_joint():
    true = np.zeros((1, 4, 3))
    predicted = true.copy()
    predicted[0, 0, 2] = 0.020
    assert metrics.mpjpe(predicted, true) == pytest.approx([15.0])


def test_n_mpjpe_forgives_scale_but_not_rotation():
    pose = random_pose(1)
    assert metrics.n_mpjpe(0.7 * pose, pose) == pytest.approx(np.zeros(4), abs=1e-9)
    turned = pose @ random_rotation(np.random.default_rng(2)).T
    assert (metrics.n_mpjpe(turned, pose) > 100).all()


def test_n_mpjpe_by_hand():
    # One joint at (1, 0, 0) predicted at (2, 2, 0): s = 2/8, so (0.5, 0.5, 0), off by sqrt(0.5).
    true = np.array([[[0.0, 0, 0], [1, 0, 0]]])
    predicted = np.array([[[0.0, 0, 0], [2, 2, 0]]])
    assert metrics.n_mpjpe(predicted, true) == pytest.approx([1000 * np.sqrt(0.5) / 2])


def test_n_mpjpe_of_a_collapsed_pose_is_its_mpjpe():
    pose = random_pose(3)
    flat = np.zeros_like(pose)
    assert metrics.n_mpjpe(flat, pose) == pytest.approx(metrics.mpjpe(flat, pose))


def test_p_mpjpe_does_not_forgive_a_mirror_image():
    pose = random_pose(4)
    mirrored = pose * [-1.0, 1.0, 1.0]
    assert (metrics.p_mpjpe(mirrored, pose) > 100).all()


def test_p_mpjpe_by_hand():
    # A square against a rectangle twice as long: the best fit leaves a quarter of the surplus.
    true = np.array([[[-2.0, -1, 0], [2, -1, 0], [2, 1, 0], [-2, 1, 0]]])
    predicted = np.array([[[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]])
    # scale = <p, t> / <p, p> = 12/8: corners at 1.5, so off by (0.5, 0.5).
    assert metrics.p_mpjpe(predicted, true) == pytest.approx([1000 * np.sqrt(0.5)])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0.1, 10), shift=st.floats(-5, 5))
def test_p_mpjpe_forgives_every_similarity(seed, scale, shift):
    rng = np.random.default_rng(seed)
    pose = rng.normal(size=(3, 17, 3))
    moved = scale * pose @ random_rotation(rng).T + shift
    assert metrics.p_mpjpe(moved, pose) == pytest.approx(np.zeros(3), abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), noise=st.floats(0.001, 1))
def test_alignment_never_makes_the_squared_error_larger(seed, noise):
    rng = np.random.default_rng(seed)
    true = rng.normal(size=(3, 17, 3))
    predicted = true + noise * rng.normal(size=true.shape)
    aligned = metrics.procrustes(predicted, true)
    assert ((aligned - true) ** 2).sum() <= ((predicted - true) ** 2).sum() + 1e-9


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_errors_do_not_depend_on_the_axes(seed):
    rng = np.random.default_rng(seed)
    a, b, r = rng.normal(size=(5, 17, 3)), rng.normal(size=(5, 17, 3)), random_rotation(rng)
    for metric in (metrics.mpjpe, metrics.n_mpjpe, metrics.p_mpjpe, metrics.mpjve, metrics.acc_err):
        assert metric(a @ r.T, b @ r.T) == pytest.approx(metric(a, b))


def test_pck_counts_joints_closer_than_the_threshold():
    true = np.zeros((1, 4, 3))
    predicted = true.copy()
    predicted[0, 1:, 0] = 0.1499, 0.1501, 0.5
    assert metrics.pck(predicted, true) == 0.5


def test_auc_by_hand():
    # The root counts from 5 mm on (30 of 31 thresholds), a joint 52 mm off from 55 mm on (20).
    assert metrics.auc(two_joints(52.0), two_joints(0.0)) == pytest.approx((30 + 20) / 62)


def test_auc_uses_the_31_thresholds_of_3dhp():
    assert metrics.AUC_THRESHOLDS_MM.tolist() == [5.0 * i for i in range(31)]


def test_mpjve_by_hand():
    # Velocities 10 and 30 mm a frame against 0 and 0; the root's are right.
    assert metrics.mpjve(two_joints(0, 10, 40), two_joints(0, 0, 0)) == pytest.approx([5, 15])


def test_a_constant_offset_is_no_velocity_error():
    assert metrics.mpjve(two_joints(5, 15, 45), two_joints(0, 10, 40)) == pytest.approx([0, 0])


def test_acceleration_error_by_hand():
    # Accelerations: 10 - 0 = 10 against 0.
    assert metrics.acc_err(two_joints(0, 0, 10), two_joints(0, 0, 0)) == pytest.approx([5.0])


def test_a_constant_speed_is_no_acceleration_error():
    assert metrics.acc_err(two_joints(0, 7, 14, 21), two_joints(0, 0, 0, 0)) == pytest.approx(
        [0, 0], abs=1e-9
    )


@pytest.mark.parametrize("frames", [1, 2])
def test_too_short_a_sequence_has_no_acceleration(frames):
    assert metrics.acc_err(random_pose(0, frames), random_pose(1, frames)).shape == (0,)


def test_the_best_hypothesis_is_a_whole_pose():
    true = np.zeros((1, 3, 3))
    hypotheses = np.zeros((1, 2, 3, 3))
    hypotheses[0, 0, 1, 0] = 0.030  # joint 1 wrong in one pose,
    hypotheses[0, 1, 2, 0] = 0.060  # joint 2 in the other
    assert metrics.min_of_n_mpjpe(hypotheses, true) == pytest.approx([10.0])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_more_hypotheses_never_hurt_the_best(seed):
    rng = np.random.default_rng(seed)
    true, hypotheses = rng.normal(size=(3, 17, 3)), rng.normal(size=(3, 6, 17, 3))
    few, many = (metrics.min_of_n_mpjpe(hypotheses[:, :n], true) for n in (2, 6))
    assert (many <= few).all()


def test_coverage_of_a_calibrated_normal_distribution():
    rng = np.random.default_rng(0)
    deviation = rng.uniform(0.01, 0.1, size=(2000, 17, 3))
    true = np.zeros((2000, 17, 3))
    predicted = rng.normal(size=true.shape) * deviation
    predicted[:, 0] = 0.0
    covariance = np.einsum("fjc,cd->fjcd", deviation**2, np.eye(3))
    one, two = (metrics.inside_sigma(predicted, covariance, true, s).mean() for s in (1, 2))
    assert one == pytest.approx(0.683, abs=0.005)
    assert two == pytest.approx(0.954, abs=0.005)


def test_coverage_leaves_the_root_out():
    pose = random_pose(0)
    inside = metrics.inside_sigma(pose, np.zeros((4, 17, 3, 3)), pose + 1e-3, 1.0)
    assert inside.shape == (4, 16, 3)


def test_root_velocity_error_is_that_of_the_absolute_root():
    true = np.zeros((3, 17, 3))
    true[:, :, 0] = np.arange(3)[:, None] * 0.05  # 50 mm per frame to the right
    predicted = true.copy()
    predicted[2] += [0.03, 0.04, 0.0]
    assert metrics.root_velocity_error(predicted, true) == pytest.approx([0, 50])
    assert metrics.root_velocity_error(predicted + 1.0, true) == pytest.approx([0, 50])


def test_root_inside_sigma_by_hand():
    true = np.zeros((1, 17, 3))
    predicted = true + np.array([0.1, 0.1, 0.3])
    covariance = np.diag([0.2, 0.05, 0.2])[None] ** 2
    assert metrics.root_inside_sigma(predicted, covariance, true, 1.0).tolist() == [[True, False, False]]
    assert metrics.root_inside_sigma(predicted, covariance, true, 2.0).tolist() == [[True, True, True]]


def test_root_error_is_absolute():
    true = random_pose(0)
    predicted = true.copy()
    predicted[:, 0] += [0.0, 0.03, 0.04]
    assert metrics.root_error(predicted, true) == pytest.approx(np.full(4, 50.0))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: metrics.mpjpe(np.zeros((2, 17, 3)), np.zeros((3, 17, 3))),
            r"\(3, 17, 3\), got \(2",
        ),
        (lambda: metrics.mpjpe(np.zeros((17, 3)), np.zeros((17, 3))), r"expected \(F, J, 3\)"),
        (lambda: metrics.min_of_n_mpjpe(np.zeros((2, 17, 3)), np.zeros((2, 17, 3))), "N, J, 3"),
        (
            lambda: metrics.inside_sigma(np.zeros((2, 17, 3)), np.zeros((2, 17, 3)), np.zeros((2, 17, 3)), 1),
            "covariance: expected",
        ),
    ],
    ids=["lengths differ", "one pose", "no hypotheses", "no covariance"],
)
def test_wrong_shapes_are_refused(call, text):
    with pytest.raises(InputError, match=text):
        call()


def test_a_joint_at_the_threshold_is_not_closer():
    true = np.zeros((1, 17, 3))
    predicted = true.copy()
    predicted[0, 1:, 0] = 0.25
    assert metrics.pck(predicted, true, threshold_mm=250.0) == pytest.approx(1 / 17)
    assert metrics.pck(predicted, true, threshold_mm=250.1) == 1.0


def test_the_best_joints_of_all_hypotheses_make_a_better_pose_than_the_best_hypothesis():
    """Of two joints beside the root, one hypothesis has the first right and the other 30 mm off, one the
    second right and the first 60 mm off."""
    true = np.zeros((1, 3, 3))
    several = np.zeros((1, 2, 3, 3))
    several[0, 0, 2, 0], several[0, 1, 1, 1] = 0.03, 0.06
    assert metrics.min_of_n_mpjpe(several, true) == pytest.approx([10.0])
    assert metrics.joint_best_mpjpe(several, true) == pytest.approx([0.0], abs=1e-9)
    several[0, :, 2, 2] = 0.04  # of the second joint 50 and 40 mm are off now
    assert metrics.min_of_n_mpjpe(several, true) == pytest.approx([50.0 / 3])
    assert metrics.joint_best_mpjpe(several, true) == pytest.approx([40.0 / 3])
