"""The contract of a ZeDO model's file: its graph's inputs, and what its metadata says."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import ConfigError, ModelError
from diffpose_ros.diffusion.sde import SubVP
from diffpose_ros.methods.model_file import ModelFile, number, whole_number
from diffpose_ros.runtime.graph_spec import PEOPLE, GraphInput, GraphSpec, Shape

KIND = "zedo"
JOINT_SET, JOINTS, POINTS = "h36m17", 17, 21
HYPOTHESES, ITERATIONS = "hypotheses", "iterations"
COORDINATES = 3 * JOINTS
MOST = 1000
"""Hypotheses, iterations and runs that a file may ask for; what follows takes memory and time."""
MOST_ANCHORS = 10_000


@dataclass(frozen=True)
class LoopConfig:
    """How poses are optimised; lengths in metres at the person.

    Raises:
        ConfigError: a value is outside its range.

    Attributes:
        hypotheses: N.
        unrolled: iterations in the graph; a frame runs it as often as its level says.
        runs: of the graph per frame, at best.
        cold: noise level of a person's first iteration in the first frame: how far off an anchor is.
        warm: the same in later frames, which begin where the last one ended.
        last: noise level of the last iteration.
        trust: how far off a denoised pose is, over the noise level it was given.
        sharp: standard deviation of a keypoint with the best score.
        vague: what is added to it at score 0, growing with the square of what the score lacks.
        motion: standard deviation of a joint's way from frame to frame, for frames 1/30 s apart.
        fresh: hypotheses of each later frame that begin at an anchor, so that a wrong pose is left.
        memory: how much of a hypothesis' record counts in the next frame, 0 to 1.
        temper: misfit, as half a sum of squares, that makes a hypothesis e times less likely.
    """

    hypotheses: int = 8
    unrolled: int = 4
    runs: int = 2
    cold: float = 0.12
    warm: float = 0.03
    last: float = 0.01
    trust: float = 0.4
    sharp: float = 0.02
    vague: float = 0.15
    motion: float = 0.05
    fresh: int = 1
    memory: float = 0.8
    temper: float = 6.0

    def __post_init__(self) -> None:
        try:
            self._check()
        except ValueError as error:
            raise ConfigError(str(error)) from None

    def _check(self) -> None:
        said = vars(self)
        for name in ("hypotheses", "unrolled", "runs", "fresh"):
            whole_number(said, name, 0 if name == "fresh" else 1, MOST)
        for name in ("cold", "warm", "last", "trust", "sharp", "motion", "temper"):
            number(said, name, 1e-4, 100.0, 0.0)
        number(said, "vague", 0.0, 100.0, 0.0)
        number(said, "memory", 0.0, 1.0, 0.0)
        if not 0 <= self.fresh < self.hypotheses:
            raise ValueError(
                f"fresh: expected fewer than the {self.hypotheses} hypotheses, got {self.fresh}"
            )


@dataclass(frozen=True)
class ZedoSpec:
    """A ZeDO model's file, validated.

    Attributes:
        kind: ``zedo``.
        graph: K iterations, as backends see them.
        loop: how it optimises.
        sde: the prior's forward process.
        anchors: (A, 17, 3) m, poses to begin from.
        size: sum of the 16 bones that the loop holds, m.
        scale: (17, 3) factor on the hypotheses' spread.
        floor: (17, 3) m, standard deviation of hypotheses that agree.
        score_floor: keypoints scored lower count for nothing.
    """

    kind: str
    graph: GraphSpec
    loop: LoopConfig
    sde: SubVP
    anchors: NDArray[np.float64]
    size: float
    scale: NDArray[np.float64]
    floor: NDArray[np.float64]
    score_floor: float

    @property
    def name(self) -> str:
        """The model's own name."""
        return self.graph.name

    @property
    def path(self) -> Path:
        """The ONNX file."""
        return self.graph.path

    @property
    def steps(self) -> int:
        """Iterations per frame, at best."""
        return self.loop.unrolled * self.loop.runs

    @property
    def hypotheses(self) -> int:
        """Hypotheses per person that it was calibrated for."""
        return self.loop.hypotheses


def _standing(rng: np.random.Generator, shape: Shape) -> NDArray:
    """Poses of about a body's size (P, N, 51), for examples."""
    return 0.3 * rng.standard_normal(shape)


def _levels(rng: np.random.Generator, shape: Shape) -> NDArray:
    return rng.uniform(0.02, 0.1, shape)


def _onto_itself(rng: np.random.Generator, shape: Shape) -> NDArray:
    """Projections (P, K, 51, 51) that leave poses nearly where they are, for examples."""
    return np.eye(shape[-1]) + 0.01 * rng.standard_normal(shape)


