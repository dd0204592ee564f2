"""A simple person who stands, walks, jumps: true poses, and what a camera sees of them."""

from __future__ import annotations

import numpy as np

from diffpose_ros.core import H36M17, Camera
from diffpose_ros.history import PeopleState, Rows
from diffpose_ros.methods.protocol import Observed, Poses
from diffpose_ros.methods.root import Placed, RootStage

DT = 1 / 30
UP = np.array([0.0, -1.0, 0.0])
CAMERA = Camera(matrix=np.array([[1000.0, 0, 640], [0, 1000.0, 360], [0, 0, 1]]), width=1280, height=720)
ANKLE_M, HIP_M = 0.10, 0.95
"""Heights over the floor, standing."""

STANDING = {
    "hip": (0, 0, 0), "right_hip": (-0.13, 0, 0), "right_knee": (-0.13, 0.43, 0.02),
    "right_ankle": (-0.13, 0.85, 0.05), "left_hip": (0.13, 0, 0), "left_knee": (0.13, 0.43, 0.02),
    "left_ankle": (0.13, 0.85, 0.05), "spine": (0, -0.24, 0), "thorax": (0, -0.48, 0.02),
    "nose": (0, -0.6, -0.1), "head_top": (0, -0.75, 0), "left_shoulder": (0.17, -0.46, 0.02),
    "left_elbow": (0.2, -0.18, 0.04), "left_wrist": (0.22, 0.06, 0), "right_shoulder": (-0.17, -0.46, 0.02),
    "right_elbow": (-0.2, -0.18, 0.04), "right_wrist": (-0.22, 0.06, 0),
}  # fmt: skip
POSE = np.array([STANDING[name] for name in H36M17.joints], dtype=float)
RIGHT_LEG = [H36M17.index(f"right_{part}") for part in ("knee", "ankle")]
LEFT_LEG = [H36M17.index(f"left_{part}") for part in ("knee", "ankle")]


def walk(velocity, frames, *, step_s=0.5):
    """Poses (F, 17, 3) relative to the hip, whose feet stand by turns while the hip moves on.

    Args:
        velocity: (F, 3) or (3,) m/s of the hip.
        frames: F.
        step_s: seconds for which a foot stands.
    """
    velocity = np.broadcast_to(velocity, (frames, 3))
    path = np.cumsum(velocity * DT, axis=0)
    poses = np.repeat(POSE[None], frames, axis=0)
    time = np.arange(frames) * DT
    for leg, offset in ((RIGHT_LEG, 0), (LEFT_LEG, 1)):
        phase = (time / step_s + offset) % 2  # 0 to 1 stands, 1 to 2 swings
        for k in range(frames):
            standing = phase[k] < 1
            share = phase[k] if standing else 1 - (phase[k] - 1)
            begun = path[k] - velocity[k] * phase[k] * step_s if standing else None
            forward = (begun - path[k] if standing else -velocity[k] * step_s * share) + 0.25 * velocity[k]
            poses[k, leg[0]] += 0.5 * forward
            poses[k, leg[1]] += forward
            if not standing:
                moving = np.linalg.norm(velocity[k]) > 0
                poses[k, leg[1], 1] -= 0.07 * np.sin(np.pi * (phase[k] - 1)) * moving
    return poses


class Watched:
    """A root stage that follows one person, frame by frame."""

    def __init__(self, **known) -> None:
        self.stage, self.known = RootStage(), known
        self.people = PeopleState(1, self.stage.state())
        self.frame = 0

    def see(self, pose, rays, score=None, *, said=None) -> Placed:
        """One frame: the true rays (17, 2) of a pose (17, 3), of which the lifter has ``said`` another."""
        now = (self.frame + 1) * round(DT * 1e9)
        self.frame += 1
        self.people.bring_to_front([7], now)
        rows = Rows(self.people, slice(0, 1), now)
        points = np.concatenate([rays, np.zeros((4, 2))])[None]
        scores = np.concatenate([np.ones(17) if score is None else score, np.zeros(4)])[None]
        mean = (pose if said is None else said)[None]
        poses = Poses(mean, np.zeros((1, 17, 3, 3)))
        placed = self.stage.place(poses, Observed(now, CAMERA, points, scores, **self.known), rows)
        rows.commit(np.ones(1, dtype=bool))
        return placed


def rays_of(pose, root, *, noise=0.0, rng=None):
    """(17, 2) tangents of a pose at a root, with noise."""
    at = pose + root
    rays = at[:, :2] / at[:, 2:]
    return rays if rng is None else rays + rng.normal(scale=noise, size=rays.shape)


def follow(watched, poses, roots, *, noise=0.0, seed=0, size=1.0):
    """Positions (F, 3), velocities (F, 3) and the last answer, of a person ``size`` times as large as
    the lifter believes."""
    rng = np.random.default_rng(seed)
    places, speeds = [], []
    for pose, root in zip(poses, roots, strict=True):
        placed = watched.see(pose, rays_of(pose * size, root, noise=noise, rng=rng))
        places.append(placed.root[0])
        speeds.append(placed.velocity[0])
    return np.array(places), np.array(speeds), placed
