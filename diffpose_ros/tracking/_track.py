"""One remembered person: where the body is, how it moves, how large it looks."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core.oks import extent
from diffpose_ros.tracking.exchanges import Exchanges

VELOCITY_TIME_S = 0.15
"""Low-pass of the body's velocity: shorter follows turns, longer survives a jittering detector."""

COAST_TIME_S = 0.8
"""An unseen person is expected to slow down at this rate."""

SIZE_TIME_S = 0.5
MIN_SHARED = 3

LIMB_SPEED, LIMB_LEAST = 2.0, 0.03
"""How far a limb may move unforeseen: body sizes per second, and body sizes in any case."""


@dataclass
class Track:
    """State of one person between frames.

    The body as a whole moves with constant velocity; limbs keep the place relative to it that
    they were last seen in. Limb speeds are not extrapolated: at 10 Hz and more that costs less
    than it would add in noise.

    Attributes:
        xy: (J, 2) keypoints when last seen, pixels.
        visible: (J,) keypoints whose place is known.
        size: apparent size, pixels.
        first_ns: stamp of the first sight.
        seen_ns: stamp of the last sight.
        hits: frames seen in a row before the person was confirmed.
        track_id: identity, -1 until confirmed.
        velocity: (2,) of the body, pixels/s.
        key: tells tracks apart, unconfirmed ones too; never used twice by a tracker.
        exchanges: finds exchanged sides.
    """

    xy: NDArray[np.float64]
    visible: NDArray[np.bool_]
    size: float
    first_ns: int
    seen_ns: int
    hits: int = 1
    track_id: int = -1
    velocity: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    key: int = -1
    exchanges: Exchanges = field(default_factory=Exchanges)

    @classmethod
    def start(
        cls, xy: NDArray[np.float64], visible: NDArray[np.bool_], stamp_ns: int, key: int = -1
    ) -> Track:
        """A person just seen for the first time."""
        size = float(extent(xy[None], visible[None])[0])
        return cls(xy.copy(), visible.copy(), size, stamp_ns, stamp_ns, key=key)

    def unseen_s(self, stamp_ns: int) -> float:
        """Seconds since the last sight."""
        return (stamp_ns - self.seen_ns) * 1e-9

    def predict(self, stamp_ns: int) -> NDArray[np.float64]:
        """(J, 2) keypoints expected at ``stamp_ns``, pixels."""
        elapsed = self.unseen_s(stamp_ns)
        # Integral of a velocity that decays while nobody sees the person.
        return self.xy + self.velocity * COAST_TIME_S * (1 - np.exp(-elapsed / COAST_TIME_S))

    def update(
        self,
        xy: NDArray[np.float64],
        visible: NDArray[np.bool_],
        stamp_ns: int,
        covariance: NDArray[np.float64] | None = None,
    ) -> None:
        """Take over a new sight of the person.

        Args:
            xy: (J, 2) pixels.
            visible: (J,) keypoints that count.
            stamp_ns: of the image.
            covariance: (J, 2, 2) pixels^2; where it is wide, a keypoint moves less from where it was
                expected (the gain of a Kalman filter).
        """
        dt = self.unseen_s(stamp_ns)
        shared = visible & self.visible
        if dt > 0 and shared.sum() >= MIN_SHARED:
            # The median forgives single keypoints that jump.
            measured = np.median((xy - self.xy)[shared], axis=0) / dt
            gain = 1 - np.exp(-dt / VELOCITY_TIME_S)
            if self.hits == 1:
                gain = max(gain, 0.5)
            self.velocity = self.velocity + gain * (measured - self.velocity)
        moved = self.predict(stamp_ns)
        if covariance is not None:
            unforeseen = (self.size * max(LIMB_LEAST, LIMB_SPEED * dt)) ** 2 * np.eye(2)
            gain_xy = unforeseen @ np.linalg.inv(unforeseen + covariance + 1e-9 * np.eye(2))
            filtered = moved + (gain_xy @ (xy - moved)[..., None])[..., 0]
            xy = np.where(self.visible[:, None], filtered, xy)
        known = visible | self.visible
        self.xy = np.where(visible[:, None], xy, moved)
        self.visible = known
        seen_size = float(extent(xy[None], visible[None])[0])
        keep = np.exp(-dt / SIZE_TIME_S)
        self.size = max(seen_size, keep * self.size + (1 - keep) * seen_size)
        self.seen_ns = stamp_ns
