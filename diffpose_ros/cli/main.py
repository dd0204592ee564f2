"""The ``diffpose_ros`` command: finds the module of a command, runs it, turns errors into one line.

A command is a module of this package with ``add_parser(subparsers)`` and ``run(args) -> int``. It
is imported only when it is called, so that what one command needs (torch, rclpy) is asked of
nobody else. Exit codes: 0 done, 1 failed, 2 called wrongly, 130 interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
import traceback
from collections.abc import Sequence

from diffpose_ros import __version__
from diffpose_ros.core import DiffposeError

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "the whole ROS graph on a video, in one process"),
    "lift": ("lift", "a video to 3D skeletons, without ROS"),
    "evaluate": ("evaluate", "errors of a model on a benchmark file"),
    "results": ("results", "tables and plots of the shipped models"),
    "models": ("models", "list the models and backends that are here"),
    "bench": ("bench", "latency of each stage and of the whole"),
    "train": ("train", "train a lifter from a config"),
    "ablate": ("ablate", "train with one thing changed at a time"),
    "export": ("export", "a trained checkpoint to ONNX"),
    "build-engine": ("build_engine", "an ONNX model to a TensorRT engine"),
}
"""Command -> (module of this package, one line of help)."""

EXTRAS = {
    "torch": "pip install 'diffpose_ros[training]'",
    "safetensors": "pip install 'diffpose_ros[training]'",
    "onnx": "pip install 'diffpose_ros[training]'",
    "matplotlib": "pip install 'diffpose_ros[training]'",
    "rclpy": "`make setup`, then `. .venv/env.sh`, or source /opt/ros/<distro>/setup.bash",
    "rosbags": "pip install rosbags",
    "rich": "pip install rich",
    "cv2": "pip install opencv-python-headless",
    "onnxruntime": "pip install onnxruntime",
    "tensorrt": "pip install tensorrt",
    "openvino": "pip install openvino",
}
"""Third-party module -> what to do when it is missing."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: arguments without the program's name; ``sys.argv[1:]`` when ``None``.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    words = [w for w in words if w != "--debug"]
    command = next((w for w in words if not w.startswith("-")), None)
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING, format="%(levelname)s: %(message)s"
    )
    try:
        parser = build_parser(command)
        args = parser.parse_args(words)
        if args.command is None:
            parser.print_help()
            return 2
        return int(importlib.import_module(_module(args.command)).run(args))
    except KeyboardInterrupt:
        return _fail("interrupted", command, debug, code=130)
    except ModuleNotFoundError as error:
        return _fail(_missing(error, command), command, debug)
    except BrokenPipeError:
        return _quiet_pipe()
    except DiffposeError as error:
        return _fail(str(error), command, debug)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    except Exception as error:
        text = f"unexpected {type(error).__name__}: {error} (--debug shows where)"
        return _fail(text, command, debug)


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser, complete for ``command`` and with one line of help for the others.

    Raises:
        ModuleNotFoundError: something that ``command`` needs is not installed.
    """
    parser = argparse.ArgumentParser(
        prog="diffpose_ros",
        description="3D human skeletons from a camera, frame by frame.",
        epilog="`diffpose_ros COMMAND --help` shows a command's options and examples.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("--debug", action="store_true", help="log more and show the traceback of an error")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, (_, text) in COMMANDS.items():
        if name == command:
            importlib.import_module(_module(name)).add_parser(subparsers)
        else:
            subparsers.add_parser(name, help=text)
    return parser


def _module(command: str) -> str:
    return f"diffpose_ros.cli.{COMMANDS[command][0]}"


def _missing(error: ModuleNotFoundError, command: str | None) -> str:
    name = (error.name or "").split(".")[0]
    if name == "diffpose_ros":
        return f"this installation has no module {error.name}, which the command needs"
    advice = EXTRAS.get(name, f"pip install {name}")
    return f"needs the Python package '{name}', which is not installed: {advice}"


def _fail(text: str, command: str | None, debug: bool, code: int = 1) -> int:
    if debug:
        traceback.print_exc()
    prefix = f"diffpose_ros {command}" if command in COMMANDS else "diffpose_ros"
    print(f"{prefix}: error: {' '.join(text.split())}", file=sys.stderr)
    return code


def _quiet_pipe() -> int:
    """The reader of our output left (``| head``); closing here keeps Python from complaining."""
    try:
        sys.stdout.close()
    except BrokenPipeError:
        sys.stdout = None  # type: ignore[assignment]
    return 0


if __name__ == "__main__":
    sys.exit(main())
