"""The picture encoder: features of the detector's network at people whose pose is known.

The other encoders stay frozen (UniHPR, fig. 2, step 2). The loss has the pairs of pictures with keypoints and
with skeletons, and the triplet of all three.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import Dataset

from diffpose_ros.core import InputError
from diffpose_ros.methods.unihpr.config import EmbeddingConfig
from diffpose_ros.methods.unihpr.encoders import PictureEncoder, unit
from diffpose_ros.methods.unihpr.network import UniHpr
from diffpose_ros.training.config import OptimiserConfig
from diffpose_ros.training.contrastive import info_nce, triplet_info_nce
from diffpose_ros.training.unihpr_calibration import found
from diffpose_ros.training.unihpr_tasks import SHARPEST

FIELDS = {"features": 2, "skeleton": 3, "points": 3, "view": 2, "person": 1}


@dataclass(frozen=True)
class Pictures:
    """People in pictures.

    Attributes:
        features: (N, F) of the detector's network at each.
        skeleton: (N, 17, 3) m, true, relative to the hip, in the person's virtual camera.
        points: (N, 21, 3) keypoints as a context encoder reads them, found or simulated.
        view: (N, 6 or 9) likewise.
        person: (N,) who it is: a build, of which no other picture is left in training once it is judged.
    """

    features: NDArray[np.float32]
    skeleton: NDArray[np.float32]
    points: NDArray[np.float32]
    view: NDArray[np.float32]
    person: NDArray[np.int64]

    def __post_init__(self) -> None:
        for name, rank in FIELDS.items():
            value = getattr(self, name)
            if value.ndim != rank or len(value) != len(self.features) or not np.isfinite(value).all():
                raise InputError(
                    f"pictures: {name}: expected finite numbers, {rank} axes and {len(self.features)} rows, "
                    f"got shape {value.shape}"
                )

    def __len__(self) -> int:
        return len(self.features)

    def split(self, share: float) -> tuple[Pictures, Pictures]:
        """Those of most people, and those of a share of the people."""
        people = np.unique(self.person)
        judged = people[np.random.default_rng(0).permutation(len(people))[: round(share * len(people))]]
        out = np.isin(self.person, judged)
        return self._take(~out), self._take(out)

    def _take(self, rows: NDArray[np.bool_]) -> Pictures:
        return Pictures(**{n: getattr(self, n)[rows] for n in FIELDS})


def load_pictures(path: Path) -> Pictures:
    """Read an archive with the fields of :class:`Pictures`.

    Raises:
        InputError: it is missing, damaged or incomplete.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            missing = [n for n in FIELDS if n not in file.files]
            if missing:
                raise InputError(f"{path}: not features of pictures: {', '.join(missing)} missing")
            values = {n: file[n] for n in FIELDS}
    except (OSError, ValueError, BadZipFile) as error:
        raise InputError(f"{path}: not a readable archive of pictures' features ({error})") from None
    return Pictures(**{n: v.astype(np.int64 if n == "person" else np.float32) for n, v in values.items()})


