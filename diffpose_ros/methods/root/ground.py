"""What the floor tells of one person, and whether it can be believed.

A floor that contradicts the size that a body is believed to have says one of three things: the body has
another size, nobody stands on it just now, or gravity is not where it is said to be. Somebody new is
believed to have the floor's size at once, unless the body's lean or how the contradiction changes with
distance speak for a wrong gravity. What is left of that doubt is a part of the covariance.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log, sqrt

from diffpose_ros.methods.root.body_size import ADULT_SCALE_NOISE
from diffpose_ros.methods.root.floor import floor_depth
from diffpose_ros.methods.root.person import Person
from diffpose_ros.methods.root.size import OLD_S, SizeDoubt
from diffpose_ros.methods.root.slopes import Slopes
from diffpose_ros.methods.root.track import FLOOR_NOISE, SIZE, Track
from diffpose_ros.methods.root.upright import Lean

FLOOR_GATE = 3.0
AGREES = 0.1
"""Difference of sizes, as a logarithm, at which the floor still confirms the believed one."""
ADULTS = 0.1
"""Sizes, as a logarithm, that adults may have: no reason to doubt gravity."""
SELDOM = 0.85
"""Logarithm of how much likelier another size is than a wrong gravity, before anything is seen."""
TILTED, SURELY_TILTED = 0.66, 0.85
"""Probability of a wrong gravity from which another size is not believed, and is given up."""


class Ground:
    """The floor under one person.

    Args:
        numbers: :data:`NUMBERS` of them, from :meth:`numbers`; zeros for somebody new.

    Attributes:
        refused: the floor is not used, because gravity or the camera's height seem to be wrong.
        variance: of the depth, relative, for the chance that what is believed of gravity is wrong.
    """

    NUMBERS = SizeDoubt.NUMBERS + Lean.NUMBERS + Slopes.NUMBERS + 4

    def __init__(self, numbers: Sequence[float]) -> None:
        n = SizeDoubt.NUMBERS
        k = n + Lean.NUMBERS
        m = k + Slopes.NUMBERS
        self._doubt, self._lean, self._slopes = (
            SizeDoubt(numbers[:n]),
            Lean(numbers[n:k]),
            Slopes(numbers[k:m]),
        )
        self._agreed_s, refused, self.variance, doubted = numbers[m : m + 4]
        self.refused, self._doubted = refused > 0, doubted > 0

    def numbers(self) -> list[float]:
        """All that is to be remembered."""
        return [
            *self._doubt.numbers(), *self._lean.numbers(), *self._slopes.numbers(), self._agreed_s,
            float(self.refused), self.variance, float(self._doubted),
        ]  # fmt: skip

    @property
    def tells(self) -> bool:
        """Whether the floor has confirmed the believed size."""
        return self._agreed_s > 0

    def observe(
        self, track: Track, person: Person, up: Sequence[float], camera_height: float, standing: float,
        *, told: bool = False,
    ) -> None:  # fmt: skip
        """What the floor says of the depth and of the size, into ``track``.

        Args:
            track: the person's filters.
            person: one frame.
            up: (3,) unit vector.
            camera_height: m.
            standing: how surely a foot stands still, 0 to 1; NaN where it is not known.
            told: somebody has said how tall people are: the floor is one observation of that among others.
        """
        doubt, lean, z = self._doubt, self._lean, person.root[2]
        lean.update(person.axis, person.bones, (person.root[0] / z, person.root[1] / z), up, person.dt)
        if lean.wrong:
            self.variance = 0.0
            self._refuse(track)
            return
        at_feet = [z + foot[2] for foot in person.feet]
        floor = floor_depth(up, camera_height, person.rays, person.scores, at_feet, z)
        if floor is None:
            return
        size = log(z) - floor.log_depth  # of the body, as a person on the floor would have it
        if abs(size - doubt.mean) < max(AGREES, 2 * sqrt(floor.variance)):
            self._slopes.update(floor.reach, floor.fall, person.dt * standing)
        sure = doubt.update(
            size, track.depth[SIZE], person.stature, floor.variance, person.dt,
            max(self._agreed_s, OLD_S if self._doubted else 0.0),
        )  # fmt: skip
        if not lean.known:
            return
        # With the body's size as the pose has it, the floor falls off by the difference.
        tilted = self._tilted(floor.fall * (1.0 - exp(-doubt.mean)))
        other = abs(track.depth[SIZE]) > ADULTS
        away = abs(exp(track.depth[SIZE] - (0.0 if other else doubt.mean)) - 1.0)
        self.variance = tilted * (1.0 - tilted) * away * away * min(max(0.0, away / ADULTS - 1.0), 1.0)
        if abs(doubt.mean) > ADULTS and tilted > (SURELY_TILTED if other else TILTED):
            self._refuse(track)
            return
        self.refused = False
        if sure and told:
            track.doubt_size(doubt.mean, floor.variance + FLOOR_NOISE**2)
            doubt.settle()
            self._doubted = True
        elif sure:
            track.resize(doubt.mean, floor.variance)
            doubt.settle()
        track.floor_observed(floor.log_depth, floor.variance, FLOOR_GATE)
        if abs(doubt.mean - track.depth[SIZE]) < AGREES:
            self._agreed_s += person.dt + 1e-6

    def _tilted(self, tilt: float) -> float:
        """Probability that the floor is tilted by ``tilt`` radians, and the body as large as it looks."""
        odds = self._lean.tilt_rather_than_none(tilt) + self._slopes.tilt_rather_than_size() - SELDOM
        return 1.0 / (1.0 + exp(-max(-30.0, min(30.0, odds))))

    def _refuse(self, track: Track) -> None:
        """Do without the floor: the body is as large as it was believed to be before."""
        if self._agreed_s > 0 or abs(track.depth[SIZE]) > ADULTS:
            track.resize(0.0, ADULT_SCALE_NOISE**2)
        self._agreed_s, self.refused = 0.0, True
