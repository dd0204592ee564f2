"""Taught poses and motions: names, each with what counts, how near is near, and examples.

A name may be defined, too: by cases, which are ranges of what is measured. Then its examples show it to a
search in recordings, and only those that were taught besides say that somebody does it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import InputError
from diffpose_ros.search import cases, parts, windows
from diffpose_ros.search.kinds import LIFTED_POSE, Kind
from diffpose_ros.search.vectors import JOINTS, distance, upright

Array = NDArray[np.float64]

LONGEST_NAME = 64
MOST_EXAMPLES = 1000
MOST_NAMES = 1000
RADIUS_M = 0.16
"""How near is near, where nobody said it."""
RADII = {"arms": 0.20, "left arm": 0.20, "right arm": 0.20}
"""Of parts whose joints stray most."""
RADII_M = (0.01, 1.0)


@dataclass(frozen=True)
class Example:
    """One time that a name was taught.

    Attributes:
        vectors: (N, 17, 3) metres: one pose (N = 1), or a window at :data:`windows.RATE_HZ`.
        source: where it is from: a file and its time, a track, "written down".
        counts: whether who is near it does what the name says; ``False`` where the name's cases say that.
    """

    vectors: Array
    source: str = ""
    counts: bool = True

    def __post_init__(self) -> None:
        made = np.asarray(self.vectors, dtype=np.float64)
        if made.ndim != 3 or made.shape[1:] != (JOINTS, 3) or not len(made):
            raise InputError(f"example: expected vectors (N, {JOINTS}, 3), got {made.shape}")
        if not np.isfinite(made).all() or np.abs(made).max() > 10.0:
            raise InputError("example: expected finite joints of a body of average size, within 10 m")
        object.__setattr__(self, "vectors", made)


@dataclass(frozen=True)
class Taught:
    """One name.

    Attributes:
        name: what it is called.
        examples: at least one.
        part: joints that count, of :data:`parts.PARTS`.
        group: of names in one group at most one is active; empty: none.
        seconds: length of a motion; 0: a pose.
        radius: distance up to which it counts, metres.
        told: whether it is told when it is active. One that is not keeps its group from a name that would
            fit less: what half-bent knees are not.
        cases: what defines the name, beside the examples that count.

    Raises:
        InputError: something is out of its range, or an example has another length.
        ConfigError: no such part.
    """

    name: str
    examples: tuple[Example, ...]
    part: str = parts.WHOLE
    group: str = ""
    seconds: float = 0.0
    radius: float = RADIUS_M
    told: bool = True
    cases: cases.Cases = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", checked_name(self.name))
        parts.weights(self.part)
        if len(self.group) > LONGEST_NAME or not (self.group.isprintable() or not self.group):
            raise InputError(f"group: expected up to {LONGEST_NAME} printable characters")
        if not RADII_M[0] <= self.radius <= RADII_M[1]:
            raise InputError(
                f"radius of '{self.name}': expected {RADII_M[0]:g} to {RADII_M[1]:g} m, got {self.radius:g}"
            )
        if not 1 <= len(self.examples) <= MOST_EXAMPLES:
            raise InputError(
                f"'{self.name}': expected 1 to {MOST_EXAMPLES} examples, got {len(self.examples)}"
            )
        frames = windows.frames_of(self.seconds) if self.motion else 1
        for example in self.examples:
            if len(example.vectors) != frames:
                raise InputError(
                    f"'{self.name}': expected examples of {frames} frames, got {len(example.vectors)}"
                )

    @property
    def motion(self) -> bool:
        """Whether it is a motion, and not a pose."""
        return self.seconds != 0

    @cached_property
    def shown(self) -> Taught | None:
        """The name by its examples that count alone; ``None`` without any."""
        counting = tuple(example for example in self.examples if example.counts)
        return replace(self, examples=counting, cases=()) if counting else None

    @cached_property
    def joints(self) -> NDArray[np.int64]:
        """(C,) joints that count, each alike."""
        return np.flatnonzero(parts.weights(self.part))

    @cached_property
    def compared(self) -> Array:
        """(E, N, C, 3) all examples, as they are compared."""
        return self.seen(np.stack([example.vectors for example in self.examples]))

    @cached_property
    def movement(self) -> Array:
        """(E,) how much each example moves, metres."""
        return windows.movement(self.compared)

    def seen(self, vectors: Array) -> Array:
        """(..., C, 3) of vectors (..., 17, 3), what counts of them."""
        if self.part in parts.UPRIGHT:
            vectors = upright(vectors)
        return vectors[..., self.joints, :]

    def distance(self, query: Array) -> float:
        """Of the nearest example, metres.

        Args:
            query: (V, 17, 3) variants of a pose; for a motion (N, 17, 3) its window. A motion that moves
                much less or more than every example is infinitely far.
        """
        seen = self.seen(query)
        if not self.motion:
            return float(distance(seen[:, None], self.compared[None, :, 0]).min())
        ratio = windows.movement(seen) / np.maximum(self.movement, 1e-6)
        alike = (ratio >= windows.LIVELY[0]) & (ratio <= windows.LIVELY[1])
        if not alike.any():
            return math.inf
        return float(windows.warped(seen, self.compared[alike]).min())

    def nearness(self, apart: float, query: Array | None, measured: Mapping[str, float]) -> float:
        """How near somebody is: 1 where the name begins to count.

        Args:
            apart: distance of the nearest example, metres.
            query: what :meth:`distance` takes; ``None`` where the window of a motion was not seen.
            measured: see :mod:`diffpose_ros.search.measures`.
        """
        if not self.cases:
            return apart / self.radius
        near = cases.nearness(self.cases, measured)
        if self.shown is not None and query is not None:
            near = min(near, self.shown.distance(query) / self.radius)
        return near


def default_radius(part: str) -> float:
    """How near is near for a part of the body, metres."""
    return RADII.get(part, RADIUS_M)


def checked_name(name: str) -> str:
    """The name without spaces around it.

    Raises:
        InputError: it is empty, long, or not printable.
    """
    text = " ".join(name.split())
    if not text or len(text) > LONGEST_NAME or not text.isprintable():
        raise InputError(f"name: expected 1 to {LONGEST_NAME} printable characters, got '{text[:80]}'")
    return text


@dataclass(frozen=True)
class Gallery:
    """Names in the order of teaching.

    Attributes:
        taught: each name once.
        kind: of the vectors.
        about: where the gallery is from, for people.
    """

    taught: tuple[Taught, ...] = ()
    kind: Kind = LIFTED_POSE
    about: str = ""

    def __post_init__(self) -> None:
        names = [one.name for one in self.taught]
        if len(set(names)) != len(names):
            raise InputError("gallery: expected each name once")
        if len(names) > MOST_NAMES:
            raise InputError(f"gallery: expected at most {MOST_NAMES} names, got {len(names)}")

    def __len__(self) -> int:
        return len(self.taught)

    @property
    def names(self) -> tuple[str, ...]:
        """What was taught."""
        return tuple(one.name for one in self.taught)

    @cached_property
    def _by_part(self) -> list[tuple[list[str], Array, NDArray[np.int64]]]:
        """Of each part its poses' names, all their examples, and where those of each name begin."""
        made = []
        for part in dict.fromkeys(one.part for one in self.taught if not one.motion):
            alike = [one for one in self.taught if one.part == part and not one.motion]
            starts = np.cumsum([0, *(len(one.examples) for one in alike[:-1])])
            made.append((alike, np.concatenate([one.compared[:, 0] for one in alike]), starts))
        return [([one.name for one in alike], examples, starts) for alike, examples, starts in made]

    def pose_distances(self, query: Array) -> dict[str, float]:
        """Of each taught pose the distance of its nearest example, metres, in one go for each part.

        Args:
            query: (V, 17, 3) the variants of a pose.
        """
        by_name = {one.name: one for one in self.taught}
        out: dict[str, float] = {}
        straight: Array | None = None
        for names, examples, starts in self._by_part:
            one = by_name[names[0]]
            seen = query
            if one.part in parts.UPRIGHT:
                straight = upright(query[:1]) if straight is None else straight  # variants differ by the lean
                seen = straight
            apart = distance(seen[:, None, one.joints], examples[None]).min(axis=0)
            nearest = np.minimum.reduceat(apart, starts)
            out.update(zip(names, nearest.tolist(), strict=True))
        return out

    def find(self, name: str) -> Taught:
        """One name.

        Raises:
            InputError: it was not taught; the text says what was.
        """
        text = checked_name(name)
        for one in self.taught:
            if one.name == text:
                return one
        known = ", ".join(self.names[:20]) or "nothing"
        raise InputError(f"'{text}' was not taught; the gallery holds {known}")

    def with_example(self, new: Taught) -> Gallery:
        """The gallery and one more: of a name that is there, the examples are added.

        Raises:
            InputError: that name stands for another part, or another length.
        """
        for k, one in enumerate(self.taught):
            if one.name != new.name:
                continue
            for what, a, b in (("part", one.part, new.part), ("length", one.seconds, new.seconds)):
                if a != b:
                    raise InputError(
                        f"'{one.name}' was taught with another {what} ({a}, now {b}): forget it first, or "
                        "choose another name"
                    )
            more = replace(
                new, examples=(*one.examples, *new.examples), group=new.group or one.group, cases=one.cases
            )
            return replace(self, taught=(*self.taught[:k], more, *self.taught[k + 1 :]))
        return replace(self, taught=(*self.taught, new))

    def without(self, name: str) -> Gallery:
        """The gallery without a name.

        Raises:
            InputError: it was not taught.
        """
        gone = self.find(name)
        return replace(self, taught=tuple(one for one in self.taught if one is not gone))

    def like(self, words: str) -> Sequence[Taught]:
        """Names that contain all words of a text: ``arm raised`` finds ``left arm raised``."""
        wanted = set(checked_name(words).lower().split())
        exact = [one for one in self.taught if one.name.lower() == " ".join(words.lower().split())]
        return exact or [one for one in self.taught if wanted <= set(one.name.lower().split())]
