"""From a depth image to the depth of people's surfaces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import Camera
from diffpose_ros.core.depth import STALE_NS, DepthImage
from diffpose_ros.geometry.body_surface import FROM, TO, at_sites, surface_depth
from diffpose_ros.geometry.mapping import coco_to_points

TRUNK_M = 0.5
"""From the middle of the hips to that of the shoulders: a first guess of the distance."""
HIP, THORAX = 0, 8


def unusable(image: DepthImage, camera: Camera, stamp_ns: int) -> str:
    """Why a depth image does not go with a colour image; empty when it does."""
    apart = abs(image.stamp_ns - stamp_ns)
    if apart > STALE_NS:
        late = "more than a second" if apart > 10**9 else f"{round(apart / 1e8) / 10:g} s"
        return f"depth is not used: it was taken {late} apart from the image, at most 0.1 s count"
    if image.camera is None and image.z.shape != (camera.height, camera.width):
        return (
            f"depth is not used: it has {image.z.shape[1]}x{image.z.shape[0]} pixels, the image "
            f"{camera.width}x{camera.height}: give the depth image's own camera_info, or register it"
        )
    return ""


def surfaces(
    image: DepthImage,
    xy: NDArray[np.float64],
    keypoint_score: NDArray[np.float64],
    rays: NDArray[np.float64],
    score: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Depth of people's surfaces.

    Args:
        image: one that is not :func:`unusable`.
        xy: (P, 17, 2) COCO keypoints, pixels of the raw image.
        keypoint_score: (P, 17).
        rays: (P, 21, 2) tangents of the lifter's points.
        score: (P, 21).

    Returns:
        (P, S) m at the sites of :mod:`diffpose_ros.geometry.body_surface`, NaN where there is none.
    """
    pixels, _ = coco_to_points(xy, keypoint_score)
    seen = np.minimum(score[:, FROM], score[:, TO])
    trunk = np.linalg.norm(rays[:, THORAX] - rays[:, HIP], axis=1)
    guess = TRUNK_M / np.maximum(trunk, 0.02)
    return surface_depth(image, at_sites(pixels), at_sites(rays), seen, guess)
