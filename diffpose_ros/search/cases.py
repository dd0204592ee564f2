"""Names of poses that are defined by what is measured: ranges, and how far a pose is from keeping to them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from diffpose_ros.core import InputError
from diffpose_ros.search.measures import NAMES, SIDED, blur, meant

MOST_CASES = 20


@dataclass(frozen=True)
class Case:
    """Ranges that all have to be kept to.

    Attributes:
        ranges: measure -> least and most; a measure of two sides without its side holds for both.

    Raises:
        InputError: a measure does not exist, or a range is none.
    """

    ranges: Mapping[str, tuple[float, float]]

    def __post_init__(self) -> None:
        if not self.ranges:
            raise InputError("case: expected one range or more")
        for name, (low, high) in self.ranges.items():
            if not meant(name):
                raise InputError(f"case: expected a measure of {', '.join((*SIDED, *NAMES))}; got '{name}'")
            if math.isnan(low) or math.isnan(high) or low > high:
                raise InputError(f"case: {name}: expected least <= most, got {low:g} to {high:g}")

    def nearness(self, measured: Mapping[str, Any]) -> float:
        """How well what was measured keeps to it: near 0 deep inside of all ranges, 1 on the border of one.

        Outside it grows by 1 with each blur of the measure that is farthest out.
        """
        worst = -math.inf
        for name, (low, high) in self.ranges.items():
            for measure in meant(name):
                value = float(measured[measure])
                worst = max(worst, max(low - value, value - high) / blur(measure))
        return math.exp(worst) if worst < 0 else 1.0 + worst


Cases = tuple[Case, ...]
"""Of which one has to be kept to."""


def nearness(cases: Cases, measured: Mapping[str, Any]) -> float:
    """Of the case that is kept to best; infinite of none."""
    return min((case.nearness(measured) for case in cases), default=math.inf)


def to_json(cases: Cases) -> list[dict[str, list[float | None]]]:
    """What a gallery file says of them; a side of a range that is open is null."""

    def end(value: float) -> float | None:
        return value if math.isfinite(value) else None

    return [{name: [end(low), end(high)] for name, (low, high) in case.ranges.items()} for case in cases]


def from_json(content: Any) -> Cases:
    """What a gallery file says.

    Raises:
        InputError: it is none, or too long.
        KeyError, TypeError, ValueError: it is damaged.
    """
    if not isinstance(content, list) or len(content) > MOST_CASES:
        raise InputError(f"cases: expected a list of at most {MOST_CASES}")
    made = []
    for one in content:
        ranges = {}
        for name, (low, high) in dict(one).items():
            ranges[str(name)] = (
                -math.inf if low is None else float(low), math.inf if high is None else float(high)
            )  # fmt: skip
        made.append(Case(ranges))
    return tuple(made)


def mirrored(case: Case) -> Case:
    """The same of the other side."""
    other = {"left": "right", "right": "left"}

    def name_of(name: str) -> str:
        side, _, rest = name.partition(" ")
        return f"{other[side]} {rest}" if side in other else name

    return Case({name_of(name): ends for name, ends in case.ranges.items()})
