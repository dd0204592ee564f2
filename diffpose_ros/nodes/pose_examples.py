"""Skeletons of a file that shows what is taught: lifted already, in a bag, a picture or a video."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from diffpose_ros.core import Camera, InputError
from diffpose_ros.core.files import expanded
from diffpose_ros.frontend import make_front_end
from diffpose_ros.lifting import Lifter, LifterConfig
from diffpose_ros.media.bag_reader import is_bag, read_skeletons
from diffpose_ros.media.places import is_live
from diffpose_ros.media.video import open_source
from diffpose_ros.search.recorded import Recorded, read_lifted
from diffpose_ros.tracking import Tracker, TrackerConfig

LONGEST_FRAMES = 900
"""Of a video that is lifted while a node waits."""
NS = 1e9


def recording_of(file: str, model: str, fov: float) -> Recorded:
    """Read or lift a file.

    Args:
        file: what ``diffpose_ros lift`` wrote (.npz), a bag with skeletons, a picture or a video of at
            most 900 frames.
        model: lifter of pictures and videos.
        fov: diagonal field of view of their camera, degrees.

    Raises:
        InputError: it is none of these, or too long.
    """
    path = expanded(file)
    if is_live(file):
        raise InputError(f"{file}: expected a file to learn from, got a live source")
    if path.suffix == ".npz":
        return read_lifted(path)
    if is_bag(path):
        return Recorded(str(path), **read_skeletons(path))
    return lifted(path, model, fov)


def lifted(path: Path, model: str, fov: float) -> Recorded:
    """Lift a picture or a short video."""
    rows: list[tuple[float, int, int, np.ndarray]] = []
    with open_source(path) as source:
        single = source.frames == 1
        if (source.frames or 0) > LONGEST_FRAMES:
            raise InputError(
                f"{path}: has {source.frames} frames; expected at most {LONGEST_FRAMES}: lift it with "
                "`diffpose_ros lift`, and teach from what that writes"
            )
        tracker = Tracker(TrackerConfig(min_hits=1)) if single else Tracker(TrackerConfig())
        front_end, lifter = make_front_end("movenet", tracker=tracker), Lifter(LifterConfig(model=model))
        try:
            for k, (image, stamp_ns) in enumerate(source):
                if k >= LONGEST_FRAMES:
                    raise InputError(f"{path}: has more than {LONGEST_FRAMES} frames")
                camera = Camera.from_fov(image.shape[1], image.shape[0], diagonal_fov_deg=fov)
                people = front_end.see(image, stamp_ns)
                for s in lifter.lift(people, camera, stamp_ns).skeletons:
                    rows.append((stamp_ns / NS, k, s.track_id, s.xyz))
        finally:
            lifter.close()
            front_end.close()
    stamps, frames, ids, xyz = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Recorded(
        str(path), np.array(stamps, dtype=np.float64), np.array(frames, dtype=np.int64),
        np.array(ids, dtype=np.int64), np.array(xyz, dtype=np.float64).reshape(-1, 17, 3),
    )  # fmt: skip
