"""Where a depth camera sees a body, and how far behind that its bones lie.

Sites lie on the axes of trunk and limbs, where the body is widest around them: at the joints and along
outlines, depth images show what is behind. Letters for shapes: P people, S sites, K pixels of a patch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import H36M17, Camera
from diffpose_ros.core.depth import FARTHEST_M, NEAREST_M, DepthImage

_J = H36M17.index
_TABLE = (
    # from, to, share of the way, half the width and half the thickness of the body there, m
    ("hip", "thorax", 0.10, 0.165, 0.115),
    ("hip", "thorax", 0.30, 0.150, 0.105),
    ("hip", "thorax", 0.55, 0.150, 0.110),
    ("hip", "thorax", 0.80, 0.160, 0.110),
    ("right_hip", "right_knee", 0.40, 0.080, 0.080),
    ("right_hip", "right_knee", 0.65, 0.070, 0.070),
    ("left_hip", "left_knee", 0.40, 0.080, 0.080),
    ("left_hip", "left_knee", 0.65, 0.070, 0.070),
    ("right_knee", "right_ankle", 0.35, 0.055, 0.055),
    ("left_knee", "left_ankle", 0.35, 0.055, 0.055),
)
FROM = np.array([_J(a) for a, *_ in _TABLE])
TO = np.array([_J(b) for _, b, *_ in _TABLE])
SHARE = np.array([s for _, _, s, _, _ in _TABLE])
HALF_WIDTH = np.array([w for *_, w, _ in _TABLE])
HALF_THICKNESS = np.array([t for *_, t in _TABLE])
SITES = len(_TABLE)
TRUNK = SHARE.size - 6
"""The first so many sites belong to the trunk."""

PATCH = 5
"""Pixels of a patch's side."""
LEAST_HIT = 0.5
"""Share of a patch that must have a depth."""
FLYING_M = 0.06
"""A patch whose depths spread wider than this lies across an edge."""
LOOKS = 4
"""Steps along a ray to where it meets an unregistered depth image's surface."""
AGREE_M = 0.02
_LIMBS = [
    (f"{side}_{a}", f"{side}_{b}")
    for side in ("right", "left")
    for a, b in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))
]
LIMB_FROM, LIMB_TO = (np.array([_J(joints[k]) for joints in _LIMBS]) for k in (0, 1))
LIMB_RADIUS_M = np.array([0.07, 0.06, 0.10, 0.08] * 2)
"""So near to a limb's axis its flesh, or a patch's edge, may be what is seen, m."""
NEARER_M = 0.05
RIGHT_HIP, LEFT_HIP = _J("right_hip"), _J("left_hip")


def at_sites(joints: NDArray[np.float64]) -> NDArray[np.float64]:
    """(P, S, C) of joints (P, >= 17, C), H36M-17 first: rays, or places."""
    start = joints[:, FROM]
    return np.asarray(start + SHARE[:, None] * (joints[:, TO] - start))


def surface_depth(
    image: DepthImage, pixels: NDArray[np.float64], rays: NDArray[np.float64], score: NDArray[np.float64],
    guess: NDArray[np.float64],
) -> NDArray[np.float64]:  # fmt: skip
    """Depth of the body's surface at each site, in the colour camera's frame.

    Args:
        image: registered, or with its own camera.
        pixels: (P, S, 2) sites in the raw colour image, for a registered image.
        rays: (P, S, 2) their tangents.
        score: (P, S); sites scored 0 are not looked at.
        guess: (P,) about how far away people are, m, for an unregistered image.

    Returns:
        (P, S) m; NaN for holes, edges and what no depth camera measures.
    """
    own = image.camera
    z = _patches(image.z, pixels) if own is None else _along_rays(image, own, rays, guess)
    return np.where((score > 0) & (z > NEAREST_M) & (z < FARTHEST_M), z, np.nan)


