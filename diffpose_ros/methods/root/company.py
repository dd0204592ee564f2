"""What people who stand on one floor tell of each other's size.

Nobody's size is seen, but which of two people on the same floor is the larger one is: a body that is taken
for too large is placed too far away, and its feet come to lie below the floor. Where the camera's height is
not given, each person says how high the camera is over their feet, and all must agree. Whoever says too
much is a child, unless the others stand on something; the size of the head tells: heads grow less.

Letters for shapes: P people, G heights that are tried.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import H36M17
from diffpose_ros.methods.root.upright import STRAIGHT

ADULTS, CHILDREN, ELSEWHERE = 0.80, 0.15, 0.05
"""How many people are adults, children, and adults who do not stand on the floor of the others."""
ADULT_NOISE, FIRST_NOISE = 0.06, 0.08
"""Standard deviation of what adults say of the camera's height, as a logarithm: stature and pose; of one
frame's in addition."""
SMALLEST, LARGEST_CHILD = -0.8, -0.1
"""Sizes of children, as a logarithm."""
APART = 0.7
"""People elsewhere say a height within so much of the truth, as a logarithm."""
HEAD_GROWS = 0.85
"""A head gets larger, compared with the body, by this power of how much smaller the body is."""
HEAD_NOISE, FIRST_HEAD_NOISE, SETTLED_S = 0.12, 0.12, 0.2
"""Standard deviation of the head's size, as a logarithm; of one frame's in addition."""
MOST_BY_HEAD = 4.0
HEAD_BREADTH_M, HEAD_DEPTH_M = 0.145, 0.12
"""Between an adult's ears, and from between them to the tip of the nose."""
SURE_POSE_M = 0.04
"""Standard deviation of a pose's joints up to which adults say no more different heights than that. They
differ as much more as a pose is less sure."""
UNLIKELY, LIKELY = 0.2, 0.4
"""Probability of a child below which nothing is said: adults leave each other as they are."""
LEAST_SCORE = 0.3
LEAST_HEIGHT_M = 0.3
MEMORY_S = 1.0

_ANKLES, _HIPS, _SHOULDERS = (
    [H36M17.index(f"{side}_{name}") for side in ("right", "left")] for name in ("ankle", "hip", "shoulder")
)
_NOSE = H36M17.index("nose")
_EARS = (19, 20)
_AXIS, _AXIS_S, _HEIGHT, _HEIGHT_S, _HEAD, _HEAD_S, _SIZE, _VARIANCE = range(3), 3, 4, 5, 6, 7, 8, 9

Array = NDArray[np.float64]


