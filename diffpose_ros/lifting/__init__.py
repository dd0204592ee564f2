"""The lifter, without ROS: keypoints in, skeletons out."""

from diffpose_ros.lifting.config import LifterConfig
from diffpose_ros.lifting.result import LiftReport, LiftResult
from diffpose_ros.lifting.session import Lifter
from diffpose_ros.methods.finepose.prompts import with_prompt
from diffpose_ros.methods.registry import check_prompt
from diffpose_ros.methods.settings import CHOICES

__all__ = ["CHOICES", "LiftReport", "LiftResult", "Lifter", "LifterConfig", "check_prompt", "with_prompt"]
