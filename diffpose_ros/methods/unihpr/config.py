"""What a UniHPR model is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from diffpose_ros.core import ConfigError
from diffpose_ros.core.typed_config import at_least
from diffpose_ros.diffusion.schedules import Schedule
from diffpose_ros.methods.diffusion.context_encoder import ContextConfig


@dataclass(frozen=True)
class EmbeddingConfig:
    """Sizes of the encoders and of the space they share.

    Attributes:
        body: numbers that say how the body is posed, whoever sees it; a unit vector of their own.
        turn: numbers that say how it stands to the viewer.
        width: of the hidden layers.
        blocks: residual blocks.
        features: numbers of a picture's feature vector; 0: no picture encoder.
    """

    body: int = 64
    turn: int = 64
    width: int = 384
    blocks: int = 2
    features: int = 0

    def __post_init__(self) -> None:
        for name in ("body", "turn", "width", "blocks"):
            at_least(name, getattr(self, name), 1)
        at_least("features", self.features, 0)

    @property
    def size(self) -> int:
        """Numbers of a whole embedding, D."""
        return self.body + self.turn


@dataclass(frozen=True)
class DecoderConfig:
    """The diffusion decoder.

    Attributes:
        width: of the hidden layers.
        blocks: residual blocks.
        schedule: the forward process.
        steps: DDIM steps.
        hypotheses: poses sampled per person, N.
        spread: standard deviation of a coordinate of poses of size 1; sets the scale of what is denoised.
    """

    width: int = 384
    blocks: int = 3
    schedule: Schedule = field(default_factory=lambda: Schedule("cosine"))
    steps: int = 5
    hypotheses: int = 5
    spread: float = 0.08

    def __post_init__(self) -> None:
        for name in ("width", "blocks", "steps", "hypotheses"):
            at_least(name, getattr(self, name), 1)
        if self.steps > self.schedule.diffusion_steps:
            raise ConfigError(
                f"steps: expected at most the {self.schedule.diffusion_steps} of the schedule, "
                f"got {self.steps}"
            )
        if not self.spread > 0:
            raise ConfigError(f"spread: expected above 0, got {self.spread:g}")


@dataclass(frozen=True)
class UniHprConfig:
    """A whole model.

    Attributes:
        context: the context encoder that reads the window of keypoints.
        embedding: the encoders.
        decoder: from embeddings to poses.
    """

    context: ContextConfig = field(default_factory=ContextConfig)
    embedding: EmbeddingConfig = field(default_factory=EmbeddingConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
