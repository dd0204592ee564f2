"""The checked description of a lifter model file (the graph's contract: docs/architecture.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from diffpose_ros.core import JOINT_SETS, ModelError
from diffpose_ros.onnxgraph.outline import OnnxFile, read_onnx_file

FORMAT = 1
"""Version of the graph's contract that this package runs."""

METADATA_KEY = "diffpose_ros"
POINTS = 21
REQUIRED_INPUTS = ("points", "view", "noise")
REQUIRED_OUTPUTS = ("mean", "covariance", "hypotheses")
_JOINTS = 17
_FIXED: dict[str, tuple[int, ...]] = {
    "points": (POINTS, 3),
    "view": (6,),
    "previous_pose": (_JOINTS, 3),
    "previous_points": (POINTS, 3),
    "previous_age": (),
    "bone_mean": (16,),
}


@dataclass(frozen=True)
class RingSpec:
    """One ring of slots that a model's caches live in.

    Attributes:
        name: e.g. ``context``.
        length: slots the model was made for.
        max_length: most slots it may be run with.
        age: name of the (P, W) input that holds the slots' ages, s; -1 means empty.
    """

    name: str
    length: int
    max_length: int
    age: str


@dataclass(frozen=True)
class StateSpec:
    """One cache: read as ``input``, its newest entry comes out as ``output``.

    Attributes:
        input: graph input, (P, *shape).
        output: graph output, (P, *shape) with one slot, or without the slot axis.
        shape: without P; -1 on the slot axis.
        slot_axis: index into ``shape``.
        ring: name of the ring whose slots it follows.
    """

    input: str
    output: str
    shape: tuple[int, ...]
    slot_axis: int
    ring: str

    def with_slots(self, slots: int) -> tuple[int, ...]:
        """Shape (without P) of the cache with ``slots`` slots."""
        return tuple(slots if s == -1 else s for s in self.shape)

    @property
    def entry(self) -> tuple[int, ...]:
        """Shape (without P) of one entry."""
        return self.shape[: self.slot_axis] + self.shape[self.slot_axis + 1 :]


@dataclass(frozen=True)
class ModelSpec:
    """A lifter model file, validated.

    Attributes:
        path: the ONNX file.
        kind: architecture, e.g. ``starpose``.
        name: the model's own name.
        joint_set: name of the 3D joint set.
        steps: DDIM steps in the graph.
        hypotheses: N it was trained and calibrated for.
        guidance: default weights of the four STPG energies.
        rings: ring name -> :class:`RingSpec`.
        state: the caches.
        score_floor: keypoints scored below this were masked in training.
        inputs: graph input names, in the file's order.
        outputs: graph output names, in the file's order.
        bone_window: frames that ``bone_mean`` averages.
    """

    path: Path
    kind: str
    name: str
    joint_set: str
    steps: int
    hypotheses: int
    guidance: tuple[float, float, float, float]
    rings: Mapping[str, RingSpec]
    state: tuple[StateSpec, ...]
    score_floor: float
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    bone_window: int = 27

    @cached_property
    def age_inputs(self) -> dict[str, str]:
        """Age input -> ring name, for the inputs that the file has."""
        return {r.age: r.name for r in self.rings.values() if r.age in self.inputs}

    def input_shape(
        self, name: str, people: int, hypotheses: int, windows: Mapping[str, int] | None = None
    ) -> tuple[int, ...]:
        """Full shape of an input; ``windows`` gives ring lengths that differ from the default.

        Raises:
            KeyError: the model has no such input.
        """
        windows = windows or {}
        if name == "guidance":
            return (4,)
        if name == "noise":
            return (people, hypotheses, _JOINTS, 3)
        if name in _FIXED:
            return (people, *_FIXED[name])
        ages = self.age_inputs
        if name in ages:
            ring = self.rings[ages[name]]
            return (people, windows.get(ring.name, ring.length))
        for s in self.state:
            if s.input == name:
                ring = self.rings[s.ring]
                return (people, *s.with_slots(windows.get(ring.name, ring.length)))
        raise KeyError(name)


