"""What a recipe says of a UniHPR model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from diffpose_ros.core import ConfigError
from diffpose_ros.core.typed_config import at_least, share
from diffpose_ros.data.virtual.synthesis import SynthesisConfig
from diffpose_ros.methods.unihpr.config import DecoderConfig, EmbeddingConfig
from diffpose_ros.training.config import OptimiserConfig
from diffpose_ros.training.unihpr_tasks import EmbeddingLoss
from diffpose_ros.training.unihpr_views import ViewsConfig


@dataclass(frozen=True)
class PictureSection:
    """The picture encoder, learnt with the others frozen.

    Attributes:
        file: features of the detector's network at people whose pose is known, see
            :func:`diffpose_ros.training.unihpr_pictures.load_pictures`; empty: no picture encoder.
        judged: share of the people who are left out, to say how well pictures are found again.
        triplet: alpha of the triplet loss.
        tau: temperature; the paper's is 1/5.
        noise: on features, of their standard deviation.
        optimiser: how weights are moved; ``batch`` counts pictures.
    """

    file: str = ""
    judged: float = 0.1
    triplet: float = 1.0
    tau: float = 0.2
    noise: float = 0.2
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)

    def __post_init__(self) -> None:
        share("judged", self.judged)
        at_least("triplet", self.triplet, 0.0)
        at_least("tau", self.tau, 0.01)
        at_least("noise", self.noise, 0.0)


@dataclass(frozen=True)
class UniHprSection:
    """The encoders, the decoder, and what they learn from.

    Attributes:
        mirror: whether the context encoder answers for the mirror image too.
        window: frames of the past that it sees.
        views: moments, seen by two cameras each.
        synthesis: how these are made.
        embedding: sizes of the encoders.
        loss: what brings embeddings together.
        encoders: how the encoders' weights are moved; ``batch`` counts moments.
        decoder: the decoder's sizes and schedule.
        decoding: how its weights are moved; ``batch`` counts moments.
        pictures: the picture encoder.
    """

    mirror: bool = True
    window: int = 81
    views: ViewsConfig = field(default_factory=ViewsConfig)
    synthesis: SynthesisConfig = field(default_factory=SynthesisConfig)
    embedding: EmbeddingConfig = field(default_factory=EmbeddingConfig)
    loss: EmbeddingLoss = field(default_factory=EmbeddingLoss)
    encoders: OptimiserConfig = field(default_factory=OptimiserConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    decoding: OptimiserConfig = field(default_factory=OptimiserConfig)
    pictures: PictureSection = field(default_factory=PictureSection)

    def __post_init__(self) -> None:
        if self.embedding.features:
            raise ConfigError(
                "embedding.features: expected 0, as the pictures' file says it, "
                f"got {self.embedding.features}"
            )

    def tuned(self, change: Callable[[OptimiserConfig], OptimiserConfig]) -> UniHprSection:
        """The same with every optimiser changed."""
        pictures = replace(self.pictures, optimiser=change(self.pictures.optimiser))
        return replace(
            self, encoders=change(self.encoders), decoding=change(self.decoding), pictures=pictures
        )
