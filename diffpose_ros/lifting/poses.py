"""From the network's virtual camera back into the real one, and out to where the person stands.

Letters for shapes: P people, N hypotheses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import H36M17, Hypotheses, People2D, Skeleton, TrackState

NOSE, HEAD_TOP = H36M17.index("nose"), H36M17.index("head_top")
_PARENT = np.array([a for a, _ in H36M17.bones])
_CHILD = np.array([b for _, b in H36M17.bones])


@dataclass(frozen=True)
class Poses:
    """Root-relative poses in the real camera's optical frame.

    Attributes:
        mean: (P, 17, 3) m.
        covariance: (P, 17, 3, 3) m^2.
        hypotheses: (P, N, 17, 3) m, or ``None``.
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    hypotheses: NDArray[np.float64] | None

    def scaled(self, factor: NDArray[np.float64]) -> Poses:
        """The same poses of bodies ``factor`` (P,) times as large."""
        f = factor[:, None, None]
        return Poses(
            self.mean * f,
            self.covariance * (f * f)[..., None],
            None if self.hypotheses is None else self.hypotheses * f[..., None],
        )


def bone_lengths(pose: NDArray[np.floating]) -> NDArray[np.floating]:
    """(..., 16) m, in the order of ``H36M17.bones``, of poses (..., 17, 3)."""
    return np.linalg.norm(pose[..., _CHILD, :] - pose[..., _PARENT, :], axis=-1)


def to_real_camera(
    outputs: dict[str, NDArray[np.float32]],
    rotation: NDArray[np.float64],
    *,
    keep_hypotheses: bool,
) -> Poses:
    """Turn the network's answers back: x_real = R^T x_virtual, C_real = R^T C_virtual R.

    Args:
        outputs: the graph's outputs, P rows or more.
        rotation: (P, 3, 3) R with ``virtual = R @ real``.
        keep_hypotheses: whether the hypotheses are wanted.
    """
    p = len(rotation)
    mean = outputs["mean"][:p] @ rotation
    turn = rotation[:, None]
    covariance = turn.swapaxes(-1, -2) @ outputs["covariance"][:p] @ turn
    hypotheses = outputs["hypotheses"][:p] @ turn if keep_hypotheses else None
    return Poses(mean, covariance, hypotheses)


def joint_scores(score: NDArray[np.float64]) -> NDArray[np.float64]:
    """(P, 17) scores of the joints from those of the 21 points; the crown follows the nose."""
    out = score[:, :17].copy()
    out[:, HEAD_TOP] = out[:, NOSE]
    return out


def skeletons(
    people: People2D,
    index: NDArray[np.int64],
    poses: Poses,
    score: NDArray[np.float64],
    root: NDArray[np.float64],
    root_covariance: NDArray[np.float64],
    *,
    metric: bool,
) -> tuple[list[Skeleton], list[Hypotheses]]:
    """Build the results of the people at ``index``; the arrays' rows follow ``index``."""
    built, kept = [], []
    absolute = poses.mean + root[:, None]
    for k, i in enumerate(index):
        built.append(
            Skeleton(
                xyz=absolute[k],
                covariance=poses.covariance[k],
                score=score[k],
                root=root[k],
                root_is_metric=metric,
                track_id=int(people.track_id[i]),  # type: ignore[index]
                age_s=float(people.age_s[i]),  # type: ignore[index]
                state=TrackState(int(people.state[i])),  # type: ignore[index]
                person_score=float(people.person_score[i]),  # type: ignore[index]
                root_covariance=root_covariance[k],
            )
        )
        if poses.hypotheses is not None:
            kept.append(Hypotheses(poses.hypotheses[k]))
    return built, kept
