"""The launch files: arguments described, no second place for defaults, and they start the nodes."""

from __future__ import annotations

import ast
import importlib.util
import json
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from diffpose_ros.core import ConfigError
from diffpose_ros.ros import launching
from diffpose_ros.ros.launching import TRANSPORT_VARIABLES

ROOT = Path(__file__).resolve().parents[2]
LAUNCH = ROOT / "launch"
FILES = sorted(LAUNCH.glob("*.launch.py"))
TOPICS_AND_FILES = {"namespace", "image", "camera_info", "rviz_config", "fixed_frame"}
FRAMES = ("frame_id", "target_frame", "frame_prefix")
PLACE = (
    "depth", "depth_info", "gravity", "gravity_frame", "imu", "camera_pitch_deg",
    "camera_roll_deg", "camera_height",
)  # fmt: skip
SWITCHES = {
    **dict.fromkeys(("rviz", "hri", "pose_search", "standard", "single_process", "respawn"), "false"),
    "log_level": "info",
}  # fmt: skip


def declared(path: Path) -> dict[str, dict[str, Any]]:
    """Arguments that a launch file declares: name -> keyword -> source text or constant."""
    found = {}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "DeclareLaunchArgument":
            assert isinstance(node.args[0], ast.Constant)
            found[node.args[0].value] = {
                k.arg: k.value.value if isinstance(k.value, ast.Constant) else ast.unparse(k.value)
                for k in node.keywords
            }
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_argument_is_described(path: Path) -> None:
    assert declared(path)
    for name, keywords in declared(path).items():
        assert keywords.get("description"), f"{path.name}: {name} has no description"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_arguments_that_set_parameters_default_to_not_overridden(path: Path) -> None:
    for name, keywords in declared(path).items():
        if name in TOPICS_AND_FILES:
            continue
        default = keywords.get("default_value", "")
        assert default == SWITCHES.get(name, ""), f"{path.name}: {name} has a second default"


def test_an_argument_has_the_same_default_in_every_file() -> None:
    defaults: dict[str, set[Any]] = {}
    for path in FILES:
        for name, keywords in declared(path).items():
            if "default_value" in keywords:
                defaults.setdefault(name, set()).add(keywords["default_value"])
    assert {name for name, values in defaults.items() if len(values) > 1} == set()


def test_lift_has_the_promised_arguments() -> None:
    promised = {
        "namespace", "image", "camera_info", "compressed", "detector", "model", "backend",
        "params_file", "rviz", "video", "use_sim_time", "log_level", "single_process", "respawn",
        "rectified", "frame_id", "target_frame", "frame_prefix", *PLACE,
    }  # fmt: skip
    assert promised <= set(declared(LAUNCH / "lift.launch.py"))


