"""What is remembered of where people stand, and how it moves on: filters over time.

A person's place is three numbers: the bearing of the root, as tangents u = x/z and v = y/z, and the
logarithm of its depth z. In these the observations are linear, and bearing and depth are independent.
Rates of change are states too (constant velocity, driven by white acceleration in metres).

The depth that a pose and its rays give is wrong by a slowly changing part (how the pose is
foreshortened) and by a constant one (how large the person really is). Both are states, so that a
filter does not take them for noise that averages out. Pose and rays alone cannot tell the constant one
from the truth, so they do not move it unless the floor tells the depth, too.

Letters for shapes: P people.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.methods.root.kalman import Array, bounded, observe, white_acceleration

DEPTH, RATE, FORESHORTENING, SIZE, FLOOR = range(5)
"""States of the depth filter; the last is what the floor's observations have in common over time."""

OF_POSE = np.array([1.0, 0.0, 1.0, 1.0, 0.0])
OF_FLOOR = np.array([1.0, 0.0, 0.0, 0.0, 1.0])
OF_RATE = np.array([0.0, 1.0, 0.0, 0.0, 0.0])

BEARING_NOISE = 0.002
"""Standard deviation of one frame's bearing, tangent units."""
DEPTH_NOISE = 0.06
"""Standard deviation of one frame's log depth. Larger than what a frame's error is made of, because a
part of that lasts for some frames."""
FIRST_NOISE, SETTLING_S = 1.0, 0.2
"""The first answers of a lifter are worse: by this share more, falling off with this time constant."""
FORESHORTENING_NOISE, FORESHORTENING_TIME_S = 0.008, 1.0
FLOOR_NOISE = 0.02
"""Standard deviation and time constant of errors that last: see the states."""
ACCELERATION = 1.0
"""Square root of the spectral density of people's accelerations, m s^-3/2."""
STILL_ACCELERATION, STILL_NOISE = 0.05, 4.0
"""Of a person who stands still: the share of the acceleration that is left, and how many times
noisier an observation counts."""
STILL_MPS, WALKING_MPS = 0.25, 0.75
"""Speed of the faster foot, relative to the hip, of people who stand and who surely walk."""
ACTIVITY_TIME_S = 0.15
FIRST_SPEED_MPS = 1.0
POSE_GATE, BEARING_GATE = 4.0, 4.0
SUSTAINED_S = 0.25
"""So long a depth may lie outside of its gate on one side before the filter gives way to it."""


