"""What a user may choose from in the 2D front end, in one place that costs nothing to import.

Options, parameters, launch arguments and their help take their names from here; tests compare the README.
"""

from __future__ import annotations

DETECTORS = {
    "movenet": "MoveNet, in the package",
    "ultralytics": "YOLO-pose through your own ultralytics (AGPL-3.0)",
    "onnx": "a YOLO-pose, RTMPose or ViTPose file that you exported",
}
"""2D detectors, and what each is."""

DETECTOR_PIXELS = {"movenet": (128, 1024), "ultralytics": (128, 1280), "onnx": (128, 1280)}
"""Least and most of the longer side of what each of them sees."""

FRONT_ENDS = ("auto", "tracked", "whole_image")
"""How a detector is used; ``auto`` takes ``tracked`` where the detector can."""

RUNTIMES = ("auto", "onnxruntime", "openvino")
"""What runs the networks of the bundled and the exported detectors."""
