"""What is remembered of where a person stands, and how it moves on: filters over time.

A person's place is three numbers: the bearing of the root, as tangents u = x/z and v = y/z, and the
logarithm of its depth z. In these the observations are linear, and bearing and depth are independent.
Rates of change are states too (constant velocity, driven by white acceleration in metres).

The depth that a pose and its rays give is wrong by a slowly changing part (how the pose is
foreshortened) and by a constant one (how large the person really is). Both are states, so that a
filter does not take them for noise that averages out. Pose and rays alone cannot tell the constant one
from the truth, so they do not move it unless the floor tells the depth, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import copysign, exp, hypot, inf, log, sqrt

from diffpose_ros.methods.root.body_size import wrong
from diffpose_ros.methods.root.kalman import bounded, observe, variance_of_sum

DEPTH, RATE, FORESHORTENING, SIZE, FLOOR = range(5)
"""States of the depth filter; the last is what the floor's observations have in common over time."""

OF_POSE = (DEPTH, FORESHORTENING, SIZE)
OF_FLOOR = (DEPTH, FLOOR)
OF_RATE = (RATE,)
OF_DEPTH = (DEPTH,)
OF_SIZE = (SIZE,)

BEARING_NOISE = 0.002
"""Standard deviation of one frame's bearing, tangent units."""
DEPTH_NOISE = 0.06
"""Standard deviation of one frame's log depth. Larger than what a frame's error is made of, because a
part of that lasts for some frames."""
FIRST_NOISE, SETTLING_S = 1.0, 0.2
"""The first answers of a lifter are worse: by this share more, falling off with this time constant."""
FORESHORTENING_NOISE, FORESHORTENING_TIME_S = 0.008, 1.0
FLOOR_NOISE = 0.015
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
SIZE_NOISE = 0.02
"""Standard deviation of a size from one frame's pose, rays and a known depth, as a logarithm."""
SUSTAINED_S = 0.25
"""So long a depth may lie outside of its gate on one side before the filter gives way to it."""
SUSTAINED_BEARING_S = 0.1
"""The same of a bearing, which many rays tell directly."""
LARGEST_LOG_DEPTH = 14.0
"""A thousand kilometres: numbers beyond are no place, and must not overflow."""

Vector = tuple[float, float, float]
Matrix = tuple[Vector, Vector, Vector]


