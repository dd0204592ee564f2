"""Checks that every backend makes of its feeds."""

from __future__ import annotations

from diffpose_ros.core import InputError
from diffpose_ros.runtime.graph_spec import PEOPLE, GraphSpec
from diffpose_ros.runtime.protocol import Feeds


def check_feeds(spec: GraphSpec, feeds: Feeds) -> tuple[int, dict[str, int]]:
    """Check names and shapes.

    Returns:
        The number of rows, and the other sizes.

    Raises:
        InputError: an input is missing or has another shape.
    """
    missing = [n for n in spec.inputs if n not in feeds]
    if missing:
        raise InputError(f"model '{spec.name}': expected inputs {missing}, which were not given")
    try:
        sizes = spec.sizes_in(feeds)
    except IndexError:
        sizes = {PEOPLE: len(next(iter(feeds.values()))), **spec.sizes}  # the shapes below tell
    rows = sizes.pop(PEOPLE)
    for name, want in spec.shapes(rows, sizes).items():
        if feeds[name].shape != want:
            raise InputError(f"model '{spec.name}', input '{name}': expected {want}, got {feeds[name].shape}")
    return rows, sizes
