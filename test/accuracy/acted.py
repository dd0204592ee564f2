"""People who do what the shipped names say: bodies of many builds, poses drawn at random about each name.

Nobody of them was an example of a gallery, and no number of its definitions was chosen on them.
"""

from __future__ import annotations

import numpy as np
from scenes import FPS

from diffpose_ros.core import COCO17, H36M17

UP, AHEAD, LEFT = np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0])
SIDES = {"left": 1.0, "right": -1.0}
HANGING = ((8.0, 60.0), (16.0, 20.0))
FACE = {
    "nose": (0.09, 0.0, 0.0), "left_eye": (0.07, 0.035, 0.03), "right_eye": (0.07, -0.035, 0.03),
    "left_ear": (0.0, 0.075, 0.01), "right_ear": (0.0, -0.075, 0.01),
}  # fmt: skip
"""From the middle of the head: ahead, left, up, m."""
NAMES = (
    "standing", "sitting", "crouching", "lying", "walking", "left arm raised", "right arm raised",
    "both arms raised", "pointing", "hands on head",
)  # fmt: skip


def act(name: str, frames: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Somebody who does what a name says, swaying a little.

    Returns:
        H36M-17 and COCO-17, (F, 17, 3) each; metres, Y up, floor at 0.
    """
    size = rng.uniform(0.88, 1.12) * np.exp(0.05 * rng.normal(size=5))
    build = dict(zip(("leg", "trunk", "arm", "width", "head"), size, strict=True))
    draw = lambda low, high: rng.uniform(low, high)  # noqa: E731
    spread, arms, bend, roll = draw(4, 14), {}, draw(-4, 8), None
    for side in SIDES:
        arms[side] = [(a + draw(0, 8), b + draw(-20, 20)) for a, b in HANGING]
    straight = [(draw(2, 8), draw(30, 90)), (draw(0, 8), 180.0)]
    legs = dict.fromkeys(SIDES, straight)
    if name == "sitting":
        bend = draw(-10, 25)
        seat = [(draw(74, 94), spread), (draw(2, 14), 180.0 * rng.integers(2))]
        legs = dict.fromkeys(SIDES, seat)
    elif name == "crouching":
        bend, thigh = draw(5, 35), draw(80, 100)
        squat = [(thigh, spread), (draw(108, 128) - thigh, 180.0)]
        legs = dict.fromkeys(SIDES, squat)
    elif name == "lying":
        roll = draw(-180, 180)
    elif name == "pointing":
        level, about = draw(76, 100), draw(-5, 80)
        arms[str(rng.choice(list(SIDES)))] = [(level, about), (level + draw(-6, 6), about)]
    elif name == "hands on head":
        folded = [(draw(112, 126), draw(65, 85)), (draw(136, 144), -88.0)]
        arms = dict.fromkeys(SIDES, folded)
    else:
        for side in SIDES:
            if name in (f"{side} arm raised", "both arms raised"):
                arms[side] = [(draw(140, 170), draw(20, 80)), (draw(160, 176), draw(20, 80))]
    sway, phase, pace = rng.normal(0, 1.5, 8), rng.uniform(0, 6.3, 8), rng.uniform(1.0, 2.5, 8)
    reach, period, start = draw(23, 28), draw(1.0, 1.25), draw(0, 1)
    out = []
    for k in range(frames):
        moved = sway * np.sin(pace * k / FPS + phase)
        here = {
            side: [(legs[side][i][0] + moved[2 * j + i], legs[side][i][1]) for i in (0, 1)]
            for j, side in enumerate(SIDES)
        }
        shift = 0.0
        if name == "walking":
            here = {s: _stride(start + k / FPS / period + 0.5 * j, reach) for j, s in enumerate(SIDES)}
            shift = 4 * 0.8 * build["leg"] * np.sin(np.radians(reach)) / period * k / FPS
        turned = {
            side: [(arms[side][i][0] + moved[4 + 2 * j + i], arms[side][i][1]) for i in (0, 1)]
            for j, side in enumerate(SIDES)
        }
        out.append(_body(build, bend + moved[0], here, turned, roll, shift))
    return np.stack([h for h, _ in out]), np.stack([c for _, c in out])


def _stride(phase: float, reach: float) -> list[tuple[float, float]]:
    """Thigh and shank of one leg, signed swings as angle pairs."""
    thigh = 0.15 * reach + reach * np.cos(2 * np.pi * phase)
    bell = lambda at, width: np.exp(-0.5 * (abs((phase - at + 0.5) % 1 - 0.5) / width) ** 2)  # noqa: E731
    shank = thigh - (6 + 12 * bell(0.14, 0.07) + 2.1 * reach * bell(0.72, 0.1))
    return [(abs(a), 0.0 if a > 0 else 180.0) for a in (thigh, shank)]


def _way(pair: tuple[float, float], sign: float, axes: np.ndarray) -> np.ndarray:
    """The direction that is lifted from hanging, towards an azimuth from ahead to outward."""
    lift, about = np.radians(pair)
    way = np.array([np.sin(lift) * np.cos(about), sign * np.sin(lift) * np.sin(about), -np.cos(lift)])
    return way @ axes


def _body(build, bend, legs, arms, roll, shift):
    upright = np.stack([AHEAD, LEFT, UP])
    c, s = np.cos(np.radians(bend)), np.sin(np.radians(bend))
    trunk = np.stack([c * AHEAD - s * UP, LEFT, c * UP + s * AHEAD])
    at = {"hip": np.zeros(3)}
    at["spine"] = 0.33 * build["trunk"] * trunk[2]
    at["thorax"] = at["spine"] + 0.13 * build["trunk"] * trunk[2]
    middle = at["thorax"] + build["head"] * (0.19 * trunk[2] + 0.02 * trunk[0])
    at["nose"] = middle + 0.09 * trunk[0]
    at["head_top"] = middle + 0.13 * build["head"] * trunk[2]
    for side, sign in SIDES.items():
        at[f"{side}_hip"] = sign * 0.1 * build["width"] * LEFT
        at[f"{side}_knee"] = at[f"{side}_hip"] + 0.42 * build["leg"] * _way(legs[side][0], sign, upright)
        at[f"{side}_ankle"] = at[f"{side}_knee"] + 0.41 * build["leg"] * _way(legs[side][1], sign, upright)
        at[f"{side}_shoulder"] = at["thorax"] + sign * 0.18 * build["width"] * LEFT
        at[f"{side}_elbow"] = at[f"{side}_shoulder"] + 0.28 * build["arm"] * _way(arms[side][0], sign, trunk)
        at[f"{side}_wrist"] = at[f"{side}_elbow"] + 0.25 * build["arm"] * _way(arms[side][1], sign, trunk)
    face = {n: middle + np.array(offset) @ trunk for n, offset in FACE.items()}
    h36m = np.stack([at[name] for name in H36M17.joints])
    coco = np.stack([face[name] if name in face else at[name] for name in COCO17.joints])
    if roll is not None:  # from upright to lying, then about the trunk
        c, s = np.cos(np.radians(roll)), np.sin(np.radians(roll))
        turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]) @ np.array([[0, 0, 1.0], [1, 0, 0], [0, 1, 0]])
        h36m, coco = h36m @ turn, coco @ turn
        lift = 0.12 - h36m[:, 1].min()
    else:
        lift = 0.08 - h36m[:, 1].min()
    offset = lift * UP + shift * AHEAD
    return h36m + offset, coco + offset
