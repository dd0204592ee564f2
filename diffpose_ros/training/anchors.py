"""Anchor poses: the clusters of k-means, offline, all facing the same way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.data.virtual import augment
from diffpose_ros.data.virtual.synthesis import MotionLibrary
from diffpose_ros.training.pose_prior import relative


def facing_poses(library: MotionLibrary, count: int, size: float, *, seed: int = 0) -> NDArray[np.float64]:
    """``count`` poses of the motion capture (count, 17, 3), mirrored or not, left of the body along x.

    Args:
        library: motions.
        count: how many are drawn.
        size: sum of each body's bones, m.
        seed: of the draw.
    """
    rng = np.random.default_rng(seed)
    body = library.body[rng.integers(len(library.body), size=count)][:, None]
    pose = relative(augment.mirror(body, rng.random(count) < 0.5)[:, 0], size)
    left = pose[:, 11] - pose[:, 14] + pose[:, 4] - pose[:, 1]
    turn = np.zeros((count, 3), dtype=np.float32)
    turn[:, 1] = np.arctan2(left[:, 2], left[:, 0])
    return pose @ augment.rotation_from_vector(turn).swapaxes(1, 2)


def cluster(poses: NDArray[np.float64], count: int, *, seed: int = 0) -> NDArray[np.float64]:
    """The poses nearest to the centres of ``count`` clusters, most frequent first (ZeDO, section 5.1).

    A centre itself is no body: its limbs are shortened by the mean.
    """
    from sklearn.cluster import MiniBatchKMeans

    flat = poses.reshape(len(poses), -1)
    found = MiniBatchKMeans(count, n_init=1, batch_size=2048, max_iter=30, random_state=seed).fit(flat)
    off = np.linalg.norm(flat - found.cluster_centers_[found.labels_], axis=1)
    # A cluster may be left without a pose: the next nearest of all then stands for it.
    chosen = [
        int(members[np.argmin(off[members])])
        for members in (np.flatnonzero(found.labels_ == c) for c in range(count))
        if len(members)
    ]
    taken = set(chosen)
    chosen += [int(i) for i in np.argsort(off) if int(i) not in taken][: count - len(chosen)]
    size = np.bincount(found.labels_)[found.labels_[chosen]]
    return poses[np.array(chosen)[np.argsort(-size, kind="stable")]]
