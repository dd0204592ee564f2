"""People come, leave and make room; whatever moves, everyone keeps what is theirs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffpose_ros.history import Field, PeopleState, Rows

S = 1_000_000_000
SLOTS = 3
FIELDS = {"tag": Field((), np.float64), "entry": Field((SLOTS,), np.float32, "ring")}


def frame(people, ids, now_ns):
    """Everyone of ``ids`` is seen: tag = identity, newest entry = identity x 1000 + seconds."""
    people.bring_to_front(ids, now_ns)
    rows = Rows(people, slice(0, len(ids)), now_ns)
    here = people.track_id[: len(ids)].astype(np.float64)
    rows.keep(tag=here)
    rows.push("ring", {"entry": here * 1000 + now_ns // S})
    rows.commit(np.ones(len(ids), bool))


@pytest.mark.parametrize(("gap", "kept"), [(-1, True), (0, True), (1, False)])
def test_someone_absent_is_forgotten_after_the_gap_and_not_at_it(gap, kept):
    people = PeopleState(3, FIELDS)
    frame(people, [1, 2], 10 * S)
    frame(people, [2], 11 * S)
    assert people.forget_absent(12 * S + gap, 2 * S) == int(not kept)
    assert (1 in people) == kept
    assert 2 in people


def test_several_who_left_are_forgotten_at_once_and_the_right_ones():
    people = PeopleState(6, FIELDS)
    frame(people, [1, 2, 3, 4, 5, 6], 10 * S)
    frame(people, [2, 5], 12 * S)
    assert people.forget_absent(13 * S, 2 * S) == 4
    assert sorted(people.track_id[: people.count].tolist()) == [2, 5]
    for who in (2, 5):
        assert people.arrays["tag"][people.row_of(who)] == who


def test_without_room_the_one_unseen_for_longest_goes():
    people = PeopleState(3, FIELDS)
    frame(people, [1], 10 * S)
    frame(people, [2], 11 * S)
    frame(people, [3], 12 * S)
    assert people.bring_to_front([4], 13 * S) == 1
    assert 1 not in people
    assert 2 in people
    assert 3 in people


def test_someone_of_this_frame_is_never_the_one_who_goes():
    people = PeopleState(2, FIELDS)
    frame(people, [1], 10 * S)
    frame(people, [2], 11 * S)
    assert people.bring_to_front([1, 3], 12 * S) == 1
    assert 2 not in people
    assert people.arrays["tag"][people.row_of(1)] == 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(1, 7), min_size=1, max_size=4, unique=True), min_size=1, max_size=12))
def test_everyone_keeps_tag_ring_and_stamps_however_rows_move(frames):
    people = PeopleState(5, FIELDS, spare=1)
    past: dict[int, list[int]] = {}
    for k, ids in enumerate(frames, start=1):
        frame(people, ids, k * S)
        for who in ids:
            past.setdefault(who, []).append(k)
        for who in list(past):
            if who not in people:
                del past[who]
        assert sorted(past) == sorted(people.track_id[: people.count].tolist())
        assert set(people.track_id[: len(ids)].tolist()) == set(ids)
        for who, seen in past.items():
            row = people.row_of(who)
            assert people.track_id[row] == who
            assert people.arrays["tag"][row] == who
            assert people.first_ns[row] == seen[0] * S
            assert people.last_ns[row] == seen[-1] * S
            stamps = people.rings["ring"].stamps[row]
            order = np.argsort(stamps)[-min(len(seen), SLOTS) :]
            assert (stamps[order] // S).tolist() == seen[-SLOTS:]
            assert people.arrays["entry"][row, order].tolist() == [who * 1000 + s for s in seen[-SLOTS:]]
