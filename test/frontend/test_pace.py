"""Short of time, on a clock of its own: what is published stays young, and says what was spared."""

import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from painted import Single, Whole, paint

from diffpose_ros.frontend import Tracked, TrackedConfig
from diffpose_ros.frontend.tracked.pace import LEVELS, Pace
from diffpose_ros.tracking import Tracker, TrackerConfig

S = 1_000_000_000
HZ = 30.0
CROP_S, WHOLE_S = 0.009, 0.043
"""What a crop of 192 and a whole image of 384 pixels take at full speed."""


class Machine:
    """A clock that networks turn on, the slower the machine is; searches beside the frames are free."""

    def __init__(self, slowness):
        self.now, self.slowness = 0.0, slowness
        self.thread = threading.get_ident()

    def __call__(self):
        return self.now

    def work(self, seconds):
        if threading.get_ident() == self.thread:
            self.now += seconds * self.slowness


class SlowSingle(Single):
    def __init__(self, machine):
        super().__init__()
        self.machine = machine

    def look(self, crops, prior=None):
        self.machine.work(len(crops) * CROP_S * (crops.shape[1] / 192) ** 2)
        return super().look(crops, prior)


class SlowWhole(Whole):
    def __init__(self, machine):
        super().__init__()
        self.machine = machine

    def find(self, pyramid, *, input_size=None):
        self.machine.work(WHOLE_S * ((input_size or 384) / 384) ** 2)
        return super().find(pyramid, input_size=input_size)


def watch(machine, people, seconds, *, start_s=0.0, front_end=None):
    """A camera of 30 Hz whose newest image is looked at; ages of what comes out, and the front end."""
    if front_end is None:
        front_end = Tracked(
            TrackedConfig(in_step=False), Tracker(TrackerConfig(min_hits=1)), timer=machine,
            whole=SlowWhole(machine), single=SlowSingle(machine),
        )  # fmt: skip
    scene = {i: (60 + 100 * i, 240) for i in range(people)}
    machine.now, last, seen = start_s, -1, []
    while machine.now < start_s + seconds:
        frame = int(machine.now * HZ + 1e-6)
        if frame == last:
            machine.now = (frame + 1) / HZ + 1e-6
            continue
        last = frame
        found = front_end.see(paint(scene), round(frame / HZ * S))
        end = time.monotonic() + 10
        while front_end._discovery._busy or front_end._discovery._job is not None:
            assert time.monotonic() < end, "the search does not end"
            time.sleep(0.0005)
        seen.append((machine.now, machine.now - frame / HZ, found))
    return seen, front_end


@pytest.mark.parametrize(
    ("people", "slowness"), [(3, 1.0), (3, 4.0), (6, 1.0), (6, 4.0), (1, 4.0)], ids=lambda value: f"{value:g}"
)
def test_what_comes_out_is_young_whatever_the_machine(people, slowness):
    seen, front_end = watch(Machine(slowness), people, 4.0)
    front_end.close()
    settled = [age for now, age, _ in seen if now > 2.5]
    full = people * CROP_S if people <= 4 else WHOLE_S
    assert max(age for _, age, _ in seen) < 1 / HZ + full * slowness + 0.01
    assert max(settled) < 1 / HZ + max(0.45 * full * slowness, TrackedConfig().budget_s)
    everyone = set(range(people))
    assert all(set(found.track_id.tolist()) == everyone for now, _, found in seen if now > 1.0)


def test_what_was_not_looked_at_is_marked():
    seen, front_end = watch(Machine(8.0), 3, 4.0)
    assert "people in turns" in front_end.report.values["short of time"]
    front_end.close()
    late = [found for now, _, found in seen if now > 3.0]
    assert all((found.state == 2).sum() == 1 for found in late)
    assert all(found.score[found.state == 2].max() <= 0.2 for found in late)
    turns = np.concatenate([found.track_id[found.state == 2] for found in late])
    assert set(turns.tolist()) == {0, 1, 2}


def test_when_the_machine_is_free_again_all_is_as_before():
    machine = Machine(8.0)
    _, front_end = watch(machine, 3, 4.0)
    assert front_end.report.values["short of time"] != "no"
    machine.slowness = 0.5
    seen, _ = watch(machine, 3, 6.0, start_s=5.0, front_end=front_end)
    assert front_end.report.values["short of time"] == "no"
    assert front_end.report.values["keypoints from"] == "3 crops of 192 px"
    assert (seen[-1][2].state != 2).all()
    front_end.close()


def test_what_is_spared_grows_from_level_to_level():
    pixels, pauses, shares = zip(*[(level.pixels, level.pause, level.share) for level in LEVELS], strict=True)
    assert list(pixels) == sorted(pixels, reverse=True)
    assert list(pauses) == sorted(pauses)
    assert list(shares) == sorted(shares, reverse=True)


def test_searches_get_rarer():
    config = TrackedConfig(budget_s=0.05)
    counts = []
    for seconds in (0.0, 1.0):
        pace = Pace(config)
        for _ in range(60):
            pace.frame(seconds)
        searches = 0
        for frame in range(300):
            if pace.due(frame * S // 30):
                pace.searched(frame * S // 30)
                searches += frame > 60
        counts.append(searches)
    assert counts[1] < 0.4 * counts[0]
