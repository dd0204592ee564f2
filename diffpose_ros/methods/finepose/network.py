"""FinePOSE as one torch module: DiffPose's lifter with a denoiser that is told by prompts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, cast

import torch
from torch import Tensor

from diffpose_ros.methods.diffusion.graformer import Denoiser, DenoiserConfig
from diffpose_ros.methods.diffusion.network import LifterNetwork, LifterNetworkConfig
from diffpose_ros.methods.finepose.denoiser import ActionHead, Conditioned, PromptConfig, PromptDenoiser
from diffpose_ros.methods.finepose.prompts import ACTION

KIND = "finepose"
OTHER_STEPS = (10, 2, 1)
"""Samplers beside the configured one that a model is calibrated for and exported with."""


@dataclass(frozen=True)
class FinePoseConfig(LifterNetworkConfig):
    """What a FinePOSE lifter is made of: a lifter's parts and the prompts."""

    prompts: PromptConfig = field(default_factory=PromptConfig)

    @property
    def kind(self) -> str:
        """``finepose``."""
        return KIND


class FinePoseNetwork(LifterNetwork):
    """A lifter that prompts tell.

    Args:
        config: what it is made of.
    """

    other_steps = OTHER_STEPS
    unknown: Tensor
    actions: Tensor

    def __init__(self, config: FinePoseConfig) -> None:
        super().__init__(config)
        self.vocabulary = config.prompts.vocabulary
        words = config.prompts.words.get(ACTION, ())
        self.head = ActionHead(config.context.width, config.prompts.head, len(words)) if words else None
        self.register_buffer("unknown", torch.from_numpy(self.vocabulary.unknown()), persistent=False)
        place = torch.zeros(len(words), len(self.vocabulary))
        for i, word in enumerate(words):
            place[i, self.vocabulary.column(ACTION, word)] = 1.0
        self.register_buffer("actions", place, persistent=False)

    def make_denoiser(self, config: DenoiserConfig) -> Denoiser:
        """The denoiser with prompts."""
        return PromptDenoiser(config, self.prompts)

    @property
    def prompts(self) -> PromptConfig:
        """The prompts' configuration."""
        return cast(FinePoseConfig, self.config).prompts

    @property
    def more_inputs(self) -> dict[str, tuple[int, ...]]:
        """``prompt``: the weights of all prompts."""
        return {"prompt": (len(self.vocabulary),)}

    @property
    def more_outputs(self) -> tuple[str, ...]:
        """``action``: how likely the network holds each action."""
        return ("action",) if self.head is not None else ()

    def more_metadata(self) -> dict[str, Any]:
        """The prompts' words."""
        return {"prompts": {prompt: list(words) for prompt, words in self.prompts.words.items()}}

    def believed(self, feature: Tensor) -> Tensor:
        """How likely each action is (P, A), from the context encoder's features (P, 17, C)."""
        assert self.head is not None
        return torch.softmax(self.head(feature), dim=-1)

    def filled(self, weights: Tensor, believed: Tensor | None) -> Tensor:
        """Prompts (P, V) with what is believed of actions (P, A) where none is told."""
        if believed is None:
            return weights
        told = weights[:, self.vocabulary.segment(ACTION)].sum(dim=-1, keepdim=True)
        return weights + (1.0 - told) * torch.matmul(believed, self.actions)

    def embed(
        self, known: Tensor, feature: Tensor, hypotheses: int, inputs: dict[str, Tensor]
    ) -> Conditioned:
        """What the denoiser knows: nothing is known of people of whom no ``prompt`` is among the inputs."""
        weights = inputs.get("prompt")
        if weights is None:
            weights = self.unknown.expand(feature.shape[0], -1)
        believed = None if self.head is None else self.believed(feature)
        denoiser = cast(PromptDenoiser, self.denoiser)
        conditioned = denoiser.condition_on(known, hypotheses, self.filled(weights, believed))
        return replace(conditioned, believed=believed)

    def more_answers(self, embedded: Conditioned) -> dict[str, Tensor]:
        """What is believed of actions."""
        return {} if embedded.believed is None else {"action": embedded.believed}

    def clean(self, noisy: Tensor, condition: Tensor, k: Tensor, weights: Tensor) -> Tensor:  # type: ignore[override]
        """One denoising of rows (R, N, 17, 3) at steps k (R,) under conditions (R, 17, width) and prompts
        (R, V)."""
        denoiser = cast(PromptDenoiser, self.denoiser)
        conditioned = denoiser.condition_on(condition, noisy.shape[1], weights)
        step = denoiser.embed_step(k.repeat_interleave(noisy.shape[1]))
        return denoiser(noisy.flatten(0, 1), conditioned, step).view(noisy.shape)
