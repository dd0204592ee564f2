"""The second stage: the denoiser (and the history module) around a frozen context encoder.

Clips are trained whole: every frame is a sample, one k, one mixture component and one noise per clip,
as online, where the noise is fixed; so consecutive answers can be asked to move as the truth does.

The history of a frame is the lifter's own answers, as on a robot. To keep clips parallel they come
from passes without gradient: first with the context encoder's answers as history, then with the answers
of the first pass (scheduled sampling in parallel). In a configured share of the steps they come from a
rollout, frame after frame: slower, but errors are fed back as deep as they will be. A small share of
clips sees the truth or nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from diffpose_ros.core import H36M17
from diffpose_ros.data.virtual.synthesis import MotionLibrary, SynthesisConfig, make_batch
from diffpose_ros.diffusion.samplers import diffuse
from diffpose_ros.methods.diffusion.mixture import Mixture
from diffpose_ros.methods.diffusion.network import LifterNetwork
from diffpose_ros.training import losses
from diffpose_ros.training.config import TrainingConfig
from diffpose_ros.training.loop import to_tensors
from diffpose_ros.training.mixture import fit_mixture
from diffpose_ros.training.rollout import evaluating, rollout

RESIDUAL_LIMIT = 8.0
FIRST_STEP_SHARE = 0.4
"""Share of the clips that train the step from pure noise, k = K; the others draw k evenly."""


def into_next_view(pose: Tensor, rotation: Tensor) -> Tensor:
    """Each frame's pose in the next frame's virtual camera.

    Args:
        pose: (B, T, 17, 3) in each frame's own virtual camera.
        rotation: (B, T, 3, 3) real camera to virtual camera.

    Returns:
        (B, T - 1, 17, 3).
    """
    real = torch.matmul(pose[:, :-1], rotation[:, :-1])
    return torch.matmul(real, rotation[:, 1:].transpose(-1, -2))


class DiffusionTask:
    """Loss of a lifter with a frozen context encoder.

    Args:
        network: the lifter; its context encoder must not require gradients.
        config: weights of the loss terms, compilation, the share of rollouts.
        bfloat16: whether to run under autocast.
    """

    def __init__(self, network: LifterNetwork, config: TrainingConfig, *, bfloat16: bool = False) -> None:
        self.network = network
        self.context: Callable[..., Any] = network.context
        self.clean: Callable[..., Any] = network.clean
        self.past: Callable[..., Any] | None = network.history
        if config.optimiser.compile:
            self.context = torch.compile(network.context, dynamic=False)
            self.clean = torch.compile(network.clean, dynamic=False)
            if network.history is not None:
                self.past = torch.compile(network.history, dynamic=False)
        self.bfloat16 = bfloat16
        self.weights = {**losses.TERMS[config.task], **config.loss}
        self.rollouts = config.rollouts
        self.alphas = network.mixture_mean.new_tensor(network.alphas)

    def __call__(self, batch: dict[str, Tensor], step: int) -> tuple[Tensor, dict[str, float]]:
        net = self.network
        net.train()  # what learns drops out; the frozen encoder answers as it will online
        net.context.eval()
        kind = batch["points"].device.type
        feature, pose, log_sigma = self._encoded(batch)
        truth = batch["pose"]
        centre, width = net.origin(pose, log_sigma, batch["points"], batch["view"])
        clean = ((truth - centre) / width).clamp(-RESIDUAL_LIMIT, RESIDUAL_LIMIT)
        b, t = pose.shape[:2]
        k = torch.randint(1, len(self.alphas), (b,))
        # The first step decides most and every sampler takes it.
        k = torch.where(torch.rand(b) < FIRST_STEP_SHARE, len(self.alphas) - 1, k)
        which = torch.multinomial(net.mixture_weight, b, replacement=True)
        mean = net.mixture_mean[which].unsqueeze(1)
        noise = net.mixture_std[which].unsqueeze(1) * torch.randn(b, 1, 17, 3)
        noisy = diffuse(clean, mean, noise, self.alphas[k].view(b, 1, 1, 1))
        with torch.autocast(kind, torch.bfloat16, enabled=self.bfloat16):
            past = self._history(batch, feature, pose, log_sigma, step)
            answer = self._answer(noisy, k, batch, feature, pose, log_sigma, past)
        answer = answer.float()
        result = centre + answer * width
        result = result - result[..., :1, :]
        error = result - truth
        turned = torch.matmul(error, batch["rotation"])
        parts = {
            "pose": losses.weighted_mpjpe(error),
            "velocity": losses.velocity(turned, batch["times_s"]),
            "acceleration": losses.acceleration(turned, batch["times_s"]),
            "bone": losses.bone_length(result, truth, H36M17.bones),
            "residual": (answer - clean).square().mean(),
        }
        if self.weights["symmetry"] > 0:
            parts["symmetry"] = self._symmetry(result)
        total = sum((self.weights[n] * v for n, v in parts.items()), torch.zeros(()))
        logs = {n: round(float(v.detach()), 5) for n, v in parts.items()}
        with torch.no_grad():
            far = (k > len(self.alphas) * 4 // 5).float().view(b, 1, 1)
            size = error.norm(dim=-1)
            logs["start_mm"] = round(1000 * float((size * far).sum() / (far.sum() * t * 17 + 1e-6)), 2)
            logs["context_mm"] = round(1000 * float((pose - truth).norm(dim=-1).mean()), 2)
        return total, logs

    def _encoded(self, batch: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """Features (B, T, 17, C), pose and log sigma (B, T, 17, 3) of the frozen encoder."""
        kind = batch["points"].device.type
        with torch.no_grad(), torch.autocast(kind, torch.bfloat16, enabled=self.bfloat16):
            known = self.context(batch["points"], batch["view"], batch["times_s"])
        return tuple(t.float() for t in known)

    def _answer(
        self,
        noisy: Tensor,
        k: Tensor,
        batch: dict[str, Tensor],
        feature: Tensor,
        pose: Tensor,
        log_sigma: Tensor,
        past: tuple[Tensor, Tensor, Tensor, Tensor] | None,
    ) -> Tensor:
        """Denoise all frames of all clips: (B, T, 17, 3)."""
        net = self.network
        b, t = pose.shape[:2]
        known = net.condition(feature, pose, log_sigma, batch["points"], batch["view"], *(past or ()))
        rows = self.clean(
            noisy.flatten(0, 1).unsqueeze(1), known.flatten(0, 1),
            k.float().repeat_interleave(t),
        )  # fmt: skip
        return cast(Tensor, rows.squeeze(1).unflatten(0, (b, t)))

    def _past(
        self, batch: dict[str, Tensor], answers: Tensor, alive: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """History features and the previous answer for every frame, from given answers."""
        assert self.past is not None
        b, t = answers.shape[:2]
        previous = into_next_view(answers, batch["rotation"])
        past = self.past(batch["points"][:, :-1], previous, batch["times_s"][:-1])
        first = torch.zeros(b, 1, 17, past.shape[-1], dtype=past.dtype)
        has = torch.ones(b, t) * alive[:, None]
        has[:, 0] = 0.0
        age = torch.cat([torch.zeros(1), batch["times_s"].diff()]).expand(b, t)
        padded = torch.cat([torch.zeros(b, 1, 17, 3), previous], dim=1)
        return torch.cat([first, past], dim=1), padded, has, age

    def _history(
        self, batch: dict[str, Tensor], feature: Tensor, pose: Tensor, log_sigma: Tensor, step: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor] | None:
        net = self.network
        if net.history is None:
            return None
        b = pose.shape[0]
        with torch.no_grad():
            if (step * self.rollouts) % 1.0 < self.rollouts:
                answers = self._rolled_out(batch)
            else:
                with evaluating(net):
                    answers = self._passes(batch, feature, pose, log_sigma, 1 + step % 2)
            choice = torch.rand(b).view(b, 1, 1, 1)
            wander = torch.randn(b, 1, 17, 3) * 0.03
            answers = torch.where(choice < 0.1, batch["pose"] + wander, answers)
            answers = torch.where((choice > 0.1) & (choice < 0.2), pose, answers)
            answers = answers + torch.where(choice > 0.85, wander, torch.zeros(()))
        return self._past(batch, answers, (torch.rand(b) > 0.05).float())

    def _rolled_out(self, batch: dict[str, Tensor]) -> Tensor:
        """What the lifter answers online with one hypothesis, one step and no guidance."""
        last = len(self.alphas) - 1
        answers = rollout(
            self.network, batch, guidance=(0.0, 0.0, 0.0, 0.0), steps=(last, 0), hypotheses=1
        ).mean
        return answers.float()

    def _passes(
        self, batch: dict[str, Tensor], feature: Tensor, pose: Tensor, log_sigma: Tensor, passes: int
    ) -> Tensor:
        """What it answers with its own answers of the pass before as history."""
        net = self.network
        b, t = pose.shape[:2]
        mean = (net.mixture_weight.view(-1, 1, 1) * net.mixture_mean).sum(0)
        start = mean.expand(b, t, 17, 3)
        last = torch.full((b,), len(self.alphas) - 1)
        centre, width = net.origin(pose, log_sigma, batch["points"], batch["view"])
        answers = pose
        for _ in range(passes):
            past = self._past(batch, answers, torch.ones(b))
            clean = self._answer(start, last, batch, feature, pose, log_sigma, past).float()
            answers = centre + clean * width
            answers = answers - answers[..., :1, :]
        return answers

    def _symmetry(self, pose: Tensor) -> Tensor:
        """STPG's symmetry energy as a training loss (StarPose "STPG-T"), per bone, metres."""
        _, length = self.network.guide.lengths(pose)
        left = [i for i, b in enumerate(H36M17.bones) if b[1] in H36M17.left]
        right = [
            next(n for n, c in enumerate(H36M17.bones) if c[1] == H36M17.flip[H36M17.bones[i][1]])
            for i in left
        ]
        return (length[..., left] - length[..., right]).abs().mean()


