"""What a person does, of what a gallery holds: distances, definitions, groups, hysteresis.

A name's *nearness* is its distance over its radius, or how its definition is kept to: 1 where it begins to
count. It becomes active after
it was at most 1 for a while, and ends after it was above ``leave`` for a while. Of a group the nearest is
active alone. What is near to nothing stays unknown.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffpose_ros.core import H36M17, ConfigError
from diffpose_ros.search import windows
from diffpose_ros.search.gallery import Gallery, Taught
from diffpose_ros.search.measures import LOOK_BACK_S, STEP, measures, over_time
from diffpose_ros.search.vectors import variants

Array = NDArray[np.float64]

STEEPNESS = 8.0
"""Of the confidence: 0.5 at the radius, 0.88 a quarter inside, 0.12 a quarter outside."""
NEAR = 1.5
"""What is farther than this many radii is not told."""
UNSURE_M, DOUBT_M = 0.14, 0.04
"""A part of the body whose joints are known no better than this is not known to do anything: from the first
on, a name's nearness grows by 1 with each of the second."""
Seen = tuple[float, dict[str, float], Array]
"""A time, what was measured then, and where the hips were, metres."""
_HIP = H36M17.index("hip")


@dataclass(frozen=True)
class Hysteresis:
    """When names become active, and end.

    Attributes:
        enter_s: how long a name must be near, seconds.
        leave_s: how long it must not be, seconds.
        leave: nearness beyond which it is not near any more.

    Raises:
        ConfigError: a number is out of its range.
    """

    enter_s: float = 0.3
    leave_s: float = 0.3
    leave: float = 1.2

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("enter_s", self.enter_s, 0.0, 10.0),
            ("leave_s", self.leave_s, 0.0, 10.0),
            ("leave", self.leave, 1.0, 3.0),
        ):
            if not low <= value <= high:
                raise ConfigError(f"{name}: expected {low:g} to {high:g}, got {value:g}")


@dataclass(frozen=True)
class Match:
    """One name for one person.

    Attributes:
        name: as it was taught.
        distance: metres to the nearest example.
        nearness: 1 where the name begins to count, 0 at its heart.
        active: whether it counts as done.
        lasting_s: for how long it has.
        motion: whether it is a motion.
    """

    name: str
    distance: float
    nearness: float
    active: bool = False
    lasting_s: float = 0.0
    motion: bool = False

    @property
    def confidence(self) -> float:
        """0 to 1; 0.5 at the radius."""
        return confidence(self.nearness)


def confidence(nearness: float) -> float:
    """How sure a name is at a nearness."""
    return 1.0 / (1.0 + math.exp(min(STEEPNESS * (nearness - 1.0), 50.0)))


def nearest(
    gallery: Gallery, xyz: ArrayLike, up: ArrayLike | None = None, covariance: ArrayLike | None = None
) -> list[Match]:
    """What one pose is, of itself: poses of the gallery, nearest first.

    Args:
        gallery: what was taught; its motions are left out.
        xyz: (17, 3) metres.
        up: as in :func:`vectors.pose_vectors`.
        covariance: (17, 3, 3) of the joints, m^2; ``None``: they are known.
    """
    query = variants(xyz, up)
    distances = gallery.pose_distances(query)
    measured = _measured([(0.0, _measures(xyz, up), _place(xyz))], up)
    found = [
        Match(
            one.name, apart := distances[one.name],
            one.nearness(apart, query, measured) + doubt(one, covariance),
        )
        for one in gallery.taught
        if not one.motion
    ]  # fmt: skip
    winners = set(_winners(gallery.taught, {m.name: m.nearness for m in found}))
    made = [
        Match(m.name, m.distance, m.nearness, active=m.name in winners and m.nearness <= 1) for m in found
    ]
    return told(gallery, made)


def told(gallery: Gallery, matches: Sequence[Match]) -> list[Match]:
    """Those that are active or near, the surest first, without the names that are never told."""
    silent = {one.name for one in gallery.taught if not one.told}
    said = [m for m in matches if m.name not in silent and (m.active or m.nearness <= NEAR)]
    return sorted(said, key=lambda m: (not m.active, m.nearness))


def _measures(xyz: ArrayLike, up: ArrayLike | None) -> dict[str, float]:
    return {name: float(value) for name, value in measures(xyz, up).items()}


def doubt(taught: Taught, covariance: ArrayLike | None) -> float:
    """What the joints that a name is about are not known well enough for, as nearness.

    Args:
        taught: the name.
        covariance: (17, 3, 3) of the joints, m^2; ``None``: they are known.
    """
    if covariance is None:
        return 0.0
    of_part = np.asarray(covariance, dtype=np.float64)[taught.joints]
    sigma = math.sqrt(max(float(np.trace(of_part, axis1=-2, axis2=-1).mean()), 0.0))
    return max(0.0, sigma - UNSURE_M) / DOUBT_M


