"""Cameras and bodies as geometry: undistortion, normalisation, projection, root translation."""
