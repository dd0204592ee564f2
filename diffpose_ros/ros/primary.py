"""Which of several people is the primary one."""

from __future__ import annotations

from collections.abc import Sequence

from diffpose_ros.core import Skeleton, TrackState


class PrimaryPerson:
    """Keeps to one person while they are there, then takes the nearest one.

    Nearest is the root's distance from the camera. A person in the middle of an occlusion keeps the
    place as long as the tracker holds them, but a new one is chosen among those in view if there
    are any.
    """

    def __init__(self) -> None:
        self._track_id: int | None = None

    def __call__(self, skeletons: Sequence[Skeleton]) -> Skeleton | None:
        """The primary person of this frame, ``None`` when nobody is in view."""
        if not skeletons:
            self._track_id = None
            return None
        for skeleton in skeletons:
            if skeleton.track_id == self._track_id and skeleton.track_id >= 0:
                return skeleton
        seen = [s for s in skeletons if s.state != TrackState.OCCLUDED] or list(skeletons)
        chosen = min(seen, key=lambda s: float(s.root @ s.root))
        self._track_id = chosen.track_id
        return chosen

    def reset(self) -> None:
        """Forget who it was."""
        self._track_id = None
