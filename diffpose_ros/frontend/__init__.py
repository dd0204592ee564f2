"""Image in, people in 2D out."""

from diffpose_ros.frontend.protocol import FrontEnd, FrontEndReport
from diffpose_ros.frontend.whole_image import WholeImage

__all__ = ["FrontEnd", "FrontEndReport", "WholeImage"]
