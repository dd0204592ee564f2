"""The root comes from the rays in closed form, shrugs off single wrong keypoints, and says when
there is no answer."""

import numpy as np
import pytest
from scipy.optimize import least_squares

from diffpose_ros.core import H36M17, InputError
from diffpose_ros.geometry import MEASURED_H36M, root_translation, stature
from diffpose_ros.geometry import root as root_module
from diffpose_ros.geometry.root import TANGENT_NOISE


def body() -> np.ndarray:
    """A standing H36M-17 person, (17, 3) m relative to the hip, y down."""
    at = {
        "hip": (0, 0, 0), "right_hip": (-0.13, 0, 0), "right_knee": (-0.14, 0.44, -0.03),
        "right_ankle": (-0.14, 0.87, 0.02), "left_hip": (0.13, 0, 0),
        "left_knee": (0.15, 0.44, -0.02), "left_ankle": (0.15, 0.87, 0.03),
        "spine": (0, -0.23, 0.01), "thorax": (0, -0.48, 0.0), "nose": (0, -0.58, -0.1),
        "head_top": (0, -0.74, 0.0), "left_shoulder": (0.16, -0.43, 0),
        "left_elbow": (0.25, -0.17, 0.05), "left_wrist": (0.3, 0.06, -0.1),
        "right_shoulder": (-0.16, -0.43, 0), "right_elbow": (-0.26, -0.17, 0.05),
        "right_wrist": (-0.3, 0.05, -0.1),
    }  # fmt: skip
    return np.array([at[j] for j in H36M17.joints], dtype=float)


def seen_from(pose, root):
    placed = pose + np.asarray(root)[:, None]
    return placed[..., :2] / placed[..., 2:]


ROOTS = np.array([[0.0, 0.0, 2.0], [1.2, -0.3, 4.0], [-3.0, 0.5, 9.0]])


@pytest.mark.parametrize("rounds", [0, 5])
def test_exact_rays_give_the_exact_root(rounds):
    pose = np.stack([body()] * 3)
    t, cov = root_translation(pose, seen_from(pose, ROOTS), np.ones((3, 17)), rounds=rounds)
    np.testing.assert_allclose(t, ROOTS, atol=1e-9)
    assert (np.linalg.eigvalsh(cov) > 0).all()


def test_the_closed_form_solves_zedo_eq_6():
    pose = body()[None]
    rng = np.random.default_rng(3)
    rays = seen_from(pose, ROOTS[1:2]) + rng.normal(0, 0.01, (1, 17, 2))
    weight = rng.uniform(0.1, 1, (1, 17))
    rows, right, w = [], [], []
    for j in range(17):
        (x, y, z), (u, v) = pose[0, j], rays[0, j]
        rows += [[-1, 0, u], [0, -1, v]]
        right += [x - u * z, y - v * z]
        w += [weight[0, j]] * 2
    root_w = np.sqrt(w)
    want, *_ = np.linalg.lstsq(np.array(rows) * root_w[:, None], np.array(right) * root_w, rcond=None)
    t, _ = root_translation(pose, rays, weight, rounds=0)
    np.testing.assert_allclose(t[0], want, atol=1e-9)


def test_people_do_not_influence_each_other():
    rng = np.random.default_rng(0)
    pose = np.stack([body()] * 3)
    rays = seen_from(pose, ROOTS) + rng.normal(0, 0.003, (3, 17, 2))
    weight = rng.uniform(0.2, 1, (3, 17))
    together, cov = root_translation(pose, rays, weight)
    for p in range(3):
        alone, cov_alone = root_translation(pose[p : p + 1], rays[p : p + 1], weight[p : p + 1])
        np.testing.assert_allclose(together[p], alone[0], atol=1e-12)
        np.testing.assert_allclose(cov[p], cov_alone[0], atol=1e-15)


def test_many_people_are_placed_as_each_alone(monkeypatch):
    """In arrays as in loops: seen well, with wild and hidden keypoints, hardly, not at all, and behind."""
    rng = np.random.default_rng(5)
    pose = rng.normal(size=(20, 17, 3)) * (0.3, 0.6, 0.3)
    root = np.stack([rng.normal(size=20), rng.normal(size=20), rng.uniform(1.5, 9.0, 20)], axis=1)
    rays = seen_from(pose, root) + rng.normal(0, 0.004, (20, 17, 2))
    weight = rng.uniform(0.1, 1.0, (20, 17)) * (rng.random((20, 17)) > 0.2)
    rays[rng.random((20, 17)) < 0.05] += 0.3
    rays[0, 3], weight[1], weight[2, 2:], rays[3], pose[4] = np.nan, 0.0, 0.0, rays[3, 0], -pose[4]
    answers = []
    for many in (100, 1):
        monkeypatch.setattr(root_module, "MANY", many)
        answers.append(root_translation(pose, rays, weight))
    assert np.isnan(answers[0][0][[1, 2, 3]]).all()
    assert np.isfinite(answers[0][0]).all(axis=1).sum() >= 14
    for one, all_at_once in zip(*answers, strict=True):
        np.testing.assert_allclose(all_at_once, one, rtol=1e-9, atol=1e-12)


