"""Embeddings of single skeletons and pictures, and poses from embeddings.

Needs neither torch nor a lifter. Letters for shapes: ``...`` any leading shape, D numbers of an embedding.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import ConfigError, InputError, ModelError
from diffpose_ros.diffusion.noise import fixed_noise
from diffpose_ros.geometry.body_frame import body_axes
from diffpose_ros.methods.catalog import find_model
from diffpose_ros.methods.model_file import read_model_file
from diffpose_ros.methods.unihpr.contract import KIND, SOURCES, parse, part_of, picture_graph
from diffpose_ros.runtime.load import load_backend
from diffpose_ros.runtime.protocol import Backend, BackendOptions

CHUNK = 256
"""Rows per run."""

Array = NDArray[np.float32]


class Embedder:
    """The parts of a UniHPR model that work without a history.

    Args:
        model: name of a shipped model, or path.
        backend: ``auto`` or a name of :data:`~diffpose_ros.runtime.load.BACKENDS`.
        threads: CPU threads.

    Attributes:
        name: name of the model; embeddings of different models must not be compared.
        size: size D of an embedding.
        body: size of its first part, which describes the pose whoever sees it.

    Raises:
        ModelError: the model does not exist, is of another method, or a file beside it is missing.
    """

    def __init__(self, model: str | Path = KIND, *, backend: str = "auto", threads: int = 1) -> None:
        file = read_model_file(find_model(model))
        if file.kind != KIND:
            raise ModelError(f"{file.path}: expected a model of method {KIND}, got one of '{file.kind}'")
        try:
            self._spec = parse(file)
        except (KeyError, TypeError, ValueError, AttributeError) as e:
            raise ModelError(f"{file.path}: incomplete or wrong metadata: {e!r}") from e
        self.name, self.size, self.body = self._spec.name, self._spec.size, self._spec.body
        self._backend, self._options = backend, BackendOptions(max_people=CHUNK, threads=threads)
        self._open: dict[str, Backend] = {}

    @property
    def sees_pictures(self) -> bool:
        """Whether the model has a picture encoder."""
        return picture_graph(self._spec) is not None

    def skeletons(self, xyz: NDArray[np.floating]) -> Array:
        """Embeddings (..., D) of H36M-17 skeletons (..., 17, 3) of any size and position.

        The axes are those of the viewer. To compare whole embeddings with those of keypoints, pass the
        skeletons through :func:`diffpose_ros.geometry.body_frame.as_seen` first. The body part does not
        depend on the axes.

        Raises:
            InputError: the shape is wrong, or joints are not finite or lie in one point or line.
        """
        xyz = np.asarray(xyz, dtype=np.float64)
        if xyz.shape[-2:] != (17, 3):
            raise InputError(f"skeletons: expected (..., 17, 3), the joints of H36M-17, got {xyz.shape}")
        rows = (xyz - xyz[..., :1, :]).reshape(-1, 17, 3)
        finite = np.isfinite(np.concatenate([rows, body_axes(rows)], axis=1))
        bad: NDArray[np.bool_] = ~finite.all(axis=2).all(axis=1)
        if bad.any():
            raise InputError(
                f"skeletons: {bad.sum()} of {len(bad)} have joints that are not finite or lie in one point "
                "or line"
            )
        return self._run("skeleton", skeleton=rows).reshape(*xyz.shape[:-2], self.size)

    def pictures(self, features: NDArray[np.floating]) -> Array:
        """Embeddings (..., D) of the detector's features (..., F) of people.

        Raises:
            ModelError: the model has no picture encoder.
            InputError: the shape is wrong, or a number is not finite.
        """
        features = np.asarray(features)
        if not self.sees_pictures:
            raise ModelError(f"model '{self.name}' has no picture encoder")
        wanted = part_of(self._spec, "picture").sizes["features"]
        if features.shape[-1:] != (wanted,) or not np.isfinite(features).all():
            raise InputError(f"features: expected finite numbers, (..., {wanted}), got {features.shape}")
        found = self._run("picture", features=features.reshape(-1, wanted))
        return found.reshape(*features.shape[:-1], self.size)

    def poses(
        self, embedding: NDArray[np.floating], source: str = "keypoints", *, hypotheses: int | None = None
    ) -> Array:
        """Poses (..., N, 17, 3) in the axes of each embedding's viewer, relative to the hip, m.

        Args:
            embedding: (..., D) embeddings.
            source: their source, one of :data:`~diffpose_ros.methods.unihpr.contract.SOURCES`.
            hypotheses: number N of poses; by default the model's.

        Raises:
            ConfigError: an unknown source, or fewer than one hypothesis.
            InputError: the shape is wrong, or a number is not finite.
        """
        if source not in SOURCES:
            raise ConfigError(f"source: expected one of {', '.join(SOURCES)}, got '{source}'")
        embedding = np.asarray(embedding)
        if embedding.shape[-1:] != (self.size,) or not np.isfinite(embedding).all():
            raise InputError(f"embedding: expected finite numbers, (..., {self.size}), got {embedding.shape}")
        rows = embedding.reshape(-1, self.size)
        noise = fixed_noise(self._spec.hypotheses if hypotheses is None else hypotheses)
        said = np.zeros((len(rows), len(SOURCES)))
        said[:, SOURCES.index(source)] = 1.0
        noises = np.broadcast_to(noise, (len(rows), *noise.shape))
        found = self._run("decoder", embedding=rows, source=said, noise=noises)
        return found.reshape(*embedding.shape[:-1], *noise.shape)

    def _run(self, part: str, **feeds: NDArray) -> Array:
        if part not in self._open:
            self._open[part] = load_backend(part_of(self._spec, part), self._backend, self._options)
        backend = self._open[part]
        count = len(next(iter(feeds.values())))
        made = []
        for first in range(0, max(count, 1), CHUNK):
            rows = {n: np.ascontiguousarray(v[first : first + CHUNK], np.float32) for n, v in feeds.items()}
            made.append(next(iter(backend.run(rows).values())))
        return np.concatenate(made)

    def close(self) -> None:
        """Free everything; calling it twice does no harm."""
        for backend in self._open.values():
            backend.close()
        self._open.clear()

    def __enter__(self) -> Embedder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def body_part(embedding: NDArray[np.floating], body: int) -> Array:
    """The body part (..., body) of embeddings (..., D), with length 1: the pose, whoever sees it."""
    part = np.asarray(embedding)[..., :body].astype(np.float32)
    return part / np.maximum(np.linalg.norm(part, axis=-1, keepdims=True), 1e-9)
