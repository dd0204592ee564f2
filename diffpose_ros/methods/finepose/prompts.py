"""Prompts: the words in which a denoiser is told what is known of a person (FinePOSE sec. 3.2).

There are seven prompts, as in the paper. Each takes one of a few words, or is unknown. No text encoder
reads them: a word is a row of a table in the checkpoint. As numbers, all prompts together are one vector of
V weights. Each prompt has a segment of it: the weight of "unknown", then one for each word.

``person`` has no words: it is the same for everyone. A segment whose weights are all zero is left to the
network, which fills in what it believes itself; it does so for ``action``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import ConfigError

_OF_TRACK = re.compile(r"(\d{1,18})\s*:(.*)", re.ASCII | re.DOTALL)
"""A person's track id, and what is said of them."""
UNKNOWN = "unknown"
AUTO = "auto"
"""Names of no word: nothing is said of it; it is worked out."""

ACTION, SPEED = "action", "speed"
PARTS = ("head", "body", "arms", "legs")
"""The prompts about a part of the body: how much of it is seen."""

ACTIONS = (
    "standing", "walking", "walking_backwards", "running", "sidestepping", "jumping", "skipping",
    "crouching", "sitting", "lying", "crawling", "lifting", "carrying", "climbing", "gesturing",
    "dancing", "playing_ball", "fighting", "exercising", "acrobatics",
)  # fmt: skip
SPEEDS = ("still", "slow", "brisk", "fast")
SEEN = ("seen", "partly_seen", "hidden")

Words = Mapping[str, Sequence[str]]
Said = dict[str, str]
"""Prompt -> its word, or :data:`UNKNOWN`."""

WORDS: dict[str, tuple[str, ...]] = {
    "person": (), ACTION: ACTIONS, SPEED: SPEEDS, **dict.fromkeys(PARTS, SEEN)
}  # fmt: skip
"""Prompt -> its words, in the paper's order."""


