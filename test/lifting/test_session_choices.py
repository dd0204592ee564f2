"""Who is lifted, with what settings and deadline, on a graph whose answers are known."""

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the Python package onnx to make a test graph")

from views import FRAME, S, anew, run, spy, standing

from diffpose_ros.core import InputError, ModelError, People2D


def test_people_without_identity_are_lifted_from_one_frame(make, camera):
    lifter = make()
    for k in range(3):
        people = standing(camera, [[-1, 0, 4], [1, 0, 4]], ids=[-1, -1])
        result = lifter.lift(people, camera, k * FRAME)
        assert [s.track_id for s in result.skeletons] == [-1, -1]
    assert lifter.people.count == 0


def test_one_identity_given_twice_is_lifted_once(make, camera):
    result = make().lift(standing(camera, [[-1, 0, 4], [1, 0, 4]], ids=[5, 5]), camera, 0)
    assert [s.track_id for s in result.skeletons] == [5]
    assert "track ids given to several people" in result.report.messages[0]


def test_more_people_than_fit_take_turns(make, camera):
    lifter = make(max_people=2, max_tracks=10)
    people = standing(camera, [[0.5 * k - 1, 0, 4] for k in range(5)])
    seen = []
    for k in range(3):
        report = (result := lifter.lift(people, camera, k * FRAME)).report
        assert len(result.skeletons) + len(report.waiting) == 5
        seen += [s.track_id for s in result.skeletons]
    assert sorted(seen) == [1, 2, 3, 4, 5]


def test_people_who_wait_for_their_turn_keep_their_history(make, camera):
    lifter = make(max_people=1, max_gap_s=0.5)
    feeds = spy(lifter)
    crowd = standing(camera, [[0.4 * i - 4, 0, 8] for i in range(20)])
    for k in range(60):  # each person's turn comes every 20 frames, 0.67 s
        lifter.lift(crowd, camera, 10 * S + k * FRAME)
    previous = [feed["previous_age"][0] for feed in feeds]
    assert all(age == -1 for age in previous[:20])
    assert previous[20:] == pytest.approx([20 / 30] * 40, rel=1e-3)


def test_more_people_than_can_be_remembered_are_left_out(make, camera):
    people = standing(camera, [[0.5 * k - 1, 0, 4] for k in range(5)])
    result = make(max_people=3, max_tracks=3).lift(people, camera, 0)
    assert result.report.left_out == 2
    assert len(result.skeletons) == 3
    assert "2 people beyond max_tracks (3) are left out" in result.report.messages


def test_a_deadline_takes_hypotheses_then_steps_then_turns(make, camera):
    lifter = make(deadline_s=10.0, min_hypotheses=2)
    people = standing(camera, [[0.5 * k - 1, 0, 4] for k in range(5)])
    full = lifter.lift(people, camera, 0).report
    assert (full.hypotheses, full.steps, full.degraded) == (5, 5, ())
    tight = lifter.lift(people, camera, FRAME, deadline_s=1e-9)
    assert (tight.report.hypotheses, tight.report.steps) == (2, 1)
    assert len(tight.skeletons) == 1
    assert tight.report.degraded == (
        "2 of 5 hypotheses", "1 of 5 steps", "1 of 5 people in turns",
    )  # fmt: skip
    assert len(tight.report.waiting) == 4
    for k in range(2, 400):
        report = lifter.lift(people, camera, k * FRAME, deadline_s=10.0).report
    assert report.degraded == ()


def test_a_deadline_set_later_takes_hypotheses_and_turns(make, camera):
    lifter = make()
    people = standing(camera, [[0.5 * k - 1, 0, 4] for k in range(3)])
    assert lifter.lift(people, camera, 0, deadline_s=10.0).report.degraded == ()
    report = lifter.lift(people, camera, FRAME, deadline_s=1e-9).report
    assert report.degraded == ("2 of 5 hypotheses", "1 of 3 people in turns")


def test_every_stage_is_timed(make, camera):
    stages = run(make(), camera, 2, places=[[0, 0, 4]]).report.stage_s
    assert set(stages) == {"undistort", "window", "graph", "root", "total"}
    parts = sum(v for k, v in stages.items() if k != "total")
    assert 0 < parts <= stages["total"]


def test_fewer_steps_and_other_windows_can_be_asked_for(make, camera):
    report = run(make(steps=2, hypotheses=3, window=12), camera, 20, places=[[0, 0, 4]]).report
    assert (report.hypotheses, report.steps) == (3, 2)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"steps": 4}, r"expected steps to be one of \[1, 2, 5\], got 4"),
        ({"window": 13}, "window: expected at most 12 frames, got 13"),
        ({"model": "nonsense"}, "unknown model 'nonsense'"),
    ],
)
def test_what_the_model_cannot_do_is_refused(make, settings, error):
    with pytest.raises(ModelError, match=error):
        make(**settings)


def test_guidance_can_be_switched_off_or_weighted(make, camera):
    for settings, weights in (
        ({}, [1, 1, 0.01, 0.01]),
        ({"guidance": False}, [0, 0, 0, 0]),
        ({"guidance_weights": (2.0, 0.0, 1.0, 0.5)}, [2, 0, 1, 0.5]),
    ):
        lifter = make(**settings)
        feeds = spy(lifter)
        run(lifter, camera, 1, places=[[0, 0, 4]])
        np.testing.assert_allclose(feeds[0]["guidance"], weights)


def test_other_joint_sets_are_refused(make, camera):
    people = People2D(xy=np.zeros((1, 17, 2)), score=np.ones((1, 17)), joint_set="h36m17")
    with pytest.raises(InputError, match="expected joint set coco17, got 'h36m17'"):
        make().lift(people, camera, 0)


def test_reset_forgets_everything(make, camera):
    lifter = make()
    run(lifter, camera, 5, places=[[0, 0, 4]], start=100 * S)
    lifter.reset()
    result = run(lifter, camera, 1, places=[[0.3, 0, 4]])
    assert result.report.messages == ()
    np.testing.assert_array_equal(result.skeletons[0].xyz, anew(make, camera))


def test_the_same_frames_give_the_same_skeletons(make, camera):
    a = run(make(), camera, 5, places=[[0, 0, 4]]).skeletons[0]
    b = run(make(), camera, 5, places=[[0, 0, 4]]).skeletons[0]
    np.testing.assert_array_equal(a.xyz, b.xyz)


def test_a_backend_that_pads_gives_the_same_skeletons(make, camera):
    pytest.importorskip("openvino", reason="needs openvino")
    places = [[-1, 0, 4], [0, 0, 5], [1, 0, 4]]
    a = run(make(), camera, 8, places=places)
    b = run(make(backend="openvino"), camera, 8, places=places)
    for x, y in zip(a.skeletons, b.skeletons, strict=True):
        np.testing.assert_allclose(x.xyz, y.xyz, atol=1e-4)
