"""Checks that every backend makes of its feeds."""

from __future__ import annotations

from diffpose_ros.core import InputError
from diffpose_ros.runtime.graph_spec import ModelSpec
from diffpose_ros.runtime.protocol import Feeds


def check_feeds(spec: ModelSpec, feeds: Feeds) -> int:
    """Check names and shapes; return the number of rows.

    Raises:
        InputError: an input is missing or has another shape.
    """
    missing = [n for n in spec.inputs if n not in feeds]
    if missing:
        raise InputError(f"model '{spec.name}': expected inputs {missing}, which were not given")
    rows, hypotheses = feeds["noise"].shape[:2]
    windows = {ring: feeds[age].shape[1] for age, ring in spec.age_inputs.items()}
    for name in spec.inputs:
        want = spec.input_shape(name, rows, hypotheses, windows)
        if feeds[name].shape != want:
            raise InputError(f"model '{spec.name}', input '{name}': expected {want}, got {feeds[name].shape}")
    return int(rows)