def _bones(rng: np.random.Generator, shape: Shape) -> NDArray:
    return np.full(shape, 4.0)


def _all(rng: np.random.Generator, shape: Shape) -> NDArray:
    return np.ones(shape)


INPUTS = {
    "pose": GraphInput((PEOPLE, HYPOTHESES, COORDINATES), example=_standing),
    "size": GraphInput((PEOPLE,), example=_bones),
    "noise_level": GraphInput((PEOPLE, ITERATIONS), example=_levels),
    "denoise": GraphInput((PEOPLE, ITERATIONS), example=_all),
    "carry": GraphInput((PEOPLE, ITERATIONS)),
    "projection": GraphInput((PEOPLE, ITERATIONS, COORDINATES, COORDINATES), example=_onto_itself),
    "offset": GraphInput((PEOPLE, ITERATIONS, HYPOTHESES, COORDINATES)),
}
OUTPUTS = ("new_pose", "denoised")


def parse(file: ModelFile) -> ZedoSpec:
    """Read and check the file; see :func:`diffpose_ros.methods.registry.read_spec`."""
    said, path = file.metadata, file.path
    if said["joint_set"] != JOINT_SET or said["points"] != POINTS:
        raise ModelError(
            f"{path}: expected joint set {JOINT_SET} and {POINTS} points, "
            f"got '{said['joint_set']}' and {said['points']}"
        )
    if set(file.outline.inputs) != set(INPUTS) or not set(OUTPUTS) <= set(file.outline.outputs):
        raise ModelError(
            f"{path}: expected inputs {', '.join(INPUTS)} and outputs {', '.join(OUTPUTS)}, "
            f"got {', '.join(file.outline.inputs)} and {', '.join(file.outline.outputs)}"
        )
    try:
        loop = LoopConfig(**said["loop"])
    except ConfigError as error:
        raise ValueError(f"loop: {error}") from None
    graph = GraphSpec(
        path=path, name=str(said["name"]), inputs={n: INPUTS[n] for n in file.outline.inputs},
        outputs=tuple(file.outline.outputs), sizes={HYPOTHESES: loop.hypotheses, ITERATIONS: loop.unrolled},
        may_shrink=frozenset({HYPOTHESES}),
    )  # fmt: skip
    for name, has in file.outline.inputs.items():
        want = tuple(loop.unrolled if n == ITERATIONS else n for n in INPUTS[name].shape)
        if len(has) != len(want) or any(
            isinstance(w, int) and h not in (None, w) for h, w in zip(has, want, strict=True)
        ):
            raise ModelError(f"{path}: input '{name}' has shape {list(has)}, expected {list(want)}")
    anchors = unpack(said["anchors"])
    scale, floor = (np.asarray(said[n], dtype=np.float64) for n in ("scale", "floor"))
    for name, values in (("scale", scale), ("floor", floor)):
        if values.shape != (JOINTS, 3) or not ((values >= 0) & (values <= 100)).all():
            raise ValueError(f"{name}: expected 17 x 3 numbers, 0 to 100")
    size = number(said, "size", 0.1, 100.0, 0.0)
    return ZedoSpec(
        file.kind, graph, loop, _sde(said["sde"]), anchors, size, scale, floor,
        number(said, "score_floor", 0.0, 1.0, 0.0),
    )  # fmt: skip


def _sde(said: Any) -> SubVP:
    beta = (number(said, name, 1e-6, 1e3, 0.0) for name in ("beta_min", "beta_max"))
    try:
        return SubVP(*beta)
    except ConfigError as error:
        raise ValueError(f"sde: {error}") from None


def pack(poses: NDArray[np.floating]) -> str:
    """Poses (A, 17, 3) as text: float16, little-endian, base64."""
    return base64.b64encode(np.asarray(poses, dtype="<f2").tobytes()).decode("ascii")


def unpack(text: str) -> NDArray[np.float64]:
    """The inverse of :func:`pack`.

    Raises:
        ValueError: it holds no whole number of finite poses.
    """
    poses = np.frombuffer(base64.b64decode(text, validate=True), dtype="<f2").astype(np.float64)
    if len(poses) % COORDINATES or not np.isfinite(poses).all():
        raise ValueError("anchors: expected finite poses of 17 joints")
    if not COORDINATES <= len(poses) <= MOST_ANCHORS * COORDINATES:
        raise ValueError(f"anchors: expected 1 to {MOST_ANCHORS} poses, got {len(poses) // COORDINATES}")
    return poses.reshape(-1, JOINTS, 3)
