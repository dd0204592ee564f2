"""Images with any number of real people: one person of a video, side by side.

Whole images of one person say nothing of three, and videos of six people are rare. So one person is cut
out of a video, frame by frame, and put into the image as often as asked. Everyone is then as large as in
the image with most people, and all of them move.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import InputError, People2D
from diffpose_ros.frontend import FrontEnd

Image = NDArray[np.uint8]
MARGIN = 1.35
"""Height of the cut-out, in heights of the person."""
LEAST_FRAMES = 10
GREY = 114


class NobodySeenError(InputError):
    """Nobody is seen for long enough."""


def follow(
    frames: Iterable[tuple[Image, int]], front_end: FrontEnd, most: int
) -> tuple[range, NDArray[np.float64]]:
    """Whoever is seen for the longest time without a gap.

    Args:
        frames: images and their times, nanoseconds.
        front_end: finds people.
        most: images to look at.

    Returns:
        Which images those are, and for each the person's middle and height (F, 3), pixels.

    Raises:
        NobodySeenError: nobody is seen in ten images in a row.
    """
    boxes: dict[int, list[tuple[int, float, float, float]]] = {}
    for i, (rgb, t_ns) in enumerate(frames):
        if i == most:
            break
        for k, track in _boxes(front_end.see(rgb, t_ns)).items():
            boxes.setdefault(k, []).append((i, *track))
    runs = [run for rows in boxes.values() for run in _without_gaps(rows)]
    best = max(runs, key=len, default=[])
    if len(best) < LEAST_FRAMES:
        raise NobodySeenError(f"expected somebody in {LEAST_FRAMES} images in a row, got {len(best)} images")
    return range(best[0][0], best[-1][0] + 1), np.array([row[1:] for row in best])


def cut_out(images: Iterable[Image], boxes: NDArray[np.float64], width: int, height: int) -> list[Image]:
    """The person of each image in a tile of ``width`` x ``height`` pixels, always at the same scale."""
    scale = height / (MARGIN * boxes[:, 2].max())
    tiles = []
    for image, (x, y, _) in zip(images, boxes, strict=True):
        matrix = np.array([[scale, 0, width / 2 - scale * x], [0, scale, height / 2 - scale * y]])
        tiles.append(
            np.asarray(
                cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8
            )
        )
    return tiles


def side_by_side(tiles: Sequence[Image], frame: int, people: int, width: int) -> Image:
    """An image of ``width`` pixels with ``people`` of the cut-outs, each at another moment of them.

    The moments run to and fro, so that nobody leaps from the last to the first.
    """
    height, each = tiles[0].shape[:2]
    if people * each > width:
        raise InputError(f"{people} people of {each} pixels do not fit into {width}")
    scene = np.full((height, width, 3), GREY, np.uint8)
    left = (width - people * each) // 2
    period = 2 * (len(tiles) - 1)
    for k in range(people):
        at = (frame + k * period // people) % period
        scene[:, left + k * each : left + (k + 1) * each] = tiles[min(at, period - at)]
    return scene


def _boxes(people: People2D) -> dict[int, tuple[float, float, float]]:
    """Id -> middle and height of what is seen of each."""
    found = {}
    for k, track in enumerate(people.track_id.tolist()):  # type: ignore[union-attr]
        xy = people.xy[k][people.score[k] > 0]
        if len(xy):
            low, high = xy.min(axis=0), xy.max(axis=0)
            middle = (low + high) / 2
            found[track] = float(middle[0]), float(middle[1]), float(high[1] - low[1])
    return found


def _without_gaps(
    rows: list[tuple[int, float, float, float]],
) -> Iterable[list[tuple[int, float, float, float]]]:
    start = 0
    for i in range(1, len(rows) + 1):
        if i == len(rows) or rows[i][0] != rows[i - 1][0] + 1:
            yield rows[start:i]
            start = i
