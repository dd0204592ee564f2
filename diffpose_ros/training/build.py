"""From a training configuration to a trainer: networks, data, frozen parts, fitted mixture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from diffpose_ros.core import ConfigError, ModelError
from diffpose_ros.data.motion import choose, load_motion
from diffpose_ros.data.virtual.synthesis import MotionLibrary
from diffpose_ros.methods.diffusion.context_encoder import ContextConfig, ContextEncoder
from diffpose_ros.methods.diffusion.graformer import current_name
from diffpose_ros.methods.diffusion.network import LifterNetwork, LifterNetworkConfig
from diffpose_ros.training.config import LifterModel, OptimiserConfig, TrainingConfig
from diffpose_ros.training.context import ContextTask
from diffpose_ros.training.diffusion import DiffusionTask, fit_initial_distribution
from diffpose_ros.training.loop import StepDataset, Trainer
from diffpose_ros.training.precision import choose_precision


@dataclass
class Job:
    """A run that is ready to go.

    Attributes:
        trainer: moves the weights.
        module: the network.
        lifter: the same for lifters, ``None`` for a context encoder.
        precision: in which arithmetic, and why.
    """

    trainer: Trainer
    module: nn.Module
    lifter: LifterNetwork | None
    precision: str = ""


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file.

    Raises:
        ModelError: missing, truncated, or not safetensors.
    """
    try:
        return {current_name(name): value for name, value in load_file(path).items()}
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such checkpoint") from error
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: not a readable safetensors checkpoint ({error})") from error


def load_into(module: nn.Module, path: str | Path) -> None:
    """Load a checkpoint that must fit.

    Raises:
        ModelError: unreadable, or made for another network.
    """
    try:
        module.load_state_dict(read_weights(path))
    except RuntimeError as error:
        line = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise ModelError(f"{path}: made for another network: {line}") from error


def context_config(weights: dict[str, Tensor], window: int = 81, mirror: bool = False) -> ContextConfig:
    """The sizes of a context encoder, read off its checkpoint; window and mirror change no weight."""
    body = weights["embed.weight"].shape[0]
    blocks = {int(n.split(".")[1]) for n in weights if n.startswith("blocks.")}
    temporal = any(".time." in n for n in weights)
    heads, keys = ContextConfig.heads, ContextConfig.keys
    if temporal:
        heads = weights["blocks.0.time.age_bias.weight"].shape[0]
        keys = weights["blocks.0.time.query.weight"].shape[0] // heads
    ratio = weights["blocks.0.mlp.up.weight"].shape[0] / body
    view = weights["embed.weight"].shape[1] - 3 * ContextConfig.points
    return ContextConfig(
        width=weights["pose"].shape[1], body=body, depth=len(blocks), heads=heads, keys=keys,
        mlp_ratio=ratio, window=window, temporal=temporal, view=view, mirror=mirror,
    )  # fmt: skip


def pick_device(wanted: str) -> torch.device:
    """``auto`` takes the GPU where torch sees one.

    Raises:
        ConfigError: ``cuda`` was asked for and is not here.
    """
    here = torch.cuda.is_available()
    if wanted == "cuda" and not here:
        raise ConfigError(f"device: torch {torch.__version__} sees no CUDA GPU here; use cpu or auto")
    return torch.device("cuda" if here and wanted != "cpu" else "cpu")


def set_up(options: OptimiserConfig) -> torch.device:
    """Threads and the seed, before weights are drawn; the device to train on.

    Raises:
        ConfigError: as :func:`pick_device`.
    """
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    return pick_device(options.device)


def build(config: TrainingConfig, library: MotionLibrary | None = None) -> Job:
    """Prepare a run; resumes from the output folder's checkpoint where there is one.

    Args:
        config: the run.
        library: motions to learn from; read from the configuration's files when omitted.

    Raises:
        ConfigError: the task or a size is wrong.
        InputError: the motion capture cannot be read.
        ModelError: a checkpoint cannot be used.
    """
    options = config.optimiser
    device = set_up(options)
    bfloat16, reason = choose_precision(options.precision, device)
    if library is None:
        library = MotionLibrary.from_clips(choose(load_motion(config.data), config.clips).train)
    lifter: LifterNetwork | None = None
    loss: ContextTask | DiffusionTask
    if config.task == "context":
        module: nn.Module = ContextEncoder(config.encoder)
        if config.start:
            load_into(module, config.start)
        loss = ContextTask(cast(ContextEncoder, module.to(device)), config, bfloat16=bfloat16)
    else:
        module = lifter = _lifter(config, library)
        loss = DiffusionTask(lifter.to(device), config, bfloat16=bfloat16)
    dataset = StepDataset(library, options.batch, options.seed, config.synthesis)
    trainer = Trainer(module, loss, dataset, options, Path(config.output))
    trainer.resume()
    return Job(trainer, module, lifter, reason)


def _lifter(config: TrainingConfig, library: MotionLibrary) -> LifterNetwork:
    """A lifter around its trained encoder, H_K fitted to the encoder's errors."""
    if not config.context:
        raise ConfigError(f"task {config.task}: expected 'context', a context encoder's checkpoint")
    lifter = LifterNetwork(lifter_config(config.lifter, read_weights(config.context)))
    load_into(lifter.context, config.context)
    lifter.context.requires_grad_(False)
    if config.start:
        own = lifter.state_dict()
        fitting = {
            n: t for n, t in read_weights(config.start).items()
            if n in own and own[n].shape == t.shape and not n.startswith("context.")
        }  # fmt: skip
        lifter.load_state_dict(fitting, strict=False)
    fit_initial_distribution(lifter, library, config.synthesis)
    return lifter


def lifter_config(model: LifterModel, context: dict[str, Tensor]) -> LifterNetworkConfig:
    """What a lifter is made of, around a context encoder's checkpoint."""
    return LifterNetworkConfig(
        context=context_config(context, model.window, model.mirror), denoiser=model.denoiser,
        history=model.history, schedule=model.schedule, initial=model.initial,
        components=model.components, hypotheses=model.hypotheses, steps=model.steps,
    )  # fmt: skip
