"""How far decoded poses are off: the scale of their sigma, on views that nothing learnt from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from diffpose_ros.diffusion.noise import fixed_noise
from diffpose_ros.geometry.bones import bone_lengths
from diffpose_ros.methods.unihpr.encoders import unit
from diffpose_ros.methods.unihpr.network import UniHpr
from diffpose_ros.training.baseline import WARM_UP_FRAMES

APART = 4
"""Every which frame is looked at."""


@dataclass(frozen=True)
class DecoderCalibration:
    """What calibration measured on held-out views.

    Attributes:
        mpjpe_mm: error of the poses decoded from embeddings of keypoints.
        lifted_mpjpe_mm: error of the context encoder's own poses.
        from_skeleton_mm: error of the poses decoded from embeddings of the true skeletons.
        r1, r10: how often the true skeleton of a moment is the nearest, or one of the ten nearest, to its
            keypoints' whole embedding.
        r1_body, r10_body: the same of the body parts.
        poses: among how many.
        coverage_before: share of coordinates within the context encoder's sigma.
        coverage_after: the same with the scaled sigma.
    """

    mpjpe_mm: float
    lifted_mpjpe_mm: float
    from_skeleton_mm: float
    r1: float
    r10: float
    r1_body: float
    r10_body: float
    poses: int
    coverage_before: float
    coverage_after: float


@torch.no_grad()
def calibrate_decoder(
    network: UniHpr, views: list[dict[str, Tensor]], *, target: float = 0.683
) -> DecoderCalibration:
    """Set the bodies' size and the sigma of each joint and coordinate so that ``target`` lies within.

    Args:
        network: its ``size`` and ``sigma_scale`` are set.
        views: batches of clips that nothing is judged by, fields of ``Batch``.
        target: share wanted.
    """
    seen, true, sigma, pose, truth = [], [], [], [], []
    for batch in views:
        token, lifted, log_sigma = network.heard(batch["points"], batch["view"], batch["times_s"])
        skip = min(WARM_UP_FRAMES, lifted.shape[1] // 2)
        kept = slice(skip, None, APART)
        embedding = network.embed(token, lifted, log_sigma, batch["view"])
        seen.append(embedding[:, kept].flatten(0, 1))
        true.append(network.skeletons(batch["pose"])[:, kept].flatten(0, 1))
        for values, value in ((sigma, log_sigma), (pose, lifted), (truth, batch["pose"])):
            values.append(value[:, kept].flatten(0, 1))
    e2, e3, s, p, t = (torch.cat(v) for v in (seen, true, sigma, pose, truth))
    network.size.fill_(float(np.median(bone_lengths(t.numpy()).sum(-1))))
    decoded, again = (_decoded(network, e, source) for e, source in ((e2, 0), (e3, 1)))
    error, deviation = (decoded - t).abs(), torch.exp(s)
    ratio = error / deviation
    scale = ratio.kthvalue(max(1, round(target * len(ratio))), dim=0).values
    scale[0] = 1.0  # the root's own place is not in question
    network.sigma_scale.copy_(scale)
    before, after = ((ratio <= x)[:, 1:].float().mean() for x in (1.0, scale))
    body = network.config.embedding.body
    whole = found(e2, e3)
    parts = found(unit(e2[:, :body]), unit(e3[:, :body]))
    off, lifted_off, again_off = (1000 * float((x - t).norm(dim=-1).mean()) for x in (decoded, p, again))
    return DecoderCalibration(
        mpjpe_mm=off, lifted_mpjpe_mm=lifted_off, from_skeleton_mm=again_off,
        r1=whole[0], r10=whole[1], r1_body=parts[0], r10_body=parts[1], poses=len(t),
        coverage_before=float(before), coverage_after=float(after),
    )  # fmt: skip


def _decoded(network: UniHpr, embedding: Tensor, source: int) -> Tensor:
    """Mean poses (B, 17, 3) m."""
    noise = torch.from_numpy(fixed_noise(network.config.decoder.hypotheses))
    sources = torch.full((len(embedding),), source, dtype=torch.long)
    noise = noise.expand(len(embedding), -1, -1, -1)
    return network.size * network.decoder.sample(embedding, sources, noise).mean(1)


def found(queries: Tensor, gallery: Tensor) -> tuple[float, float]:
    """How often a query's own row is the nearest of the gallery, and how often one of the ten nearest.

    The gallery begins with the rows that the queries ask for, in their order; there may be others behind.
    """
    similarity = queries @ gallery.T
    nearer = (similarity > similarity.diagonal()[:, None]).sum(1)
    return float((nearer < 1).float().mean()), float((nearer < 10).float().mean())
