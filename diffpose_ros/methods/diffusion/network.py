"""The whole lifter as one torch module: context, history, denoiser, sampler and guidance.

It is what is trained, what is exported, and what the torch backend runs. ``step`` is one online frame
of P people; ``clean`` is one denoising of whole clips, for training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from diffpose_ros.core import ConfigError
from diffpose_ros.core.typed_config import at_least, from_mapping, one_of
from diffpose_ros.diffusion.samplers import sample_ddim
from diffpose_ros.diffusion.schedules import Schedule, ddim_steps
from diffpose_ros.methods.diffusion.context_encoder import ContextConfig, ContextEncoder
from diffpose_ros.methods.diffusion.graformer import Denoiser, DenoiserConfig
from diffpose_ros.methods.diffusion.hpim import HistoryConfig, HistoryModule
from diffpose_ros.methods.diffusion.initial_distribution import INITIAL, apparent_size, origin
from diffpose_ros.methods.diffusion.mixture import Mixture
from diffpose_ros.methods.diffusion.stpg import Guidance, GuidanceInputs
from diffpose_ros.methods.layers import Cache

POSE_UNIT = 4.0
"""Poses enter networks in quarters of a metre, about unit size."""


FEWER_STEPS = (2, 1)
"""The samplers for a missed deadline; each has a calibration of its own."""


@dataclass(frozen=True)
class LifterNetworkConfig:
    """What a lifter is made of.

    Attributes:
        context: the context encoder.
        denoiser: the denoiser (its ``context`` width is worked out here).
        history: HPIM (StarPose), or ``None`` (DiffPose).
        schedule: the forward process.
        initial: what H_K is, see :data:`~diffpose_ros.methods.diffusion.initial_distribution.INITIAL`.
        components: M of the mixture.
        hypotheses: N it is calibrated for.
        steps: DDIM steps.
        guidance: default weights of the four STPG energies.
    """

    context: ContextConfig = field(default_factory=ContextConfig)
    denoiser: DenoiserConfig = field(default_factory=DenoiserConfig)
    history: HistoryConfig | None = None
    schedule: Schedule = field(default_factory=Schedule)
    initial: str = "context"
    components: int = 5
    hypotheses: int = 5
    steps: int = 5
    guidance: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        one_of("initial", self.initial, INITIAL)
        for name in ("components", "hypotheses", "steps"):
            at_least(name, getattr(self, name), 1)
        if self.initial == "standard" and self.components != 1:
            raise ConfigError(f"initial standard: expected 1 component, got {self.components}")

    @property
    def kind(self) -> str:
        """``starpose`` with a history, ``diffpose`` without."""
        return "diffpose" if self.history is None else "starpose"

    @property
    def condition_width(self) -> int:
        """Features per joint that condition the denoiser."""
        extra = 2 * self.history.width + 5 if self.history else 0
        return self.context.width + 9 + extra + (3 if self.moved else 0)

    @property
    def moved(self) -> bool:
        """Whether H_K stands elsewhere than the context encoder's answer, which the denoiser must know."""
        return self.initial in ("detector", "histogram")

    def to_mapping(self) -> dict[str, Any]:
        """As plain data, for YAML."""
        return asdict(self)

    @classmethod
    def from_mapping(cls, data: Any, where: str = "lifter configuration") -> LifterNetworkConfig:
        """Inverse of :meth:`to_mapping`.

        Raises:
            ConfigError: unknown or missing keys, or values of the wrong type.
        """
        return from_mapping(cls, data, where)


