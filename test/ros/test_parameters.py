"""Parameters are refused one by one and as a whole, with a line that says what to write."""

from __future__ import annotations

import math

import pytest

from diffpose_ros.core import ConfigError
from diffpose_ros.core.resources import config_path
from diffpose_ros.ros.parameters import Spec, load_defaults, merged

RATE = Spec("rate", float, "Hz.", 0.1, 100.0)
SIZE = Spec("size", int, "Pixels.", 32, 1024)
MODE = Spec("mode", str, "Mode.", choices=("fast", "exact"))
LOOP = Spec("loop", bool, "Loop.")


@pytest.mark.parametrize(
    ("spec", "value", "text"),
    [
        (RATE, 0.0, "parameter 'rate': expected 0.1 to 100, got 0"),
        (RATE, math.nan, "expected 0.1 to 100, got nan"),
        (RATE, 30, "expected a number with a decimal point, got an integer 30, write 30.0"),
        (RATE, "30", "expected a number with a decimal point, got a string '30'"),
        (SIZE, 4096, "parameter 'size': expected 32 to 1024, got 4096"),
        (SIZE, True, "expected an integer, got a boolean True"),
        (SIZE, None, "expected an integer, got NoneType None"),
        (MODE, "slow", "parameter 'mode': expected one of fast, exact, got 'slow'"),
        (LOOP, 1, "expected a boolean, got an integer 1"),
    ],
)
def test_a_wrong_value_is_refused(spec, value, text):
    with pytest.raises(ConfigError) as caught:
        spec.check(value)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_changes_are_checked_together():
    def check(values):
        if values["mode"] == "exact" and values["size"] < 64:
            raise ConfigError("exact needs 64 pixels")

    specs, values = (SIZE, MODE), {"size": 32, "mode": "fast"}
    with pytest.raises(ConfigError, match="exact needs 64"):
        merged(specs, values, {"mode": "exact"}, check)
    assert merged(specs, values, {"mode": "exact", "size": 64}, check) == {
        "size": 64,
        "mode": "exact",
    }
    assert values == {"size": 32, "mode": "fast"}


def test_parameters_of_others_are_left_alone():
    assert merged((SIZE,), {"size": 32}, {"use_sim_time": True}, None) == {"size": 32}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "cannot read"),
        ("size: 3", "expected '/\\*\\*: ros__parameters:'"),
        ("/**: {ros__parameters: {}}", "missing here or unknown: size"),
        ("/**: {ros__parameters: {size: 64, sise: 3}}", "missing here or unknown: sise"),
        ("/**: {ros__parameters: {size: 5}}", "expected 32 to 1024, got 5"),
        ("{", "expected '/\\*\\*: ros__parameters:'"),
    ],
)
def test_a_wrong_default_file_is_refused(tmp_path, content, text):
    path = tmp_path / "node.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=text):
        load_defaults(path, (SIZE,))


@pytest.mark.parametrize("name", ["video_source", "keypoints", "lifter", "markers"])
def test_each_node_has_its_defaults_in_its_yaml(name):
    pytest.importorskip("rclpy", reason="rclpy is not installed")
    pytest.importorskip("diffpose_ros.msg", reason="the package's messages are not built")
    import importlib

    from diffpose_ros.ros.lifecycle import AUTOSTART

    module = importlib.import_module(f"diffpose_ros.nodes.{name}")
    defaults = load_defaults(config_path(f"{name}.yaml"), (*module.SPECS, AUTOSTART))
    assert defaults["autostart"] is True
    for spec in module.SPECS:
        assert spec.description.endswith("."), spec.name
