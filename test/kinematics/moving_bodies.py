"""Bodies posed by known rotations, and motions of them that are made: every joint turns smoothly at
random within what people can do."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from diffpose_ros.core import H36M17

OFFSETS = {
    "right_hip": (0, 0, 0.13), "right_knee": (0, -0.44, 0), "right_ankle": (0, -0.42, 0),
    "left_hip": (0, 0, -0.13), "left_knee": (0, -0.44, 0), "left_ankle": (0, -0.42, 0),
    "spine": (0, 0.24, 0), "thorax": (0, 0.25, 0), "nose": (0.1, 0.11, 0), "head_top": (-0.1, 0.12, 0),
    "left_shoulder": (0, 0, -0.17), "left_elbow": (0, -0.29, 0), "left_wrist": (0, -0.25, 0),
    "right_shoulder": (0, 0, 0.17), "right_elbow": (0, -0.29, 0), "right_wrist": (0, -0.25, 0),
}  # fmt: skip
"""Neutral stance in a segment's frame: X forward, Y up, Z right."""
PARENTS = {
    "right_hip": "hip", "right_knee": "right_hip", "right_ankle": "right_knee", "left_hip": "hip",
    "left_knee": "left_hip", "left_ankle": "left_knee", "spine": "hip", "thorax": "spine", "nose": "thorax",
    "head_top": "nose", "left_shoulder": "thorax", "left_elbow": "left_shoulder", "left_wrist": "left_elbow",
    "right_shoulder": "thorax", "right_elbow": "right_shoulder", "right_wrist": "right_elbow",
}  # fmt: skip
CAMERA = np.array([[0, 0, -1.0], [0, -1, 0], [-1, 0, 0]])
"""Body axes to those of a camera that the person faces: forward is -z, up -y, right -x."""


def body(turns=None, world=CAMERA):
    """Positions (17, 3) and orientations (17, 3, 3) of a body whose joints turn by ``turns``.

    Args:
        turns: joint -> rotation relative to its parent, as a scipy Rotation.
        world: (3, 3) of the hip.
    """
    turns = turns or {}
    frames, places = {"hip": world @ turns.get("hip", Rotation.identity()).as_matrix()}, {"hip": np.zeros(3)}
    for name, parent in PARENTS.items():
        places[name] = places[parent] + frames[parent] @ np.array(OFFSETS[name], dtype=float)
        frames[name] = frames[parent] @ turns.get(name, Rotation.identity()).as_matrix()
    order = H36M17.joints
    return np.array([places[n] for n in order]), np.array([frames[n] for n in order])


def about(axis, degrees):
    return Rotation.from_euler(axis, degrees, degrees=True)


RATE_HZ, SECONDS = 30, 20
HINGES = {"right_knee": (-1, 110), "left_knee": (-1, 110), "left_elbow": (1, 130), "right_elbow": (1, 130)}
BALLS = {
    "hip": (20, 60, 15), "spine": (10, 15, 10), "thorax": (8, 10, 8), "right_hip": (25, 15, 45),
    "left_hip": (25, 15, 45), "left_shoulder": (40, 30, 70), "right_shoulder": (40, 30, 70),
}  # fmt: skip
"""Largest turns about x, y and z, degrees."""


def smooth(rng, size):
    """(T, size) of -1 to 1: a few slow waves."""
    t = np.arange(RATE_HZ * SECONDS)[:, None] / RATE_HZ
    rates, phases = rng.uniform(0.1, 0.6, (3, 1, size)), rng.uniform(0, 1, (3, 1, size))
    return np.sin(2 * np.pi * (rates * t + phases)).mean(axis=0)


def motion(seed):
    """Turns of the joints, frame by frame."""
    rng = np.random.default_rng(seed)
    angles = {name: smooth(rng, 3) * np.array(most)[[2, 0, 1]] for name, most in BALLS.items()}
    bends = {
        name: sign * most * (0.55 + 0.45 * smooth(rng, 1)[:, 0]) for name, (sign, most) in HINGES.items()
    }
    for k in range(RATE_HZ * SECONDS):
        turns = {name: Rotation.from_euler("zxy", value[k], degrees=True) for name, value in angles.items()}
        yield turns | {name: Rotation.from_euler("z", bend[k], degrees=True) for name, bend in bends.items()}
