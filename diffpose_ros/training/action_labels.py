"""What people do in motion capture, as the words of prompts: from the clips' own actions and names.

Archives name actions each in their own way. A clip's ``action`` is read first, by the words in it; clips
without one are looked up by their number in the CMU database, as its index describes them. What goes from
one action to another ("WalkToCrouch") is the first in its first third, the second in its last third, and
unknown between. Sitting has no clip of its own: it is told by the legs, where a clip's action allows it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import H36M17
from diffpose_ros.data.clips import Clip
from diffpose_ros.methods.finepose.prompts import ACTIONS

NO_LABEL = -1

_WORDS = (
    ("run backwards", "running"), ("(turn|stop) forwards|[a-z ]* (turn|stop) forwards", None),
    ("walk back", "walking_backwards"), ("side step", "sidestepping"),
    ("with box|carry", "carrying"), ("pick up|put down|lift", "lifting"), ("crawl", "crawling"),
    ("lie|lying", "lying"), ("crouch|squat", "crouching"), ("sit", "sitting"), ("skip", "skipping"),
    ("jump|hop|leap", "jumping"), ("run|jog", "running"), ("walk", "walking"),
    ("cart wheel|acrobat|flip", "acrobatics"), ("danc|salsa|ballet|michael jackson", "dancing"),
    ("basketball signal|traffic|gesture|conversation|signal|wave|point", "gesturing"),
    ("basketball|soccer|ball", "playing_ball"), ("martial|fight|box|kick|punch|karate", "fighting"),
    ("exercise", "exercising"), ("climb|playground", "climbing"), ("stand|sway|look|wait", "standing"),
)  # fmt: skip
"""Words in an action -> the prompt's word; the first that fits counts."""

_CMU = (
    (r"01_(0[2-9]|1[0-2])", "climbing"), (r"02_0[12]", "walking"), (r"02_03", "running"),
    (r"02_04", "jumping"), (r"02_0[5789]", "fighting"), (r"02_06", "lifting"), (r"03_0[12]", "walking"),
    (r"0[5678]_01", "walking"), (r"0[78]_\d\d", "walking"), (r"09_\d\d", "running"), (r"16_11", None),
    (r"16_(1[5-6]|2[12]|3[12]|47|58)", "walking"), (r"35_(0\d|1[0-6]|2[89]|3\d)", "walking"),
    (r"3[89]_\d\d", "walking"), (r"43_01", "walking"),
)  # fmt: skip
"""Numbers of CMU clips whose action is not told in their archive."""

_SIT_IN = ("climbing", "sitting", None)
_THIGH, _SHANK, _TRUNK = 0.5, 0.6, 0.7
"""Somebody sits whose thighs rise less than the first, whose shanks and trunk stand more than the others
(cosines of the angle to the vertical)."""


def action_of(text: str) -> str | None:
    """The prompt's word for one action, or ``None``."""
    plain = " ".join(re.findall(r"[A-Z]?[a-z]+|[A-Z]+", text.replace("_", " "))).lower()
    return next((word for words, word in _WORDS if re.search(rf"\b({words})", plain)), None)


def label_clip(clip: Clip) -> NDArray[np.int64]:
    """What is done in each frame: indices into :data:`ACTIONS`, :data:`NO_LABEL` where unknown."""
    labels = np.full(len(clip), NO_LABEL)
    whole = _named(clip)
    third = len(clip) // 3
    for part, word in zip(_thirds(len(clip), third), whole, strict=True):
        if word is not None:
            labels[part] = ACTIONS.index(word)
    if all(word in _SIT_IN for word in whole):
        labels[_sitting(clip)] = ACTIONS.index("sitting")
    return labels


def label_clips(clips: Sequence[Clip]) -> NDArray[np.int64]:
    """The labels of all clips, one after the other."""
    return np.concatenate([label_clip(clip) for clip in clips])


def _thirds(frames: int, third: int) -> tuple[slice, slice, slice]:
    return slice(0, third), slice(third, frames - third), slice(frames - third, frames)


def _named(clip: Clip) -> tuple[str | None, str | None, str | None]:
    """What the beginning, the middle and the end of a clip are said to be."""
    found = re.match(r"cmu_(\d\d_\d\d)", clip.name)
    if found and (not clip.action or found[1] == "16_11"):
        word = next((w for number, w in _CMU if re.fullmatch(number, found[1])), None)
        return word, word, word
    steps = [action_of(step) for step in re.sub(r"\d", "", clip.action).split("To")]
    if len(steps) == 1:
        return steps[0], steps[0], steps[0]
    return steps[0], steps[1] if len(steps) == 3 else None, steps[-1]


def _sitting(clip: Clip) -> NDArray[np.bool_]:
    """(T,) frames in which somebody sits."""
    xyz = clip.with_up("y").h36m17

    def rise(a: str, b: str) -> NDArray[np.floating]:
        bone = xyz[:, H36M17.index(a)] - xyz[:, H36M17.index(b)]
        return bone[:, 1] / np.maximum(np.linalg.norm(bone, axis=-1), 1e-6)

    sits = rise("thorax", "hip") > _TRUNK
    for side in ("left", "right"):
        sits &= np.abs(rise(f"{side}_hip", f"{side}_knee")) < _THIGH
        sits &= rise(f"{side}_knee", f"{side}_ankle") > _SHANK
    return np.asarray(sits)
