"""A depth camera that looks at a simple body: tubes around its bones, with noise, holes and edges."""

from __future__ import annotations

import numpy as np

from diffpose_ros.core import H36M17, Camera

J = H36M17.index
SMALL = Camera(matrix=np.array([[300.0, 0, 160], [0, 300.0, 120], [0, 0, 1]]), width=320, height=240)
TUBES = (
    ("hip", "thorax", 0.155, 0.11), ("thorax", "head_top", 0.08, 0.09),
    ("right_hip", "right_knee", 0.075, 0.075), ("left_hip", "left_knee", 0.075, 0.075),
    ("right_knee", "right_ankle", 0.055, 0.055), ("left_knee", "left_ankle", 0.055, 0.055),
    ("right_shoulder", "right_elbow", 0.045, 0.045), ("left_shoulder", "left_elbow", 0.045, 0.045),
    ("right_elbow", "right_wrist", 0.035, 0.035), ("left_elbow", "left_wrist", 0.035, 0.035),
)  # fmt: skip
"""From, to, half the width and half the thickness, m."""


def points_of(pose, size=1.0):
    """(N, 3) all over the surface of a pose (17, 3)."""
    side = pose[J("left_hip")] - pose[J("right_hip")]
    side /= np.linalg.norm(side)
    out = []
    along, around = np.meshgrid(np.linspace(0, 1, 100), np.linspace(0, 2 * np.pi, 100))
    for a, b, wide, thick in TUBES:
        axis = pose[J(b)] - pose[J(a)]
        across = side - (side @ axis) / (axis @ axis) * axis
        across /= np.linalg.norm(across)
        front = np.cross(axis / np.linalg.norm(axis), across)
        ring = wide * np.cos(around)[..., None] * across + thick * np.sin(around)[..., None] * front
        out.append((pose[J(a)] + along[..., None] * axis + size * ring).reshape(-1, 3))
    return np.concatenate(out)


def render(points, camera=SMALL, *, wall_m=8.0, rng=None, noise=0.004):
    """(H, W) float32 metres of points in the depth camera's frame, before a wall; with ``rng``, as
    :func:`sensed`."""
    z = np.full((camera.height, camera.width), wall_m)
    tangents = points[:, :2] / points[:, 2:]
    pixels = np.rint(tangents @ camera.matrix[:2, :2].T + camera.matrix[:2, 2]).astype(int)
    inside = ((pixels >= 0) & (pixels < (camera.width, camera.height))).all(axis=1)
    pixels, depth = pixels[inside], points[inside, 2]
    far_first = np.argsort(-depth)  # of several in one pixel the last one stays
    z[pixels[far_first, 1], pixels[far_first, 0]] = np.minimum(depth[far_first], wall_m)
    return z.astype(np.float32) if rng is None else sensed(z, rng=rng, noise=noise)


def sensed(z, *, rng, noise=0.004):
    """What a sensor makes of depths: noise that grows with the distance, one pixel in ten a hole,
    outlines that fly."""
    edge = np.abs(np.diff(z, axis=1, prepend=z[:, :1])) > 0.3
    z = np.where(edge, rng.uniform(1.0, z.max(), z.shape), z)
    z = z * (1 + noise * rng.normal(size=z.shape))
    z[rng.random(z.shape) < 0.1] = 0
    return z.astype(np.float32)
