"""What is installed, and that the files that describe the package agree."""

from __future__ import annotations

import ast
import configparser
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from diffpose_ros import __version__
from diffpose_ros.core import ConfigError, ModelError
from diffpose_ros.core.resources import _config_folders, config_path, weights_path

ROOT = Path(__file__).resolve().parents[2]
NODES = ("hri", "keypoints", "lifter", "markers", "pose_search", "standard", "video_source")
OPTIONAL = {"hri_msgs", "people_msgs", "vision_msgs"}
"""Nodes say what is missing: no robot has to install them."""
ROS_PACKAGE = re.compile(
    r"\w+_(msgs|srvs|interfaces)|rclpy|tf2_\w+|cv_bridge|launch|launch_ros|ament_index_python"
)
CMAKE = (ROOT / "CMakeLists.txt").read_text()


def test_the_version_is_the_same_everywhere() -> None:
    assert ET.parse(ROOT / "package.xml").findtext("version") == __version__
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert setup["metadata"]["version"] == "attr: diffpose_ros.__version__"


def test_the_license_is_whole_and_the_notice_names_what_is_bundled() -> None:
    assert "END OF TERMS AND CONDITIONS" in (ROOT / "LICENSE").read_text()
    notice = " ".join((ROOT / "NOTICE").read_text().split())
    assert "MoveNet MultiPose Lightning by Google" in notice
    assert "weights are unchanged" in notice
    assert "The data used in this project was obtained from mocap.cs.cmu.edu. The database was" in notice
    assert "created with funding from NSF EIA-0196217." in notice
    for name, said in {
        "ultralytics": ["AGPL-3.0"],
        "PyAV": ["BSD-3-Clause", "FFmpeg", "x264", "GPL-2.0-or-later"],
        "opencv-python-headless": ["Apache-2.0", "FFmpeg", "LGPL-2.1-or-later"],
    }.items():
        about = notice[notice.index(f"{name} (" if f"{name} (" in notice else f"{name}:") :][:400]
        assert all(word in about for word in said), name


def test_the_package_names_every_ros_package_that_it_imports() -> None:
    named = {e.text for e in ET.parse(ROOT / "package.xml").iter() if str(e.tag).endswith("depend")}
    missing = {}
    for path in [*(ROOT / "diffpose_ros").rglob("*.py"), *(ROOT / "launch").glob("*.py")]:
        for root in imported(path):
            package = {"tf2_ros": "tf2_ros_py"}.get(root, root)
            if ROS_PACKAGE.fullmatch(package) and package not in named | OPTIONAL:
                missing[package] = path.name
    assert missing == {}


def test_every_message_package_that_the_package_names_is_used() -> None:
    named = {e.text or "" for e in ET.parse(ROOT / "package.xml").iter() if str(e.tag).endswith("depend")}
    files = [*(ROOT / "diffpose_ros").rglob("*.py"), *(ROOT / "launch").glob("*.py")]
    used = {"lifecycle_msgs"}.union(*map(imported, files))  # that one by rclpy's life-cycle nodes
    interfaces = " ".join(p.read_text() for p in [*(ROOT / "msg").glob("*"), *(ROOT / "srv").glob("*")])
    messages = {name for name in named if name.endswith(("_msgs", "_srvs", "_interfaces"))}
    assert {"std_srvs", "sensor_msgs"} <= messages
    assert sorted(n for n in messages if n not in used and f"{n}/" not in interfaces) == []


def imported(path: Path) -> set[str]:
    """First parts of the names of the modules that a file imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(str(node.module).split(".")[0])
    return found


def test_colcon_tests_every_room_where_ament_is_installed() -> None:
    assert re.search(r"if\(BUILD_TESTING\).*find_package\(ament_cmake_pytest QUIET\)", CMAKE, re.DOTALL)
    assert "file(GLOB rooms " in CMAKE and "ament_add_pytest_test(${room} test/${room}" in CMAKE
    assert "ament_lint_auto_find_test_dependencies()" in CMAKE
    tested = {e.text for e in ET.parse(ROOT / "package.xml").iter("test_depend")}
    assert {"ament_cmake_pytest", "ament_lint_auto", "python3-pytest", "python3-hypothesis"} <= tested


def test_cmake_generates_every_message_and_service() -> None:
    for kind in ("msg", "srv"):
        listed = set(re.findall(rf"{kind}/(\w+)\.{kind}", CMAKE))
        assert listed == {path.stem for path in (ROOT / kind).glob(f"*.{kind}")}


@pytest.mark.parametrize("node", NODES)
def test_a_node_has_executable_module_and_configuration(node: str) -> None:
    script = ROOT / "scripts" / f"{node}_node"
    assert script.stat().st_mode & 0o111, "not executable"
    assert f"scripts/{node}_node" in CMAKE
    assert f'run_quietly" diffpose_ros.nodes.{node} ' in script.read_text()
    module = ast.parse((ROOT / "diffpose_ros" / "nodes" / f"{node}.py").read_text())
    assert "main" in {n.name for n in module.body if isinstance(n, ast.FunctionDef)}
    assert config_path(f"{node}.yaml").is_file()


def test_every_script_is_installed_and_executable() -> None:
    for script in (ROOT / "scripts").iterdir():
        assert f"scripts/{script.name}\n" in CMAKE
        assert script.suffix == ".py" or script.stat().st_mode & 0o111, script.name


def test_configuration_is_found_beside_installed_code(tmp_path: Path) -> None:
    code = tmp_path / "lib" / "python3.11" / "site-packages" / "diffpose_ros" / "core"
    share = tmp_path / "share" / "diffpose_ros" / "config"
    for folder in (code, share):
        folder.mkdir(parents=True)
    assert list(_config_folders(code / "resources.py")) == [share]


def test_configuration_of_a_pip_installation_is_package_data(tmp_path: Path) -> None:
    code = tmp_path / "site-packages" / "diffpose_ros" / "core"
    config = tmp_path / "site-packages" / "diffpose_ros" / "config"
    for folder in (code, config):
        folder.mkdir(parents=True)
    assert list(_config_folders(code / "resources.py")) == [config]


def test_unknown_resources_say_what_was_looked_for_and_where() -> None:
    with pytest.raises(ConfigError, match=r"no configuration 'no\.yaml'.*searched: .*config"):
        config_path("no.yaml")
    with pytest.raises(ModelError, match=r"no weights 'no/model\.onnx'.*does not exist"):
        weights_path("no/model.onnx")


def test_no_weight_file_is_larger_than_25_megabytes() -> None:
    for path in weights_path().rglob("*"):
        assert path.stat().st_size <= 25e6, path


def test_runtime_requirements_hold_no_training_framework() -> None:
    runtime = (ROOT / "requirements" / "runtime.txt").read_text().splitlines()
    names = {re.split(r"[<>=~!;\[ ]", line)[0] for line in runtime if line and line[0] != "#"}
    assert names == {
        *("numpy", "onnxruntime", "opencv-python-headless", "pillow", "pyyaml", "rich", "scipy"),
    }
