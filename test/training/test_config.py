"""Training configurations: what is understood, and what is refused with one clear line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

pytest.importorskip("torch", reason="torch is not installed: training needs it")

from diffpose_ros.core import ConfigError
from diffpose_ros.training.build import build
from diffpose_ros.training.config import TrainingConfig, from_mapping, load

SHIPPED = sorted((Path(__file__).resolve().parents[2] / "config" / "training").glob("*.yaml"))


def refuse(content: dict) -> str:
    with pytest.raises(ConfigError) as caught:
        build(from_mapping(TrainingConfig, content))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_nested_values_arrive_as_their_types(plan) -> None:
    content = plan()
    content["synthesis"] |= {"noise": {"jitter": [0.01, 0.02]}, "camera": {"off_centre": 1}}
    config = from_mapping(TrainingConfig, content)
    assert config.synthesis.noise.jitter == (0.01, 0.02)
    assert config.synthesis.camera.off_centre == 1.0
    assert config.optimiser.steps == 6
    assert config.optimiser.learning_rate == 1e-3, "what is not said keeps its default"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"modle": {}}, "configuration: unknown key 'modle', expected: context, data, loss, model"),
        ({"optimiser": {"setps": 1}}, "optimiser: unknown key 'setps', expected: batch, clip"),
        ({"optimiser": {"steps": "many"}}, "optimiser.steps: expected int, got str ('many')"),
        ({"optimiser": {"compile": 1}}, "optimiser.compile: expected bool, got int (1)"),
        ({"optimiser": {"steps": 0}}, "steps: expected 1 or more, got 0"),
        ({"optimiser": {"precision": "half"}}, "precision: expected float32 or bfloat16, got 'half'"),
        ({"data": 3}, "data: expected str, got int (3)"),
        ({"synthesis": {"noise": {"hiss": 1}}}, "synthesis.noise: unknown key 'hiss'"),
        ({"task": "dance"}, "task: expected one of context, diffpose, starpose, got 'dance'"),
        ({"task": "diffpose", "model": {}}, "task diffpose: expected 'context'"),
        ({"model": {"body": 10, "heads": 4}}, "context body 10 is not a multiple of 4 heads"),
        ({"task": "starpose", "context": "c", "model": {}}, "a 'history' belongs to task starpose"),
        (
            {"task": "diffpose", "context": "c", "model": {"mirror": "yes"}},
            "model.mirror: expected true or false, got 'yes'",
        ),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_what_is_not_understood_is_refused(plan, change: dict, text: str) -> None:
    assert text in refuse(plan() | change)


def test_what_must_be_said_is_asked_for() -> None:
    assert "missing" in refuse({"task": "context"})


@pytest.mark.parametrize(
    ("content", "text"),
    [(None, "No such file"), ("a: [1", "not YAML"), ("- 1", "expected a mapping")],
    ids=["missing", "not yaml", "a list"],
)
def test_a_file_that_is_no_configuration_is_named(tmp_path: Path, content, text: str) -> None:
    path = tmp_path / "run.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=rf"run\.yaml: .*{text}|run\.yaml: {text}"):
        load(path)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_the_shipped_configurations_are_understood(path: Path) -> None:
    config = load(path)
    assert config.task == yaml.safe_load(path.read_text())["task"]
    assert (config.context == "") == (config.task == "context")
