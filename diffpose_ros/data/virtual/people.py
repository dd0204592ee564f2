"""Bodies of people who are not in the motion capture: both sexes, adults and children, true faces.

Adults' bones follow ANSUR II (4,082 men and 1,986 women of the US Army): each length as a power of stature
and a residual of its own. Children's bones are an adult's times a power of stature, measured on bodies of
the model Anny from birth to 16 years: heads grow less than legs. ``bodies.json`` has the numbers. Lengths
are those of the motion capture's skeleton at its reference stature, times the ratio that the person's
measure has to an average man's, since anthropometers' landmarks are no joints.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core.typed_config import at_least, share, span
from diffpose_ros.data.virtual import augment

_HEAD = [9, 10, 17, 18, 19, 20]
_COCO_FROM_BODY = [9, 17, 18, 19, 20, 11, 14, 12, 15, 13, 16, 4, 1, 5, 2, 6, 3]
_ALONG = {(7, 8): (11, 12, 14, 15), (9, 10): (12, 13, 15, 16), (13, 14): (4, 5, 1, 2), (15, 16): (5, 6, 2, 3)}
"""COCO's left and right joint -> H36M's upper end and joint of its bone, left and right."""


@dataclass(frozen=True)
class PeopleConfig:
    """Whose bodies move.

    Attributes:
        own: share who keep the motion capture's body, face and all, with COCO's keypoints at the joints, as
            benchmarks made from motion capture have it.
        women: share of women among adults.
        children: share of children.
        child_stature_m: smallest and tallest child, uniform.
        asymmetry: standard deviation of the logarithm by which left and right bones differ.
        face_up_m: how far nose, eyes and ears are raised above where the motion capture has them, at an
            adult's size; 0 for data whose faces are right.
        face_up_spread_m: its standard deviation.
        face_spread: standard deviation of the logarithm of the face's size.
        coco_offsets: how far COCO's hips, shoulders, elbows, wrists, knees and ankles lie from the joints,
            1 as measured.
        coco_spread_m: standard deviation per person and axis.
    """

    women: float = 0.5
    children: float = 0.25
    child_stature_m: tuple[float, float] = (0.5, 1.5)
    asymmetry: float = 0.004
    face_up_m: float = 0.044
    face_up_spread_m: float = 0.014
    face_spread: float = 0.06
    coco_offsets: float = 1.0
    coco_spread_m: float = 0.01
    own: float = 0.0

    def __post_init__(self) -> None:
        share("own", self.own)
        share("women", self.women)
        share("children", self.children)
        span("child_stature_m", self.child_stature_m, above=0.4)
        for name in ("asymmetry", "face_up_spread_m", "face_spread", "coco_offsets", "coco_spread_m"):
            at_least(name, getattr(self, name), 0.0)


@dataclass(frozen=True)
class People:
    """Bodies drawn for a batch of segments.

    Attributes:
        stature: (B,) metres.
        child: (B,) whether it is a child.
        lengths: (B, 21) metres of the bone that ends in each joint; 0 for the root.
        head: (B,) size of the head over an average man's.
        face_up: (B,) metres by which the face is raised.
        coco: (B, 17, 3) metres by which COCO's keypoints lie off the joints: hips and shoulders along the
            trunk's left, up and forward axes, others along their bone in the first number.
        own: (B,) whose body stays the motion capture's.
    """

    stature: NDArray[np.float64]
    child: NDArray[np.bool_]
    lengths: NDArray[np.float64]
    head: NDArray[np.float64]
    face_up: NDArray[np.float64]
    coco: NDArray[np.float64]
    own: NDArray[np.bool_]

    def repeated(self, times: int) -> People:
        """All of them, ``times`` times in a row."""
        return People(
            *(np.concatenate([getattr(self, f.name)] * times) for f in fields(self)),
        )


@functools.cache
def _numbers() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(Path(__file__).with_name("bodies.json").read_text())
    return content


def draw_people(count: int, rng: np.random.Generator, config: PeopleConfig) -> People:
    """Draw ``count`` bodies.

    Args:
        count: B.
        rng: source of randomness.
        config: whose.
    """
    numbers = _numbers()
    average = numbers["male"]
    child = rng.random(count) < config.children
    woman = rng.random(count) < config.women
    unit = rng.normal(size=count)
    stature = np.empty(count)
    for sex, mine in (("male", ~woman), ("female", woman)):
        stature[mine] = numbers[sex]["stature"]["mean"] * np.exp(
            numbers[sex]["stature"]["cv"] * np.clip(unit[mine], -3, 3)
        )
    stature[child] = rng.uniform(*config.child_stature_m, int(child.sum()))
    lengths = np.zeros((count, 21))
    for bone, (measure, joints) in numbers["bones"].items():
        residual = np.clip(rng.normal(size=count), -3, 3)
        ratio = np.empty(count)
        for sex, mine in (("male", ~woman), ("female", woman)):
            m = numbers[sex][measure]
            tall = stature[mine] / numbers[sex]["stature"]["mean"]
            ratio[mine] = (
                m["mean"]
                / average[measure]["mean"]
                * tall ** m["slope"]
                * np.exp(m["residual_cv"] * residual[mine])
            )
        grown = numbers["children"][bone]
        small = (stature / numbers["children"]["adult_stature"]) ** grown["slope"]
        ratio[child] = (small * np.exp(grown["residual_cv"] * residual))[child]
        uneven = np.exp(config.asymmetry * rng.normal(size=(count, len(joints))))
        lengths[:, joints] = (numbers["reference_m"][bone] * ratio)[:, None] * uneven
    of_child = (stature / numbers["children"]["adult_stature"]) ** numbers["children"]["head"]["slope"]
    head = np.where(child, of_child, (stature / average["stature"]["mean"]) ** 0.3)
    head = head * np.exp(config.face_spread * np.clip(rng.normal(size=count), -2.5, 2.5))
    size = (stature / average["stature"]["mean"])[:, None, None]
    offsets = config.coco_offsets * np.array(numbers["coco_offsets_m"])
    coco = size * (offsets + config.coco_spread_m * rng.normal(size=(count, 17, 3)))
    coco[:, :5] = 0.0
    own = np.zeros(count, bool)
    if config.own > 0:
        own = rng.random(count) < config.own
        coco[own] = 0.0
    up = config.face_up_m + config.face_up_spread_m * np.clip(rng.normal(size=count), -2.5, 2.5)
    up = up * (lengths[:, 9] / numbers["reference_m"]["neck"])
    return People(stature, child, lengths, head, up, coco, own)


def become(body: NDArray[np.float32], people: People) -> NDArray[np.float32]:
    """Motion segments as those people would do them.

    Directions of bones stay; the path is scaled by the legs, so that feet keep to the ground.

    Args:
        body: (B, T, 21, 3) metres, Y up.
        people: B of them.
    """
    vectors = augment.bones(body)
    own = np.linalg.norm(vectors, axis=-1).mean(1)
    scale = np.ones((len(body), 21), np.float32)
    face = [10, 17, 18, 19, 20]
    sized = [j for j in range(1, 21) if j not in face]
    scale[:, sized] = people.lengths[:, sized] / np.maximum(own[:, sized], 1e-3)
    reference = _numbers()["reference_m"]
    # A head is one rigid thing: its points keep their places to each other.
    heads = people.head * reference["eye"] / np.maximum(own[:, [17, 18]].mean(1), 1e-3)
    scale[:, face] = heads[:, None]
    legs = [2, 3, 5, 6]
    scale[:, 0] = people.lengths[:, legs].sum(1) / np.maximum(own[:, legs].sum(1), 1e-3)
    out = augment.assemble((vectors * scale[:, None, :, None]).astype(np.float32))
    up = out[:, :, 10] - out[:, :, 8]
    up = up / np.maximum(np.linalg.norm(up, axis=-1, keepdims=True), 1e-6)
    out[:, :, _HEAD] += (up * people.face_up[:, None, None])[:, :, None].astype(np.float32)
    return np.where(people.own[:, None, None, None], body, out)


def coco_keypoints(body: NDArray[np.float32], people: People | None) -> NDArray[np.float32]:
    """Where a detector's COCO-17 keypoints would lie on bodies, metres, (B, T, 17, 3).

    Args:
        body: (B, T, 21, 3) metres, any right-handed frame.
        people: whose; with ``None`` keypoints are the joints.
    """
    points = body[:, :, _COCO_FROM_BODY].copy()
    if people is None:
        return points
    frame = augment.torso_frame(body)
    for left, right in ((5, 6), (11, 12)):
        for joint in (left, right):
            away = people.coco[:, left] * ([1, 1, 1] if joint == left else [-1, 1, 1])
            points[:, :, joint] += np.einsum("btij,bj->bti", frame, away.astype(np.float32))
    for (left, right), (a, b, c, d) in _ALONG.items():
        for joint, upper, lower in ((left, a, b), (right, c, d)):
            along = body[:, :, upper] - body[:, :, lower]
            along = along / np.maximum(np.linalg.norm(along, axis=-1, keepdims=True), 1e-6)
            points[:, :, joint] += along * people.coco[:, left, :1, None].astype(np.float32)
    return np.asarray(points, np.float32)
