"""Export of a UniHPR model: the graph that streams, and those that stand beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from diffpose_ros.methods.model_file import METADATA_KEY
from diffpose_ros.methods.unihpr.contract import HYPOTHESES, PART_OUTPUTS, SOURCES
from diffpose_ros.methods.unihpr.graphs import (
    DecoderGraph,
    PictureGraph,
    SkeletonGraph,
    UniHprStep,
    said_of,
)
from diffpose_ros.methods.unihpr.network import UniHpr
from diffpose_ros.onnxgraph.write import write_graph


def example_inputs(graph: UniHprStep, people: int, seed: int = 0) -> dict[str, Tensor]:
    """Random inputs of the step, rings full."""
    g = torch.Generator().manual_seed(seed)
    config = graph.network.config
    made = {
        "points": torch.randn(people, 21, 3, generator=g),
        "view": 0.3 * torch.randn(people, config.context.view, generator=g),
        "age": torch.arange(config.context.window, 0, -1).expand(people, -1) / 30.0,
        "noise": torch.randn(people, config.decoder.hypotheses, 17, 3, generator=g),
    }
    for s in graph.state():
        shape = [config.context.window if n == -1 else n for n in s["shape"]]
        made[s["input"]] = 0.5 * torch.randn(people, *shape, generator=g)
    return {n: made[n].contiguous() for n in graph.input_names}


def write_graphs(network: UniHpr, folder: Path, *, name: str) -> Iterator[Path]:
    """Write every graph, each whole or not at all and checked against the network; yields the files.

    Raises:
        ModelError: a written file does not check, or answers otherwise than the network.
    """
    network.eval()
    yield export_onnx(network, folder / "model.onnx", name=name)
    for part, graph in _parts(network).items():
        inputs, compare = (_part_inputs(network, part, n, seed=n) for n in (2, 5))
        axes = {n: {0: "people"} for n in (*inputs, *PART_OUTPUTS[part])}
        if part == "decoder":
            axes["noise"][1] = axes["poses"][1] = HYPOTHESES
        said = said_of(network, name) | {"part": part}
        if part == "picture":
            said["features"] = network.config.embedding.features
        yield write_graph(
            graph.eval(), inputs, list(PART_OUTPUTS[part]), axes, folder / f"{part}.onnx",
            metadata=said, key=METADATA_KEY, compare=compare,
        )  # fmt: skip


def export_onnx(network: UniHpr, path: Path, *, name: str) -> Path:
    """Write the graph that streams; errors as :func:`write_graphs`."""
    graph = UniHprStep(network.eval()).eval()
    axes = {n: {0: "people"} for n in (*graph.input_names, *graph.output_names)}
    axes["noise"][1] = axes["hypotheses"][1] = HYPOTHESES
    if "age" in axes:
        axes["age"][1] = "context_slots"
    for s in graph.state():
        axes[s["input"]][s["slot_axis"] + 1] = "context_slots"
    return write_graph(
        graph, example_inputs(graph, 2), graph.output_names, axes, path, metadata=graph.metadata(name),
        key=METADATA_KEY, compare=example_inputs(graph, 3, seed=1),
    )  # fmt: skip


def _parts(network: UniHpr) -> dict[str, nn.Module]:
    parts: dict[str, nn.Module] = {"skeleton": SkeletonGraph(network), "decoder": DecoderGraph(network)}
    if network.pictures is not None:
        parts["picture"] = PictureGraph(network)
    return parts


def _part_inputs(network: UniHpr, part: str, rows: int, seed: int) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(seed)
    config = network.config
    if part == "skeleton":
        return {"skeleton": 0.3 * torch.randn(rows, 17, 3, generator=g)}
    if part == "picture":
        return {"features": torch.randn(rows, config.embedding.features, generator=g)}
    count = config.decoder.hypotheses + (rows > 2)
    source = torch.eye(len(SOURCES))[torch.arange(rows) % len(SOURCES)]
    return {
        "embedding": 0.1 * torch.randn(rows, config.embedding.size, generator=g), "source": source,
        "noise": torch.randn(rows, count, 17, 3, generator=g),
    }  # fmt: skip
