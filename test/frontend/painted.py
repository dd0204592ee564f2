"""People who are painted rectangles, and networks that see them: a front end's world for tests.

Each person has a grey value of their own (from 50, in steps of 20), so the networks need nothing but
pixels, wherever crops are cut.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from diffpose_ros.core import People2D
from diffpose_ros.frontend import Tracked, TrackedConfig
from diffpose_ros.frontend.tracked.heads import Decoded
from diffpose_ros.tracking import Tracker, TrackerConfig

S = 1_000_000_000
FRAME = S // 30
WIDTH, HEIGHT = 640, 480
# COCO-17 in the unit square of a body, all joints apart from each other
TEMPLATE = np.array(
    [[0.5, 0], [0.6, 0.02], [0.4, 0.02], [0.7, 0.05], [0.3, 0.05], [0.9, 0.2], [0.1, 0.2], [1, 0.35],
     [0, 0.35], [1, 0.5], [0, 0.5], [0.8, 0.55], [0.2, 0.55], [0.8, 0.75], [0.2, 0.75], [0.8, 1], [0.2, 1]]
)  # fmt: skip


def grey(person: int) -> int:
    return 50 + 20 * person


def paint(people: dict[int, tuple[float, float]], *, size=(60, 160), shape=(HEIGHT, WIDTH)) -> np.ndarray:
    """An image of people whose middle is at x, y; later ones cover earlier ones."""
    image = np.zeros((*shape, 3), np.uint8)
    for person, (x, y) in people.items():
        x0, y0 = round(x - size[0] / 2), round(y - size[1] / 2)
        image[max(y0, 0) : max(y0 + size[1], 0), max(x0, 0) : max(x0 + size[0], 0)] = grey(person)
    return image


def bodies(image: np.ndarray, *, least=40) -> dict[int, tuple[float, float, float, float]]:
    """Person -> x0, y0, x1, y1 of what is seen of them, in an image of any scale."""
    found = {}
    for value in np.unique(image[..., 0]):
        person, rest = divmod(int(value) - 50, 20)
        mask = image[..., 0] == value
        if value >= 50 and rest == 0 and mask.sum() >= least:
            y, x = np.nonzero(mask)
            found[person] = (x.min(), y.min(), x.max(), y.max())
    return found


class Whole:
    """Sees everyone, or those of ``sees``, in the whole image."""

    reason = "nothing"

    def __init__(self):
        self.calls = 0
        self.sees = None
        self.score = 0.6

    def find(self, pyramid, *, input_size=None):
        self.calls += 1
        self.input_size = input_size
        found = bodies(pyramid.level(0))
        rows = [box for person, box in found.items() if self.sees is None or person in self.sees]
        if not rows:
            return People2D.empty()
        box = np.array(rows, dtype=float)
        xy = box[:, None, :2] + TEMPLATE * (box[:, None, 2:] - box[:, None, :2])
        score = np.full((len(rows), 17), self.score)
        return People2D(xy=xy, score=score, person_score=np.full(len(rows), self.score))


class Single:
    """Sees the person nearest to the middle of a crop."""

    reason = "nothing"
    size = 192

    def __init__(self):
        self.crops = 0
        self.score = 0.7
        self.blind = False
        self.unsure: set[int] = set()

    def look(self, crops, prior=None):
        self.crops += len(crops)
        seen = [self._one(crop) for crop in crops]
        return Decoded(
            np.stack([s.at for s in seen]), np.stack([s.score for s in seen]),
            np.tile(np.eye(2) * 1e-3, (len(crops), 17, 1, 1)),
        )  # fmt: skip

    def _one(self, crop):
        found = bodies(crop)
        if not found or self.blind:
            return SimpleNamespace(at=np.full((17, 2), 0.5), score=np.full(17, 0.05))
        size = crop.shape[0]
        middle = {k: np.hypot(b[0] + b[2] - size, b[1] + b[3] - size) for k, b in found.items()}
        nearest = min(middle, key=middle.__getitem__)
        box = found[nearest]
        if nearest in self.unsure:
            return SimpleNamespace(at=np.full((17, 2), 0.5), score=np.full(17, 0.05))
        low, high = np.array(box[:2]) / size, (np.array(box[2:]) + 1) / size
        return SimpleNamespace(at=low + TEMPLATE * (high - low), score=np.full(17, self.score))


def make(*, min_hits=1, **options):
    options.setdefault("in_step", True)
    tracker = Tracker(TrackerConfig(min_hits=min_hits))
    return Tracked(TrackedConfig(**options), tracker, whole=Whole(), single=Single())


def play(front_end, scenes, *, start=0):
    """See a list of ``paint`` arguments as frames of 30 Hz."""
    return [front_end.see(paint(people), (start + i) * FRAME) for i, people in enumerate(scenes)]


def ids(frames):
    return [people.track_id.tolist() for people in frames]
