"""Honest stamps are taken, bad ones dropped, and a stream that went back recovers within two frames."""

from __future__ import annotations

import numpy as np
import pytest

from diffpose_ros.core.stamps import StampJudge, Thinner, Verdict

S = 10**9
TAKE, REPEATED, LATE, UNSET, BACK = (
    Verdict.TAKE, Verdict.REPEATED, Verdict.LATE, Verdict.UNSET, Verdict.JUMPED_BACK,
)  # fmt: skip


def verdicts(stamps_s) -> list[Verdict]:
    judge = StampJudge()
    return [judge(round(s * S)) for s in stamps_s]


@pytest.mark.parametrize(
    ("stamps_s", "expected"),
    [
        ([5], [TAKE]),
        ([0, 0.1], [TAKE, TAKE]),
        ([5, 5, 5.1], [TAKE, REPEATED, TAKE]),
        ([5, 4.9, 5.1], [TAKE, LATE, TAKE]),
        ([5, 4.9, 5.0, 5.1], [TAKE, LATE, REPEATED, TAKE]),
        ([5, 4.9, 4.8, 5.1], [TAKE, LATE, LATE, TAKE]),
        ([5, 4, 4.1], [TAKE, BACK, TAKE]),
        ([5, -2, -1.9], [TAKE, BACK, TAKE]),
        ([5, 500, 500.1], [TAKE, TAKE, TAKE]),
        ([0, 0, 0, 7, 7.1], [TAKE, REPEATED, REPEATED, TAKE, TAKE]),
    ],
    ids=["first", "from zero", "repeated", "late", "late, then repeated", "ever later", "a second back",
         "negative", "far ahead", "zeros, then honest"],
)  # fmt: skip
def test_each_stamp_gets_its_verdict(stamps_s, expected):
    assert verdicts(stamps_s) == expected


def test_a_stamp_that_is_dropped_does_not_move_the_last_one():
    judge = StampJudge()
    for stamp in (5 * S, 5 * S - 10, 0):
        judge(stamp)
    assert judge.last_ns == 5 * S


def test_reset_forgets_everything():
    judge = StampJudge()
    for stamp in (5 * S, 5 * S - 10):
        judge(stamp)
    judge.reset()
    assert judge.last_ns is None
    assert judge(5 * S - 20) is TAKE


def honest_frames_lost(stamps_s, bad=frozenset()) -> int:
    """Honest frames that are dropped."""
    return sum(v.dropped for i, v in enumerate(verdicts(stamps_s)) if i not in bad)


@pytest.mark.parametrize("rate_hz", [10, 30])
@pytest.mark.parametrize("length_s", [0.4, 0.8, 3.0])
def test_a_recording_in_a_loop_loses_one_frame_a_round_at_most(rate_hz, length_s):
    once = 100 + np.arange(round(length_s * rate_hz)) / rate_hz
    assert honest_frames_lost(np.tile(once, 4)) <= 3


@pytest.mark.parametrize("rate_hz", [10, 30])
@pytest.mark.parametrize("lie_s", [-3600, -5, -0.3, 0.25, 0.95, 3, 3600], ids=str)
def test_one_wrong_stamp_costs_one_honest_frame_at_most(rate_hz, lie_s):
    stamps = 7200 + np.arange(40) / rate_hz
    stamps[20] += lie_s
    assert honest_frames_lost(stamps, bad={20}) <= 1


@pytest.mark.parametrize("count", [1, 2, 5])
def test_stamps_of_zero_among_others_are_dropped_and_cost_nothing(count):
    stamps = 7200 + np.arange(40) / 30
    bad = set(range(20, 20 + count))
    stamps[list(bad)] = 0
    found = verdicts(stamps)
    assert all(found[i] is UNSET for i in bad)
    assert all(v is TAKE for i, v in enumerate(found) if i not in bad)


def test_a_recording_that_begins_at_zero_may_loop():
    once = np.arange(90) / 30
    assert honest_frames_lost(np.tile(once, 3)) <= 2


@pytest.mark.parametrize(
    ("rate_hz", "kept_hz"), [(10, 10), (30, 30), (59.94, 59.94), (60, 60), (90, 60), (120, 60), (240, 60)]
)
def test_a_fast_stream_is_thinned_to_the_rate(rate_hz, kept_hz):
    thinner = Thinner(60.0)
    stamps = np.rint(np.arange(0, 5, 1 / rate_hz) * S).astype(int)
    kept = [s for s in stamps if thinner(int(s))]
    assert len(kept) == pytest.approx(5 * kept_hz, abs=2)
    assert np.diff(kept).min() * 1e-9 > min(1 / kept_hz, 1 / 90) * 0.99


def test_of_120_hz_every_second_frame_is_kept():
    thinner = Thinner(60.0)
    kept = [thinner(round(k * S / 120)) for k in range(20)]
    assert kept == [True, False] * 10


def test_jitter_of_a_slow_stream_costs_no_frame():
    thinner = Thinner(60.0)
    rng = np.random.default_rng(0)
    stamps = np.arange(600) / 30 + rng.uniform(-0.010, 0.010, 600)
    assert all(thinner(round(float(s) * S)) for s in stamps)


def test_after_a_reset_the_next_frame_is_taken():
    thinner = Thinner(60.0)
    thinner(5 * S)
    thinner.reset()
    assert thinner(0)
