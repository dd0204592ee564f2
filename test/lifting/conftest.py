"""Lifters on the synthetic model; helpers of these tests and of test/runtime are importable."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE.parent / "runtime"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from diffpose_ros.core import Camera  # noqa: E402
from diffpose_ros.lifting import Lifter, LifterConfig  # noqa: E402


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """The synthetic model with 5 steps, its variants with 2 and 1 beside it."""
    pytest.importorskip("onnx", reason="needs the Python package onnx to make a test graph")
    import synthetic

    return synthetic.write_family(tmp_path_factory.mktemp("lifting"))


@pytest.fixture
def camera():
    return Camera.from_fov(1280, 720)


@pytest.fixture
def make(model):
    """Lifters on the synthetic model."""
    made = []

    def start(**settings):
        settings.setdefault("backend", "onnxruntime")
        settings.setdefault("model", model)
        made.append(Lifter(LifterConfig(**settings)))
        return made[-1]

    yield start
    for lifter in made:
        lifter.close()
