"""The names that come with the package, on people left out, seen by virtual cameras and lifted.

Ten people of other builds do what each of the names says, before two cameras, through a detector that errs.
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="needs onnxruntime")

from acted import NAMES, act
from scenes import FPS, scene, tilt

from diffpose_ros.core.surroundings import Surroundings
from diffpose_ros.lifting import Lifter, LifterConfig
from diffpose_ros.search.gallery_file import load, shipped_path
from diffpose_ros.search.matching import Hysteresis, People

FRAMES, SETTLED = 24, 14
CAMERAS = {"tall robot": 5, "wide lens": 6}
"""Camera -> seed of who does it, and where."""
BESIDE = dict.fromkeys(NAMES[5:], "standing")
"""Names of arms are done standing."""


@pytest.fixture(scope="module")
def told() -> list[tuple[str, set[str]]]:
    """What people did, and what was said of them, a row per person and frame."""
    out = []
    for camera, seed in CAMERAS.items():
        rng = np.random.default_rng(seed)
        both = [act(name, FRAMES, rng) for name in NAMES]
        seen = scene(camera, seed, tuple(np.stack(bodies, axis=1) for bodies in zip(*both, strict=True)))
        up = tilt(camera) @ np.array([0.0, 1.0, 0.0])
        lifter = Lifter(LifterConfig(model="starpose", steps=1, backend="onnxruntime", max_people=len(NAMES)))
        people = People(load(shipped_path()), Hysteresis())
        for k in range(FRAMES):
            stamp_s = 1.0 + k / FPS
            lifted = lifter.lift(
                seen.people(k), seen.camera, round(stamp_s * 1e9), around=Surroundings(up=up)
            )
            for s in lifted.skeletons:
                matches = people.update(stamp_s, s.track_id, s.xyz, up, s.covariance)
                if k >= SETTLED:
                    out.append((NAMES[s.track_id - 1], {m.name for m in matches if m.active}))
        lifter.close()
    return out


def test_precision_and_recall_of_the_shipped_names(told) -> None:
    right = wrong = missed = 0
    for did, said in told:
        wanted = {did, BESIDE.get(did, did)}
        right, wrong, missed = (
            right + len(wanted & said),
            wrong + len(said - wanted),
            missed + len(wanted - said),
        )
    assert right / (right + wrong) >= 0.95
    assert right / (right + missed) >= 0.82


@pytest.mark.parametrize("name", NAMES)
def test_each_name_is_told_of_who_does_it(told, name) -> None:
    assert np.mean([name in said for did, said in told if did == name]) >= 0.4
