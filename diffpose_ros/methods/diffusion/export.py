"""Export: one ONNX graph for one whole online step, with everything a host must know in its metadata.

The networks are exported as they are written; :mod:`diffpose_ros.onnxgraph.fuse` then saves nodes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from diffpose_ros.diffusion.schedules import ddim_steps
from diffpose_ros.methods.diffusion.network import LifterNetwork
from diffpose_ros.methods.model_file import FORMAT, METADATA_KEY
from diffpose_ros.methods.streaming import JOINT_SET, POINTS
from diffpose_ros.onnxgraph.write import OPSET, parity, write_graph

__all__ = ["OPSET", "StepGraph", "check_parity", "example_inputs", "export_onnx"]


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
        names += ["bone_mean", "guidance", *self.network.more_inputs]
        return names + [s["input"] for s in self.state()]

    @property
    def output_names(self) -> list[str]:
        """Graph outputs, in order."""
        return [*self._answers, *(s["output"] for s in self.state())]

    @property
    def _answers(self) -> tuple[str, ...]:
        return ("mean", "covariance", "hypotheses", *self.network.more_outputs)

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
        return (*(out[name] for name in self._answers), *entries)

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
            "format": FORMAT, "kind": config.kind, "name": name, "joint_set": JOINT_SET, "points": POINTS,
            "steps": len(self.visit) - 1, "hypotheses": config.hypotheses,
            "guidance": list(config.guidance), "rings": rings, "state": self.state(),
            "score_floor": 0.0, "bone_window": 27, **self.network.more_metadata(),
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
        "view": 0.3 * normal(people, config.context.view),
        "noise": normal(people, hypotheses, 17, 3),
        "age": torch.arange(window, 0, -1).expand(people, -1) / 30.0,
        "previous_pose": 0.3 * normal(people, 17, 3),
        "previous_age": torch.full((people,), 1 / 30.0),
        "bone_mean": 0.2 + 0.1 * torch.rand(people, 16, generator=g),
        "guidance": torch.tensor([0.3, 0.3, 0.1, 0.01]),
    }
    for name, more in graph.network.more_inputs.items():
        inputs[name] = torch.rand(people, *more, generator=g)
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
    for key in ("mean", "covariance", *network.more_outputs):
        axes[key] = {0: "people"}
    axes["hypotheses"] = {0: "people", 1: "hypotheses"}
    return write_graph(
        graph, inputs, graph.output_names, axes, path, metadata=graph.metadata(name), key=METADATA_KEY
    )


def check_parity(network: LifterNetwork, path: Path, *, steps: int, people: int = 3) -> float:
    """Largest difference of any output between the file on ONNX Runtime and the network.

    Skeletons in metres as they are; cache entries, which have no unit, over the largest of their kind.

    Raises:
        ModelError: they differ by more than 1e-3.
    """
    graph = StepGraph(network.eval(), steps).eval()
    return parity(graph, example_inputs(graph, people), graph.output_names, path)
