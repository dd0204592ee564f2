"""A tiny lifter graph whose answers can be worked out by hand, for tests of everything around it.

- ``mean`` = a standing body + 0.02 x (keypoints, 0) + 0.01 x decayed sum of the context ring
  + 0.001 x previous age of those who have one (m, on z); NaN for a person whose nose is scored
  above 0.995.
- ``hypotheses`` = mean + 0.02 x noise; ``covariance`` = :data:`COVARIANCE`, which a turn
  changes.
- the context ring keeps ``points`` in two layouts (``key_0`` slots last, ``value_0`` slots first);
  the history ring keeps ``previous_pose``.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from diffpose_ros.methods.model_file import METADATA_KEY

CONTEXT, HISTORY = 6, 4

BODY = np.array(
    [
        [0, 0, 0], [-0.13, 0, 0], [-0.13, 0.44, 0], [-0.13, 0.88, 0],
        [0.13, 0, 0], [0.13, 0.44, 0], [0.13, 0.88, 0],
        [0, -0.24, 0], [0, -0.49, 0], [0, -0.58, -0.08], [0, -0.72, 0],
        [0.16, -0.46, 0], [0.2, -0.2, 0.05], [0.22, 0.05, -0.1],
        [-0.16, -0.46, 0], [-0.2, -0.2, 0.05], [-0.22, 0.05, -0.1],
    ]
)  # fmt: skip
"""(17, 3) m: a standing person in the camera's axes, hip at the origin."""

COVARIANCE = 1e-4 * np.array([[9.0, 3.0, -2.0], [3.0, 4.0, 1.0], [-2.0, 1.0, 16.0]])
"""(3, 3) m^2 of every joint, in the virtual camera."""


def metadata(steps: int = 5, **changes: object) -> dict:
    """The metadata of the graph, with some entries changed."""
    made = {
        "format": 1, "kind": "starpose", "name": "synthetic", "joint_set": "h36m17",
        "points": 21, "steps": steps, "hypotheses": 5, "guidance": [1.0, 1.0, 0.01, 0.01],
        "rings": {
            "context": {"length": CONTEXT, "max_length": 12, "age": "age"},
            "history": {"length": HISTORY, "max_length": HISTORY, "age": "history_age"},
        },
        "state": [
            {"input": "key_0", "output": "new_key_0", "shape": [21, 3, -1], "slot_axis": 2,
             "ring": "context"},
            {"input": "value_0", "output": "new_value_0", "shape": [-1, 21, 3], "slot_axis": 0,
             "ring": "context"},
            {"input": "past_0", "output": "new_past_0", "shape": [17, -1, 3], "slot_axis": 1,
             "ring": "history"},
        ],
        "score_floor": 0.1, "bone_window": 3,
    }  # fmt: skip
    made.update(changes)
    return made


