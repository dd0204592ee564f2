"""Whether what a source says of gravity and the camera's height can be believed, frame by frame.

A source is a mounting that the user described, a transform, an inertial sensor. It may be wrong in its
numbers, late, gone, or jump. The judge then falls back: for a moment to what it last believed, then to
nothing, and says why.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core.errors import InputError
from diffpose_ros.core.surroundings import HEIGHTS_M, UNKNOWN, Surroundings

NS = 1_000_000_000
HOLD_S = 0.5
"""For so long a source may fail before nothing is known any more."""
LATE_S = 0.2
"""What a source says of a time farther than this from the image's does not count."""
TURN_DEG, TURN_DPS = 5.0, 250.0
"""Up may turn by so much at once, and so fast; more is a jump."""
RISE_M, RISE_MPS = 0.15, 2.0
"""The same of the camera's height."""
BELIEVED_AGAIN_S = 0.5
"""After a jump, what the source has said for so long without another one counts again."""
FORGET_S = 1.0
"""After a gap of this length nothing is a jump."""


@dataclass(frozen=True)
class Claim:
    """What a source says.

    Attributes:
        up: (3,) against gravity, camera optical frame; ``None``: it does not tell.
        camera_height: metres over the floor; ``None``: it does not tell.
        late_s: how far from the image's stamp this was measured, seconds.
    """

    up: NDArray[np.float64] | None
    camera_height: float | None = None
    late_s: float = 0.0


@dataclass(frozen=True)
class Judgement:
    """What is believed in one frame.

    Attributes:
        around: to be used.
        trouble: why it is not what the source says, or ``""``.
    """

    around: Surroundings
    trouble: str = ""


@dataclass(frozen=True)
class _Candidate:
    """What a source says since it jumped.

    Attributes:
        first_ns: when it jumped first.
        since_ns: since when it has said about the same.
        last_ns: when it said so last.
        said: what.
    """

    first_ns: int
    since_ns: int
    last_ns: int
    said: Surroundings


class GravityJudge:
    """Judges one source over time."""

    def __init__(self) -> None:
        self._believed: tuple[int, Surroundings] | None = None
        self._candidate: _Candidate | None = None

    def __call__(self, stamp_ns: int, claim: Claim | str) -> Judgement:
        """Judge what is said of one frame.

        Args:
            stamp_ns: the image's stamp; they rise, or everything begins anew.
            claim: what the source says, or why it says nothing.
        """
        if self._believed is not None and stamp_ns < self._believed[0]:
            self._believed = self._candidate = None
        if isinstance(claim, str):
            return self._fall_back(stamp_ns, claim)
        if abs(claim.late_s) > LATE_S:
            side = "older" if claim.late_s > 0 else "newer"
            text = (
                f"what is known of gravity is {abs(claim.late_s) * 1e3:.0f} ms {side} than the image, "
                f"at most {LATE_S * 1e3:.0f} ms count"
            )
            return self._fall_back(stamp_ns, text)
        try:
            said, trouble = _checked(claim)
        except InputError as error:
            return self._fall_back(stamp_ns, str(error))
        jump = self._jump(stamp_ns, said)
        if jump:
            return self._fall_back(stamp_ns, jump)
        self._believed, self._candidate = (stamp_ns, said), None
        return Judgement(said, trouble)

    def _fall_back(self, stamp_ns: int, why: str) -> Judgement:
        if self._believed is not None and stamp_ns - self._believed[0] <= HOLD_S * NS:
            return Judgement(self._believed[1], why)
        return Judgement(UNKNOWN, why)

    def _jump(self, stamp_ns: int, said: Surroundings) -> str:
        """Why this cannot follow what was believed before, or ``""``."""
        if self._believed is None:
            return ""
        before_ns, before = self._believed
        other = self._candidate or _Candidate(stamp_ns, stamp_ns, stamp_ns, said)
        since = other.since_ns
        if _between(other.said, said, (stamp_ns - other.last_ns) / NS):
            since = stamp_ns  # and it jumps on
        # What matters is how long the first jump took: later there was time for any turn.
        jump = _between(before, said, (other.first_ns - before_ns) / NS)
        if not jump:
            return ""
        self._candidate = _Candidate(other.first_ns, since, stamp_ns, said)
        return "" if stamp_ns - since >= BELIEVED_AGAIN_S * NS else jump


def tilt_deg(up: NDArray[np.float64]) -> tuple[float, float]:
    """Pitch (down) and roll (right side down) of a camera in whose frame ``up`` (3,) points up, degrees."""
    pitch = math.degrees(math.asin(max(-1.0, min(1.0, -float(up[2])))))
    return pitch, math.degrees(math.atan2(-float(up[0]), -float(up[1])))


def _checked(claim: Claim) -> tuple[Surroundings, str]:
    """What can be used of a claim, and what is wrong with the rest.

    Raises:
        InputError: up is no unit vector.
    """
    height = claim.camera_height
    if height is not None and not HEIGHTS_M[0] <= height <= HEIGHTS_M[1]:
        text = (
            f"the camera is said to be {height:g} m over the floor, expected {HEIGHTS_M[0]:g} to "
            f"{HEIGHTS_M[1]:g}: only gravity is used"
        )
        return Surroundings(claim.up), text
    return Surroundings(claim.up, height), ""


def _between(before: Surroundings, after: Surroundings, seconds: float) -> str:
    """The jump between two, as a text; ``""`` when there is none."""
    if seconds > FORGET_S:
        return ""
    if before.up is not None and after.up is not None:
        turn = math.degrees(math.acos(max(-1.0, min(1.0, float(before.up @ after.up)))))
        if turn > TURN_DEG + TURN_DPS * seconds:
            return f"up turned by {turn:.0f} degrees within {seconds * 1e3:.0f} ms"
    if before.camera_height is not None and after.camera_height is not None:
        rise = abs(after.camera_height - before.camera_height)
        if rise > RISE_M + RISE_MPS * seconds:
            return f"the camera's height changed by {rise:.2f} m within {seconds * 1e3:.0f} ms"
    return ""
