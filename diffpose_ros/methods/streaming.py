"""Graphs that take one frame at a time: what their model file says of the ring caches they read.

A *ring* is a number of slots with one stamp each; a *cache* is an input whose slots follow a ring, and
the newest entry of which comes out as an output (docs/model_files.md). Letters: P people.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import ModelError
from diffpose_ros.geometry.normalise import VIEW_SIZE, VIEW_WITHOUT_GRAVITY
from diffpose_ros.history import Field
from diffpose_ros.methods.model_file import ModelFile, number, whole_number
from diffpose_ros.runtime.graph_spec import PEOPLE, GraphInput, GraphSpec, Shape

JOINT_SET = "h36m17"
POINTS = 21
JOINTS = 17
MAX_SLOTS = 4096
MAX_CACHE = 1 << 24
"""Slots of a ring and values of a cache, per person: what a file says beyond that would take gigabytes."""


@dataclass(frozen=True)
class Ring:
    """One ring of slots that a model's caches live in.

    Attributes:
        name: e.g. ``context``; the name of the graph's size, too.
        length: slots the model was made for.
        max_length: most slots it may be run with.
        age: name of the (P, W) input that holds the slots' ages, s; -1 means empty.
    """

    name: str
    length: int
    max_length: int
    age: str


@dataclass(frozen=True)
class Cache:
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

    def field(self, slots: int) -> Field:
        """What a session remembers for it."""
        return Field(self.with_slots(slots), np.float32, self.ring, self.slot_axis)


@dataclass(frozen=True)
class StreamingSpec:
    """A streaming model file, validated.

    Attributes:
        kind: method, a key of :data:`diffpose_ros.methods.registry.METHODS`.
        rings: ring name -> ring.
        state: the caches.
        score_floor: keypoints scored below this were masked in training.
        graph: the graph, as backends see it.
        steps: denoising steps in the graph; 1 where nothing is denoised.
        hypotheses: poses per person that it was trained and calibrated for.
    """

    kind: str
    rings: Mapping[str, Ring]
    state: tuple[Cache, ...]
    score_floor: float
    graph: GraphSpec
    steps: int = 1
    hypotheses: int = 1

    @property
    def name(self) -> str:
        """The model's own name."""
        return self.graph.name

    @property
    def path(self) -> Path:
        """The ONNX file."""
        return self.graph.path

    @property
    def age_inputs(self) -> dict[str, str]:
        """Age input -> ring name, for the inputs that the file has."""
        return {r.age: r.name for r in self.rings.values() if r.age in self.graph.inputs}

    def windows(self, context: int | None = None) -> dict[str, int]:
        """Ring -> slots, with another length of the ring ``context`` where the model has one.

        Raises:
            ModelError: that is more than the model allows.
        """
        lengths = {name: ring.length for name, ring in self.rings.items()}
        if context is not None and "context" in self.rings:
            most = self.rings["context"].max_length
            if context > most:
                raise ModelError(f"{self.path}: window: expected at most {most} frames, got {context}")
            lengths["context"] = context
        return lengths


def ages(rng: np.random.Generator, shape: Shape) -> NDArray:
    """Ages (P, W) of a full ring at 30 Hz, for examples."""
    return np.broadcast_to(np.arange(shape[1], 0, -1) / 30.0, shape)


def scored(rng: np.random.Generator, shape: Shape) -> NDArray:
    """Points (P, 21, 3) with a score of 0.9, for examples."""
    value = 0.1 * rng.standard_normal(shape)
    value[..., 2] = 0.9
    return value


def constant(value: float) -> partial[NDArray]:
    """The same number everywhere, for examples."""
    return partial(_filled, value)


def _filled(value: float, rng: np.random.Generator, shape: Shape) -> NDArray:
    return np.full(shape, value)


INPUTS = {
    "points": GraphInput((PEOPLE, POINTS, 3), example=scored),
    "view": GraphInput((PEOPLE, VIEW_WITHOUT_GRAVITY)),
}
"""What every streaming graph reads: the keypoints in the person's virtual camera, and where that looks. A
graph that knows gravity has a longer ``view``."""