class Track:
    """The filters of one person.

    Args:
        numbers: :data:`NUMBERS` of them, from :meth:`numbers`; zeros for somebody new.

    Attributes:
        depth: (5,) states, see :data:`DEPTH` and the following; metres' logarithms, 1/s.
        depth_covariance: (5, 5).
        bearing: (4,) u and v, each with its rate in 1/s.
        bearing_covariance: (3,) of one of them, which is the same for both: value, value with rate, rate.
        activity: how fast the person moves, m/s.
        outside: seconds, signed, for which the depth has lain outside of its gate.
        bearing_outside: seconds for which the bearing has.
    """

    NUMBERS = 40

    def __init__(self, numbers: Sequence[float]) -> None:
        self.depth = list(numbers[:5])
        self.depth_covariance = [list(numbers[k : k + 5]) for k in range(5, 30, 5)]
        self.bearing = list(numbers[30:34])
        self.bearing_covariance = list(numbers[34:37])
        self.activity, self.outside, self.bearing_outside = numbers[37:40]

    def numbers(self) -> list[float]:
        """All that is to be remembered."""
        return [
            *self.depth, *(x for row in self.depth_covariance for x in row), *self.bearing,
            *self.bearing_covariance, self.activity, self.outside, self.bearing_outside,
        ]  # fmt: skip

    @property
    def z(self) -> float:
        """Depth, m."""
        return exp(min(self.depth[DEPTH], LARGEST_LOG_DEPTH))

    def position(self) -> Vector:
        """Of the root, m."""
        z = self.z
        return z * self.bearing[0], z * self.bearing[2], z

    def velocity(self) -> Vector:
        """Of the root, m/s."""
        z, rate = self.z, self.depth[RATE]
        u, u_rate, v, v_rate = self.bearing
        return z * (u_rate + u * rate), z * (v_rate + v * rate), z * rate

    def position_covariance(self) -> Matrix:
        """(3, 3) m^2."""
        return self._covariance(self.depth_covariance[DEPTH][DEPTH], self.bearing_covariance[0])

    def velocity_covariance(self) -> Matrix:
        """(3, 3) (m/s)^2."""
        return self._covariance(self.depth_covariance[RATE][RATE], self.bearing_covariance[2])

    def _covariance(self, along: float, across: float) -> Matrix:
        x, y, z = self.position()
        across *= z * z
        return (
            (along * x * x + across, along * x * y, along * x * z),
            (along * x * y, along * y * y + across, along * y * z),
            (along * x * z, along * y * z, along * z * z),
        )

    def begin(self, root: Vector, size_noise: float) -> None:
        """Start anew at ``root``, m, in front of the camera."""
        x, y, z = root
        slow, size = FORESHORTENING_NOISE**2, size_noise**2
        self.depth = [log(z), 0.0, 0.0, 0.0, 0.0]
        first = (DEPTH_NOISE * (1 + FIRST_NOISE)) ** 2 + slow + size
        speed = (FIRST_SPEED_MPS / z) ** 2
        self.depth_covariance = [
            [first, 0.0, -slow, -size, 0.0],
            [0.0, speed, 0.0, 0.0, 0.0],
            [-slow, 0.0, slow, 0.0, 0.0],
            [-size, 0.0, 0.0, size, 0.0],
            [0.0, 0.0, 0.0, 0.0, FLOOR_NOISE**2],
        ]
        self.bearing = [x / z, 0.0, y / z, 0.0]
        self.bearing_covariance = [BEARING_NOISE**2, 0.0, speed]
        self.activity, self.outside, self.bearing_outside = 1.0, 0.0, 0.0

    def move_on(self, dt: float, feet_speed: float, root: Vector | None) -> None:
        """Predict the next frame.

        Args:
            dt: seconds since the last one.
            feet_speed: of the faster foot relative to the hip, m/s.
            root: where pose and rays have the person now, m.
        """
        depth, bearing = self.depth, self.bearing
        depth[DEPTH] += dt * depth[RATE]
        bearing[0] += dt * bearing[1]
        bearing[2] += dt * bearing[3]
        fade = exp(-dt / FORESHORTENING_TIME_S)
        depth[FORESHORTENING] *= fade
        depth[FLOOR] *= fade
        self.activity += (1.0 - exp(-dt / ACTIVITY_TIME_S)) * (feet_speed - self.activity)
        if root is not None:
            # A jump moves no foot relative to the hip: the image tells.
            off = hypot(root[0] / root[2] - bearing[0], root[1] / root[2] - bearing[2]) / sqrt(2)
            moved = max(0.0, off - 3 * BEARING_NOISE) * self.z / max(dt, 1e-3)
            self.activity = max(self.activity, moved)
        self._spread(dt, fade)

    def pose_observed(
        self, root: Vector, covariance: Matrix, age_s: float, dt: float, *, size_known: bool
    ) -> None:
        """Take in what pose and rays say of one frame.

        Args:
            root: m, in front of the camera.
            covariance: (3, 3) m^2 of it, from the rays alone.
            age_s: seconds since the person's first frame.
            dt: seconds since the last frame.
            size_known: something else tells the depth, so that this may tell the size.
        """
        x, y, z = root
        ray_depth = covariance[2][2] / (z * z)
        first = DEPTH_NOISE * (1.0 + FIRST_NOISE * exp(-age_s / SETTLING_S))
        innovation = log(z) - sum([self.depth[i] for i in OF_POSE])
        self._give_way(innovation, dt)
        noisier = self._noisier()
        observe(
            self.depth, self.depth_covariance, OF_POSE, innovation, noisier * first * first + 2.0 * ray_depth,
            gate=POSE_GATE, held=None if size_known else SIZE,
        )  # fmt: skip
        across = 0.5 * (covariance[0][0] + covariance[1][1]) / (z * z)
        noise = noisier * BEARING_NOISE**2 + min(across, ray_depth)
        off_u, off_v = x / z - self.bearing[0], y / z - self.bearing[2]
        self._turn(off_u, off_v, noise, dt)
        self._bearing(0, off_u, off_v, noise, BEARING_GATE)

    def speed_observed(self, velocity: Vector, across: float, along: float, gate: float) -> None:
        """Take in a velocity, m/s, with its standard deviations across and along the ray."""
        z = self.z
        observe(
            self.depth, self.depth_covariance, OF_RATE, velocity[2] / z - self.depth[RATE], (along / z) ** 2,
            gate=gate, held=SIZE,
        )  # fmt: skip
        u, u_rate, v, v_rate = self.bearing
        rate = self.depth[RATE]
        off = velocity[0] / z - u * rate - u_rate, velocity[1] / z - v * rate - v_rate
        self._bearing(1, *off, (across / z) ** 2, gate)

    def floor_observed(self, log_depth: float, variance: float, gate: float) -> None:
        """Take in the depth at which a foot stands on the floor; beyond the gate nobody stands there."""
        innovation = log_depth - self.depth[DEPTH] - self.depth[FLOOR]
        spread = variance_of_sum(self.depth_covariance, OF_FLOOR)
        if innovation * innovation < gate * (spread + variance):
            noise = self._noisier() * variance
            observe(self.depth, self.depth_covariance, OF_FLOOR, innovation, noise, gate=gate)

    def depth_observed(self, log_depth: float, variance: float, gate: float) -> None:
        """Take in a measured depth of the root."""
        innovation = log_depth - self.depth[DEPTH]
        observe(self.depth, self.depth_covariance, OF_DEPTH, innovation, variance, gate=gate)

    def resize(self, size: float, variance: float) -> None:
        """Believe another size, a logarithm: the depth follows."""
        self.depth[DEPTH] -= size - self.depth[SIZE]
        self.depth[SIZE] = size
        self.widen_size(variance)

    def doubt_size(self, size: float, variance: float) -> None:
        """Be as unsure of the believed size as another one, with its variance, speaks against it: what is
        observed from now on tells."""
        apart = size - self.depth[SIZE]
        self.widen_size(apart * apart * wrong(apart, self.depth_covariance[SIZE][SIZE] + variance))

    def size_observed(self, size: float, variance: float) -> None:
        """Take in a size, a logarithm, where the depth is known without it; one that contradicts what is
        believed makes that doubtful."""
        innovation = size - self.depth[SIZE]
        c = self.depth_covariance
        c[SIZE][SIZE] += innovation * innovation * wrong(innovation, c[SIZE][SIZE] + variance)
        observe(self.depth, self.depth_covariance, OF_SIZE, innovation, variance, gate=inf)

    def widen_size(self, variance: float) -> None:
        """Be less sure of the size, and of the depth that follows from it."""
        c = self.depth_covariance
        c[SIZE][SIZE] += variance
        c[DEPTH][DEPTH] += variance
        c[SIZE][DEPTH] -= variance
        c[DEPTH][SIZE] -= variance

    def _moving(self) -> float:
        """From 0, standing still, to 1, walking."""
        return min(max((self.activity - STILL_MPS) / (WALKING_MPS - STILL_MPS), 0.0), 1.0)

    def _noisier(self) -> float:
        """Factor on the variance of observations: much is averaged of somebody who stands."""
        return (STILL_NOISE + (1.0 - STILL_NOISE) * self._moving()) ** 2

    def _spread(self, dt: float, fade: float) -> None:
        """What ``dt`` does to the covariances: the step's matrix on both sides, and white acceleration."""
        c, s = self.depth_covariance, self.bearing_covariance
        for k in range(5):
            c[DEPTH][k] += dt * c[RATE][k]
            c[FORESHORTENING][k] *= fade
            c[FLOOR][k] *= fade
        for row in c:
            row[DEPTH] += dt * row[RATE]
            row[FORESHORTENING] *= fade
            row[FLOOR] *= fade
        share = STILL_ACCELERATION + (1 - STILL_ACCELERATION) * self._moving()
        rate = (share * ACCELERATION / self.z) ** 2 * dt
        both, value = 0.5 * rate * dt, rate * dt * dt / 3
        c[DEPTH][DEPTH] += value
        c[DEPTH][RATE] += both
        c[RATE][DEPTH] += both
        c[RATE][RATE] += rate
        c[FORESHORTENING][FORESHORTENING] += FORESHORTENING_NOISE**2 * (1 - fade * fade)
        c[FLOOR][FLOOR] += FLOOR_NOISE**2 * (1 - fade * fade)
        s[0] += dt * (2 * s[1] + dt * s[2]) + value
        s[1] += dt * s[2] + both
        s[2] += rate

    def _give_way(self, innovation: float, dt: float) -> None:
        """After a while of being off to one side, the filter is what is wrong."""
        spread = variance_of_sum(self.depth_covariance, OF_POSE) + DEPTH_NOISE**2
        if innovation * innovation <= POSE_GATE * spread:
            self.outside = 0.0
            return
        same_side = innovation * self.outside >= 0
        self.outside = self.outside + copysign(dt, innovation) if same_side else 0.0
        if abs(self.outside) > SUSTAINED_S:
            self.depth_covariance[DEPTH][DEPTH] += innovation * innovation
            self.outside = 0.0

    def _turn(self, off_u: float, off_v: float, noise: float, dt: float) -> None:
        """After a while of looking elsewhere than the rays, the filter is wrong, and so is its speed."""
        off = 0.5 * (off_u * off_u + off_v * off_v)
        s = self.bearing_covariance
        self.bearing_outside = self.bearing_outside + dt if off > BEARING_GATE * (s[0] + noise) else 0.0
        if self.bearing_outside > SUSTAINED_BEARING_S:
            speed = FIRST_SPEED_MPS / self.z
            self.bearing_covariance = [s[0] + off, 0.0, s[2] + speed * speed]
            self.bearing_outside = 0.0

    def _bearing(self, order: int, off_u: float, off_v: float, noise: float, gate: float) -> None:
        """Observe both bearings (order 0) or their rates (1), off from what was predicted."""
        s = self.bearing_covariance
        cross, spread = (s[0], s[1]) if order == 0 else (s[1], s[2]), s[2 * order]
        total = spread + bounded(noise, spread, 0.5 * (off_u * off_u + off_v * off_v), gate)
        value, rate = cross[0] / total, cross[1] / total
        self.bearing[0] += value * off_u
        self.bearing[1] += rate * off_u
        self.bearing[2] += value * off_v
        self.bearing[3] += rate * off_v
        self.bearing_covariance = [s[0] - value * cross[0], s[1] - value * cross[1], s[2] - rate * cross[1]]
