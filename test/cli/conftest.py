"""Calling the command in this process, and what it printed."""

from dataclasses import dataclass

import numpy as np
import pytest

from diffpose_ros.cli.main import main


@dataclass
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def mocap(tmp_path):
    """A motion capture file of two seconds of somebody swaying."""
    rng = np.random.default_rng(0)
    body = rng.uniform([-0.3, 0, -0.2], [0.3, 1.7, 0.2], (17, 3))
    sway = 0.1 * np.sin(np.arange(60)[:, None, None] / 8 + rng.uniform(0, 6, (17, 3)))
    clip = (body + sway).astype(np.float32)
    np.savez(tmp_path / "mocap.npz", h36m17=clip, coco17=clip, offsets=np.array([0, 60]), fps=30.0)
    return tmp_path / "mocap.npz"


@pytest.fixture
def call(capsys):
    def run(*words: object) -> Outcome:
        code = main([str(w) for w in words])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run
