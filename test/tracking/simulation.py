"""People walking in front of a camera, as a detector with noise and occlusion reports them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffpose_ros.core import People2D

FPS = 30.0

# A standing COCO-17 person of height 1, feet at (0, 0), y down.
BODY = np.array(
    [[0, -0.93], [0.02, -0.95], [-0.02, -0.95], [0.04, -0.94], [-0.04, -0.94],
     [0.11, -0.81], [-0.11, -0.81], [0.15, -0.63], [-0.15, -0.63], [0.16, -0.47], [-0.16, -0.47],
     [0.08, -0.5], [-0.08, -0.5], [0.08, -0.27], [-0.08, -0.27], [0.08, -0.03], [-0.08, -0.03]]
)  # fmt: skip
_SWING = np.zeros((17, 2))
_SWING[[9, 10, 13, 14, 15, 16], 0] = 0.08, -0.08, -0.05, 0.05, -0.12, 0.12


@dataclass
class Walker:
    """One person: feet at ``start`` + ``velocity`` t, pixels; not seen during ``hidden`` (s)."""

    start: tuple[float, float]
    velocity: tuple[float, float] = (0.0, 0.0)
    height: float = 300.0
    hidden: tuple[tuple[float, float], ...] = ()
    score: float = 0.7

    def xy(self, t: float) -> np.ndarray:
        feet = np.array(self.start) + np.array(self.velocity) * t
        return feet + self.height * (BODY + _SWING * np.sin(2 * np.pi * t + self.start[0]))

    def seen(self, t: float) -> bool:
        return not any(a <= t < b for a, b in self.hidden)


def scene(walkers, seconds, *, fps=FPS, noise=0.01, seed=0, shuffle=True, drop_behind=0.0):
    """Yield ``(stamp_ns, People2D, who)``; ``who`` (P,) are indices into ``walkers``.

    Args:
        noise: of a keypoint, relative to the person's height.
        drop_behind: a walker nearer than this (fraction of height, between hips) to one that
            comes earlier in the list is hidden by it.
    """
    rng = np.random.default_rng(seed)
    for k in range(round(seconds * fps)):
        t = k / fps
        placed = [(i, w, w.xy(t)) for i, w in enumerate(walkers) if w.seen(t)]
        if drop_behind:
            front: list = []
            for i, w, xy in placed:
                hip = xy[11:13].mean(0)
                near = [abs(hip[0] - o[11:13].mean(0)[0]) < drop_behind * w.height for _, _, o in front]
                if not any(near):
                    front.append((i, w, xy))
            placed = front
        order = rng.permutation(len(placed)) if shuffle else np.arange(len(placed))
        placed = [placed[i] for i in order]
        xy = np.array([p[2] + rng.normal(0, noise * p[1].height, (17, 2)) for p in placed])
        score = np.array([np.clip(p[1].score + rng.normal(0, 0.05, 17), 0.05, 1) for p in placed])
        people = People2D(
            xy=xy.reshape(-1, 17, 2), score=score.reshape(-1, 17),
            person_score=np.array([p[1].score for p in placed]),
        )  # fmt: skip
        yield round(k * 1e9 / fps), people, np.array([p[0] for p in placed], dtype=int)


def follow(tracker, frames):
    """Walker -> identities in the order they appeared; checks what must hold in every frame."""
    ids: dict[int, list[int]] = {}
    for stamp, people, who in frames:
        out = tracker.update(people, stamp)
        assert len(set(out.track_id.tolist())) == len(out)
        for row in range(len(out)):
            match = np.flatnonzero((people.xy == out.xy[row]).all((1, 2)))
            assert len(match) == 1  # nobody who was not seen in this frame
            seen = ids.setdefault(int(who[match[0]]), [])
            if int(out.track_id[row]) not in seen:
                seen.append(int(out.track_id[row]))
    return ids
