"""People drawn over the image they were seen in."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import People2D, joint_set
from diffpose_ros.core.colours import SIDE_COLOURS, Colour

Image = NDArray[np.uint8]
DARK: Colour = (18, 21, 27)
TEXT: Colour = (226, 231, 237)
MUTED: Colour = (138, 147, 160)
FONT = cv2.FONT_HERSHEY_DUPLEX
SUBPIXEL = 4
"""Fractional bits of drawn coordinates, so that lines glide instead of jumping."""


def draw_people(
    image: Image,
    people: People2D,
    *,
    labels: Mapping[int, str] | None = None,
    min_score: float = 0.2,
) -> Image:
    """Draw keypoints, limbs and names over a copy of an image.

    Args:
        image: (H, W, 3) uint8 RGB.
        people: keypoints in this image's pixels.
        labels: track id -> text; a person without one is named by the id, or not at all when
            untracked.
        min_score: keypoints below it are left out.

    Returns:
        A new (H, W, 3) uint8 RGB image.
    """
    out = image.copy()
    unit = max(out.shape[0], out.shape[1]) / 640
    joints = joint_set(people.joint_set)
    for p in range(len(people)):
        xy, score = people.xy[p], people.score[p]
        seen = score >= min_score
        for a, b in joints.bones:
            if seen[a] and seen[b]:
                colour = SIDE_COLOURS[joints.bone_side(a, b)]
                line(out, xy[a], xy[b], DARK, 3.6 * unit)
                line(out, xy[a], xy[b], colour, 2.0 * unit)
        for j in np.flatnonzero(seen):
            dot(out, xy[j], DARK, 2.9 * unit)
            dot(out, xy[j], SIDE_COLOURS[joints.side(int(j))], 2.1 * unit)
        identity = int(people.track_id[p])  # type: ignore[index]
        text = (labels or {}).get(identity, f"#{identity}" if identity >= 0 else "")
        if text and seen.any():
            top = xy[seen][:, 1].min()
            tag(out, text, (float(xy[seen][:, 0].mean()), float(top) - 8 * unit), 0.33 * unit)
    return out


def line(image: Image, a: NDArray, b: NDArray, colour: Colour, width: float) -> None:
    """An anti-aliased line between two points in (fractional) pixels."""
    cv2.line(image, _fixed(a), _fixed(b), colour, max(1, round(width)), cv2.LINE_AA, SUBPIXEL)


def dot(image: Image, centre: NDArray, colour: Colour, radius: float) -> None:
    """An anti-aliased filled circle; centre and radius in (fractional) pixels."""
    scale = 1 << SUBPIXEL
    cv2.circle(image, _fixed(centre), max(1, round(radius * scale)), colour, -1, cv2.LINE_AA, SUBPIXEL)


def text_at(
    image: Image, text: str, origin: tuple[float, float], scale: float, colour: Colour = TEXT
) -> None:
    """Text with its lower left corner at ``origin``, pixels."""
    at = (round(origin[0]), round(origin[1]))
    cv2.putText(image, text, at, FONT, scale, colour, max(1, round(scale * 1.3)), cv2.LINE_AA)


def tag(image: Image, text: str, bottom: tuple[float, float], scale: float) -> None:
    """Text on a dark plate, centred above ``bottom`` and kept inside the image."""
    (width, height), _ = cv2.getTextSize(text, FONT, scale, max(1, round(scale * 1.3)))
    pad = max(3, round(height * 0.45))
    x = int(np.clip(bottom[0] - width / 2, pad, max(pad, image.shape[1] - width - pad)))
    y = int(np.clip(bottom[1], height + pad, image.shape[0] - pad))
    box = image[max(0, y - height - pad) : y + pad, max(0, x - pad) : x + width + pad]
    box[:] = (0.25 * box + 0.75 * np.array(DARK)).astype(np.uint8)
    text_at(image, text, (x, y), scale)


def _fixed(point: NDArray) -> tuple[int, int]:
    limit = 1 << 14
    x, y = np.clip(np.asarray(point, dtype=np.float64), -limit, limit) * (1 << SUBPIXEL)
    return round(float(x)), round(float(y))