class LifterNetwork(nn.Module):
    """DiffPose or StarPose.

    Args:
        config: what it is made of.
    """

    other_steps: tuple[int, ...] = FEWER_STEPS
    """Steps of the samplers that have a calibration of their own, beside the configured ones."""

    mixture_weight: Tensor
    mixture_mean: Tensor
    mixture_std: Tensor
    covariance_scale: Tensor
    covariance_floor: Tensor
    covariance_few: Tensor

    def __init__(self, config: LifterNetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.context = ContextEncoder(config.context)
        self.denoiser = self.make_denoiser(replace(config.denoiser, context=config.condition_width))
        self.history = HistoryModule(config.history) if config.history else None
        self.guide = Guidance()
        self.alphas = config.schedule.alphas()
        m = config.components
        self.register_buffer("mixture_weight", torch.full((m,), 1.0 / m))
        self.register_buffer("mixture_mean", torch.zeros(m, 17, 3))
        self.register_buffer("mixture_std", torch.ones(m, 17, 3))
        # Calibration on held-out training views: covariance = scale^2 * spread + floor^2, for the
        # configured steps and for each of ``other_steps``.
        rows = 1 + len(self.other_steps)
        self.register_buffer("covariance_scale", torch.ones(rows, 17, 3))
        self.register_buffer("covariance_floor", torch.full((rows, 17, 3), 1e-3))
        # Few hypotheses say less of their own spread: a factor on every sigma for N = 0, 1, ...
        self.register_buffer("covariance_few", torch.ones(config.hypotheses + 1))

    @property
    def more_inputs(self) -> dict[str, tuple[int, ...]]:
        """Inputs that a step reads beside those of every lifter, and their shapes without P."""
        return {}

    @property
    def more_outputs(self) -> tuple[str, ...]:
        """Outputs of a step beside those of every lifter, a row per person."""
        return ()

    def more_answers(self, embedded: Any) -> dict[str, Tensor]:
        """``more_outputs``, from what :meth:`embed` made."""
        return {}

    def more_metadata(self) -> dict[str, Any]:
        """What a model file says beside what every lifter's does."""
        return {}

    def make_denoiser(self, config: DenoiserConfig) -> Denoiser:
        """The denoiser, of the width that the condition has."""
        return Denoiser(config)

    def embed(self, known: Tensor, feature: Tensor, hypotheses: int, inputs: dict[str, Tensor]) -> Any:
        """What the denoiser is conditioned on in one frame, worked out once for all steps.

        Args:
            known: (P, 17, condition_width) of :meth:`condition`.
            feature: (P, 17, C) the context encoder's.
            hypotheses: N.
            inputs: of the step.
        """
        return self.denoiser.embed_condition(known, hypotheses)

    def set_mixture(self, mixture: Mixture) -> None:
        """Use a fitted mixture; its components must be as many as the configuration says."""
        self.mixture_weight.copy_(torch.from_numpy(mixture.weight))
        self.mixture_mean.copy_(torch.from_numpy(mixture.mean))
        self.mixture_std.copy_(torch.from_numpy(mixture.std))

    def calibration(self, steps: int) -> int:
        """Row of the covariance's calibration for a sampler of so many steps."""
        own = steps in self.other_steps and steps != self.config.steps
        return 1 + self.other_steps.index(steps) if own else 0

    def component(self, hypotheses: int) -> Tensor:
        """Mixture component of each hypothesis (N,), stratified by weight, so that N draws stand for
        the mixture without chance."""
        at = (torch.arange(hypotheses) + 0.5) / hypotheses
        if self.config.components == 1:  # OpenVINO's sum over no edges at all is not 0
            return (0.0 * at).long()
        edges = self.mixture_weight.cumsum(0)[:-1]
        return (at[:, None] > edges[None, :]).sum(dim=1)

    def origin(self, pose: Tensor, log_sigma: Tensor, points: Tensor, view: Tensor) -> tuple[Tensor, Tensor]:
        """What residuals are relative to and divided by, each (..., 17, 3) m; see
        :func:`diffpose_ros.methods.diffusion.initial_distribution.origin`."""
        return origin(self.config.initial, pose, log_sigma, points, view)

    def condition(
        self,
        feature: Tensor,
        pose: Tensor,
        log_sigma: Tensor,
        points: Tensor,
        view: Tensor,
        past: Tensor | None = None,
        previous: Tensor | None = None,
        has_previous: Tensor | None = None,
        previous_age: Tensor | None = None,
    ) -> Tensor:
        """Everything the denoiser may know, (..., 17, condition_width).

        Args:
            feature: f_ST (..., 17, C).
            pose: the context encoder's answer (..., 17, 3) m.
            log_sigma: its own estimate of its error (..., 17, 3).
            points: what was seen of each joint, (..., 21, 3).
            view: (..., 6).
            past: f_his (..., 17, 2 width).
            previous: the last frame's answer in this frame's virtual camera (..., 17, 3) m.
            has_previous: (...,) 1 or 0; 0 blanks the history.
            previous_age: (...,) seconds.
        """
        parts = [feature, pose * POSE_UNIT, log_sigma + 3.0, points[..., :17, :]]
        if self.config.moved:
            centre, width = self.origin(pose, log_sigma, points, view)
            parts.append(((pose - centre) / width).clamp(-8.0, 8.0))
        if past is not None and previous is not None:
            assert has_previous is not None
            assert previous_age is not None
            there = has_previous[..., None, None]
            moved = (previous - pose) * (2.0 * POSE_UNIT)
            flag = there.expand(*there.shape[:-2], 17, 1)
            since = (previous_age.clamp(0.0, 1.0) * 10.0)[..., None, None] * flag
            parts += [past * there, moved * there, flag, since]
        return torch.cat(parts, dim=-1)

    def clean(self, noisy: Tensor, condition: Tensor, k: Tensor) -> Tensor:
        """One denoising of rows (R, N, 17, 3) at steps k (R,) under conditions (R, 17, width)."""
        hypotheses = noisy.shape[1]
        embedded = self.denoiser.embed_condition(condition, hypotheses)
        step = self.denoiser.embed_step(k.repeat_interleave(hypotheses))
        return self.denoiser(noisy.flatten(0, 1), embedded, step).view(noisy.shape)

    def step(
        self,
        inputs: dict[str, Tensor],
        context_cache: list[Cache],
        history_cache: list[Cache],
        steps: Sequence[int] | None = None,
    ) -> tuple[dict[str, Tensor], list[Cache], list[Cache]]:
        """One new frame of P people.

        Args:
            inputs: the graph's inputs by name (docs/model_files.md).
            context_cache: per block, keys and values.
            history_cache: per layer, keys and values; empty without a history.
            steps: the k to visit; the configured DDIM steps when omitted.

        Returns:
            ``mean``, ``covariance``, ``hypotheses``; the new context and history entries.
        """
        visit = steps or ddim_steps(self.config.schedule.diffusion_steps, self.config.steps)
        feature, pose, log_sigma, new_context = self.context.step(
            inputs["points"], inputs["view"], inputs.get("age", inputs["previous_age"]), context_cache
        )
        previous, age = inputs["previous_pose"], inputs["previous_age"]
        has_previous = (age >= 0).to(pose.dtype)
        past: Tensor | None = None
        new_history: list[Cache] = []
        if self.history is not None:
            slot_age = inputs["history_age"]
            before = torch.where(slot_age < 0, slot_age, (slot_age - age[:, None]).clamp(min=0.0))
            past, new_history = self.history.step(inputs["previous_points"], previous, before, history_cache)
        known = self.condition(
            feature, pose, log_sigma, inputs["points"], inputs["view"], past,
            previous if self.history is not None else None, has_previous, age,
        )  # fmt: skip
        noise = inputs["noise"]
        hypotheses = noise.shape[1]
        embedded = self.embed(known, feature, hypotheses, inputs)
        where = self.origin(pose, log_sigma, inputs["points"], inputs["view"])
        centre, width = (t.unsqueeze(1) for t in where)
        plan = self.guide.prepare(self._guidance_inputs(inputs, has_previous), inputs["guidance"])

        def denoise(h: Tensor, k: int) -> Tensor:
            step = self.denoiser.embed_step(torch.tensor([float(k)]))
            clean = self.denoiser(h.flatten(0, 1), embedded, step)
            return clean.unflatten(0, (-1, hypotheses))

        def guide(r: Tensor) -> Tensor:
            off = r * width
            off = off + self.guide.move(centre + off, plan)
            return (off - off[..., :1, :]) / width  # the centre's root is at zero

        which = self.component(hypotheses)
        mean = self.mixture_mean[which]
        spread = self.mixture_std[which] * noise
        # Components differ in width, so noise of zero mean is no longer that once scaled; what is
        # left would push the mean of few hypotheses the same way in every frame. One has no mean.
        count = torch.ones_like(noise[0, :, 0, 0]).sum()
        several = (count - 1.0).clamp(max=1.0)
        start = mean + spread - spread.mean(dim=1, keepdim=True) * several
        clean = sample_ddim(denoise, start, mean, self.alphas, visit, guide, keep_centre=True)
        samples = centre + clean * width
        samples = samples - samples[..., :1, :]
        row = self.calibration(len(visit) - 1)
        few = self.covariance_few[count.clamp(max=float(self.config.hypotheses)).long()]
        out = self._summarise(samples, row, few) | self.more_answers(embedded)
        return out, new_context, new_history

    def _guidance_inputs(self, inputs: dict[str, Tensor], has_previous: Tensor) -> GuidanceInputs:
        scale = apparent_size(inputs["view"])[:, None, None]  # undoes the division in ``points``
        points, bones = inputs["points"][:, :17], inputs["bone_mean"]
        return GuidanceInputs(
            rays=(points[..., :2] * scale).unsqueeze(1),
            weight=points[..., 2].unsqueeze(1),
            previous=inputs["previous_pose"].unsqueeze(1),
            has_previous=has_previous[:, None, None],
            bone_mean=bones.unsqueeze(1),
            has_bones=(bones[:, :1] > 0).to(bones.dtype).unsqueeze(1),
        )

    def _summarise(self, samples: Tensor, row: int, few: Tensor) -> dict[str, Tensor]:
        mean = samples.mean(dim=1)
        off = (samples - mean.unsqueeze(1)) * self.covariance_scale[row]
        spread = torch.matmul(off.permute(0, 2, 3, 1), off.permute(0, 2, 1, 3)) / samples.shape[1]
        floor = self.covariance_floor[row].square().unsqueeze(-1) * torch.eye(3)
        covariance = (spread + floor) * few.square()
        return {"mean": mean, "covariance": covariance, "hypotheses": samples}
