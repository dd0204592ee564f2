"""One training loop for every task: resumable to the step, averaged, logged, deterministic.

Batches depend on (seed, step) alone, so a run that was stopped goes on as if it had not been.
"""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from diffpose_ros.core import ModelError
from diffpose_ros.core.files import whole, write_text
from diffpose_ros.data.virtual.synthesis import Batch, MotionLibrary, SynthesisConfig, make_batch
from diffpose_ros.training.config import OptimiserConfig
from diffpose_ros.training.muon import Muon
from diffpose_ros.training.precision import choose_precision

Loss = Callable[[dict[str, Tensor], int], tuple[Tensor, dict[str, float]]]

_FLUSH_S = 5.0


class StepDataset(Dataset[dict[str, Tensor]]):
    """Batch number ``step``, made from (seed, step) alone."""

    def __init__(self, library: MotionLibrary, batch: int, seed: int, synthesis: SynthesisConfig) -> None:
        self.library, self.batch, self.seed, self.synthesis = library, batch, seed, synthesis

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((self.seed, step))
        return to_tensors(make_batch(self.library, self.batch, rng, self.synthesis))


def to_tensors(batch: Batch) -> dict[str, Tensor]:
    """A batch as float32 tensors under its field names."""
    return {k: torch.from_numpy(np.asarray(v, np.float32)) for k, v in vars(batch).items()}


def learning_rate(step: int, config: OptimiserConfig) -> float:
    """Linear warm-up, then half a cosine down to 2 % of the peak."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    part = (step - config.warmup) / max(1, config.steps - config.warmup)
    return config.learning_rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(part, 1.0))))


_MOMENTS: dict[type, tuple[str, ...]] = {
    torch.optim.AdamW: ("step", "exp_avg", "exp_avg_sq"),
    Muon: ("momentum_buffer",),
}
MUON_RATE = 10.0
"""Muon's learning rate over AdamW's: its steps are orthogonal matrices, of size one by construction."""


def make_optimisers(
    parameters: dict[str, nn.Parameter], config: OptimiserConfig
) -> list[torch.optim.Optimizer]:
    """AdamW for everything, or Muon (Jordan et al., 2024) for the blocks' matrices and AdamW for the rest."""
    muon = [
        p
        for n, p in parameters.items()
        if config.optimiser == "muon" and ("blocks." in n or "layers." in n)
        and n.endswith(".weight") and p.dim() == 2 and min(p.shape) >= 16
    ]  # fmt: skip
    rest = [p for p in parameters.values() if not any(p is q for q in muon)]
    rate = config.learning_rate
    adamw = torch.optim.AdamW(
        [{"params": [p for p in rest if p.dim() > 1], "weight_decay": config.weight_decay},
         {"params": [p for p in rest if p.dim() <= 1], "weight_decay": 0.0}],
        lr=rate, betas=(0.9, 0.99),
    )  # fmt: skip
    made: list[torch.optim.Optimizer] = [adamw]
    if muon:
        half, _ = choose_precision("auto", muon[0].device)
        dtype = torch.bfloat16 if half else torch.float32
        made.append(Muon(muon, lr=rate * MUON_RATE, weight_decay=config.weight_decay, dtype=dtype))
    for optimiser in made:
        for group in optimiser.param_groups:
            group["peak"] = group["lr"]
    return made


@dataclass
class Progress:
    """One line of the log."""

    step: int
    steps: int
    loss: float
    parts: dict[str, float]
    seconds_left: float


