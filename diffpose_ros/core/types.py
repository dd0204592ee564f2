"""The values passed from image to skeleton: immutable, and checked on creation.

Letters for shapes: P people, J joints, T frames of a window, N hypotheses.
Stamps are integer nanoseconds, so that a message's stamp is preserved exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import _check
from diffpose_ros.core.errors import InputError
from diffpose_ros.core.joints import joint_set


class TrackState(IntEnum):
    """State of a person's track; numbered as in the messages."""

    NEW = 0
    TRACKED = 1
    OCCLUDED = 2


SIZE_SOURCES = ("body prior", "person height", "floor", "depth")
"""Sources of a body's size; the index in this tuple is the number in the messages."""

_STATES = ", ".join(f"{s.value} ({s.name})" for s in TrackState)


@dataclass(frozen=True)
class People2D:
    """Keypoints of all people in one image.

    Attributes:
        xy: (P, J, 2) pixels in the raw (distorted) image.
        score: (P, J) in [0, 1]; 0 means not seen, and ``xy`` is then meaningless.
        joint_set: name of the joint set.
        person_score: (P,) in [0, 1].
        track_id: (P,) ids; -1: not tracked.
        age_s: (P,) seconds since the track was first seen.
        state: (P,) :class:`TrackState` numbers.
        covariance: (P, J, 2, 2) covariance of each keypoint's error, pixels^2; ``None`` if unknown.

    Raises:
        InputError: shapes disagree, a number is not finite, a score is outside [0, 1], a state is
            unknown, or a covariance is not symmetric or has a negative eigenvalue.
    """

    xy: NDArray[np.float64]
    score: NDArray[np.float64]
    joint_set: str = "coco17"
    person_score: NDArray[np.float64] | None = None
    track_id: NDArray[np.int64] | None = None
    age_s: NDArray[np.float64] | None = None
    state: NDArray[np.int64] | None = None
    covariance: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        j = len(joint_set(self.joint_set))
        xy = _check.array("keypoints xy", self.xy, (None, j, 2))
        p = xy.shape[0]
        score = _check.array("keypoint score", self.score, (p, j))
        _check.finite("keypoints xy", xy)
        _check.unit("keypoint score", score)
        object.__setattr__(self, "xy", xy)
        object.__setattr__(self, "score", score)
        person = score.mean(axis=1) if self.person_score is None else self.person_score
        self._set("person_score", person, p, np.float64)
        _check.unit("person score", self.person_score)  # type: ignore[arg-type]
        self._set("track_id", np.full(p, -1) if self.track_id is None else self.track_id, p)
        self._set("age_s", np.zeros(p) if self.age_s is None else self.age_s, p, np.float64)
        _check.finite("track age", self.age_s)  # type: ignore[arg-type]
        self._set("state", np.zeros(p) if self.state is None else self.state, p)
        if self.covariance is not None:
            cov = _check.array("keypoint covariance", self.covariance, (p, j, 2, 2))
            _check.finite("keypoint covariance", cov)
            xx, yy, xy, yx = cov[..., 0, 0], cov[..., 1, 1], cov[..., 0, 1], cov[..., 1, 0]
            slack = 1e-6 * (xx + yy) + 1e-12
            if (np.abs(xy - yx) > slack).any():
                raise InputError("keypoint covariance: expected symmetric matrices")
            if ((np.minimum(xx, yy) < 0) | (xx * yy - xy * yx < -(slack**2))).any():
                raise InputError("keypoint covariance: expected no negative eigenvalue")
            object.__setattr__(self, "covariance", cov)
        unknown = set(self.state.tolist()) - set(TrackState)  # type: ignore[union-attr]
        if unknown:
            raise InputError(f"track state: expected one of {_STATES}, got {min(unknown)}")

    def _set(self, name: str, value: object, p: int, dtype: type = np.int64) -> None:
        object.__setattr__(self, name, _check.array(name, value, (p,), dtype))  # type: ignore[arg-type]

    def __len__(self) -> int:
        return int(self.xy.shape[0])

    @classmethod
    def empty(cls, joint_set_name: str = "coco17") -> People2D:
        """Nobody in view."""
        j = len(joint_set(joint_set_name))
        return cls(xy=np.zeros((0, j, 2)), score=np.zeros((0, j)), joint_set=joint_set_name)

    def take(self, index: NDArray[np.int64] | list[int]) -> People2D:
        """The people at ``index``, in that order."""
        i = np.asarray(index, dtype=np.int64)
        return People2D(
            xy=self.xy[i],
            score=self.score[i],
            joint_set=self.joint_set,
            person_score=self.person_score[i],  # type: ignore[index]
            track_id=self.track_id[i],  # type: ignore[index]
            age_s=self.age_s[i],  # type: ignore[index]
            state=self.state[i],  # type: ignore[index]
            covariance=None if self.covariance is None else self.covariance[i],
        )


