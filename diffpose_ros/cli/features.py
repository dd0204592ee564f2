"""``diffpose_ros features``: rendered pictures to what UniHPR's picture encoder learns from."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from diffpose_ros.cli._options import Screen, add_overwrite_option, bounded, command, outputs, progress
from diffpose_ros.core import InputError
from diffpose_ros.core.files import whole
from diffpose_ros.rendering.dataset import load_truth

EXAMPLES = """
diffpose_ros render --data mocap_30hz.npz --crop --output pictures/
diffpose_ros features pictures/ --output features.npz
diffpose_ros train config/training/unihpr.yaml --data mocap_30hz.npz --pictures features.npz
"""

ASIDE = 0.15
"""Whoever is seen this far away, of the picture's longer side, is somebody else."""


def add_parser(subparsers: Any) -> None:
    """Add the command to the parser of ``diffpose_ros``."""
    parser = command(subparsers, "features", "compute the detector's features of rendered people", EXAMPLES)
    parser.add_argument("pictures", type=Path, metavar="DIR", help="output of `diffpose_ros render`")
    parser.add_argument("--output", required=True, metavar="OUT.npz", help="features, keypoints, true poses")
    parser.add_argument("--threads", type=bounded(int, 1, 256), default=1, help="CPU threads (default: 1)")
    add_overwrite_option(parser)


def run(args: argparse.Namespace) -> int:
    """Look at every picture, and write what is found."""
    console = Screen(soft_wrap=True)
    out = outputs(args, "--output", sources=[args.pictures])["--output"]
    truth = load_truth(args.pictures)
    total = len(truth["picture"])
    made, empty = [], 0
    with progress(console) as bar:
        task = bar.add_task("looking", total=total, rate="")
        for one in look_at(args.pictures, truth, args.threads):
            bar.advance(task)
            if one is None:
                empty += 1
            else:
                made.append(one)
    if not made:
        raise InputError(f"{args.pictures}: nobody is seen in any of its {total} pictures")
    with whole(out) as part, part.open("wb") as file:
        stacked: dict[str, Any] = {n: np.stack([m[n] for m in made]) for n in made[0]}
        np.savez(file, **stacked)
    console.print(f"{out}: {len(made)} people" + (f", {empty} pictures without one" if empty else ""))
    return 0


def look_at(folder: Path, truth: Mapping[str, NDArray], threads: int) -> Iterator[dict[str, NDArray] | None]:
    """For each picture the fields of :class:`diffpose_ros.training.unihpr_pictures.Pictures` of its person;
    ``None`` where the detector sees nobody, or somebody else.

    Raises:
        InputError: a picture cannot be read.
    """
    from diffpose_ros.data.virtual.synthesis import observe_sequence
    from diffpose_ros.frontend.picture_features import SIZE, VISIBLE, PictureFeatures

    reader = PictureFeatures(threads=threads)
    for i, name in enumerate(truth["picture"]):
        bgr = cv2.imread(str(folder / str(name)))
        if bgr is None:
            raise InputError(f"{folder / str(name)}: not a readable picture")
        rgb = np.ascontiguousarray(bgr[..., ::-1], dtype=np.uint8)
        small = cv2.resize(rgb, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
        _, rough = reader.of(np.asarray(small, np.uint8)[None])
        size = np.array([rgb.shape[1], rgb.shape[0]])
        keypoints = np.concatenate([rough.at * size - 0.5, rough.score[..., None]], axis=-1)
        if not (keypoints[..., 2] > VISIBLE).any():
            yield None
            continue
        features, seen = reader.at(rgb, keypoints)
        off = np.linalg.norm(seen[0, :, :2] - truth["coco"][i, :, :2], axis=-1)
        if np.median(off) > ASIDE * max(rgb.shape[:2]):
            yield None
            continue
        k = truth["camera_matrix"][i].astype(np.float64)
        xy = (seen[..., :2] - k[:2, 2]) / np.array([k[0, 0], k[1, 1]])
        points, view, rotation, _ = observe_sequence(xy[None], seen[None, ..., 2], np.zeros(1))
        pose = truth["h36m17"][i] - truth["h36m17"][i][:1]
        yield {
            "features": features[0], "skeleton": (pose @ rotation[0, 0].T).astype(np.float32),
            "points": points[0, 0], "view": view[0, 0], "person": np.int64(truth["build"][i]),
        }  # fmt: skip
