"""Triangles to pixels: a z-buffer in one compiled loop on the CPU.

The loop is a kernel of Warp, which Anny needs anyway. It runs as one thread, so that pictures are the same
on every machine.
"""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NEAR_M = 0.05
"""Triangles with a corner nearer than that are not drawn."""


@dataclass(frozen=True)
class Layer:
    """What was drawn.

    Attributes:
        colour: (H, W, 3) float32, light as it reaches the camera.
        depth: (H, W) float32 metres, infinite where nothing was drawn.
        owner: (H, W) int32 whose triangle it was, -1 where nothing was drawn.
    """

    colour: NDArray[np.float32]
    depth: NDArray[np.float32]
    owner: NDArray[np.int32]


@functools.cache
def _kernel() -> tuple[Any, Any]:
    """Warp and the loop; compiling it takes some ten seconds, once on a machine.

    Raises:
        ModuleNotFoundError: warp is not installed.
    """
    import warp as wp

    wp.config.log_level = wp.LOG_ERROR

    @wp.kernel
    def fill(
        corners: wp.array(dtype=wp.vec3),  # type: ignore[valid-type]
        paint: wp.array(dtype=wp.vec3),  # type: ignore[valid-type]
        faces: wp.array2d(dtype=wp.int32),  # type: ignore[valid-type]
        owners: wp.array(dtype=wp.int32),  # type: ignore[valid-type]
        colour: wp.array2d(dtype=wp.vec3),  # type: ignore[valid-type]
        nearness: wp.array2d(dtype=wp.float32),  # type: ignore[valid-type]
        owner: wp.array2d(dtype=wp.int32),  # type: ignore[valid-type]
    ):
        """``corners`` are pixels and 1 / depth, in which planes are linear; colours too, divided by depth."""
        height = nearness.shape[0]
        width = nearness.shape[1]
        for f in range(faces.shape[0]):
            ia = faces[f, 0]
            ib = faces[f, 1]
            ic = faces[f, 2]
            a = corners[ia]
            b = corners[ib]
            c = corners[ic]
            if a[2] > 0.0 and b[2] > 0.0 and c[2] > 0.0:
                area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
                if wp.abs(area) > 1.0e-9:
                    x0 = wp.max(int(wp.ceil(wp.min(a[0], wp.min(b[0], c[0])))), 0)
                    x1 = wp.min(int(wp.floor(wp.max(a[0], wp.max(b[0], c[0])))), width - 1)
                    y0 = wp.max(int(wp.ceil(wp.min(a[1], wp.min(b[1], c[1])))), 0)
                    y1 = wp.min(int(wp.floor(wp.max(a[1], wp.max(b[1], c[1])))), height - 1)
                    for y in range(y0, y1 + 1):
                        py = float(y)
                        for x in range(x0, x1 + 1):
                            px = float(x)
                            u = ((b[0] - px) * (c[1] - py) - (b[1] - py) * (c[0] - px)) / area
                            v = ((c[0] - px) * (a[1] - py) - (c[1] - py) * (a[0] - px)) / area
                            w = 1.0 - u - v
                            if u >= 0.0 and v >= 0.0 and w >= 0.0:
                                near = u * a[2] + v * b[2] + w * c[2]
                                if near > nearness[y, x]:
                                    nearness[y, x] = near
                                    owner[y, x] = owners[f]
                                    mixed = u * a[2] * paint[ia] + v * b[2] * paint[ib] + w * c[2] * paint[ic]
                                    colour[y, x] = mixed / near

    return wp, fill


def draw(
    xyz: NDArray[np.floating],
    paint: NDArray[np.floating],
    faces: NDArray[np.integer],
    owners: NDArray[np.integer],
    matrix: NDArray[np.floating],
    size: tuple[int, int],
) -> Layer:
    """Draw triangles.

    Args:
        xyz: (V, 3) corners, metres, optical frame.
        paint: (V, 3) their colours.
        faces: (F, 3) triangles.
        owners: (F,) whose each is, 0 or more.
        matrix: (3, 3) intrinsics, pixels; the middle of the first pixel is (0, 0).
        size: width, height.
    """
    wp, fill = _kernel()
    width, height = size
    depth = np.asarray(xyz[:, 2], np.float64)
    inverse = np.where(depth > NEAR_M, 1.0 / np.maximum(depth, NEAR_M), 0.0)
    # A corner far outside the picture would overflow the pixels' integers.
    pixels = np.clip((xyz @ np.asarray(matrix).T)[:, :2] * inverse[:, None], -1e6, 1e6)
    corners = np.concatenate([pixels, inverse[:, None]], axis=1).astype(np.float32)
    nearness = np.zeros((height, width), np.float32)
    owner = np.full((height, width), -1, np.int32)
    colour = np.zeros((height, width, 3), np.float32)
    views = [
        wp.array(corners, dtype=wp.vec3, device="cpu"),
        wp.array(np.ascontiguousarray(paint, np.float32), dtype=wp.vec3, device="cpu"),
        wp.array(np.ascontiguousarray(faces, np.int32), dtype=wp.int32, device="cpu"),
        wp.array(np.ascontiguousarray(owners, np.int32), dtype=wp.int32, device="cpu"),
        wp.array(colour, dtype=wp.vec3, device="cpu", copy=False),
        wp.array(nearness, dtype=wp.float32, device="cpu", copy=False),
        wp.array(owner, dtype=wp.int32, device="cpu", copy=False),
    ]
    wp.launch(fill, dim=1, inputs=views, device="cpu")
    with np.errstate(divide="ignore"):
        return Layer(colour, 1.0 / nearness, owner)


def normals(xyz: NDArray[np.floating], faces: NDArray[np.integer]) -> NDArray[np.float32]:
    """Unit normals (V, 3) of corners: the mean of their triangles', by area."""
    a, b, c = (xyz[faces[:, i]] for i in range(3))
    cross = np.cross(b - a, c - a)
    out = np.stack(
        [
            sum(np.bincount(faces[:, i], weights=cross[:, k], minlength=len(xyz)) for i in range(3))
            for k in range(3)
        ],
        axis=1,
    )
    return np.asarray(out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12), np.float32)
