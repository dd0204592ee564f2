"""Colours of the sides of a body, the same in videos, RViz and Foxglove."""

from __future__ import annotations

Colour = tuple[int, int, int]
"""Red, green, blue, 0 to 255."""

SIDE_COLOURS: dict[str, Colour] = {
    "left": (255, 159, 67),
    "right": (64, 171, 255),
    "middle": (236, 240, 244),
}
"""Left is orange, right is blue."""
