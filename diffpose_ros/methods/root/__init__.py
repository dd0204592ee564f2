"""Where people stand: one stage for every method that does not place people itself."""

from diffpose_ros.methods.root.placed import Placed, ScaleSource
from diffpose_ros.methods.root.stage import RootStage

__all__ = ["Placed", "RootStage", "ScaleSource"]
