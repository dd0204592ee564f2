"""Golden numbers of ZeDO's shipped graph, the same in every backend."""

from __future__ import annotations

import numpy as np
import pytest

from diffpose_ros.core.resources import weights_path
from diffpose_ros.methods.registry import graph_of
from diffpose_ros.runtime.load import load_backend
from diffpose_ros.runtime.protocol import BackendOptions

FIRST = [-0.1051, -0.00054, 0.08785, -0.04405, -0.08642]
"""First numbers of the first pose after four iterations, m."""
SUMS = {"new_pose": 62.20026, "denoised": 56.42653}
WEIGHTED = -2.98320
"""The denoised poses, weighted by a cosine."""


@pytest.mark.parametrize("name", ["onnxruntime", "openvino", "torch"])
def test_the_graph_answers_as_when_it_was_shipped(name: str) -> None:
    pytest.importorskip(name, reason=f"needs {name}")
    graph = graph_of(weights_path("zedo/model.onnx"))
    backend = load_backend(graph, name, BackendOptions(max_people=2, sizes={"hypotheses": 3}))
    said = backend.run(graph.example_feeds(2, {"hypotheses": 3}, seed=5))
    backend.close()
    np.testing.assert_allclose(said["new_pose"][0, 0, :5], FIRST, atol=1e-4)
    for output, total in SUMS.items():
        assert float(np.abs(said[output]).sum()) == pytest.approx(total, abs=2e-3)
    flat = said["denoised"].reshape(-1)
    assert float(flat @ np.cos(np.arange(len(flat)))) == pytest.approx(WEIGHTED, abs=2e-3)
