"""Small methods that need no model file, to test what a session does with any method."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from diffpose_ros.methods.protocol import Field, Level, Poses

BODY = np.zeros((17, 3))
BODY[:, 1] = np.linspace(-0.8, 0.9, 17)
BODY[:, 0] = np.tile([0.2, -0.2], 9)[:17]
"""(17, 3) m."""


@dataclass
class Runs:
    """Stands for whatever runs graphs."""

    name: str = "fake"
    device: str = "cpu"
    reason: str = "fake, for tests"


@dataclass
class Still:
    """Remembers nothing: everyone stands still."""

    levels: tuple = (Level(),)
    name: str = "still"
    kind: str = "still"
    needs: frozenset = frozenset({"keypoints"})
    score_floor: float = 0.0
    spare: int = 0
    backend: Runs = field(default_factory=Runs)
    closed: int = 0
    asked: list = field(default_factory=list)

    def state(self):
        return {}

    def answer(self, people, size=1.0, **more):
        mean = np.broadcast_to(size * (BODY - BODY[0]), (people, 17, 3)).copy()
        return Poses(mean, np.broadcast_to(1e-4 * np.eye(3), (people, 17, 3, 3)).copy(), **more)

    def step(self, seen, rows, level):
        self.asked.append((len(seen), level))
        return self.answer(len(seen))

    def rehearse(self, people, level, trials):
        return 0.001 * people * level.hypotheses * level.steps

    def close(self):
        self.closed += 1


class Counts(Still):
    """Remembers without a ring: how often it saw a person, whose body grows with it."""

    def state(self):
        return {"seen": Field((), np.int64), "size": Field((2,), np.float64)}

    def step(self, seen, rows, level):
        count = rows["seen"] + 1
        rows.keep(seen=count, size=np.repeat(count[:, None].astype(float), 2, axis=1))
        poses = self.answer(len(seen))
        return poses.scaled(1 + 0.01 * count)


class Iterates(Still):
    """Runs its graph several times a step, each run on the last one's answer and on a ring of rays."""

    def __init__(self):
        super().__init__(levels=(Level(steps=4), Level(steps=2, share=0.5), Level(steps=1, share=0.25)))
        self.runs = 0

    def state(self):
        return {"past": Field((21, 3, 2), np.float32, "rays", 1)}

    def graph(self, pose, target):
        """Half way to the target."""
        self.runs += 1
        return pose + 0.5 * (target - pose)

    def step(self, seen, rows, level):
        age = np.zeros((len(seen), 3), dtype=np.float32)
        rows.ages("rays", age)
        target = self.answer(len(seen)).mean
        pose = np.zeros_like(target)
        for _ in range(level.steps):
            pose = self.graph(pose, target)
        rows.push("rays", {"past": seen.rays.astype(np.float32)})
        self.filled = (age >= 0).sum(axis=1)
        return Poses(pose, self.answer(len(seen)).covariance)


class Places(Still):
    """Places people itself."""

    def step(self, seen, rows, level):
        p = len(seen)
        root = np.tile([0.5, 0.25, 6.0], (p, 1))
        return self.answer(p, root=root, root_covariance=np.tile(0.04 * np.eye(3), (p, 1, 1)))


class Fails(Still):
    """Has no answer for those whose nose is scored above 0.95, after it noted nonsense."""

    def state(self):
        return {"mark": Field((), np.float64)}

    def step(self, seen, rows, level):
        self.before = rows["mark"].copy()
        bad = seen.score[:, 9] > 0.95
        rows.keep(mark=np.where(bad, np.nan, rows["mark"] + 1.0))
        return self.answer(len(seen))
