"""Run a lifter over clips as a robot would: frame after frame, on its own answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from diffpose_ros.core import H36M17
from diffpose_ros.diffusion.noise import fixed_noise
from diffpose_ros.methods.diffusion.network import LifterNetwork

_PARENT = [b[0] for b in H36M17.bones]
_CHILD = [b[1] for b in H36M17.bones]


@dataclass(frozen=True)
class Rollout:
    """What came out.

    Attributes:
        mean: (B, T, 17, 3) metres, virtual camera.
        covariance: (B, T, 17, 3, 3) m^2.
        hypotheses: (B, T, N, 17, 3) metres.
    """

    mean: Tensor
    covariance: Tensor
    hypotheses: Tensor


@torch.no_grad()
def rollout(
    network: LifterNetwork,
    batch: dict[str, Tensor],
    *,
    guidance: tuple[float, float, float, float] | None = None,
    steps: tuple[int, ...] | None = None,
    hypotheses: int | None = None,
    bone_window: int = 27,
) -> Rollout:
    """Lift clips on one time grid (fields of ``Batch``), causally.

    Args:
        network: the lifter.
        batch: ``points``, ``view``, ``times_s``, ``rotation``, and of the network's further inputs those
            that are known, (B, T, ...).
        guidance: weights of the energies; the network's own when omitted.
        steps: the k to visit.
        hypotheses: N; the network's own when omitted.
        bone_window: frames that the mean bone lengths cover.
    """
    with evaluating(network):
        return _rollout(network, batch, guidance, steps, hypotheses, bone_window)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode inside, and outside the mode that each part was in before."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _rollout(
    network: LifterNetwork,
    batch: dict[str, Tensor],
    guidance: tuple[float, float, float, float] | None,
    steps: tuple[int, ...] | None,
    hypotheses: int | None,
    bone_window: int,
) -> Rollout:
    points, times, rotation = batch["points"], batch["times_s"], batch["rotation"]
    b, t = points.shape[:2]
    config = network.config
    noise = torch.from_numpy(fixed_noise(hypotheses or config.hypotheses)).to(points.device)
    noise = noise.expand(b, -1, -1, -1)
    weights = torch.tensor(config.guidance if guidance is None else guidance)
    context = [_Cache(m.time.key_shape, m.time.value_shape, b) for m in network.context.looking_back]
    history = (
        [_Cache(m.attention.key_shape, m.attention.value_shape, b) for m in network.history.layers]
        if network.history is not None
        else []
    )
    window, length = config.context.window, config.history.length if config.history else 1
    means: list[Tensor] = []
    covariances: list[Tensor] = []
    samples: list[Tensor] = []
    bones: list[Tensor] = []
    for i in range(t):
        if means:
            real = torch.matmul(means[-1], rotation[:, i - 1])
            previous = torch.matmul(real, rotation[:, i].transpose(-1, -2))
            previous_age = (times[i] - times[i - 1]).expand(b)
        else:
            previous, previous_age = torch.zeros(b, 17, 3), torch.full((b,), -1.0)
        first_h = max(0, i - 1 - length)
        inputs = {
            "points": points[:, i], "view": batch["view"][:, i], "noise": noise,
            "age": (times[i] - times[max(0, i - window) : i]).expand(b, -1),
            "previous_pose": previous, "previous_age": previous_age,
            "previous_points": points[:, max(0, i - 1)],
            "history_age": (times[i] - times[first_h : max(0, i - 1)]).expand(b, -1),
            "bone_mean": torch.stack(bones[-bone_window:]).mean(0) if bones
            else torch.full((b, 16), -1.0),
            "guidance": weights,
            **{name: batch[name][:, i] for name in network.more_inputs if name in batch},
        }  # fmt: skip
        out, new_context, new_history = network.step(
            inputs, [c.last(window) for c in context], [c.last(length) for c in history], steps
        )
        for cache, entry in zip(context, new_context, strict=True):
            cache.push(entry)
        if i > 0:
            for cache, entry in zip(history, new_history, strict=True):
                cache.push(entry)
        means.append(out["mean"])
        covariances.append(out["covariance"])
        samples.append(out["hypotheses"])
        bones.append((out["mean"][:, _CHILD] - out["mean"][:, _PARENT]).norm(dim=-1))
    return Rollout(torch.stack(means, 1), torch.stack(covariances, 1), torch.stack(samples, 1))


class _Cache:
    """All past keys and values of one layer, cut to a window when read."""

    def __init__(self, key: tuple[int, int], value: tuple[int, int], b: int) -> None:
        self.keys, self.values = (torch.zeros(b, h, 0, d) for h, d in (key, value))

    def last(self, slots: int) -> tuple[Tensor, Tensor]:
        return self.keys[..., -slots:, :], self.values[..., -slots:, :]

    def push(self, entry: tuple[Tensor, Tensor]) -> None:
        self.keys = torch.cat([self.keys, entry[0]], dim=-2)[..., -256:, :]
        self.values = torch.cat([self.values, entry[1]], dim=-2)[..., -256:, :]
