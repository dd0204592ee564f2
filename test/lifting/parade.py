"""A parade of people for golden numbers: who comes, leaves, and comes back."""

import numpy as np

from diffpose_ros.core import Camera, People2D

S = 1_000_000_000
BODY = np.array(
    [
        [0.00, -0.60, -0.10], [0.03, -0.64, -0.09], [-0.03, -0.64, -0.09], [0.07, -0.62, 0.00],
        [-0.07, -0.62, 0.00], [0.17, -0.47, 0.00], [-0.17, -0.47, 0.00], [0.22, -0.20, 0.03],
        [-0.22, -0.20, 0.03], [0.22, 0.03, -0.08], [-0.22, 0.03, -0.08], [0.12, 0.00, 0.00],
        [-0.12, 0.00, 0.00], [0.12, 0.43, 0.00], [-0.12, 0.43, 0.00], [0.12, 0.85, 0.05],
        [-0.12, 0.85, 0.05],
    ]
)  # fmt: skip
"""(17, 3) m, COCO-17, from the hip, x right, y down, z away."""

PLACES = np.array([[-1.2, 0.1, 4.0], [0.3, 0.2, 5.5], [1.6, 0.0, 3.5], [0.0, 0.1, 7.0]])
HERE = (((0, 40),), ((5, 15), (22, 40)), ((8, 30),), ((0, 4), (25, 40)))
"""When each person is in view: spans of frames."""

SWING = {7: 0.1, 8: -0.1, 9: 0.25, 10: -0.25, 13: -0.15, 14: 0.15, 15: -0.3, 16: 0.3}
"""Joint -> m that it swings to and fro."""


def camera() -> Camera:
    return Camera(
        np.array([[900.0, 0, 640], [0, 905.0, 360], [0, 0, 1]]), 1280, 720,
        np.array([-0.15, 0.04, 0.001, -0.0005, 0.0]), "plumb_bob",
    )  # fmt: skip


def parade(frames: int = 40):
    """Yield (stamp_ns, People2D): limbs swing, people walk, keypoints shake and hide; the stamps are
    uneven."""
    rng = np.random.default_rng(11)
    k = camera().matrix
    stamp = 5 * S
    for t in range(frames):
        stamp += int(rng.integers(S // 45, S // 20))
        here = [i for i, spans in enumerate(HERE) if any(a <= t < b for a, b in spans)]
        xyz = np.stack([BODY + PLACES[i] for i in here])
        for row, i in enumerate(here):
            xyz[row, :, 0] += 0.02 * t * (-1) ** i
            for joint, size in SWING.items():
                xyz[row, joint, 2] += size * np.sin(0.4 * t + i)
        image = xyz @ k.T
        xy = image[..., :2] / image[..., 2:] + rng.normal(0, 2.0, (len(here), 17, 2))
        score = rng.uniform(0.3, 0.95, (len(here), 17))
        score[rng.random((len(here), 17)) < 0.08] = 0.0
        yield stamp, People2D(xy=xy, score=score, track_id=np.array(here) + 1)
