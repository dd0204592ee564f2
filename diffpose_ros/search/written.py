"""Poses written down as angles: examples of the names that come with the package.

An angle pair tells where a limb points from the trunk: how far it is lifted from hanging (0 down along the
trunk, 90 level, 180 up), and towards where (0 forward, 90 outward, -90 across the body, 180 backward).
Nobody was measured.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import H36M17
from diffpose_ros.search import windows
from diffpose_ros.search.vectors import pose_vectors

Array = NDArray[np.float64]
Angles = tuple[float, float]

SIDES = {"left": 1.0, "right": -1.0}
LENGTHS_M = {
    "hip": 0.09, "thigh": 0.41, "shank": 0.41, "spine": 0.33, "chest": 0.12, "neck": 0.24, "crown": 0.13,
    "shoulder": 0.19, "upper_arm": 0.28, "forearm": 0.24,
}  # fmt: skip
"""Of an adult, between the joints of H36M-17."""
HANGING: tuple[Angles, Angles] = (8.0, 60.0), (15.0, 20.0)


@dataclass(frozen=True)
class Written:
    """A pose: where upper and lower parts of each limb point.

    Attributes:
        arms: side -> upper arm, forearm.
        legs: side -> thigh, shank.
        up: what faces up, in the body's axes.
    """

    arms: Mapping[str, tuple[Angles, Angles]] = field(default_factory=dict)
    legs: Mapping[str, tuple[Angles, Angles]] = field(default_factory=dict)
    up: tuple[float, float, float] = (0.0, 0.0, 1.0)

    def joints(self) -> Array:
        """(17, 3) metres in the body's axes, from the mid-hip."""
        size = LENGTHS_M
        out = np.zeros((len(H36M17), 3))

        def put(name: str, base: str, offset: Array) -> None:
            out[H36M17.index(name)] = out[H36M17.index(base)] + offset

        up = np.array([0.0, 0.0, 1.0])
        put("spine", "hip", size["spine"] * up)
        put("thorax", "spine", size["chest"] * up)
        put("nose", "thorax", size["neck"] * np.array([0.35, 0.0, 0.94]))
        put("head_top", "nose", size["crown"] * np.array([-0.4, 0.0, 0.92]))
        for side, sign in SIDES.items():
            outward = np.array([0.0, sign, 0.0])
            upper, lower = self.arms.get(side, HANGING)
            put(f"{side}_shoulder", "thorax", size["shoulder"] * outward)
            put(f"{side}_elbow", f"{side}_shoulder", size["upper_arm"] * towards(upper, sign))
            put(f"{side}_wrist", f"{side}_elbow", size["forearm"] * towards(lower, sign))
            upper, lower = self.legs.get(side, ((3.0, 90.0), (3.0, 180.0)))
            put(f"{side}_hip", "hip", size["hip"] * outward)
            put(f"{side}_knee", f"{side}_hip", size["thigh"] * towards(upper, sign))
            put(f"{side}_ankle", f"{side}_knee", size["shank"] * towards(lower, sign))
        return out

    def vector(self) -> Array:
        """(17, 3) the pose's vector."""
        return pose_vectors(self.joints(), np.array(self.up))


def towards(angles: Angles, sign: float) -> Array:
    """(3,) the direction of an angle pair on the side of ``sign`` (1 left, -1 right)."""
    lift, about = np.radians(angles)
    return np.array([np.sin(lift) * np.cos(about), sign * np.sin(lift) * np.sin(about), -np.cos(lift)])


def both(upper: Angles, lower: Angles) -> dict[str, tuple[Angles, Angles]]:
    """The same on both sides."""
    return {"left": (upper, lower), "right": (upper, lower)}


def standing() -> Iterator[Written]:
    """Upright on straight legs: feet together, apart, one forward, the trunk a little bent."""
    for spread, bend in itertools.product((2.0, 12.0), (-10.0, 0.0, 10.0)):
        yield Written(legs=leaning(both((spread, 90.0), (spread, 90.0)), bend))
    for side in SIDES:
        other = next(s for s in SIDES if s != side)
        yield Written(legs={side: ((12.0, 20.0), (8.0, 180.0)), other: ((10.0, 160.0), (14.0, 170.0))})


def sitting() -> Iterator[Written]:
    """On a chair: thighs about level, shanks down, forward or tucked, the trunk upright or bent."""
    for thigh, shank, bend, spread in itertools.product(
        (72.0, 92.0), (-18.0, 12.0), (-15.0, 5.0, 25.0), (8.0, 25.0)
    ):
        yield Written(legs=leaning(both((thigh, spread), pair(shank)), bend))


def crouching() -> Iterator[Written]:
    """Knees bent sharply, feet under the hips; on both feet or on one knee."""
    for thigh, knee, bend, spread in itertools.product(
        (70.0, 95.0), (105.0, 130.0), (10.0, 35.0, 60.0), (12.0, 35.0)
    ):
        yield Written(legs=leaning(both((thigh, spread), pair(thigh - knee)), bend))
    for side, bend in itertools.product(SIDES, (5.0, 30.0)):
        other = next(s for s in SIDES if s != side)
        legs = {side: ((85.0, 10.0), pair(-10.0)), other: ((10.0, 10.0), pair(-85.0))}
        yield Written(legs=leaning(legs, bend))
        legs = {side: ((80.0, 10.0), pair(-30.0)), other: ((30.0, 10.0), pair(-95.0))}
        yield Written(legs=leaning(legs, bend))


