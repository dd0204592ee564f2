"""A whole lifter of small random networks, exported as a shipped model is."""

import fcntl
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
import yaml
from safetensors.torch import save_file

from diffpose_ros.methods.diffusion.context_encoder import ContextConfig
from diffpose_ros.methods.diffusion.export import export_onnx
from diffpose_ros.methods.diffusion.graformer import DenoiserConfig
from diffpose_ros.methods.diffusion.hpim import HistoryConfig
from diffpose_ros.methods.diffusion.network import LifterNetwork, LifterNetworkConfig

WINDOW, LENGTH = 9, 5
EXPORTS = Path(os.environ.get("DIFFPOSE_TEST_CACHE") or tempfile.mkdtemp())
"""Graphs that this run of the tests, in whichever process, has exported already: seconds each."""


def small_network(kind: str = "starpose", seed: int = 0, temporal: bool = True) -> LifterNetwork:
    """Random weights, of both kinds, StarPose with the mirror image; the same for the same seed."""
    torch.manual_seed(seed)
    context = ContextConfig(width=16, body=32, depth=2, heads=2, window=WINDOW, temporal=temporal)
    config = LifterNetworkConfig(
        context=replace(context, mirror=kind == "starpose"),
        denoiser=DenoiserConfig(width=16, depth=1),
        history=HistoryConfig(width=8, depth=1, heads=2, length=LENGTH) if kind == "starpose" else None,
        guidance=(0.3, 0.3, 0.01, 0.01),
    )
    network = LifterNetwork(config).eval()
    with torch.no_grad():  # initialised to zero, some parts would hide mistakes
        for parameter in network.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return network


def save_model(folder: Path, kind: str = "starpose", steps: tuple[int, ...] = (5,)) -> Path:
    """Write what stands in a model's folder; returns ``model.onnx``."""
    folder.mkdir(parents=True, exist_ok=True)
    network = small_network(kind)
    save_file(network.state_dict(), folder / "model.safetensors")
    (folder / "config.yaml").write_text(yaml.safe_dump(_plain(network.config.to_mapping())))
    for number in steps[1:]:
        _exported(network, folder / f"model_{number}.onnx", kind, number)
    return _exported(network, folder / "model.onnx", kind, steps[0])


def _exported(network: LifterNetwork, path: Path, kind: str, steps: int) -> Path:
    """A copy of the one export that a run of the tests needs of each graph."""
    kept = EXPORTS / f"{kind}_{steps}.onnx"
    with (EXPORTS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            export_onnx(network, kept, name=kind, steps=steps)
    shutil.copyfile(kept, path)
    return path


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value
