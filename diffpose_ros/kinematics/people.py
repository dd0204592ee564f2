"""Joint orientations of several people, each followed by the track id."""

from __future__ import annotations

from diffpose_ros.core import Skeleton
from diffpose_ros.kinematics.rotations import LONGEST_GAP_S, JointRotations, RotationTracker

NS = 1e-9


class PeopleRotations:
    """Turns skeletons into joint orientations that are continuous in time, person by person."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[RotationTracker, int]] = {}

    def update(self, skeleton: Skeleton, stamp_ns: int) -> JointRotations:
        """The orientations of one person in one frame.

        A person without identity, or whose last frame lies more than a second back or ahead, is seen
        for the first time.

        Args:
            skeleton: the person.
            stamp_ns: of the frame.
        """
        if skeleton.track_id < 0:
            return RotationTracker().update(skeleton.xyz, skeleton.covariance)
        tracker, last_ns = self._known.get(skeleton.track_id, (RotationTracker(), stamp_ns))
        dt = (stamp_ns - last_ns) * NS
        if dt < 0:
            tracker, dt = RotationTracker(), 0.0
        self._known[skeleton.track_id] = tracker, stamp_ns
        return tracker.update(skeleton.xyz, skeleton.covariance, dt=dt)

    def forget_before(self, stamp_ns: int) -> None:
        """Forget who was last seen more than a second before, or after, a stamp."""
        self._known = {
            person: (tracker, last_ns)
            for person, (tracker, last_ns) in self._known.items()
            if abs(stamp_ns - last_ns) * NS <= LONGEST_GAP_S
        }
