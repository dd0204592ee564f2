"""What a session does with any method: with no memory, with other memory than rings, in many runs."""

import numpy as np
import pytest
from fakes import Counts, Fails, Iterates, Places, Runs, Still

from diffpose_ros.core import BackendError, Camera, ConfigError, People2D
from diffpose_ros.lifting import Lifter, LifterConfig
from diffpose_ros.methods.protocol import Level

S = 10**9
FRAME = S // 30
CAMERA = Camera.from_fov(1280, 720)


def people(*ids, nose=0.9):
    """People side by side as the camera sees them; 17 keypoints that spread over a body."""
    rng = np.random.default_rng(5)
    body = rng.uniform([-0.3, -0.9], [0.3, 0.9], (17, 2))
    places = np.stack([body + np.array([0.8 * k, 0.0]) for k in range(len(ids))])
    score = np.full((len(ids), 17), 0.9)
    score[:, 0] = nose
    return People2D(
        xy=places / 4.0 * CAMERA.focal + CAMERA.matrix[:2, 2], score=score, track_id=np.array(ids)
    )


def test_a_method_that_remembers_nothing():
    method = Still()
    with_it = Lifter(method=method)
    for k in range(3):
        result = with_it.lift(people(1, 2), CAMERA, S + k * FRAME)
    assert [s.track_id for s in result.skeletons] == [1, 2]
    assert result.report.backend == "fake"
    assert result.hypotheses is None
    with_it.close()
    assert method.closed == 1


def test_what_is_remembered_without_a_ring_follows_the_person():
    method = Counts()
    lifter = Lifter(LifterConfig(max_gap_s=0.5), method=method)
    for k, ids in enumerate([(1, 2, 3), (3, 1), (1, 4, 2), (2, 3)]):
        lifter.lift(people(*ids), CAMERA, S + k * FRAME)
    seen = {t: int(lifter.people.arrays["seen"][lifter.people.row_of(t)]) for t in (1, 2, 3, 4)}
    assert seen == {1: 3, 2: 3, 3: 3, 4: 1}
    lifter.lift(people(1), CAMERA, 3 * S)  # after the gap everyone starts with zeros
    assert lifter.people.arrays["seen"][lifter.people.row_of(1)] == 1
    assert 2 not in lifter.people


def test_a_method_may_run_its_graph_several_times_a_step():
    method = Iterates()
    lifter = Lifter(method=method)
    first = lifter.lift(people(1), CAMERA, S).skeletons
    assert method.runs == 4
    method.runs = 0
    for k in range(1, 6):
        lifter.lift(people(1), CAMERA, S + k * FRAME)
    assert method.runs == 4 * 5
    assert method.filled.tolist() == [3]  # a ring of three slots
    assert len(first) == 1


def test_a_deadline_chooses_from_the_methods_own_levels():
    method = Iterates()
    lifter = Lifter(LifterConfig(deadline_s=1.0), method=method, timer=Ticks())
    assert lifter.lift(people(1), CAMERA, S).report.steps == 4
    tight = lifter.lift(people(1, 2), CAMERA, S + FRAME, deadline_s=0.0045).report
    assert (tight.steps, tight.degraded) == (2, ("2 of 4 steps",))
    hopeless = lifter.lift(people(1, 2), CAMERA, S + 2 * FRAME, deadline_s=1e-4).report
    assert (hopeless.steps, hopeless.lifted) == (1, 1)
    assert hopeless.degraded == ("1 of 4 steps", "1 of 2 people in turns")


def test_without_a_deadline_only_the_best_level_is_tried_out():
    class Watched(Iterates):
        def rehearse(self, people, level, trials):
            self.tried = (*getattr(self, "tried", ()), level.steps)
            return super().rehearse(people, level, trials)

    method = Watched()
    lifter = Lifter(method=method)
    assert method.tried == (4,)
    report = lifter.lift(people(1), CAMERA, S, deadline_s=1e-9).report
    assert report.steps == 1


def test_a_method_that_places_people_is_believed():
    (skeleton,) = Lifter(method=Places()).lift(people(1), CAMERA, S).skeletons
    np.testing.assert_array_equal(skeleton.root, [0.5, 0.25, 6.0])
    np.testing.assert_array_equal(skeleton.root_covariance, 0.04 * np.eye(3))


def test_a_person_without_an_answer_starts_anew_and_costs_nobody_else_anything():
    method = Fails()
    lifter = Lifter(method=method)
    for k in range(2):
        lifter.lift(people(1, 2), CAMERA, S + k * FRAME)
    report = lifter.lift(people(1, 2, nose=[1.0, 0.9]), CAMERA, S + 2 * FRAME).report
    assert (report.failed, report.lifted) == ((1,), 1)
    lifter.lift(people(1, 2), CAMERA, S + 3 * FRAME)
    row = {t: lifter.people.row_of(t) for t in (1, 2)}
    assert method.before[row[1]] == 0
    assert method.before[row[2]] == 3


def test_a_step_that_raises_leaves_everyone_as_they_were():
    class Breaks(Counts):
        broken = False

        def step(self, seen, rows, level):
            poses = super().step(seen, rows, level)
            if self.broken:
                raise BackendError("backend fake: the run failed: unplugged")
            return poses

    method = Breaks()
    lifter = Lifter(method=method)
    lifter.lift(people(1), CAMERA, S)
    method.broken = True
    with pytest.raises(BackendError, match="unplugged"):
        lifter.lift(people(1), CAMERA, S + FRAME)
    assert lifter.people.arrays["seen"][0] == 1
    assert lifter.people.last_ns[0] == S


def test_a_lifter_that_cannot_start_closes_its_method():
    class Stillborn(Still):
        def rehearse(self, people, level, trials):
            raise BackendError("backend fake: out of memory")

    method = Stillborn()
    with pytest.raises(BackendError, match="out of memory"):
        Lifter(method=method)
    assert method.closed == 1


def test_what_a_method_needs_and_nobody_gives_is_named():
    method = Still(name="pictures", needs=frozenset({"keypoints", "crops"}))
    with pytest.raises(ConfigError, match="model 'pictures' needs crops"):
        Lifter(method=method)
    assert method.closed == 1


def test_a_change_of_what_serves_is_told():
    lifter = Lifter(method=Still())
    lifter.lift(people(1), CAMERA, S)
    lifter.method.backend = Runs("faster", "gpu", "the engine is ready")
    told = lifter.lift(people(1), CAMERA, S + FRAME).report.messages
    assert told == ("backend is now faster: the engine is ready",)


def test_a_level_says_what_it_is():
    assert Level() == Level(hypotheses=1, steps=1, share=1.0)


class Ticks:
    """A clock on which nothing takes time."""

    def __call__(self):
        return 0.0
