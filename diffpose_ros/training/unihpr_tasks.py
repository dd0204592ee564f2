"""What UniHPR's parts learn: the encoders to agree, the decoder to say poses again.

Letters for shapes: B moments, each seen by two cameras; D numbers of an embedding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from diffpose_ros.core.typed_config import at_least
from diffpose_ros.diffusion.samplers import diffuse
from diffpose_ros.methods.unihpr.contract import SOURCES
from diffpose_ros.methods.unihpr.encoders import joined, unit, unit_pose
from diffpose_ros.methods.unihpr.network import UniHpr
from diffpose_ros.training.contrastive import info_nce, triplet_info_nce

HEARD = ("token", "pose", "log_sigma", "view")
"""What is known of a window of keypoints."""

SHARPEST = 100.0
"""Most that 1 / tau may grow to."""


@dataclass(frozen=True)
class EmbeddingLoss:
    """What counts how much.

    Attributes:
        body: InfoNCE of the body parts.
        whole: InfoNCE of whole embeddings.
        triplet: alpha of the triplet losses (eq. 4).
        tau: temperature that learning begins with; the paper's is 1/14.
    """

    body: float = 1.0
    whole: float = 1.0
    triplet: float = 0.25
    tau: float = 1.0 / 14.0

    def __post_init__(self) -> None:
        for name in ("body", "whole", "triplet"):
            at_least(name, getattr(self, name), 0.0)
        at_least("tau", self.tau, 1.0 / SHARPEST)


class Encoders(nn.Module):
    """The encoders of keypoints and skeletons, and the temperatures that they are trained with.

    The third representation, until pictures come, is the lifted pose: what a skeleton looks like when a
    robot says it. Both other cameras' keypoints and lifted poses are positives of a moment's body part.
    """

    def __init__(self, network: UniHpr, loss: EmbeddingLoss) -> None:
        super().__init__()
        self.keypoints, self.skeletons = network.keypoints, network.skeletons
        self.size = network.config.embedding.body
        self.loss = loss
        # Of body parts and whole embeddings; pairs and triplets.
        self.log_sharpness = nn.Parameter(torch.full((2, 2), -math.log(loss.tau)))

    def __call__(self, batch: dict[str, Tensor], step: int) -> tuple[Tensor, dict[str, float]]:
        """The loss, and how often the nearest of the batch is the right one."""
        body, whole = self.embedded(batch)
        pairs, triplets = self.log_sharpness.clamp(max=math.log(SHARPEST)).exp()
        seen, other, lifted, lifted_other, true = body
        parts = {
            "body": (
                info_nce(seen, true, pairs[0]) + info_nce(other, true, pairs[0])
                + info_nce(seen, other, pairs[0]) + info_nce(lifted, true, pairs[0])
                + info_nce(lifted, lifted_other, pairs[0])
            ) / 5,
            "whole": (
                info_nce(whole[0], whole[2], pairs[1]) + info_nce(whole[1], whole[2], pairs[1])
            ) / 2,
            "triplet": (
                triplet_info_nce(seen, lifted_other, true, triplets[0])
                + triplet_info_nce(whole[0][::2], whole[1][::2], whole[2][::2], triplets[1])
            ) / 2,
        }  # fmt: skip
        weights = self.loss
        total = weights.body * parts["body"] + weights.whole * parts["whole"]
        total = total + weights.triplet * parts["triplet"]
        logs = {k: round(float(v.detach()), 4) for k, v in parts.items()}
        with torch.no_grad():
            logs["r1_body"] = _first(seen, true)
            logs["r1_whole"] = _first(whole[0], whole[2])
            logs["r1_views"] = _first(seen, other)
        return total, logs

    def embedded(self, batch: dict[str, Tensor]) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Body parts (B, body) of keypoints, those of the other camera, lifted pose, that of the other
        camera, true pose; and whole embeddings (2 B, D) of keypoints, lifted and true pose."""
        parts = self.skeletons.parts(batch["pose"])
        seen = self.keypoints(parts, *(batch[n] for n in HEARD))
        lifted = joined(*parts)
        # The true body part is the same in both views.
        body = self.skeletons.body_part(batch["truth"][0])
        true = joined(torch.stack([body, body]), self.skeletons.turn_part(batch["truth"]))
        parts_of = [unit(x[..., : self.size]) for x in (seen, lifted)]
        whole = tuple(x.flatten(0, 1) for x in (seen, lifted, true))
        return (parts_of[0][0], parts_of[0][1], parts_of[1][0], parts_of[1][1], unit(body)), whole

    # A module's own call would go through forward; the trainer wants the loss.
    forward = __call__


def _first(queries: Tensor, gallery: Tensor) -> float:
    """How often the nearest is the own one."""
    found = (queries @ gallery.T).argmax(1) == torch.arange(len(queries))
    return round(float(found.float().mean()), 4)


class DecoderTask:
    """Denoising poses under embeddings of every source in turn.

    Args:
        network: whose decoder learns; its encoders are frozen.
    """

    def __init__(self, network: UniHpr) -> None:
        self.network = network

    def __call__(self, batch: dict[str, Tensor], step: int) -> tuple[Tensor, dict[str, float]]:
        """The loss, and how far the poses of half-noised ones are off, over their size."""
        network = self.network
        decoder, config = network.decoder, network.config.decoder
        with torch.no_grad():
            network.eval()
            seen = network.embed(*(batch[n] for n in HEARD))
            poses = torch.cat([batch["truth"], batch["truth"]]).flatten(0, 1)
            embedding = torch.cat([seen, network.skeletons(batch["truth"])]).flatten(0, 1)
            half = len(embedding) // 2
            source = torch.tensor([SOURCES.index("keypoints"), SOURCES.index("skeleton")])
            source = source.repeat_interleave(half)
        decoder.train()
        clean = unit_pose(poses).flatten(-2) / config.spread
        last = config.schedule.diffusion_steps
        k = torch.randint(1, last + 1, (len(clean),))
        alpha = torch.tensor(decoder.alphas)[k][:, None]
        noise = torch.randn_like(clean)
        noisy = diffuse(clean, torch.zeros_like(clean), noise, alpha)
        found = decoder.denoise(noisy, k[:, None] / last, decoder.condition(embedding, source))
        error = found - clean
        off = config.spread * error.detach().unflatten(-1, (-1, 3)).norm(dim=-1).mean(-1)
        late = k > 0.8 * last
        seen_late = late & (source == SOURCES.index("keypoints"))
        true_late = late & (source == SOURCES.index("skeleton"))
        logs = {
            "off_keypoints_mm": round(4000 * float(off[seen_late].mean()), 2),
            "off_skeleton_mm": round(4000 * float(off[true_late].mean()), 2),
        }
        return error.square().mean(), logs

