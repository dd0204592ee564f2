"""Where the optimisation begins: anchor poses, turned as the rays ask for.

The paper turns one anchor about the vertical axis until it fits, by 500 gradient steps. Here every
anchor is compared in every direction at once: under weak perspective the best scale and shift of a
turned anchor are a closed form, so a few matrix products rank thousands of candidates.

Letters for shapes: P people, N hypotheses, A anchors, Y directions, C = A Y candidates.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Single = NDArray[np.float32]

DIRECTIONS = 24
ELEVATION_STEP = np.deg2rad(15.0)
"""Candidates are prepared for a person's elevation in steps of this."""
POOL = 48
"""Best candidates among which different ones are chosen."""
APART_M = 0.08
"""Root mean square distance of joints by which two starts should differ."""


class Anchors:
    """Anchor poses and their views.

    Args:
        poses: (A, 17, 3) m, relative to the hip, upright, y down.
        directions: in which each is looked at, evenly around the vertical.
    """

    def __init__(self, poses: Array, directions: int = DIRECTIONS) -> None:
        angle = np.arange(directions, dtype=np.float64) * (2 * np.pi / directions)
        turned = poses[:, None] @ _about_y(angle).swapaxes(1, 2)
        self._turned: Array = turned.reshape(-1, 17, 3)
        self._views: dict[int, tuple[Single, Single, Single]] = {}

    def __len__(self) -> int:
        return len(self._turned)

    def begin(self, rays: Array, weight: Array, count: int) -> Array:
        """The poses that fit best and are different.

        Args:
            rays: (P, 17, 3) unit vectors in level axes, y down.
            weight: (P, 17) of each joint, of any scale; not all 0.
            count: N.

        Returns:
            (P, N, 17, 3) m in the same axes, best first.
        """
        out = np.empty((len(rays), count, 17, 3))
        axes = facing(rays, weight)
        share = weight / weight.sum(-1, keepdims=True)
        for i, (ray, w, turn) in enumerate(zip(rays, share, axes, strict=True)):
            # The third axis looks at the person: how far it points down is how far the camera looks down.
            elevation = float(np.arcsin(np.clip(turn[2, 1], -1.0, 1.0)))
            fits = self._fitting(ray @ turn.T, w, elevation)
            candidates = self._turned[fits] @ (turn.T @ _about_x(elevation)).T
            out[i] = candidates[_different(candidates, count)] if count > 1 else candidates[:1]
        return out

    def _fitting(self, rays: Array, weight: Array, elevation: float) -> NDArray[np.int64]:
        """Indices of the candidates that fit best, best first; ``rays`` in the axes that face the person."""
        tangents = rays[:, :2] / np.maximum(rays[:, 2:], 0.05)
        tangents -= weight @ tangents
        x, y, square = self._view(round(elevation / ELEVATION_STEP))
        w = weight.astype(np.float32)
        u, v = (weight * tangents.T).astype(np.float32)
        fit = np.maximum(x @ u + y @ v, 1e-9)
        spread = np.maximum(square @ w - (x @ w) ** 2 - (y @ w) ** 2, 1e-9)
        # The best scale of a candidate is fit / spread. What is left is compared in metres at the person.
        around = float(weight @ (tangents**2).sum(1))
        misfit = around * (spread / fit) ** 2 - spread
        if len(misfit) > POOL:
            pool = np.argpartition(misfit, POOL)[:POOL]
            return np.asarray(pool[np.argsort(misfit[pool])])
        return np.argsort(misfit)

    def _view(self, step: int) -> tuple[Single, Single, Single]:
        """x, y and x^2 + y^2 (C, 17) of the candidates, seen at an elevation."""
        if step not in self._views:
            tilted = self._turned @ _about_x(step * ELEVATION_STEP).T
            x, y = (np.ascontiguousarray(tilted[..., i], dtype=np.float32) for i in (0, 1))
            self._views[step] = x, y, x * x + y * y
        return self._views[step]


def _different(candidates: Array, count: int) -> list[int]:
    """Indices of ``count`` candidates, best first, that lie apart; others fill up what is missing."""
    flat = candidates.reshape(len(candidates), -1)
    chosen, nearest = [0], np.full(len(flat), np.inf)
    while len(chosen) < min(count, len(flat)):
        off = flat - flat[chosen[-1]]
        nearest = np.minimum(nearest, np.sqrt((off * off).sum(-1) / 17))
        apart = np.flatnonzero(nearest > APART_M)
        apart = apart[apart > chosen[-1]]
        if not len(apart):
            break
        chosen.append(int(apart[0]))
    taken = set(chosen)
    chosen += [i for i in range(len(flat)) if i not in taken][: count - len(chosen)]
    return [chosen[i % len(chosen)] for i in range(count)]


def facing(rays: Array, weight: Array) -> Array:
    """Axes that look at people with x level: rows of (P, 3, 3).

    Args:
        rays: (P, 17, 3) unit vectors in level axes, y down.
        weight: (P, 17).
    """
    z = (weight[..., None] * rays).sum(1)
    z /= np.linalg.norm(z, axis=-1, keepdims=True)
    x = np.stack([z[:, 2], np.zeros(len(z)), -z[:, 0]], axis=-1)
    length = np.linalg.norm(x, axis=-1, keepdims=True)
    x = np.where(length > 1e-6, x / np.maximum(length, 1e-6), [1.0, 0.0, 0.0])
    return np.stack([x, np.cross(z, x), z], axis=1)


def level_axes(up: Array | None) -> Array:
    """(3, 3) the shortest turn to axes whose y points down; none where ``up`` (3,) is not known."""
    if up is None:
        return np.eye(3)
    down = np.array([0.0, 1.0, 0.0])
    cosine = float(-up @ down)
    if cosine < -0.9999:
        return np.diag([-1.0, -1.0, 1.0])
    x, y, z = np.cross(-up, down)
    skew = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.asarray(np.eye(3) + skew + skew @ skew / (1.0 + cosine))


def _about_x(angle: float) -> Array:
    """(3, 3) from level axes to axes whose z points down by ``angle``, rad."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


def _about_y(angle: Array) -> Array:
    """(n, 3, 3) turns about the vertical by ``angle`` (n,), rad."""
    c, s, zero, one = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
    return np.stack([c, zero, s, zero, one, zero, -s, zero, c], axis=-1).reshape(-1, 3, 3)
