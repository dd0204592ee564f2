"""What every 2D detector looks like, and how one is made by name."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import ConfigError, InputError, People2D


@runtime_checkable
class Detector(Protocol):
    """Finds people and their keypoints in one image.

    Attributes:
        name: what :func:`make_detector` calls it.
        joint_set: name of the joint set of its keypoints.
        reason: what its network runs on, and why that.
    """

    name: str
    joint_set: str
    reason: str

    def detect(self, rgb: NDArray[np.uint8]) -> People2D:
        """People in an image (H, W, 3) uint8 RGB, keypoints in its pixels, best person first."""
        ...

    def close(self) -> None:
        """Let go of the network; ``detect`` must not be called afterwards."""
        ...


def check_image(rgb: Any) -> None:
    """Raise InputError unless ``rgb`` is (H, W, 3) uint8 and not empty."""
    if not isinstance(rgb, np.ndarray) or rgb.dtype != np.uint8:
        kind = rgb.dtype if isinstance(rgb, np.ndarray) else type(rgb).__name__
        raise InputError(f"image: expected a uint8 array (H, W, 3), got {kind}")
    if rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
        raise InputError(f"image: expected (H, W, 3) uint8, got {rgb.shape}")


@dataclass(frozen=True)
class Kind:
    """A detector as the table knows it; its module is imported only when it is made.

    Attributes:
        module: in this package.
        config: name of its configuration there.
        maker: name of its class there.
    """

    module: str
    config: str
    maker: str


TABLE: dict[str, Kind] = {
    "movenet": Kind("movenet", "MoveNetConfig", "MoveNet"),
    "ultralytics": Kind("ultralytics", "UltralyticsConfig", "UltralyticsPose"),
    "onnx": Kind("onnx_pose", "OnnxPoseConfig", "OnnxPose"),
}
"""Where every detector of :data:`diffpose_ros.core.choices.DETECTORS` is."""

DETECTORS = tuple(TABLE)
"""Names that :func:`make_detector` knows."""


def make_detector(name: str, **options: Any) -> Detector:
    """Make a detector.

    Args:
        name: one of :data:`DETECTORS`.
        options: fields of that detector's configuration.

    Raises:
        ConfigError: unknown name or option, or an option out of range.
        ModelError: the model file is missing, damaged, or another kind of network.
        BackendError: the detector's runtime is not installed or does not start.
    """
    if name not in TABLE:
        raise ConfigError(f"detector: expected one of {', '.join(DETECTORS)}, got '{name}'")
    kind = TABLE[name]
    module = import_module(f"diffpose_ros.frontend.detectors.{kind.module}")
    config = getattr(module, kind.config)
    known = list(inspect.signature(config).parameters)
    for option in options:
        if option not in known:
            raise ConfigError(
                f"detector '{name}': unknown option '{option}', expected: {', '.join(known)}"
            )
    made: Detector = getattr(module, kind.maker)(config(**options))
    return made