class Trainer:
    """Moves the weights of ``module`` to lower ``loss``.

    Args:
        module: whose trainable parameters move and are averaged.
        loss: (batch, step) to the loss and its parts.
        dataset: batch number ``step``, see :class:`StepDataset`.
        config: the optimiser's settings.
        output: folder for checkpoints (safetensors, never a pickle) and ``log.jsonl``.
    """

    def __init__(
        self,
        module: nn.Module,
        loss: Loss,
        dataset: Dataset[dict[str, Tensor]],
        config: OptimiserConfig,
        output: Path,
    ) -> None:
        self.module, self.loss, self.config, self.output = module, loss, config, output
        self.dataset = dataset
        self.trainable = {n: p for n, p in module.named_parameters() if p.requires_grad}
        self.optimisers = make_optimisers(self.trainable, config)
        self.average = {n: p.detach().clone() for n, p in self.trainable.items()}
        self.device = next(module.parameters()).device
        self.step = 0
        output.mkdir(parents=True, exist_ok=True)

    def resume(self) -> bool:
        """Go on from the folder's last checkpoint, if there is one."""
        path = self.output / "resume.safetensors"
        if not path.exists():
            return False
        try:
            state = load_file(path)
        except (SafetensorError, OSError) as error:
            raise ModelError(
                f"{path}: not a readable safetensors checkpoint ({error}); remove it to start anew"
            ) from error
        try:
            for i, (name, parameter) in enumerate(self.trainable.items()):
                parameter.data.copy_(state[f"weight.{name}"])
                self.average[name].copy_(state[f"average.{name}"])
                optimiser, keys = self._mover(parameter)
                moments = {k: state[f"{k}.{i}"] for k in keys}
                moments = {k: v if k == "step" else v.to(self.device) for k, v in moments.items()}
                optimiser.state[parameter] = moments  # type: ignore[index]
        except KeyError as error:
            raise ModelError(f"{path}: made for another network ({error} is missing)") from error
        except RuntimeError as error:
            line = str(error).splitlines()[0]
            raise ModelError(f"{path}: made for another network ({line})") from error
        self.step = int(state["step"])
        return True

    def save(self) -> None:
        """Write ``model.safetensors`` (averaged) and ``resume.safetensors``, each atomically."""
        state: dict[str, Tensor] = {"step": torch.tensor(self.step)}
        for i, (name, parameter) in enumerate(self.trainable.items()):
            state[f"weight.{name}"] = parameter.detach()
            state[f"average.{name}"] = self.average[name]
            optimiser, keys = self._mover(parameter)
            moments = optimiser.state.get(parameter)  # type: ignore[call-overload]
            state.update({f"{k}.{i}": moments[k] for k in keys if moments})
        weights = {n: t.detach().clone() for n, t in self.module.state_dict().items()}
        weights.update(self.average)
        for name, content in (("resume", state), ("model", weights)):
            path = self.output / f"{name}.safetensors"
            with whole(path) as part:
                save_file({k: v.cpu().contiguous() for k, v in content.items()}, part)

    def run(
        self, stop_after_s: float | None = None, *, shield: Callable[[], AbstractContextManager] = nullcontext
    ) -> Iterator[Progress]:
        """Train to the last step, yielding progress; stops early, saved, after ``stop_after_s``.

        Whoever interrupts it (Ctrl-C, or no longer asks for progress) finds the last whole step saved.

        Args:
            stop_after_s: seconds.
            shield: makes a context in which signals wait; every step is one.
        """
        begin, began_at = time.monotonic(), self.step
        loader = DataLoader(
            self.dataset, batch_size=None, sampler=range(self.step, self.config.steps),
            num_workers=1, prefetch_factor=4, worker_init_fn=_left_alone,
        )  # fmt: skip
        try:
            with _Log(self.output / "log.jsonl", self.step) as log:
                for batch in loader:
                    with shield():
                        total, parts = self._advance(batch)
                        spent = time.monotonic() - begin
                        log.write({"step": self.step, "loss": total, **parts, "seconds": round(spent, 1)})
                    left = spent / (self.step - began_at) * (self.config.steps - self.step)
                    last = stop_after_s is not None and spent > stop_after_s
                    if self.step % self.config.save_every == 0 or last:
                        with shield():
                            self.save()
                    yield Progress(self.step, self.config.steps, total, parts, left)
                    if last:
                        return
        except (KeyboardInterrupt, GeneratorExit):
            with shield():
                self.save()
            raise
        self.save()

    def _advance(self, batch: dict[str, Tensor]) -> tuple[float, dict[str, float]]:
        """One step: the loss and its parts."""
        part = learning_rate(self.step, self.config) / self.config.learning_rate
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = part * group["peak"]
        torch.manual_seed(self.config.seed * 1_000_003 + self.step)
        total, parts = self._loss(batch)
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
        total.backward()
        norm = nn.utils.clip_grad_norm_(self.trainable.values(), self.config.clip)
        if torch.isfinite(norm):
            for optimiser in self.optimisers:
                optimiser.step()
        self.step += 1
        self._average()
        return float(total.detach()), parts

    def _loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """The loss where the module lives, and with it whatever the loss makes on its way."""
        if self.device.type == "cpu":
            return self.loss(batch, self.step)
        with self.device:
            return self.loss({k: v.to(self.device) for k, v in batch.items()}, self.step)

    def _mover(self, parameter: nn.Parameter) -> tuple[torch.optim.Optimizer, tuple[str, ...]]:
        """The optimiser that moves a parameter, and the moments it keeps of it."""
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                if any(parameter is p for p in group["params"]):
                    return optimiser, _MOMENTS[type(optimiser)]
        raise KeyError("a parameter that no optimiser moves")

    @torch.no_grad()
    def _average(self) -> None:
        keep = min(self.config.ema, (1 + self.step) / (10 + self.step))
        for name, parameter in self.trainable.items():
            self.average[name].lerp_(parameter.detach(), 1 - keep)


class _Log:
    """``log.jsonl``, a line per step up to date within seconds; lines of steps that were lost are dropped."""

    def __init__(self, path: Path, step: int) -> None:
        if path.exists():
            kept = [line for line in path.read_text().splitlines() if _step_of(line) <= step]
            write_text(path, "".join(f"{line}\n" for line in kept))
        self._file = path.open("a")
        self._flushed = time.monotonic()

    def __enter__(self) -> _Log:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, line: dict[str, float]) -> None:
        self._file.write(json.dumps(line) + "\n")
        if time.monotonic() - self._flushed > _FLUSH_S:
            self._file.flush()
            self._flushed = time.monotonic()


def _step_of(line: str) -> float:
    """The step of a line of the log; infinity for half a line, of a run that was killed."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf


def _left_alone(_: int) -> None:
    """A worker that makes batches: Ctrl-C is for whoever asked for them, who then ends it."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
