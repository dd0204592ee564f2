"""Golden numbers of FinePOSE's shipped graphs, the same in every backend."""

from __future__ import annotations

import numpy as np
import pytest

from diffpose_ros.core.resources import weights_path
from diffpose_ros.methods.registry import read_spec
from diffpose_ros.runtime.load import load_backend
from diffpose_ros.runtime.protocol import BackendOptions

SIZES = {"hypotheses": 3, "context": 4}
NUMBERS = {
    "model": ([0.00825, -0.01958, 0.00938, 0.01317, -0.07535], 0.25727),
    "model_1": ([0.00825, -0.01958, 0.00938, 0.01317, -0.07535], 0.26375),
}
"""Graph -> first numbers of the first mean after the hip, m, and all hypotheses weighted by a cosine."""


def answers(graph: str, name: str) -> dict[str, np.ndarray]:
    """What a backend says of made-up people, one told to walk, one to lie."""
    spec = read_spec(weights_path(f"finepose/{graph}.onnx"))
    feeds = spec.graph.example_feeds(2, SIZES, seed=5)
    prompt = np.stack([spec.vocabulary.unknown()] * 2)
    for row, word in enumerate(("walking", "lying")):
        spec.vocabulary.write({"action": word}, prompt[row])
    backend = load_backend(spec.graph, name, BackendOptions(max_people=2, sizes=SIZES))
    said = backend.run({**feeds, "prompt": prompt})
    backend.close()
    return said


@pytest.mark.parametrize("name", ["onnxruntime", "openvino", "torch"])
@pytest.mark.parametrize("graph", NUMBERS)
def test_the_graph_answers_as_when_it_was_shipped(graph: str, name: str) -> None:
    pytest.importorskip(name, reason=f"needs {name}")
    first, weighted = NUMBERS[graph]
    said = answers(graph, name)
    np.testing.assert_allclose(said["mean"][0].reshape(-1)[3:8], first, atol=2e-5)
    flat = said["hypotheses"].reshape(-1)
    assert float(flat @ np.cos(np.arange(len(flat)))) == pytest.approx(weighted, abs=2e-4)
    np.testing.assert_allclose(said["action"].sum(axis=-1), 1.0, atol=1e-5)
