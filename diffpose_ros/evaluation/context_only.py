"""The causal network without diffusion: the context encoder's own answer, for comparison."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from diffpose_ros.data import benchmark
from diffpose_ros.data.virtual.synthesis import observe_sequence
from diffpose_ros.evaluation.protocol import Prediction
from diffpose_ros.geometry.mapping import coco_to_points
from diffpose_ros.geometry.root import root_translation

if TYPE_CHECKING:
    from diffpose_ros.methods.diffusion.context_encoder import ContextEncoder


def run_context(folder: str | Path, sequences: Sequence[benchmark.Sequence]) -> list[Prediction]:
    """Let the context encoder of a model's folder answer; needs torch.

    A whole sequence goes through at once under the causal band, which equals frame after frame.

    Args:
        folder: with ``config.yaml`` and ``model.safetensors``.
        sequences: what to lift.

    Raises:
        ModelError: the folder holds no network.
        ModuleNotFoundError: torch is not installed.
    """
    from diffpose_ros.methods.diffusion.checkpoint import load_network

    return run_encoder(load_network(folder).context, sequences)


def run_encoder(encoder: ContextEncoder, sequences: Sequence[benchmark.Sequence]) -> list[Prediction]:
    """The same with an encoder that is at hand."""
    import torch

    out = []
    for sequence in sequences:
        matrix, keypoints = sequence.camera.matrix, sequence.keypoints
        pixels = np.concatenate([keypoints[..., :2], np.ones_like(keypoints[..., :1])], axis=-1)
        tangents = (pixels @ np.linalg.inv(matrix).T)[..., :2]
        score = keypoints[..., 2].clip(0, 1)
        times = np.arange(len(sequence)) / sequence.fps
        points, view, rotation, _ = observe_sequence(tangents[None], score[None], times)
        with torch.inference_mode():
            _, pose, log_sigma = encoder(
                torch.from_numpy(points), torch.from_numpy(view),
                torch.from_numpy(times.astype(np.float32)),
            )  # fmt: skip
        turn = rotation[0].astype(np.float64)
        relative = pose[0].numpy().astype(np.float64) @ turn
        variance = np.exp(2.0 * log_sigma[0].numpy().astype(np.float64))
        covariance = np.einsum("tki,tjk,tkl->tjil", turn, variance, turn)
        rays, weight = coco_to_points(tangents, score)
        root, _ = root_translation(relative, rays[:, :17], weight[:, :17])
        unplaced = np.asarray(~np.isfinite(root).all(axis=-1))
        out.append(
            Prediction(
                sequence=sequence,
                xyz=relative + np.where(unplaced[:, None], 0.0, root)[:, None],
                covariance=covariance,
                hypotheses=None,
                unanswered=int(unplaced.sum()),
            )
        )
    return out
