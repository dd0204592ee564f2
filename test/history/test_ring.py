"""Ring slots: ages from stamps, oldest overwritten, rows independent."""

import numpy as np

from diffpose_ros.history.ring import RingStamps

MS = 1_000_000


def ages(ring, rows, now):
    out = np.empty((rows.stop - rows.start, ring.slots), np.float32)
    ring.ages(rows, now, out)
    return out


def test_empty_slots_have_negative_age():
    assert (ages(RingStamps(2, 3), slice(0, 2), 10**18) == -1).all()


def test_ages_are_seconds_since_each_slot_and_the_oldest_is_overwritten():
    ring = RingStamps(1, 3)
    row = np.array([0])
    for k in range(4):
        ring.push(row, np.array([k * 100 * MS]))
    np.testing.assert_allclose(ages(ring, slice(0, 1), 350 * MS), [[0.05, 0.25, 0.15]], atol=1e-7)
    assert ring.head[0] == 1


def test_real_stamps_keep_their_precision():
    ring = RingStamps(1, 2)
    now = 1_763_700_000_000_000_000
    ring.push(np.array([0]), np.array([now - 33_333_333]))
    np.testing.assert_allclose(ages(ring, slice(0, 1), now), [[0.033333333, -1]], rtol=1e-6)


def test_resetting_a_row_leaves_the_others():
    ring = RingStamps(2, 2)
    ring.push(np.array([0, 1]), np.array([0, 0]))
    ring.reset([0])
    np.testing.assert_allclose(ages(ring, slice(0, 2), 10**9), [[-1, -1], [1, -1]])
