"""What one run of the training loop is told: checked dataclasses."""

from __future__ import annotations

from dataclasses import dataclass, field

from diffpose_ros.core import ConfigError
from diffpose_ros.core.typed_config import at_least, one_of, share
from diffpose_ros.data.motion import ClipChoice
from diffpose_ros.data.virtual.synthesis import SynthesisConfig
from diffpose_ros.diffusion.schedules import Schedule
from diffpose_ros.methods.diffusion.context_encoder import ContextConfig
from diffpose_ros.methods.diffusion.graformer import DenoiserConfig
from diffpose_ros.methods.diffusion.hpim import HistoryConfig
from diffpose_ros.training.losses import TERMS
from diffpose_ros.training.precision import PRECISIONS

TASKS = ("context", "diffpose", "starpose")
OPTIMISERS = ("adamw", "muon")
DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class OptimiserConfig:
    """How weights are moved.

    Attributes:
        steps: optimiser steps in all.
        batch: clips per step.
        learning_rate: peak of a cosine schedule with linear warm-up.
        warmup: steps of warm-up.
        weight_decay: AdamW's.
        clip: gradient norm bound.
        ema: decay of the exponential moving average of the weights.
        optimiser: ``adamw``, or ``muon`` for the matrices of residual blocks (AdamW moves the rest).
        precision: ``float32``, ``bfloat16`` (autocast), or ``auto``: bfloat16 where the machine has it.
        device: ``cpu``, ``cuda`` (one GPU), or ``auto``: a GPU where torch sees one.
        threads: CPU threads; 0: as many as torch takes by itself.
        compile: use ``torch.compile``.
        seed: of everything random.
        save_every: steps between checkpoints.

    Raises:
        ConfigError: a value is outside its range.
    """

    steps: int = 4000
    batch: int = 24
    learning_rate: float = 1e-3
    warmup: int = 200
    weight_decay: float = 0.01
    clip: float = 1.0
    ema: float = 0.998
    optimiser: str = "adamw"
    precision: str = "auto"
    device: str = "auto"
    threads: int = 1
    compile: bool = True
    seed: int = 0
    save_every: int = 250

    def __post_init__(self) -> None:
        one_of("precision", self.precision, PRECISIONS)
        one_of("optimiser", self.optimiser, OPTIMISERS)
        one_of("device", self.device, DEVICES)
        for name in ("steps", "batch", "save_every"):
            at_least(name, getattr(self, name), 1)
        for name in ("warmup", "seed", "weight_decay", "threads"):
            at_least(name, getattr(self, name), 0)
        for name in ("learning_rate", "clip"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name}: expected above 0, got {getattr(self, name):g}")
        if not 0.0 <= self.ema < 1.0:
            raise ConfigError(f"ema: expected from 0 to below 1, got {self.ema:g}")


@dataclass(frozen=True)
class LifterModel:
    """A lifter around a trained context encoder.

    Attributes:
        window: frames of the past that the encoder sees per block; changes no weight.
        mirror: whether the encoder answers for the mirror image too; changes no weight.
        denoiser: sizes of the denoiser.
        history: sizes of HPIM (StarPose), none in DiffPose.
        schedule: the forward process.
        initial: what H_K is, see :data:`~diffpose_ros.methods.diffusion.initial_distribution.INITIAL`.
        components: M of the mixture.
        hypotheses: N it is calibrated for.
        steps: DDIM steps.
    """

    window: int = 81
    mirror: bool = False
    denoiser: DenoiserConfig = field(default_factory=DenoiserConfig)
    history: HistoryConfig | None = None
    schedule: Schedule = field(default_factory=Schedule)
    initial: str = "context"
    components: int = 5
    hypotheses: int = 5
    steps: int = 5


@dataclass(frozen=True)
class TrainingConfig:
    """One run of the loop.

    Attributes:
        task: one of :data:`TASKS`.
        data: motion capture: archives (npz) and folders of BVH files.
        output: folder for checkpoints and logs.
        clips: which clips of the data are used.
        context: checkpoint of the frozen context encoder (lifters only).
        start: checkpoint whose matching weights to start from (optional).
        encoder: sizes of the context encoder (task ``context``).
        lifter: what the lifter is made of (the other tasks).
        loss: weights of loss terms that differ from the task's own (:data:`losses.TERMS`).
        rollouts: share of the steps in which a lifter's history is what it made of the whole clips, frame
            after frame on its own answers, as on a robot; in the others it comes from one or two
            parallel passes, which are faster.
        optimiser: see :class:`OptimiserConfig`.
        synthesis: see :class:`~diffpose_ros.data.virtual.synthesis.SynthesisConfig`.

    Raises:
        ConfigError: a value is outside its range, or two contradict each other.
    """

    task: str
    data: tuple[str, ...]
    output: str
    clips: ClipChoice = field(default_factory=ClipChoice)
    context: str = ""
    start: str = ""
    encoder: ContextConfig = field(default_factory=ContextConfig)
    lifter: LifterModel = field(default_factory=LifterModel)
    loss: dict[str, float] = field(default_factory=dict)
    rollouts: float = 0.0
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    synthesis: SynthesisConfig = field(default_factory=SynthesisConfig)

    def __post_init__(self) -> None:
        one_of("task", self.task, TASKS)
        if not self.data:
            raise ConfigError("data: expected at least one motion capture file or folder, got none")
        for term, weight in self.loss.items():
            one_of("loss", term, TERMS[self.task])
            at_least(f"loss.{term}", weight, 0.0)
        share("rollouts", self.rollouts)
        if self.rollouts and self.task != "starpose":
            raise ConfigError(f"rollouts: task {self.task} has no history to roll out; use starpose")
        if self.task != "context" and (self.task == "starpose") != (self.lifter.history is not None):
            raise ConfigError(
                "lifter: a 'history' belongs to task starpose and to no other; task is "
                f"{self.task}, history is {'set' if self.lifter.history else 'not set'}"
            )
