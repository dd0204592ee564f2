"""Runs tests in a fresh process that imports a changed module from the start."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType

_MODULE, _TEXT = "DIFFPOSE_ROS_CHANGED_MODULE", "DIFFPOSE_ROS_CHANGED_TEXT"


def passes(text: str, file: Path, nodes: Sequence[str], limit_s: float = 600.0) -> bool:
    """Whether all these tests pass when the module of `file` is `text`."""
    with tempfile.TemporaryDirectory(prefix="mutation") as folder:
        changed, listed = Path(folder, "changed.py"), Path(folder, "tests")
        changed.write_text(text)
        listed.write_text("\n".join(nodes))
        env = os.environ | {
            _MODULE: ".".join(file.with_suffix("").parts), _TEXT: str(changed),
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]),
        }  # fmt: skip
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "confirm"]
        command += [f"@{listed}", f"--basetemp={folder}/tmp"]
        try:
            done = subprocess.run(command, env=env, capture_output=True, timeout=limit_s, check=False)
        except subprocess.TimeoutExpired:
            return False
    return done.returncode == 0


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != os.environ[_MODULE]:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec and spec.origin:
            spec.loader = _Loader(fullname, spec.origin)
        return spec


class _Loader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        return compile(Path(os.environ[_TEXT]).read_text(), self.path, "exec", dont_inherit=True)


if _MODULE in os.environ:  # as a plugin of pytest
    sys.meta_path.insert(0, _Finder())
