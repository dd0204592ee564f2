"""2D keypoints that another program has found: OpenPose's and COCO's JSON."""

from diffpose_ros.media.keypoint_files.reading import read_keypoints
from diffpose_ros.media.keypoint_files.recorded import RecordedKeypoints

__all__ = ["RecordedKeypoints", "read_keypoints"]
