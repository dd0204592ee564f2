"""Keypoints in, skeletons out: the whole lifter, without ROS."""

from diffpose_ros.lifting.config import LifterConfig
from diffpose_ros.lifting.result import LiftReport, LiftResult
from diffpose_ros.lifting.session import Lifter

__all__ = ["LiftReport", "LiftResult", "Lifter", "LifterConfig"]
