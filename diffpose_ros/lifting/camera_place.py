"""Where a fixed camera hangs, learnt from the people before it: which way is up, and how high.

People who stand and walk are upright in the mean, and their feet stand on one floor. Nothing is said
until that is sure, and nothing of a camera that moves: feet that stand then seem to slide, and the floor
of a moment ago is not that of now.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import degrees, radians

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import H36M17, Skeleton
from diffpose_ros.core.gravity import tilt_deg
from diffpose_ros.lifting._floor_fit import Floor, fit_floor
from diffpose_ros.lifting._steadiness import STANDS, Steadiness

Array = NDArray[np.float64]

MOST_FOOTFALLS = 160
LEAST_FOOTFALLS, LEAST_S = 10, 3.0
SURE = radians(2.0)
"""Standard deviation up to which up is told; given up again at twice that."""
LEAST_SCORE = 0.3
STANDING_S, LONG_S = 0.1, 0.5
"""A foot that has stood for so long is a footfall; one that stands on is looked at again."""
SAME_PLACE_M = 0.2
STRAIGHT = 0.92
"""Distance from ankles to thorax over the bones between, from which a body counts as upright."""
ANKLE_M = 0.10
GONE_S, CHECKED_S = 2.0, 0.5
RECENT = 8
MOST_OFF = 3.0
"""The last footfalls lie so many times farther from the floor than they should: it is another one."""

_FEET = [H36M17.index(f"{side}_ankle") for side in ("right", "left")]
_CHAIN = [
    [H36M17.index(name) for name in names]
    for names in (
        ("right_ankle", "right_knee", "right_hip"),
        ("left_ankle", "left_knee", "left_hip"),
        ("hip", "spine", "thorax"),
    )
]
_THORAX = H36M17.index("thorax")


@dataclass
class _Foot:
    """One foot that stands, or does not."""

    sum: Array = field(default_factory=lambda: np.zeros(3))
    seconds: float = 0.0
    last: Array | None = None


@dataclass
class _Walker:
    """What is remembered of one person.

    Attributes:
        number: in the footfalls.
        stamp_ns: of the last frame.
        axis: (3,) sum of directions, times seconds.
        seconds: upright.
    """

    number: int
    stamp_ns: int
    feet: tuple[_Foot, _Foot] = field(default_factory=lambda: (_Foot(), _Foot()))
    axis: Array = field(default_factory=lambda: np.zeros(3))
    seconds: float = 0.0


class CameraPlace:
    """Learns up and height of one fixed camera.

    Attributes:
        up: (3,) unit vector in the camera's optical frame, or ``None`` while it is not sure.
        camera_height: m over the floor, or ``None`` likewise.
        said: a line on what is known, for a user.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._people: dict[int, _Walker] = {}
        self._axes: dict[int, tuple[Array, float]] = {}
        self._footfalls: deque[tuple[int, Array]] = deque(maxlen=MOST_FOOTFALLS)
        self._steadiness = Steadiness()
        self._seen_s = 0.0
        self._judged_ns = 0
        self._next = 0
        self._floor: Floor | None = None
        self.up: Array | None = None
        self.camera_height: float | None = None
        self.said = "up and height: nobody has walked yet"

    def see(self, skeletons: Sequence[Skeleton], stamp_ns: int) -> None:
        """Take in the people of one frame, as they stand before the camera."""
        new = False
        longest = 0.0
        for skeleton in skeletons:
            if skeleton.track_id < 0:
                continue
            walker = self._people.get(skeleton.track_id)
            if walker is None or not 0 < stamp_ns - walker.stamp_ns < GONE_S * 1e9:
                self._people[skeleton.track_id] = _Walker(self._next, stamp_ns)
                self._next += 1
                continue
            dt = (stamp_ns - walker.stamp_ns) * 1e-9
            walker.stamp_ns, longest = stamp_ns, max(longest, dt)
            new |= self._take_in(walker, skeleton, dt)
        for track in [t for t, w in self._people.items() if stamp_ns - w.stamp_ns > GONE_S * 1e9]:
            self._steadiness.forget(self._people.pop(track).number)
        self._seen_s += longest
        if new:
            self._judge()
        elif self.up is not None and stamp_ns - self._judged_ns > CHECKED_S * 1e9:
            self._notice_motion(self.up)
        else:
            return
        self._judged_ns = stamp_ns

    def _take_in(self, walker: _Walker, skeleton: Skeleton, dt: float) -> bool:
        """One frame of one person; whether a foot was found to stand somewhere new."""
        contact = np.nan_to_num(skeleton.contact)
        axis = self._upright(walker, skeleton, dt)
        self._steadiness.see(walker.number, skeleton, axis, walker.stamp_ns * 1e-9, dt)
        new = False
        for foot, joint, stands in zip(walker.feet, _FEET, contact, strict=True):
            if stands > STANDS and skeleton.score[joint] >= LEAST_SCORE:
                foot.sum += dt * skeleton.xyz[joint]
                foot.seconds += dt
                if foot.seconds < LONG_S:
                    continue
            if foot.seconds >= STANDING_S:
                place = foot.sum / foot.seconds
                if place[2] > 0.3 and (
                    foot.last is None or np.linalg.norm(place - foot.last) > SAME_PLACE_M
                ):
                    self._footfalls.append((walker.number, place))
                    foot.last, new = place, True
            foot.sum, foot.seconds = np.zeros(3), 0.0
        return new

    def _upright(self, walker: _Walker, skeleton: Skeleton, dt: float) -> Array | None:
        """The direction of a body that is stretched, a unit vector."""
        xyz = skeleton.xyz
        axis = xyz[_THORAX] - xyz[_FEET].mean(axis=0)
        right, left, trunk = (np.linalg.norm(np.diff(xyz[chain], axis=0), axis=1).sum() for chain in _CHAIN)
        length = float(np.linalg.norm(axis))
        if not length > STRAIGHT * (0.5 * (right + left) + trunk):
            return None
        axis = axis / length
        walker.axis += dt * axis
        walker.seconds += dt
        self._axes[walker.number] = (walker.axis / np.linalg.norm(walker.axis), walker.seconds)
        return axis

    def _judge(self) -> None:
        """Fit anew, and decide what is sure."""
        numbers = [n for n, _ in self._footfalls]
        people = sorted({*numbers})
        self._axes = {n: axis for n, axis in self._axes.items() if n in people or n >= self._next - 20}
        index = {n: i for i, n in enumerate(people)}
        nothing = np.zeros(3), 0.0
        axes = [self._axes.get(n, nothing) for n in people]
        floor = fit_floor(
            np.array([place for _, place in self._footfalls]), np.array([index[n] for n in numbers]),
            np.array([axis for axis, _ in axes]), np.array([seconds for _, seconds in axes]),
        )  # fmt: skip
        self._floor = floor
        count = len(numbers)
        if floor is None:
            self._unsure(f"up and height: not known after {count} steps of people")
            return
        if self._notice_motion(floor.up):
            return
        if count >= 2 * RECENT:
            recent = float(np.sqrt(np.mean(np.minimum(floor.off[-RECENT:] ** 2, 100.0))))
            before = float(np.sqrt(np.mean(np.minimum(floor.off[:-RECENT] ** 2, 100.0))))
            if recent > MOST_OFF * max(before, 1.0):
                self._begin_anew()
                return
        limit = SURE if self.up is None else 2 * SURE
        if count < LEAST_FOOTFALLS or self._seen_s < LEAST_S or floor.sigma > limit:
            found = self._described(floor)
            self._unsure(f"up and height: not sure yet after {count} steps of people ({found})")
            return
        self.up, self.camera_height = floor.up, floor.height + ANKLE_M
        self.said = f"by {count} steps of people: {self._described(floor)}"

    def _notice_motion(self, up: Array) -> bool:
        why = self._steadiness.moves(up)
        if why:
            self._unsure(f"up and height: the camera seems to move, {why}")
        return bool(why)

    def _unsure(self, why: str) -> None:
        self.up = self.camera_height = None
        self.said = why

    def _begin_anew(self) -> None:
        self.reset()
        self.said = "up and height: the floor is not where it was, the camera moved; learnt anew"

    @staticmethod
    def _described(floor: Floor) -> str:
        pitch, roll = tilt_deg(floor.up)
        along, across = (degrees(float(s)) for s in np.sqrt(np.diagonal(floor.tilt_covariance)))
        return (
            f"looks down by {pitch:.1f} +- {along:.1f} degrees, leans right by {roll:.1f} +- {across:.1f}, "
            f"{floor.height + ANKLE_M:.2f} +- {floor.height_sigma * floor.height:.2f} m over the floor"
        )