@dataclass(frozen=True)
class Vocabulary:
    """Which prompts and words there are.

    Attributes:
        words: prompt -> its words.
    """

    words: Words

    def __post_init__(self) -> None:
        for prompt, words in self.words.items():
            if len(set(words)) != len(words) or {UNKNOWN, AUTO} & set(words):
                raise ConfigError(f"prompts: {prompt}: expected distinct words, got {', '.join(words)}")

    def __len__(self) -> int:
        return sum(1 + len(words) for words in self.words.values())

    def segment(self, prompt: str) -> slice:
        """Where a prompt's weights stand: unknown first, then its words."""
        start = 0
        for name, words in self.words.items():
            if name == prompt:
                return slice(start, start + 1 + len(words))
            start += 1 + len(words)
        raise KeyError(prompt)

    def column(self, prompt: str, word: str) -> int:
        """Where the weight of one word stands."""
        at = 0 if word == UNKNOWN else 1 + list(self.words[prompt]).index(word)
        return self.segment(prompt).start + at

    def unknown(self) -> NDArray[np.float32]:
        """(V,) nothing is known."""
        weights = np.zeros(len(self), np.float32)
        weights[[self.column(prompt, UNKNOWN) for prompt in self.words]] = 1.0
        return weights

    def write(self, said: Mapping[str, str], into: NDArray[np.float32]) -> None:
        """Put what was said in the place of what stands in ``into`` (..., V)."""
        for prompt, word in said.items():
            into[..., self.segment(prompt)] = 0.0
            into[..., self.column(prompt, word)] = 1.0

    def parse(self, text: str) -> Said:
        """What a user says of a person.

        Args:
            text: words, separated by commas, each with its prompt before a colon or, where one prompt alone
                has it, without: ``walking``, ``action: walking, legs: hidden``. ``unknown`` by itself means
                that nothing is known; nothing, or ``auto``, that all is worked out.

        Raises:
            ConfigError: a prompt or a word does not exist; the message lists those that do.
        """
        said: Said = {}
        for part in filter(None, (p.strip() for p in text.split(","))):
            before, colon, after = (p.strip() for p in part.partition(":"))
            if not colon:
                said |= self._bare(_plain(before))
                continue
            prompt, word = _plain(before), _plain(after)
            if not self.words.get(prompt):
                raise ConfigError(
                    f"prompt '{_short(before)}': expected one of {', '.join(self._settable())}{self._all()}"
                )
            if word == AUTO:
                said.pop(prompt, None)
            elif word == UNKNOWN or word in self.words[prompt]:
                said[prompt] = word
            else:
                known = (UNKNOWN, AUTO, *self.words[prompt])
                raise ConfigError(
                    f"prompt {prompt}: expected one of {', '.join(known)}; got '{_short(after)}'"
                    + _nearest(word, known)
                )
        return said

    def parse_all(self, text: str) -> tuple[Said, dict[int, Said]]:
        """What a user says of everyone and of single people.

        Args:
            text: what :meth:`parse` takes, and after semicolons the same of single people, behind their track
                id: ``walking; 3: lying; 7: sitting, legs: hidden``. What is said of one person stands for
                itself: the rest of it is worked out.

        Raises:
            ConfigError: see :meth:`parse`; or something is said twice.
        """
        everyone: Said | None = None
        people: dict[int, Said] = {}
        for part in filter(None, (p.strip() for p in text.split(";"))):
            found = _OF_TRACK.match(part)
            if found:
                track_id = int(found[1])
                if track_id in people:
                    raise ConfigError(f"prompt: track {track_id} is told twice")
                people[track_id] = self.parse(found[2])
            elif everyone is not None:
                raise ConfigError(
                    f"prompt '{_short(part)}': expected a track id before what comes after a semicolon, "
                    "as in 'walking; 3: lying'"
                )
            else:
                everyone = self.parse(part)
        return everyone or {}, people

    def _bare(self, word: str) -> Said:
        """A word without its prompt."""
        if word == AUTO:
            return {}
        if word == UNKNOWN:
            return dict.fromkeys(self._settable(), UNKNOWN)
        having = [prompt for prompt in self._settable() if word in self.words[prompt]]
        if len(having) == 1:
            return {having[0]: word}
        if having:
            raise ConfigError(f"prompt '{word}': say of what, as in '{having[0]}: {word}'; {_or(having)}")
        known = [w for p in self._settable() for w in self.words[p]]
        raise ConfigError(f"prompt '{_short(word)}': no such word{_nearest(word, known)}{self._all()}")

    def _settable(self) -> list[str]:
        return [prompt for prompt, words in self.words.items() if words]

    def _all(self) -> str:
        """Everything that may be said, for an error's text."""
        listed = "; ".join(f"{p}: {', '.join(self.words[p])}" for p in self._settable())
        return f"; there are: {listed}; and {UNKNOWN}, {AUTO}"


STANDARD = Vocabulary(WORDS)
EVERYONE = -1


def with_prompt(text: str, track_id: int, words: str) -> str:
    """Replace the words of one person, or of everyone, in a text for :meth:`Vocabulary.parse_all`.

    Args:
        text: text so far.
        track_id: id of the person; :data:`EVERYONE`: everyone without words of their own.
        words: new words; empty or ``auto``: inferred.

    Raises:
        ConfigError: the id is invalid, or the words are for several people.
    """
    if track_id < EVERYONE:
        raise ConfigError(f"track_id: expected 0 or more, or {EVERYONE} for everyone, got {track_id}")
    if ";" in words or _OF_TRACK.match(words.strip()):
        raise ConfigError(
            f"prompt '{_short(words)}': expected what is said of one person; name them by track_id"
        )
    parts = [part for part in (p.strip() for p in text.split(";")) if part]
    said = {int(found[1]) if (found := _OF_TRACK.match(part)) else EVERYONE: part for part in parts}
    said.pop(track_id, None)
    if _plain(words) not in ("", AUTO):
        said[track_id] = words.strip() if track_id == EVERYONE else f"{track_id}: {words.strip()}"
    elif track_id != EVERYONE and EVERYONE in said:
        said[track_id] = f"{track_id}: {AUTO}"
    return "; ".join(said[key] for key in sorted(said))


def _plain(text: str) -> str:
    return "_".join(text.lower().replace("-", " ").replace("_", " ").split())


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."


def _or(names: Sequence[str]) -> str:
    return f"it may be said of {' or '.join(names)}"


def _nearest(word: str, known: Sequence[str]) -> str:
    near = get_close_matches(word, known, 1)
    return f"; did you mean '{near[0]}'?" if near else ""