def lying() -> Iterator[Written]:
    """On the back, the front, either side; legs straight or bent."""
    for facing, (thigh, knee) in itertools.product(range(8), ((5.0, 5.0), (25.0, 45.0), (50.0, 90.0))):
        up = (float(np.cos(facing * np.pi / 4)), float(np.sin(facing * np.pi / 4)), 0.0)
        if up[0] < -0.1 and thigh > 40:
            continue  # nobody lies on their front and their knees
        yield Written(legs=both((thigh, 8.0), pair(thigh - knee)), up=up)


def raised(*sides: str) -> Iterator[Written]:
    """Arms up: straight or bent at the elbow; the other arm hangs, or is bent before the body."""
    ups: Sequence[tuple[Angles, Angles]] = (
        ((170.0, 60.0), (175.0, 60.0)), ((150.0, 80.0), (165.0, 80.0)), ((150.0, 15.0), (165.0, 10.0)),
        ((120.0, 85.0), (170.0, 80.0)), ((125.0, 30.0), (172.0, 20.0)),
    )  # fmt: skip
    others: Sequence[tuple[Angles, Angles]] = (
        HANGING,
        ((20.0, 60.0), (55.0, 10.0)),
        ((40.0, 85.0), (50.0, 70.0)),
    )
    if len(sides) == 2:
        for up in ups:
            yield Written(arms=both(*up))
        return
    (side,) = sides
    other = next(s for s in SIDES if s != side)
    for up, down in itertools.product(ups, others):
        yield Written(arms={side: up, other: down})


def pointing() -> Iterator[Written]:
    """One arm straight and about level, forward or outward; the other hangs."""
    for side, lift, about in itertools.product(
        SIDES, (72.0, 90.0, 107.0), (-35.0, -10.0, 15.0, 40.0, 65.0, 90.0, 115.0)
    ):
        other = next(s for s in SIDES if s != side)
        for down in (HANGING, ((15.0, 60.0), (35.0, 15.0))):
            yield Written(arms={side: ((lift - 4, about), (lift + 4, about)), other: down})


def hands_on_head() -> Iterator[Written]:
    """Both hands at the head, elbows out or forward."""
    for lift, about in itertools.product((105.0, 130.0), (40.0, 80.0)):
        yield Written(arms=both((lift, about), (150.0 if lift < 120 else 130.0, -80.0)))


def leaning(legs: Mapping[str, tuple[Angles, Angles]], bend: float) -> dict[str, tuple[Angles, Angles]]:
    """Legs as a trunk that is bent forward by ``bend`` degrees sees them."""
    cos, sin = np.cos(np.radians(bend)), np.sin(np.radians(bend))
    turn = np.array([[cos, 0.0, -sin], [0.0, 1.0, 0.0], [sin, 0.0, cos]])

    def turned(angles: Angles) -> Angles:
        x, y, z = turn @ towards(angles, 1.0)
        return float(np.degrees(np.arccos(np.clip(-z, -1, 1)))), float(np.degrees(np.arctan2(y, x)))

    return {side: (turned(upper), turned(lower)) for side, (upper, lower) in legs.items()}


def pair(swing: float) -> Angles:
    """The angle pair of a swing forward (above 0) or backward (below)."""
    return (abs(swing), 0.0 if swing >= 0 else 180.0)


def stride(phase: float, reach: float) -> Written:
    """A walking body.

    Args:
        phase: of the stride, 0 to 1, from the heel strike of the right foot.
        reach: how far the thighs swing, degrees.
    """

    def leg(at: float) -> tuple[Angles, Angles]:
        thigh = 0.15 * reach + reach * np.cos(2 * np.pi * at)
        knee = 6.0 + 12.0 * bump(at, 0.14, 0.07) + 2.1 * reach * bump(at, 0.72, 0.10)
        return pair(thigh), pair(thigh - knee)

    def arm(at: float) -> tuple[Angles, Angles]:
        swing = 0.8 * reach * np.cos(2 * np.pi * at)
        return pair(swing), pair(swing + 20.0)

    across = (phase + 0.5) % 1.0
    return Written(
        arms={"right": arm(across), "left": arm(phase)}, legs={"right": leg(phase), "left": leg(across)}
    )


def bump(at: float, where: float, width: float) -> float:
    """A bell on the circle of length 1."""
    apart = abs((at - where + 0.5) % 1.0 - 0.5)
    return float(np.exp(-0.5 * (apart / width) ** 2))


def walking(seconds: float) -> Iterator[Array]:
    """Windows of strides at several paces, from several phases."""
    frames = np.arange(windows.frames_of(seconds)) / windows.RATE_HZ
    for period, reach in ((1.0, 27.0), (1.2, 23.0), (1.5, 18.0)):
        for start in np.arange(8) / 8:
            phases = (start + frames / period) % 1.0
            yield np.stack([stride(float(p), reach).vector() for p in phases])
