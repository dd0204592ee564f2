"""Front ends by name: what the node, the commands and Python programs ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from diffpose_ros.core import ConfigError
from diffpose_ros.core.choices import FRONT_ENDS
from diffpose_ros.frontend import detectors
from diffpose_ros.frontend.detectors import Detector
from diffpose_ros.frontend.protocol import FrontEnd
from diffpose_ros.frontend.tracked import Tracked, TrackedConfig
from diffpose_ros.frontend.whole_image import WholeImage
from diffpose_ros.tracking import Tracker

"""Values of the setting ``front_end``; ``auto`` is ``tracked`` for the bundled detector."""


def make_front_end(
    detector: str = "movenet",
    *,
    front_end: str = "auto",
    tracker: Tracker | None = None,
    in_step: bool = True,
    make_detector: Callable[..., Detector] | None = None,
    **options: Any,
) -> FrontEnd:
    """Make a front end for one camera.

    Args:
        detector: one of :data:`diffpose_ros.frontend.detectors.DETECTORS`.
        front_end: one of :data:`FRONT_ENDS`. ``tracked`` exists for ``movenet`` with its own
            weights alone.
        tracker: keeps identities; a new one by default.
        in_step: as if there were time for everything: the same images give the same people. False
            for a camera, whose next image does not wait.
        make_detector: makes the detector instead of
            :func:`diffpose_ros.frontend.detectors.make_detector`.
        options: fields of the detector's configuration, or of :class:`TrackedConfig`.

    Raises:
        ConfigError: unknown name or option, an option out of range, or a front end that does not
            go with the detector.
        ModelError: a model file is missing, damaged, or not such a network.
        BackendError: what the detector runs on is not installed or fails to start.
    """
    if front_end not in FRONT_ENDS:
        raise ConfigError(f"front_end: expected one of {', '.join(FRONT_ENDS)}, got {front_end!r}")
    bundled = detector == "movenet" and not options.get("model")
    if front_end == "tracked" and not bundled:
        raise ConfigError(
            "front_end 'tracked' needs the bundled networks: expected detector 'movenet' without a "
            f"model file, got '{detector}'; use 'whole_image' or 'auto'"
        )
    if front_end == "whole_image" or not bundled or make_detector is not None:
        made = (make_detector or detectors.make_detector)(detector, **options)
        return WholeImage(made, tracker)
    known = {field.name for field in fields(TrackedConfig)}
    options = {name: value for name, value in options.items() if name != "model"}
    for option in options:
        if option not in known:
            raise ConfigError(
                f"front end 'tracked': unknown option '{option}', expected: {', '.join(sorted(known))}"
            )
    return Tracked(TrackedConfig(**options, in_step=in_step), tracker)