def bone_behind_surface(pose: NDArray[np.float64], rays: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much deeper the bone lies than the surface before it, (P, S) m.

    The trunk is an ellipse across its axis, wider from side to side than from front to back.

    Args:
        pose: (P, 17, 3) m.
        rays: (P, S, 2).
    """
    view = np.concatenate([rays, np.ones((*rays.shape[:2], 1))], axis=2)
    view /= np.linalg.norm(view, axis=2, keepdims=True)
    axis = pose[:, TO] - pose[:, FROM]
    axis = axis / np.maximum(np.linalg.norm(axis, axis=2, keepdims=True), 1e-6)
    side = pose[:, LEFT_HIP] - pose[:, RIGHT_HIP]
    side = (side / np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-6))[:, None]
    along = (view * axis).sum(axis=2)
    lateral = (view * side).sum(axis=2) - along * (side * axis).sum(axis=2)
    across2 = np.maximum(1.0 - along**2, 0.04)  # what is left of the view across the bone
    lateral2 = np.minimum(lateral**2, across2)
    reach = 1.0 / np.sqrt(lateral2 / HALF_WIDTH**2 + (across2 - lateral2) / HALF_THICKNESS**2)
    return np.asarray(reach * view[..., 2])


def behind_limbs(
    pose: NDArray[np.float64], rays: NDArray[np.float64], z: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Sites that an arm or the other leg hides, as the pose has it: from the side, an arm hangs before
    the trunk.

    Args:
        pose: (P, 17, 3) m, relative to the root.
        rays: (P, 17, 2) tangents of the joints.
        z: (P,) depth of the root, m.

    Returns:
        (P, S).
    """
    site, site_z = at_sites(rays)[:, :, None], at_sites(pose)[:, :, None, 2]
    start, end = rays[:, None, LIMB_FROM], rays[:, None, LIMB_TO]
    limb = end - start
    share = ((site - start) * limb).sum(axis=3) / np.maximum((limb * limb).sum(axis=3), 1e-9)
    share = share.clip(0.0, 1.0)
    apart = np.linalg.norm(site - start - share[..., None] * limb, axis=3) * z[:, None, None]
    limb_z = pose[:, None, LIMB_FROM, 2]
    limb_z = limb_z + share * (pose[:, None, LIMB_TO, 2] - limb_z)
    own = (FROM[:, None] == LIMB_FROM) & (TO[:, None] == LIMB_TO)
    return np.asarray(((apart < LIMB_RADIUS_M) & (limb_z < site_z - NEARER_M) & ~own).any(axis=2))


def _patches(z: NDArray[np.floating], pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """(...,) median depth around pixels (..., 2); NaN where a patch is a hole or an edge."""
    height, width = z.shape
    half = PATCH // 2
    step = np.arange(-half, half + 1)
    column = np.rint(np.nan_to_num(pixels[..., 0], nan=-1e6)).clip(-1e6, 1e6).astype(np.int64)
    row = np.rint(np.nan_to_num(pixels[..., 1], nan=-1e6)).clip(-1e6, 1e6).astype(np.int64)
    columns, rows = column[..., None, None] + step, row[..., None, None] + step[:, None]
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    values = z[rows.clip(0, height - 1), columns.clip(0, width - 1)].astype(np.float64)
    hit = inside & np.isfinite(values) & (values > NEAREST_M)
    values = np.sort(np.where(hit, values, np.inf).reshape(*column.shape, PATCH * PATCH), axis=-1)
    count = hit.sum(axis=(-2, -1))
    enough = count >= LEAST_HIT * PATCH * PATCH
    rank = np.stack([0.15 * count, 0.5 * count, 0.85 * count], axis=-1).astype(np.int64)
    ranked = np.where(enough[..., None], np.take_along_axis(values, rank.clip(0, PATCH**2 - 1), axis=-1), 0.0)
    return np.where(enough & (ranked[..., 2] - ranked[..., 0] < FLYING_M), ranked[..., 1], np.nan)


def _along_rays(
    image: DepthImage, camera: Camera, rays: NDArray[np.float64], guess: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Walk along each ray of the colour camera until the depth image has its surface there."""
    view = np.concatenate([rays, np.ones((*rays.shape[:2], 1))], axis=2)
    r, t = image.rotation, image.translation
    assert r is not None
    assert t is not None
    z = np.repeat(guess[:, None], rays.shape[1], axis=1)
    last = z
    for _ in range(LOOKS):
        here = (view * z[..., None] - t) @ r  # in the depth camera's frame
        front = here[..., 2] > 0.05
        tangents = here[..., :2] / np.where(front, here[..., 2], 1.0)[..., None]
        pixels = tangents @ camera.matrix[:2, :2].T + camera.matrix[:2, 2]
        seen = np.where(front, _patches(image.z, np.where(front[..., None], pixels, np.nan)), np.nan)
        point = np.concatenate([tangents * seen[..., None], seen[..., None]], axis=2) @ r.T + t
        last, z = z, np.where(np.isfinite(seen), point[..., 2], z)
    known = np.isfinite(seen) & (np.abs(z - last) < AGREE_M)
    return np.where(known, z, np.nan)
