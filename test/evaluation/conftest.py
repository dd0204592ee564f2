"""A small benchmark file and a lifter that knows the answer."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from diffpose_ros.core import Camera, Hypotheses, People2D
from diffpose_ros.core.surroundings import UNKNOWN, Surroundings


def arrays(sequences: int = 2, frames: int = 6) -> dict[str, np.ndarray]:
    """The arrays of a valid benchmark file: someone 4 m away who moves a little."""
    rng = np.random.default_rng(0)
    total = sequences * frames
    skeleton = rng.normal(scale=0.3, size=(total, 17, 3)) + np.array([0.0, 0.0, 4.0])
    matrix = np.array([[900.0, 0, 640], [0, 900, 360], [0, 0, 1]])
    image = skeleton @ matrix.T
    keypoints = np.concatenate(
        [image[..., :2] / image[..., 2:], rng.uniform(0.5, 1, (total, 17, 1))], axis=-1
    )
    return {
        "offsets": np.arange(sequences + 1) * frames,
        "keypoints": keypoints.astype(np.float32),
        "skeleton": skeleton.astype(np.float32),
        "camera_matrix": np.stack([matrix] * sequences),
        "image_size": np.array([1280, 720]),
        "fps": np.array(30.0),
        "names": np.array([f"clip{i}" for i in range(sequences)]),
        "subject": np.array([f"s{i}" for i in range(sequences)]),
        "action": np.array(["walk", "run"] * sequences)[:sequences],
    }


@pytest.fixture
def contents():
    return arrays()


@pytest.fixture
def save(tmp_path):
    def write(content: dict[str, np.ndarray]):
        path = tmp_path / "bench.npz"
        np.savez(path, **content)
        return path

    return write


@dataclass
class Oracle:
    """Answers each frame with what ``answers`` holds for it (``None``: no skeleton), in order.

    Remembers what it was shown.
    """

    answers: list

    def __post_init__(self) -> None:
        self.stamps: list[int] = []
        self.people: list[People2D] = []
        self.cameras: list[Camera] = []
        self.resets = 0
        self._next = iter(self.answers)

    def reset(self) -> None:
        self.resets += 1

    def lift(
        self, people: People2D, camera: Camera, stamp_ns: int, *, around: Surroundings = UNKNOWN
    ) -> SimpleNamespace:
        self.stamps.append(stamp_ns)
        self.people.append(people)
        self.cameras.append(camera)
        pose = next(self._next)
        if pose is None:
            return SimpleNamespace(skeletons=[], hypotheses=[])
        covariance = np.tile(1e-4 * np.eye(3), (17, 1, 1))
        samples = Hypotheses((pose - pose[:1])[None] + np.zeros((3, 1, 1)))
        return SimpleNamespace(
            skeletons=[SimpleNamespace(xyz=pose, covariance=covariance, root_covariance=np.eye(3))],
            hypotheses=[samples],
        )


@pytest.fixture
def oracle():
    return Oracle
