"""Skeletons as BVH for animation tools: a hierarchy of joints that turn, metres, y up.

Every joint has a position and a rotation of its own, so that the joints lie where they were lifted
although bones of a lifted skeleton differ a little from frame to frame. Unseen steps are interpolated.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import H36M17
from diffpose_ros.kinematics import PARENT, RotationTracker
from diffpose_ros.motion_files.people import Y_UP, Motion, filled

CHANNELS = "CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation"
TIP_M = 0.1
"""Length of the bone that a tool draws at the end of a chain."""


def write_bvh(motion: Motion, rate: float, path: Path) -> None:
    """Write one person's motion."""
    positions = filled(motion.positions) @ Y_UP
    turned = _orientations(positions, 1 / rate)
    local_turn, local_place = turned.copy(), positions.copy()
    for joint, parent in enumerate(PARENT):
        if parent >= 0:
            back = turned[:, parent].swapaxes(1, 2)
            local_turn[:, joint] = back @ turned[:, joint]
            local_place[:, joint] = (back @ (positions[:, joint] - positions[:, parent])[:, :, None])[..., 0]
    offsets = np.median(local_place, axis=0)
    offsets[0] = 0.0
    order: list[int] = []
    lines = ["HIERARCHY", *_joint(0, offsets, "", order), "MOTION", f"Frames: {len(positions)}"]
    lines.append(f"Frame Time: {1 / rate:.8f}")
    angles = np.rad2deg(_zxy(local_turn))
    values = np.concatenate([local_place, angles], axis=2)[:, order].reshape(len(positions), -1)
    lines += [" ".join(f"{value:.6f}" for value in row) for row in values]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _orientations(positions: NDArray, dt: float) -> NDArray[np.float64]:
    """(T, 17, 3, 3); a joint whose orientation is undefined keeps its last one."""
    tracker, last = RotationTracker(), np.tile(np.eye(3), (len(H36M17), 1, 1))
    out = np.empty((len(positions), len(H36M17), 3, 3))
    for k, xyz in enumerate(positions):
        now = tracker.update(xyz, dt=min(dt, 1.0)).matrix
        last = np.where(np.isfinite(now).all(axis=(1, 2), keepdims=True), now, last)
        out[k] = last
    return out


def _joint(joint: int, offsets: NDArray, indent: str, order: list[int]) -> list[str]:
    """The lines of a joint and all that hangs on it; ``order`` collects the joints."""
    order.append(joint)
    children = [k for k, parent in enumerate(PARENT) if parent == joint]
    x, y, z = offsets[joint]
    lines = [
        f"{indent}{'JOINT' if joint else 'ROOT'} {H36M17.joints[joint]}",
        f"{indent}{{",
        f"{indent}\tOFFSET {x:.6f} {y:.6f} {z:.6f}",
        f"{indent}\t{CHANNELS}",
    ]
    for child in children:
        lines += _joint(child, offsets, indent + "\t", order)
    if not children:
        up = TIP_M if H36M17.joints[joint] == "head_top" else -TIP_M
        lines += [f"{indent}\tEnd Site", f"{indent}\t{{", f"{indent}\t\tOFFSET 0 {up:g} 0", f"{indent}\t}}"]
    return [*lines, f"{indent}}}"]


def _zxy(matrix: NDArray) -> NDArray[np.float64]:
    """(..., 3) angles about z, x, y, rad, of matrices Rz Rx Ry."""
    x = np.arcsin(matrix[..., 2, 1].clip(-1, 1))
    straight = np.abs(matrix[..., 2, 1]) > 1 - 1e-9  # z and y turn about the same axis: all is z's
    z = np.arctan2(-matrix[..., 0, 1], matrix[..., 1, 1])
    y = np.arctan2(-matrix[..., 2, 0], matrix[..., 2, 2])
    z = np.where(straight, np.arctan2(matrix[..., 1, 0], matrix[..., 0, 0]), z)
    return np.stack([z, x, np.where(straight, 0.0, y)], axis=-1)
