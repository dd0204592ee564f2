"""The native TensorRT backend: engines, their cache, their build in the background."""
