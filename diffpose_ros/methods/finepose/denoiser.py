"""FinePOSE's denoiser: DiffPose's graph denoiser with prompts in every block (FinePOSE sec. 3.2).

What the paper's temporal transformers do is done by the context encoder, whose features condition the
denoiser. In each block, pose features ask the prompts by cross-attention (FPC, eq. 5), and what comes back
is scaled and shifted by prompts and step (PTS). Letters: P people, N hypotheses, R rows (P N),
V weights of all prompts, K prompts, L tokens of all prompts, C width, H heads.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from diffpose_ros.core import ConfigError
from diffpose_ros.core.typed_config import at_least
from diffpose_ros.methods.diffusion.graformer import JOINTS, Denoiser, DenoiserConfig
from diffpose_ros.methods.finepose.prompts import WORDS, Vocabulary

_WORD_SIGMA, _MODIFIER_SIGMA = 0.5, 0.02
"""Standard deviations that tokens begin with: about those of a text encoder's, and those of the paper's
learnable ones. Words as small as these would hardly be told apart, and would learn next to nothing."""


@dataclass(frozen=True)
class PromptConfig:
    """The prompts of a model.

    Attributes:
        words: prompt -> what it may say.
        tokens: tokens that a prompt's word stands for.
        modifiers: learnable tokens beside them, the same whatever is said.
        heads: heads of the cross-attention.
        head: hidden width of what infers actions.
    """

    words: dict[str, tuple[str, ...]] = field(default_factory=lambda: dict(WORDS))
    tokens: int = 2
    modifiers: int = 2
    heads: int = 4
    head: int = 64

    def __post_init__(self) -> None:
        for name in ("tokens", "heads", "head"):
            at_least(name, getattr(self, name), 1)
        at_least("modifiers", self.modifiers, 0)
        if not self.words:
            raise ConfigError("words: expected at least one prompt, got none")
        Vocabulary(self.words)

    @property
    def vocabulary(self) -> Vocabulary:
        """The same, with what can be done with it."""
        return Vocabulary(self.words)


@dataclass(frozen=True)
class Conditioned:
    """What the denoiser knows of each person in one frame.

    Attributes:
        embedding: (R, 17, (1 + depth) C), see :meth:`Denoiser.embed_condition`.
        memory: per block keys and values (P, H, L, C / H) of the prompts.
        summary: (P, C) all prompts in one vector.
        hypotheses: N.
        believed: (P, A) how likely the network holds each action, where it was asked.
    """

    embedding: Tensor
    memory: list[tuple[Tensor, Tensor]]
    summary: Tensor
    hypotheses: int
    believed: Tensor | None = None


class PromptTable(nn.Module):
    """Weights of words to tokens (FPP, eq. 4): each prompt's word, and its learnable modifiers.

    Args:
        config: the prompts.
        width: of a token, C.
    """

    segment: Tensor

    def __init__(self, config: PromptConfig, width: int) -> None:
        super().__init__()
        vocabulary = config.vocabulary
        v, k = len(vocabulary), len(config.words)
        self.words = nn.Parameter(torch.randn(v, config.tokens, width) * _WORD_SIGMA)
        self.modifiers = nn.Parameter(torch.randn(k, config.modifiers, width) * _MODIFIER_SIGMA)
        self.width, self.per_prompt = width, config.tokens + config.modifiers
        self.summarise = nn.Linear(k * width, width)
        segment = torch.zeros(k, v)
        for i, prompt in enumerate(config.words):
            segment[i, vocabulary.segment(prompt)] = 1.0
        self.register_buffer("segment", segment, persistent=False)

    def forward(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Weights (P, V), each segment of which sums to 1, to tokens (P, L, C) and a summary (P, C)."""
        # Weights sum to 1, so modifiers that stand beside each word come out as they are.
        beside = torch.einsum("kv,kmc->vmc", self.segment, self.modifiers)
        table = torch.cat([self.words, beside], dim=1).flatten(1)
        tokens = torch.matmul(weights.unsqueeze(1) * self.segment, table)
        # Reshapes name every size but P: the exporter would write that of the example into the graph.
        k = len(self.segment)
        each = tokens.view(-1, k, self.per_prompt, self.width).mean(dim=2)
        summary = self.summarise(each.view(-1, k * self.width))
        return tokens.view(-1, k * self.per_prompt, self.width), summary


