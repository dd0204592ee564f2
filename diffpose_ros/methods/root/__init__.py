"""Where people stand: one stage for every method that does not place people itself."""

from diffpose_ros.methods.root.stage import Placed, RootStage, ScaleSource

__all__ = ["Placed", "RootStage", "ScaleSource"]
