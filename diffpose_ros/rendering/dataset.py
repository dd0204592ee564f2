"""Rendered pictures on disk: shards of JPEGs and their truth, written whole, so that a run can go on.

=====================  =====================================================================================
``render.json``        the settings; a run with others is refused
``pictures/S/N_F.jpg`` shard, scene, frame of the scene
``truth/S.npz``        written when the pictures of the shard are there; the arrays of :data:`ARRAYS`
=====================  =====================================================================================
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import ConfigError, InputError
from diffpose_ros.core.files import write_bytes, write_text
from diffpose_ros.core.typed_config import from_mapping
from diffpose_ros.data.clips import Clip, bodies
from diffpose_ros.data.formats import archive
from diffpose_ros.data.motion import fingerprint, load_motion
from diffpose_ros.rendering.backdrop import pictures_in
from diffpose_ros.rendering.draw import SceneConfig, Taken, unseen

ARRAYS = {
    "picture": "(N,) path of the picture, relative to the folder",
    "scene": "(N,) number of the scene; the pictures of one scene are a video of 30 Hz",
    "frame": "(N,) frame within it",
    "split": "(N,) 'train', or 'unseen' for a build that 'train' never shows as the person in question",
    "clip": "(N,) name of the motion",
    "row": "(N,) frame of the motion",
    "build": "(N,) number of the body",
    "traits": "(N, 6) gender, age, muscle, weight, height, proportions of the body, 0 to 1",
    "age_years": "(N,)",
    "stature": "(N,) metres",
    "coco": "(N, 17, 3) COCO-17 keypoints: x, y in pixels, depth in metres",
    "hidden": "(N, 17) 0 seen, 1 hidden by the own body, 2 by others, 3 by things, 4 outside of the picture",
    "h36m17": "(N, 17, 3) joints, metres, optical frame",
    "camera_matrix": "(N, 3, 3)",
    "rotation": "(N, 3, 3) world (Y up) to optical frame",
    "position": "(N, 3) of the camera in the world, metres",
    "up": "(N, 3) against gravity, optical frame",
    "others_row": "(M,) picture, 0 to N - 1, that shows somebody else too",
    "others_coco": "(M, 17, 3) their keypoints",
    "others_hidden": "(M, 17)",
}
"""What a shard's truth holds."""


@dataclass(frozen=True)
class RenderConfig:
    """Everything that says what is in a folder of pictures.

    Attributes:
        seed: of everything random.
        scene: what is drawn.
        data: motion capture files.
        backgrounds: a folder of pictures to put behind people; empty for random places.
        quality: of the JPEGs.
        per_shard: scenes of a shard.
    """

    seed: int = 0
    scene: SceneConfig = field(default_factory=SceneConfig)
    data: tuple[str, ...] = ()
    backgrounds: str = ""
    quality: int = 90
    per_shard: int = 50


def claim_folder(folder: str | Path, config: RenderConfig, clips: Iterable[Clip]) -> None:
    """Make the folder, or check that what is in it was made with the same settings.

    Raises:
        ConfigError: it was made with others; the message names the first that differs.
        InputError: it cannot be written, or holds something else.
    """
    folder = Path(folder)
    settings = json.loads(json.dumps({**asdict(config), "motions": fingerprint(tuple(clips))}))
    path = folder / "render.json"
    if path.exists():
        try:
            there = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: cannot be read as what a rendering began with ({error})") from None
        if there != settings:
            name, was, now = next(_differences(there, settings))
            raise ConfigError(
                f"{folder}: was begun with {name} {was}, now it is {now}; name another folder, or delete it"
            )
        return
    if folder.exists() and any(folder.iterdir()):
        raise InputError(
            f"{folder}: expected an empty folder or one that a rendering began, found other files"
        )
    for name in ("pictures", "truth"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(settings, indent=1) + "\n")


def read_config(folder: str | Path) -> RenderConfig:
    """The settings of a folder.

    Raises:
        InputError: it is no folder of rendered pictures.
    """
    path = Path(folder) / "render.json"
    try:
        settings = json.loads(path.read_text())
        settings.pop("motions", None)
        return from_mapping(RenderConfig, settings, str(path))
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{folder}: expected a folder that `diffpose_ros render` made ({error})") from None


