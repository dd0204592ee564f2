"""The contract of a UniHPR model's files: one that streams, and others that take what stands alone.

``model.onnx`` lifts, frame by frame, and gives an embedding with each pose. Beside it stand the graphs of
:data:`PARTS`, each with a row per item.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import ModelError
from diffpose_ros.methods.model_file import ModelFile, read_model_file, whole_number
from diffpose_ros.methods.streaming import INPUTS as COMMON
from diffpose_ros.methods.streaming import JOINTS, StreamingSpec, parse_streaming
from diffpose_ros.runtime.graph_spec import PEOPLE, GraphInput, GraphSpec, Shape

KIND = "unihpr"
SOURCES = ("keypoints", "skeleton", "picture")
"""What an embedding may come from; the decoder is told which (UniHPR, sec. III-A)."""

HYPOTHESES = "hypotheses"
MOST = 4096
"""Numbers of an embedding or of a picture's features that a file may ask for."""

INPUTS = {**COMMON, "noise": GraphInput((PEOPLE, HYPOTHESES, JOINTS, 3))}
OUTPUTS = ("mean", "covariance", "hypotheses", "embedding")


def _sources(rng: np.random.Generator, shape: Shape) -> NDArray:
    """One source each, (R, 3) with a single 1."""
    return np.eye(len(SOURCES))[rng.integers(len(SOURCES), size=shape[0])]


def _bodies(rng: np.random.Generator, shape: Shape) -> NDArray:
    return 0.3 * rng.standard_normal(shape)


PARTS = {
    "skeleton": {"skeleton": GraphInput((PEOPLE, JOINTS, 3), example=_bodies)},
    "picture": {"features": GraphInput((PEOPLE, "features"))},
    "decoder": {
        "embedding": GraphInput((PEOPLE, "size")),
        "source": GraphInput((PEOPLE, len(SOURCES)), example=_sources),
        "noise": GraphInput((PEOPLE, HYPOTHESES, JOINTS, 3)),
    },
}
"""Graph, as its file is called -> its inputs."""
PART_OUTPUTS = {"skeleton": ("embedding",), "picture": ("embedding",), "decoder": ("poses",)}


@dataclass(frozen=True)
class UniHprSpec(StreamingSpec):
    """A UniHPR model's file, validated.

    Attributes:
        body: numbers of an embedding that say how the body is posed, whoever sees it: the first ones.
        turn: those behind, that say how it stands to the viewer.
    """

    body: int = 64
    turn: int = 64

    @property
    def size(self) -> int:
        """Numbers of an embedding, D."""
        return self.body + self.turn


def parse(file: ModelFile) -> UniHprSpec:
    """Read and check the file; see :func:`diffpose_ros.methods.registry.read_spec`."""
    said = file.metadata
    hypotheses = whole_number(said, HYPOTHESES, 1, 1000)
    common = parse_streaming(
        file, INPUTS, required=tuple(INPUTS), outputs=OUTPUTS, sizes={HYPOTHESES: hypotheses},
        may_shrink=frozenset({HYPOTHESES}),
    )  # fmt: skip
    return UniHprSpec(
        **common, steps=whole_number(said, "steps", 1, 1000), hypotheses=hypotheses,
        body=whole_number(said, "body", 1, MOST), turn=whole_number(said, "turn", 1, MOST),
    )  # fmt: skip


def part_of(spec: UniHprSpec, part: str) -> GraphSpec:
    """A graph beside the model's own.

    Raises:
        ModelError: the file is missing or damaged, or belongs to another model.
    """
    path = spec.path.parent / f"{part}.onnx"
    file = read_model_file(path)
    said: dict[str, Any] = file.metadata
    asked = {"kind": KIND, "part": part, "name": spec.name, "body": spec.body, "turn": spec.turn}
    for key, wanted in asked.items():
        if said.get(key) != wanted:
            raise ModelError(
                f"{path}: belongs to another model: expected {key} {wanted}, got {said.get(key)!r}"
            )
    inputs, outputs = PARTS[part], PART_OUTPUTS[part]
    if set(file.outline.inputs) != set(inputs) or not set(outputs) <= set(file.outline.outputs):
        raise ModelError(f"{path}: expected inputs {', '.join(inputs)} and outputs {', '.join(outputs)}")
    sizes: dict[str, int] = {}
    try:
        if part == "decoder":
            sizes = {"size": spec.size, HYPOTHESES: spec.hypotheses}
        elif part == "picture":
            sizes = {"features": whole_number(said, "features", 1, MOST)}
    except (KeyError, ValueError) as error:
        raise ModelError(f"{path}: incomplete or wrong metadata: {error!r}") from error
    return GraphSpec(path, spec.name, {n: inputs[n] for n in file.outline.inputs}, outputs, sizes,
                     frozenset({HYPOTHESES} & sizes.keys()))  # fmt: skip


def picture_graph(spec: UniHprSpec) -> Path | None:
    """The picture encoder's file, where the model has one."""
    path = spec.path.parent / "picture.onnx"
    return path if path.is_file() else None
