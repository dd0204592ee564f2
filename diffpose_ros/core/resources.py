"""Where the files that come with the package lie: configuration and weights.

The package is used from a source tree, a ``colcon build`` (with or without ``--symlink-install``)
and ``pip install``; each lays ``config`` somewhere else. The files always belong to the code that
asks for them: the search starts at this file, not at what else may be installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from diffpose_ros.core.errors import ConfigError, ModelError
from diffpose_ros.core.files import home_folder

PACKAGE = "diffpose_ros"

WEIGHTS = Path(__file__).resolve().parents[1] / "weights"
"""Where the weights lie that come with the package."""


def config_path(name: str) -> Path:
    """A file of the ``config`` folder.

    Args:
        name: path below ``config``, e.g. ``"lifter.yaml"`` or ``"training/starpose.yaml"``.

    Raises:
        ConfigError: there is no such file.
    """
    folders = list(_config_folders(Path(__file__)))
    for folder in folders:
        if (folder / name).exists():
            return folder / name
    searched = ", ".join(map(str, folders)) or "no config folder found"
    raise ConfigError(f"no configuration '{name}' comes with {PACKAGE} (searched: {searched})")


def weights_path(name: str = "") -> Path:
    """A file or folder of the weights that come with the package.

    Args:
        name: path below ``weights``, e.g. ``"starpose/model.onnx"``; empty for the folder itself.

    Raises:
        ModelError: there is no such file.
    """
    path = WEIGHTS / name
    if not path.exists():
        raise ModelError(f"no weights '{name}' come with {PACKAGE}: {path} does not exist")
    return path


def cache_folder() -> Path:
    """Where what can be fetched or built again is kept: ``$XDG_CACHE_HOME/diffpose_ros``, else
    ``~/.cache/diffpose_ros``."""
    return home_folder("XDG_CACHE_HOME", ".cache") / PACKAGE


def _config_folders(here: Path) -> Iterator[Path]:
    """``config`` folders that belong to the code at ``here``, nearest first.

    Args:
        here: ``<root>/diffpose_ros/core/resources.py``, possibly a link into a source tree.
    """
    source = here.resolve().parents[2]
    candidates = [source / "config"] if (source / "package.xml").is_file() else []
    candidates.append(here.parents[1] / "config")
    candidates += [parent / "share" / PACKAGE / "config" for parent in here.parents[2:]]
    yield from (folder for folder in candidates if folder.is_dir())
