"""A small lifter graph that keeps the contract of docs/model_files.md, to test the engine tools.

Its weights are random but of sane size; the arithmetic (a ring cache, masks, half-able blocks, DDIM
steps) has the same kinds of operators as the shipped one.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WIDTH, HEADS, STEPS = 64, 2, 2
DEPTH = WIDTH // HEADS
RING = 9
JOINTS, POINTS, HYPOTHESES = 17, 21, 5
METADATA_KEY = "diffpose_ros"


class _Graph:
    """Collects nodes and initialisers; every method returns the name of its result."""

    def __init__(self, seed: int) -> None:
        self.nodes: list = []
        self.initializers: list = []
        self.rng = np.random.default_rng(seed)

    def op(self, kind: str, *inputs: str, **attributes) -> str:
        name = attributes.pop("output", f"t{len(self.nodes)}")
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def const(self, value, dtype=np.float32) -> str:
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def ints(self, *value: int) -> str:
        return self.const(value, np.int64)

    def weight(self, *shape: int) -> str:
        return self.const(self.rng.normal(0.0, shape[-2] ** -0.5, shape))

    def linear(self, x: str, n_in: int, n_out: int) -> str:
        product = self.op("MatMul", x, self.weight(n_in, n_out))
        return self.op("Add", product, self.const(self.rng.normal(0, 0.1, n_out)))

    def norm(self, x: str) -> str:
        return self.op(
            "LayerNormalization",
            x,
            self.const(np.ones(WIDTH)),
            self.const(np.zeros(WIDTH)),
            axis=-1,
        )


def _context(g: _Graph) -> str:
    """The newest frame through one ring-cached attention layer: (P, 17, WIDTH)."""
    x = g.linear("points", 3, WIDTH)
    x = g.op("MatMul", g.weight(JOINTS, POINTS), x)
    x = g.op("Add", x, g.op("Unsqueeze", g.linear("view", 6, WIDTH), g.ints(1)))
    h = g.norm(x)
    split = g.ints(0, JOINTS, HEADS, DEPTH)
    q, k, v = (g.op("Reshape", g.linear(h, WIDTH, WIDTH), split) for _ in range(3))
    g.op("Identity", k, output="new_key_0")
    g.op("Identity", v, output="new_value_0")
    q = g.op("Unsqueeze", q, g.ints(3))  # (P, 17, H, 1, D)
    old = g.op("MatMul", q, "key_0")  # (P, 17, H, 1, W)
    empty = g.op("Less", "age", g.const(0.0))
    decay = g.op("Mul", "age", g.const(-0.1))
    bias = g.op("Where", empty, g.const(-1e9), decay)
    bias = g.op("Unsqueeze", bias, g.ints(1, 2, 3))
    scale = g.const(DEPTH**-0.5)
    old = g.op("Add", g.op("Mul", old, scale), bias)
    now = g.op("MatMul", q, g.op("Unsqueeze", k, g.ints(4)))
    now = g.op("Mul", now, scale)
    weights = g.op("Softmax", g.op("Concat", old, now, axis=-1), axis=-1)
    past = g.op("Slice", weights, g.ints(0), g.ints(-1), g.ints(4))
    last = g.op("Slice", weights, g.ints(-1), g.ints(2**31 - 1), g.ints(4))
    mixed = g.op(
        "Add",
        g.op("MatMul", past, "value_0"),
        g.op("MatMul", last, g.op("Unsqueeze", v, g.ints(3))),
    )
    mixed = g.op("Reshape", mixed, g.ints(0, JOINTS, WIDTH))
    return g.op("Add", x, g.linear(mixed, WIDTH, WIDTH))


def _denoise(g: _Graph, y: str, context: str) -> str:
    """One network call of the sampler: the clean pose (P, N, 17, 3)."""
    x = g.op("Add", g.linear(y, 3, WIDTH), g.op("Unsqueeze", context, g.ints(1)))
    h = g.linear(g.op("MatMul", g.weight(JOINTS, JOINTS), g.norm(x)), WIDTH, 2 * WIDTH)
    h = g.op("Mul", h, g.op("Sigmoid", h))
    x = g.op("Add", x, g.linear(h, 2 * WIDTH, WIDTH))
    return g.op("Mul", g.linear(g.norm(x), WIDTH, 3), g.const(0.3))


def make_graph(seed: int = 0, steps: int = STEPS, ring: int = RING) -> onnx.ModelProto:
    """The whole step as one graph; `steps` DDIM steps are unrolled."""
    g = _Graph(seed)
    context = _context(g)
    previous = g.op("Unsqueeze", g.linear("previous_pose", 3, WIDTH), g.ints(1))
    known = g.op("Cast", g.op("GreaterOrEqual", "previous_age", g.const(0.0)), to=TensorProto.FLOAT)
    known = g.op("Unsqueeze", known, g.ints(1, 2))
    context = g.op("Add", context, g.op("Mul", g.op("Squeeze", previous, g.ints(1)), known))
    y = "noise"
    for step in range(steps):
        clean = _denoise(g, y, context)
        alpha = (step + 1) / steps
        y = g.op("Add", g.op("Mul", clean, g.const(alpha)), g.op("Mul", y, g.const(0.1 * (1 - alpha))))
    length = g.op("ReduceMean", g.op("Abs", "bone_mean"), g.ints(1), keepdims=1)
    pull = g.op("ReduceSum", "guidance", g.ints(0), keepdims=1)
    factor = g.op("Add", g.const(1.0), g.op("Mul", g.op("Mul", length, pull), g.const(1e-3)))
    y = g.op("Mul", y, g.op("Unsqueeze", factor, g.ints(1, 2)), output="hypotheses")
    mean = g.op("ReduceMean", y, g.ints(1), keepdims=0, output="mean")
    apart = g.op("Sub", y, g.op("Unsqueeze", mean, g.ints(1)))
    outer = g.op("Mul", g.op("Unsqueeze", apart, g.ints(4)), g.op("Unsqueeze", apart, g.ints(3)))
    g.op("ReduceMean", outer, g.ints(1), keepdims=0, output="covariance")
    inputs = {
        "points": ("P", POINTS, 3), "view": ("P", 6), "noise": ("P", "N", JOINTS, 3),
        "age": ("P", "W"), "previous_pose": ("P", JOINTS, 3), "previous_age": ("P",),
        "bone_mean": ("P", 16), "guidance": (4,),
        "key_0": ("P", JOINTS, HEADS, DEPTH, "W"), "value_0": ("P", JOINTS, HEADS, "W", DEPTH),
    }  # fmt: skip
    outputs = {
        "mean": ("P", JOINTS, 3), "covariance": ("P", JOINTS, 3, 3),
        "hypotheses": ("P", "N", JOINTS, 3),
        "new_key_0": ("P", JOINTS, HEADS, DEPTH), "new_value_0": ("P", JOINTS, HEADS, DEPTH),
    }  # fmt: skip

    def values(table: dict) -> list:
        return [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in table.items()]

    graph = helper.make_graph(g.nodes, "tiny", values(inputs), values(outputs), g.initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {METADATA_KEY: json.dumps(metadata(steps, ring))})
    onnx.checker.check_model(model, full_check=True)
    return model


def metadata(steps: int = STEPS, ring: int = RING) -> dict:
    """What the contract puts beside the graph."""
    shape = [JOINTS, HEADS, DEPTH, -1]
    return {
        "format": 1, "kind": "diffpose", "name": "tiny", "joint_set": "h36m17", "points": POINTS,
        "steps": steps, "hypotheses": HYPOTHESES, "guidance": [1.0, 1.0, 0.01, 0.01],
        "rings": {"context": {"length": ring, "max_length": 27, "age": "age"}},
        "state": [
            {"input": "key_0", "output": "new_key_0", "shape": shape, "slot_axis": 3,
             "ring": "context"},
            {"input": "value_0", "output": "new_value_0", "shape": [JOINTS, HEADS, -1, DEPTH],
             "slot_axis": 2, "ring": "context"},
        ],
        "score_floor": 0.1,
    }  # fmt: skip


def save_graph(path: Path, **options) -> Path:
    """`make_graph` written to `path`."""
    onnx.save(make_graph(**options), path)
    return path


def make_feeds(people: int, seed: int = 1, ring: int = RING) -> dict[str, np.ndarray]:
    """Plausible inputs for `people` persons; one ring slot in three is empty."""
    rng = np.random.default_rng(seed)
    age = np.where(np.arange(ring) % 3 == 2, -1.0, rng.uniform(0, 0.5, (people, ring)))
    shapes = {
        "points": (people, POINTS, 3), "view": (people, 6),
        "noise": (people, HYPOTHESES, JOINTS, 3), "previous_pose": (people, JOINTS, 3),
        "bone_mean": (people, 16), "guidance": (4,),
        "key_0": (people, JOINTS, HEADS, DEPTH, ring),
        "value_0": (people, JOINTS, HEADS, ring, DEPTH),
    }  # fmt: skip
    feeds = {name: rng.normal(0, 0.5, shape) for name, shape in shapes.items()}
    feeds |= {"age": age, "previous_age": np.full(people, 0.033)}
    return {name: np.ascontiguousarray(value, np.float32) for name, value in feeds.items()}
