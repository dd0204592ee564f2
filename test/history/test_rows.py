"""One step's view of what is remembered: nothing is written before it is known to be good."""

import numpy as np
import pytest

from diffpose_ros.history import Field, PeopleState, Rows

S = 1_000_000_000
SLOTS = 3
FIELDS = {
    "pose": Field((2,), np.float64),
    "first_axis": Field((SLOTS, 2), np.float32, "ring"),
    "last_axis": Field((2, SLOTS), np.float32, "ring", 1),
    "late": Field((SLOTS,), np.float32, "late"),
}


@pytest.fixture
def people():
    made = PeopleState(4, FIELDS, spare=2)
    made.bring_to_front([7, 8, 9], S)
    return made


def step(people, now_ns, value, *, where=slice(0, 3), good=None):
    """One frame: everything kept of a person is ``value`` plus the person's place in ``where``."""
    rows = Rows(people, where, now_ns)
    p = len(rows)
    each = value + np.arange(p, dtype=np.float64)
    rows.keep(pose=np.stack([each, -each], 1))
    pair, signs = np.stack([each, each + 0.5], 1), np.stack([each, -each], 1)
    rows.push("ring", {"first_axis": pair, "last_axis": signs})
    rows.push("late", {"late": each + 100}, of_last_frame=True)
    rows.commit(np.ones(p, bool) if good is None else np.array(good))
    return rows


def test_a_newcomer_has_no_past(people):
    rows = Rows(people, slice(0, 3), 5 * S)
    assert len(rows) == 3
    assert rows.now_ns == 5 * S
    assert rows.first.tolist() == [True] * 3
    assert rows.dt_s.tolist() == rows.age_s.tolist() == [0.0] * 3
    assert (rows["pose"] == 0).all()
    ages = np.empty((3, SLOTS), np.float32)
    rows.ages("ring", ages)
    assert (ages == -1).all()