def test_one_wrong_keypoint_hardly_moves_the_person():
    pose = body()[None]
    rays = seen_from(pose, ROOTS[1:2])
    rays[0, H36M17.index("left_ankle")] += (0.3, -0.2)
    plain, _ = root_translation(pose, rays, np.ones((1, 17)), rounds=0)
    robust, _ = root_translation(pose, rays, np.ones((1, 17)))
    error_plain = np.linalg.norm(plain[0] - ROOTS[1])
    error = np.linalg.norm(robust[0] - ROOTS[1])
    assert error_plain > 0.3
    assert error < 0.05


def test_masked_joints_are_ignored_whatever_they_hold():
    pose = body()[None]
    rays = seen_from(pose, ROOTS[1:2])
    weight = np.ones((1, 17))
    weight[0, [3, 9, 10]] = 0
    rays[0, 3], rays[0, 9], rays[0, 10] = np.nan, 1e9, -5
    t, _ = root_translation(pose, rays, weight)
    np.testing.assert_allclose(t[0], ROOTS[1], atol=1e-9)


PARTS = {
    "everything": MEASURED_H36M,
    "upper body": MEASURED_H36M & np.array(["knee" not in j and "ankle" not in j for j in H36M17.joints]),
    "five joints": np.isin(np.arange(17), [9, 11, 12, 14, 15]),
}


def monte_carlo(depth, noise, seen=MEASURED_H36M, *, people=1500, spread=0.0, **settings):
    """Errors (P, 3) m of noisy sights of one pose in many turns, and their covariances."""
    rng = np.random.default_rng(5)
    turn = rng.uniform(-np.pi, np.pi, people)
    c, s, o, one = np.cos(turn), np.sin(turn), np.zeros(people), np.ones(people)
    turned = body() @ np.stack([c, o, s, o, one, o, -s, o, c], -1).reshape(-1, 3, 3)
    root = np.stack([rng.uniform(-0.3, 0.3, people), rng.uniform(-0.2, 0.2, people), one], -1) * depth
    rays = seen_from(turned, root) + rng.normal(0, noise, (people, 17, 2))
    weight = np.broadcast_to(seen * 0.7, (people, 17)) * rng.uniform(1 - spread, 1 + spread, (people, 17))
    t, cov = root_translation(turned, rays, weight, **settings)
    return t - root, cov


def mean_distance2(error, cov):
    return np.einsum("pi,pij,pj->p", error, np.linalg.inv(cov), error).mean()


@pytest.mark.parametrize("depth", [2.0, 4.0, 10.0])
@pytest.mark.parametrize("seen", PARTS)
@pytest.mark.parametrize("spread", [0.0, 0.8], ids=["equal scores", "unlike scores"])
def test_at_the_assumed_noise_the_covariance_is_that_of_the_error(depth, seen, spread):
    """Three coordinates: the squared Mahalanobis distance is 3 in the mean."""
    error, cov = monte_carlo(depth, TANGENT_NOISE, PARTS[seen], spread=spread)
    assert 2.7 < mean_distance2(error, cov) < 3.3


@pytest.mark.parametrize("rounds", [0, 5])
def test_without_rounds_too(rounds):
    error, cov = monte_carlo(3.0, TANGENT_NOISE, rounds=rounds)
    assert 2.8 < mean_distance2(error, cov) < 3.2


def test_every_axis_has_its_own_share_of_the_error():
    error, cov = monte_carlo(4.0, TANGENT_NOISE)
    axes, turn = np.linalg.eigh(cov)
    along = np.einsum("pij,pi->pj", turn, error) ** 2 / axes
    np.testing.assert_allclose(along.mean(0), 1.0, atol=0.1)


@pytest.mark.parametrize("factor", [2.0, 5.0])
def test_larger_noise_is_told_by_the_residuals(factor):
    error, cov = monte_carlo(3.0, factor * TANGENT_NOISE)
    assert 2.7 < mean_distance2(error, cov) < 4.0


