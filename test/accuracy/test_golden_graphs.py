"""Every shipped graph answers, in every backend, what it answered when its weights were accepted."""

import numpy as np
import pytest
from graph_answers import GRAPHS, NUMBERS, answers, start

from diffpose_ros.core import BackendError

BACKENDS = ("onnxruntime", "openvino", "torch")

# The three agree to 3e-7 m and, in what they keep, to 4e-6 of its size. Other instruction sets
# round otherwise; arithmetic in half precision would move answers by 1e-4 and more.
POSE_M, COVARIANCE_M2, STATE = 2e-5, 2e-6, 2e-4


@pytest.fixture(scope="module")
def numbers():
    with np.load(NUMBERS, allow_pickle=False) as f:
        return {name: f[name] for name in f}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("graph", GRAPHS)
def test_golden_numbers(graph, backend, numbers):
    try:
        started = start(graph, backend)
    except BackendError as absent:
        pytest.skip(str(absent))
    try:
        got = answers(started)
    finally:
        started.close()
    want = {n.rpartition("/")[2]: v for n, v in numbers.items() if n.rpartition("/")[0] == graph}
    assert set(got) == set(want)
    for name in {"mean", "hypotheses"} & set(got):
        np.testing.assert_allclose(got.pop(name), want[name], atol=POSE_M, rtol=0, err_msg=name)
    np.testing.assert_allclose(got.pop("covariance"), want["covariance"], atol=COVARIANCE_M2, rtol=1e-3)
    for name, value in got.items():
        size = np.abs(want[name]).max()
        np.testing.assert_allclose(value, want[name], atol=STATE * size, rtol=0, err_msg=name)


def test_the_golden_numbers_tell_the_graphs_apart(numbers):
    """Files under each other's names would not pass: every two differ by far more than allowed."""
    for i, a in enumerate(GRAPHS):
        for b in GRAPHS[:i]:
            both = all(f"{graph}/hypotheses" in numbers for graph in (a, b))
            name = "hypotheses" if both else "mean"
            assert np.abs(numbers[f"{a}/{name}"] - numbers[f"{b}/{name}"]).max() > 100 * POSE_M, (a, b)
