"""Passes over ONNX graphs. They know no model."""
