"""Bodies of any age, size and build in their rest pose, from the body model Anny.

Anny (Brégier et al., arXiv 2511.03589) comes from PyPI as ``anny``; its code is Apache-2.0, its meshes and
data are CC0. Only its default topology is used: the others download files that are not free.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import COCO17, InputError

TRAITS = ("gender", "age", "muscle", "weight", "height", "proportions")
"""What a build is made of, each in [0, 1]; ``gender`` 0 is a man, 1 a woman."""

_TO_Y_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
"""Anny's world (left, back, up) to ours (left, up, forward)."""


@dataclass(frozen=True)
class Mesh:
    """What all bodies share.

    Attributes:
        faces: (F, 3) int32 corners of the triangles.
        bones: names of the bones, B of them.
        parents: (B,) index of each bone's parent, -1 for the root; parents come first.
        weights: (V, K) float32 skinning weights.
        weight_bones: (V, K) the bones that they belong to.
        keypoints: (17, V) float32 weights that make COCO-17 keypoints of vertices.
    """

    faces: NDArray[np.int32]
    bones: tuple[str, ...]
    parents: NDArray[np.int64]
    weights: NDArray[np.float32]
    weight_bones: NDArray[np.int64]
    keypoints: NDArray[np.float32]

    def bone(self, name: str) -> int:
        """Index of a bone."""
        return self.bones.index(name)


@dataclass(frozen=True)
class Body:
    """One person in the rest pose: metres, x to their left, y up, z forward.

    Attributes:
        mesh: what all bodies share.
        vertices: (V, 3) float32.
        heads: (B, 3) float32 where each bone begins.
        keypoints: (17, 3) float32 COCO-17 keypoints.
        traits: (6,) the build, in the order of :data:`TRAITS`.
        age_years: roughly how old they look.
        stature: height without hair and shoes, metres; the rest pose stands on y = 0.
    """

    mesh: Mesh
    vertices: NDArray[np.float32]
    heads: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    traits: NDArray[np.float64]
    age_years: float
    stature: float


class BodyMaker:
    """Makes bodies; the first one on a machine takes minutes, while Anny builds what it keeps.

    Raises:
        ModuleNotFoundError: ``anny`` or ``torch`` is not installed.
    """

    def __init__(self) -> None:
        self._torch, anny = _import_anny()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._model = anny.Anny(skinning_method="lbs")
            self._model = self._model.to(self._torch.float32)
            regressor = anny.KeypointsRegressor.coco(self._model, labels=list(COCO17.joints))
        if tuple(self._model.phenotype_labels) != TRAITS:
            raise InputError(f"anny: expected builds of {TRAITS}, got {self._model.phenotype_labels}")
        from anny.shape_distribution import SimpleShapeDistribution

        self._shapes = SimpleShapeDistribution(self._model)
        model = self._model
        self.mesh = Mesh(
            faces=np.ascontiguousarray(_numpy(model.faces), np.int32),
            bones=tuple(model.bone_labels),
            parents=np.array(model.bone_parents, np.int64),
            weights=_numpy(model.vertex_bone_weights).astype(np.float32),
            weight_bones=_numpy(model.vertex_bone_indices).astype(np.int64),
            keypoints=_numpy(regressor.regression_weights).astype(np.float32),
        )

    def draw(self, rng: np.random.Generator, age_years: tuple[float, float] = (1.0, 80.0)) -> Body:
        """A body drawn from Anny's distribution of builds, which follows the WHO's tables of height.

        Half of the people drawn are under 18 where the range allows it; men and women are as many.

        Args:
            rng: source of randomness.
            age_years: youngest and oldest.
        """
        low, high = age_years
        young = (low, min(high, 18.0)) if low < 18.0 else age_years
        grown = (max(low, 18.0), high) if high > 18.0 else age_years
        years = float(rng.uniform(*(young if rng.random() < 0.5 else grown)))
        torch, shapes = self._torch, self._shapes
        anny_age = shapes.morphological_age_mapping.morphological_to_anny_age(
            torch.tensor([years], dtype=torch.float32)
        )
        gender = float(rng.random() < 0.5)
        who = "girls" if gender else "boys"
        traits = {"gender": gender, "age": float(anny_age.clamp(0, 1))}
        for name in ("muscle", "weight", "height", "proportions"):
            spread = getattr(shapes, f"{who}_conditional_{name}_distribution").get_torch_distribution(
                anny_age
            )
            traits[name] = float(rng.beta(float(spread.concentration1), float(spread.concentration0)))
        return self.make([traits[name] for name in TRAITS], years)

    def make(self, traits: Sequence[float], age_years: float = float("nan")) -> Body:
        """The body of a build.

        Args:
            traits: six numbers in [0, 1], see :data:`TRAITS`.
            age_years: what to note.

        Raises:
            InputError: a trait is out of range.
        """
        values = np.array(traits, np.float64)
        if values.shape != (len(TRAITS),) or not ((values >= 0) & (values <= 1)).all():
            raise InputError(f"traits: expected {len(TRAITS)} numbers of 0 to 1, got {traits}")
        torch = self._torch
        with torch.no_grad():
            shape = self._model.get_phenotype_blendshape_coefficients(
                **{n: torch.tensor([v], dtype=torch.float32) for n, v in zip(TRAITS, values, strict=True)}
            )
            out = self._model.get_rest_model(shape)
        vertices = _numpy(out["rest_vertices"][0]).astype(np.float64) @ _TO_Y_UP.T
        heads = _numpy(out["rest_bone_heads"][0]).astype(np.float64) @ _TO_Y_UP.T
        floor = np.array([0.0, vertices[:, 1].min(), 0.0])
        vertices, heads = (vertices - floor).astype(np.float32), (heads - floor).astype(np.float32)
        stature = float(np.ptp(vertices[:, 1]))
        return Body(self.mesh, vertices, heads, self.mesh.keypoints @ vertices, values, age_years, stature)


@functools.cache
def body_maker() -> BodyMaker:
    """The process's only one."""
    return BodyMaker()


def check_installed() -> None:
    """Raise early, with what to install.

    Raises:
        ModuleNotFoundError: ``anny``, or something that it needs, is not installed.
    """
    for name in ("anny", "torch", "warp"):
        if importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)


def _import_anny() -> tuple[Any, Any]:
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    logging.getLogger("anny").setLevel(logging.ERROR)
    import torch
    import warp

    warp.config.log_level = warp.LOG_ERROR
    import anny

    return torch, anny


def _numpy(value: Any) -> NDArray:
    return np.asarray(value.detach().cpu().numpy() if hasattr(value, "detach") else value)
