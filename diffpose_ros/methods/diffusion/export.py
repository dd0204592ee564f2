"""Export: one ONNX graph for one whole online step, with everything a host must know in its metadata.

The networks are exported as they are written; :mod:`diffpose_ros.onnxgraph.fuse` then saves nodes.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from diffpose_ros.core import ModelError
from diffpose_ros.core.files import whole
from diffpose_ros.diffusion.schedules import ddim_steps
from diffpose_ros.methods.diffusion.network import LifterNetwork
from diffpose_ros.onnxgraph.fp16_weights import compact

OPSET = 20


class StepGraph(nn.Module):
    """``LifterNetwork.step`` with flat inputs and outputs, as an ONNX graph has them.

    Args:
        network: the lifter, in evaluation mode.
        steps: DDIM steps to unroll.
    """

    def __init__(self, network: LifterNetwork, steps: int) -> None:
        super().__init__()
        self.network = network
        self.visit = ddim_steps(network.config.schedule.diffusion_steps, steps)
        self.blocks = len(network.context.looking_back)
        self.layers = network.config.history.depth if network.config.history else 0

    @property
    def input_names(self) -> list[str]:
        """Graph inputs, in order."""
        names = ["points", "view", "noise", *(["age"] if self.blocks else [])]
        names += ["previous_pose", "previous_age"]
        if self.layers:
            names += ["previous_points", "history_age"]
        names += ["bone_mean", "guidance"]
        return names + [s["input"] for s in self.state()]

    @property
    def output_names(self) -> list[str]:
        """Graph outputs, in order."""
        return ["mean", "covariance", "hypotheses", *(s["output"] for s in self.state())]

    def state(self) -> list[dict[str, Any]]:
        """The caches as metadata lists them."""
        out = []
        groups: list[tuple[str, str, Any]] = [
            ("context", f"{i}", b.time) for i, b in enumerate(self.network.context.looking_back)
        ]
        if self.network.history is not None:
            groups += [
                ("history", f"history_{i}", layer.attention)
                for i, layer in enumerate(self.network.history.layers)
            ]
        for ring, tag, attention in groups:
            for kind, shape in (("key", attention.key_shape), ("value", attention.value_shape)):
                out.append({"input": f"{kind}_{tag}", "output": f"new_{kind}_{tag}",
                            "shape": [shape[0], -1, shape[1]], "slot_axis": 1, "ring": ring})  # fmt: skip
        return out

    def forward(self, *flat: Tensor) -> tuple[Tensor, ...]:
        named = dict(zip(self.input_names, flat, strict=True))
        cache = [named[s["input"]] for s in self.state()]
        pairs = list(zip(cache[0::2], cache[1::2], strict=True))
        out, context, history = self.network.step(
            named, pairs[: self.blocks], pairs[self.blocks :], self.visit
        )
        entries = [t for pair in (*context, *history) for t in pair]
        return (out["mean"], out["covariance"], out["hypotheses"], *entries)

    def metadata(self, name: str) -> dict[str, Any]:
        """What ``metadata_props["diffpose_ros"]`` holds."""
        config = self.network.config
        rings = {}
        if self.blocks:
            rings["context"] = {"length": config.context.window, "max_length": 243, "age": "age"}
        if config.history:
            length = config.history.length
            rings["history"] = {"length": length, "max_length": length, "age": "history_age"}
        return {
            "format": 1, "kind": config.kind, "name": name, "joint_set": "h36m17", "points": 21,
            "steps": len(self.visit) - 1, "hypotheses": config.hypotheses,
            "guidance": list(config.guidance), "rings": rings, "state": self.state(),
            "score_floor": 0.0, "bone_window": 27,
        }  # fmt: skip


def example_inputs(graph: StepGraph, people: int, hypotheses: int = 5) -> dict[str, Tensor]:
    """Random inputs of the right shapes, rings full, for tracing and parity checks."""
    config = graph.network.config
    g = torch.Generator().manual_seed(people)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g)

    window = config.context.window
    inputs = {
        "points": torch.cat([normal(people, 21, 2), torch.rand(people, 21, 1, generator=g)], -1),
        "view": 0.3 * normal(people, 6),
        "noise": normal(people, hypotheses, 17, 3),
        "age": torch.arange(window, 0, -1).expand(people, -1) / 30.0,
        "previous_pose": 0.3 * normal(people, 17, 3),
        "previous_age": torch.full((people,), 1 / 30.0),
        "bone_mean": 0.2 + 0.1 * torch.rand(people, 16, generator=g),
        "guidance": torch.tensor([0.3, 0.3, 0.1, 0.01]),
    }
    if config.history:
        inputs["previous_points"] = inputs["points"].roll(1, 0)
        inputs["history_age"] = torch.arange(config.history.length + 1, 1, -1).expand(people, -1) / 30.0
    for s in graph.state():
        slots = window if s["ring"] == "context" else config.history.length  # type: ignore[union-attr]
        shape = [slots if n == -1 else n for n in s["shape"]]
        value = 0.5 * normal(people, *shape)
        inputs[s["input"]] = value.abs() if "value" in s["input"] else value
    return {n: inputs[n].contiguous() for n in graph.input_names}


def export_onnx(network: LifterNetwork, path: Path, *, name: str, steps: int | None = None) -> Path:
    """Write the graph.

    Args:
        network: the lifter.
        path: the ``.onnx`` file to write, atomically.
        name: the model's own name.
        steps: DDIM steps; the configured number when omitted.

    Raises:
        ModelError: the written file does not check.
    """
    network = network.eval()
    graph = StepGraph(network, steps or network.config.steps).eval()
    inputs = example_inputs(graph, 2)
    axes: dict[str, dict[int, str]] = {}
    for key in inputs:
        axes[key] = {} if key == "guidance" else {0: "people"}
    axes["noise"][1] = "hypotheses"
    for key, slots in (("age", "context_slots"), ("history_age", "history_slots")):
        if key in axes:
            axes[key][1] = slots
    for s in graph.state():
        axes[s["input"]][s["slot_axis"] + 1] = f"{s['ring']}_slots"
        axes[s["output"]] = {0: "people"}
    for key in ("mean", "covariance"):
        axes[key] = {0: "people"}
    axes["hypotheses"] = {0: "people", 1: "hypotheses"}
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as part:
        _export(graph, part, inputs, axes, name, path)
    return path


def _export(
    graph: Any, part: Path, inputs: dict[str, Any], axes: dict[str, dict[int, str]], name: str, path: Path
) -> None:
    """Write the graph to ``part``; messages name ``path``."""
    import onnx

    from diffpose_ros.onnxgraph.fuse import fuse

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph, tuple(inputs.values()), str(part), dynamo=False, opset_version=OPSET,
            input_names=graph.input_names, output_names=graph.output_names, dynamic_axes=axes,
            do_constant_folding=True,
        )  # fmt: skip
    model = fuse(onnx.load(str(part)))
    entry = model.metadata_props.add()
    entry.key, entry.value = "diffpose_ros", json.dumps(graph.metadata(name))
    try:
        onnx.checker.check_model(model, full_check=True)
    except onnx.checker.ValidationError as error:
        raise ModelError(f"{path}: the exported graph does not check: {error}") from error
    onnx.save(compact(model), str(part))


def check_parity(network: LifterNetwork, path: Path, *, steps: int, people: int = 3) -> float:
    """Largest difference of any output between the file on ONNX Runtime and the network.

    Skeletons in metres as they are; cache entries, which have no unit, over the largest of their kind.

    Raises:
        ModelError: they differ by more than 1e-3.
    """
    import onnxruntime

    graph = StepGraph(network.eval(), steps).eval()
    inputs = example_inputs(graph, people)
    with torch.no_grad():
        expected = graph(*inputs.values())
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = session.run(graph.output_names, {k: v.numpy() for k, v in inputs.items()})
    worst = max(
        float((torch.from_numpy(a) - b).abs().max() / b.abs().max().clamp(min=1.0))
        for a, b in zip(found, expected, strict=True)
    )
    if not worst < 1e-3:
        raise ModelError(f"{path}: differs from the network by {worst:g}, expected less than 1e-3")
    return worst