def test_overridden_parameters_exist_in_the_nodes_configuration() -> None:
    parameters = {
        "keypoints": {"detector", "model", "transport"},
        "lifter": {"model", "backend", "refine", "person_height", "rectified", *FRAMES, *PLACE},
        "video_source": {"source", "camera_file", "loop", "compressed", "raw", "frame_id"},
    }
    for node, names in parameters.items():
        config = yaml.safe_load((ROOT / "config" / f"{node}.yaml").read_text())
        assert names <= set(config["/**"]["ros__parameters"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_launch_file_loads(path: Path) -> None:
    pytest.importorskip("launch_ros", reason="launch_ros is not installed (it has no wheel)")
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    description = get_launch_description_from_python_launch_file(str(path))
    names = {argument.name for argument in description.get_launch_arguments()}
    assert set(declared(path)) <= names


class Anything:
    """Stands in for whatever a launch file imports, and remembers how it was called."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args, self.kwargs = args, kwargs


@pytest.fixture
def launch_file(monkeypatch):
    """Loads a launch file without ROS."""

    def load(name: str) -> ModuleType:
        tree = ast.parse((LAUNCH / name).read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith(("launch", "ament_index")):
                module = ModuleType(str(node.module))
                for alias in node.names:
                    setattr(module, alias.name, Anything)
                monkeypatch.setitem(sys.modules, str(node.module), module)
        spec = importlib.util.spec_from_file_location("launch_file", LAUNCH / name)
        assert spec is not None and spec.loader is not None
        loaded = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded)
        return loaded

    return load


def parameters(node: Anything) -> dict[str, str]:
    """Parameter -> text, of a node that was made."""
    found = {}
    for given in node.kwargs["parameters"]:
        for name, value in given.items():
            found[name] = value.args[0].kwargs["text"]
    return found


@pytest.mark.parametrize(
    ("video", "asked", "read", "raw", "compressed"),
    [
        ("walk.mp4", "", "compressed", "true", "true"),
        ("walk.mp4", "false", "raw", "true", "false"),
        ("walk.mp4", "true", "compressed", "false", "true"),
        ("", "", None, None, None),
        ("", "true", "compressed", None, None),
    ],
)
def test_what_the_video_publishes_is_what_the_detector_reads(
    launch_file, video: str, asked: str, read: str | None, raw: str | None, compressed: str | None
) -> None:
    values = {name: "" for path in FILES for name in declared(path)}
    context = Anything()
    context.launch_configurations = {**values, "video": video, "compressed": asked}  # type: ignore[attr-defined]
    started = launch_file("lift.launch.py").pipeline(context)
    nodes = {n.kwargs["name"]: n for n in started if "name" in n.kwargs}
    assert len(started) == len(nodes) + bool(video)
    assert parameters(nodes["keypoints"]).get("transport") == read
    if video:  # the included file sees what the including one decided
        (source,) = launch_file("video_source.launch.py").video_source(context)
        assert parameters(source)["source"] == video
        assert parameters(source)["raw"] == raw
        assert parameters(source)["compressed"] == compressed


@pytest.fixture
def launched(launch_file):
    """What lift.launch.py starts with these arguments."""

    def start(**arguments: str) -> list[Any]:
        context = Anything()
        values = {name: "" for path in FILES for name in declared(path)}
        defaults = {"namespace": "diffpose", "image": "image_raw", **SWITCHES}
        context.launch_configurations = {**values, **defaults, **arguments}  # type: ignore[attr-defined]
        return launch_file("lift.launch.py").pipeline(context)

    return start


def test_a_single_process_runs_every_node_with_its_own_parameters_and_raw_images(launched) -> None:
    (process,) = launched(
        single_process="true", video="walk.mp4", model="diffpose", person_height="2", use_sim_time="true"
    )
    assert process.kwargs["executable"] == "pipeline"
    assert process.kwargs["arguments"] == ["video_source", "keypoints", "lifter", "markers"]
    assert "name" not in process.kwargs  # it would rename all of them
    content = yaml.safe_load(Path(process.kwargs["parameters"][-1].args[0]).read_text())
    assert content == {
        "/diffpose/video_source": {"ros__parameters": {"source": "walk.mp4"}},
        "/diffpose/keypoints": {"ros__parameters": {"use_sim_time": True}},
        "/diffpose/lifter": {
            "ros__parameters": {"model": "diffpose", "person_height": 2.0, "use_sim_time": True}
        },
        "/diffpose/markers": {"ros__parameters": {"use_sim_time": True}},
    }


@pytest.mark.parametrize(
    ("arguments", "parameters"),
    [
        ({"camera_pitch_deg": "0"}, {"gravity": "angles", "camera_pitch_deg": 0.0}),
        ({"gravity_frame": "map"}, {"gravity_frame": "map"}),
        (
            {"imu": "/imu/data", "camera_pitch_deg": "9", "camera_height": "1"},
            {"imu": "/imu/data", "camera_pitch_deg": 9.0, "camera_height": 1.0},
        ),
    ],
    ids=["level", "tf", "imu"],
)
def test_the_cameras_place_reaches_the_lifter(launched, arguments, parameters) -> None:
    (process,) = launched(single_process="true", **arguments)
    content = yaml.safe_load(Path(process.kwargs["parameters"][-1].args[0]).read_text())
    assert content["/diffpose/lifter"]["ros__parameters"] == parameters


@pytest.mark.parametrize("respawn", ["true", "false"])
def test_dead_nodes_are_started_again_where_asked_for(launched, respawn: str) -> None:
    nodes = launched(respawn=respawn)
    assert [n.kwargs["respawn"] for n in nodes] == [respawn == "true"] * 3
    assert all(n.kwargs["respawn_delay"] >= 1.0 for n in nodes)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"person_height": "tall"}, "launch argument 'person_height': expected a number, got 'tall'"),
        ({"person_height": "18"}, "launch argument 'person_height': expected 0 to 2.8, got 18"),
        ({"person_height": "nan"}, "expected 0 to 2.8, got nan"),
        ({"camera_pitch_deg": "100"}, "launch argument 'camera_pitch_deg': expected -90 to 90, got 100"),
        ({"camera_height": "-1"}, "launch argument 'camera_height': expected 0 to 50, got -1"),
        ({"image": "bad topic!"}, "launch argument 'image': expected a topic such as /camera/image_raw"),
        ({"camera_info": "/cam/"}, "launch argument 'camera_info': expected a topic"),
        ({"imu": "9dof"}, "launch argument 'imu': expected a topic"),
        ({"depth": "a//b"}, "launch argument 'depth': expected a topic"),
        ({"params_file": "/"}, "launch argument 'params_file': /: expected a file, got something else"),
        ({"params_file": "/no/such.yaml"}, "'params_file': /no/such.yaml: cannot be read (No such file"),
    ],
)
def test_a_wrong_argument_names_itself_before_anything_starts(launched, arguments, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        launched(**arguments)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", ["- a", "lifter: {model: diffpose}", "a: [", "", "/**: {ros__parameters: 3}"]
)
def test_a_file_that_holds_no_parameters_is_refused(launched, tmp_path: Path, content: str) -> None:
    (tmp_path / "p.yaml").write_text(content)
    with pytest.raises(ConfigError, match=r"launch argument 'params_file': .*p\.yaml: "):
        launched(params_file=str(tmp_path / "p.yaml"))


@pytest.mark.parametrize("name", ["keypoints", "lifter", "markers", "video_source"])
def test_the_packages_own_configuration_is_a_params_file(launched, name: str) -> None:
    path = str(ROOT / "config" / f"{name}.yaml")
    assert all(n.kwargs["parameters"][0].args == (path,) for n in launched(params_file=path))


def test_large_images_get_room_unless_the_user_has_chosen_transports(launched, monkeypatch) -> None:
    for name in TRANSPORT_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(launching, "shared_memory_room", lambda: 10**10)
    monkeypatch.setenv("ROS_DISTRO", "kilted")
    profile = str(ROOT / "config" / "fastdds_large_images.xml")
    for node in launched():
        assert node.kwargs["additional_env"] == {"FASTDDS_DEFAULT_PROFILES_FILE": profile}
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    assert launched()[0].kwargs["additional_env"] == {"FASTRTPS_DEFAULT_PROFILES_FILE": profile}
    monkeypatch.setattr(launching, "shared_memory_room", lambda: 64_000_000)  # a container
    assert launched()[0].kwargs["additional_env"] == {}
    monkeypatch.setattr(launching, "shared_memory_room", lambda: 10**10)
    monkeypatch.setenv("FASTDDS_BUILTIN_TRANSPORTS", "LARGE_DATA")
    assert launched()[0].kwargs["additional_env"] == {}


def test_the_profile_has_room_for_an_image_of_1080p() -> None:
    tree = ET.parse(ROOT / "config" / "fastdds_large_images.xml")
    values = {e.tag.split("}")[1]: e.text for e in tree.iter()}
    assert int(str(values["maxMessageSize"])) > 2 * 1920 * 1080 * 3
    assert int(str(values["segment_size"])) >= 4 * int(str(values["maxMessageSize"]))
    assert values["useBuiltinTransports"] == "false"


def test_without_rviz_a_line_says_so_and_the_nodes_run(launched, launch_file, monkeypatch) -> None:
    class MissingError(Exception):
        pass

    def prefix(name: str) -> None:
        raise MissingError

    lift = launch_file("lift.launch.py")
    monkeypatch.setattr(lift, "PackageNotFoundError", MissingError)
    monkeypatch.setattr(lift, "get_package_prefix", prefix)
    context = Anything()
    context.launch_configurations = {"rviz": "true"}  # type: ignore[attr-defined]
    (line,) = lift.rviz(context)
    assert "rviz2 is not installed" in line.kwargs["msg"]


def topics(value: Any) -> set[str]:
    """Strings in a configuration that are topics of the nodes."""
    if isinstance(value, dict):
        return set().union(*(topics(v) | topics(k) for k, v in value.items()), set())
    if isinstance(value, list):
        return set().union(*map(topics, value), set())
    return {value} if isinstance(value, str) and value.startswith("/diffpose/") else set()


def test_rviz_shows_image_overlay_skeletons_and_frames() -> None:
    config = yaml.safe_load((ROOT / "config" / "rviz" / "lift.rviz").read_text())
    manager = config["Visualization Manager"]
    assert topics(config) == {"/diffpose/image_raw", "/diffpose/annotated", "/diffpose/markers"}
    assert "rviz_default_plugins/TF" in {display["Class"] for display in manager["Displays"]}
    assert manager["Global Options"]["Fixed Frame"] == "camera_optical_frame"


def test_rviz_topics_follow_the_namespace() -> None:
    text = (LAUNCH / "rviz.launch.py").read_text()
    for topic in ("image_raw", "annotated", "markers"):
        assert topic in text


def test_the_foxglove_layout_opens_what_the_demo_records() -> None:
    layout = json.loads((ROOT / "config" / "foxglove" / "demo.json").read_text())
    assert {
        "/diffpose/image_raw/compressed",
        "/diffpose/camera_info",
        "/diffpose/markers",
        "/diffpose/skeletons.latency",
    } <= topics(layout)

    def panels(node: Any) -> set[str]:
        if isinstance(node, str):
            return {node}
        return panels(node["first"]) | panels(node["second"])

    assert panels(layout["layout"]) == set(layout["configById"])
