"""People of the CMU excerpt before virtual cameras, as a detector that errs would report them.

Written for these tests alone and on purpose independent of the package's own virtual cameras,
noise and projection: a fault in those cannot hide itself here.

Letters: F frames, P people, C coordinates of the ray.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diffpose_ros.core import COCO17, Camera, People2D

EXCERPT = Path(__file__).resolve().parents[1] / "data" / "cmu_excerpt.npz"
FPS = 15.0
PEOPLE, FRAMES = 8, 37

# (width, height, focal px, metres above the floor, pitch down rad, roll rad, distortion)
CAMERAS = {
    "tall robot": (1280, 720, 900.0, 1.5, 0.12, 0.00, ()),
    "near the floor": (640, 480, 520.0, 0.4, -0.12, 0.03, ()),
    "wide lens": (1280, 960, 620.0, 1.1, 0.05, -0.02, (-0.24, 0.07, 0.001, -0.0008, 0.0)),
    "from above": (1920, 1080, 1500.0, 2.6, 0.28, 0.04, ()),
}

DIFFICULTY = {"nose": 0.5, "eye": 0.5, "ear": 0.6, "shoulder": 1.0, "elbow": 1.1, "wrist": 1.3,
              "hip": 1.4, "knee": 1.2, "ankle": 1.3}  # fmt: skip
_HARD = np.array([DIFFICULTY[name.split("_")[-1]] for name in COCO17.joints])
_LIMBS = [[COCO17.index(n) for n in names] for names in (
    ("left_elbow", "left_wrist"), ("right_wrist",), ("left_knee", "left_ankle"),
    ("right_knee", "right_ankle"), ("right_elbow", "right_wrist"), ("nose", "left_eye", "right_eye"),
)]  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """One camera's view of everyone.

    Attributes:
        camera: its calibration.
        keypoints: (F, P, 17, 3) COCO-17 x, y in pixels and score.
        skeleton: (F, P, 17, 3) H36M-17, metres, optical frame: the truth.
    """

    camera: Camera
    keypoints: np.ndarray
    skeleton: np.ndarray

    def people(self, frame: int, who: list[int] | slice = slice(None)) -> People2D:
        """The people of one frame, identities 1..P."""
        seen = self.keypoints[frame, who]
        every = np.arange(1, self.keypoints.shape[1] + 1)
        return People2D(xy=seen[..., :2], score=seen[..., 2], track_id=every[who])


def excerpt() -> tuple[np.ndarray, np.ndarray]:
    """H36M-17 and COCO-17 bodies, (F, P, 17, 3) each; metres, Y up, floor at 0, near the origin."""
    with np.load(EXCERPT, allow_pickle=False) as f:
        return tuple(  # type: ignore[return-value]
            f[name].astype(np.float64).reshape(PEOPLE, FRAMES, 17, 3).swapaxes(0, 1)
            for name in ("h36m17", "coco17")
        )


def scene(name: str, seed: int, bodies: tuple[np.ndarray, np.ndarray] | None = None) -> Scene:
    """Everyone before one of :data:`CAMERAS`.

    Args:
        name: which camera.
        seed: of the places, the turns and the detector's noise.
        bodies: what :func:`excerpt` gives, of whom else; ``None``: those of the excerpt.
    """
    width, height, focal, above, _, _, bend = CAMERAS[name]
    rng = np.random.default_rng(seed)
    h36m, coco = excerpt() if bodies is None else bodies
    people = h36m.shape[1]
    depth = rng.uniform(3.0, 8.0, people)
    side = depth * 0.5 * width / focal * rng.uniform(-0.75, 0.75, people)
    turn = rng.uniform(-np.pi, np.pi, people)
    rotation = tilt(name)
    skeleton, points = (
        np.einsum("ij,fpnj->fpni", rotation, _place(body, turn, side, depth, above)) for body in (h36m, coco)
    )
    d = np.array(bend)
    pixel = _pixels(points, focal, width, height, d)
    camera = Camera(
        matrix=np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]]),
        width=width, height=height, distortion=d, model="plumb_bob" if len(d) else "none",
    )  # fmt: skip
    return Scene(camera, _detect(pixel, rng, width, height), skeleton)


def tilt(name: str) -> np.ndarray:
    """(3, 3) from a level world (x right, y up, z towards the viewer) to a camera's optical frame."""
    *_, pitch, roll, _ = CAMERAS[name]
    return _about("x", pitch) @ _about("z", roll) @ np.diag([1.0, -1.0, -1.0])


def _place(body, turn, side, depth, above):
    """Turn bodies (F, P, 17, 3) on their spot and put them into a level camera's world: x right, y up,
    z towards the viewer, the camera at the origin."""
    c, s = np.cos(turn), np.sin(turn)
    x = c[:, None] * body[..., 0] + s[:, None] * body[..., 2]
    z = -s[:, None] * body[..., 0] + c[:, None] * body[..., 2]
    return np.stack([x + side[:, None], body[..., 1] - above, z - depth[:, None]], axis=-1)


def _about(axis: str, angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    if axis == "x":
        return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])


def _pixels(points, focal, width, height, d):
    """Pinhole and, with coefficients, the plumb-bob lens as Brown's formula says."""
    x, y = points[..., 0] / points[..., 2], points[..., 1] / points[..., 2]
    if len(d):
        k1, k2, p1, p2, k3 = d
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        x, y = (
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        )
    return np.stack([focal * x + width / 2, focal * y + height / 2], axis=-1)


def _detect(pixel, rng, width, height):
    """Jitter (half of it slow), a constant offset per joint, limbs lost for a while, scores that
    tell some of it; amounts relative to the body's size in the picture."""
    f, p = pixel.shape[:2]
    shoulders, hips = pixel[:, :, 5:7].mean(2), pixel[:, :, 11:13].mean(2)
    size = np.maximum(np.linalg.norm(shoulders - hips, axis=-1), 0.15 * height)[..., None, None]
    slow = rng.normal(size=(f, p, 17, 2))
    for i in range(1, f):
        slow[i] = 0.6 * slow[i - 1] + 0.8 * slow[i]
    jitter = np.sqrt(0.5) * (slow + rng.normal(size=(f, p, 17, 2)))
    level = rng.uniform(0.008, 0.03, p)[:, None, None] * _HARD[:, None]
    offset = 0.015 * rng.normal(size=(p, 17, 2)) * _HARD[:, None]
    xy = pixel + size * (level * jitter + offset)
    score = 0.92 - 1.2 * level[..., 0] * np.linalg.norm(jitter, axis=-1) - 0.05 * rng.random((f, p, 17))
    for person in range(p):
        for _ in range(2):
            start, limb = rng.integers(f), _LIMBS[rng.integers(len(_LIMBS))]
            rows = slice(start, start + 5)
            xy[rows, person, limb] += (0.25 * size * slow)[rows, person, limb]
            score[rows, person, limb] = rng.uniform(0.0, 0.4)
    inside = ((xy >= 0) & (xy < [width, height])).all(-1)
    score = np.where(inside, score.clip(0.0, 1.0), 0.0)
    return np.concatenate([np.where(score[..., None] > 0, xy, 0.0), score[..., None]], axis=-1)