@dataclass(frozen=True)
class Hypotheses:
    """N samples of one person's pose.

    Attributes:
        xyz: (N, J, 3) metres, relative to the hip, camera optical frame.
    """

    xyz: NDArray[np.float64]

    def __post_init__(self) -> None:
        xyz = _check.array("hypotheses", self.xyz, (None, None, 3))
        if xyz.shape[0] < 1:
            raise InputError("hypotheses: expected at least one")
        _check.finite("hypotheses", xyz)
        object.__setattr__(self, "xyz", xyz)


@dataclass(frozen=True)
class Skeleton:
    """One person in 3D.

    Attributes:
        xyz: (J, 3) metres, camera optical frame, absolute.
        covariance: (J, 3, 3) covariance of each joint's position relative to the root, m^2.
        score: (J,) in [0, 1].
        root: (3,) mid-hip, metres, camera optical frame.
        root_is_metric: whether ``size_source`` is a measurement or a given height, not the prior.
        track_id: id of the person; -1: not tracked.
        age_s: seconds since the track was first seen.
        state: state of the track.
        person_score: in [0, 1].
        joint_set: name of the joint set.
        root_covariance: (3, 3) covariance of the root's position, m^2.
        velocity: (3,) velocity of the root relative to the camera, m/s, camera optical frame; NaN if
            unknown.
        velocity_covariance: (3, 3) covariance of the velocity, (m/s)^2; NaN if unknown.
        contact: (2,) probability that the right and the left foot stand still, in [0, 1]; NaN if
            unknown.
        size_source: source of the body's size, and so of its distance: one of :data:`SIZE_SOURCES`.
        orientation: (J, 3, 3) rotation of each joint's frame: its columns are the axes (ISB: x forward,
            y up, z right in upright stance) in the camera optical frame; NaN if unknown.
        orientation_covariance: (J, 3, 3) covariance of a small rotation of the frame about the axes of
            the camera optical frame, rad^2; NaN if unknown.

    Raises:
        InputError: a shape is wrong; a number is not finite (but all of velocity, of contact or of a
            joint's orientation may be NaN); or a probability is outside [0, 1].
    """

    xyz: NDArray[np.float64]
    covariance: NDArray[np.float64]
    score: NDArray[np.float64]
    root: NDArray[np.float64]
    root_is_metric: bool
    track_id: int = -1
    age_s: float = 0.0
    state: TrackState = TrackState.NEW
    person_score: float = 1.0
    joint_set: str = "h36m17"
    root_covariance: NDArray[np.float64] = field(default_factory=lambda: np.zeros((3, 3)))
    velocity: NDArray[np.float64] = field(default_factory=lambda: np.full(3, np.nan))
    velocity_covariance: NDArray[np.float64] = field(default_factory=lambda: np.full((3, 3), np.nan))
    contact: NDArray[np.float64] = field(default_factory=lambda: np.full(2, np.nan))
    size_source: str = "body prior"
    orientation: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 3, 3)))
    orientation_covariance: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 3, 3)))

    def __post_init__(self) -> None:
        j = len(joint_set(self.joint_set))
        for name, value, shape in (
            ("xyz", self.xyz, (j, 3)),
            ("covariance", self.covariance, (j, 3, 3)),
            ("score", self.score, (j,)),
            ("root", self.root, (3,)),
            ("root_covariance", self.root_covariance, (3, 3)),
        ):
            checked = _check.array(f"skeleton {name}", value, shape)
            _check.finite(f"skeleton {name}", checked)
            if name == "score":
                _check.unit("skeleton score", checked)
            object.__setattr__(self, name, checked)
        for name, value, shape in (
            ("velocity", self.velocity, (3,)),
            ("velocity_covariance", self.velocity_covariance, (3, 3)),
            ("contact", self.contact, (2,)),
        ):
            checked = _check.array(f"skeleton {name}", value, shape)
            if not np.isnan(checked).all():
                _check.finite(f"skeleton {name}", checked)
                if name == "contact":
                    _check.unit("skeleton contact", checked)
            object.__setattr__(self, name, checked)
        for name, rotations in (
            ("orientation", self.orientation),
            ("orientation_covariance", self.orientation_covariance),
        ):
            if len(rotations) == 0:
                rotations = np.full((j, 3, 3), np.nan)
            checked = _check.array(f"skeleton {name}", rotations, (j, 3, 3))
            flat = checked.reshape(j, 9)
            finite = np.isfinite(flat)
            if not (finite.all(axis=1) | np.isnan(flat).all(axis=1)).all():
                raise InputError(f"skeleton {name}: expected joints that are finite, or NaN as a whole")
            object.__setattr__(self, name, checked)
        if self.size_source not in SIZE_SOURCES:
            raise InputError(
                f"skeleton size_source: expected one of {', '.join(SIZE_SOURCES)}, got '{self.size_source}'"
            )
