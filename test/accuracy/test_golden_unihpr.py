"""Golden numbers of UniHPR's shipped graphs, the same in every backend."""

from __future__ import annotations

import numpy as np
import pytest

from diffpose_ros.core.resources import weights_path
from diffpose_ros.methods.registry import read_spec
from diffpose_ros.methods.unihpr.contract import part_of
from diffpose_ros.runtime.load import load_backend
from diffpose_ros.runtime.protocol import BackendOptions

GOLDEN = {
    "model": {
        "mean": ([0.0, 0.0, 0.0, -0.04572, 0.04525], -0.17712),
        "covariance": ([0.00605, 0.0, 0.0, 0.0, 0.00605], -0.43417),
        "embedding": ([-0.08275, 0.12241, 0.03313, -0.11497, 0.05407], 0.99132),
    },
    "skeleton": {
        "embedding": ([-0.19095, 0.06, 0.10328, 0.03054, -0.15647], -1.68011),
    },
    "decoder": {
        "poses": ([0.0, 0.0, 0.0, 0.1274, -0.03096], -0.28453),
    },
    "picture": {
        "embedding": ([0.04713, 0.02723, -0.05515, -0.05913, -0.00657], 0.2174),
    },
}
"""Graph -> output -> its first five numbers, and all of them weighted by a cosine."""


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("part", ["model", "skeleton", "decoder", "picture"])
def test_the_graph_answers_as_when_it_was_shipped(part: str, name: str) -> None:
    pytest.importorskip(name, reason=f"needs {name}")
    spec = read_spec(weights_path("unihpr/model.onnx"))
    graph = spec.graph if part == "model" else part_of(spec, part)
    backend = load_backend(graph, name, BackendOptions(max_people=2))
    said = backend.run(graph.example_feeds(2, seed=5))
    backend.close()
    for output, (first, weighted) in GOLDEN[part].items():
        flat = said[output].reshape(-1).astype(np.float64)
        np.testing.assert_allclose(flat[:5], first, atol=2e-4)
        assert flat @ np.cos(np.arange(len(flat))) == pytest.approx(weighted, abs=5e-3)


def golden() -> dict:
    """What :data:`GOLDEN` has to be for the files that are there."""
    spec, out = read_spec(weights_path("unihpr/model.onnx")), {}
    for part in ("model", "skeleton", "decoder", "picture"):
        graph = spec.graph if part == "model" else part_of(spec, part)
        backend = load_backend(graph, "onnxruntime", BackendOptions(max_people=2))
        said = backend.run(graph.example_feeds(2, seed=5))
        backend.close()
        names = ("mean", "covariance", "embedding") if part == "model" else graph.outputs
        out[part] = {}
        for output in names:
            flat = said[output].reshape(-1).astype(np.float64)
            weighted = round(float(flat @ np.cos(np.arange(len(flat)))), 5)
            out[part][output] = ([round(float(x), 5) for x in flat[:5]], weighted)
    return out
