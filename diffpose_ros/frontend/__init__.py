"""Front ends: image in, people in 2D out."""

from diffpose_ros.frontend.make import FRONT_ENDS, make_front_end
from diffpose_ros.frontend.protocol import FrontEnd, FrontEndReport
from diffpose_ros.frontend.tracked import Tracked, TrackedConfig
from diffpose_ros.frontend.whole_image import WholeImage

__all__ = [
    "FRONT_ENDS",
    "FrontEnd",
    "FrontEndReport",
    "Tracked",
    "TrackedConfig",
    "WholeImage",
    "make_front_end",
]