def _place(xyz: ArrayLike) -> Array:
    return np.array(np.asarray(xyz, dtype=np.float64)[_HIP])


def _measured(seen: Sequence[Seen], up: ArrayLike | None) -> dict[str, float]:
    """What definitions ask for, of the last :data:`LOOK_BACK_S` seconds."""
    steps = np.array([measured[STEP] for _, measured, _ in seen])
    return seen[-1][1] | over_time(steps, np.stack([place for _, _, place in seen]), up)


def _winners(taught: Sequence[Taught], nearness: dict[str, float]) -> list[str]:
    """Names that are nearest in their groups, and those of no group.

    A motion that is near goes before poses: it was seen to move as they do not.
    """
    best: dict[str, str] = {}
    rank = {
        one.name: (not (one.motion and nearness[one.name] <= 1), nearness[one.name])
        for one in taught
        if one.name in nearness
    }
    out = []
    for one in taught:
        if one.name not in nearness:
            continue
        if not one.group:
            out.append(one.name)
        elif one.group not in best or rank[one.name] < rank[best[one.group]]:
            best[one.group] = one.name
    return [*out, *best.values()]


class _Held:
    """How long a name has been near, or not, and whether it is active."""

    def __init__(self) -> None:
        self.near_since: float | None = None
        self.far_since: float | None = None
        self.active_since: float | None = None

    def update(self, now: float, inside: bool, outside: bool, rule: Hysteresis) -> None:
        self.near_since = (now if self.near_since is None else self.near_since) if inside else None
        self.far_since = (now if self.far_since is None else self.far_since) if outside else None
        if self.active_since is None:
            if self.near_since is not None and now - self.near_since >= rule.enter_s - 1e-9:
                self.active_since = now
        elif self.far_since is not None and now - self.far_since >= rule.leave_s - 1e-9:
            self.active_since = None


class Person:
    """What one person does, frame by frame.

    Args:
        gallery: what was taught; may be changed by :meth:`learn`.
        rule: the hysteresis.
    """

    def __init__(self, gallery: Gallery, rule: Hysteresis) -> None:
        self._gallery, self.rule = gallery, rule
        self._stamps: list[float] = []
        self._vectors: list[Array] = []
        self._seen: deque[Seen] = deque()
        self._held: dict[str, _Held] = {}
        self._motions: tuple[float, dict[str, float], dict[str, Array]] = (-math.inf, {}, {})

    def learn(self, gallery: Gallery) -> None:
        """Go on with another gallery; what is active there stays so."""
        self._gallery = gallery
        self._held = {name: held for name, held in self._held.items() if name in gallery.names}
        self._motions = (-math.inf, {}, {})

    @property
    def last_s(self) -> float:
        """When the person was seen last; minus infinity before."""
        return self._stamps[-1] if self._stamps else -math.inf

    def window(self, seconds: float) -> Array | None:
        """(N, 17, 3) the poses of the last seconds; ``None`` where they were not all seen."""
        return windows.window(np.array(self._stamps), np.array(self._vectors), self.last_s, seconds)

    def steady(self, seconds: float) -> Array:
        """(17, 3) the mean pose of the last seconds."""
        stamps = np.array(self._stamps)
        return np.asarray(np.array(self._vectors)[stamps >= stamps[-1] - seconds].mean(axis=0))

    def update(
        self, stamp_s: float, xyz: ArrayLike, up: ArrayLike | None = None,
        covariance: ArrayLike | None = None,
    ) -> list[Match]:  # fmt: skip
        """Take in a frame.

        Args:
            stamp_s: its time, later than the last.
            xyz: (17, 3) metres.
            up: as in :func:`vectors.pose_vectors`.
            covariance: as in :func:`nearest`.

        Returns:
            Active names and near ones, the surest first.

        Raises:
            InputError: the pose has no vector.
        """
        query = variants(xyz, up)
        self._remember(stamp_s, np.asarray(query[0]))  # the first variant is that of the lean itself
        self._seen.append((stamp_s, _measures(xyz, up), _place(xyz)))
        while stamp_s - self._seen[0][0] > LOOK_BACK_S + 1e-6:
            self._seen.popleft()
        measured = _measured(self._seen, up)
        of_motions, shown = self._of_motions(stamp_s, measured)
        distances = {**of_motions, **self._gallery.pose_distances(query)}
        nearness = {
            one.name: one.nearness(
                distances[one.name], shown.get(one.name) if one.motion else query, measured
            )
            + doubt(one, covariance)
            for one in self._gallery.taught
        }
        winners = set(_winners(self._gallery.taught, nearness))
        for one in self._gallery.taught:
            held = self._held.setdefault(one.name, _Held())
            near, won = nearness[one.name], one.name in winners
            held.update(stamp_s, near <= 1 and won, near > self.rule.leave or not won, self.rule)
        self._only_one_of_a_group(nearness)
        found = [
            Match(
                one.name, distances[one.name], nearness[one.name],
                active=(since := self._held[one.name].active_since) is not None,
                lasting_s=0.0 if since is None else stamp_s - since, motion=one.motion,
            )
            for one in self._gallery.taught
        ]  # fmt: skip
        return told(self._gallery, found)

    def _only_one_of_a_group(self, nearness: dict[str, float]) -> None:
        """A newcomer ends what was active in its group."""
        latest: dict[str, tuple[float, float, str]] = {}
        for one in self._gallery.taught:
            since = self._held[one.name].active_since
            if one.group and since is not None:
                mine = (since, -nearness[one.name], one.name)
                latest[one.group] = max(latest.get(one.group, mine), mine)
        for one in self._gallery.taught:
            if one.group in latest and latest[one.group][2] != one.name:
                self._held[one.name].active_since = None

    def _remember(self, stamp_s: float, vector: Array) -> None:
        if stamp_s <= self.last_s or stamp_s - self.last_s > windows.LONGEST_GAP_S:
            self._stamps, self._vectors = [], []
            self._seen.clear()
            self._held, self._motions = {}, (-math.inf, {}, {})
        self._stamps.append(stamp_s)
        self._vectors.append(vector)
        oldest = stamp_s - windows.LONGEST_S - windows.LONGEST_GAP_S
        while self._stamps[0] < oldest:
            del self._stamps[0], self._vectors[0]

    def _of_motions(
        self, stamp_s: float, measured: Mapping[str, float]
    ) -> tuple[dict[str, float], dict[str, Array]]:
        """Distances of the motions, and their windows: as often as those have frames, and not more.

        Whom a definition alone keeps far is not warped: that costs more than all else.
        """
        when, known, seen = self._motions
        if stamp_s - when < 0.9 / windows.RATE_HZ:
            return known, seen
        known, seen = {}, {}
        for one in self._gallery.taught:
            if one.motion:
                far = bool(one.cases) and one.shown is None and one.nearness(0.0, None, measured) > NEAR
                window = None if far else self.window(one.seconds)
                known[one.name] = math.inf if window is None else one.distance(window)
                if window is not None:
                    seen[one.name] = window
        self._motions = (stamp_s, known, seen)
        return known, seen


