"""Sizes and types of every tensor of a graph, measured: the graph runs twice, with other numbers for what
is dynamic."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

Dim = int | tuple[int, ...]
"""A size: fixed, or what it was in each of the trial runs."""
Dims = tuple[Dim, ...]

_TRIALS = ((2, 3), (5, 7), (11, 13), (19, 23), (29, 31), (37, 41))
"""Sizes in the two runs of the first, second, ... dynamic axis; different primes, so that neither the
sizes nor their products are mistaken for each other."""

_DEPENDS_ON_VALUES = {"NonZero", "Unique", "Compress", "NonMaxSuppression", "If", "Loop", "Scan"}


def measure(model: onnx.ModelProto) -> dict[str, tuple[Dims, np.dtype]]:
    """Dimensions and type of every tensor, by name.

    Raises:
        ValueError: sizes may depend on more than the sizes of the inputs, or there are more kinds of dynamic
            axes than trial sizes.
    """
    odd = sorted({n.op_type for n in model.graph.node} & _DEPENDS_ON_VALUES)
    odd += [v.name for v in model.graph.input if v.type.tensor_type.elem_type != onnx.TensorProto.FLOAT]
    if odd:
        raise ValueError(f"sizes may depend on values, which is not supported: {', '.join(odd)}")
    names: dict[str, int] = {}
    for value in model.graph.input:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                names.setdefault(dim.dim_param, len(names))
    if len(names) > len(_TRIALS):
        raise ValueError(f"expected at most {len(_TRIALS)} dynamic axes, got {', '.join(names)}")
    evaluator = ReferenceEvaluator(model)
    runs = []
    for trial in range(2):
        sizes = {name: _TRIALS[i][trial] for name, i in names.items()}
        feeds = {value.name: _example(value, sizes) for value in model.graph.input}
        with np.errstate(all="ignore"):
            made = dict(evaluator.run(None, feeds, intermediate=True))
        runs.append({name: np.asarray(value) for name, value in (feeds | made).items()})
    first, second = runs
    out: dict[str, tuple[Dims, np.dtype]] = {}
    for name, value in first.items():
        shapes = value.shape, second[name].shape
        if len(shapes[0]) == len(shapes[1]):
            dims = tuple(a if a == b else (a, b) for a, b in zip(*shapes, strict=True))
            out[name] = dims, value.dtype
    return out


def _example(value: onnx.ValueInfoProto, sizes: dict[str, int]) -> np.ndarray:
    shape = [sizes[d.dim_param] if d.dim_param else d.dim_value for d in value.type.tensor_type.shape.dim]
    return np.full(shape, 0.5, np.float32)


def times(dims: Iterable[Dim]) -> Dim:
    """The product of sizes."""
    total: Dim = 1
    for dim in dims:
        if isinstance(total, int) and isinstance(dim, int):
            total *= dim
        else:
            total = tuple(math.prod(pair) for pair in zip(_both(total), _both(dim), strict=True))
    return total


def fixed(dims: Iterable[Dim]) -> int | None:
    """The product of sizes if all of them are fixed."""
    total = times(dims)
    return total if isinstance(total, int) else None


def reshape_target(before: Dims, after: Dims) -> list[int] | None:
    """What ``Reshape`` is told to get from one shape to the other; ``None`` if numbers cannot say it.

    A dynamic size is -1, once; others have to stand where they stood, which is 0.
    """
    target = [d if isinstance(d, int) else -1 for d in after]
    unknown = [i for i, d in enumerate(target) if d == -1]
    if len(unknown) > 1:
        kept = [i for i in unknown if i < len(before) and before[i] == after[i]]
        if len(unknown) - len(kept) > 1:
            return None
        for i in kept if len(kept) < len(unknown) else kept[1:]:
            target[i] = 0
    return target


def _both(dim: Dim) -> tuple[int, ...]:
    return (dim, dim) if isinstance(dim, int) else dim
