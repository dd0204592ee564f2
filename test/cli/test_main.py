"""The command's manners: help with examples, one line for an error, exit codes."""

import argparse
import os
import signal
import subprocess
import sys
import types
from pathlib import Path

import pytest

from diffpose_ros.cli import _early_signals
from diffpose_ros.cli import main as cli
from diffpose_ros.cli._options import bounded
from diffpose_ros.core import InputError


def one_line(err: str) -> bool:
    return err.count("\n") == 1 and "Traceback" not in err


@pytest.fixture
def fake(monkeypatch):
    """Register a command ``fake`` whose ``run`` is given."""

    def register(run):
        module = types.ModuleType("diffpose_ros.cli.fake")
        module.add_parser = lambda subparsers: subparsers.add_parser("fake")
        module.run = run
        monkeypatch.setitem(sys.modules, "diffpose_ros.cli.fake", module)
        monkeypatch.setitem(cli.COMMANDS, "fake", ("fake", "for tests"))

    return register


def test_help_lists_every_command(call):
    outcome = call("--help")
    assert outcome.code == 0
    for name in cli.COMMANDS:
        assert name in outcome.out


def test_without_a_command_it_shows_its_help_and_fails(call):
    outcome = call()
    assert outcome.code == 2
    assert "COMMAND" in outcome.out


@pytest.mark.parametrize("command", ["evaluate", "lift", "demo", "models"])
def test_every_command_has_examples(call, command):
    outcome = call(command, "--help")
    assert outcome.code == 0
    assert f"examples:\n  diffpose_ros {command}" in outcome.out


def test_an_unknown_command_is_a_usage_error(call):
    outcome = call("levitate")
    assert outcome.code == 2
    assert "levitate" in outcome.err


def test_the_version_is_shown(call):
    outcome = call("--version")
    assert outcome.code == 0
    assert outcome.out.startswith("diffpose_ros ")


def test_an_error_of_ours_is_one_line(call, fake):
    def run(args):
        raise InputError("walk.mp4: no such\nfile")

    fake(run)
    outcome = call("fake")
    assert outcome.code == 1
    assert outcome.err == "diffpose_ros fake: error: walk.mp4: no such file\n"


def test_a_bug_is_one_line_too_and_debug_shows_where(call, fake):
    def run(args):
        return 1 // 0

    fake(run)
    outcome = call("fake")
    assert outcome.code == 1
    assert one_line(outcome.err)
    assert "unexpected ZeroDivisionError" in outcome.err
    assert "Traceback" in call("fake", "--debug").err


def test_a_missing_package_says_what_to_install(call, fake):
    def run(args):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    fake(run)
    outcome = call("fake")
    assert outcome.code == 1
    assert one_line(outcome.err)
    assert "needs the Python package 'torch'" in outcome.err
    assert "pip install" in outcome.err


def test_a_command_whose_module_needs_something_absent_fails_alone(call, monkeypatch):
    monkeypatch.setitem(cli.COMMANDS, "absent", ("no_such_module", "for tests"))
    outcome = call("absent")
    assert outcome.code == 1
    assert one_line(outcome.err)
    assert call("--help").code == 0


def test_an_interrupt_is_no_traceback(call, fake):
    def run(args):
        raise KeyboardInterrupt

    fake(run)
    outcome = call("fake")
    assert outcome.code == 130
    assert outcome.err == "diffpose_ros fake: error: interrupted\n"


def test_the_exit_code_of_a_command_is_the_programs(call, fake):
    fake(lambda args: 0)
    assert call("fake").code == 0


