"""What a method may remember of each person: named arrays, some of which are rings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffpose_ros.core import ConfigError


@dataclass(frozen=True)
class Field:
    """One array of what is remembered of each person.

    Attributes:
        shape: of one person's entry; all zeros when the person is new.
        dtype: of its numbers.
        ring: name of the ring whose slots one axis counts: the newest entry overwrites the oldest
            and every slot has a stamp. Empty for an array that is written as a whole. What an
            empty slot of a ring holds means nothing, but is finite.
        slot_axis: that axis of ``shape``.
    """

    shape: tuple[int, ...] = ()
    dtype: type = np.float32
    ring: str = ""
    slot_axis: int = 0

    def __post_init__(self) -> None:
        if self.ring and not 0 <= self.slot_axis < len(self.shape):
            raise ConfigError(
                f"field of ring '{self.ring}': expected a slot axis of {self.shape}, got {self.slot_axis}"
            )

    @property
    def slots(self) -> int:
        """Slots of the ring."""
        return self.shape[self.slot_axis]
