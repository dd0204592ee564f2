"""The lifter, frame by frame from ring caches, equals the reference that keeps whole clips."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the Python package torch")
pytest.importorskip("onnx", reason="needs the Python package onnx to export a test network")
pytest.importorskip("safetensors", reason="needs the Python package safetensors")

import torch
from small_network import WINDOW, save_model, small_network
from views import S, standing

from diffpose_ros.core import People2D
from diffpose_ros.geometry.mapping import coco_to_points
from diffpose_ros.geometry.normalise import observe
from diffpose_ros.geometry.undistort import undistort
from diffpose_ros.training.rollout import rollout

TOLERANCE_M = 1e-4
FRAMES = 3 * WINDOW + 2
PEOPLE = 3


@pytest.fixture(scope="module", params=["starpose", "diffpose"])
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def model(kind, tmp_path_factory):
    return save_model(tmp_path_factory.mktemp(kind), kind)


def clip(camera):
    """Stamps with jitter and keypoints of people who walk, with some keypoints hidden."""
    rng = np.random.default_rng(3)
    stamps = S + np.cumsum(rng.integers(S // 50, S // 15, FRAMES))
    frames = []
    for k in range(FRAMES):
        places = [[-1 + 0.05 * k, 0, 4], [0.02 * k, 0.1, 5 - 0.03 * k], [1.5, 0, 3.5]]
        people = standing(camera, places)
        score = rng.uniform(0.3, 1.0, (PEOPLE, 17))
        score[rng.random((PEOPLE, 17)) < 0.1] = 0.0
        noise = rng.normal(0, 4, (PEOPLE, 17, 2))
        frames.append(People2D(xy=people.xy + noise, score=score, track_id=people.track_id))
    return stamps, frames


def reference(kind, camera, stamps, frames):
    """(PEOPLE, FRAMES, 17, 3) mean poses in the real camera, from the rollout over whole clips."""
    state, points, views, rotations = None, [], [], []
    for k, people in enumerate(frames):
        xy, score = coco_to_points(undistort(people.xy, camera), people.score)
        first = np.full(PEOPLE, k == 0)
        dt = np.full(PEOPLE, (stamps[k] - stamps[k - 1]) * 1e-9 if k else 0.0)
        age = np.full(PEOPLE, (stamps[k] - stamps[0]) * 1e-9)
        point, view, state = observe(xy, score, dt, state, first, age)
        points.append(point)
        views.append(view)
        rotations.append(state.rotation)
    rotation = np.stack(rotations, 1)
    out = rollout(
        small_network(kind),
        {
            "points": torch.from_numpy(np.stack(points, 1)),
            "view": torch.from_numpy(np.stack(views, 1)),
            "times_s": torch.from_numpy((stamps - stamps[0]) * 1e-9).float(),
            "rotation": torch.from_numpy(rotation).float(),
        },
    )
    return out.mean.numpy() @ rotation, out.hypotheses.numpy() @ rotation[:, :, None]


@pytest.mark.parametrize("backend", ["onnxruntime", "torch"])
def test_every_frame_equals_the_pass_over_whole_clips(make, model, kind, camera, backend):
    stamps, frames = clip(camera)
    mean, hypotheses = reference(kind, camera, stamps, frames)
    lifter = make(model=model, backend=backend)
    spoken = listen(lifter)
    for k, people in enumerate(frames):
        lifter.lift(people, camera, int(stamps[k]))
        poses = spoken[-1]
        order = [lifter.people.row_of(i + 1) for i in range(PEOPLE)]
        np.testing.assert_allclose(poses.mean[order], mean[:, k], atol=TOLERANCE_M)
        np.testing.assert_allclose(poses.hypotheses[order], hypotheses[:, k], atol=TOLERANCE_M)


def test_coming_and_going_changes_nothing_for_those_who_stay(make, model, kind, camera):
    """Others leave, return and make room, so that rows move; person 2 never notices."""
    stamps, frames = clip(camera)
    mean, _ = reference(kind, camera, stamps, frames)
    lifter = make(model=model, max_gap_s=0.2, max_people=3, max_tracks=3)
    spoken = listen(lifter)
    rng = np.random.default_rng(5)
    for k, people in enumerate(frames):
        view = [1, *(i for i in (0, 2) if rng.random() < 0.5)]
        rng.shuffle(view)
        lifter.lift(people.take(view), camera, int(stamps[k]))
        row = lifter.people.row_of(2)
        np.testing.assert_allclose(spoken[-1].mean[row], mean[1, k], atol=TOLERANCE_M)


def listen(lifter):
    """Root-relative poses of every frame, whether the rays let a root be found or not."""
    from diffpose_ros.methods.diffusion import method as place

    heard = []
    original = place.to_real_camera

    def note(outputs, rotation, *, keep_hypotheses, graph_s):
        heard.append(original(outputs, rotation, keep_hypotheses=True, graph_s=graph_s))
        return heard[-1]

    patch = pytest.MonkeyPatch()
    patch.setattr(place, "to_real_camera", note)
    close = lifter.close

    def close_and_forget():
        patch.undo()
        close()

    lifter.close = close_and_forget
    return heard
