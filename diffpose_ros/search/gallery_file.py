"""Galleries on the disk: one JSON file, written whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from diffpose_ros.core import ConfigError, InputError
from diffpose_ros.core.files import expanded, home_folder, read_limited, write_text
from diffpose_ros.core.resources import PACKAGE, config_path
from diffpose_ros.search import cases, windows
from diffpose_ros.search.gallery import Example, Gallery, Taught
from diffpose_ros.search.kinds import LIFTED_POSE, Kind, check_same, kind_from_json
from diffpose_ros.search.vectors import JOINTS

FORMAT = "diffpose_ros gallery"
VERSION = 1
MOST_BYTES = 64 << 20
DIGITS = 3
"""Of a coordinate in metres: a millimetre."""


def place(asked: str) -> Path:
    """Where what is taught is kept: the file that was asked for, or the user's own.

    The user's is ``gallery.json`` in ``$XDG_DATA_HOME/diffpose_ros``, else ``~/.local/share/diffpose_ros``.
    """
    if asked:
        return expanded(asked)
    return home_folder("XDG_DATA_HOME", ".local/share") / PACKAGE / "gallery.json"


def begin(path: Path, *, shipped: bool) -> Gallery:
    """The gallery of a file; where it does not exist yet, the package's, or an empty one.

    Raises:
        InputError: the file is there and cannot be used.
    """
    if os.path.lexists(path):
        return load(path)
    return load(shipped_path()) if shipped else Gallery()


def shipped_path() -> Path:
    """The gallery that comes with the package."""
    return config_path("poses/gallery.json")


def save(path: str | Path, gallery: Gallery) -> None:
    """Write a gallery.

    Raises:
        InputError: it cannot be written; what was there stays.
    """
    content = {
        "format": FORMAT, "version": VERSION, **gallery.kind.to_json(), "rate_hz": windows.RATE_HZ,
        "about": gallery.about,
    }  # fmt: skip
    head = json.dumps(content, indent=1)[:-2]
    names = ",\n".join(_one(one) for one in gallery.taught)
    write_text(path, f'{head},\n "names": [\n{names}\n ]\n}}\n')


def _one(taught: Taught) -> str:
    """A name as JSON, an example a line."""
    about: dict[str, Any] = {
        "name": taught.name, "part": taught.part, "group": taught.group, "seconds": taught.seconds,
        "radius_m": taught.radius, "told": taught.told,
    }  # fmt: skip
    if taught.cases:
        about["cases"] = cases.to_json(taught.cases)
    examples = ",\n".join(
        "   "
        + json.dumps(
            {
                "source": e.source,
                **({} if e.counts else {"counts": False}),
                "vectors": np.round(e.vectors, DIGITS).reshape(len(e.vectors), -1).tolist(),
            },
            separators=(",", ":"),
        )
        for e in taught.examples
    )
    return f'  {json.dumps(about)[:-1]}, "examples": [\n{examples}\n  ]}}'


def load(path: str | Path, kind: Kind = LIFTED_POSE) -> Gallery:
    """Read a gallery.

    Args:
        path: of the file.
        kind: what its vectors must be.

    Raises:
        InputError: it is no gallery, of another version, kind, model or joint set, or damaged.
    """
    raw = read_limited(path, MOST_BYTES, "a gallery")
    try:
        content = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        raise InputError(f"{path}: expected a gallery (JSON), got something else, or part of one") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path}: expected a gallery of {FORMAT.split()[0]}, got another file")
    if content.get("version") != VERSION:
        raise InputError(
            f"{path}: is a gallery of version {content.get('version')}, this program reads {VERSION}"
        )
    there = kind_from_json(content, str(path))
    check_same(there, kind, str(path))
    if content.get("rate_hz") != windows.RATE_HZ:
        raise InputError(
            f"{path}: its motions are at {content.get('rate_hz')} Hz, expected {windows.RATE_HZ:g}"
        )
    try:
        taught = tuple(_taught(one) for one in content["names"])
        return Gallery(taught, there, str(content.get("about", "")))
    except (InputError, ConfigError) as error:
        raise InputError(f"{path}: {error}") from None
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{path}: is damaged ({type(error).__name__}: {error})") from None


def _taught(content: Any) -> Taught:
    examples = tuple(
        Example(
            np.array(e["vectors"], dtype=np.float64).reshape(len(e["vectors"]), JOINTS, 3),
            str(e["source"]),
            bool(e.get("counts", True)),
        )
        for e in content["examples"]
    )
    return Taught(
        str(content["name"]), examples, part=str(content["part"]), group=str(content["group"]),
        seconds=float(content["seconds"]), radius=float(content["radius_m"]),
        told=bool(content.get("told", True)), cases=cases.from_json(content.get("cases", [])),
    )  # fmt: skip
