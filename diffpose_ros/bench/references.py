"""What the lifter's speed is measured against; needs torch and the model's checkpoint.

- ``torch_eager``: the same online step by the torch backend.
- ``full_window``: the same encoder over its whole window for every frame, in the same runtime (ONNX
  Runtime), against one frame through its ring caches. Both answer for the newest frame alone, which is
  the least that a window can cost; the papers' code answers for all frames of a window.
- ``papers_way``: an encoder of MixSTE's published size over 243 frames for every frame, then the
  reverse diffusion step by step, both in PyTorch: what the papers' released code does.

Every subject has the same number of threads: one.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from diffpose_ros.bench.latency import Subject, interleave, paired_ratio
from diffpose_ros.core import Camera
from diffpose_ros.lifting import Lifter, LifterConfig
from diffpose_ros.methods.diffusion.context_encoder import ContextConfig, ContextEncoder
from diffpose_ros.methods.diffusion.contract import DiffusionSpec
from diffpose_ros.methods.diffusion.export import OPSET
from diffpose_ros.methods.diffusion.graformer import Denoiser

PAPERS_FRAMES = 243
WINDOWS = (81, 243)
CROWDS = (1, 5, 10)
"""People for whom one frame is compared with a window: they share the weights that it reads."""
BURST = 5
"""Calls of ours in a row per round; their median is compared with one call of theirs."""
FRAME_BURST = 15
"""The same for one frame of the encoder, which takes longer to find its weights in the processor's
cache again after a whole window has been through: on a robot that streams, none ever goes through."""


class MixSteSized(nn.Module):
    """A transformer of MixSTE's published size: joints and frames mixed in turn, 33.8 M weights.

    Args:
        frames: window length.
        width: features per joint.
        depth: pairs of a spatial and a temporal block.
        heads: attention heads.
    """

    def __init__(self, frames: int = PAPERS_FRAMES, width: int = 512, depth: int = 8, heads: int = 8) -> None:
        super().__init__()
        self.embed = nn.Linear(2, width)
        self.joint = nn.Parameter(torch.zeros(1, 1, 17, width))
        self.frame = nn.Parameter(torch.zeros(1, frames, 1, width))
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(2 * depth))
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 3))

    def forward(self, xy: Tensor) -> Tensor:
        """(1, T, 17, 2) to (1, T, 17, 3)."""
        x = self.embed(xy) + self.joint
        for number, block in enumerate(self.blocks):
            if number == 1:
                x = x + self.frame
            x = x.flatten(0, 1)
            over_frames = number % 2 == 1  # joints become rows
            x = block(x.transpose(0, 1)).transpose(0, 1) if over_frames else block(x)
            x = x.unsqueeze(0)
        return self.head(x)


class _Block(nn.Module):
    """Pre-norm attention and MLP (ratio 2) over (R, S, C)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm_mlp(x))


class PapersWay:
    """One new frame as the papers' released code handles it.

    Args:
        denoiser: the denoiser of our model: only the way of running it differs.
        steps: DDIM steps.
        hypotheses: N.
        condition: features per joint of the condition.
    """

    def __init__(self, denoiser: Denoiser, steps: int, hypotheses: int, condition: int) -> None:
        self._encoder = MixSteSized().eval()
        self._denoiser, self._steps, self._n = denoiser, steps, hypotheses
        self._condition = torch.randn(1, 17, condition)
        self._window = torch.randn(1, PAPERS_FRAMES, 17, 2)

    @torch.inference_mode()
    def __call__(self) -> Tensor:
        """Encode the whole window, then denoise step by step."""
        pose = self._encoder(self._window)[:, -1]
        h = pose.unsqueeze(1) + torch.randn(1, self._n, 17, 3)
        for k in range(self._steps, 0, -1):
            embedded = self._denoiser.embed_condition(self._condition, self._n)
            step = self._denoiser.embed_step(torch.tensor([float(k)]))
            clean = self._denoiser(h.flatten(0, 1), embedded, step).view(h.shape)
            h = 0.9 * clean + 0.1 * h
        return h.mean(dim=1)


class _Whole(nn.Module):
    def __init__(self, encoder: ContextEncoder, newest: bool) -> None:
        super().__init__()
        self.encoder, self.newest = encoder, newest

    def forward(self, points: Tensor, view: Tensor, times_s: Tensor) -> tuple[Tensor, Tensor]:
        answer = self.encoder.newest if self.newest else self.encoder
        feature, pose, _ = answer(points, view, times_s)
        return feature, pose


class _Online(nn.Module):
    def __init__(self, encoder: ContextEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, points: Tensor, view: Tensor, age: Tensor, *cache: Tensor) -> tuple[Tensor, ...]:
        pairs = list(zip(cache[0::2], cache[1::2], strict=True))
        feature, pose, _, new = self.encoder.step(points, view, age, pairs)
        return (feature, pose, *(t for pair in new for t in pair))


