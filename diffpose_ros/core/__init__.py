"""What flows through the package: joint sets, cameras, checked value types, errors."""

from diffpose_ros.core.camera import DISTORTION_MODELS, Camera
from diffpose_ros.core.errors import (
    BackendError,
    ConfigError,
    DiffposeError,
    InputError,
    ModelError,
)
from diffpose_ros.core.joints import COCO17, H36M17, JOINT_SETS, JointSet, joint_set
from diffpose_ros.core.surroundings import UNKNOWN, Surroundings
from diffpose_ros.core.types import (
    Hypotheses,
    People2D,
    Skeleton,
    TrackState,
)

__all__ = [
    "COCO17",
    "DISTORTION_MODELS",
    "H36M17",
    "JOINT_SETS",
    "UNKNOWN",
    "BackendError",
    "Camera",
    "ConfigError",
    "DiffposeError",
    "Hypotheses",
    "InputError",
    "JointSet",
    "ModelError",
    "People2D",
    "Skeleton",
    "Surroundings",
    "TrackState",
    "joint_set",
]
