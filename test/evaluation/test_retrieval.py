"""How well poses are found again: what counts as found, and what it is measured against."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from diffpose_ros.core import InputError
from diffpose_ros.evaluation.retrieval import retrieval, rows

FRAMES = 24


def turn(rng):
    q = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    return q * np.sign(np.linalg.det(q))


def seen(names, noise=0.0, seed=0):
    """Each motion by every camera that its name has, lifted with noise."""
    rng = np.random.default_rng(seed)
    motions: dict[str, np.ndarray] = {}
    out = []
    for name in names:
        motion = motions.setdefault(name.split("@")[0], rng.normal(0, 0.4, (FRAMES, 17, 3)))
        skeleton = motion @ turn(rng).T + [0.5, 0, 4]
        around = SimpleNamespace(up=None)
        sequence = SimpleNamespace(name=name, skeleton=skeleton, fps=8.0, around=around)
        lifted = skeleton + noise * rng.normal(size=skeleton.shape)
        out.append(SimpleNamespace(sequence=sequence, xyz=lifted, embedding=None))
    return out


NAMES = ["a@0", "a@1", "b@0", "b@1", "alone"]


def test_the_truth_is_found():
    found = retrieval(seen(NAMES))
    moment = found["same moment, other camera"]["lifted pose"]
    assert moment["distance_mm"] == pytest.approx(0, abs=1e-6)
    assert moment["near"] == 1.0
    assert moment["queries"] == 4 * FRAMES  # nobody else sees the motion that is alone
    for said in found["skeleton of a frame"].values():
        assert (said["r1"], said["r10"], said["poses"]) == (1.0, 1.0, 5 * FRAMES // 4)


def test_noise_shows_and_a_second_says_more_than_a_frame():
    found = retrieval(seen(NAMES, noise=0.2))
    moments = found["same moment, other camera"]
    alone, second = moments["lifted pose"], moments["lifted pose, over a second"]
    assert 0 < alone["near"] < 1 and alone["distance_mm"] > 10
    assert second["near"] > alone["near"]
    recalls = found["skeleton of a frame"]["lifted pose, body's axes"]
    assert 1 / 30 < recalls["r1"] < recalls["r10"] < 1


def test_embeddings_are_compared_by_their_parts():
    class Embedder:
        body = 3

        def skeletons(self, xyz):
            pose = xyz - xyz[:, :1]
            inside = np.linalg.norm(pose[:, 1:4], axis=-1)  # the same from every camera
            return np.concatenate([inside, pose[:, 5]], axis=1)

    predictions = seen(NAMES)
    for p in predictions:
        p.embedding = Embedder().skeletons(p.xyz)
    found = retrieval(predictions, Embedder())
    assert found["same moment, other camera"]["embedding of keypoints"]["near"] == 1.0
    assert found["skeleton of a frame"]["embedding of keypoints, whole"]["r1"] == 1.0
    assert len(rows(found)) == sum(len(entries) for entries in found.values()) == 6 + 6


@pytest.mark.parametrize("names", [["a@0", "b@0"], ["a", "b"]])
def test_motions_that_one_camera_saw_are_refused(names):
    with pytest.raises(InputError, match="expected motions seen by several cameras"):
        retrieval(seen(names))


def test_frames_without_a_pose_are_refused():
    predictions = seen(NAMES)
    predictions[0].xyz[3] = 0
    with pytest.raises(InputError, match="retrieval: 1 frames have no pose"):
        retrieval(predictions)


@pytest.mark.parametrize(("late", "near"), [(5, 19 / 24), (6, 0.0)])
def test_near_is_up_to_five_frames_away(late, near):
    """The second camera says of each moment what it saw some frames ago."""
    predictions = seen(["a@0", "a@1"])
    predictions[1].xyz = np.roll(predictions[1].xyz, late, axis=0)
    found = retrieval(predictions)["same moment, other camera"]["lifted pose"]
    assert found["near"] == pytest.approx(near)
