"""Triangles to pixels."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("warp", reason="warp is not installed: pip install 'diffpose_ros[render]'")

from diffpose_ros.rendering import raster

K = np.array([[100.0, 0, 50], [0, 100, 50], [0, 0, 1]])


def triangle(z: tuple[float, float, float]) -> np.ndarray:
    return np.array(
        [[-0.4 * z[0], -0.4 * z[0], z[0]], [0.4 * z[1], -0.4 * z[1], z[1]], [0, 0.4 * z[2], z[2]]]
    )


def test_depth_is_that_of_the_plane_and_the_nearer_triangle_wins() -> None:
    corners = np.concatenate([triangle((2, 2, 2)), triangle((1.5, 1.5, 4))])
    layer = raster.draw(
        corners, np.repeat([[1.0, 0, 0], [0, 1.0, 0]], 3, axis=0), np.array([[0, 1, 2], [3, 4, 5]]),
        np.array([0, 1]), K, (100, 100),
    )  # fmt: skip
    a, b, c = corners[3:]
    normal = np.cross(b - a, c - a)
    y, x = np.argwhere(layer.owner == 1)[0]
    ray = np.array([(x - 50) / 100, (y - 50) / 100, 1.0])
    assert layer.depth[y, x] == pytest.approx((a @ normal) / (ray @ normal), rel=1e-5)
    both = np.isfinite(layer.depth)
    assert (layer.owner[layer.depth < 1.99] == 1).all() and (layer.depth[both] < 2.001).all()
    assert (layer.colour[layer.owner == 0] == [1, 0, 0]).all()
    assert (layer.owner[~both] == -1).all() and not layer.colour[~both].any()


def test_what_lies_behind_the_camera_or_reaches_there_is_not_drawn() -> None:
    corners = np.concatenate([triangle((-2, -2, -2)), triangle((1, 1, -1))])
    layer = raster.draw(
        corners, np.ones((6, 3)), np.array([[0, 1, 2], [3, 4, 5]]), np.array([0, 1]), K, (60, 40)
    )
    assert layer.depth.shape == (40, 60) and (layer.owner == -1).all()


def test_normals_of_a_box_point_outwards() -> None:
    from diffpose_ros.rendering.draw import box

    thing = box(np.array([1.0, 0, 2]), np.array([0.5, 1.0, 0.7]), np.random.default_rng(0))
    outward = thing.corners - [1.0, 0.5, 2.0]
    assert ((raster.normals(thing.corners, thing.faces) * outward).sum(-1) > 0).all()
    assert thing.corners[:, 1].min() == pytest.approx(0, abs=1e-6)
