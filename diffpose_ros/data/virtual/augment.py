"""More bodies and more poses from few clips.

Everything works on batches of motion segments: ``body`` (B, T, 21, 3) float32, metres, Y up, the
H36M-17 joints followed by left eye, right eye, left ear, right ear (the order of
:mod:`diffpose_ros.geometry.mapping`). Limb-wise crossover and bounded joint rotations follow
EvoSkeleton (Li et al., CVPR 2020), here on whole segments so that motion stays continuous.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.data.virtual.vectors import turned

Array = NDArray[np.float32]

# child -> parent, in an order in which parents come first; the face hangs on the head.
PARENT = {
    1: 0, 2: 1, 3: 2, 4: 0, 5: 4, 6: 5, 7: 0, 8: 7, 9: 8, 10: 9, 11: 8, 12: 11, 13: 12,
    14: 8, 15: 14, 16: 15, 17: 9, 18: 9, 19: 9, 20: 9,
}  # fmt: skip
LIMBS = {
    "left_arm": (11, 12, 13),
    "right_arm": (14, 15, 16),
    "left_leg": (5, 6),
    "right_leg": (2, 3),
}
_GROUPS = {
    "upper_leg": (2, 5), "lower_leg": (3, 6), "hips": (1, 4), "spine": (7, 8), "neck": (9,),
    "head": (10, 17, 18, 19, 20), "shoulders": (11, 14), "upper_arm": (12, 15),
    "lower_arm": (13, 16),
}  # fmt: skip
_SUBTREES = {
    "left_shoulder": (11, (12, 13)), "right_shoulder": (14, (15, 16)),
    "left_elbow": (12, (13,)), "right_elbow": (15, (16,)),
    "left_hip": (4, (5, 6)), "right_hip": (1, (2, 3)),
    "left_knee": (5, (6,)), "right_knee": (2, (3,)),
    "neck": (8, (9, 10, 17, 18, 19, 20)),
    "spine": (0, (7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20)),
}  # fmt: skip
_MAX_ANGLE = {"neck": 0.35, "spine": 0.3, "left_knee": 0.3, "right_knee": 0.3}
_RIGHT = (1, 2, 3, 14, 15, 16)
_BUILD = (
    ((1, 4), 1.0), ((7,), 1.0), ((8,), 1.0), ((9,), 1.0), ((10, 17, 18, 19, 20), 1.0), ((11, 14), 1.0),
    ((2, 5), 0.5), ((3, 6), 0.5), ((12, 15), 0.5), ((13, 16), 0.5),
)  # fmt: skip
"""Bones that turn together when the build changes, and how far compared with the trunk's."""
_FLIP = np.array([0, 4, 5, 6, 1, 2, 3, 7, 8, 9, 10, 14, 15, 16, 11, 12, 13, 18, 17, 20, 19])


def bones(body: Array) -> Array:
    """Bone vectors (B, T, 21, 3) in metres: each joint minus its parent; entry 0 is the root."""
    out = body.copy()
    for child, parent in PARENT.items():
        out[:, :, child] = body[:, :, child] - body[:, :, parent]
    return out


def assemble(vectors: Array) -> Array:
    """Inverse of :func:`bones`."""
    out = vectors.copy()
    for child, parent in PARENT.items():
        out[:, :, child] = out[:, :, parent] + vectors[:, :, child]
    return out


def torso_frame(body: Array) -> Array:
    """Rotation (B, T, 3, 3) whose columns are the trunk's left, up and forward axes."""
    up = body[:, :, 8] - body[:, :, 0]
    left = body[:, :, 11] - body[:, :, 14] + body[:, :, 4] - body[:, :, 1]
    up = up / np.maximum(np.linalg.norm(up, axis=-1, keepdims=True), 1e-6)
    left = left - (left * up).sum(-1, keepdims=True) * up
    left = left / np.maximum(np.linalg.norm(left, axis=-1, keepdims=True), 1e-6)
    return np.stack([left, up, np.cross(left, up)], axis=-1)


def mirror(body: Array, which: NDArray[np.bool_]) -> Array:
    """Swap left and right of the chosen segments (B,)."""
    flipped = body[:, :, _FLIP] * np.array([-1, 1, 1], dtype=body.dtype)
    return np.where(which[:, None, None, None], flipped, body)