def parse_streaming(
    file: ModelFile,
    inputs: Mapping[str, GraphInput],
    *,
    required: tuple[str, ...],
    outputs: tuple[str, ...],
    sizes: Mapping[str, int],
    may_shrink: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """Read and check what :class:`StreamingSpec` holds.

    Args:
        file: the model file.
        inputs: every input that such a graph may have, but for ages and caches.
        required: those that it must have.
        outputs: outputs that it must have, but for the caches'.
        sizes: the graph's free sizes, but for the rings'.
        may_shrink: see :class:`GraphSpec`.

    Returns:
        The fields of :class:`StreamingSpec`.

    Raises:
        ModelError: something is missing, contradicts itself, or is not what the graph says.
    """
    said, path = file.metadata, file.path
    if said["joint_set"] != JOINT_SET:
        raise ModelError(f"{path}: joint_set: expected {JOINT_SET}, got '{said['joint_set']}'")
    if said.get("points", POINTS) != POINTS:
        raise ModelError(f"{path}: points: expected {POINTS} input points, got {said['points']}")
    rings = {str(name): _ring(name, r) for name, r in said.get("rings", {}).items()}
    state = tuple(
        Cache(s["input"], s["output"], tuple(s["shape"]), whole_number(s, "slot_axis", 0, 8), s["ring"])
        for s in said.get("state", [])
    )
    _check_rings(path, rings, state, {PEOPLE, *sizes})
    known = {**inputs, **_ring_inputs(rings, state)}
    if file.outline.inputs.get("view", ())[1:] == (VIEW_SIZE,):
        known["view"] = GraphInput((PEOPLE, VIEW_SIZE), example=known["view"].example)
    _check_names(file, known, (*required, *(s.input for s in state)),
                 (*outputs, *(s.output for s in state)))  # fmt: skip
    graph = GraphSpec(
        path=path,
        name=str(said["name"]),
        inputs={name: known[name] for name in file.outline.inputs},
        outputs=tuple(file.outline.outputs),
        sizes={**sizes, **{r.name: r.length for r in rings.values()}},
        may_shrink=may_shrink,
    )
    _check_shapes(file, graph)
    floor = number(said, "score_floor", 0.0, 1.0, 0.0)
    return {"kind": file.kind, "rings": rings, "state": state, "score_floor": floor, "graph": graph}


def _ring(name: str, said: Mapping[str, Any]) -> Ring:
    length = whole_number(said, "length", 1, MAX_SLOTS)
    return Ring(name, length, whole_number(said, "max_length", 1, MAX_SLOTS, length), str(said["age"]))


def _ring_inputs(rings: Mapping[str, Ring], state: tuple[Cache, ...]) -> dict[str, GraphInput]:
    out = {r.age: GraphInput((PEOPLE, r.name), example=ages) for r in rings.values()}
    for s in state:
        shape = (s.ring if axis == s.slot_axis else n for axis, n in enumerate(s.shape))
        out[s.input] = GraphInput((PEOPLE, *shape), cache=True)
    return out


def _check_rings(
    path: Path, rings: Mapping[str, Ring], state: tuple[Cache, ...], taken: Collection[str]
) -> None:
    """What rings and caches say of each other; ``taken`` are names that no ring may have."""
    for s in state:
        if s.ring not in rings:
            raise ModelError(f"{path}: cache '{s.input}' names an unknown ring '{s.ring}'")
        free = [i for i, n in enumerate(s.shape) if n == -1]
        if not 0 <= s.slot_axis < len(s.shape) or free != [s.slot_axis]:
            raise ModelError(
                f"{path}: cache '{s.input}' has shape {list(s.shape)}, expected -1 on its "
                f"slot axis {s.slot_axis} and nowhere else"
            )
        slots = rings[s.ring].max_length
        sizes = [slots if n == -1 else n for n in s.shape]
        if any(type(n) is not int or n < 1 for n in sizes) or math.prod(sizes) > MAX_CACHE:
            raise ModelError(
                f"{path}: cache '{s.input}' has shape {list(s.shape)} and {slots} slots, expected whole "
                f"numbers and at most {MAX_CACHE} values a person"
            )
    for ring in rings.values():
        if not 1 <= ring.length <= ring.max_length:
            raise ModelError(
                f"{path}: ring '{ring.name}' has length {ring.length} of at most "
                f"{ring.max_length}, expected 1 or more and no more than the maximum"
            )
        if ring.name in taken:
            raise ModelError(f"{path}: rings: '{ring.name}' is the name of something else")
        if not any(s.ring == ring.name for s in state):
            raise ModelError(f"{path}: ring '{ring.name}' has no cache")


def _check_names(
    file: ModelFile,
    known: Mapping[str, GraphInput],
    required: tuple[str, ...],
    outputs: tuple[str, ...],
) -> None:
    missing = [n for n in required if n not in file.outline.inputs]
    extra = [n for n in file.outline.inputs if n not in known]
    if missing or extra:
        raise ModelError(
            f"{file.path}: inputs are not a lifter's: missing {missing or 'none'}, unknown {extra or 'none'}"
        )
    absent = [n for n in outputs if n not in file.outline.outputs]
    if absent:
        raise ModelError(f"{file.path}: outputs are not a lifter's: missing {absent}")


def _check_shapes(file: ModelFile, graph: GraphSpec) -> None:
    for name, has in file.outline.inputs.items():
        want = tuple(n if isinstance(n, int) else None for n in graph.inputs[name].shape)
        if len(has) != len(want) or any(
            h is not None and w is not None and h != w for h, w in zip(has, want, strict=True)
        ):
            raise ModelError(f"{file.path}: input '{name}' has shape {_text(has)}, expected {_text(want)}")


def _text(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("any" if s is None else str(s) for s in shape) + ")"
