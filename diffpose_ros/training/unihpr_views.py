"""What UniHPR's encoders learn from: moments of motion capture, each heard by a context encoder from two
cameras.

The context encoder is frozen, so what it says of a moment is worked out once and kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.data import Dataset

from diffpose_ros.core.files import whole
from diffpose_ros.core.typed_config import at_least
from diffpose_ros.data.virtual.synthesis import MotionLibrary, SynthesisConfig, make_batch
from diffpose_ros.methods.unihpr.network import UniHpr
from diffpose_ros.training.loop import to_tensors

VIEWS = 2
RUN = 8
"""Frames that stay together: the hardest negatives of a moment are those around it."""


@dataclass(frozen=True)
class ViewsConfig:
    """How many moments there are.

    Attributes:
        batches: of segments.
        segments: in each.
        apart: every which frame of a segment is kept.
        seed: of everything random.
    """

    batches: int = 300
    segments: int = 48
    apart: int = 4
    seed: int = 5

    def __post_init__(self) -> None:
        for name in ("batches", "segments", "apart"):
            at_least(name, getattr(self, name), 1)
        at_least("seed", self.seed, 0)


def file_of(folder: Path, batch: int) -> Path:
    """Where batch number ``batch`` is kept."""
    return folder / f"views-{batch:05d}.safetensors"


@torch.no_grad()
def write_views(
    network: UniHpr, library: MotionLibrary, config: ViewsConfig, synthesis: SynthesisConfig, folder: Path
) -> Iterator[int]:
    """Write what is not there yet, batch by batch; yields how many there are after each that it made, and
    at the end.

    Each file holds, of R runs of :data:`RUN` frames, seen by two cameras each: ``token`` (2, R, RUN, body)
    float16, ``pose`` and ``log_sigma`` (2, R, RUN, 17, 3) as the context encoder says, ``view`` (2, R, RUN,
    6 or 9), and the true pose ``truth`` (2, R, RUN, 17, 3) m in each virtual camera.
    """
    network.eval()
    for i in range(config.batches):
        path = file_of(folder, i)
        if path.exists() and i + 1 < config.batches:
            continue
        if not path.exists():
            made = hear(network, library, np.random.default_rng((config.seed, i)), config, synthesis)
            with whole(path) as part:
                save_file(made, part)
        yield i + 1


@torch.no_grad()
def hear(
    network: UniHpr, library: MotionLibrary, rng: np.random.Generator, config: ViewsConfig,
    synthesis: SynthesisConfig,
) -> dict[str, Tensor]:  # fmt: skip
    """One batch of moments; see :func:`write_views`."""
    batch = to_tensors(make_batch(library, config.segments, rng, synthesis, views=VIEWS))
    token, pose, log_sigma = network.heard(batch["points"], batch["view"], batch["times_s"])
    kept = slice(int(rng.integers(config.apart)), None, config.apart)
    view = batch["view"][..., : network.config.context.view]
    said = {
        "token": token.half(), "pose": pose, "log_sigma": log_sigma.half(), "view": view,
        "truth": batch["pose"],
    }  # fmt: skip
    return {name: _runs(value[:, kept]) for name, value in said.items()}


def _runs(value: Tensor) -> Tensor:
    """(2 S, T, ...) to (2, R, RUN, ...); what is left over at a segment's end is dropped."""
    length = min(RUN, value.shape[1])
    value = value[:, : value.shape[1] // length * length]
    both = value.unflatten(0, (VIEWS, -1)).unflatten(2, (-1, length))
    return both.flatten(1, 2).contiguous()


class Moments(Dataset[dict[str, Tensor]]):
    """Batch number ``step`` of moments, drawn from (seed, step) alone.

    Args:
        folder: where :func:`write_views` wrote.
        batches: how many files there are.
        runs: of neighbouring frames per step.
        seed: of the draw.
    """

    def __init__(self, folder: Path, batches: int, runs: int, seed: int) -> None:
        parts = [load_file(file_of(folder, i)) for i in range(batches)]
        shortest = min(p["token"].shape[2] for p in parts)
        self.data = {n: torch.cat([p[n][:, :, :shortest] for p in parts], dim=1) for n in parts[0]}
        self.runs, self.seed = runs, seed

    def __len__(self) -> int:
        return int(self.data["token"].shape[1])

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        """Fields of :func:`write_views` as float32, of B moments, (2, B, ...)."""
        rng = np.random.default_rng((self.seed, step))
        chosen = torch.from_numpy(rng.choice(len(self), size=self.runs, replace=self.runs > len(self)))
        return {n: v[:, chosen].flatten(1, 2).float() for n, v in self.data.items()}
