"""Kinds of views that lifters find hard, each as cameras and people to draw."""

from __future__ import annotations

from dataclasses import dataclass

from diffpose_ros.core.typed_config import span
from diffpose_ros.data.virtual.camera import CameraConfig
from diffpose_ros.data.virtual.people import PeopleConfig


@dataclass(frozen=True)
class Kind:
    """What one benchmark has that others have not.

    Attributes:
        about: one line for people.
        camera: ranges of the cameras.
        roll_deg: least and greatest roll of the camera, either way, beside that of ``camera``.
        look_up_deg: least and greatest angle by which the camera looks over the body's middle.
        people: whose bodies move; ``None``: those of the motion capture.

    Raises:
        ConfigError: a range is empty or reaches below 0.
    """

    about: str
    camera: CameraConfig
    roll_deg: tuple[float, float] = (0.0, 0.0)
    look_up_deg: tuple[float, float] = (0.0, 0.0)
    people: PeopleConfig | None = None

    def __post_init__(self) -> None:
        for name in ("roll_deg", "look_up_deg"):
            if getattr(self, name) != (0.0, 0.0):
                span(name, getattr(self, name))


def _fixed(**changes: object) -> CameraConfig:
    """A camera on a tripod that looks at a person from some metres, within 10 degrees of level."""
    settings: dict[str, object] = {
        "distance": (2.5, 8.0), "focal": (0.6, 1.2), "roll_std": 0.02, "off_centre": 0.6, "moving": 0.0,
        "pitched": 1.0, "pitch_deg": (-10.0, 10.0),
    }  # fmt: skip
    return CameraConfig(**{**settings, **changes})  # type: ignore[arg-type]


KINDS: dict[str, Kind] = {
    "level": Kind("cameras within 10 degrees of level, 2.5 to 8 m away", _fixed()),
    "above": Kind("from 30 to 60 degrees above", _fixed(pitch_deg=(-60.0, -30.0))),
    "rolled": Kind("level, rolled by 15 to 45 degrees", _fixed(), roll_deg=(15.0, 45.0)),
    "close": Kind(
        "from 0.8 to 1.6 m, the legs out of the picture",
        _fixed(distance=(0.8, 1.6), focal=(0.55, 0.8), off_centre=0.3, pitched=0.0, height=(1.1, 1.7)),
        look_up_deg=(18.0, 26.0),
    ),
    "children": Kind(
        "children of 0.95 to 1.3 m, level cameras",
        _fixed(),
        people=PeopleConfig(children=1.0, child_stature_m=(0.95, 1.3)),
    ),
}
"""Name -> kind."""
