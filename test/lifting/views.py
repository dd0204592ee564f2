"""Standing people as a camera sees them."""

import numpy as np
from synthetic import BODY

from diffpose_ros.core import People2D

COCO_FROM_H36M = (9, 9, 9, 9, 9, 11, 14, 12, 15, 13, 16, 4, 1, 5, 2, 6, 3)
FACE = {1: (0.03, -0.04), 2: (-0.03, -0.04), 3: (0.07, -0.02), 4: (-0.07, -0.02)}
S = 1_000_000_000
FRAME = S // 30


def standing(camera, places, *, ids=None, score=0.9, body_scale=1.0):
    """COCO-17 keypoints of standing people whose hips are at ``places`` (P, 3) m."""
    places = np.atleast_2d(np.asarray(places, dtype=float))
    xyz = BODY[list(COCO_FROM_H36M)] * body_scale + places[:, None]
    for joint, (x, y) in FACE.items():
        xyz[:, joint, :2] += (x, y)
    image = xyz @ camera.matrix.T
    p = len(places)
    return People2D(
        xy=image[..., :2] / image[..., 2:],
        score=np.broadcast_to(score, (p, 17)),
        track_id=np.arange(1, p + 1) if ids is None else np.asarray(ids),
    )


def spy(lifter):
    """Copies of everything that goes into the backend from now on."""
    seen = []
    backend = lifter.backend
    original = backend.run

    def run_and_note(feeds):
        seen.append({n: v.copy() for n, v in feeds.items()})
        return original(feeds)

    backend.run = run_and_note
    return seen


def run(lifter, camera, frames, *, start=10 * S, step=FRAME, **people):
    """Lift the same people for some frames; the last result."""
    result = None
    for k in range(frames):
        result = lifter.lift(standing(camera, **people), camera, start + k * step)
    return result


def anew(make, camera):
    return run(make(), camera, 1, places=[[0.3, 0, 4]]).skeletons[0].xyz