@dataclass
class Track:
    """The filters of P people.

    Attributes:
        depth: (P, 5) states, see :data:`DEPTH` and the following; metres' logarithms, 1/s.
        depth_covariance: (P, 5, 5).
        bearing: (P, 2, 2) u and v, each with its rate in 1/s.
        bearing_covariance: (P, 2, 2) of one of them; it is the same for both.
        activity: (P,) how fast the person moves, m/s.
        outside: (P,) seconds, signed, for which the depth has lain outside of its gate.
    """

    depth: Array
    depth_covariance: Array
    bearing: Array
    bearing_covariance: Array
    activity: Array
    outside: Array

    @property
    def z(self) -> Array:
        """(P,) depth, m."""
        return np.asarray(np.exp(self.depth[:, DEPTH]))

    def position(self) -> Array:
        """(P, 3) m."""
        z = self.z
        return np.stack([z * self.bearing[:, 0, 0], z * self.bearing[:, 1, 0], z], axis=1)

    def velocity(self) -> Array:
        """(P, 3) m/s."""
        z, rate = self.z, self.depth[:, RATE]
        lateral = self.bearing[:, :, 1] + self.bearing[:, :, 0] * rate[:, None]
        return np.concatenate([z[:, None] * lateral, (z * rate)[:, None]], axis=1)

    def position_covariance(self) -> Array:
        """(P, 3, 3) m^2."""
        return self._covariance(self.position(), DEPTH, 0)

    def velocity_covariance(self) -> Array:
        """(P, 3, 3) (m/s)^2."""
        return self._covariance(self.position(), RATE, 1)

    def _covariance(self, along: Array, state: int, order: int) -> Array:
        out = self.depth_covariance[:, state, state, None, None] * along[:, :, None] * along[:, None, :]
        across = self.z**2 * self.bearing_covariance[:, order, order]
        out[:, 0, 0] += across
        out[:, 1, 1] += across
        return out

    def begin(self, who: NDArray[np.bool_], root: Array, size_noise: float) -> None:
        """Start the people ``who`` (P,) anew at ``root`` (P, 3), m."""
        z = root[who, 2]
        slow, size = FORESHORTENING_NOISE**2, size_noise**2
        self.depth[who] = 0.0
        self.depth[who, DEPTH] = np.log(z)
        start = np.zeros((len(z), 5, 5))
        start[:, DEPTH, DEPTH] = (DEPTH_NOISE * (1 + FIRST_NOISE)) ** 2 + slow + size
        start[:, RATE, RATE] = (FIRST_SPEED_MPS / z) ** 2
        start[:, FORESHORTENING, FORESHORTENING] = slow
        start[:, SIZE, SIZE] = size
        start[:, DEPTH, FORESHORTENING] = start[:, FORESHORTENING, DEPTH] = -slow
        start[:, DEPTH, SIZE] = start[:, SIZE, DEPTH] = -size
        start[:, FLOOR, FLOOR] = FLOOR_NOISE**2
        self.depth_covariance[who] = start
        self.bearing[who] = 0.0
        self.bearing[who, :, 0] = root[who, :2] / z[:, None]
        self.bearing_covariance[who] = 0.0
        self.bearing_covariance[who, 0, 0] = BEARING_NOISE**2
        self.bearing_covariance[who, 1, 1] = (FIRST_SPEED_MPS / z) ** 2
        self.activity[who] = 1.0
        self.outside[who] = 0.0

    def pose_observed(
        self, root: Array, covariance: Array, feet_speed: Array, age_s: Array, dt: Array,
        mask: NDArray[np.bool_], *, size_known: bool,
    ) -> None:  # fmt: skip
        """Move on by ``dt`` and take in what pose and rays say of one frame.

        Args:
            root: (P, 3) m, in front of the camera; anything where not ``mask``.
            covariance: (P, 3, 3) m^2 of it, from the rays alone.
            feet_speed: (P,) of the faster foot relative to the hip, m/s.
            age_s: (P,) seconds since the person's first frame.
            dt: (P,) seconds since the last frame.
            mask: (P,) whose root is known in this frame.
            size_known: something else tells the depth, so that this may tell the size.
        """
        z_seen = root[:, 2]
        self.depth[:, DEPTH] += dt * self.depth[:, RATE]
        self.bearing[:, :, 0] += dt[:, None] * self.bearing[:, :, 1]
        fade = np.exp(-dt / FORESHORTENING_TIME_S)
        self.depth[:, FORESHORTENING] *= fade
        self.depth[:, FLOOR] *= fade
        off = np.where(mask[:, None], root[:, :2] / z_seen[:, None] - self.bearing[:, :, 0], 0.0)
        off2 = 0.5 * (off * off).sum(axis=1)
        z = self.z
        # A jump moves no foot relative to the hip: the image tells.
        moved = np.maximum(0.0, np.sqrt(off2) - 3 * BEARING_NOISE) * z / np.maximum(dt, 1e-3)
        gain = 1.0 - np.exp(-dt / ACTIVITY_TIME_S)
        self.activity += gain * (feet_speed - self.activity)
        np.maximum(self.activity, moved, out=self.activity)
        self._spread(dt, self._moving(), fade, z)

        ray_depth = covariance[:, 2, 2] / z_seen**2
        first = 1.0 + FIRST_NOISE * np.exp(-age_s / SETTLING_S)
        innovation = np.log(z_seen) - self.depth @ OF_POSE
        innovation = np.where(mask, innovation, 0.0)
        self._give_way(innovation, dt)
        observe(
            self.depth, self.depth_covariance, OF_POSE, innovation,
            self._noisier() * (DEPTH_NOISE * first) ** 2 + 2.0 * ray_depth, gate=POSE_GATE, mask=mask,
            held=None if size_known else SIZE,
        )  # fmt: skip
        across = 0.5 * (covariance[:, 0, 0] + covariance[:, 1, 1]) / z_seen**2
        self._bearing(0, off, off2, self._noisier() * BEARING_NOISE**2 + np.minimum(across, ray_depth), mask)

    def speed_observed(
        self, velocity: Array, sigma: Array, gate: float, mask: NDArray[np.bool_]
    ) -> None:
        """Take in a velocity (P, 3), m/s, with standard deviations (2, P) across and along the ray."""
        z = self.z
        along = velocity[:, 2] / z - self.depth[:, RATE]
        observe(
            self.depth, self.depth_covariance, OF_RATE, along, (sigma[1] / z) ** 2,
            gate=gate, mask=mask, held=SIZE,
        )  # fmt: skip
        lateral = velocity[:, :2] / z[:, None] - self.bearing[:, :, 0] * self.depth[:, RATE, None]
        off = np.where(mask[:, None], lateral - self.bearing[:, :, 1], 0.0)
        self._bearing(1, off, 0.5 * (off * off).sum(axis=1), (sigma[0] / z) ** 2, mask, gate)

    def floor_observed(self, log_depth: Array, variance: Array, mask: NDArray[np.bool_], gate: float) -> None:
        """Take in the depth at which a foot stands on the floor; beyond the gate nobody stands there."""
        innovation = log_depth - self.depth @ OF_FLOOR
        spread = self.depth_covariance @ OF_FLOOR @ OF_FLOOR
        standing = mask & (innovation**2 < gate * (spread + variance))
        observe(
            self.depth, self.depth_covariance, OF_FLOOR, innovation, self._noisier() * variance,
            gate=gate, mask=standing,
        )  # fmt: skip

    def resize(self, who: NDArray[np.bool_], size: Array, variance: Array) -> None:
        """Believe another size (P,), a logarithm, of the people ``who``: their depth follows."""
        if not who.any():
            return
        change = size[who] - self.depth[who, SIZE]
        self.depth[who, SIZE] += change
        self.depth[who, DEPTH] -= change
        added = np.zeros((int(who.sum()), 5, 5))
        added[:, SIZE, SIZE] = added[:, DEPTH, DEPTH] = variance[who]
        added[:, SIZE, DEPTH] = added[:, DEPTH, SIZE] = -variance[who]
        self.depth_covariance[who] += added

    def _moving(self) -> Array:
        """(P,) from 0, standing still, to 1, walking."""
        return ((self.activity - STILL_MPS) / (WALKING_MPS - STILL_MPS)).clip(0.0, 1.0)

    def _noisier(self) -> Array:
        """(P,) factor on the variance of observations: much is averaged of somebody who stands."""
        return (STILL_NOISE + (1.0 - STILL_NOISE) * self._moving()) ** 2

    def _spread(self, dt: Array, moving: Array, fade: Array, z: Array) -> None:
        """What ``dt`` adds to the covariances."""
        c, s = self.depth_covariance, self.bearing_covariance
        step = np.zeros_like(c)
        step[:] = np.eye(5)
        step[:, DEPTH, RATE] = dt
        step[:, FORESHORTENING, FORESHORTENING] = step[:, FLOOR, FLOOR] = fade
        c[:] = step @ c @ step.swapaxes(1, 2)
        acceleration = (STILL_ACCELERATION + (1 - STILL_ACCELERATION) * moving) * ACCELERATION / z
        added = white_acceleration(dt, acceleration**2)
        c[:, :2, :2] += added
        c[:, FORESHORTENING, FORESHORTENING] += FORESHORTENING_NOISE**2 * (1 - fade * fade)
        c[:, FLOOR, FLOOR] += FLOOR_NOISE**2 * (1 - fade * fade)
        two = step[:, :2, :2]
        s[:] = two @ s @ two.swapaxes(1, 2) + added

    def _give_way(self, innovation: Array, dt: Array) -> None:
        """After a while of being off to one side, the filter is what is wrong."""
        spread = self.depth_covariance @ OF_POSE @ OF_POSE + DEPTH_NOISE**2
        out = innovation * innovation > POSE_GATE * spread
        side = np.sign(innovation)
        self.outside = np.where(out & (side * self.outside >= 0), self.outside + side * dt, 0.0)
        wrong = np.abs(self.outside) > SUSTAINED_S
        self.depth_covariance[wrong, DEPTH, DEPTH] += innovation[wrong] ** 2
        self.outside[wrong] = 0.0

    def _bearing(
        self, order: int, off: Array, off2: Array, noise: Array, mask: NDArray[np.bool_],
        gate: float = BEARING_GATE,
    ) -> None:  # fmt: skip
        """Observe both bearings (order 0) or their rates (1), off (P, 2) from what was predicted."""
        s = self.bearing_covariance
        spread = s[:, order, order]
        gain = s[:, :, order] / (spread + bounded(noise, spread, off2, gate))[:, None]
        gain = np.where(mask[:, None], gain, 0.0)
        self.bearing += off[:, :, None] * gain[:, None, :]
        s -= gain[:, :, None] * s[:, None, order, :]
