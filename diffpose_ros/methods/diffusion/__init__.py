"""DiffPose and StarPose: networks, sampler with guidance, export to one ONNX graph."""
