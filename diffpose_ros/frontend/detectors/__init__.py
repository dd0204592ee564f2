"""2D detectors behind one protocol."""

from diffpose_ros.frontend.detectors.letterbox import Letterbox
from diffpose_ros.frontend.detectors.movenet import MoveNet, MoveNetConfig
from diffpose_ros.frontend.detectors.movenet_runtime import RUNTIMES
from diffpose_ros.frontend.detectors.protocol import DETECTORS, Detector, make_detector
from diffpose_ros.frontend.detectors.ultralytics import UltralyticsConfig, UltralyticsPose

__all__ = [
    "DETECTORS",
    "RUNTIMES",
    "Detector",
    "Letterbox",
    "MoveNet",
    "MoveNetConfig",
    "UltralyticsConfig",
    "UltralyticsPose",
    "make_detector",
]
