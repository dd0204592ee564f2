"""Who is lifted, and which of their keypoints count."""

from dataclasses import replace

import numpy as np
import pytest

from diffpose_ros.core import H36M17, People2D
from diffpose_ros.lifting.poses import joint_scores
from diffpose_ros.lifting.selection import select
from diffpose_ros.lifting.turns import Turns


def people(ids, *, score=0.9, person=None):
    p = len(ids)
    return People2D(
        xy=np.zeros((p, 17, 2)),
        score=np.broadcast_to(score, (p, 17)),
        track_id=np.array(ids),
        person_score=None if person is None else np.array(person),
    )


def choose(seen, *, threshold=0.1, min_keypoints=4, limit=50, known=()):
    return select(seen, threshold=threshold, min_keypoints=min_keypoints, limit=limit, known=known)


def test_everyone_with_enough_keypoints_in_the_order_they_came():
    chosen = choose(people([5, 3, 9]))
    assert chosen.index.tolist() == [0, 1, 2]
    assert chosen.track_ids == (5, 3, 9)
    assert chosen.unseen == ()
    assert chosen.left_out == 0
    assert chosen.messages == ()


def test_a_keypoint_counts_from_the_threshold_on():
    score = np.array([0.29, 0.3, 0.31, *[0.9] * 14])
    chosen = choose(people([1], score=score), threshold=0.3)
    np.testing.assert_allclose(chosen.score[0], [0, 0.3, 0.31, *[0.9] * 14])


def test_keypoints_far_outside_of_the_image_were_not_seen():
    xy = np.zeros((2, 17, 2))
    xy[0, :4] = (-90, 40), (195, 40), (40, -49), (40, 101)
    xy[1] = 1e30
    seen = replace(people([1, 2]), xy=xy)
    chosen = select(seen, threshold=0.1, min_keypoints=4, limit=9, known=(), size=(100, 50))
    np.testing.assert_array_equal(chosen.score[0], [0.9, 0.9, 0.9, 0.0, *[0.9] * 13])
    assert chosen.track_ids == (1,)
    assert chosen.unseen == (2,)


@pytest.mark.parametrize(("seen", "lifted"), [(3, False), (4, True), (5, True)])
def test_too_few_keypoints_are_told(seen, lifted):
    score = np.zeros((3, 17))
    score[[0, 2]] = 0.9
    score[1, :seen] = 0.5
    chosen = choose(people([4, 5, 6], score=score))
    assert chosen.track_ids == ((4, 5, 6) if lifted else (4, 6))
    assert chosen.index.tolist() == ([0, 1, 2] if lifted else [0, 2])
    assert chosen.unseen == (() if lifted else (5,))


def test_keypoints_below_the_threshold_do_not_make_a_person():
    chosen = choose(people([4], score=0.2), threshold=0.3)
    assert chosen.track_ids == ()
    assert chosen.unseen == (4,)
    assert (chosen.score == 0).all()


def test_people_without_identity_get_distinct_ones_below_minus_one():
    chosen = choose(people([-1, 7, -1]))
    assert chosen.track_ids == (-2, 7, -4)
    assert chosen.index.tolist() == [0, 1, 2]


def test_an_identity_given_twice_goes_to_the_first():
    chosen = choose(people([7, 7, 8, 7]))
    assert chosen.index.tolist() == [0, 2]
    assert chosen.messages == ("track ids given to several people, the first one is lifted: [7, 7]",)
    assert chosen.left_out == 0


def test_beyond_the_limit_the_known_come_first_then_the_best():
    seen = people([1, 2, 3, 4, 5], person=[0.9, 0.2, 0.5, 0.8, 0.1])
    chosen = choose(seen, limit=3, known={2, 5})
    assert chosen.track_ids == (1, 2, 5)
    assert chosen.index.tolist() == [0, 1, 4]
    assert chosen.left_out == 2
    assert chosen.messages == ("2 people beyond max_tracks (3) are left out",)
    assert choose(seen, limit=2).track_ids == (1, 4)
    assert choose(seen, limit=5).left_out == 0


def test_turns_go_round():
    turns = Turns(most=10)
    assert [turns.take(5, 2) for _ in range(4)] == [
        slice(0, 2), slice(2, 4), slice(4, 5), slice(0, 2),
    ]  # fmt: skip


def test_everyone_at_once_where_there_is_room_and_the_next_turn_begins_anew():
    turns = Turns(most=4)
    assert turns.take(4, 4) == slice(0, 4)
    assert turns.take(6, 9) == slice(0, 4)
    assert turns.take(3, 9) == slice(0, 3)
    assert turns.take(6, 9) == slice(0, 4)
    assert turns.take(6, 9) == slice(4, 6)
    turns.take(6, 9)
    turns.reset()
    assert turns.take(6, 9) == slice(0, 4)


def test_at_least_one_and_never_a_row_that_is_gone():
    turns = Turns(most=3)
    assert turns.take(3, 0) == slice(0, 1)
    assert turns.take(3, 2) == slice(1, 3)
    assert turns.take(3, 1) == slice(0, 1)
    turns.take(9, 3)
    turns.take(9, 3)
    assert turns.take(4, 3) == slice(0, 3)  # row 6 does not exist any more


def test_nobody():
    assert Turns(most=3).take(0, 0) == slice(0, 0)
    chosen = choose(People2D.empty())
    assert chosen.track_ids == ()
    assert chosen.index.dtype == np.int64


def test_joints_have_the_scores_of_their_points_and_the_crown_the_noses():
    score = np.linspace(0.1, 0.9, 21)[None]
    got = joint_scores(score)
    expected = score[0, :17].copy()
    expected[H36M17.index("head_top")] = score[0, H36M17.index("nose")]
    np.testing.assert_array_equal(got[0], expected)
