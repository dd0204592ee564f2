"""Joint orientations and joint angles from joint positions."""

from diffpose_ros.kinematics.angles import ANGLES, JointAngles, joint_angles
from diffpose_ros.kinematics.conventions import PARENT
from diffpose_ros.kinematics.people import PeopleRotations
from diffpose_ros.kinematics.rotations import JointRotations, RotationTracker

__all__ = [
    "ANGLES", "PARENT", "JointAngles", "JointRotations", "PeopleRotations", "RotationTracker", "joint_angles",
]  # fmt: skip
