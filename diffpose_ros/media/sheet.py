"""A sheet of thumbnails: what was found, as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import H36M17, InputError
from diffpose_ros.core.colours import SIDE_COLOURS
from diffpose_ros.core.files import write_bytes
from diffpose_ros.media.video import open_source

SIDE = 240
"""Of a thumbnail, pixels."""
LABEL = 44
AROUND = 0.25
"""How much of the surroundings a thumbnail shows, as a share of the person's box."""
BACK, INK = (24, 26, 30), (225, 228, 232)
ENDINGS = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class Thumbnail:
    """One place of the sheet.

    Attributes:
        lines: what stands below it.
        pose: (17, 3) metres, x forward, y left, z up, drawn where there is no image.
        video: where its image is; empty: nowhere.
        frame: number of the frame there.
        box: (4,) left, top, right, bottom, pixels; NaN: the whole image.
    """

    lines: Sequence[str]
    pose: NDArray
    video: str = ""
    frame: int = 0
    box: Sequence[float] | NDArray = (float("nan"),) * 4


def write_sheet(path: Path, thumbnails: Sequence[Thumbnail], columns: int = 5) -> int:
    """Write a PNG or JPEG.

    Returns:
        How many thumbnails show an image; the others show a drawn pose.

    Raises:
        InputError: it cannot be written.
    """
    images = _images(thumbnails)
    columns = max(1, min(columns, len(thumbnails)))
    rows = -(-len(thumbnails) // columns)
    sheet = np.full((rows * (SIDE + LABEL), columns * SIDE, 3), BACK, np.uint8)
    for k, one in enumerate(thumbnails):
        top, left = k // columns * (SIDE + LABEL), k % columns * SIDE
        image = images[k]
        sheet[top : top + SIDE, left : left + SIDE] = drawn(one.pose) if image is None else image
        for n, text in enumerate(one.lines[:2]):
            at = (left + 6, top + SIDE + 17 + 18 * n)
            plain = text.encode("ascii", "replace").decode()
            cv2.putText(sheet, plain[:34], at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, INK, 1, cv2.LINE_AA)
    done, data = cv2.imencode(path.suffix.lower(), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    if not done:
        raise InputError(f"{path}: cannot be written as a picture")
    write_bytes(path, data.tobytes())
    return sum(image is not None for image in images)


def _images(thumbnails: Sequence[Thumbnail]) -> list[NDArray[np.uint8] | None]:
    """The part of the image of each, where there is one; each video is read once."""
    out: list[NDArray[np.uint8] | None] = [None] * len(thumbnails)
    for video in {one.video for one in thumbnails if one.video}:
        wanted = {k: one for k, one in enumerate(thumbnails) if one.video == video}
        last = max(one.frame for one in wanted.values())
        try:
            with open_source(video) as source:
                for number, (image, _) in enumerate(source):
                    for k, one in wanted.items():
                        if one.frame == number:
                            out[k] = cut(image, np.asarray(one.box, dtype=np.float64))
                    if number >= last:
                        break
        except InputError:
            continue  # moved or deleted since: the pose is drawn
    return out


def cut(image: NDArray[np.uint8], box: NDArray) -> NDArray[np.uint8]:
    """(SIDE, SIDE, 3) the part of an image around a box, on a ground where it is not square."""
    height, width = image.shape[:2]
    if np.isfinite(box).all() and box[2] > box[0] and box[3] > box[1]:
        half = (0.5 + AROUND) * max(box[2] - box[0], box[3] - box[1])
        x, y = 0.5 * (box[0] + box[2]), 0.5 * (box[1] + box[3])
        x0, x1 = int(max(0, x - half)), int(min(width, x + half + 1))
        y0, y1 = int(max(0, y - half)), int(min(height, y + half + 1))
        if x1 - x0 > 1 and y1 - y0 > 1:
            image = image[y0:y1, x0:x1]
    height, width = image.shape[:2]
    scale = SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    out = np.full((SIDE, SIDE, 3), BACK, np.uint8)
    top, left = (SIDE - size[1]) // 2, (SIDE - size[0]) // 2
    out[top : top + size[1], left : left + size[0]] = small
    return out


def drawn(pose: NDArray) -> NDArray[np.uint8]:
    """(SIDE, SIDE, 3) a pose as lines, from the front and a little from its left."""
    turn = np.radians(25.0)
    right = np.array([np.sin(turn), -np.cos(turn), 0.0])
    flat = np.stack([np.asarray(pose) @ right, -np.asarray(pose)[:, 2]], axis=1)
    low, high = flat.min(axis=0), flat.max(axis=0)
    scale = 0.8 * SIDE / max(float((high - low).max()), 0.5)
    points = np.rint((flat - 0.5 * (low + high)) * scale + SIDE / 2).astype(int)
    out = np.full((SIDE, SIDE, 3), BACK, np.uint8)
    for a, b in H36M17.bones:
        colour = SIDE_COLOURS[H36M17.bone_side(a, b)]
        cv2.line(out, points[a].tolist(), points[b].tolist(), colour, 3, cv2.LINE_AA)
    return out
