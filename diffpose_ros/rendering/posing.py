"""Bodies posed from motion capture: a rotation for each bone from 17 joints and a face.

Bones take the directions of the motion capture and keep their own lengths, so one motion fits a child and a
giant. A limb's turn about its own axis comes from the plane in which elbow or knee bends, the head's from
nose and ears. What 17 joints do not say (feet, hands, fingers) is filled in.

Letters: T frames, B bones. World: metres, Y up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.rendering.bodies import Body

Array = NDArray[np.float64]

SPINE_PART = 0.735
"""Where H36M's ``spine`` lies between the middle of the hips and ``thorax``; see data.virtual.synthesis."""

THORAX_PART = 0.857
"""Where the motion capture's ``thorax`` lies between the middles of hips and shoulders, median."""

_SPINE = ("spine05", "spine04", "spine03", "spine02", "spine01")
_NECK = ("neck01", "neck02", "neck03", "head")
_FLAT_FOOT_M = (0.03, 0.12)
"""A foot whose ankle is this much higher than standing is flat, and not flat any more."""

_ARM = {"L": (11, 12, 13), "R": (14, 15, 16)}
_LEG = {"L": (4, 5, 6), "R": (1, 2, 3)}


@dataclass(frozen=True)
class Posed:
    """A moving body.

    Attributes:
        body: whose.
        turns: (T, B, 3, 3) rotation of each bone from the rest pose, world.
        heads: (T, B, 3) where each bone begins, metres.
        h36m17: (T, 17, 3) its joints.
    """

    body: Body
    turns: Array
    heads: Array
    h36m17: Array

    def vertices(self, frame: int) -> NDArray[np.float32]:
        """The skin (V, 3) of one frame by linear blending, metres."""
        mesh = self.body.mesh
        turns = self.turns[frame].astype(np.float32)
        shift = (self.heads[frame] - np.einsum("bij,bj->bi", self.turns[frame], self.body.heads)).astype(
            np.float32
        )
        moved = np.concatenate([turns, shift[:, :, None]], axis=2).reshape(len(turns), 12)
        blended = np.einsum("vk,vkx->vx", mesh.weights, moved[mesh.weight_bones]).reshape(-1, 3, 4)
        return np.asarray(
            np.einsum("vij,vj->vi", blended[:, :, :3], self.body.vertices) + blended[:, :, 3], np.float32
        )


def pose(body: Body, motion: NDArray[np.floating], hands: float = 0.4) -> Posed:
    """Pose a body as a motion says.

    Args:
        body: whom.
        motion: (T, 21, 3) metres, world, Y up: H36M-17, left eye, right eye, left ear, right ear.
        hands: how far the fingers are bent, 0 to 1.

    Returns:
        The body in motion. Its path is scaled by its legs' length, so that feet keep to the ground.
    """
    m = np.asarray(motion, np.float64)
    mesh, rest, t = body.mesh, body.heads.astype(np.float64), len(m)
    at = {name: rest[i] for i, name in enumerate(mesh.bones)}
    turns = np.broadcast_to(np.eye(3), (t, len(mesh.bones), 3, 3)).copy()
    set_to: set[int] = set()

    def turn(names: tuple[str, ...], value: Array) -> None:
        for name in names:
            turns[:, mesh.bone(name)] = value
            set_to.add(mesh.bone(name))

    hips = (at["upperleg01.L"] + at["upperleg01.R"]) / 2
    thorax = hips + THORAX_PART * ((at["upperarm01.L"] + at["upperarm01.R"]) / 2 - hips)
    middle = hips + SPINE_PART * (thorax - hips)
    pelvis = (
        _frames(m[:, 4] - m[:, 1], m[:, 7] - m[:, 0])
        @ _frame(at["upperleg01.L"] - at["upperleg01.R"], middle - hips).T
    )
    upper = _unit(m[:, 8] - m[:, 7]) + _unit(m[:, 8] - m[:, 0])
    chest = (
        _frames(m[:, 11] - m[:, 14], upper)
        @ _frame(at["upperarm01.L"] - at["upperarm01.R"], thorax - middle).T
    )
    turn(("root", "pelvis.L", "pelvis.R"), pelvis)
    for i, name in enumerate(_SPINE):
        turn((name,), _between(pelvis, chest, i / (len(_SPINE) - 1)))
    face = body.keypoints
    head = (
        _frames(m[:, 19] - m[:, 20], m[:, 9] - (m[:, 19] + m[:, 20]) / 2)
        @ _frame(face[3] - face[4], face[0] - (face[3] + face[4]) / 2).T
    )
    for i, name in enumerate(_NECK):
        turn((name,), _between(chest, head, (i + 1) / len(_NECK)))
    _legs(m, at, pelvis, turn)
    _arms(m, at, chest, thorax, turn)
    _hands(mesh.bones, at, turns, hands, set_to)
    for b, parent in enumerate(mesh.parents):
        if b not in set_to and parent >= 0:
            turns[:, b] = turns[:, parent]
    heads = _place(body, m, turns)
    joints = _joints(body, turns, heads)
    return Posed(body, turns, heads, joints)


