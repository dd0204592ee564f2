"""What a lifting method is: what a session hands in, and what it gets back.

A method answers for the people of one frame at a time. It may run any number of graphs per step, or
none, and remembers what it likes of each person: it lists the arrays, the session owns them (one row
per person), resets them and moves them. Time, placing, turns and deadlines are the session's.

Letters for shapes: P people of the step, N hypotheses; 17 joints are H36M's, 21 points those of
:mod:`diffpose_ros.geometry.mapping`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import Camera
from diffpose_ros.history import Field, Rows

__all__ = ["Field", "Level", "Method", "Observed", "Poses", "Rows", "Serving"]

KEYPOINTS = "keypoints"
"""What every method may need: :class:`Observed`. Other needs are words that a session must know."""


@dataclass(frozen=True)
class Observed:
    """What is known of P people in one frame.

    Attributes:
        stamp_ns: the frame's stamp, nanoseconds.
        camera: what took the frame.
        rays: (P, 21, 2) undistorted tangents x/z, y/z in the camera's optical frame.
        score: (P, 21) in [0, 1]; 0 where a point counts for nothing.
        covariance: (P, 21, 2, 2) of the rays, tangent units squared, or ``None`` where only the
            scores are known.
        up: (3,) unit vector that points up, camera's optical frame, or ``None``.
        camera_height: metres above the floor, or ``None``.
        common_floor: whether they stand on one floor and can be compared.
        person_height: standing height of everyone in view, m, or ``None``.
        person_height_stddev: how sure that is, m.
        depth: (P, S) measured z of the body's surface at the sites of
            :mod:`diffpose_ros.geometry.body_surface`, m, NaN where there is none; or ``None``.
    """

    stamp_ns: int
    camera: Camera
    rays: NDArray[np.float64]
    score: NDArray[np.float64]
    covariance: NDArray[np.float64] | None = None
    up: NDArray[np.float64] | None = None
    camera_height: float | None = None
    common_floor: bool = True
    person_height: float | None = None
    person_height_stddev: float = 0.02
    depth: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.rays)


@dataclass(frozen=True)
class Level:
    """One way to run a step; a deadline chooses among a method's levels.

    Attributes:
        hypotheses: poses sampled per person, N.
        steps: denoising steps, or iterations.
        share: about how much of the best level's time a person costs; used until it is measured.
    """

    hypotheses: int = 1
    steps: int = 1
    share: float = 1.0


@dataclass(frozen=True)
class Poses:
    """What a method says of P people, in the axes of the camera's optical frame.

    Attributes:
        mean: (P, 17, 3) m, relative to the root (mid-hip). Not finite: the method has no answer for
            this person, who starts anew.
        covariance: (P, 17, 3, 3) m^2 of each joint relative to the root.
        hypotheses: (P, N, 17, 3) m, relative to the root, or ``None``.
        root: (P, 3) m, absolute, from a method that places people itself; else ``None``.
        root_covariance: (P, 3, 3) m^2, there where ``root`` is.
        embedding: (P, D) for search, or ``None``.
        graph_s: seconds spent inside graphs, for the report.
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    hypotheses: NDArray[np.float64] | None = None
    root: NDArray[np.float64] | None = None
    root_covariance: NDArray[np.float64] | None = None
    embedding: NDArray[np.float64] | None = None
    graph_s: float = 0.0

    def __len__(self) -> int:
        return len(self.mean)

    def finite(self) -> NDArray[np.bool_]:
        """(P,) whether everything said of a person is finite; the root may be unknown (NaN)."""
        p = len(self)
        good = np.ones(p, dtype=bool)
        for value in (self.mean, self.covariance, self.hypotheses, self.embedding):
            if value is not None:
                good &= np.isfinite(value.reshape(p, -1).sum(axis=1))
        return good

    def scaled(self, factor: NDArray[np.float64]) -> Poses:
        """The same poses of bodies ``factor`` (P,) times as large, their roots as they are."""
        f = factor[:, None, None]
        return Poses(
            self.mean * f,
            self.covariance * (f * f)[..., None],
            None if self.hypotheses is None else self.hypotheses * f[..., None],
            self.root,
            self.root_covariance,
            self.embedding,
            self.graph_s,
        )


class Serving(Protocol):
    """What runs a method's graphs; ``runtime.protocol.Backend`` is one.

    Attributes:
        name: e.g. ``onnxruntime``.
        device: ``cpu``, or the accelerator's name.
        reason: one line that says which device and version serves, and why.
    """

    name: str
    device: str
    reason: str


class Method(Protocol):
    """One way to lift people.

    Attributes:
        name: the model's name.
        kind: its entry in :data:`diffpose_ros.methods.registry.METHODS`.
        needs: what must be handed in: ``keypoints``.
        levels: what a deadline may choose from, the best one first, the cheapest last.
        score_floor: keypoints scored lower count for nothing, unless the user says otherwise.
        spare: rows behind everyone's that a step may bind, for backends that pad.
        backend: what runs its graphs.
    """

    name: str
    kind: str
    needs: frozenset[str]
    levels: Sequence[Level]
    score_floor: float
    spare: int
    backend: Serving

    def state(self) -> Mapping[str, Field]:
        """What it remembers of each person; empty when it remembers nothing."""
        ...

    def step(self, seen: Observed, rows: Rows, level: Level) -> Poses:
        """Lift the people of one frame.

        Args:
            seen: P people.
            rows: what is remembered of them, in the same order; what is to be kept is noted there.
            level: one of ``levels``.

        Raises:
            BackendError: the device failed.
        """
        ...

    def rehearse(self, people: int, level: Level, trials: int) -> float:
        """Run a level on made-up people once to warm up and ``trials`` times more, and forget them.

        Returns:
            The least seconds that one of the later runs took.
        """
        ...

    def close(self) -> None:
        """Free everything; calling it twice does no harm."""
        ...
