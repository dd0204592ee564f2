"""diffpose_ros: 3D people from an ordinary camera, online, for robots.

Everything outside ``ros`` and ``nodes`` works without a ROS installation.
"""

from pkgutil import extend_path

# A source checkout that stands before an installation still finds the generated messages there.
__path__ = extend_path(__path__, __name__)

__version__ = "0.1.0"
