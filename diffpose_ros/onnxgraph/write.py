"""From a torch module with flat inputs and outputs to an ONNX file that is checked, fused and small."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from diffpose_ros.core import ModelError
from diffpose_ros.core.files import whole
from diffpose_ros.onnxgraph.fp16_weights import compact
from diffpose_ros.onnxgraph.fuse import fuse

OPSET = 20
PARITY = 1e-3
"""Largest difference between a network and its graph that is taken for rounding."""


def trace(
    module: nn.Module, inputs: Mapping[str, Tensor], outputs: list[str], axes: dict[str, dict[int, str]],
    path: Path,
) -> onnx.ModelProto:  # fmt: skip
    """Export a module as it is written, then fuse its graph.

    Args:
        module: in evaluation mode; takes the inputs in their order.
        inputs: name -> example.
        outputs: their names, in order.
        axes: input or output -> axis -> name of a size that may change.
        path: where the unfused graph is written.
    """
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, tuple(inputs.values()), str(path), dynamo=False, opset_version=OPSET,
            input_names=list(inputs), output_names=outputs, dynamic_axes=axes, do_constant_folding=True,
        )  # fmt: skip
    return fuse(onnx.load(str(path)))


def write_graph(
    module: nn.Module, inputs: Mapping[str, Tensor], outputs: list[str], axes: dict[str, dict[int, str]],
    path: Path, *, metadata: Mapping[str, Any], key: str, compare: Mapping[str, Tensor] | None = None,
) -> Path:  # fmt: skip
    """Write a module's graph, atomically; see :func:`trace`.

    Args:
        module: in evaluation mode.
        inputs: name -> example.
        outputs: their names, in order.
        axes: input or output -> axis -> name of a size that may change.
        path: the ``.onnx`` file.
        metadata: kept in the file as JSON, under ``key``.
        key: see ``metadata``.
        compare: inputs for which graph and module have to give the same, see :func:`parity`.

    Raises:
        ModelError: the graph does not check, or answers otherwise than the module.
        InputError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as part:
        model = trace(module, inputs, outputs, axes, part)
        entry = model.metadata_props.add()
        entry.key, entry.value = key, json.dumps(metadata)
        try:
            onnx.checker.check_model(model, full_check=True)
        except onnx.checker.ValidationError as error:
            raise ModelError(f"{path}: the exported graph does not check: {error}") from error
        onnx.save(compact(model), str(part))
        if compare is not None:
            parity(module, compare, outputs, part, named=path)
    return path


def parity(
    module: nn.Module, inputs: Mapping[str, Tensor], outputs: list[str], path: Path, *,
    named: Path | None = None,
) -> float:  # fmt: skip
    """Largest difference of any output between the file on ONNX Runtime and the module.

    Outputs that go beyond 1 are compared by the largest of their kind. Errors name ``named`` instead
    of ``path``, where it is given.

    Raises:
        ModelError: they differ by more than :data:`PARITY`.
    """
    import onnxruntime

    with torch.no_grad():
        expected = module(*inputs.values())
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = session.run(outputs, {k: v.numpy() for k, v in inputs.items()})
    worst = max(
        float((torch.from_numpy(a) - b).abs().max() / b.abs().max().clamp(min=1.0))
        for a, b in zip(found, expected, strict=True)
    )
    if not worst < PARITY:
        raise ModelError(
            f"{named or path}: differs from the network by {worst:g}, expected less than {PARITY:g}"
        )
    return worst