def read_spec(path: str | Path) -> ModelSpec:
    """Read and check a model file without starting any backend.

    Raises:
        ModelError: the file is missing, not ONNX, truncated, not a lifter of this package, of
            another format version, for another joint set, or its inputs are not the contract's.
    """
    path = Path(path)
    file = read_onnx_file(path)
    text = file.metadata.get(METADATA_KEY)
    if text is None:
        raise ModelError(
            f"{path}: an ONNX file, but not a lifter model: it has no '{METADATA_KEY}' metadata; "
            "export it with `diffpose_ros export`"
        )
    try:
        meta = json.loads(text)
    except json.JSONDecodeError as e:
        raise ModelError(f"{path}: its '{METADATA_KEY}' metadata is not JSON: {e}") from e
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        found = meta.get("format") if isinstance(meta, dict) else None
        raise ModelError(
            f"{path}: expected model format {FORMAT}, got {found}; export the model again with "
            "this version of the package"
        )
    try:
        spec = _parse(path, meta, file)
    except (KeyError, TypeError, ValueError) as e:
        raise ModelError(f"{path}: incomplete or wrong metadata: {e!r}") from e
    _check(spec, meta, file)
    return spec


def _parse(path: Path, meta: dict[str, Any], file: OnnxFile) -> ModelSpec:
    rings = {
        name: RingSpec(name, int(r["length"]), int(r.get("max_length", r["length"])), str(r["age"]))
        for name, r in meta.get("rings", {}).items()
    }
    state = tuple(
        StateSpec(s["input"], s["output"], tuple(s["shape"]), int(s["slot_axis"]), s["ring"])
        for s in meta.get("state", [])
    )
    g = [float(x) for x in meta.get("guidance", (0, 0, 0, 0))]
    if len(g) != 4:
        raise ValueError(f"guidance: expected 4 weights, got {len(g)}")
    return ModelSpec(
        path=path,
        kind=str(meta["kind"]),
        name=str(meta["name"]),
        joint_set=str(meta["joint_set"]),
        steps=int(meta["steps"]),
        hypotheses=int(meta["hypotheses"]),
        guidance=(g[0], g[1], g[2], g[3]),
        rings=rings,
        state=state,
        score_floor=float(meta.get("score_floor", 0.0)),
        inputs=tuple(file.inputs),
        outputs=tuple(file.outputs),
        bone_window=int(meta.get("bone_window", 27)),
    )


def _check(spec: ModelSpec, meta: dict[str, Any], file: OnnxFile) -> None:
    if spec.joint_set not in JOINT_SETS or len(JOINT_SETS[spec.joint_set].joints) != _JOINTS:
        raise ModelError(f"{spec.path}: expected joint set h36m17, got '{spec.joint_set}'")
    if spec.joint_set != "h36m17":
        raise ModelError(f"{spec.path}: expected a model of joint set h36m17, got '{spec.joint_set}'")
    if meta.get("points", POINTS) != POINTS:
        raise ModelError(f"{spec.path}: expected {POINTS} input points, got {meta['points']}")
    for s in spec.state:
        if s.ring not in spec.rings:
            raise ModelError(f"{spec.path}: cache '{s.input}' names an unknown ring '{s.ring}'")
        if not 0 <= s.slot_axis < len(s.shape) or [i for i, n in enumerate(s.shape) if n == -1] != [
            s.slot_axis
        ]:
            raise ModelError(
                f"{spec.path}: cache '{s.input}' has shape {list(s.shape)}, expected -1 on its "
                f"slot axis {s.slot_axis} and nowhere else"
            )
    for ring in spec.rings.values():
        if not 1 <= ring.length <= ring.max_length:
            raise ModelError(
                f"{spec.path}: ring '{ring.name}' has length {ring.length} of at most "
                f"{ring.max_length}, expected 1 or more and no more than the maximum"
            )
    wanted = {*_FIXED, "noise", "guidance", *(r.age for r in spec.rings.values())}
    wanted |= {s.input for s in spec.state}
    needed = (*REQUIRED_INPUTS, *(s.input for s in spec.state))
    missing = [n for n in needed if n not in file.inputs]
    extra = [n for n in file.inputs if n not in wanted]
    if missing or extra:
        raise ModelError(
            f"{spec.path}: inputs are not a lifter's: missing {missing or 'none'}, unknown {extra or 'none'}"
        )
    absent = [n for n in (*REQUIRED_OUTPUTS, *(s.output for s in spec.state)) if n not in file.outputs]
    if absent:
        raise ModelError(f"{spec.path}: outputs are not a lifter's: missing {absent}")
    for name, shape in file.inputs.items():
        want = spec.input_shape(name, -1, -1, dict.fromkeys(spec.rings, -1))
        if len(shape) != len(want) or any(
            h is not None and w != -1 and h != w for h, w in zip(shape, want, strict=True)
        ):
            raise ModelError(
                f"{spec.path}: input '{name}' has shape {_text(shape)}, "
                f"expected {_text(tuple(None if w == -1 else w for w in want))}"
            )


def _text(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("any" if s is None else str(s) for s in shape) + ")"