@pytest.mark.parametrize("noise", [0.0, 0.25 * TANGENT_NOISE])
def test_smaller_noise_leaves_the_assumed_one(noise):
    """A floor, not a sum: exact rays and rays a little off have the same certainty."""
    pose = np.repeat(body()[None], 50, 0)
    rays = seen_from(pose, ROOTS[1:2])
    rng = np.random.default_rng(2)
    _, cov = root_translation(pose, rays + rng.normal(0, noise, rays.shape), np.ones((50, 17)))
    u, z = rays[0], (pose[0] + ROOTS[1])[:, 2]
    rows = np.concatenate(
        [np.array([[1 / d, 0, -a / d], [0, 1 / d, -b / d]]) for (a, b), d in zip(u, z, strict=True)]
    )
    want = TANGENT_NOISE**2 * np.linalg.inv(rows.T @ rows)
    np.testing.assert_allclose(cov, np.broadcast_to(want, cov.shape), rtol=1e-6 + 30 * noise, atol=1e-6)
    _, double = root_translation(pose, rays, np.ones((50, 17)), tangent_noise=2 * TANGENT_NOISE)
    np.testing.assert_allclose(double, 4 * np.broadcast_to(want, cov.shape), rtol=1e-6)


@pytest.mark.parametrize("seen", PARTS)
def test_noise_does_not_pull_the_person_nearer(seen):
    error, _ = monte_carlo(8.0, 1.5 * TANGENT_NOISE, PARTS[seen])
    assert abs(error[:, 2].mean()) < 0.15 * error[:, 2].std()


def test_a_wild_keypoint_far_out_hardly_moves_a_person_far_away():
    """A wrist at the image's corner: its ray must not count as a lever."""
    pose, root = body()[None], np.array([[0.3, 0.1, 6.0]])
    rays = seen_from(pose, root)
    rays[0, H36M17.index("left_wrist")] = (0.5, -0.4)
    t, _ = root_translation(pose, rays, MEASURED_H36M[None] * 1.0)
    assert np.linalg.norm(t - root) < 0.1


def test_depth_is_less_certain_than_the_side_and_grows_with_distance():
    pose = np.stack([body()] * 2)
    root = np.array([[0, 0, 2.0], [0, 0, 8.0]])
    _, cov = root_translation(pose, seen_from(pose, root), np.ones((2, 17)))
    assert (cov[:, 2, 2] > 5 * cov[:, 0, 0]).all()
    assert cov[1, 2, 2] > 10 * cov[0, 2, 2]


def test_unknown_body_size_turns_into_depth():
    pose = body()[None]
    rays = seen_from(pose, ROOTS[:1])
    _, sure = root_translation(pose, rays, np.ones((1, 17)))
    _, unsure = root_translation(pose, rays, np.ones((1, 17)), scale_noise=0.05)
    np.testing.assert_allclose(unsure[0, 2, 2] - sure[0, 2, 2], (0.05 * 2.0) ** 2, rtol=1e-9)


def _case(name):
    pose, weight = body()[None], np.ones((1, 17))
    rays = seen_from(pose, ROOTS[:1])
    if name == "nothing seen":
        weight[:] = 0
    elif name == "two joints":
        weight[0, 2:] = 0
    elif name == "all rays the same":
        rays[:] = 0.1
    elif name == "behind the camera":
        rays = seen_from(pose, -ROOTS[:1])
    elif name == "not a number everywhere":
        rays[:] = np.nan
    return pose, rays, weight


@pytest.mark.parametrize(
    "name",
    ["nothing seen", "two joints", "all rays the same", "behind the camera",
     "not a number everywhere"],
)  # fmt: skip
def test_no_answer_is_nan_and_never_a_place(name):
    t, cov = root_translation(*_case(name))
    assert np.isnan(t).all()
    assert np.isnan(cov).all()


@pytest.mark.parametrize(("reach", "placed"), [(-0.7, True), (-0.9, False)])
def test_a_joint_behind_the_camera_is_no_answer(reach, placed):
    """The person would stand 0.8 m away, with a wrist stretched out before or past the camera."""
    pose, root = body()[None], np.array([[0.0, 0.0, 0.8]])
    rays, wrist = seen_from(pose, root), H36M17.index("left_wrist")
    pose[0, wrist, 2] = reach
    weight = np.ones((1, 17))
    weight[0, wrist] = 1e-6  # it does not pull
    t, cov = root_translation(pose, rays, weight)
    assert np.isfinite(t).all() == np.isfinite(cov).all() == placed
    weight[0, wrist] = 0
    t, _ = root_translation(pose, rays, weight)
    np.testing.assert_allclose(t, root, atol=1e-6)