def write(path: Path, *, steps: int = 5, meta: dict | None = None, extra_input: str = "") -> Path:
    """Write the graph; ``meta`` replaces its metadata, ``extra_input`` adds an input."""
    constants = {
        "body": BODY.astype(np.float32)[None],
        "small": np.float32(0.02), "tiny": np.float32(0.01), "milli": np.float32(0.001),
        "zero": np.float32(0), "nan": np.float32(np.nan), "limit": np.float32(0.995),
        "xy": np.array([1, 1, 0], np.float32), "z": np.array([0, 0, 1], np.float32),
        "c0": np.array([0], np.int64), "c17": np.array([17], np.int64),
        "a1": np.array([1], np.int64), "a12": np.array([1, 2], np.int64),
        "a23": np.array([2, 3], np.int64), "nose": np.array([9], np.int64),
        "nose_end": np.array([10], np.int64), "two": np.array([2], np.int64),
        "three": np.array([3], np.int64),
        "covariances": COVARIANCE.astype(np.float32)[None, None],
        "ones": np.ones((1, 1, 3, 1), np.float32),
    }  # fmt: skip
    op = helper.make_node
    nodes = [
        op("Slice", ["points", "c0", "c17", "a1"], ["joints"]),
        op("Mul", ["joints", "xy"], ["joints_xy"]),
        op("Mul", ["joints_xy", "small"], ["from_points"]),
        op("Slice", ["value_0", "c0", "c17", "two"], ["kept"]),  # (P, W, 17, 3)
        op("GreaterOrEqual", ["age", "zero"], ["filled"]),
        op("Neg", ["age"], ["minus_age"]),
        op("Exp", ["minus_age"], ["decay"]),
        op("Where", ["filled", "decay", "zero"], ["weight"]),
        op("Unsqueeze", ["weight", "a23"], ["weights"]),
        op("Mul", ["kept", "weights"], ["weighted"]),
        op("ReduceSum", ["weighted", "a1"], ["context"], keepdims=0),
        op("Mul", ["context", "tiny"], ["from_context"]),
        op("Max", ["previous_age", "zero"], ["known_age"]),
        op("Mul", ["known_age", "milli"], ["shift"]),
        op("Unsqueeze", ["shift", "a12"], ["shifts"]),
        op("Mul", ["shifts", "z"], ["from_age"]),
        op("Slice", ["points", "nose", "nose_end", "a1"], ["nose_point"]),
        op("Slice", ["nose_point", "two", "three", "two"], ["nose_score"]),  # (P, 1, 1)
        op("Greater", ["nose_score", "limit"], ["poisoned"]),
        op("Where", ["poisoned", "nan", "zero"], ["poison"]),
        op("Sum", ["body", "from_points", "from_context", "from_age", "poison"], ["mean"]),
        op("Unsqueeze", ["mean", "a1"], ["mean_n"]),
        op("Mul", ["noise", "small"], ["spread"]),
        op("Add", ["mean_n", "spread"], ["hypotheses"]),
        op("Mul", ["mean", "zero"], ["nothing"]),
        op("Unsqueeze", ["nothing", "a3"], ["nothing_3"]),
        op("Add", ["nothing_3", "covariances"], ["covariance"]),
        op("Identity", ["points"], ["new_key_0"]),
        op("Identity", ["points"], ["new_value_0"]),
        op("Identity", ["previous_pose"], ["new_past_0"]),
    ]
    constants["a3"] = np.array([3], np.int64)
    inputs = {
        "points": ["P", 21, 3], "view": ["P", 6], "noise": ["P", "N", 17, 3], "age": ["P", "W"],
        "previous_pose": ["P", 17, 3], "previous_points": ["P", 21, 3], "previous_age": ["P"],
        "history_age": ["P", "L"], "bone_mean": ["P", 16], "guidance": [4],
        "key_0": ["P", 21, 3, "W"], "value_0": ["P", "W", 21, 3], "past_0": ["P", 17, "L", 3],
    }  # fmt: skip
    if extra_input:
        inputs[extra_input] = ["P", 2]
    outputs = {
        "mean": ["P", 17, 3], "covariance": ["P", 17, 3, 3], "hypotheses": ["P", "N", 17, 3],
        "new_key_0": ["P", 21, 3], "new_value_0": ["P", 21, 3], "new_past_0": ["P", 17, 3],
    }  # fmt: skip

    def infos(shapes: dict[str, list]) -> list:
        return [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items()]

    graph = helper.make_graph(
        nodes, "synthetic", infos(inputs), infos(outputs),
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    text = json.dumps(metadata(steps) if meta is None else meta)
    helper.set_model_props(model, {METADATA_KEY: text})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return path


def write_family(folder: Path) -> Path:
    """``model.onnx`` with 5 steps and its variants with 2 and 1; returns the first one."""
    for steps in (2, 1):
        write(folder / f"model_{steps}.onnx", steps=steps)
    return write(folder / "model.onnx")
