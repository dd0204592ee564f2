"""Export of the baseline: one ONNX graph for one online step."""

from __future__ import annotations

from pathlib import Path

import torch

from diffpose_ros.methods.baseline.network import Baseline, EncoderStep
from diffpose_ros.methods.model_file import METADATA_KEY
from diffpose_ros.onnxgraph.write import write_graph


def example_inputs(graph: EncoderStep, people: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """Random inputs of the right shapes, rings full."""
    g = torch.Generator().manual_seed(seed)
    config = graph.network.context.config
    window = config.window
    made = {
        "points": torch.randn(people, 21, 3, generator=g),
        "view": 0.3 * torch.randn(people, config.view, generator=g),
        "age": torch.arange(window, 0, -1).expand(people, -1) / 30.0,
    }
    for s in graph.state():
        shape = [window if n == -1 else n for n in s["shape"]]
        made[s["input"]] = 0.5 * torch.randn(people, *shape, generator=g)
    return {n: made[n].contiguous() for n in graph.input_names}


def export_onnx(network: Baseline, path: Path, *, name: str) -> Path:
    """Write the graph, atomically, and check it against the network.

    Raises:
        ModelError: the written file does not check, or answers otherwise than the network.
    """
    graph = EncoderStep(network.eval()).eval()
    inputs = example_inputs(graph, 2)
    axes = {n: {0: "people"} for n in (*graph.input_names, *graph.output_names)}
    if "age" in axes:
        axes["age"][1] = "context_slots"
    for s in graph.state():
        axes[s["input"]][s["slot_axis"] + 1] = "context_slots"
    return write_graph(
        graph, inputs, graph.output_names, axes, path, metadata=graph.metadata(name), key=METADATA_KEY,
        compare=example_inputs(graph, 3, seed=1),
    )  # fmt: skip