def _legs(m: Array, at: dict[str, Array], pelvis: Array, turn) -> None:  # type: ignore[no-untyped-def]
    standing = np.quantile(m[:, [3, 6], 1], 0.02)
    for side, (hip, knee, ankle) in _LEG.items():
        thigh, shank = m[:, knee] - m[:, hip], m[:, ankle] - m[:, knee]
        rest_thigh = at[f"lowerleg01.{side}"] - at[f"upperleg01.{side}"]
        rest_shank = at[f"foot.{side}"] - at[f"lowerleg01.{side}"]
        left = np.array([1.0, 0, 0])
        plain = _swing(pelvis @ rest_thigh, thigh) @ pelvis @ left
        axis = _hinge(thigh, shank, plain)
        upper = _frames(thigh, axis) @ _frame(rest_thigh, left).T
        lower = _frames(shank, axis) @ _frame(rest_shank, left).T
        turn((f"upperleg01.{side}", f"upperleg02.{side}"), upper)
        turn((f"lowerleg01.{side}", f"lowerleg02.{side}"), lower)
        low, high = _FLAT_FOOT_M
        lifted = np.clip((m[:, ankle, 1] - standing - low) / (high - low), 0, 1)
        up = np.array([0.0, 1.0, 0])
        flat = _swing(lower @ up, np.broadcast_to(up, (len(m), 3))) @ lower
        turn((f"foot.{side}",), _between(flat, lower, lifted[:, None]))


def _arms(m: Array, at: dict[str, Array], chest: Array, thorax: Array, turn) -> None:  # type: ignore[no-untyped-def]
    for side, (shoulder, elbow, wrist) in _ARM.items():
        reach = at[f"upperarm01.{side}"] - thorax
        wanted = _unit(m[:, shoulder] - m[:, 8]) * np.linalg.norm(reach)
        # The collar bone begins at the breastbone; it swings to where the shoulder should be.
        begin = chest @ (at[f"clavicle.{side}"] - thorax)
        rest = at[f"upperarm01.{side}"] - at[f"clavicle.{side}"]
        collar = _swing(chest @ rest, wanted - begin, most=0.6) @ chest
        turn((f"clavicle.{side}", f"shoulder01.{side}"), collar)
        arm, fore = m[:, elbow] - m[:, shoulder], m[:, wrist] - m[:, elbow]
        rest_arm = at[f"lowerarm01.{side}"] - at[f"upperarm01.{side}"]
        rest_fore = at[f"wrist.{side}"] - at[f"lowerarm01.{side}"]
        bent = np.cross(rest_arm, rest_fore)
        plain = _swing(chest @ rest_arm, arm) @ chest @ _unit(bent)
        axis = _hinge(arm, fore, plain)
        turn((f"upperarm01.{side}", f"upperarm02.{side}"), _frames(arm, axis) @ _frame(rest_arm, bent).T)
        turn(
            (f"lowerarm01.{side}", f"lowerarm02.{side}", f"wrist.{side}"),
            _frames(fore, axis) @ _frame(rest_fore, bent).T,
        )


def _hands(bones: tuple[str, ...], at: dict[str, Array], turns: Array, bend: float, set_to: set[int]) -> None:
    for side in "LR":
        across = _unit(at[f"finger2-1.{side}"] - at[f"finger5-1.{side}"])
        palm = turns[:, bones.index(f"wrist.{side}")]
        sign = 1.0 if side == "L" else -1.0
        for finger in range(1, 6):
            for part in range(1, 4):
                name = f"finger{finger}-{part}.{side}"
                angle = sign * bend * (0.4 if finger == 1 else 1.2) * part * 0.8
                turns[:, bones.index(name)] = palm @ _about(across, angle)
                set_to.add(bones.index(name))


def _place(body: Body, m: Array, turns: Array) -> Array:
    """Heads of all bones (T, B, 3): forward kinematics from the hips, which follow the motion's."""
    mesh, rest = body.mesh, body.heads.astype(np.float64)
    heads = np.zeros((len(m), len(rest), 3))
    for b, parent in enumerate(mesh.parents):
        if parent >= 0:
            heads[:, b] = heads[:, parent] + turns[:, parent] @ (rest[b] - rest[parent])
    hips = [mesh.bone("upperleg01.L"), mesh.bone("upperleg01.R")]
    knee, ankle = mesh.bone("lowerleg01.L"), mesh.bone("foot.L")
    own = np.linalg.norm(rest[hips[0]] - rest[knee]) + np.linalg.norm(rest[knee] - rest[ankle])
    theirs = sum(
        np.median(np.linalg.norm(m[:, a] - m[:, b], axis=-1)) for a, b in ((1, 2), (2, 3), (4, 5), (5, 6))
    )
    scale = 2 * own / theirs
    root = m[:, 0] * scale
    root[:, 1] += rest[ankle, 1] - scale * np.quantile(m[:, [3, 6], 1], 0.02)
    return heads + (root - heads[:, hips].mean(1))[:, None]