class People:
    """Everyone in view, each by the track id.

    Args:
        gallery: what was taught.
        rule: the hysteresis.
        forget_s: a person unseen for so long is forgotten.
    """

    def __init__(self, gallery: Gallery, rule: Hysteresis | None = None, *, forget_s: float = 1.0) -> None:
        self.gallery = gallery
        self._rule, self._forget_s = rule or Hysteresis(), forget_s
        self._known: dict[int, Person] = {}

    def learn(self, gallery: Gallery) -> None:
        """Go on with another gallery."""
        self.gallery = gallery
        for person in self._known.values():
            person.learn(gallery)

    def update(
        self, stamp_s: float, track_id: int, xyz: ArrayLike, up: ArrayLike | None = None,
        covariance: ArrayLike | None = None,
    ) -> list[Match]:  # fmt: skip
        """One person of a frame; who has no identity (-1) is compared by this frame alone.

        Raises:
            InputError: the pose has no vector.
        """
        if track_id < 0:
            return nearest(self.gallery, xyz, up, covariance)
        person = self._known.setdefault(track_id, Person(self.gallery, self._rule))
        return person.update(stamp_s, xyz, up, covariance)

    def window(self, track_id: int, seconds: float) -> Array | None:
        """The last seconds of somebody; see :meth:`Person.window`."""
        person = self._known.get(track_id)
        return None if person is None else person.window(seconds)

    def steady(self, track_id: int, seconds: float, instead: Array) -> Array:
        """The mean pose of somebody's last seconds; ``instead`` of somebody without an identity."""
        person = self._known.get(track_id)
        return instead if person is None else person.steady(seconds)

    def rule(self, rule: Hysteresis) -> None:
        """Go on with another hysteresis."""
        self._rule = rule
        for person in self._known.values():
            person.rule = rule

    def forget(self, now_s: float) -> None:
        """Forget who was not seen for long, or was seen later than now (a clock that went back)."""
        self._known = {
            track_id: person
            for track_id, person in self._known.items()
            if 0 <= now_s - person.last_s <= self._forget_s
        }
