"""From a training configuration to a trainer: networks, data, frozen parts, fitted mixture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from diffpose_ros.core import ConfigError, ModelError
from diffpose_ros.data.virtual.synthesis import MotionLibrary
from diffpose_ros.diffusion.schedules import Schedule
from diffpose_ros.methods.diffusion.context_encoder import ContextConfig, ContextEncoder
from diffpose_ros.methods.diffusion.graformer import DenoiserConfig
from diffpose_ros.methods.diffusion.hpim import HistoryConfig
from diffpose_ros.methods.diffusion.network import LifterNetwork, LifterNetworkConfig
from diffpose_ros.training.config import TrainingConfig, from_mapping
from diffpose_ros.training.context import ContextTask
from diffpose_ros.training.diffusion import DiffusionTask, fit_initial_distribution
from diffpose_ros.training.loop import Trainer

TASKS = ("context", "diffpose", "starpose")


@dataclass
class Job:
    """A run that is ready to go: its trainer, its network and, for lifters, the whole lifter."""

    trainer: Trainer
    module: nn.Module
    lifter: LifterNetwork | None


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file.

    Raises:
        ModelError: missing, truncated, or not safetensors.
    """
    try:
        return load_file(path)
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
    return ContextConfig(
        width=weights["pose"].shape[1], body=body, depth=len(blocks), heads=heads, keys=keys,
        mlp_ratio=ratio, window=window, temporal=temporal, mirror=mirror,
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


def build(config: TrainingConfig) -> Job:
    """Prepare a run; resumes from the output folder's checkpoint where there is one.

    Raises:
        ConfigError: the task or a size is wrong.
        InputError: the motion capture cannot be read.
        ModelError: a checkpoint cannot be used.
    """
    if config.task not in TASKS:
        raise ConfigError(f"task: expected one of {', '.join(TASKS)}, got '{config.task}'")
    options = config.optimiser
    device = pick_device(options.device)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    library = MotionLibrary.from_npz(config.data)
    lifter = None
    if config.task == "context":
        encoder = ContextEncoder(from_mapping(ContextConfig, config.model, "model"))
        module: nn.Module = encoder
        if config.start:
            load_into(encoder, config.start)
        encoder.to(device)
        loss = ContextTask(encoder, config)
        trainer = Trainer(module, loss, library, config.synthesis, options, Path(config.output))
        trainer.resume()
        return Job(trainer, module, None)
    lifter = LifterNetwork(_lifter_config(config))
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
    lifter.to(device)
    trainer = Trainer(
        lifter, DiffusionTask(lifter, config), library, config.synthesis, options,
        Path(config.output),
    )  # fmt: skip
    trainer.resume()
    return Job(trainer, lifter, lifter)


def _lifter_config(config: TrainingConfig) -> LifterNetworkConfig:
    if not config.context:
        raise ConfigError(f"task {config.task}: expected 'context', a context encoder's checkpoint")
    model = dict(config.model)
    window, mirror = int(model.pop("window", 81)), model.pop("mirror", False)
    if not isinstance(mirror, bool):
        raise ConfigError(f"model.mirror: expected true or false, got {mirror!r}")
    history = model.pop("history", None)
    if (config.task == "starpose") != (history is not None):
        raise ConfigError(
            "model: a 'history' belongs to task starpose and to no other; "
            f"task is {config.task}, history is {'set' if history else 'not set'}"
        )
    return LifterNetworkConfig(
        context=context_config(read_weights(config.context), window, mirror),
        denoiser=from_mapping(DenoiserConfig, model.pop("denoiser", {}), "model.denoiser"),
        history=from_mapping(HistoryConfig, history, "model.history") if history else None,
        schedule=from_mapping(Schedule, model.pop("schedule", {}), "model.schedule"),
        **model,
    )
