"""From poses and places to the skeletons that go out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import H36M17, Hypotheses, People2D, Skeleton, TrackState
from diffpose_ros.kinematics import PeopleRotations
from diffpose_ros.methods.protocol import Poses
from diffpose_ros.methods.root import Placed

NOSE, HEAD_TOP = H36M17.index("nose"), H36M17.index("head_top")


def joint_scores(score: NDArray[np.float64]) -> NDArray[np.float64]:
    """(P, 17) scores of the joints from those of the 21 points; the crown follows the nose."""
    out = score[:, :17].copy()
    out[:, HEAD_TOP] = out[:, NOSE]
    return out


def skeletons(
    people: People2D,
    source: NDArray[np.int64],
    poses: Poses,
    score: NDArray[np.float64],
    placed: Placed,
    wanted: NDArray[np.bool_],
    rotations: PeopleRotations,
    stamp_ns: int,
) -> tuple[list[Skeleton], list[Hypotheses]]:
    """Build the results, in the order of ``people``.

    Args:
        people: the frame.
        source: (P,) whom of ``people`` each row of the other arrays is about.
        poses: relative to the root, of the size that ``placed`` gives them.
        score: (P, 17).
        placed: where they stand.
        wanted: (P,) whose results go out.
        rotations: turns positions into orientations.
        stamp_ns: of the frame.
    """
    built, kept = [], []
    out = [k for k in np.argsort(source) if wanted[k]]
    track_ids = [int(people.track_id[source[k]]) for k in out]  # type: ignore[index]
    turned, doubt = rotations.update(track_ids, poses.mean[out], poses.covariance[out], stamp_ns)
    for n, k in enumerate(out):
        i, root = source[k], placed.root[k]
        built.append(
            Skeleton(
                xyz=poses.mean[k] + root,
                covariance=poses.covariance[k],
                score=score[k],
                root=root,
                root_is_metric=placed.source[k].metric,
                track_id=track_ids[n],
                age_s=float(people.age_s[i]),  # type: ignore[index]
                state=TrackState(int(people.state[i])),  # type: ignore[index]
                person_score=float(people.person_score[i]),  # type: ignore[index]
                root_covariance=placed.covariance[k],
                velocity=placed.velocity[k],
                velocity_covariance=placed.velocity_covariance[k],
                contact=placed.contact[k],
                size_source=placed.source[k].value,
                orientation=turned[n],
                orientation_covariance=doubt[n],
            )
        )
        if poses.hypotheses is not None:
            kept.append(Hypotheses(poses.hypotheses[k]))
    return built, kept