def measure_residuals(
    network: LifterNetwork,
    library: MotionLibrary,
    synthesis: SynthesisConfig,
    *,
    batches: int = 20,
    batch: int = 16,
    seed: int = 12345,
) -> np.ndarray:
    """Where the truth lies as seen from H_K's centre, in units of its width, (S, 17, 3): for the usual
    H_K, the context encoder's real error over its own estimate."""
    out = []
    with evaluating(network), torch.no_grad():
        for i in range(batches):
            data = to_tensors(make_batch(library, batch, np.random.default_rng((seed, i)), synthesis))
            _, pose, log_sigma = network.context(data["points"], data["view"], data["times_s"])
            centre, width = network.origin(pose, log_sigma, data["points"], data["view"])
            residual = (data["pose"] - centre) / width
            out.append(residual.clamp(-RESIDUAL_LIMIT, RESIDUAL_LIMIT)[:, ::3].flatten(0, 1).numpy())
    return np.concatenate(out)


def fit_initial_distribution(
    network: LifterNetwork, library: MotionLibrary, synthesis: SynthesisConfig
) -> Mixture:
    """EM on measured residuals; sets the network's mixture and returns it.

    The standard forward process (Stand-Diff) has nothing to fit.
    """
    if network.config.initial == "standard":
        mixture = Mixture.standard()
        network.set_mixture(mixture)
        return mixture
    residuals = measure_residuals(network, library, synthesis)
    residuals[:, 0] = np.random.default_rng(0).normal(0, 0.1, residuals[:, 0].shape)
    mixture = fit_mixture(residuals, network.config.components)
    network.set_mixture(mixture)
    return mixture
