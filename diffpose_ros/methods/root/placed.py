"""Where people stand, as the root stage says it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.methods.root.track import Track


class ScaleSource(Enum):
    """What tells how large a person is, and so how far away."""

    BODY_PRIOR = "body prior"
    PERSON_HEIGHT = "person height"
    FLOOR = "floor"
    DEPTH = "depth"

    @property
    def metric(self) -> bool:
        """Whether it was measured or given, and not guessed from bodies in general."""
        return self is not ScaleSource.BODY_PRIOR


@dataclass(frozen=True)
class Placed:
    """Where P people stand.

    Attributes:
        root: (P, 3) mid-hip, m; NaN where the rays allow no position in front of the camera.
        covariance: (P, 3, 3) m^2.
        velocity: (P, 3) m/s; NaN where it is not known.
        velocity_covariance: (P, 3, 3) (m/s)^2; NaN likewise.
        scale: (P,) factor on the method's poses that gives the bodies their size.
        source: what told the size of each person.
        contact: (P, 2) how surely the right and the left foot stand still, 0 to 1; NaN where it is
            not known.
        floor_refused: (P,) the floor is given and is not used, because gravity or the camera's height
            seem to be wrong.
    """

    root: NDArray[np.float64]
    covariance: NDArray[np.float64]
    velocity: NDArray[np.float64]
    velocity_covariance: NDArray[np.float64]
    scale: NDArray[np.float64]
    source: tuple[ScaleSource, ...]
    contact: NDArray[np.float64]
    floor_refused: NDArray[np.bool_]

    @classmethod
    def nowhere(cls, people: int, scale: NDArray[np.float64]) -> Placed:
        """People (P) of whom nothing is known yet; :meth:`fill` says more."""
        return cls(
            root=np.full((people, 3), np.nan), covariance=np.full((people, 3, 3), np.nan),
            velocity=np.full((people, 3), np.nan), velocity_covariance=np.full((people, 3, 3), np.nan),
            scale=scale, source=(ScaleSource.BODY_PRIOR,) * people, contact=np.full((people, 2), np.nan),
            floor_refused=np.zeros(people, dtype=np.bool_),
        )  # fmt: skip

    def fill(
        self, people: Sequence[int], tracks: Sequence[Track], contact: Sequence[tuple[float, float]]
    ) -> None:
        """Write where ``people`` are, and how surely their feet stand, into the arrays."""
        if not people:
            return
        self.root[people] = [track.position() for track in tracks]
        self.covariance[people] = [track.position_covariance() for track in tracks]
        self.velocity[people] = [track.velocity() for track in tracks]
        self.velocity_covariance[people] = [track.velocity_covariance() for track in tracks]
        self.contact[people] = contact

    def known(self) -> NDArray[np.bool_]:
        """(P,) whether there is a position."""
        return np.asarray(np.isfinite(self.root).all(axis=-1))
