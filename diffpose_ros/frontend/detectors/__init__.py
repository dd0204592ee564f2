"""2D detectors behind one protocol."""

from diffpose_ros.frontend.detectors.letterbox import Letterbox
from diffpose_ros.frontend.detectors.movenet import MoveNet, MoveNetConfig
from diffpose_ros.frontend.detectors.protocol import DETECTORS, Detector, make_detector
from diffpose_ros.frontend.detectors.ultralytics import UltralyticsConfig, UltralyticsPose
from diffpose_ros.frontend.networks import RUNTIMES

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
