"""The causal protocol and what is made of its predictions."""

from dataclasses import replace

import numpy as np
import pytest

from diffpose_ros.core import InputError
from diffpose_ros.data import benchmark
from diffpose_ros.evaluation import protocol, report


@pytest.fixture
def sequences(contents, save):
    return benchmark.load(save(contents))


def truth(sequences):
    return [pose for s in sequences for pose in s.skeleton]


def test_each_frame_is_shown_once_in_order_and_nothing_of_the_truth(sequences, oracle):
    lifter = oracle(truth(sequences))
    list(protocol.run(lifter, sequences))
    shown = np.concatenate([p.xy for p in lifter.people])
    assert np.array_equal(shown, np.concatenate([s.keypoints[..., :2] for s in sequences]))
    assert (np.diff(lifter.stamps) > 0).all()


def test_stamps_follow_the_frame_rate(sequences, oracle):
    lifter = oracle(truth(sequences))
    list(protocol.run(lifter, [s.thinned(10.0) for s in sequences]))
    assert np.diff(lifter.stamps[:2]) == pytest.approx([1e8])


def test_every_sequence_starts_from_nothing(sequences, oracle):
    lifter = oracle(truth(sequences))
    list(protocol.run(lifter, sequences))
    assert lifter.resets == 2
    assert [int(p.track_id[0]) for p in lifter.people] == [1] * 6 + [2] * 6
    assert lifter.stamps[6] - lifter.stamps[5] > protocol.GAP_NS


def test_a_perfect_lifter_scores_zero(sequences, oracle):
    scores = report.score(list(protocol.run(oracle(truth(sequences)), sequences)))
    for name in ("mpjpe_mm", "p_mpjpe_mm", "n_mpjpe_mm", "mpjve_mm", "acc_err_mm",
                 "min_of_n_mpjpe_mm", "root_error_mm"):  # fmt: skip
        assert getattr(scores, name) == pytest.approx(0, abs=1e-3), name
    assert (scores.pck150, scores.coverage_1sigma) == (1.0, 1.0)
    assert (scores.frames, scores.sequences, scores.unanswered_frames) == (12, 2, 0)


def test_differences_in_time_stay_within_a_sequence(sequences, oracle):
    # A different constant offset in each sequence: no velocity error unless the seam is counted.
    shift = np.zeros((17, 3))
    shift[5, 0] = 0.1
    answers = list(sequences[0].skeleton) + [p + shift for p in sequences[1].skeleton]
    scores = report.score(list(protocol.run(oracle(answers), sequences)))
    assert scores.mpjpe_mm == pytest.approx(100 / 17 / 2, rel=1e-6)
    assert scores.mpjve_mm == pytest.approx(0, abs=1e-6)


def test_a_frame_without_an_answer_keeps_the_last_one_and_is_counted(sequences, oracle):
    answers = truth(sequences)
    answers[0] = answers[3] = None
    first, _ = protocol.run(oracle(answers), sequences)
    assert first.unanswered == 2
    assert np.array_equal(first.xyz[3], first.xyz[2])
    assert not first.xyz[0].any()


def test_progress_counts_frames(sequences, oracle):
    done = []
    list(protocol.run(oracle(truth(sequences)), sequences, progress=done.append))
    assert sum(done) == 12


def test_scores_per_action(sequences, oracle):
    predictions = list(protocol.run(oracle(truth(sequences)), sequences))
    groups = report.by(predictions, lambda p: p.sequence.action)
    assert list(groups) == ["run", "walk"]
    assert groups["run"].frames == 6


def test_without_hypotheses_there_is_no_best_of_n(sequences, oracle):
    lifter = oracle(truth(sequences))
    answer = lifter.lift
    lifter.lift = lambda *a, **around: _without(answer(*a, **around))
    scores = report.score(list(protocol.run(lifter, sequences)))
    assert scores.min_of_n_mpjpe_mm is None


def _without(result):
    del result.hypotheses
    return result


def test_single_frames_have_no_velocity(sequences, oracle):
    short = [s.thinned(1.0) for s in sequences]
    scores = report.score(list(protocol.run(oracle([s.skeleton[0] for s in short]), short)))
    assert scores.mpjve_mm is None
    assert scores.frames == 2


def test_frames_that_do_not_count_are_lifted_and_left_out(sequences, oracle):
    # Wrong in the third frame of the first sequence, which does not count: no figure sees it.
    answers = truth(sequences)
    answers[2] = answers[2] + np.linspace(0, 1, 17)[:, None]
    valid = np.array([True, True, False, True, True, True])
    masked = [replace(sequences[0], valid=valid), sequences[1]]
    lifter = oracle(answers)
    scores = report.score(list(protocol.run(lifter, masked)))
    assert len(lifter.people) == 12
    assert scores.frames == 11
    assert scores.mpjpe_mm == pytest.approx(0, abs=1e-6)
    assert scores.mpjve_mm == pytest.approx(0, abs=1e-6)
    assert scores.acc_err_mm == pytest.approx(0, abs=1e-6)
    assert scores.min_of_n_mpjpe_mm == pytest.approx(0, abs=1e-6)
    assert report.score(list(protocol.run(oracle(answers), sequences))).mpjve_mm > 1


def test_a_file_in_which_no_frame_counts_is_an_error(sequences, oracle):
    none = [replace(s, valid=np.zeros(len(s), dtype=bool)) for s in sequences]
    with pytest.raises(InputError, match="at least one frame that counts"):
        report.score(list(protocol.run(oracle(truth(sequences)), none)))


def test_nothing_to_score_is_an_error():
    with pytest.raises(InputError, match="at least one sequence"):
        report.score([])
