"""Export of ZeDO's loop: one ONNX graph of K iterations, with anchors and settings in its metadata."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch

from diffpose_ros.core import ModelError
from diffpose_ros.methods.model_file import METADATA_KEY
from diffpose_ros.methods.zedo.contract import HYPOTHESES, INPUTS, ITERATIONS
from diffpose_ros.methods.zedo.network import Zedo, ZedoStep
from diffpose_ros.onnxgraph.fp16_weights import compact
from diffpose_ros.runtime.graph_spec import PEOPLE

OPSET = 20
PARITY_M = 1e-4
"""How far poses of the written graph may lie from the network's."""


def example_inputs(graph: ZedoStep, people: int, hypotheses: int = 3, seed: int = 0) -> list[torch.Tensor]:
    """Random inputs of the right shapes, in order."""
    rng = np.random.default_rng(seed)
    sizes = {PEOPLE: people, HYPOTHESES: hypotheses, ITERATIONS: graph.network.config.loop.unrolled}
    made = []
    for name in graph.input_names:
        one = INPUTS[name]
        shape = tuple(sizes[n] if isinstance(n, str) else n for n in one.shape)
        made.append(torch.from_numpy(np.ascontiguousarray(one.example(rng, shape), dtype=np.float32)))
    return made


def export_onnx(network: Zedo, path: Path, *, name: str) -> Path:
    """Write the graph, atomically, and check it against the network.

    Raises:
        ModelError: the written file does not check, or answers otherwise than the network.
    """
    graph = ZedoStep(network.eval()).eval()
    inputs = example_inputs(graph, 2)
    axes = {
        n: {axis: size for axis, size in enumerate(INPUTS[n].shape) if size in (PEOPLE, HYPOTHESES)}
        for n in graph.input_names
    }
    axes |= {n: {0: PEOPLE, 1: HYPOTHESES} for n in graph.output_names}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph, tuple(inputs), str(part), dynamo=False, opset_version=OPSET,
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


def _check_parity(graph: ZedoStep, written: Path, path: Path) -> None:
    import onnxruntime

    inputs = example_inputs(graph, 3, 5, seed=1)
    with torch.no_grad():
        expected = graph(*inputs)
    session = onnxruntime.InferenceSession(str(written), providers=["CPUExecutionProvider"])
    found = session.run(
        graph.output_names, dict(zip(graph.input_names, (v.numpy() for v in inputs), strict=True))
    )
    worst = max(
        float((torch.from_numpy(a) - b).abs().max()) for a, b in zip(found, expected, strict=True)
    )
    if not worst < PARITY_M:
        raise ModelError(f"{path}: differs from the network by {worst:g} m, expected below {PARITY_M:g}")
