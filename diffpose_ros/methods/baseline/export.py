"""Export of the baseline: one ONNX graph for one online step."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import onnx
import torch

from diffpose_ros.core import ModelError
from diffpose_ros.methods.baseline.network import Baseline, EncoderStep
from diffpose_ros.methods.model_file import METADATA_KEY
from diffpose_ros.onnxgraph.fp16_weights import compact

OPSET = 20


def example_inputs(graph: EncoderStep, people: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """Random inputs of the right shapes, rings full."""
    g = torch.Generator().manual_seed(seed)
    window = graph.network.context.config.window
    made = {
        "points": torch.randn(people, 21, 3, generator=g),
        "view": 0.3 * torch.randn(people, 6, generator=g),
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
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph, tuple(inputs.values()), str(part), dynamo=False, opset_version=OPSET,
            input_names=graph.input_names, output_names=graph.output_names, dynamic_axes=axes,
            do_constant_folding=True,
        )  # fmt: skip
    model = onnx.load(str(part))
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, json.dumps(graph.metadata(name))
    try:
        onnx.checker.check_model(model, full_check=True)
    except onnx.checker.ValidationError as error:
        raise ModelError(f"{path}: the exported graph does not check: {error}") from error
    onnx.save(compact(model), str(part))
    _check_parity(graph, part, path)
    part.replace(path)
    return path


def _check_parity(graph: EncoderStep, written: Path, path: Path) -> None:
    import onnxruntime

    inputs = example_inputs(graph, 3, seed=1)
    with torch.no_grad():
        expected = graph(*inputs.values())
    session = onnxruntime.InferenceSession(str(written), providers=["CPUExecutionProvider"])
    found = session.run(graph.output_names, {k: v.numpy() for k, v in inputs.items()})
    worst = max(
        float((torch.from_numpy(a) - b).abs().max() / b.abs().max().clamp(min=1.0))
        for a, b in zip(found, expected, strict=True)
    )
    if not worst < 1e-3:
        raise ModelError(f"{path}: differs from the network by {worst:g}, expected less than 1e-3")
