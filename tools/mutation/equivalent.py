"""The changes of which somebody has found that nothing can be seen of them."""

from __future__ import annotations

from pathlib import Path

FILE = Path(__file__).with_name("equivalent.txt")


class Equivalents:
    """Blocks of `why: ...` in equivalent.txt, each followed by lines `FILE CHANGE` as a run prints them."""

    def __init__(self, path: Path = FILE) -> None:
        lines = path.read_text().splitlines() if path.exists() else []
        self._known = {line.strip() for line in lines if line.strip() and not line.startswith(("#", "why:"))}

    def hold(self, file: Path, key: str) -> bool:
        return f"{file.relative_to('diffpose_ros')} {key}" in self._known
