"""What the package's own detector sees of rendered pictures, beside their truth.

``detected/S.npz``, a file for each shard of :mod:`diffpose_ros.rendering.dataset`:

================  ==========================================================================
``keypoints``     (N, 17, 3) x, y in pixels and score of the person in question
``covariance``    (N, 17, 2, 2) pixels^2, as the front end tells it
``found``         (N,) whether anybody was found where the person is
``track``         (N,) the identity that the tracker gave them, -1 where they were not found
================  ==========================================================================

Whoever stands alone is searched for by the truth, moved by some centimetres, instead of by the whole-image
network: crops then have to confirm them, and follow them by what they themselves have seen. That costs a
fraction, and lets hard views be studied that a search would never find. The first frames of a scene are
therefore no measure.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import InputError, People2D
from diffpose_ros.data.formats import archive
from diffpose_ros.rendering.dataset import ARRAYS
from diffpose_ros.rendering.draw import RATE_HZ
from diffpose_ros.rendering.scene import OUTSIDE, VISIBLE

NAMES = ("keypoints", "covariance", "found", "track")
NEAR = 0.35
"""A body is the one seen when its keypoints lie, in the median, this near; of its size in the picture."""


def detect_folder(
    folder: str | Path, *, workers: int = 1, done: Callable[[int], None] = lambda pictures: None
) -> int:
    """Run the detector over all shards that have no ``detected/S.npz`` yet.

    Each scene is a video for the tracked front end, with MoveNet as the node uses it.

    Args:
        folder: that ``render`` made.
        workers: processes.
        done: called with the number of pictures of each shard.

    Returns:
        Pictures looked at, those of earlier runs included.

    Raises:
        InputError: there are no pictures, or one cannot be read.
    """
    folder = Path(folder)
    truths = sorted((folder / "truth").glob("*.npz"))
    if not truths:
        raise InputError(f"{folder}: expected pictures that `diffpose_ros render` made, found no truth/*.npz")
    (folder / "detected").mkdir(exist_ok=True)
    jobs = [path for path in truths if not (folder / "detected" / path.name).exists()]
    total = 0
    for path in truths:
        if path not in jobs:
            total += (count := len(_read(path)["picture"]))
            done(count)
    if workers <= 1 or len(jobs) <= 1:
        for path in jobs:
            total += (count := _detect_shard(path))
            done(count)
        return total
    with multiprocessing.get_context("spawn").Pool(min(workers, len(jobs))) as pool:
        for count in pool.imap(_detect_shard, jobs):
            total += count
            done(count)
    return total


def load_detected(folder: str | Path) -> dict[str, NDArray]:
    """Truth and detections of all shards that have both, one after the other.

    Raises:
        InputError: there are none.
    """
    folder = Path(folder)
    parts: list[dict[str, NDArray]] = []
    for path in sorted((folder / "detected").glob("*.npz")):
        seen = archive.read_plain(path, "detections", NAMES, ())
        truth = _read(folder / "truth" / path.name)
        parts.append({**{k: v for k, v in truth.items() if not k.startswith("others")}, **seen})
    if not parts:
        raise InputError(f"{folder}: expected detections; run `diffpose_ros render --detect` on it first")
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def size_px(coco: NDArray[np.floating]) -> NDArray[np.float64]:
    """How large bodies (..., 17, 2+) are in a picture: the longer of trunk and 1.2 shoulder widths, pixels.

    The measure of :mod:`diffpose_ros.data.virtual.detector_noise`.
    """
    xy = np.asarray(coco[..., :2], np.float64)
    trunk = np.linalg.norm(xy[..., 5:7, :].mean(-2) - xy[..., 11:13, :].mean(-2), axis=-1)
    width = np.linalg.norm(xy[..., 5, :] - xy[..., 6, :], axis=-1)
    return np.asarray(np.maximum(trunk, 1.2 * width), np.float64)


def _read(path: Path) -> dict[str, NDArray]:
    return archive.read_plain(path, "the truth of rendered pictures", tuple(ARRAYS), ())


def _detect_shard(path: Path) -> int:
    from diffpose_ros.frontend import Tracked, TrackedConfig
    from diffpose_ros.tracking import Tracker, TrackerConfig

    cv2.setNumThreads(1)
    folder, truth = path.parents[1], _read(path)
    n = len(truth["picture"])
    keypoints = np.zeros((n, 17, 3), np.float32)
    covariance = np.zeros((n, 17, 2, 2), np.float32)
    track = np.full(n, -1, np.int64)
    # A clock that stands still: how fast this machine is must not change what is seen.
    config = TrackedConfig(in_step=True)
    seeds = _Seeds(path.stem)
    alone = Tracked(config, Tracker(TrackerConfig(min_hits=1)), whole=seeds, timer=lambda: 0.0)
    among = Tracked(config, Tracker(TrackerConfig(min_hits=1)), timer=lambda: 0.0)
    for scene in np.unique(truth["scene"]):
        rows = np.flatnonzero(truth["scene"] == scene)
        rows = rows[np.argsort(truth["frame"][rows])]
        front = among if np.isin(rows, truth["others_row"]).any() else alone
        front.reset()
        for i, row in enumerate(rows):
            image = cv2.imread(str(folder / truth["picture"][row]), cv2.IMREAD_COLOR)
            if image is None:
                raise InputError(f"{folder / truth['picture'][row]}: cannot be read as a picture")
            rgb = np.ascontiguousarray(image[..., ::-1], np.uint8)
            # A picture of its own is looked at twice: the first look finds people, the second crops them.
            seeds.coco, seeds.hidden = truth["coco"][row], truth["hidden"][row]
            for again in range(2 if len(rows) == 1 else 1):
                people = front.see(rgb, round((i + again) * 1e9 / RATE_HZ))
            who = match(people, *_everyone(truth, int(row)))
            if who is not None:
                keypoints[row, :, :2], keypoints[row, :, 2] = people.xy[who], people.score[who]
                if people.covariance is not None:
                    covariance[row] = people.covariance[who]
                track[row] = people.track_id[who]  # type: ignore[index]
    for front in (alone, among):
        front.close()
    arrays = {"keypoints": keypoints, "covariance": covariance, "found": track >= 0, "track": track}
    archive.write_arrays(folder / "detected" / path.name, arrays)
    return n


class _Seeds:
    """A finder that knows: the person in question, moved by a tenth of their size at most."""

    def __init__(self, name: str) -> None:
        self._rng = np.random.default_rng(int(name))
        self.coco: NDArray = np.zeros((17, 3))
        self.hidden: NDArray = np.zeros(17)

    def find(self, rgb: object, *, input_size: int | None = None) -> People2D:
        """See :class:`diffpose_ros.frontend.detectors.protocol.Detector`."""
        there = self.hidden != OUTSIDE
        if there.sum() < 4:
            return People2D.empty()
        size = size_px(self.coco[None])[0]
        xy = (
            self.coco[:, :2] + self._rng.normal(0, 0.05 * size, (17, 2)) + self._rng.normal(0, 0.05 * size, 2)
        )
        score = np.where(there, 0.6, 0.0)
        return People2D(xy=np.where(there[:, None], xy, 0.0)[None], score=score[None])

    def close(self) -> None:
        """Nothing to close."""


def _everyone(truth: dict[str, NDArray], row: int) -> tuple[NDArray, NDArray]:
    others = truth["others_row"] == row
    return (
        np.concatenate([truth["coco"][row][None], truth["others_coco"][others]]),
        np.concatenate([truth["hidden"][row][None], truth["others_hidden"][others]]),
    )


def match(people: People2D, coco: NDArray[np.floating], hidden: NDArray[np.integer]) -> int | None:
    """Which of the people found is the first body; ``None`` where nobody is.

    Args:
        people: what was found.
        coco: (P, 17, 3) everyone's keypoints.
        hidden: (P, 17) what hides them.
    """
    if not len(people):
        return None
    away = np.full((len(people), len(coco)), np.inf)
    for b, (body, why) in enumerate(zip(coco, hidden, strict=True)):
        size = max(size_px(body[None])[0], 4.0)
        for a in range(len(people)):
            both = (people.score[a] > 0) & (why != OUTSIDE)
            clear = both & (why == VISIBLE)
            both = clear if clear.sum() >= 3 else both
            if both.sum() >= 3:
                away[a, b] = np.median(np.linalg.norm(people.xy[a] - body[:, :2], axis=-1)[both]) / size
    best = int(np.argmin(away[:, 0]))
    nearest: Iterable[bool] = (away[best, 0] <= NEAR, away[best].argmin() == 0)
    return best if all(nearest) else None
