"""Whether a camera moves, by the people before it.

Before a camera that turns or shakes, people who walk slide: their hips move, and neither foot stands. Before
one that rolls or nods, all lean to and fro by more than people do.
"""

from __future__ import annotations

from collections import deque
from math import degrees, radians, sqrt

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import Skeleton
from diffpose_ros.lifting._floor_fit import tangents_at

Array = NDArray[np.float64]

STANDS = 0.5
SLIDING_MPS, SLIDING_S = 0.4, 0.7
"""Somebody whose hip moves so fast for so long, and no foot of whom stands, slides: nobody is in the air
for so long."""
MOST_SLIDING = ((60.0, 0.2), (4.0, 0.6))
"""Time constant of memory, s, and share of the time in which people move; runners reach 0.17 in the long
run."""
LEAST_MOVING_S = 2.0
LOOK_S, LEAST_LOOKS = 1.0, 6
"""A body's mean direction over so long is one look."""
MOST_SWAY = radians(1.25)
"""Median of how far looks lie sidewards from a person's mean; people who walk reach 1.1 degrees."""
LEAST_DRIFT, SURE_DRIFT = radians(0.4), 4.0
"""Lean that changes so fast along the view, per second and in standard errors: the camera nods."""


class _Leaning:
    """One person: how long it slides, and the look that is being taken."""

    def __init__(self) -> None:
        self.slid_s = 0.0
        self.look, self.seconds, self.begun_s = np.zeros(3), 0.0, 0.0


class Steadiness:
    """Judges one camera over time."""

    def __init__(self) -> None:
        self._people: dict[int, _Leaning] = {}
        self._looks: deque[tuple[int, float, Array]] = deque(maxlen=120)
        self._moving_s, self._sliding_s = np.zeros(len(MOST_SLIDING)), np.zeros(len(MOST_SLIDING))

    def see(self, number: int, skeleton: Skeleton, axis: Array | None, now_s: float, dt: float) -> None:
        """Take in one frame of one person.

        Args:
            number: of the person.
            skeleton: as it stands before the camera.
            axis: (3,) unit vector along the body, where it is upright.
            now_s, dt: time of the frame, and since that person's last one, s.
        """
        person = self._people.setdefault(number, _Leaning())
        self._slide(person, skeleton, dt)
        if axis is not None:
            person.look += dt * axis
            person.seconds += dt
        if now_s - person.begun_s < LOOK_S:
            return
        if person.seconds > 0.5 * LOOK_S:
            self._looks.append((number, now_s, person.look / np.linalg.norm(person.look)))
        person.look, person.seconds, person.begun_s = np.zeros(3), 0.0, now_s

    def forget(self, number: int) -> None:
        """Somebody is gone; what was seen of them counts on."""
        self._people.pop(number, None)

    def moves(self, up: Array) -> str:
        """Why the camera seems to move, or ``""``.

        Args:
            up: (3,) unit vector, about upwards.
        """
        most = np.array([share for _, share in MOST_SLIDING]) * np.maximum(self._moving_s, LEAST_MOVING_S)
        if (self._sliding_s > most).any():
            return "people slide before it"
        sway, drift, error = self._leaning(up)
        if sway > MOST_SWAY:
            return f"people sway by {degrees(sway):.1f} degrees before it"
        if abs(drift) > max(LEAST_DRIFT, SURE_DRIFT * error):
            return f"people lean {degrees(abs(drift)):.1f} degrees farther each second"
        return ""

    def _slide(self, person: _Leaning, skeleton: Skeleton, dt: float) -> None:
        if not np.linalg.norm(skeleton.velocity) > SLIDING_MPS:  # not NaN either
            person.slid_s = 0.0
            return
        keep = np.exp([-dt / memory_s for memory_s, _ in MOST_SLIDING])
        self._moving_s, self._sliding_s = keep * self._moving_s + dt, keep * self._sliding_s
        if np.nan_to_num(skeleton.contact).max() > STANDS:
            person.slid_s = 0.0
            return
        before, person.slid_s = person.slid_s, person.slid_s + dt
        if person.slid_s > SLIDING_S:
            self._sliding_s = self._sliding_s + (dt if before > SLIDING_S else person.slid_s)

    def _leaning(self, up: Array) -> tuple[float, float, float]:
        """Median sway across the view, drift along it and the drift's standard error, radians, 1/s."""
        turn = tangents_at(up)
        rows: dict[int, list[tuple[float, ...]]] = {}
        for number, when, axis in self._looks:
            rows.setdefault(number, []).append((when, *(axis @ turn)))
        several = [np.array(r) for r in rows.values() if len(r) >= 2]
        if sum(map(len, several)) < LEAST_LOOKS:
            return 0.0, 0.0, 1.0
        off = np.concatenate([r - r.mean(axis=0) for r in several])
        free = len(off) - len(several)
        time, along, across = off.T
        sway = float(np.median(np.abs(across))) * sqrt(len(off) / free)
        square = float(time @ time)
        drift = float(time @ along) / square
        rest = along - drift * time
        return sway, drift, sqrt(float(rest @ rest) / max(free - 1, 1) / square)
