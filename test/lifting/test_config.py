"""Settings are validated together, when they are made."""

import pytest

from diffpose_ros.core import ConfigError
from diffpose_ros.lifting import LifterConfig


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"backend": "abacus"}, "backend: expected one of auto, onnxruntime"),
        ({"hypotheses": 0}, "hypotheses: expected a whole number, 1 to 1000, got 0"),
        ({"hypotheses": 2.0}, "hypotheses: expected a whole number, 1 to 1000, got 2.0"),
        ({"hypotheses": True}, "hypotheses: expected a whole number, 1 to 1000, got True"),
        ({"steps": -1}, "steps: expected a whole number"),
        ({"window": 0}, "window: expected a whole number"),
        ({"max_people": 0}, "max_people: expected a whole number"),
        ({"max_people": 60}, r"max_people: expected at most max_tracks \(50\), got 60"),
        ({"max_gap_s": 0}, "max_gap_s: expected 0.05 to 60, got 0"),
        ({"max_gap_s": float("nan")}, "max_gap_s: expected 0.05 to 60, got nan"),
        ({"max_gap_s": "1"}, "max_gap_s: expected a number, got '1'"),
        ({"person_height": 17.5}, "person_height: expected 0.4 to 2.8, got 17.5"),
        ({"deadline_s": 0}, "deadline_s: expected 0.0001 to 60, got 0"),
        ({"score_threshold": 1.5}, "score_threshold: expected 0 to 1, got 1.5"),
        ({"min_keypoints": 2}, "min_keypoints: expected a whole number, 3 to 17, got 2"),
        ({"guidance_weights": (1, 2)}, "guidance_weights: expected 4 numbers"),
        ({"guidance_weights": (1, 1, 1, float("inf"))}, "guidance_weights: expected 4 numbers"),
    ],
)
def test_what_cannot_be_is_refused(settings, error):
    with pytest.raises(ConfigError, match=error):
        LifterConfig(**settings)


def test_few_hypotheses_lower_the_minimum():
    assert LifterConfig(hypotheses=1).min_hypotheses == 1