def _session(module: nn.Module, inputs: tuple[Tensor, ...], folder: Path) -> Callable[[], object]:
    import onnx
    import onnxruntime as ort

    from diffpose_ros.onnxgraph.fuse import fuse

    path = folder / f"{type(module).__name__}.onnx"
    names = [f"in_{i}" for i in range(len(inputs))]
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(), inputs, str(path), dynamo=False, opset_version=OPSET, input_names=names,
            dynamic_axes={n: {0: "people"} for n, t in zip(names, inputs, strict=True) if t.ndim > 1},
        )  # fmt: skip
    onnx.save(fuse(onnx.load(str(path))), str(path))
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session: Any = ort.InferenceSession(str(path), sess_options=settings, providers=["CPUExecutionProvider"])
    kept = {i.name for i in session.get_inputs()}
    feeds = {n: t.numpy() for n, t in zip(names, inputs, strict=True) if n in kept}
    bound = session.io_binding()  # what Python makes of arrays per call is no work of the encoder
    for name, value in feeds.items():
        bound.bind_cpu_input(name, value)
    for output, value in zip(session.get_outputs(), session.run(None, feeds), strict=True):
        bound.bind_ortvalue_output(output.name, ort.OrtValue.ortvalue_from_numpy(value))

    def call() -> object:
        session.run_with_iobinding(bound)
        return feeds  # bound where they lie, so they have to stay

    return call


def encoder_calls(config: ContextConfig, window: int, folder: Path, people: int = 1) -> dict[str, Any]:
    """``online``: one frame through ring caches; ``whole``: the window again, for its newest frame;
    for one person ``all``, too: for all its frames. Speed does not depend on the weights, so fresh ones
    serve."""
    from dataclasses import replace

    encoder = ContextEncoder(replace(config, window=window)).eval()
    points, view = torch.rand(people, window + 1, 21, 3), torch.rand(people, window + 1, 6)
    cache: list[Tensor] = []
    for block in encoder.blocks:
        for heads, features in (block.time.key_shape, block.time.value_shape):  # type: ignore[union-attr, misc]
            cache.append(torch.rand(people, heads, window, features))
    age = (torch.arange(window, 0, -1) / 30.0).repeat(people, 1)
    times = torch.arange(window + 1) / 30.0
    clip = (points, view, times)
    calls = {
        "online": _session(_Online(encoder), (points[:, -1], view[:, -1], age, *cache), folder),
        "whole": _session(_Whole(encoder, newest=True), clip, folder),
    }
    if people == 1:
        calls["all"] = _session(_Whole(encoder, newest=False), clip, folder)
    return calls


def ratios(
    spec: DiffusionSpec, rounds: int, progress: Callable[[str], None]
) -> tuple[dict[str, float], dict[str, float]]:
    """``torch_eager``, ``full_window`` (with ``_81`` and ``_243``, and for several people with
    ``_people_5`` and so on behind them) and ``papers_way``: theirs / ours. ``_first`` behind a window
    counts only the first frame after each window; with ``_all`` the window answers for all its frames.

    Args:
        spec: a model whose checkpoint lies beside it.
        rounds: how often each pair runs; the papers' way, a second or more, runs fewer times.
        progress: told what is being measured.

    Returns:
        Ratios of elapsed time, and of processor time.
    """
    from diffpose_ros.methods.diffusion.checkpoint import load_network

    torch.set_num_threads(1)
    camera = Camera.from_fov(1920, 1080)
    names = ("onnxruntime", "torch")
    subjects = {
        n: Subject(n, 1, Lifter(LifterConfig(model=spec.path, backend=n)), None, camera) for n in names
    }
    network = load_network(spec.path.parent)
    papers = PapersWay(network.denoiser, spec.steps, spec.hypotheses, network.config.condition_width)
    progress("torch eager")
    out: dict[str, float] = {}
    cpu: dict[str, float] = {}

    def compare(
        name: str, ours: str, theirs: str, calls: dict[str, Any], times: int, burst: int = BURST
    ) -> None:
        pair = {n: calls[n] for n in (ours, theirs)}
        wall, busy = interleave(pair, times, burst={ours: burst})
        out[name] = paired_ratio(wall[ours], wall[theirs])
        cpu[name] = paired_ratio(busy[ours], busy[theirs])

    calls = {n: subjects[n].run for n in names}
    compare("torch_eager", "onnxruntime", "torch", calls, rounds)
    own = network.config.context
    for window in sorted({*WINDOWS, own.window}):
        for people in CROWDS:
            progress(f"full window, {window} frames, {people} people")
            name = f"full_window_{window}" + (f"_people_{people}" if people > 1 else "")
            with tempfile.TemporaryDirectory() as folder:
                frames = encoder_calls(own, window, Path(folder), people)
                times = max(5, rounds // people)
                compare(name, "online", "whole", frames, times, FRAME_BURST)
                if people == 1:
                    compare(f"{name}_first", "online", "whole", frames, times, 1)
                    compare(f"{name}_all", "online", "all", frames, times, FRAME_BURST)
    for kept in (out, cpu):
        kept["full_window"] = kept[f"full_window_{own.window}"]
    progress("the papers' way")
    both: dict[str, Any] = {"ours": subjects["onnxruntime"].run, "papers": papers}
    compare("papers_way", "ours", "papers", both, max(3, rounds // 20))
    for subject in subjects.values():
        subject.lifter.close()
    return out, cpu


def missing() -> str | None:
    """Why the references cannot run here, or ``None``."""
    for package in ("safetensors", "onnx"):
        if find_spec(package) is None:
            return f"{package} is not installed (pip install {package})"
    return None
