"""Keeps the deadline: a cheaper level of the method, then people in turns.

Each level's cost is ``fixed + people * each`` seconds, measured once at the start; one factor
follows how busy the machine is now. Going down happens at once, going up only after the next
better level would have fitted with room for a while: a plan that flips every frame is worse than
a modest one. An upward try that fails makes the next one wait twice as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from diffpose_ros.methods.protocol import Level, Method

SMOOTHING = 0.2
FILL = 0.9
ROOM = 0.7
PATIENCE = 15
MAX_PATIENCE = 960
OUTLIER = 3.0
TRIALS = 3


@dataclass(frozen=True)
class Priced:
    """A level and what it costs here.

    Attributes:
        level: one way to run a step.
        fixed_s: seconds of a frame whoever is in it.
        each_s: seconds per person.
    """

    level: Level
    fixed_s: float
    each_s: float

    def cost(self, people: int) -> float:
        """Expected seconds for ``people`` on the machine as it was when measured."""
        return self.fixed_s + people * self.each_s


def price(method: Method, people: Sequence[int], *, every_level: bool) -> list[Priced]:
    """Run a method's levels on made-up people; what each costs here, from the best to the cheapest.

    Args:
        method: what is to be priced.
        people: numbers of people to try, e.g. ``(1, 4)``.
        every_level: try each level; otherwise the best one alone, and the others are priced by
            their share of it: enough to keep a deadline that is set later.
    """
    best = _price(method, method.levels[0], people)
    if every_level:
        return [best, *(_price(method, level, people) for level in method.levels[1:])]
    return [replace(best, level=x, each_s=best.each_s * x.share) for x in method.levels]


def _price(method: Method, level: Level, people: Sequence[int]) -> Priced:
    seconds = [method.rehearse(p, level, TRIALS) for p in people]
    if len(people) == 1:
        return Priced(level, 0.0, seconds[0] / people[0])
    each, fixed = np.polyfit(people, seconds, 1)
    return Priced(level, max(float(fixed), 0.0), max(float(each), 1e-5))


class DeadlinePlanner:
    """Chooses a level and a number of people for each frame.

    Args:
        levels: from the best to the cheapest.
    """

    def __init__(self, levels: Sequence[Priced]) -> None:
        assert levels
        self.levels = tuple(levels)
        self.current = 0
        self.busy = 1.0
        self._roomy = 0
        self._patience = PATIENCE
        self._since_up: int | None = None

    def cost(self, level: int, people: int) -> float:
        """Expected seconds now."""
        return self.busy * self.levels[level].cost(people)

    def plan(self, people: int, budget_s: float) -> tuple[int, int]:
        """Index of the level to use and the number of people to lift, at least one."""
        target = FILL * budget_s
        last = len(self.levels) - 1
        if self.cost(self.current, people) > target and self.current < last:
            if self._since_up is not None:
                self._patience = min(2 * self._patience, MAX_PATIENCE)
                self._since_up = None
            while self.current < last and self.cost(self.current, people) > target:
                self.current += 1
            self._roomy = 0
        elif self.current and self.cost(self.current - 1, people) <= ROOM * budget_s:
            self._roomy += 1
            if self._roomy >= self._patience:
                self.current -= 1
                self._roomy = 0
                self._since_up = 0
        else:
            self._roomy = 0
        if self._since_up is not None:
            self._since_up += 1
            if self._since_up > 4 * self._patience:
                self._since_up, self._patience = None, PATIENCE
        level = self.levels[self.current]
        if self.cost(self.current, people) <= target or self.current < last:
            return self.current, people
        room = int((target / self.busy - level.fixed_s) / max(level.each_s, 1e-9))
        return self.current, min(people, max(1, room))

    def observe(self, level: int, people: int, seconds: float) -> None:
        """Learn from a frame; a single hiccup moves the estimate by a bounded step only."""
        ratio = seconds / max(self.levels[level].cost(people), 1e-9)
        ratio = min(max(ratio, self.busy / OUTLIER), self.busy * OUTLIER)
        self.busy += SMOOTHING * (ratio - self.busy)
