"""Identities across frames."""

from diffpose_ros.tracking.config import TrackerConfig
from diffpose_ros.tracking.tracker import Tracker

__all__ = ["Tracker", "TrackerConfig"]
