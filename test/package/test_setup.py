"""`make setup`: what is done is not done again, and every failure says what to install."""

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tools"


@pytest.fixture
def setup_env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """tools/setup_env.py, working in an empty folder."""
    spec = importlib.util.spec_from_file_location("setup_env", TOOLS / "setup_env.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    venv = tmp_path / ".venv"
    venv.mkdir()
    for name, value in {
        "ROOT": tmp_path,
        "REQUIREMENTS": tmp_path / "requirements",
        "LOCKS": tmp_path / "requirements" / "lock",
        "VENV": venv,
        "PYTHON": Path(sys.executable),
        "ROS": venv / "ros",
        "LOG": venv / "log" / "setup.log",
    }.items():
        monkeypatch.setattr(module, name, value)
    return module


def test_a_step_is_done_again_only_when_what_it_is_made_from_changes(
    setup_env: ModuleType,
) -> None:
    done: list[str] = []
    for key in ("a", "a", "b", "a"):
        setup_env.step("name", key, "work", lambda key=key: done.append(key))
    assert done == ["a", "b", "a"]


def test_a_step_that_failed_is_tried_again(setup_env: ModuleType) -> None:
    def fail() -> None:
        raise setup_env.SetupError("no network")

    with pytest.raises(setup_env.SetupError):
        setup_env.step("name", "key", "work", fail)
    assert setup_env.step("name", "key", "work", lambda: None)


def _requirements(setup_env: ModuleType) -> None:
    """Requirement files and locks that fit together."""
    setup_env.LOCKS.mkdir(parents=True)
    for name in ("ros", "runtime", "demo", "openvino", "training", "dev"):
        (setup_env.REQUIREMENTS / f"{name}.txt").write_text(f"{name}  # why\n")
    (setup_env.REQUIREMENTS / "training.txt").write_text("onnx\ntorch==2.13.0\n")
    _locks(setup_env)


def _locks(setup_env: ModuleType, version: str = "1") -> None:
    for name in setup_env.SOURCES:
        text = f"# ({setup_env.requirements_digest()})\n{name}=={version}\n"
        (setup_env.LOCKS / f"{name}.txt").write_text(text)


@pytest.fixture
def calls(setup_env: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands of an installation that does nothing."""
    calls: list[list[str]] = []
    monkeypatch.delenv("LOCKS", raising=False)
    monkeypatch.setattr(setup_env, "run", lambda command, advice: calls.append([str(c) for c in command]))
    monkeypatch.setattr(setup_env, "repair_exports", lambda: None)
    _requirements(setup_env)
    return calls


def test_a_smaller_set_of_requirements_is_part_of_a_larger_one(
    setup_env: ModuleType, calls: list[list[str]]
) -> None:
    base = setup_env.GROUPS[""]
    every = [*base, *setup_env.GROUPS["dev"]]
    assert setup_env.install(every)
    assert not setup_env.install(base)
    assert not setup_env.install([*base, *setup_env.GROUPS["training"]])
    assert not setup_env.install(every)
    _locks(setup_env, "2")
    calls.clear()
    assert setup_env.install(base)
    assert len(calls) == 3
    assert setup_env.install(every)


def test_everything_but_torch_comes_by_its_hash_and_nothing_is_resolved(
    setup_env: ModuleType, calls: list[list[str]]
) -> None:
    setup_env.install([*setup_env.GROUPS[""], *setup_env.GROUPS["dev"]])
    (free,) = [call for call in calls if not {"--require-hashes", "--no-deps"} <= set(call)]
    assert free[-1] == "torch==2.13.0"
    files = [Path(part).name for call in calls for part in call if part.endswith(".txt")]
    assert files == ["build.txt", "run.txt", "training.txt", "dev.txt", "openvino.txt"]


@pytest.mark.parametrize("case", ["changed", "missing", "asked for"])
def test_where_locks_do_not_apply_that_is_said_and_versions_are_resolved(
    case: str, setup_env: ModuleType, calls: list[list[str]], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    if case == "changed":
        (setup_env.REQUIREMENTS / "dev.txt").write_text("pytest\n")
    elif case == "missing":
        (setup_env.LOCKS / "dev.txt").unlink()
    else:
        monkeypatch.setenv("LOCKS", "no")
    assert setup_env.install(setup_env.GROUPS[""])
    assert not any("--require-hashes" in call for call in calls)
    assert [Path(part).name for part in calls[0] if part.endswith(".txt")] == [
        "ros.txt", "runtime.txt", "demo.txt",
    ]  # fmt: skip
    assert "installing what requirements/ allows, without hashes" in capsys.readouterr().out
    assert not setup_env.install(setup_env.GROUPS[""])


def test_what_is_optional_is_done_without_where_it_cannot_be_installed(
    setup_env: ModuleType, calls: list[list[str]], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    broken = "openvino"

    def run(command: list[object], advice: str) -> None:
        if any(isinstance(part, Path) and part.stem == broken for part in command):
            raise setup_env.SetupError("no wheel")

    monkeypatch.setattr(setup_env, "run", run)
    assert setup_env.install(setup_env.GROUPS[""])
    error = capsys.readouterr().err
    assert "going on without openvino, the detector then runs on ONNX Runtime: no wheel" in error
    assert not setup_env.install(setup_env.GROUPS[""])  # and does not try every time

    broken = "run"
    _locks(setup_env, "2")
    with pytest.raises(setup_env.SetupError, match="no wheel"):
        setup_env.install(setup_env.GROUPS[""])


def test_a_failed_command_shows_its_last_lines_and_the_advice(
    setup_env: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(setup_env.SetupError, match=r"sh failed with exit code 3, see .* Do this\."):
        setup_env.run(["sh", "-c", "echo the reason; exit 3"], "Do this.")
    assert "the reason" in capsys.readouterr().err


def test_a_machine_without_wheels_is_told_to_build_with_colcon(
    setup_env: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(setup_env.SetupError, match=r"aarch64; install ROS 2 .* colcon"):
        setup_env.check_machine()


def test_missing_tools_are_named_with_the_command_that_installs_them(
    setup_env: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup_env.shutil, "which", lambda tool: None if tool in ("g++", "cmake") else tool)
    with pytest.raises(setup_env.SetupError, match=r"missing: .*g\+\+, cmake; .*apt install .*cmake"):
        setup_env.check_machine()


def test_exported_cmake_files_point_at_this_python(setup_env: ModuleType) -> None:
    folder = setup_env.VENV / "share" / "std_msgs" / "cmake"
    folder.mkdir(parents=True)
    file = folder / "export_std_msgs__rosidl_generator_pyExport.cmake"
    built = "/opt/python/cp311-cp311"
    file.write_text(
        f'INCLUDE "/keep/this;{built}/include/python3.11;'
        f'{built}/lib/python3.11/site-packages/numpy/_core/include"\n'
    )
    setup_env.repair_exports()
    text = file.read_text()
    assert "/opt/python" not in text
    assert "/keep/this" in text
    for path in text.split('"')[1].split(";")[1:]:
        assert Path(path).is_dir()


def test_the_nodes_are_on_the_path_and_a_childs_libraries_are_found(setup_env: ModuleType) -> None:
    """A Python of the environment marks its children as having found their libraries. They have not,
    where env.sh sets another library path."""
    (setup_env.ROS / "lib" / "python3.11" / "site-packages").mkdir(parents=True)
    (setup_env.VENV / "bin").mkdir()
    nodes = setup_env.ROS / "lib" / "diffpose_ros"
    nodes.mkdir()
    (nodes / "lifter_node").write_text("#!/bin/sh\necho lifter")
    (nodes / "lifter_node").chmod(0o755)
    setup_env.write_entry_points()
    script = f'. "{setup_env.VENV}/env.sh"; lifter_node; echo "mark:${{_ROS_WHEELS_BOOTSTRAP_COMPLETE-none}}"'
    env = {"PATH": os.environ["PATH"], "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1", "LD_LIBRARY_PATH": "/elsewhere"}
    done = subprocess.run(["sh", "-c", script], env=env, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["lifter", "mark:none"], done.stderr
    command = (setup_env.VENV / "bin" / "diffpose_ros").read_text()
    assert command.index("env.sh") < command.index("exec env --block-signal=INT") < command.index("\nexec")


def test_links_to_deleted_sources_are_removed(setup_env: ModuleType, tmp_path: Path) -> None:
    source = tmp_path / "kept.py"
    source.write_text("")
    folder = setup_env.ROS / "lib"
    folder.mkdir(parents=True)
    (folder / "kept.py").symlink_to(source)
    (folder / "gone.py").symlink_to(tmp_path / "gone.py")
    setup_env.drop_dead_links(setup_env.ROS)
    assert [path.name for path in folder.iterdir()] == ["kept.py"]


def test_an_unknown_group_is_refused(setup_env: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert setup_env.main(["everything"]) == 2
    assert "unknown group 'everything', expected: dev, training" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("python", "path", "text"),
    [
        ("/no/python", "/usr/bin:/bin", "PYTHON=/no/python is not a Python 3.10 to 3.13"),
        ("", "{empty}", "sudo apt install python3 python3-venv python3-dev"),
    ],
    ids=["named and wrong", "none found"],
)
def test_without_a_python_the_message_says_what_to_do(
    python: str, path: str, text: str, tmp_path: Path
) -> None:
    # only what the script itself needs is on the path
    (tmp_path / "dirname").symlink_to("/usr/bin/dirname")
    env = {**os.environ, "PYTHON": python, "PATH": path.format(empty=tmp_path)}
    done = subprocess.run(
        ["/bin/sh", TOOLS / "setup.sh"], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert text in done.stderr


def test_a_new_python_file_is_linked_and_nothing_is_compiled_for_it(setup_env: ModuleType) -> None:
    for folder in ("diffpose_ros", "msg"):
        (setup_env.ROOT / folder).mkdir()
    built, linked = setup_env.build_key(), setup_env.links_key()
    (setup_env.ROOT / "diffpose_ros" / "new.py").write_text("")
    assert setup_env.build_key() == built
    assert setup_env.links_key() != linked

    linked = setup_env.links_key()
    (setup_env.ROOT / "msg" / "New.msg").write_text("int8 x\n")
    assert setup_env.build_key() != built
    assert setup_env.links_key() != linked


def test_the_locks_are_made_from_the_requirements_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCKS", raising=False)
    monkeypatch.syspath_prepend(str(TOOLS))
    found = importlib.import_module("setup_env").unlockable()
    assert not found, "pip install uv && python3 tools/lock.py --keep"


def test_every_package_in_the_locks_has_a_version_and_a_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TOOLS))
    lock = importlib.import_module("lock")
    seen: set[str] = set()
    for group in lock.SOURCES:
        text = (ROOT / "requirements" / "lock" / f"{group}.txt").read_text()
        assert "://" not in text, "a lock names no index"
        blocks = lock._blocks(text)
        assert blocks
        assert not seen & set(blocks), "a package stands in one lock alone"
        seen |= set(blocks)
        for name, lines in blocks.items():
            assert any("--hash=sha256:" in line for line in lines), name
            assert all("==" in line or "--hash=sha256:" in line for line in lines), name
    assert "torch" not in seen
    assert {"numpy", "ros-rclpy", "openvino", "pytest", "sympy"} <= seen
