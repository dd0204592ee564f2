"""Parameters of running nodes: described, refused whole, the old values kept."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("diffpose_ros.msg", reason="the package's messages are not built")

from rclpy.parameter import Parameter

from diffpose_ros.core import ConfigError
from diffpose_ros.nodes.markers import MarkersNode
from diffpose_ros.nodes.runner import NODES, make_nodes, node_class
from diffpose_ros.ros.parameters import unknown


def values(node):
    return {name: node.get_parameter(name).value for name in node.parameters.values}


@pytest.mark.parametrize("name", NODES)
def test_every_parameter_is_described(bench, name):
    node = bench.add(node_class(name), start=False)
    for parameter in node.parameters.values:
        descriptor = node.describe_parameter(parameter)
        assert descriptor.description.endswith("."), parameter
        value = node.get_parameter(parameter).value
        if isinstance(value, float):
            assert descriptor.floating_point_range, f"{parameter} has no range"
        elif isinstance(value, int) and not isinstance(value, bool):
            assert descriptor.integer_range, f"{parameter} has no range"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("lifetime_s", 1e6, "parameter 'lifetime_s': expected 0.05 to 60"),
        ("lifetime_s", "long", "expected a number with a decimal point, got a string 'long'"),
        ("lifetime_s", 1, "write 1.0"),
        ("ellipsoids", "yes", "expected a boolean, got a string 'yes'"),
    ],
    ids=["range", "type", "integer", "boolean"],
)
def test_a_wrong_value_at_run_time_is_refused_and_the_old_one_kept(bench, name, value, text):
    node = bench.add(MarkersNode)
    before = values(node)
    (result,) = node.set_parameters([Parameter(name, value=value)])
    assert not result.successful
    assert name in result.reason
    assert values(node) == before == dict(node.parameters.values)
    assert bench.logged("refused, the old values stay")
    assert text in bench.read_log()


def test_a_set_with_one_wrong_value_is_refused_whole(bench):
    node = bench.add(MarkersNode)
    before = values(node)
    result = node.set_parameters_atomically(
        [Parameter("joint_diameter", value=0.2), Parameter("bone_width", value=-1.0)]
    )
    assert not result.successful
    assert "bone_width" in result.reason
    assert values(node) == before == dict(node.parameters.values)


def test_a_right_set_is_applied_whole(bench):
    node = bench.add(MarkersNode)
    result = node.set_parameters_atomically(
        [Parameter("joint_diameter", value=0.2), Parameter("bone_width", value=0.1)]
    )
    assert result.successful
    assert (node.parameters["joint_diameter"], node.parameters["bone_width"]) == (0.2, 0.1)
    style = node._style()
    assert (style.joint_diameter, style.bone_width) == (0.2, 0.1)


def test_a_fixed_parameter_is_refused_while_configured_and_taken_after_cleanup(bench, kit):
    from functools import partial

    from diffpose_ros.nodes.lifter import LifterNode

    node = bench.add(partial(LifterNode, make_lifter=kit.FakeLifter))
    assert "fixed while" in node.describe_parameter("model").additional_constraints
    for state in ("active", "inactive"):
        assert node.monitor.status().state == state
        (result,) = node.set_parameters([Parameter("model", value="diffpose")])
        assert not result.successful
        assert "ros2 lifecycle set /diffpose/lifter deactivate" in result.reason
        assert node.get_parameter("model").value == node.parameters["model"] == "starpose"
        if state == "active":
            node.trigger_deactivate()
    assert bench.logged("parameter 'model' is read when the node is configured, and it is")
    node.trigger_cleanup()
    (result,) = node.set_parameters([Parameter("model", value="diffpose")])
    assert result.successful, result.reason
    assert node.autostart()
    assert node._lifter.config.model == "diffpose"


def test_every_fixed_parameter_can_be_changed_between_cleanup_and_configure(bench, kit):
    from functools import partial

    from diffpose_ros.nodes.keypoints import SPECS, KeypointsNode

    node = bench.add(partial(KeypointsNode, make_detector=kit.FakeDetector))
    node.trigger_deactivate()
    node.trigger_cleanup()
    for spec in SPECS:
        (result,) = node.set_parameters([Parameter(spec.name, value=node.parameters[spec.name])])
        assert result.successful, result.reason
    changes = {"transport": "compressed", "occlusion_s": 3.0, "min_hits": 1, "threads": 4}
    for name, value in changes.items():
        (result,) = node.set_parameters([Parameter(name, value=value)])
        assert result.successful, result.reason
    assert node.autostart()
    assert "/diffpose/image_raw/compressed" in {s.topic_name for s in node.subscriptions}
    config = node._tracker.config
    assert (config.max_occlusion_s, config.min_hits) == (3.0, 1)
    assert node._front_end.detector.options["threads"] == 4


def test_what_can_be_set_at_start_only_is_refused_in_every_state(bench):
    node = bench.add(MarkersNode, autostart=False)
    assert node.describe_parameter("autostart").read_only
    (result,) = node.set_parameters([Parameter("autostart", value=True)])
    assert not result.successful
    assert bench.logged("parameter 'autostart' can be set at start only")


@pytest.mark.parametrize(
    ("node", "given", "text"),
    [
        ("markers", {"lifetime_s": 1e9}, "parameter 'lifetime_s': expected 0.05 to 60"),
        ("markers", {"lifetime_s": "x"}, "expected a number with a decimal point, got a string"),
        ("lifter", {"backend": "abacus"}, "expected one of auto, onnxruntime"),
        ("lifter", {"person_height": 0.1}, "person_height: expected 0.4 to 2.8, got 0.1"),
        ("lifter", {"max_people": 60, "max_tracks": 50}, "max_people: expected at most max_tracks"),
        ("keypoints", {"input_size": 385}, "expected a multiple of 32, got 385"),
    ],
)
def test_a_wrong_value_at_start_is_refused_with_one_line(bench, node, given, text):
    with pytest.raises(ConfigError) as caught:
        make_nodes(bench.context, {node: given}, names=[node])
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_process_with_a_wrong_parameter_ends_with_one_line_and_no_traceback():
    code = "import sys; from diffpose_ros.nodes.markers import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "--ros-args", "-p", "lifetime_s:=long"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.strip().splitlines() == [
        "[ERROR] parameter 'lifetime_s': expected a number with a decimal point, got a string 'long'"
    ]


@pytest.mark.parametrize("module", ["markers", "process"])
@pytest.mark.parametrize(
    ("given", "text"),
    [
        (["-r", "image_raw:=bad topic!"], "Couldn't parse remap rule: '-r image_raw:=bad topic!'"),
        (["--params-file", "{folder}/mixed.yaml"], "Sequence should be of same type"),
        (["--params-file", "{folder}/none.yaml"], "none.yaml'. Error: Error opening YAML file"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_wrong_ros_arguments_end_a_process_with_their_name_and_no_traceback(module, given, text, tmp_path):
    (tmp_path / "mixed.yaml").write_text("/**:\n  ros__parameters:\n    a: [1, x]\n")
    code = f"import sys; from diffpose_ros.nodes.{module} import main; sys.exit(main())"
    words = [word.format(folder=tmp_path) for word in given]
    done = subprocess.run(
        [sys.executable, "-c", code, "--ros-args", *words],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("[ERROR] wrong ROS arguments: ") and text in line and "rcl/" not in line
    assert "Traceback" not in done.stderr


def test_a_misspelled_parameter_is_told(bench):
    bench.add(MarkersNode, start=False, lifetime=1.8, max_people=3)
    text = "parameters that no node of the package has are ignored: 'lifetime' (did you mean 'lifetime_s'?)"
    assert bench.logged(text)


def test_parameters_of_ros_and_of_other_nodes_are_no_mistake():
    given = ["person_height", "person_threshold", "use_sim_time", "qos_overrides./a.subscription.depth"]
    assert unknown(given, ["person_height"]) == ""
