"""What prompts are worth: the error of the mean pose with actions unknown, believed, right and wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from diffpose_ros.methods.finepose.network import FinePoseNetwork
from diffpose_ros.methods.finepose.prompts import ACTION, ACTIONS
from diffpose_ros.training.action_labels import NO_LABEL
from diffpose_ros.training.prompted_views import write_actions
from diffpose_ros.training.rollout import rollout

WARM_UP_FRAMES = 15


@dataclass(frozen=True)
class Gain:
    """The errors of an action, MPJPE in mm.

    Attributes:
        action: its word, or ``all``.
        frames: how many have it.
        unknown: nothing is told.
        believed: the network fills in what it believes; speed and parts in view are told.
        right: the action is told, too.
        wrong: another action is told.
        recognised: share of the frames in which the network holds the action the most likely one.
    """

    action: str
    frames: int
    unknown: float
    believed: float
    right: float
    wrong: float
    recognised: float


def measure_gains(network: FinePoseNetwork, views: list[dict[str, Tensor]], seed: int = 0) -> list[Gain]:
    """Over views of labelled motions; for each action that is there, then for ``all``.

    Args:
        network: calibrated or not: means do not hang on it.
        views: with ``prompt`` and ``label``.
        seed: of the wrong actions.
    """
    rng = np.random.default_rng(seed)
    words = network.prompts.words.get(ACTION, ())
    if tuple(words) != ACTIONS or network.head is None:
        return []
    kept: list[np.ndarray] = []
    for batch in views:
        skip = min(WARM_UP_FRAMES, batch["pose"].shape[1] // 2)
        label = batch["label"].numpy().astype(int)
        wrong = (label + rng.integers(1, len(words), (len(label), 1))) % len(words)
        wrong = np.where(label == NO_LABEL, NO_LABEL, wrong)
        told = {
            "unknown": network.unknown.expand_as(batch["prompt"]),
            "believed": batch["prompt"],
            "right": _with_action(network, batch["prompt"], label),
            "wrong": _with_action(network, batch["prompt"], wrong),
        }
        errors = [_error(network, {**batch, "prompt": prompt}) for prompt in told.values()]
        with torch.no_grad():
            feature, _, _ = network.context(batch["points"], batch["view"], batch["times_s"])
            hit = (network.head(feature).argmax(-1).numpy() == label).astype(float)
        rows = np.stack([label, *errors, hit], axis=-1)[:, skip:].reshape(-1, 6)
        kept.append(rows[rows[:, 0] != NO_LABEL])
    rows = np.concatenate(kept)
    gains = [_gain(ACTIONS[i], rows[rows[:, 0] == i]) for i in range(len(words)) if (rows[:, 0] == i).any()]
    return [*gains, _gain("all", rows)] if gains else []


def _with_action(network: FinePoseNetwork, prompt: Tensor, label: np.ndarray) -> Tensor:
    told = prompt.clone().numpy()
    write_actions(network.vocabulary, label, told)
    return torch.from_numpy(told)


def _error(network: FinePoseNetwork, batch: dict[str, Tensor]) -> np.ndarray:
    off = rollout(network, batch, steps=(network.config.schedule.diffusion_steps, 0)).mean - batch["pose"]
    return 1000 * off.norm(dim=-1).mean(dim=-1).numpy()


def _gain(action: str, rows: np.ndarray) -> Gain:
    unknown, believed, right, wrong, hit = (float(v) for v in rows[:, 1:].mean(axis=0))
    return Gain(action, len(rows), unknown, believed, right, wrong, hit)
