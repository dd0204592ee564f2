"""Checks of a detector's settings."""

from __future__ import annotations

from typing import Any

from diffpose_ros.core import ConfigError


def check_ranges(owner: str, config: Any, ranges: dict[str, tuple[float, float]]) -> None:
    """Raise ConfigError unless each named field is a number in its range.

    A range given in whole numbers asks for a whole number.
    """
    for name, (low, high) in ranges.items():
        value = getattr(config, name)
        whole = isinstance(low, int) and isinstance(high, int)
        right_type = isinstance(value, int if whole else (int, float))
        if not right_type or isinstance(value, bool):
            kind = "a whole number" if whole else "a number"
            raise ConfigError(f"{owner} {name}: expected {kind}, got {value!r}")
        if not low <= value <= high:  # also refuses NaN
            raise ConfigError(f"{owner} {name}: expected {low:g} to {high:g}, got {value:g}")
