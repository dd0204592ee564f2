"""Cameras and bodies as geometry: undistortion, normalisation, projection, root translation."""

from diffpose_ros.geometry.procrustes import procrustes_align
from diffpose_ros.geometry.projection import distort, project
from diffpose_ros.geometry.root import MEASURED_H36M, root_translation, stature
from diffpose_ros.geometry.undistort import undistort

__all__ = [
    "MEASURED_H36M",
    "distort",
    "procrustes_align",
    "project",
    "root_translation",
    "stature",
    "undistort",
]
