"""People coming and going for a while; importable by a fresh process."""

import os

import numpy as np
from views import standing

from diffpose_ros.lifting import Lifter, LifterConfig

FRAME = 10**9 // 30


def resident_mb():
    with open("/proc/self/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def soak(model, camera):
    """Megabytes that 500 frames add after 300, and how many people are still remembered."""
    lifter = Lifter(
        LifterConfig(model=model, backend="onnxruntime", max_people=10, max_tracks=12, max_gap_s=0.3)
    )
    rng = np.random.default_rng(0)
    base = standing(camera, [[0.4 * k - 2, 0, 4 + 0.1 * k] for k in range(10)])
    ids = np.arange(10)
    after_warm_up = 0.0
    for k in range(800):
        if rng.random() < 0.1:  # somebody leaves, a stranger takes the place
            ids[rng.integers(10)] = 10 + k
        view = np.flatnonzero(rng.random(10) < 0.9)
        people = base.take(view)
        object.__setattr__(people, "track_id", ids[view])
        lifter.lift(people, camera, k * FRAME)
        if k == 300:
            after_warm_up = resident_mb()
    return resident_mb() - after_warm_up, lifter.people.count