def render(
    folder: str | Path,
    config: RenderConfig,
    scenes: int,
    *,
    workers: int = 1,
    done: Callable[[int, int], None] = lambda scenes, pictures: None,
) -> int:
    """Draw what is missing of the first ``scenes`` scenes.

    Args:
        folder: where; see :func:`claim_folder`.
        config: what.
        scenes: how many.
        workers: processes that draw.
        done: called with scenes and pictures of each shard as it is finished, or found finished.

    Returns:
        How many pictures are there now.
    """
    folder = Path(folder)
    count = config.scene.frames
    pictures = 0
    missing = []
    for shard in range(-(-scenes // config.per_shard)):
        numbers = range(shard * config.per_shard, min((shard + 1) * config.per_shard, scenes))
        have = _held(folder, shard)
        if have >= len(numbers) * count:
            pictures += have
            done(len(numbers), have)
        else:
            missing.append((shard, numbers))
    jobs = [(str(folder), config, shard, numbers) for shard, numbers in missing]
    if workers <= 1 or len(jobs) <= 1:
        finished: Iterable[int] = map(_shard, jobs)
        for (_, numbers), made in zip(missing, finished, strict=True):
            pictures += made
            done(len(numbers), made)
        return pictures
    with multiprocessing.get_context("spawn").Pool(min(workers, len(jobs)), _alone) as pool:
        for (_, numbers), made in zip(missing, pool.imap(_shard, jobs), strict=True):
            pictures += made
            done(len(numbers), made)
    return pictures


def load_truth(folder: str | Path) -> dict[str, NDArray]:
    """Read the truth of all finished shards, concatenated.

    Raises:
        InputError: there are no shards, or one is damaged.
    """
    paths = sorted((Path(folder) / "truth").glob("*.npz"))
    if not paths:
        raise InputError(f"{folder}: expected pictures that `diffpose_ros render` made, found no truth/*.npz")
    parts: dict[str, list[NDArray]] = {name: [] for name in ARRAYS}
    first = 0
    for path in paths:
        arrays = archive.read_plain(path, "the truth of rendered pictures", tuple(ARRAYS), ())
        for name in ARRAYS:
            parts[name].append(arrays[name] + first if name == "others_row" else arrays[name])
        first += len(arrays["picture"])
    return {name: np.concatenate(values) for name, values in parts.items()}


def _held(folder: Path, shard: int) -> int:
    path = folder / "truth" / f"{shard:05d}.npz"
    return (
        len(
            archive.read_plain(path, "the truth of rendered pictures", ("picture",), tuple(ARRAYS))["picture"]
        )
        if (path.exists())
        else 0
    )


def _alone() -> None:
    """A worker is one thread: the others are the parallel work."""
    cv2.setNumThreads(1)
    import torch

    torch.set_num_threads(1)


def _shard(job: tuple[str, RenderConfig, int, range]) -> int:
    where, config, shard, numbers = job
    folder, studio, names = Path(where), *_studio(config)
    (folder / "pictures" / f"{shard:05d}").mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    others: list[tuple[int, NDArray, NDArray]] = []
    for number in numbers:
        for taken in studio.scene(number):
            file = f"pictures/{shard:05d}/{number:06d}_{taken.frame:03d}.jpg"
            fine, data = cv2.imencode(
                ".jpg", taken.shot.rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, config.quality]
            )
            assert fine
            write_bytes(folder / file, data.tobytes())
            shot = taken.shot
            others += [(len(rows), shot.coco[i], shot.hidden[i]) for i in range(1, len(shot.coco))]
            rows.append(_row(taken, file, number, names))
    arrays = {name: np.stack([np.asarray(row[name]) for row in rows]) for name in rows[0]}
    arrays["others_row"] = np.array([row for row, _, _ in others], np.int64)
    arrays["others_coco"] = np.array([c for _, c, _ in others], np.float32).reshape(-1, 17, 3)
    arrays["others_hidden"] = np.array([h for _, _, h in others], np.int8).reshape(-1, 17)
    archive.write_arrays(folder / "truth" / f"{shard:05d}.npz", arrays)
    return len(rows)


def _row(taken: Taken, file: str, number: int, names: tuple[str, ...]) -> dict[str, Any]:
    shot, f4 = taken.shot, np.float32
    return {
        "picture": file, "scene": number, "frame": taken.frame,
        "split": "unseen" if unseen(taken.build) else "train",
        "clip": names[taken.clip], "row": taken.row, "build": taken.build,
        "traits": taken.body.traits.astype(f4), "age_years": f4(taken.body.age_years),
        "stature": f4(taken.body.stature), "coco": shot.coco[0].astype(f4), "hidden": shot.hidden[0],
        "h36m17": shot.h36m17[0].astype(f4), "camera_matrix": taken.matrix.astype(f4),
        "rotation": taken.rotation.astype(f4), "position": taken.position.astype(f4),
        "up": taken.rotation[:, 1].astype(f4),
    }  # fmt: skip


_STUDIOS: dict[RenderConfig, Any] = {}


def _studio(config: RenderConfig) -> tuple[Any, tuple[str, ...]]:
    """The studio of this process, made once."""
    if config not in _STUDIOS:
        from diffpose_ros.rendering.bodies import body_maker
        from diffpose_ros.rendering.draw import Studio

        clips = load_motion(config.data)
        motion, offsets = bodies(clips)
        backgrounds = tuple(pictures_in(config.backgrounds)) if config.backgrounds else ()
        studio = Studio(config.scene, motion, offsets, body_maker(), config.seed, backgrounds)
        _STUDIOS[config] = studio, tuple(c.name for c in clips)
    return _STUDIOS[config]


def _differences(a: Any, b: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(a, dict) and isinstance(b, dict):
        for key in (*b, *(k for k in a if k not in b)):
            yield from _differences(a.get(key), b.get(key), f"{name}.{key}".lstrip("."))
    elif a != b:
        yield name, a, b


def cores() -> int:
    """Processes that fit this machine."""
    return max(1, len(os.sched_getaffinity(0)))
