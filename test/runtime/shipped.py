"""Files of the models in the box."""

from pathlib import Path

import pytest

from diffpose_ros.core.resources import WEIGHTS


def shipped(*patterns: str) -> list:
    """Files of the models in the box, one parameter each."""
    paths = sorted({p for pattern in patterns for p in WEIGHTS.glob(pattern)})
    missing = pytest.mark.skip(reason=f"no {' or '.join(patterns)} under {WEIGHTS}")
    return [pytest.param(p, id=f"{p.parent.name}-{p.stem}") for p in paths] or [
        pytest.param(Path(), id="none", marks=missing)
    ]


STEPS = shipped("diffpose/model_1.onnx", "starpose/model_1.onnx")
WHOLE = shipped("starpose/model.onnx")
