"""2D detectors behind one protocol."""

from diffpose_ros.detection.letterbox import Letterbox
from diffpose_ros.detection.movenet import MoveNet, MoveNetConfig
from diffpose_ros.detection.movenet_runtime import RUNTIMES
from diffpose_ros.detection.protocol import DETECTORS, Detector, make_detector
from diffpose_ros.detection.ultralytics_adapter import UltralyticsConfig, UltralyticsPose

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