def test_times_count_from_the_last_frame_and_from_the_first(people):
    step(people, 10 * S, 1.0)
    step(people, 10 * S + S // 4, 2.0)
    rows = Rows(people, slice(0, 3), 11 * S)
    assert rows.first.tolist() == [False] * 3
    np.testing.assert_allclose(rows.dt_s, 0.75)
    np.testing.assert_allclose(rows.age_s, 1.0)


def test_what_is_noted_is_written_at_the_commit_and_not_before(people):
    rows = Rows(people, slice(0, 3), 10 * S)
    rows.keep(pose=np.ones((3, 2)))
    rows.push("ring", {"first_axis": np.ones((3, 2)), "last_axis": np.ones((3, 2))})
    assert (rows["pose"] == 0).all()
    assert not people.warm.any()
    assert (people.arrays["first_axis"] == 0).all()
    rows.commit(np.ones(3, bool))
    assert (people.arrays["pose"][:3] == 1).all()
    assert (people.arrays["pose"][3:] == 0).all()
    assert people.warm.tolist() == [True] * 3 + [False] * 3
    assert (people.last_ns[:3] == 10 * S).all()


def test_rings_keep_the_newest_whatever_axis_counts_their_slots(people):
    for k in range(5):
        step(people, (10 + k) * S, 10.0 * k)
    rows = Rows(people, slice(0, 3), 15 * S)
    ages = np.empty((3, SLOTS), np.float32)
    rows.ages("ring", ages)
    for person in range(3):
        order = np.argsort(-ages[person])
        assert ages[person, order].tolist() == [3, 2, 1]
        newest = [20.0 + person, 30.0 + person, 40.0 + person]
        assert rows["first_axis"][person, order, 0].tolist() == newest
        assert rows["first_axis"][person, order, 1].tolist() == [v + 0.5 for v in newest]
        assert rows["last_axis"][person][0, order].tolist() == newest
        assert rows["last_axis"][person][1, order].tolist() == [-v for v in newest]


def test_what_describes_the_last_frame_carries_its_stamp_and_a_first_frame_leaves_none(people):
    for k in range(3):
        step(people, (10 + k) * S, 10.0 * k)
    rows = Rows(people, slice(0, 3), 13 * S)
    ages = np.empty((3, SLOTS), np.float32)
    rows.ages("late", ages)
    assert sorted(ages[1].tolist()) == [-1, 2, 3]  # stamps 11 and 10, of the frames before
    order = np.argsort(-ages[1])[:2]
    assert rows["late"][1, order].tolist() == [111.0, 121.0]


def test_who_is_not_good_starts_anew_and_nobody_else(people):
    step(people, 10 * S, 1.0)
    step(people, 11 * S, 2.0, good=[True, False, True])
    rows = Rows(people, slice(0, 3), 12 * S)
    assert rows.first.tolist() == [False, True, False]
    assert rows.dt_s.tolist() == [1.0, 0.0, 1.0]
    assert rows.age_s.tolist() == [2.0, 0.0, 2.0]
    assert rows["pose"].tolist() == [[2, -2], [0, 0], [4, -4]]
    ages = np.empty((3, SLOTS), np.float32)
    rows.ages("ring", ages)
    assert sorted(ages[0].tolist()) == sorted(ages[2].tolist()) == [-1, 1, 2]
    assert (ages[1] == -1).all()
    assert rows["first_axis"][2, np.argsort(-ages[2])[:2], 0].tolist() == [3.0, 4.0]


def test_rows_in_the_middle_are_read_and_written_alone(people):
    step(people, 10 * S, 1.0)
    step(people, 11 * S, 50.0, where=slice(1, 2))
    assert people.arrays["pose"][:3, 0].tolist() == [1.0, 50.0, 3.0]
    assert people.last_ns[:3].tolist() == [10 * S, 11 * S, 10 * S]
    rows = Rows(people, slice(1, 3), 12 * S)
    assert rows["pose"][:, 0].tolist() == [50.0, 3.0]
    assert rows.dt_s.tolist() == [1.0, 2.0]
    assert rows.bound("pose", 4).shape == (4, 2)
    assert rows.bound("pose", 4)[:2, 0].tolist() == [50.0, 3.0]
    assert np.shares_memory(rows.bound("pose", 4), people.arrays["pose"])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["kept", "pushed"])
def test_finite_says_who_is_unusable(people, bad, where):
    rows = Rows(people, slice(0, 3), 10 * S)
    pose, entry = np.ones((3, 2)), np.ones((5, 2))
    (pose if where == "kept" else entry)[1, 1] = bad
    entry[4] = np.nan  # a row that nobody bound
    rows.keep(pose=pose)
    rows.push("ring", {"first_axis": np.ones((5, 2)), "last_axis": entry})
    assert rows.finite().tolist() == [True, False, True]


def test_entries_may_have_more_rows_than_people(people):
    rows = Rows(people, slice(0, 3), 10 * S)
    rows.push("ring", {"first_axis": np.arange(10.0).reshape(5, 2), "last_axis": np.zeros((5, 2))})
    rows.commit(np.array([True, False, True]))
    assert people.arrays["first_axis"][0, 0].tolist() == [0, 1]
    assert people.arrays["first_axis"][2, 0].tolist() == [4, 5]


def test_a_memory_that_moves_takes_everything_along(people):
    """A leaver's row is filled by the last person; a newcomer in it finds it empty."""
    step(people, 10 * S, 1.0)
    people.remove(people.row_of(7))
    assert people.row_of(9) == 0
    rows = Rows(people, slice(0, 2), 11 * S)
    assert rows["pose"][0].tolist() == [3, -3]
    assert rows["first_axis"][0, 0].tolist() == [3.0, 3.5]
    people.bring_to_front([9, 8, 10], 11 * S)
    fresh = people.row_of(10)
    assert (people.arrays["pose"][fresh] == 0).all()
    assert not people.warm[fresh]
    assert (people.rings["ring"].stamps[fresh] < 0).all()
