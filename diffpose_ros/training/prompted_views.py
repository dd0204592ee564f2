"""Views that prompts belong to, encoded once and kept: what FinePOSE's denoiser learns from.

The context encoder is frozen and costs as much as the denoiser. So batches are made once, a file each,
and training goes round them. Letters: B segments, T frames kept, V weights of all prompts.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.data import Dataset

from diffpose_ros.core.files import whole
from diffpose_ros.data.virtual.synthesis import MotionLibrary, SynthesisConfig, make_batch
from diffpose_ros.methods.diffusion.network import LifterNetwork
from diffpose_ros.methods.finepose import observed
from diffpose_ros.methods.finepose.prompts import ACTION, Vocabulary
from diffpose_ros.training.action_labels import NO_LABEL
from diffpose_ros.training.finepose_config import ViewsConfig
from diffpose_ros.training.loop import to_tensors
from diffpose_ros.training.rollout import evaluating

_HALF = ("feature", "points", "log_sigma", "prompt")
"""Fields that half precision is enough for."""


def balance(library: MotionLibrary, strength: float) -> None:
    """Draw clips of rare actions more often: weights over the frequency of their action to ``strength``."""
    main = np.array([_most(library.labels[a:b]) for a, b in _spans(library)])
    total = {label: float(library.lengths[main == label].sum()) for label in set(main.tolist())}
    often = np.array([total[label] for label in main.tolist()])
    weights = library.lengths / often**strength
    library.weights = weights / weights.sum()


def observed_prompts(vocabulary: Vocabulary, batch: dict[str, Tensor]) -> NDArray[np.float32]:
    """What a robot would say of each frame itself, (B, T, V): speed and parts in view, as it is online.

    ``action`` stays unknown.
    """
    points, rotation, scale = (batch[n].numpy() for n in ("points", "rotation", "scale"))
    times = batch["times_s"].numpy().astype(np.float64)
    b, t = points.shape[:2]
    out = np.tile(vocabulary.unknown(), (b, t, 1))
    ray = rotation[:, :, 2].astype(np.float64)
    place = observed.place(ray[..., :2] / ray[..., 2:], np.log(scale.astype(np.float64)))
    velocity = np.zeros((b, 3))
    for i in range(t):
        if i:
            step = np.full(b, times[i] - times[i - 1])
            velocity = observed.follow(velocity, place[:, i] - place[:, i - 1], step)
        observed.write_speed(vocabulary, velocity, np.full(b, times[i] - times[0]), out[:, i])
    observed.write_parts(vocabulary, points[..., 2], out)
    return out


def write_actions(vocabulary: Vocabulary, label: NDArray, into: NDArray[np.float32]) -> None:
    """Write the action prompt of frames whose label (...,) is known into weights (..., V)."""
    segment = vocabulary.segment(ACTION)
    size = segment.stop - segment.start
    known = label != NO_LABEL
    into[..., segment] = np.eye(size, dtype=np.float32)[np.where(known, label.astype(int) + 1, 0)]


@torch.no_grad()
def make_views(
    network: LifterNetwork, vocabulary: Vocabulary, library: MotionLibrary, synthesis: SynthesisConfig,
    config: ViewsConfig, folder: Path,
) -> Iterator[int]:  # fmt: skip
    """Write the batches that are not there yet; yields how many there are, at first and after each.

    Args:
        network: whose context encoder sees the views.
        vocabulary: the prompts.
        library: the motions, with labels.
        synthesis: how views are made.
        config: how many.
        folder: where to.
    """
    with evaluating(network):
        missing = [n for n in range(config.batches) if not view_file(folder, n).exists()]
        yield config.batches - len(missing)
        for left, number in enumerate(missing, start=1 - len(missing)):
            rng = np.random.default_rng((config.seed, number))
            with whole(view_file(folder, number)) as part:
                save_file(_encoded(network, vocabulary, library, synthesis, config, rng), part)
            yield config.batches + left


def view_file(folder: Path, number: int) -> Path:
    """Where a batch stands."""
    return folder / f"views_{number:04d}.safetensors"


class PromptedViews(Dataset[dict[str, Tensor]]):
    """Batch number ``step``: the files in another order in each round.

    Args:
        folder: where :func:`make_views` put them.
        batches: how many there are.
        seed: of the order.
    """

    def __init__(self, folder: Path, batches: int, seed: int) -> None:
        self.folder, self.batches, self.seed = folder, batches, seed

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        turn, at = divmod(step, self.batches)
        order = np.random.default_rng((self.seed, turn)).permutation(self.batches)
        return read_views(self.folder, int(order[at]))


def read_views(folder: Path, number: int) -> dict[str, Tensor]:
    """One batch, in single precision."""
    return {name: value.float() for name, value in load_file(view_file(folder, number)).items()}


def _encoded(
    network: LifterNetwork, vocabulary: Vocabulary, library: MotionLibrary, synthesis: SynthesisConfig,
    config: ViewsConfig, rng: np.random.Generator,
) -> dict[str, Tensor]:  # fmt: skip
    batch = to_tensors(make_batch(library, config.batch, rng, synthesis))
    feature, pose, log_sigma = network.context(batch["points"], batch["view"], batch["times_s"])
    prompt = torch.from_numpy(observed_prompts(vocabulary, batch))
    made = {
        **{name: batch[name] for name in ("points", "view", "pose", "rotation", "label")},
        "feature": feature, "answer": pose, "log_sigma": log_sigma, "prompt": prompt,
    }  # fmt: skip
    made = {name: value[:, -config.frames :] for name, value in made.items()}
    made["times_s"] = batch["times_s"][-config.frames :]
    return {n: (v.half() if n in _HALF else v).contiguous() for n, v in made.items()}


def _spans(library: MotionLibrary) -> Iterator[tuple[int, int]]:
    return zip(library.offsets[:-1].tolist(), library.offsets[1:].tolist(), strict=True)


def _most(labels: NDArray[np.int64]) -> int:
    found, counts = np.unique(labels, return_counts=True)
    return int(found[counts.argmax()])