def test_help_needs_neither_torch_nor_ros():
    """In a fresh interpreter where both are blocked."""
    code = (
        "import sys; sys.modules.update({'torch': None, 'rclpy': None});"
        "from diffpose_ros.cli.main import main;"
        "sys.exit(max(main([c, '--help']) for c in ('evaluate', 'lift', 'demo', 'models')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()


INTERRUPTED = """
import os, runpy, signal, sys

class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupts())
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("diffpose_ros.cli.main", run_name="__main__")
"""


def test_ctrl_c_during_the_imports_prints_no_traceback():
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert done.stderr == ""


def test_ctrl_c_waits_while_python_starts(tmp_path):
    """`ros2 run` and `.venv/bin` start Python with the signal held back: its own start-up has tracebacks."""
    late = tmp_path / "sitecustomize.py"
    late.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    env = os.environ | {"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    script = Path(__file__).parents[2] / "scripts" / "diffpose_ros"
    if subprocess.run(["env", "--block-signal=INT", "true"], capture_output=True, check=False).returncode:
        pytest.skip("env has no --block-signal (coreutils 8.31)")
    done = subprocess.run([script, "--version"], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "")


@pytest.mark.parametrize(("file", "program"), [("/usr/bin/diffpose_ros", True), ("/home/me/robot.py", False)])
def test_a_program_that_imports_the_command_keeps_its_own_ctrl_c(monkeypatch, file, program):
    monkeypatch.setitem(sys.modules, "__main__", types.SimpleNamespace(__file__=file))
    assert _early_signals.is_program() == program


@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_that_a_library_swallows_still_tells_the_end(monkeypatch, capsys, signum, code):
    """Start-up code of C libraries makes an ImportError of whatever is raised in it."""

    def run(args):
        try:
            signal.raise_signal(signum)
        except BaseException:
            raise ImportError("initialization failed") from None

    before = signal.signal(signum, signal.SIG_DFL if signum != signal.SIGINT else signal.default_int_handler)
    try:
        monkeypatch.setattr("diffpose_ros.cli.models.run", run)
        assert cli.main(["models"]) == code
    finally:
        signal.signal(signum, before)
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "interrupted (unexpected" in err or f"ended by {signum.name} (unexpected" in err


@pytest.mark.parametrize("text", ["\u0663", "\u00b2", "", "1.5", "nan", "inf", "9" * 400])
def test_whole_numbers_are_plain_digits(text):
    """Python reads the digits of every script."""
    with pytest.raises(argparse.ArgumentTypeError, match="expected a whole number, 1 to 9"):
        bounded(int, 1, 9)(text)
    assert bounded(int, 1, 9)("3") == 3


def test_a_full_disk_under_stdout_does_not_end_the_work(tmp_path):
    """``lift > log``: the hour's work is done, and the end says what could not be told."""
    code = (
        "import pathlib, sys, types; from diffpose_ros.cli import main\n"
        "from diffpose_ros.cli._options import Screen\n"
        "def run(args):\n"
        "    screen = Screen(); screen.print('begun'); pathlib.Path(sys.argv[1]).write_text('done')\n"
        "    screen.print('ended'); return 0\n"
        "fake = types.ModuleType('f'); fake.run = run\n"
        "fake.add_parser = lambda subparsers: subparsers.add_parser('fake')\n"
        "sys.modules['diffpose_ros.cli.fake'] = fake; main.COMMANDS['fake'] = ('fake', '')\n"
        "sys.exit(main.main(['fake']))"
    )
    call = [sys.executable, "-c", code, str(tmp_path / "out")]
    with open("/dev/full", "w") as full:
        done = subprocess.run(call, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert (tmp_path / "out").read_text() == "done"
    assert done.returncode == 1
    assert done.stderr == "diffpose_ros: error: stdout: No space left on device\n"
    done = subprocess.run(call, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "begun\nended\n", "")


def test_data_on_stdout_is_data_alone(tmp_path):
    code = (
        "import argparse, sys; from diffpose_ros.cli import _options\n"
        "args = argparse.Namespace(output='/dev/stdout', overwrite=False)\n"
        "written = _options.outputs(args, '--output')\n"
        "_options.Screen().print('how it goes'); print('a note')\n"
        "from diffpose_ros.core.files import write_text; write_text(written['--output'], 'a,b\\n')"
    )
    call = [sys.executable, "-c", code]
    done = subprocess.run(call, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("a,b\n", "")
