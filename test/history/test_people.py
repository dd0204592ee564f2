"""Rows of people: in front while in view, moved as little as possible, never mixed up."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffpose_ros.core import ConfigError
from diffpose_ros.history import Field, PeopleState

S = 10**9


def make(capacity=3, slots=4, **more):
    fields = {
        "key": Field((2, slots, 3), np.float32, "context", 1),
        "mark": Field((), np.int64),
    }
    return PeopleState(capacity, fields, **more)


def frame(state, ids, now):
    """Bring people to the front and write their identity everywhere."""
    state.bring_to_front(ids, now)
    rows = np.arange(len(ids))
    who = state.track_id[rows]
    state.arrays["mark"][rows] = who
    entry = np.broadcast_to(who[:, None, None].astype(np.float32), (len(ids), 2, 3))
    state.push("context", rows, np.full(len(ids), now), {"key": entry})
    state.mark(rows, now)


def test_people_in_view_own_the_first_rows():
    state = make()
    frame(state, [7, 8, 9], 0)
    frame(state, [9, 7], S)
    assert set(state.track_id[:2]) == {7, 9}
    assert state.row_of(8) == 2


def test_nothing_moves_while_the_same_people_stay():
    state = make()
    frame(state, [7, 8, 9], 0)
    order = state.track_id.copy()
    frame(state, [9, 7, 8], S)
    np.testing.assert_array_equal(state.track_id, order)


@pytest.mark.parametrize("slot_axis", [False, True], ids=["without", "with"])
def test_an_entry_may_come_with_its_slot_axis_or_without(slot_axis):
    state, rows = make(slots=2), np.arange(2)
    state.bring_to_front([7, 8], 0)
    entry = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    state.push("context", rows, np.zeros(2, int), {"key": entry[:, :, None] if slot_axis else entry})
    np.testing.assert_array_equal(state.arrays["key"][:2, :, 0], entry)
    assert not state.arrays["key"][:2, :, 1].any()


def test_entries_go_to_the_head_slot_of_each_row():
    state = make(slots=2)
    frame(state, [1], 0)
    frame(state, [1, 2], 1)
    frame(state, [1, 2], 2)
    key = state.arrays["key"]
    assert (key[state.row_of(1)] == 1).all()
    assert (key[state.row_of(2)] == 2).all()
    np.testing.assert_array_equal(state.rings["context"].stamps[state.row_of(1)], [2, 1])
    np.testing.assert_array_equal(state.rings["context"].stamps[state.row_of(2)], [1, 2])


def test_the_last_person_moves_into_a_leavers_row():
    state = make()
    frame(state, [1, 2, 3], 0)
    state.remove(state.row_of(1))
    assert state.row_of(3) == 0
    assert (state.arrays["key"][0, :, 0] == 3).all()
    assert 1 not in state
    assert state.count == 2


def test_a_full_house_forgets_who_is_unseen_for_longest():
    state = make(capacity=2)
    frame(state, [1], 0)
    frame(state, [2], S)
    assert state.bring_to_front([2, 3], 2 * S) == 1
    assert 1 not in state
    assert 2 in state


def test_absent_people_are_forgotten_after_the_gap():
    state = make()
    frame(state, [1, 2], 0)
    frame(state, [2], S)
    assert state.forget_absent(int(1.5 * S), S) == 1
    assert 1 not in state
    assert 2 in state


def test_a_newcomer_finds_an_empty_row_whoever_owned_it():
    state = make(capacity=1)
    frame(state, [1], 0)
    state.bring_to_front([2], S)
    assert not state.warm[0]
    assert (state.rings["context"].stamps[0] < 0).all()


def test_resetting_one_touches_nobody_else():
    state = make()
    frame(state, [1, 2], 0)
    state.reset([state.row_of(1)])
    assert not state.warm[state.row_of(1)]
    assert state.warm[state.row_of(2)]
    assert state.rings["context"].stamps[state.row_of(2), 0] == 0


def test_spare_rows_lie_behind_the_people():
    state = make(capacity=2, spare=5)
    assert state.arrays["key"].shape[0] == 7
    assert state.capacity == 2


def test_no_room_at_all_is_refused():
    with pytest.raises(ConfigError, match="expected at least 1, got 0"):
        make(capacity=0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sets(st.integers(0, 9), max_size=4), max_size=30), st.randoms())
def test_whoever_comes_and_goes_everyone_keeps_what_is_theirs(views, random):
    state = make(capacity=4, slots=3)
    made_for = {name: array.ctypes.data for name, array in state.arrays.items()}
    for t, view in enumerate(views):
        ids = sorted(view)
        random.shuffle(ids)
        state.forget_absent(t, 5)
        frame(state, ids, t)
        assert set(state.track_id[: len(ids)]) == view
        for row in range(state.count):
            tid = int(state.track_id[row])
            assert state.row_of(tid) == row
            if state.warm[row]:
                filled = state.rings["context"].stamps[row] >= 0
                assert state.arrays["mark"][row] == tid
                assert (state.arrays["key"][row][:, filled] == tid).all()
    assert made_for == {name: array.ctypes.data for name, array in state.arrays.items()}