def _joints(body: Body, turns: Array, heads: Array) -> Array:
    mesh, rest = body.mesh, body.heads.astype(np.float64)
    out = np.empty((len(heads), 17, 3))
    for joint, name in (
        *((i, n + ".R") for i, n in ((1, "upperleg01"), (2, "lowerleg01"), (3, "foot"))),
        *((i, n + ".L") for i, n in ((4, "upperleg01"), (5, "lowerleg01"), (6, "foot"))),
        *((i, n + ".L") for i, n in ((11, "upperarm01"), (12, "lowerarm01"), (13, "wrist"))),
        *((i, n + ".R") for i, n in ((14, "upperarm01"), (15, "lowerarm01"), (16, "wrist"))),
    ):
        out[:, joint] = heads[:, mesh.bone(name)]
    out[:, 0] = (out[:, 1] + out[:, 4]) / 2
    hips = (rest[mesh.bone("upperleg01.L")] + rest[mesh.bone("upperleg01.R")]) / 2
    shoulders = (rest[mesh.bone("upperarm01.L")] + rest[mesh.bone("upperarm01.R")]) / 2
    thorax = hips + THORAX_PART * (shoulders - hips)
    spine = hips + SPINE_PART * (thorax - hips)
    crown = np.array([0.0, body.stature, rest[mesh.bone("head"), 2]])
    for joint, bone, point in (
        (7, mesh.bone("spine02"), spine),
        (8, mesh.bone("spine01"), thorax),
        (9, mesh.bone("head"), body.keypoints[0].astype(np.float64)),
        (10, mesh.bone("head"), crown),
    ):
        out[:, joint] = heads[:, bone] + turns[:, bone] @ (point - rest[bone])
    return out


def _unit(v: Array) -> Array:
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9)


def _frames(first: Array, second: Array) -> Array:
    """Rotations (..., 3, 3) whose first column is ``first``; the second lies in the plane of both."""
    a = _unit(first)
    b = _unit(second - (second * a).sum(-1, keepdims=True) * a)
    return np.stack([a, b, np.cross(a, b)], axis=-1)


_frame = _frames


def _hinge(upper: Array, lower: Array, plain: Array) -> Array:
    """The axis about which a knee or elbow bends; ``plain`` where the limb is nearly straight."""
    along = _unit(upper)
    axis = np.cross(along, _unit(lower))
    plain = _unit(plain - (plain * along).sum(-1, keepdims=True) * along)
    clear = np.clip((np.linalg.norm(axis, axis=-1, keepdims=True) - 0.15) / 0.35, 0, 1)
    # An axis that points backwards is noise of a straight limb, not a joint bent the wrong way.
    clear = clear * ((axis * plain).sum(-1, keepdims=True) > -0.2)
    return _unit(clear * _unit(axis) + (1 - clear) * plain + 1e-3 * plain)


def _swing(start: Array, end: Array, most: float = np.pi) -> Array:
    """The shortest rotations (..., 3, 3) of ``start`` onto ``end``, by at most ``most`` radians."""
    a, b = _unit(start), _unit(end)
    axis = np.cross(a, b)
    sine = np.linalg.norm(axis, axis=-1, keepdims=True)
    angle = np.arctan2(sine, (a * b).sum(-1, keepdims=True))
    return rotation(axis / np.maximum(sine, 1e-9) * np.minimum(angle, most))


def rotation(vector: Array) -> Array:
    """Rodrigues' formula: rotation vectors (..., 3) rad to matrices (..., 3, 3)."""
    angle = np.linalg.norm(vector, axis=-1)[..., None, None]
    x, y, z = np.moveaxis(_unit(vector), -1, 0)
    o = np.zeros_like(x)
    skew = np.stack([o, -z, y, z, o, -x, -y, x, o], axis=-1).reshape(*vector.shape[:-1], 3, 3)
    return np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * (skew @ skew)


def _about(axis: Array, angle: float) -> Array:
    return rotation(axis * angle)


def _between(a: Array, b: Array, part: float | Array) -> Array:
    """Rotations from ``a`` (0) to ``b`` (1) along the shortest way; ``part`` is a number or (T, 1)."""
    return rotation(_vector(b @ np.swapaxes(a, -1, -2)) * part) @ a


def _vector(r: Array) -> Array:
    """Rotation vectors (..., 3) of rotations that are no half turns."""
    axis = np.stack(
        [r[..., 2, 1] - r[..., 1, 2], r[..., 0, 2] - r[..., 2, 0], r[..., 1, 0] - r[..., 0, 1]], axis=-1
    )
    sine = np.linalg.norm(axis, axis=-1, keepdims=True) / 2
    angle = np.arctan2(sine, (np.trace(r, axis1=-2, axis2=-1)[..., None] - 1) / 2)
    return axis / np.maximum(2 * sine, 1e-9) * angle
