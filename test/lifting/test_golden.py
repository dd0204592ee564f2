"""The shipped model files give the poses they always gave, whatever the lifter is made of.

People come, leave, come back and hide; the camera has distortion, the stamps are uneven.
``golden/poses.npz`` holds what the lifter said when each frame was worked out by one class; every
fourth frame of 40. Roots and sizes are tested elsewhere: they depend on more than the model file.
"""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="needs onnxruntime")

from parade import camera, parade

from diffpose_ros.core.surroundings import Surroundings
from diffpose_ros.geometry.root import stature
from diffpose_ros.lifting import Lifter, LifterConfig

GOLDEN = Path(__file__).parent / "golden" / "poses.npz"
RUNS = {
    "starpose": {"model": "starpose"},
    "starpose_2": {
        "model": "starpose", "steps": 2, "hypotheses": 3, "window": 27, "person_height": 1.7,
    },
    "diffpose": {"model": "diffpose"},
}  # fmt: skip
TOLERANCE_M = 2e-6
"""On the machine that recorded them they agree to 1e-7, between backends to 1e-6."""


@pytest.mark.parametrize("run", RUNS)
def test_the_shipped_models_say_what_they_always_said(run):
    around = Surroundings(common_floor=False)  # the parade is made up of people in places of their own
    lifter = Lifter(LifterConfig(backend="onnxruntime", **RUNS[run]))
    said = {}
    for frame, (stamp, people) in enumerate(parade()):
        for skeleton in lifter.lift(people, camera(), stamp, around=around).skeletons:
            said[frame, skeleton.track_id] = skeleton
    lifter.close()
    with np.load(GOLDEN) as golden:
        frames, tracks = golden[f"{run}_frame"], golden[f"{run}_track"]
        chosen = [said[int(f), int(t)] for f, t in zip(frames, tracks, strict=True)]
        pose = np.stack([s.xyz - s.root for s in chosen])
        size = stature(golden[f"{run}_pose"].astype(float)) / stature(pose)
        assert np.abs(size - 1).max() < (0.005 if "person_height" in RUNS[run] else 1e-6)
        pose = size[:, None, None] * pose
        np.testing.assert_allclose(pose, golden[f"{run}_pose"], atol=TOLERANCE_M)
        covariance = size[:, None, None, None] ** 2 * np.stack([s.covariance for s in chosen])
        sigma = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
        np.testing.assert_allclose(sigma, golden[f"{run}_sigma"], atol=TOLERANCE_M)
        cross = covariance[..., [0, 0, 1], [1, 2, 2]]
        np.testing.assert_allclose(cross, golden[f"{run}_cross"], atol=TOLERANCE_M)
