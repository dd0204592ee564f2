"""Late frames are told from a clock that was set back."""

import pytest

from diffpose_ros.history import Clock, ClockEvent

S = 10**9


@pytest.mark.parametrize(
    ("stamps", "event"),
    [
        ([5 * S], ClockEvent.FORWARD),
        ([5 * S, 6 * S], ClockEvent.FORWARD),
        ([5 * S, 5 * S], ClockEvent.STALE),
        ([5 * S, 5 * S - 1], ClockEvent.STALE),
        ([5 * S, 4 * S + 1], ClockEvent.STALE),
        ([5 * S, 4 * S], ClockEvent.JUMPED_BACK),
        ([5 * S, 0], ClockEvent.JUMPED_BACK),
        ([0, -2 * S], ClockEvent.JUMPED_BACK),
    ],
    ids=["first", "newer", "repeated", "1 ns late", "late", "a second back", "to zero", "negative"],
)
def test_judges_the_last_stamp(stamps, event):
    clock = Clock(jump_s=1.0)
    assert [clock.tick(s) for s in stamps][-1] is event


def test_a_stale_stamp_does_not_move_the_clock():
    clock = Clock(1.0)
    clock.tick(5 * S)
    clock.tick(5 * S - 10)
    assert clock.last_ns == 5 * S


def test_after_a_jump_the_new_time_counts():
    clock = Clock(1.0)
    clock.tick(50 * S)
    clock.tick(1 * S)
    assert clock.tick(2 * S) is ClockEvent.FORWARD


def test_reset_forgets_the_stamp():
    clock = Clock(1.0)
    clock.tick(5 * S)
    clock.reset()
    assert clock.tick(5 * S) is ClockEvent.FORWARD
