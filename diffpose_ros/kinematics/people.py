"""Joint orientations of several people, by track id."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from diffpose_ros.kinematics.rotations import LONGEST_GAP_S, Array, Twists, orientations

NS = 1e-9


class PeopleRotations:
    """Turns the skeletons of several people, frame by frame, into joint orientations."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Array, Array, Array, int]] = {}

    def update(
        self, track_ids: Sequence[int], positions: Array, covariance: Array, stamp_ns: int
    ) -> tuple[Array, Array]:
        """Process one frame.

        A person without an id (below 0), or last seen more than a second ago, starts without memory.

        Args:
            track_ids: (P,) ids of the people.
            positions: (P, 17, 3) joints, m.
            covariance: (P, 17, 3, 3) covariance of each joint, m^2.
            stamp_ns: stamp of the frame, nanoseconds.

        Returns:
            (P, 17, 3, 3) rotations of the joints' frames, and (P, 17, 3, 3) their covariances in rad^2; NaN
            if unknown.
        """
        self._known = {
            person: known
            for person, known in self._known.items()
            if 0 <= (stamp_ns - known[3]) * NS <= LONGEST_GAP_S
        }
        if not len(track_ids):
            return np.empty((0, 17, 3, 3)), np.empty((0, 17, 3, 3))
        nothing = Twists.unknown(1)
        new = nothing.y[0], nothing.z[0], nothing.variance[0], stamp_ns
        before = [self._known.get(person, new) for person in track_ids]
        twists = Twists(*(np.stack([b[k] for b in before]) for k in range(3)))  # type: ignore[misc]
        dt = np.array([(stamp_ns - b[3]) * NS for b in before])
        matrix, doubt, after = orientations(positions, covariance, twists, dt)
        for k, person in enumerate(track_ids):
            if person >= 0:
                self._known[person] = after.y[k], after.z[k], after.variance[k], stamp_ns
        return matrix, doubt

    def reset(self) -> None:
        """Forget everyone."""
        self._known.clear()