class Company:
    """Everybody in view, as one frame has them and as they were before.

    Args:
        numbers: (P, 10) what is remembered; zeros for somebody new.

    Attributes:
        numbers: what is to be remembered.
    """

    NUMBERS = 10

    def __init__(self, numbers: Array) -> None:
        self.numbers = numbers.copy()

    @property
    def size(self) -> Array:
        """(P,) logarithm of how much larger the poses are than the bodies."""
        return self.numbers[:, _SIZE]

    @property
    def variance(self) -> Array:
        """(P,) of the depth, relative, for what is not sure of the size."""
        return self.numbers[:, _VARIANCE]

    def see(
        self, pose: Array, bones: Array, axis: Array, root: Array, rays: Array, score: Array, dt: Array,
        up: Array | None, spread: Array,
    ) -> None:  # fmt: skip
        """Take in one frame.

        Args:
            pose: (P, 17, 3) m, relative to the root.
            bones, axis: (P,) and (P, 3) m, from between the ankles to the thorax: bones, distance.
            root: (P, 3) m, NaN where it is not known.
            rays: (P, 21, 2) tangents.
            score: (P, 21).
            dt: (P,) s.
            up: (3,) unit vector, where it is known.
            spread: (P,) standard deviation of the joints of the poses, m.
        """
        known = np.isfinite(root[:, 2])
        length = np.linalg.norm(axis, axis=1)
        with np.errstate(all="ignore"):
            upright = np.asarray(known & (length > STRAIGHT * bones))
            self._average(_AXIS, _AXIS_S, axis / length[:, None], upright, dt)
            here = np.asarray(known & (self.numbers[:, _AXIS_S] > 0))
            if up is None:
                up = self.numbers[here][:, _AXIS].sum(axis=0)
                up = up / np.linalg.norm(up)
            feet = pose[:, _ANKLES] + root[:, None]
            seen = score[:, _ANKLES] > LEAST_SCORE
            below = np.where(seen, -feet @ up, -np.inf).max(axis=1)
            stands = np.asarray(upright & (below > LEAST_HEIGHT_M))
            self._average([_HEIGHT], _HEIGHT_S, np.log(below)[:, None], stands, dt)
            head, sure = self._head(rays, score, root[:, 2])
            self._average([_HEAD], _HEAD_S, head[:, None], np.asarray(known & sure), dt)
        self._compare(np.asarray(here & (self.numbers[:, _HEIGHT_S] > 0)), spread)

    def _average(
        self, what: range | list[int], clock: int, value: Array, where: NDArray[np.bool_], dt: Array
    ) -> None:
        """Running means of (P, N) values, of those ``where`` they are to be taken in."""
        seconds = self.numbers[:, clock] + np.maximum(dt, 1e-6)
        gain = np.maximum(1.0 - np.exp(-dt / MEMORY_S), np.maximum(dt, 1e-6) / seconds)
        taken = (where & np.isfinite(value).all(axis=1))[:, None]
        columns = slice(what[0], what[-1] + 1)
        before = self.numbers[:, columns]
        self.numbers[:, columns] = np.where(taken, before + gain[:, None] * (value - before), before)
        self.numbers[:, clock] = np.where(taken[:, 0], seconds, self.numbers[:, clock])

    @staticmethod
    def _head(rays: Array, score: Array, z: Array) -> tuple[Array, NDArray[np.bool_]]:
        """(P,) size of the head compared with an adult's, as a logarithm, and (P,) whether it was seen.

        Ears and nose, across the trunk: from the front the ears tell, from the side the nose.
        """
        trunk = rays[:, _SHOULDERS].sum(axis=1) - rays[:, _HIPS].sum(axis=1)
        across = np.stack([-trunk[:, 1], trunk[:, 0]], axis=1) / np.linalg.norm(trunk, axis=1)[:, None]
        ears = rays[:, _EARS[0]] - rays[:, _EARS[1]]
        nose = rays[:, _NOSE] - 0.5 * (rays[:, _EARS[0]] + rays[:, _EARS[1]])
        broad, deep = (np.abs((part * across).sum(axis=1)) * z for part in (ears, nose))
        size = np.log(np.hypot(broad / HEAD_BREADTH_M, deep / HEAD_DEPTH_M))
        return size, np.asarray((score[:, [_NOSE, *_EARS]] > LEAST_SCORE).all(axis=1))

    def _compare(self, here: NDArray[np.bool_], spread: Array) -> None:
        """Everybody's size, from what all say of the camera's height."""
        who = np.flatnonzero(here)
        if len(who) < 2:
            return
        n = self.numbers[who]
        tried = (n[:, _HEIGHT, None] + np.linspace(-0.12, 0.12, 13)).ravel()
        size = tried - n[:, _HEIGHT, None]  # (P, G)
        less_sure = np.maximum(1.0, spread[who, None] / SURE_POSE_M) ** 2
        first = FIRST_NOISE / np.sqrt(1.0 + n[:, _HEIGHT_S, None] / SETTLED_S)
        noise = np.hypot(ADULT_NOISE * less_sure, first)
        adult = ADULTS * np.exp(-0.5 * (size / noise) ** 2) / (noise * np.sqrt(2 * np.pi))
        child = np.where((size > SMALLEST) & (size < LARGEST_CHILD), CHILDREN / (LARGEST_CHILD - SMALLEST), 0)
        child = child * np.exp(self._by_head(n, size))
        elsewhere = np.where(np.abs(size) < APART, ELSEWHERE / (2 * APART), 1e-6)
        total = adult + child + elsewhere
        weight = np.log(total).sum(axis=0)
        weight = np.exp(weight - weight.max())
        share = weight / weight.sum() * child / total  # (P, G) of each size, of children
        mean = (share * size).sum(axis=1)
        square = (share * size * size).sum(axis=1)
        heard = np.clip((share.sum(axis=1) - UNLIKELY) / (LIKELY - UNLIKELY), 0.0, 1.0)
        self.numbers[who, _SIZE] = -mean * heard
        self.numbers[who, _VARIANCE] = np.maximum(square - mean * mean, 0.0) * heard

    @staticmethod
    def _by_head(n: Array, size: Array) -> Array:
        """(P, G) logarithm of how much better the head fits a child of that size than an adult."""
        head, seconds = n[:, _HEAD, None], n[:, _HEAD_S, None]
        noise = HEAD_NOISE**2 + FIRST_HEAD_NOISE**2 / (1.0 + seconds / SETTLED_S)
        off = head + HEAD_GROWS * size
        better = np.where(seconds > 0, (head * head - off * off) / (2 * noise), 0.0)
        return np.clip(better, -MOST_BY_HEAD, MOST_BY_HEAD)
