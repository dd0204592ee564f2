"""Bodies of the real body model; they need it installed."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("anny", reason="anny is not installed: pip install 'diffpose_ros[render]'")
pytest.importorskip("torch", reason="torch is not installed: make setup-train")

from diffpose_ros.core import InputError
from diffpose_ros.rendering.bodies import Body, BodyMaker, body_maker
from diffpose_ros.rendering.look import dress
from diffpose_ros.rendering.posing import pose


@pytest.fixture(scope="module")
def maker() -> BodyMaker:
    return body_maker()


def test_children_are_small_with_large_heads_and_drawn_as_often_as_adults(maker: BodyMaker) -> None:
    rng = np.random.default_rng(0)
    drawn = [maker.draw(rng) for _ in range(24)]
    young = [b for b in drawn if b.age_years < 9]
    grown = [b for b in drawn if b.age_years > 18]
    assert len(young) >= 3 and len(grown) >= 6
    assert max(b.stature for b in young) < min(b.stature for b in grown)
    assert min(head_share(b) for b in young) > max(head_share(b) for b in grown)


def head_share(body: Body) -> float:
    return (body.stature - body.keypoints[0, 1]) / body.stature


def test_a_body_stands_on_the_floor_and_faces_forward(maker: BodyMaker) -> None:
    body = maker.make([0.0, 0.77, 0.5, 0.5, 0.5, 0.5])
    assert body.vertices[:, 1].min() == pytest.approx(0, abs=1e-6)
    assert 1.5 < body.stature < 2.05
    left, right = body.keypoints[5], body.keypoints[6]
    assert left[0] > 0 > right[0] and body.keypoints[0, 2] > left[2]
    with pytest.raises(InputError, match="expected 6 numbers of 0 to 1"):
        maker.make([0.5] * 5 + [1.2])


def test_clothes_change_skin_and_nothing_that_is_known(maker: BodyMaker) -> None:
    body = maker.make([1.0, 0.77, 0.5, 0.5, 0.5, 0.5])
    look = dress(body, np.random.default_rng(1))
    assert np.abs(look.body.vertices - body.vertices).max() < 0.06
    assert look.body.stature == body.stature and (look.body.heads == body.heads).all()
    assert look.paint.shape == body.vertices.shape and 0 < look.paint.min() <= look.paint.max() <= 1
    standing = np.zeros((1, 21, 3))
    standing[0] = _standing()
    posed = pose(look.body, standing)
    keypoints = body.mesh.keypoints @ posed.vertices(0)
    assert np.abs(keypoints[:, 1].min() - 0.08) < 0.08 and posed.h36m17[0, 10, 1] < body.stature + 0.05


def _standing() -> np.ndarray:
    """Somebody who stands with hanging arms, metres, Y up."""
    right = [(-0.09, 0.9), (-0.09, 0.5), (-0.09, 0.08)]
    left = [(-x, y) for x, y in right]
    arm = [(0.18, 1.42), (0.2, 1.12), (0.2, 0.87)]
    flat = [
        (0, 0.9),
        *right,
        *left,
        (0, 1.22),
        (0, 1.34),
        (0, 1.58),
        (0, 1.7),
        *arm,
        *((-x, y) for x, y in arm),
    ]
    body = np.array([(x, y, 0.0) for x, y in flat])
    body[9, 2] = 0.1
    face = np.array([(0.03, 1.61, 0.08), (-0.03, 1.61, 0.08), (0.07, 1.59, 0.0), (-0.07, 1.59, 0.0)])
    return np.concatenate([body, face])
