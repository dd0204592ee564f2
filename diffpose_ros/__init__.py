"""diffpose_ros: 3D people from an ordinary camera, online, for robots.

Everything outside ``ros`` and ``nodes`` works without a ROS installation.
"""

__version__ = "0.1.0"
