"""diffpose_ros: online 3D human pose from one ordinary camera, for robots.

Only ``ros``, ``nodes`` and ``demo`` need a ROS installation.
"""

from pkgutil import extend_path

# If a source checkout comes before an installation on the path, the generated messages are still found.
__path__ = extend_path(__path__, __name__)

__version__ = "0.1.0"
