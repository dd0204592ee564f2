"""What a recipe says of a FinePOSE model: checked dataclasses."""

from __future__ import annotations

from dataclasses import dataclass, field

from diffpose_ros.core import ConfigError
from diffpose_ros.core.typed_config import at_least, one_of, share
from diffpose_ros.diffusion.schedules import Schedule
from diffpose_ros.methods.finepose.denoiser import PromptConfig
from diffpose_ros.training.config import OptimiserConfig
from diffpose_ros.training.losses import TERMS


@dataclass(frozen=True)
class ViewsConfig:
    """Views of the motions, made and encoded once: the encoder is frozen.

    Attributes:
        batches: how many; one is a step's batch, and training goes round them.
        batch: segments in each.
        frames: of each segment, its last ones are kept.
        balance: 0 draws clips by their length, 1 all actions as often as each other.
        seed: of the views.
    """

    batches: int = 96
    batch: int = 64
    frames: int = 12
    balance: float = 0.5
    seed: int = 31

    def __post_init__(self) -> None:
        at_least("batches", self.batches, 1)
        at_least("batch", self.batch, 1)
        at_least("frames", self.frames, 3)
        share("balance", self.balance)


@dataclass(frozen=True)
class PromptRun:
    """One run: how weights move, and how often prompts are told.

    Attributes:
        optimiser: see :class:`OptimiserConfig`.
        loss: weights of terms that differ from DiffPose's own.
        told: share of the segments that are told the true action where there is one.
        believed: share that are told what the network believes of the action; the rest is told nothing.
        wrong: share of the told ones that are told another action.
        dropped: share of the segments from which each other prompt is kept.
        head: weight of the cross-entropy of what is believed.
    """

    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    loss: dict[str, float] = field(default_factory=dict)
    told: float = 0.4
    believed: float = 0.3
    wrong: float = 0.05
    dropped: float = 0.3
    head: float = 0.02

    def __post_init__(self) -> None:
        for name in ("told", "believed", "wrong", "dropped"):
            share(name, getattr(self, name))
        if self.told + self.believed > 1.0:
            together = self.told + self.believed
            raise ConfigError(f"told, believed: expected at most 1 together, got {together:g}")
        at_least("head", self.head, 0.0)
        for term, weight in self.loss.items():
            one_of("loss", term, TERMS["diffpose"])
            at_least(f"loss.{term}", weight, 0.0)


@dataclass(frozen=True)
class FinePoseSection:
    """A denoiser that prompts tell, around the frozen encoder of a lifter.

    Attributes:
        start: that lifter: a shipped model's name or a folder, of kind diffpose. Its denoiser is where
            training starts from.
        prompts: the prompts.
        schedule: the forward process.
        hypotheses: N it is calibrated for.
        steps: DDIM steps.
        views: what is learnt from.
        runs: trainings, one after the other.
    """

    start: str = "diffpose"
    prompts: PromptConfig = field(default_factory=PromptConfig)
    schedule: Schedule = field(default_factory=lambda: Schedule(beta_schedule="cosine"))
    hypotheses: int = 5
    steps: int = 5
    views: ViewsConfig = field(default_factory=ViewsConfig)
    runs: tuple[PromptRun, ...] = (PromptRun(),)

    def __post_init__(self) -> None:
        if not self.runs:
            raise ConfigError("runs: expected at least one, got none")
        for name in ("hypotheses", "steps"):
            at_least(name, getattr(self, name), 1)