class PictureTask:
    """Brings a picture's embedding to those of its keypoints and skeleton, which do not move.

    Args:
        network: its encoders are trained.
        pictures: to learn from, and to judge by.
        triplet: weight of the triplet loss.
        tau: temperature to begin with.
        noise: on features, of their standard deviation: there are few pictures.
    """

    def __init__(
        self, network: UniHpr, pictures: tuple[Pictures, Pictures], triplet: float, tau: float,
        noise: float = 0.0,
    ) -> None:  # fmt: skip
        self.network, self.triplet = network.requires_grad_(False).eval(), triplet
        self.noise = noise
        self.learnt, self.judged = pictures
        if not len(self.learnt):
            raise InputError("pictures: expected people to learn from, got none")
        config = replace(network.config.embedding, features=self.learnt.features.shape[1])
        self.module = _Learning(config, tau)
        spread = self.learnt.features.std(0)
        self.module.mean.copy_(torch.from_numpy(self.learnt.features.mean(0)))
        self.module.deviation.copy_(torch.from_numpy(np.maximum(spread, 1e-3 * spread.max() + 1e-9)))
        self.fixed = self._fixed(self.learnt)

    @torch.no_grad()
    def _fixed(self, pictures: Pictures) -> dict[str, Tensor]:
        """Features, and the embeddings of keypoints (one frame, no past) and skeletons."""
        points, view, skeleton = (
            torch.from_numpy(x) for x in (pictures.points, pictures.view, pictures.skeleton)
        )
        said = self.network.heard(points[:, None], view[:, None], torch.zeros(1))
        token, pose, log_sigma = (x[:, 0] for x in said)
        seen = self.network.embed(token, pose, log_sigma, view)
        true = self.network.skeletons(skeleton)
        return {"features": torch.from_numpy(pictures.features), "seen": seen, "true": true}

    def dataset(self, options: OptimiserConfig) -> Dataset[dict[str, Tensor]]:
        """Batches of pictures."""
        return _Drawn(self.fixed, options.batch, options.seed)

    def __call__(self, batch: dict[str, Tensor], step: int) -> tuple[Tensor, dict[str, float]]:
        noise = self.noise * self.module.deviation * torch.randn_like(batch["features"])
        picture = self.module(batch["features"] + noise)
        pair, triplet = self.module.log_sharpness.clamp(max=math.log(SHARPEST)).exp()
        pairs = info_nce(picture, batch["true"], pair) + info_nce(picture, batch["seen"], pair)
        body = self.network.config.embedding.body
        parts = info_nce(unit(picture[:, :body]), unit(batch["true"][:, :body]), pair)
        three = triplet_info_nce(picture, batch["seen"], batch["true"], triplet)
        r1, r10 = found(picture.detach(), batch["true"])
        total = pairs / 2 + parts + self.triplet * three
        return total, {"r1": round(r1, 4), "r10": round(r10, 4)}

    @torch.no_grad()
    def judge(self, weights: Path, poses: int = 1000) -> dict[str, float]:
        """How well the true skeletons of people left out are found by their pictures.

        Args:
            weights: what was learnt, averaged.
            poses: skeletons among which each is looked for, where there are so many: those of the people
                left out, filled up with those of the others.

        Returns:
            ``r1``, ``r10`` of whole embeddings, ``r1_body``, ``r10_body`` of body parts, ``pictures`` and
            ``poses``; nothing where nobody was left out.
        """
        if not len(self.judged):
            return {}
        self.module.load_state_dict(load_file(weights))
        fixed = self._fixed(self.judged)
        picture, body = self.module(fixed["features"]), self.network.config.embedding.body
        gallery = torch.cat([fixed["true"], self.fixed["true"]])[: max(poses, len(picture))]
        whole = found(picture, gallery)
        parts = found(unit(picture[:, :body]), unit(gallery[:, :body]))
        return {
            "r1": whole[0], "r10": whole[1], "r1_body": parts[0], "r10_body": parts[1],
            "pictures": len(picture), "poses": len(gallery),
        }  # fmt: skip


class _Learning(PictureEncoder):
    """The encoder and its temperatures: of pairs and of triplets."""

    def __init__(self, config: EmbeddingConfig, tau: float) -> None:
        super().__init__(config)
        self.log_sharpness = nn.Parameter(torch.full((2,), -math.log(tau)))


class _Drawn(Dataset[dict[str, Tensor]]):
    """Batch number ``step``, drawn from (seed, step) alone."""

    def __init__(self, rows: dict[str, Tensor], batch: int, seed: int) -> None:
        self.rows, self.batch, self.seed = rows, batch, seed

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        count = len(self.rows["features"])
        rng = np.random.default_rng((self.seed, step))
        chosen = torch.from_numpy(rng.choice(count, size=min(self.batch, count), replace=False))
        return {n: v[chosen] for n, v in self.rows.items()}
