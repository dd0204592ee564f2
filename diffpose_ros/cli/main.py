"""The ``diffpose_ros`` command: finds the module of a command, runs it, turns errors into one line.

A command is a module of this package with ``add_parser(subparsers)`` and ``run(args) -> int``. It
is imported only when it is called, so that what one command needs (torch, rclpy) is asked of
nobody else. The exit codes are those of :data:`EXIT_CODES`.
"""

from __future__ import annotations

import os
import sys

from diffpose_ros.cli import _early_signals

if __name__ == "__main__" or _early_signals.is_program():
    _early_signals.handle()

import argparse
import contextlib
import importlib
import logging
import traceback
from collections.abc import Iterator, Sequence
from typing import NoReturn

from diffpose_ros import __version__
from diffpose_ros.cli import _signals, _stdout
from diffpose_ros.cli._exit_codes import MEANINGS
from diffpose_ros.core import DiffposeError

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "run the whole ROS graph on a video, in one process"),
    "lift": ("lift", "turn a video into 3D skeletons, without ROS"),
    "index": ("index", "index the poses of recordings for search"),
    "search": ("search", "find a pose in indexed recordings"),
    "convert": ("convert", "convert lifted skeletons to CSV, TRC, C3D, BVH, ..."),
    "evaluate": ("evaluate", "measure a model's errors on a benchmark file"),
    "benchmark": ("benchmark", "make benchmark files of hard views from motion capture"),
    "results": ("results", "measure the shipped models: tables and plots"),
    "models": ("models", "list the models and the backends that work here"),
    "bench": ("bench", "measure the latency of each stage"),
    "features": ("features", "compute the detector's features of rendered people, for `train`"),
    "train": ("train", "train a model from a recipe"),
    "ablate": ("ablate", "train with one thing changed at a time"),
    "render": ("render", "render pictures of people with known joints"),
    "export": ("export", "export a trained checkpoint to ONNX"),
    "build-engine": ("build_engine", "build a TensorRT engine from an ONNX model"),
}
"""Command -> (module of this package, one line of help)."""

EXIT_CODES = "exit codes:\n" + "\n".join(f"  {code:<4} {meaning}" for code, meaning in MEANINGS.items())

WITH_ROS = {"demo"}
"""Commands whose nodes log to stderr, as ROS does."""

EXTRAS = {
    "torch": "pip install 'diffpose_ros[training]'",
    "safetensors": "pip install 'diffpose_ros[training]'",
    "onnx": "pip install 'diffpose_ros[training]'",
    "matplotlib": "pip install 'diffpose_ros[training]'",
    "pybvh": "pip install 'diffpose_ros[training]'",
    "pydantic": "pip install 'diffpose_ros[training]'",
    "sklearn": "pip install 'diffpose_ros[training]'",
    "anny": "pip install 'diffpose_ros[render]'",
    "warp": "pip install 'diffpose_ros[render]'",
    "rclpy": "`make setup`, then `. .venv/env.sh`, or source /opt/ros/<distro>/setup.bash",
    "lancedb": "pip install 'diffpose_ros[search]'",
    "ray": "pip install 'diffpose_ros[ray]'",
    "rosbags": "pip install rosbags",
    "rich": "pip install rich",
    "cv2": "pip install opencv-python-headless",
    "PIL": "pip install pillow",
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
    _printable()
    _log_notes(debug)
    with _signals.stoppable(), _own_stderr(debug or command in WITH_ROS):
        code = _run(words, command, debug)
    return _flushed(code)


def _run(words: list[str], command: str | None, debug: bool) -> int:
    try:
        parser = build_parser(command)
        args = parser.parse_args(words)
        if args.command is None:
            parser.print_help()
            return 2
        return int(importlib.import_module(_module(args.command)).run(args))
    except KeyboardInterrupt as stop:
        return _fail(_signals.describe(stop), command, debug, code=_signals.exit_code(stop))
    except ModuleNotFoundError as error:
        return _fail(_missing(error, command), command, debug)
    except BrokenPipeError:
        _stdout.drop()
        return 0
    except DiffposeError as error:
        return _fail(str(error), command, debug)
    except MemoryError:
        return _fail("not enough memory for this input", command, debug)
    except RecursionError:
        return _fail("an input is nested too deeply", command, debug)
    except OSError as error:
        named = f"{error.filename}: " if error.filename is not None else ""
        return _fail(f"{named}{error.strerror or error}", command, debug)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    except Exception as error:
        text = f"unexpected {type(error).__name__}: {error} (--debug shows where)"
        return _fail(text, command, debug)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with a call in one line."""

    def error(self, message: str) -> NoReturn:
        line = " ".join(message.split())
        self.exit(2, f"{self.prog}: error: {line} (`{self.prog} --help` shows the options)\n")


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser, complete for ``command`` and with one line of help for the others.

    Raises:
        ModuleNotFoundError: something that ``command`` needs is not installed.
    """
    parser = _Parser(
        prog="diffpose_ros",
        description="3D human skeletons from one camera, frame by frame.",
        epilog="`diffpose_ros COMMAND --help` shows a command's options and examples.\n\n" + EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
    if code == 1 and (stop := _signals.swallowed()) is not None:
        text, code = f"{_signals.describe(stop)} ({text})", _signals.exit_code(stop)
    prefix = f"diffpose_ros {command}" if command in COMMANDS else "diffpose_ros"
    print(f"{prefix}: error: {' '.join(text.split())}", file=sys.stderr)
    return code


@contextlib.contextmanager
def _own_stderr(shared: bool) -> Iterator[None]:
    """Keep stderr for our one line: C libraries (decoders of images and videos) write there, past
    every logger, what our messages say in words.

    Args:
        shared: leave it to them, too.
    """
    stream = sys.stderr
    try:
        ours = not shared and stream.fileno() == 2
    except (AttributeError, OSError, ValueError):
        ours = False
    if not ours:
        yield
        return
    stream.flush()
    saved = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
    sys.stderr = os.fdopen(os.dup(saved), "w", errors="backslashreplace")
    try:
        yield
    finally:
        sys.stderr.flush()
        sys.stderr, used = stream, sys.stderr
        used.close()
        os.dup2(saved, 2)
        os.close(saved)


def _printable() -> None:
    """Make any name printable, and a closed stdout (``>&-``) no error."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    with contextlib.suppress(AttributeError, ValueError, OSError):
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


class _Notes(logging.Handler):
    """Warnings are notes of a command that goes on: on stdout, so that stderr has errors alone."""

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(Exception):
            print(self.format(record), file=sys.stderr if self.level == logging.DEBUG else sys.stdout)


def _log_notes(debug: bool) -> None:
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, _Notes)]:
        root.removeHandler(handler)
    notes = _Notes(logging.DEBUG if debug else logging.WARNING)
    notes.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    root.addHandler(notes)
    root.setLevel(notes.level)


def _flushed(code: int) -> int:
    """Bring out what is still buffered; that nobody reads it any more (``| head``) is no error."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _stdout.drop()
    except (OSError, ValueError) as error:
        _stdout.drop(error if isinstance(error, OSError) else OSError(str(error)))
    lost = _stdout.taken_loss()
    return code if code or lost is None else _fail(f"stdout: {lost.strerror or lost}", None, False)


if __name__ == "__main__":
    sys.exit(main())