def crossover(body: Array, rng: np.random.Generator, probability: float) -> Array:
    """Give segments the limbs of other segments of the batch, turned with the trunk.

    Args:
        body: (B, T, 21, 3) m.
        rng: source of randomness.
        probability: chance that a limb of a segment is replaced.
    """
    frame = torso_frame(body)
    vectors = bones(body)
    local = vectors @ frame
    mixed = local.copy()
    for joints in LIMBS.values():
        donor = rng.permutation(len(body))
        take = (rng.random(len(body)) < probability)[:, None, None]
        for j in joints:
            length = np.linalg.norm(local[:, :, j], axis=-1, keepdims=True)
            given = local[donor, :, j]
            given = given / np.maximum(np.linalg.norm(given, axis=-1, keepdims=True), 1e-6)
            mixed[:, :, j] = np.where(take, given * length, local[:, :, j])
    changed = turned(frame, mixed)
    changed[:, :, 0] = vectors[:, :, 0]
    return assemble(changed.astype(np.float32))


def rotate_joints(body: Array, rng: np.random.Generator, probability: float, max_angle: float = 0.5) -> Array:
    """Turn limbs, neck and trunk by bounded, slowly changing rotations.

    Args:
        body: (B, T, 21, 3) m.
        rng: source of randomness.
        probability: chance per segment and joint.
        max_angle: bound of the rotation, radians; trunk, neck and knees have smaller bounds.
    """
    b, t = body.shape[:2]
    vectors = bones(body)
    ramp = np.linspace(0, 1, t, dtype=np.float32)[None, :, None]
    for name, (_, moved) in _SUBTREES.items():
        take = np.asarray(rng.random(b) < probability)[:, None, None]
        limit = min(max_angle, _MAX_ANGLE.get(name, max_angle))
        start, end = rng.normal(size=(2, b, 1, 3)).astype(np.float32) * (limit / 2)
        end = start + 0.5 * (end - start)
        vector = np.where(take, start + (end - start) * ramp, 0.0)
        norm = np.linalg.norm(vector, axis=-1, keepdims=True)
        vector = vector * np.minimum(1.0, limit / np.maximum(norm, 1e-6))
        turn = rotation_from_vector(vector)
        index = list(moved)
        vectors[:, :, index] = turned(turn, vectors[:, :, index])
    return assemble(vectors)


def reshape_body(body: Array, rng: np.random.Generator, spread: float = 0.08) -> Array:
    """Other statures and proportions: one scale per body and one per group of bones.

    Left and right change together. The root's path is scaled with the stature, so feet keep
    to the ground.

    Args:
        body: (B, T, 21, 3) m.
        rng: source of randomness.
        spread: standard deviation of the logarithm of a bone group's scale.
    """
    b = len(body)
    vectors = bones(body)
    stature = np.exp(np.clip(rng.normal(0.0, 0.075, b), -0.25, 0.2)).astype(np.float32)
    scale = np.ones((b, 21), np.float32)
    for joints in _GROUPS.values():
        scale[:, list(joints)] = np.exp(np.clip(rng.normal(0, spread, b), -0.2, 0.2))[:, None]
    return assemble(vectors * (scale * stature[:, None])[:, None, :, None])


def offset_bones(body: Array, rng: np.random.Generator, spread: float) -> Array:
    """Other builds and postures: each bone turned by an angle that stays, in the trunk's frame.

    People differ in where their hips, shoulders and heads sit and in how they hold themselves, and
    skeletons that were fitted to them differ in where they put the joints. Left and right turn as
    mirror images. Limbs turn half as far.

    Args:
        body: (B, T, 21, 3) m.
        rng: source of randomness.
        spread: standard deviation of the rotation vectors' entries, radians.
    """
    frame = torso_frame(body)
    vectors = bones(body)
    local = vectors @ frame
    moved = local.copy()
    mirrored = np.array([1.0, -1.0, -1.0], dtype=np.float32)  # of a rotation vector, trunk's left first
    for joints, share in _BUILD:
        vector = np.clip(rng.normal(size=(len(body), 3)), -2.5, 2.5).astype(np.float32) * (spread * share)
        for j in joints:
            turn = rotation_from_vector(vector * mirrored if j in _RIGHT else vector)
            moved[:, :, j] = turned(turn, local[:, :, j])
    changed = turned(frame, moved)
    changed[:, :, 0] = vectors[:, :, 0]
    return assemble(changed.astype(np.float32))


def rotation_from_vector(vector: Array) -> Array:
    """Rodrigues' formula: rotation vectors (..., 3) rad to matrices (..., 3, 3)."""
    angle = np.linalg.norm(vector, axis=-1)[..., None, None]
    axis = vector / np.maximum(angle[..., 0], 1e-8)
    x, y, z = axis[..., 0], axis[..., 1], axis[..., 2]
    zero = np.zeros_like(x)
    skew = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1)
    skew = skew.reshape(*vector.shape[:-1], 3, 3)
    eye = np.eye(3, dtype=vector.dtype)
    return eye + np.sin(angle) * skew + (1 - np.cos(angle)) * (skew @ skew)
