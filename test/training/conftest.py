"""Motions of somebody who walks on the spot, and training runs small enough for a test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from diffpose_ros.core import COCO17, H36M17
from diffpose_ros.data.clips import Clip, save_clips
from diffpose_ros.data.virtual.synthesis import MotionLibrary

REST = np.array(
    [[0, 0.95, 0], [-0.1, 0.95, 0], [-0.1, 0.5, 0], [-0.1, 0.08, 0], [0.1, 0.95, 0], [0.1, 0.5, 0],
     [0.1, 0.08, 0], [0, 1.2, 0], [0, 1.45, 0], [0, 1.55, 0.08], [0, 1.7, 0], [0.18, 1.42, 0],
     [0.2, 1.15, 0], [0.2, 0.9, 0], [-0.18, 1.42, 0], [-0.2, 1.15, 0], [-0.2, 0.9, 0],
     [0.03, 1.58, 0.07], [-0.03, 1.58, 0.07], [0.07, 1.57, 0], [-0.07, 1.57, 0]], np.float32
)  # fmt: skip


@pytest.fixture(scope="session")
def library() -> MotionLibrary:
    """Two clips of somebody walking on the spot, swinging arms and knees."""
    t = np.arange(120, dtype=np.float32)[:, None] / 30
    body = np.repeat(REST[None], 120, 0)
    body[:, 13, 2] += 0.1 * np.sin(4 * t[:, 0])
    body[:, 3, 2] += 0.1 * np.cos(4 * t[:, 0])
    body[:, :, 0] += 0.5 * t
    return MotionLibrary(body, np.array([0, 70, 120]), 30.0)


@pytest.fixture
def mocap(library: MotionLibrary, tmp_path: Path) -> Path:
    """The same motions as a motion capture file."""
    coco = np.zeros((len(library.body), 17, 3), np.float32)
    for i, name in enumerate(COCO17.joints):
        if name in H36M17.joints:
            coco[:, i] = library.body[:, H36M17.index(name)]
    coco[:, [1, 2, 3, 4]] = library.body[:, 17:]
    path = tmp_path / "mocap.npz"
    clips = [
        Clip(name, subject, "walk", 30.0, library.body[a:b, :17], coco[a:b], source="CMU asf/amc")
        for name, subject, a, b in (("first", "s1", 0, 70), ("second", "s2", 70, 120))
    ]
    save_clips(path, clips)
    return path


@pytest.fixture
def plan(mocap: Path, tmp_path: Path):
    """Writes configurations of single runs (as plain data) of tiny networks."""

    def make(task: str = "context", **optimiser) -> dict:
        models = {
            "context": {"encoder": {"width": 16, "body": 32, "depth": 1, "heads": 2, "window": 5}},
            "diffpose": {"lifter": {"denoiser": {"width": 16, "depth": 1}, "window": 5}},
            "starpose": {"lifter": {
                "denoiser": {"width": 16, "depth": 1}, "window": 5, "mirror": True,
                "history": {"width": 8, "depth": 1, "heads": 2, "length": 4},
            }},
        }  # fmt: skip
        return {
            "task": task, "data": [str(mocap)], "output": str(tmp_path / task),
            "context": "" if task == "context" else str(tmp_path / "context" / "model.safetensors"),
            **models[task], "synthesis": {"frames": 8},
            "optimiser": {"steps": 6, "batch": 2, "warmup": 1, "precision": "float32",
                          "compile": False, "save_every": 3, **optimiser},
        }  # fmt: skip

    return make