@pytest.mark.parametrize("count", [2, 3])
def test_three_joints_are_needed(count):
    weight = np.zeros((1, 17))
    weight[0, [1, 4, 11][:count]] = 1
    t, _ = root_translation(body()[None], seen_from(body()[None], ROOTS[:1]), weight)
    assert np.isfinite(t).all() == (count == 3)


def test_nobody_gives_nobody():
    t, cov = root_translation(np.zeros((0, 17, 3)), np.zeros((0, 17, 2)), np.zeros((0, 17)))
    assert t.shape == (0, 3)
    assert cov.shape == (0, 3, 3)


@pytest.mark.parametrize(
    ("shapes", "text"),
    [
        (((1, 17, 2), (1, 17, 2), (1, 17)), r"expected poses \(P, J, 3\), got \(1, 17, 2\)"),
        (((1, 17, 3), (1, 16, 2), (1, 17)), r"got \(1, 16, 2\) and \(1, 17\)"),
        (((1, 17, 3), (1, 17, 2), (2, 17)), r"got \(1, 17, 2\) and \(2, 17\)"),
    ],
)
def test_wrong_shapes_are_refused(shapes, text):
    with pytest.raises(InputError, match=text):
        root_translation(*(np.ones(s) for s in shapes))


def test_negative_weights_are_refused():
    with pytest.raises(InputError, match="weights of at least 0, got -1"):
        root_translation(np.ones((1, 17, 3)), np.ones((1, 17, 2)), -np.ones((1, 17)))


def test_stature_of_a_standing_person_is_near_the_truth():
    assert stature(body()) == pytest.approx(0.74 + 0.87 + 0.08, abs=0.05)


def test_stature_does_not_depend_on_the_posture():
    crouched = body()
    for side in ("left", "right"):
        hip, knee, ankle = (H36M17.index(f"{side}_{j}") for j in ("hip", "knee", "ankle"))
        thigh = np.linalg.norm(crouched[knee] - crouched[hip])
        shank = np.linalg.norm(crouched[ankle] - crouched[knee])
        crouched[knee] = crouched[hip] + (0, 0, -thigh)
        crouched[ankle] = crouched[knee] + (0, shank, 0)
    assert stature(crouched) == pytest.approx(stature(body()), abs=1e-9)


def test_measured_joints_are_those_a_coco_detector_sees():
    left_out = [j for j, m in zip(H36M17.joints, MEASURED_H36M, strict=True) if not m]
    assert left_out == ["hip", "spine", "thorax", "head_top"]


def test_errors_within_the_assumed_noise_are_not_taken_for_wild():
    """One ray off by less than the noise of all: the plain least squares of the rays."""
    pose, root = body()[None], ROOTS[1]
    rays = seen_from(pose, root[None])
    rays[0, H36M17.index("left_wrist")] += (0.8 * TANGENT_NOISE, 0.0)
    fitted, _ = root_translation(pose, rays, np.ones((1, 17)))
    plain = least_squares(lambda t: (seen_from(pose, t[None]) - rays).ravel(), root, xtol=1e-14, gtol=1e-14)
    np.testing.assert_allclose(fitted[0], plain.x, atol=1e-6)


@pytest.mark.parametrize(("depth", "known"), [(0.09, False), (0.12, True)])
def test_nobody_stands_nearer_than_ten_centimetres(depth, known):
    pose, root = 0.02 * body()[None], np.array([[0.01, 0.0, depth]])
    place, covariance = root_translation(pose, seen_from(pose, root), np.ones((1, 17)))
    assert np.isfinite(place).all() == np.isfinite(covariance).all() == known
    if known:
        np.testing.assert_allclose(place, root, atol=1e-6)


def test_both_legs_count_for_the_stature():
    """One shin ten centimetres longer: half of that, and the foot's and crown's share of it."""
    pose = body()
    longer = pose.copy()
    for side in ("left", "right"):
        knee, ankle = (H36M17.index(f"{side}_{j}") for j in ("knee", "ankle"))
        shin = pose[ankle] - pose[knee]
        longer[ankle] = pose[ankle] + 0.1 * shin / np.linalg.norm(shin)
        assert stature(longer) - stature(pose) == pytest.approx(1.03 * 0.05 * (1 + (side == "right")))
