"""The contract of a diffusion model's file (docs/model_files.md): its inputs, in one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from diffpose_ros.methods.model_file import ModelFile, whole_number
from diffpose_ros.methods.streaming import (
    INPUTS as COMMON,
)
from diffpose_ros.methods.streaming import (
    JOINTS,
    MAX_SLOTS,
    POINTS,
    StreamingSpec,
    constant,
    parse_streaming,
    scored,
)
from diffpose_ros.runtime.graph_spec import PEOPLE, GraphInput

HYPOTHESES = "hypotheses"
ENERGIES = 4

INPUTS = {
    **COMMON,
    "noise": GraphInput((PEOPLE, HYPOTHESES, JOINTS, 3)),
    "previous_pose": GraphInput((PEOPLE, JOINTS, 3)),
    "previous_points": GraphInput((PEOPLE, POINTS, 3), example=scored),
    "previous_age": GraphInput((PEOPLE,), example=constant(1 / 30)),
    "bone_mean": GraphInput((PEOPLE, 16), example=constant(0.25)),
    "guidance": GraphInput((ENERGIES,)),
}
"""Everything that such a graph may read, but for the rings' ages and caches."""

MAX_WEIGHT = 1e6
REQUIRED = ("points", "view", "noise")
OUTPUTS = ("mean", "covariance", "hypotheses")


@dataclass(frozen=True)
class DiffusionSpec(StreamingSpec):
    """A diffusion model's file, validated.

    Attributes:
        guidance: default weights of the four STPG energies.
        bone_window: frames that ``bone_mean`` averages.
    """

    guidance: tuple[float, ...] = (0.0,) * ENERGIES
    bone_window: int = 27


def parse(file: ModelFile) -> DiffusionSpec:
    """Read and check the file; see :func:`diffpose_ros.methods.registry.read_spec`."""
    return DiffusionSpec(**parse_diffusion(file))


def parse_diffusion(
    file: ModelFile, more: Mapping[str, GraphInput] | None = None, required: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The fields of :class:`DiffusionSpec`, from a file that may have further inputs and has those
    ``required``; errors as :func:`parse`."""
    said = file.metadata
    guidance = tuple(float(x) for x in said.get("guidance", (0,) * ENERGIES))
    if not all(abs(weight) <= MAX_WEIGHT for weight in guidance):
        raise ValueError(f"guidance: expected weights of at most {MAX_WEIGHT:g}, got {list(guidance)}")
    if len(guidance) != ENERGIES:
        raise ValueError(f"guidance: expected {ENERGIES} weights, got {len(guidance)}")
    hypotheses = whole_number(said, "hypotheses", 1, 1000)
    weights = replace(INPUTS["guidance"], example=lambda rng, shape: np.asarray(guidance))
    common = parse_streaming(
        file,
        {**INPUTS, "guidance": weights, **(more or {})},
        required=(*REQUIRED, *required),
        outputs=OUTPUTS,
        sizes={HYPOTHESES: hypotheses},
        may_shrink=frozenset({HYPOTHESES}),
    )
    return {
        **common,
        "steps": whole_number(said, "steps", 1, 1000),
        "hypotheses": hypotheses,
        "guidance": guidance,
        "bone_window": whole_number(said, "bone_window", 1, MAX_SLOTS, default=27),
    }
