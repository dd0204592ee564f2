"""What may be known around a camera, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from diffpose_ros.core import UNKNOWN, InputError, Surroundings


def test_a_unit_vector_and_a_height_are_taken() -> None:
    around = Surroundings(up=np.array([0.0, -1.02, 0.0]), camera_height=1.3)
    assert around.up == pytest.approx([0, -1, 0])
    assert around.camera_height == 1.3


def test_nothing_is_known_at_first() -> None:
    assert UNKNOWN.up is None
    assert UNKNOWN.camera_height is None


@pytest.mark.parametrize(
    ("up", "text"),
    [
        ((0, 0, 0), "expected a unit vector, got one of length 0"),
        ((0, -9.81, 0), "expected a unit vector, got one of length 9.81"),
        ((0, np.nan, 0), "expected 3 finite numbers"),
        ((0, -1), "expected 3 finite numbers"),
    ],
    ids=str,
)
def test_a_wrong_up_is_refused(up, text) -> None:
    with pytest.raises(InputError, match=text):
        Surroundings(up=np.array(up, dtype=float))


@pytest.mark.parametrize("height", [0.0, -1.0, np.nan, 1e6])
def test_a_wrong_height_is_refused(height) -> None:
    with pytest.raises(InputError, match=r"camera height: expected 0.1 to 50 m"):
        Surroundings(camera_height=height)
