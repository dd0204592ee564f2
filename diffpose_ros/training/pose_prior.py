"""What a pose prior learns from: poses of motion capture with noise, and the loss.

Nothing here has a camera: poses are relative to the hip, of one size, and turned.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from diffpose_ros.core.typed_config import at_least, share
from diffpose_ros.data.virtual import augment
from diffpose_ros.data.virtual.synthesis import AugmentConfig, MotionLibrary, augmented
from diffpose_ros.geometry.bones import bone_lengths
from diffpose_ros.methods.zedo.prior import PosePrior

OPTICAL = np.array([1.0, -1.0, -1.0])
"""Motion capture (Y up) to optical axes (y down): half a turn about x."""

BLOCK = 8
"""Steps whose poses are made together: small arrays cost more calls than arithmetic."""

LEAST_TIME = 0.008
"""Noise of 1.5 mm. Below it a pose is as good as clean."""


@dataclass(frozen=True)
class PoseConfig:
    """How the poses of a batch are made.

    Attributes:
        augment: other bodies and poses; its ``speed`` does nothing here.
        tilt_rad: how far poses lean from upright, standard deviation about each horizontal axis.
        far_tilt_rad: the same of those that lean far.
        far_share: their share.
        near_time: most times t of the SDE are drawn from 0 to here, where the optimisation runs.
        near_share: how many; the others run from 0 to 1.
    """

    augment: AugmentConfig = field(default_factory=AugmentConfig)
    tilt_rad: float = 0.2
    far_tilt_rad: float = 0.7
    far_share: float = 0.2
    near_time: float = 0.25
    near_share: float = 0.85

    def __post_init__(self) -> None:
        for name in ("tilt_rad", "far_tilt_rad"):
            at_least(name, getattr(self, name), 0.0)
        at_least("near_time", self.near_time, LEAST_TIME)
        share("far_share", self.far_share)
        share("near_share", self.near_share)


def body_size(library: MotionLibrary) -> float:
    """The mean sum of a body's 16 bones, m."""
    return float(bone_lengths(library.body[:, :17]).sum(-1).mean())


def relative(body: NDArray[np.floating], size: float) -> NDArray[np.float64]:
    """Poses relative to the hip, of one size, in optical axes.

    Args:
        body: (B, 17 or more, 3) m, Y up.
        size: sum of bones that each gets, m.
    """
    pose = np.asarray(body[:, :17] - body[:, :1], dtype=np.float64)
    return pose * (size / bone_lengths(pose).sum(-1))[:, None, None] * OPTICAL


def draw_poses(
    library: MotionLibrary, count: int, rng: np.random.Generator, config: PoseConfig, size: float
) -> NDArray[np.float64]:
    """``count`` augmented poses (count, 17, 3) m, turned about the vertical and tilted a little."""
    body = library.body[rng.integers(len(library.body), size=count)][:, None]
    body = augmented(body, rng, config.augment)
    pose = relative(body[:, 0], size)
    turn = np.zeros((count, 3), dtype=np.float32)
    turn[:, 1] = rng.uniform(-np.pi, np.pi, count)
    tilt = np.zeros((count, 3), dtype=np.float32)
    far = rng.random((count, 1)) < config.far_share
    tilt[:, [0, 2]] = rng.normal(size=(count, 2)) * np.where(far, config.far_tilt_rad, config.tilt_rad)
    turned = augment.rotation_from_vector(tilt) @ augment.rotation_from_vector(turn)
    return pose @ turned.swapaxes(1, 2)


class PoseDataset(Dataset[dict[str, Tensor]]):
    """Batch number ``step``, made from (seed, step) alone.

    Args:
        library: motions.
        prior: whose forward process adds the noise.
        batch: poses per step.
        seed: of everything random.
        config: how poses are made.
        size: sum of each body's bones, m.
    """

    def __init__(
        self, library: MotionLibrary, prior: PosePrior, batch: int, seed: int, config: PoseConfig, size: float
    ) -> None:
        self.library, self.sde, self.batch, self.seed = library, prior.config.sde, batch, seed
        self.config, self.size = config, size
        self._block: tuple[int, NDArray[np.float32]] = (-1, np.zeros((0, 51), dtype=np.float32))

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        """``pose``, ``noise`` (B, 51) and ``noise_level`` (B, 1)."""
        rng = np.random.default_rng((self.seed, step))
        first = step % BLOCK * self.batch
        pose = self._poses(step // BLOCK)[first : first + self.batch]
        near = rng.random((self.batch, 1)) < self.config.near_share
        t = rng.uniform(LEAST_TIME, np.where(near, self.config.near_time, 1.0))
        noise = rng.standard_normal(pose.shape, dtype=np.float32)
        level = self.sde.noise_level(t).astype(np.float32)
        made = {"pose": pose, "noise": noise, "noise_level": level}
        return {k: torch.from_numpy(v) for k, v in made.items()}

    def _poses(self, block: int) -> NDArray[np.float32]:
        """The poses (BLOCK * B, 51) of a block of steps, made once."""
        if self._block[0] != block:
            rng = np.random.default_rng((self.seed, block, 1))
            count = BLOCK * self.batch
            poses = draw_poses(self.library, count, rng, self.config, self.size)
            self._block = block, poses.reshape(count, -1).astype(np.float32)
        return self._block[1]


class ScoreTask:
    """Denoising score matching (ZeDO, eq. 3), weighted so that each noise level counts alike.

    Args:
        prior: the network that learns.
    """

    def __init__(self, prior: PosePrior) -> None:
        self.prior = prior

    def __call__(self, batch: dict[str, Tensor], step: int) -> tuple[Tensor, dict[str, float]]:
        """The loss, and how far denoised joints are off where the noise is 20 to 100 mm, mm."""
        pose, level = batch["pose"], batch["noise_level"]
        error = self.prior.denoise(pose + level * batch["noise"], level) - pose
        spread = self.prior.config.spread_m
        weight = 1.0 / level**2 + 1.0 / spread**2
        middling = (level[:, 0] > 0.02) & (level[:, 0] < 0.1)
        off = error.detach()[middling].unflatten(-1, (-1, 3)).norm(dim=-1).mean()
        return (weight * error.square()).mean(), {"off_mm": 1000 * float(off)}