class PromptBlock(nn.Module):
    """Cross-attention from pose to prompts (FPC, eq. 5), then their modulation of the step (PTS)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.part = heads, width // heads
        self.scale = self.part**-0.5
        self.norm = nn.LayerNorm(width)
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.value, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.style = nn.Linear(width, width)
        self.weigh, self.shift = nn.Linear(width, width), nn.Linear(width, width)
        nn.init.zeros_(self.out.weight)  # begins as the denoiser without prompts
        nn.init.zeros_(self.out.bias)

    def remember(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (P, H, L, D) of tokens (P, L, C)."""
        count = tokens.shape[1]
        key = self.key(tokens).view(-1, count, self.heads, self.part).transpose(1, 2)
        value = self.value(tokens).view(-1, count, self.heads, self.part).transpose(1, 2)
        return key, value

    def forward(
        self, x: Tensor, memory: tuple[Tensor, Tensor], told: Tensor, hypotheses: int
    ) -> Tensor:
        """Features (R, 17, C), the prompts, and v = prompts + step (P, C), to (R, 17, C)."""
        key, value = memory
        query = (self.query(self.norm(x)) * self.scale).view(-1, hypotheses * JOINTS, self.heads, self.part)
        weights = torch.softmax(torch.matmul(query.transpose(1, 2), key.transpose(-1, -2)), dim=-1)
        mixed = torch.matmul(weights, value)
        mixed = mixed.transpose(1, 2).reshape(-1, hypotheses * JOINTS, self.heads * self.part)
        style = functional.silu(self.style(told)).unsqueeze(1)
        styled = mixed * (1.0 + self.weigh(style)) + self.shift(style)
        return x + self.out(styled).view(-1, JOINTS, self.heads * self.part)


class PromptDenoiser(Denoiser):
    """Noisy residual to clean residual, told by prompts.

    Args:
        config: sizes.
        prompts: the prompts.
    """

    def __init__(self, config: DenoiserConfig, prompts: PromptConfig) -> None:
        super().__init__(config)
        if config.width % prompts.heads:
            raise ConfigError(f"denoiser width {config.width} is not a multiple of {prompts.heads} heads")
        self.table = PromptTable(prompts, config.width)
        self.add_summary = nn.Linear(config.width, config.width)
        nn.init.zeros_(self.add_summary.weight)
        nn.init.zeros_(self.add_summary.bias)
        self.prompt_blocks = nn.ModuleList(PromptBlock(config.width, prompts.heads) for _ in self.blocks)

    def condition_on(self, known: Tensor, hypotheses: int, weights: Tensor) -> Conditioned:
        """Everything that hypotheses and steps share.

        Args:
            known: (P, 17, context).
            hypotheses: N.
            weights: (P, V) of the prompts' words.
        """
        tokens, summary = self.table(weights)
        memory = [cast(PromptBlock, block).remember(tokens) for block in self.prompt_blocks]
        embedding = self.embed_condition(known, hypotheses, self.add_summary(summary).unsqueeze(1))
        return Conditioned(embedding, memory, summary, hypotheses)

    def forward(self, noisy: Tensor, condition: Conditioned, step: Tensor) -> Tensor:  # type: ignore[override]
        """One denoising.

        Args:
            noisy: (R, 17, 3).
            condition: what is known.
            step: (R or 1, C) from :meth:`embed_step`; the same for all hypotheses of a person.

        Returns:
            (R, 17, 3).
        """
        at_input, *at_blocks = condition.embedding.split(self.config.width, dim=-1)
        x = self.pose(noisy) + at_input
        told = condition.summary + (step if step.shape[0] == 1 else step[:: condition.hypotheses])
        each = zip(self.blocks, self.prompt_blocks, self.embeddings, at_blocks, condition.memory, strict=True)
        for block, talk, embed, known, memory in each:
            step_embedding = functional.linear(step, cast(nn.Linear, embed).weight)
            x = block(x, known, step_embedding.unsqueeze(1))
            x = talk(x, memory, told, condition.hypotheses)
        return self.out(self.norm(x))


class ActionHead(nn.Module):
    """What somebody does, from the context encoder's features of them: their past is in these.

    Args:
        width: features per joint.
        hidden: features between.
        actions: how many there are.
    """

    def __init__(self, width: int, hidden: int, actions: int) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(17 * width, hidden), nn.Linear(hidden, actions)

    def forward(self, feature: Tensor) -> Tensor:
        """(..., 17, width) to logits (..., actions)."""
        return self.down(functional.gelu(self.up(feature.flatten(-2)), approximate="tanh"))
