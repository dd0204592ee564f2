"""Many sequences at once: the same answers as one after the other."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from diffpose_ros.core import Camera, Hypotheses, InputError
from diffpose_ros.data import benchmark
from diffpose_ros.evaluation import protocol, report
from diffpose_ros.evaluation.protocol_batched import in_camera, run_together


class Rays:
    """Answers with what it was shown: each keypoint's ray at 4 m. Remembers the groups' sizes."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.stamps: list[int] = []
        self.common_floors: list[bool] = []
        self.resets = 0

    def reset(self) -> None:
        self.resets += 1

    def lift(self, people, camera, stamp_ns, *, around=None):
        self.sizes.append(len(people))
        self.stamps.append(stamp_ns)
        self.common_floors.append(around.common_floor)
        skeletons, samples = [], []
        for xy, score, track_id in zip(people.xy, people.score, people.track_id, strict=True):
            if score.max() == 0:
                continue
            pixels = np.concatenate([xy, np.ones((17, 1))], -1)
            xyz = 4.0 * pixels @ np.linalg.inv(camera.matrix).T
            covariance = np.tile(np.eye(3) * 1e-4, (17, 1, 1))
            skeletons.append(SimpleNamespace(
                    xyz=xyz, covariance=covariance, root_covariance=np.eye(3), track_id=int(track_id)
                ))
            samples.append(Hypotheses((xyz - xyz[:1])[None]))
        return SimpleNamespace(skeletons=skeletons, hypotheses=samples)


@pytest.fixture
def sequences(contents, save):
    """Three sequences of other lengths, rates and cameras; in one, a frame shows nothing."""
    a, b = benchmark.load(save(contents))
    wide = Camera(matrix=np.array([[500.0, 0, 600], [0, 510, 380], [0, 0, 1]]), width=1280, height=720)
    unseen = b.keypoints.copy()
    unseen[2, :, 2] = 0
    short = replace(a, keypoints=a.keypoints[:4], skeleton=a.skeleton[:4])
    return [replace(in_camera(a, wide), name="wide"), replace(b, keypoints=unseen), short,
            short.thinned(15.0)]  # fmt: skip


@pytest.mark.parametrize("group", [1, 2, 12])
def test_answers_are_those_of_one_after_the_other(sequences, group: int) -> None:
    one = list(protocol.run(Rays(), sequences))
    together = run_together(Rays(), sequences, group=group)
    for a, b in zip(one, together, strict=True):
        assert b.sequence is a.sequence
        assert b.xyz == pytest.approx(a.xyz, abs=1e-9)
        assert b.hypotheses == pytest.approx(a.hypotheses, abs=1e-9)
        assert b.covariance == pytest.approx(a.covariance)
        assert b.unanswered == a.unanswered
    expected, found = report.score(one).as_dict(), report.score(together).as_dict()
    assert found == {k: pytest.approx(v) for k, v in expected.items()}


def test_sequences_of_one_rate_share_a_group(sequences) -> None:
    lifter = Rays()
    done = []
    run_together(lifter, sequences, progress=done.append)
    assert lifter.resets == 2
    assert lifter.sizes == [1, 1, 3, 3, 3, 3, 2, 2], "15 Hz alone; the short one leaves early"
    assert (np.diff(lifter.stamps) > 0).all()
    assert not any(lifter.common_floors), "each sequence has a floor of its own"
    assert sum(done) == sum(map(len, sequences))


def test_another_camera_sees_the_same_rays(contents, save) -> None:
    (first, _) = benchmark.load(save(contents))
    wide = Camera(matrix=np.diag([500.0, 400, 1]), width=64, height=48)
    moved = in_camera(first, wide)
    ones = np.ones((6, 17, 1))
    before = np.concatenate([first.keypoints[..., :2], ones], -1) @ np.linalg.inv(first.camera.matrix).T
    after = np.concatenate([moved.keypoints[..., :2], ones], -1) @ np.linalg.inv(wide.matrix).T
    assert after == pytest.approx(before)
    assert np.array_equal(moved.skeleton, first.skeleton)
    bent = Camera(wide.matrix, 64, 48, np.array([0.1, 0, 0, 0]), "plumb_bob")
    with pytest.raises(InputError, match="no lens distortion"):
        in_camera(first, bent)
