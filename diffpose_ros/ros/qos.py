"""Quality of service, in one place.

Images come in as sensor data, depth 1: the newest wins, nothing queues. What the package makes goes
out reliable (REP-2003: publishers are reliable, who listens chooses), so any subscriber matches.
Keypoints and camera_info are read best effort, which matches every publisher.
"""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

IMAGE_IN = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=ReliabilityPolicy.BEST_EFFORT,
    durability=DurabilityPolicy.VOLATILE,
)
"""Images, keypoints and camera_info in."""

IMAGE_OUT = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.VOLATILE,
)
"""Images out: reliable, so that RViz and recorders match; depth 1, so that nothing piles up."""

RESULT = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=10,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.VOLATILE,
)
"""Keypoints, skeletons, markers, diagnostics."""
