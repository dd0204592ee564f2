"""People followed by crops, found in the whole image."""

from diffpose_ros.frontend.tracked.config import TrackedConfig
from diffpose_ros.frontend.tracked.front_end import Tracked

__all__ = ["Tracked", "TrackedConfig"]
