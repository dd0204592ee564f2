"""The deadline: hypotheses go first, then steps, then people take turns; room brings them back."""

from itertools import pairwise

import pytest

from diffpose_ros.lifting.deadline import PATIENCE, DeadlinePlanner, Priced
from diffpose_ros.methods.diffusion.engine import ladder
from diffpose_ros.methods.protocol import Level

LEVELS = [
    Priced(Level(5, 5), 0.001, 0.010),
    Priced(Level(3, 5), 0.001, 0.006),
    Priced(Level(3, 1), 0.001, 0.002),
]


@pytest.mark.parametrize(
    ("n", "least", "steps", "rungs"),
    [
        (5, 2, [5, 2, 1], [(5, 5), (3, 5), (2, 5), (2, 2), (2, 1)]),
        (5, 5, [5, 1], [(5, 5), (5, 1)]),
        (1, 1, [5], [(1, 5)]),
        (20, 4, [2], [(20, 2), (10, 2), (5, 2), (4, 2)]),
    ],
)
def test_hypotheses_go_before_steps(n, least, steps, rungs):
    levels = ladder(n, least, steps)
    assert [(x.hypotheses, x.steps) for x in levels] == rungs
    assert all(a.share > b.share for a, b in pairwise(levels))


@pytest.mark.parametrize(
    ("people", "budget", "plan"),
    [
        (1, 1.0, (0, 1)),
        (1, 0.0125, (0, 1)),
        (2, 0.016, (1, 2)),
        (4, 0.016, (2, 4)),
        (20, 0.016, (2, 6)),
        (20, 0.0001, (2, 1)),
    ],
    ids=["room", "just", "fewer hypotheses", "fewer steps", "turns", "never nobody"],
)
def test_the_first_level_that_fits_is_taken(people, budget, plan):
    assert DeadlinePlanner(LEVELS).plan(people, budget) == plan


def test_a_busy_machine_costs_more():
    planner = DeadlinePlanner(LEVELS)
    for _ in range(30):
        planner.observe(0, 1, 3 * LEVELS[0].cost(1))
    assert planner.busy == pytest.approx(3, rel=0.01)
    assert planner.plan(1, 0.025)[0] == 1


def test_one_hiccup_changes_little():
    planner = DeadlinePlanner(LEVELS)
    planner.observe(0, 1, 100 * LEVELS[0].cost(1))
    assert planner.busy < 1.5


def test_it_recovers_step_by_step_and_not_at_once():
    planner = DeadlinePlanner(LEVELS)
    planner.plan(4, 0.016)
    assert planner.current == 2
    levels = [planner.plan(1, 1.0)[0] for _ in range(3 * PATIENCE)]
    assert levels[: PATIENCE - 1] == [2] * (PATIENCE - 1)
    assert levels[PATIENCE] == 1
    assert levels[-1] == 0


def test_a_cost_at_the_edge_does_not_flap():
    """The better level turns out dearer than foreseen: every retry comes later than the last."""
    planner = DeadlinePlanner(LEVELS)
    taken = []
    for _ in range(3000):
        level, people = planner.plan(1, 0.012)
        taken.append(level)
        planner.observe(level, people, 0.02 if level == 0 else LEVELS[level].cost(1) * 0.9)
    changes = [i for i in range(1, len(taken)) if taken[i] != taken[i - 1]]
    assert len([i for i in changes if i > 1500]) <= 4
    assert taken.count(0) < 200


def test_on_a_busy_machine_fewer_people_fit():
    """Twice as slow as when measured: 10 ms and 10 ms for each person, of 90 ms a frame."""
    planner = DeadlinePlanner([Priced(Level(5, 5), 0.010, 0.010)])
    assert planner.plan(20, 0.1) == (0, 8)
    planner.busy = 2.0
    assert planner.plan(20, 0.1) == (0, 3)
    assert planner.plan(20, 0.001) == (0, 1)
