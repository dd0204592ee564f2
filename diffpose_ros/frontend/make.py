"""Front ends by name, for the node, the commands and Python programs."""

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
        front_end: one of :data:`FRONT_ENDS`. ``tracked`` works only with ``movenet`` and its bundled
            weights.
        tracker: tracker that assigns ids; by default a new one.
        in_step: True: take the time for all work on each image, so the same images always give the same
            people. False: for a live camera, which does not wait.
        make_detector: replaces :func:`diffpose_ros.frontend.detectors.make_detector`.
        options: fields of the detector's configuration, or of :class:`TrackedConfig`.

    Raises:
        ConfigError: an unknown name or option, an option out of range, or a front end that does not work
            with the detector.
        ModelError: a model file is missing, damaged, or another kind of network.
        BackendError: the detector's runtime is not installed or does not start.
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
