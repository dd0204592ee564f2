"""The loss of FinePOSE's denoiser: DiffPose's, on encoded views, with prompts told, guessed and withheld."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from diffpose_ros.methods.finepose.network import FinePoseNetwork
from diffpose_ros.methods.finepose.prompts import ACTION, UNKNOWN
from diffpose_ros.training.action_labels import NO_LABEL
from diffpose_ros.training.config import TrainingConfig
from diffpose_ros.training.diffusion import DiffusionTask
from diffpose_ros.training.finepose_config import PromptRun


class PromptTask(DiffusionTask):
    """Loss of a FinePOSE network on batches of :class:`~diffpose_ros.training.prompted_views.PromptedViews`.

    Args:
        network: its context encoder must not require gradients.
        config: weights of the loss terms, compilation.
        run: how often prompts are told.
        bfloat16: whether to run under autocast.
    """

    def __init__(
        self, network: FinePoseNetwork, config: TrainingConfig, run: PromptRun, *, bfloat16: bool = False
    ) -> None:
        super().__init__(network, config, bfloat16=bfloat16)
        self.told, self.run = network, run

    def __call__(self, batch: dict[str, Tensor], step: int) -> tuple[Tensor, dict[str, float]]:
        logits = None
        if self.told.head is not None:
            logits = self.told.head(batch["feature"])
        batch = {**batch, "weights": self._weights(batch, logits)}
        total, logs = super().__call__(batch, step)
        if logits is not None:
            label = batch["label"].long()
            loss = functional.cross_entropy(
                logits.flatten(0, 1), label.flatten(), ignore_index=NO_LABEL, reduction="sum"
            ) / (label != NO_LABEL).sum().clamp(min=1)
            total = total + self.run.head * loss
            hit = (logits.argmax(-1) == label)[label != NO_LABEL].float()
            logs |= {"action": round(float(loss.detach()), 3), "action_right": round(float(hit.mean()), 3)}
        return total, logs

    def _encoded(self, batch: dict[str, Tensor]) -> tuple[Tensor, ...]:
        return batch["feature"], batch["answer"], batch["log_sigma"]

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
        b, t = pose.shape[:2]
        known = self.network.condition(feature, pose, log_sigma, batch["points"], batch["view"])
        rows = self.clean(
            noisy.flatten(0, 1).unsqueeze(1), known.flatten(0, 1), k.float().repeat_interleave(t),
            batch["weights"].flatten(0, 1),
        )  # fmt: skip
        return cast(Tensor, rows.squeeze(1).unflatten(0, (b, t)))

    @torch.no_grad()
    def _weights(self, batch: dict[str, Tensor], logits: Tensor | None) -> Tensor:
        """What each segment is told, (B, T, V): every prompt's choice is one for the whole segment."""
        net, run = self.told, self.run
        vocabulary, weights = net.vocabulary, batch["prompt"].clone()
        b = len(weights)
        for prompt, words in vocabulary.words.items():
            if prompt == ACTION or not words:
                continue
            dropped = torch.rand(b) < run.dropped
            weights[dropped, :, vocabulary.segment(prompt)] = net.unknown[vocabulary.segment(prompt)]
        if logits is None:
            return weights
        segment = vocabulary.segment(ACTION)
        label = batch["label"].long()
        other = torch.randint(logits.shape[-1], (b, 1))
        said = torch.where(torch.rand(b, 1) < run.wrong, other, label)
        said = torch.where(label == NO_LABEL, label, said)
        true = functional.one_hot(said + 1, segment.stop - segment.start).to(weights.dtype)
        believed = functional.pad(torch.softmax(logits, -1), (1, 0))
        nothing = net.unknown[segment].expand_as(true)
        choice = torch.rand(b, 1, 1)
        action = torch.where(choice < run.told, true, nothing)
        action = torch.where((choice >= run.told) & (choice < run.told + run.believed), believed, action)
        weights[..., segment] = action
        assert vocabulary.column(ACTION, UNKNOWN) == segment.start
        return weights
