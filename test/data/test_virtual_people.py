"""Bodies drawn for training: their statistics, and that motions stay motions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from diffpose_ros.core import ConfigError
from diffpose_ros.data.clips import bodies, load_clips
from diffpose_ros.data.virtual import augment
from diffpose_ros.data.virtual import people as module
from diffpose_ros.data.virtual.people import PeopleConfig, become, coco_keypoints, draw_people

EXCERPT = Path(__file__).with_name("cmu_excerpt.npz")
NUMBERS = json.loads(Path(module.__file__).with_name("bodies.json").read_text())


@pytest.fixture(scope="module")
def motion() -> np.ndarray:
    return np.repeat(bodies(load_clips(EXCERPT)[:1])[0][None, ::10], 200, axis=0)


def drawn(count: int = 4000, **options: float | tuple[float, float]):
    return draw_people(count, np.random.default_rng(1), PeopleConfig(**options))


@pytest.mark.parametrize(("women", "sex"), [(0.0, "male"), (1.0, "female")])
def test_adults_are_as_tall_and_as_different_as_ansur_says(women: float, sex: str) -> None:
    people = drawn(women=women, children=0.0)
    numbers, average = NUMBERS[sex], NUMBERS["male"]
    assert people.stature.mean() == pytest.approx(numbers["stature"]["mean"], rel=0.005)
    assert np.log(people.stature).std() == pytest.approx(numbers["stature"]["cv"], rel=0.06)
    tall = np.log(people.stature / numbers["stature"]["mean"])
    for bone, joint in (("thigh", 2), ("shank", 3), ("upper_arm", 12), ("forearm", 13), ("spine", 7)):
        m = numbers[NUMBERS["bones"][bone][0]]
        logs = np.log(people.lengths[:, joint])
        slope, _ = np.polyfit(tall, logs, 1)
        assert slope == pytest.approx(m["slope"], abs=0.1), bone
        assert (logs - slope * tall).std() == pytest.approx(m["residual_cv"], rel=0.08), bone
        ratio = people.lengths[:, joint].mean() / NUMBERS["reference_m"][bone]
        expected = m["mean"] / average[NUMBERS["bones"][bone][0]]["mean"]
        assert ratio == pytest.approx(expected, rel=0.01), bone


def test_children_are_small_and_their_heads_grow_less_than_their_legs() -> None:
    people = drawn(children=1.0, child_stature_m=(0.5, 1.5))
    assert people.child.all() and 0.5 <= people.stature.min() < 0.55 and 1.45 < people.stature.max() <= 1.5
    small, large = people.stature < 0.7, people.stature > 1.3
    legs = people.lengths[:, [2, 3]].sum(1) / people.stature
    heads = people.head / people.stature
    assert legs[small].mean() < 0.96 * legs[large].mean()
    assert heads[small].mean() > 1.35 * heads[large].mean()
    # As on bodies of Anny: at 1.1 m the head has five sixths of an adult's width.
    assert np.median(people.head[np.abs(people.stature - 1.1) < 0.05]) == pytest.approx(0.83, abs=0.03)


def test_left_and_right_differ_by_little() -> None:
    people = drawn(200)
    for left, right in ((5, 2), (12, 15)):
        assert 0 < np.log(people.lengths[:, left] / people.lengths[:, right]).std() < 0.01


def test_people_keep_the_directions_of_the_motion_and_their_own_lengths(motion: np.ndarray) -> None:
    people = draw_people(len(motion), np.random.default_rng(2), PeopleConfig())
    body = become(motion, people)
    before, after = augment.bones(motion), augment.bones(body)
    for joint in (2, 3, 5, 6, 12, 13, 15, 16, 11, 7):
        cosine = (before[:, :, joint] * after[:, :, joint]).sum(-1)
        cosine /= np.linalg.norm(before[:, :, joint], axis=-1) * np.linalg.norm(after[:, :, joint], axis=-1)
        assert cosine.min() > 1 - 1e-5
        length = np.linalg.norm(after[:, :, joint], axis=-1).mean(1)
        np.testing.assert_allclose(length, people.lengths[:, joint], rtol=1e-4)
    legs = np.linalg.norm(before[:, :, [2, 3, 5, 6]], axis=-1).mean(1).sum(1)
    scale = people.lengths[:, [2, 3, 5, 6]].sum(1) / legs
    np.testing.assert_allclose(body[:, :, 0], motion[:, :, 0] * scale[:, None, None], rtol=1e-4, atol=1e-5)


def test_faces_are_raised_by_centimetres_with_a_spread(motion: np.ndarray) -> None:
    raised = become(motion, drawn(len(motion), children=0.0))
    low = become(motion, drawn(len(motion), children=0.0, face_up_m=0.0, face_up_spread_m=0.0))
    up = np.linalg.norm(raised[:, :, [9, 17, 18, 19, 20]] - low[:, :, [9, 17, 18, 19, 20]], axis=-1)
    assert up.mean() == pytest.approx(0.044, abs=0.004) and 0.01 < up.mean((1, 2)).std() < 0.018
    assert np.ptp(up, axis=2).max() < 1e-5, "a head is moved as a whole"
    towards_crown = ((raised - low)[:, :, 9] * (low[:, :, 10] - low[:, :, 8])).sum(-1)
    assert towards_crown.min() > 0
    np.testing.assert_allclose(raised[:, :, :9], low[:, :, :9], atol=1e-6)


def test_coco_hips_lie_where_detectors_put_them_and_mirror_each_other(motion: np.ndarray) -> None:
    people = drawn(len(motion), children=0.0, coco_spread_m=0.0)
    body = become(motion, people)
    coco = coco_keypoints(body, people)
    frame = augment.torso_frame(body)
    size = people.stature / NUMBERS["male"]["stature"]["mean"]
    for joint, ours, side in ((11, 4, 1), (12, 1, -1)):
        away = np.einsum("btji,btj->bti", frame, coco[:, :, joint] - body[:, :, ours])
        expected = np.array(NUMBERS["coco_offsets_m"][11]) * [side, 1, 1]
        np.testing.assert_allclose(away.mean(1) / size[:, None], np.tile(expected, (len(size), 1)), atol=1e-4)
    for joint, upper, ours in ((13, 4, 5), (14, 1, 2), (8, 14, 15)):
        along = body[:, :, upper] - body[:, :, ours]
        along /= np.linalg.norm(along, axis=-1, keepdims=True)
        away = coco[:, :, joint] - body[:, :, ours]
        of_left = NUMBERS["coco_offsets_m"][joint - 1 if joint % 2 == 0 else joint][0]
        np.testing.assert_allclose(away, along * (of_left * size)[:, None, None], atol=1e-5)
    assert np.array_equal(coco_keypoints(body, None)[:, :, 13], body[:, :, 5])
    assert np.array_equal(coco[:, :, :5], body[:, :, [9, 17, 18, 19, 20]])


def test_some_keep_the_motion_captures_body_with_keypoints_at_the_joints(motion: np.ndarray) -> None:
    people = drawn(len(motion), own=0.4)
    assert people.own.mean() == pytest.approx(0.4, abs=0.1)
    body = become(motion, people)
    np.testing.assert_array_equal(body[people.own], motion[people.own])
    assert np.abs(body[~people.own] - motion[~people.own]).max(axis=(1, 2, 3)).min() > 0.005
    keypoints, joints = coco_keypoints(body, people), coco_keypoints(body, None)
    np.testing.assert_array_equal(keypoints[people.own], joints[people.own])
    assert np.abs(keypoints[~people.own] - joints[~people.own]).max(axis=(1, 2, 3)).min() > 0.005
    # Who is not asked for changes nobody: the same bodies as without the option.
    np.testing.assert_array_equal(people.lengths, drawn(len(motion)).lengths)


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="children: expected"):
        PeopleConfig(children=1.5)
    with pytest.raises(ConfigError, match=r"child_stature_m: expected from and to, rising, above 0\.4"):
        PeopleConfig(child_stature_m=(0.2, 1.0))


def test_people_seen_by_several_cameras_are_the_same() -> None:
    people = drawn(5)
    twice = people.repeated(2)
    assert len(twice.stature) == 10 and np.array_equal(twice.lengths[:5], twice.lengths[5:])
    assert np.array_equal(twice.coco[5:], people.coco)
