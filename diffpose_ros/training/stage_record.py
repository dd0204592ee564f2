"""What a stage was begun with, and whether it is done: ``stage.json`` in its folder."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from diffpose_ros.core import ConfigError, ModelError
from diffpose_ros.core.files import write_text
from diffpose_ros.training.config import OptimiserConfig

FILE = "stage.json"
UNSEEN = ("threads", "device", "compile", "save_every")
"""Options of an optimiser that change how a result is reached and not what it is."""


@dataclass
class StageRecord:
    """The record of one stage.

    Attributes:
        wanted: all that its result depends on: settings, hashes of data and of input files.
        done: whether it is finished.
        result: what it found out, for later stages and the model card.
    """

    wanted: dict[str, Any]
    done: bool = False
    result: dict[str, Any] = field(default_factory=dict)


def read(folder: Path) -> StageRecord | None:
    """The record of a folder; ``None`` where the stage has not begun.

    Raises:
        ModelError: the folder holds a run without a record, or a damaged one.
    """
    path = folder / FILE
    if not path.exists():
        if (folder / "resume.safetensors").exists():
            raise ModelError(f"{folder}: holds a run but no {FILE}; remove it or choose another output")
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return StageRecord(dict(content["wanted"]), bool(content["done"]), dict(content["result"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: not a stage's record ({error}); remove {folder} to begin anew") from None


def write(folder: Path, record: StageRecord) -> None:
    """Write the record, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / FILE, json.dumps(vars(record), indent=1, sort_keys=True) + "\n")


def open_stage(folder: Path, wanted: dict[str, Any], *, restart: bool) -> StageRecord:
    """The record to go on with, new where there is none.

    Args:
        folder: the stage's.
        wanted: what it is to be made with now: numbers, text, dataclasses of them, nested in mappings.
            An option that the record does not know yet counts as its default.
        restart: throw away what was made with anything else.

    Raises:
        ConfigError: the folder was begun with something else; the first difference is named.
        ModelError: see :func:`read`.
    """
    now = json.loads(json.dumps(plain(wanted)))
    record = read(folder)
    then = {} if record is None else json.loads(json.dumps(_with_defaults(record.wanted, wanted)))
    if record is not None and then != now:
        if not restart:
            key, old, new = next(differences(then, now))
            raise ConfigError(
                f"{folder}: was {'made' if record.done else 'begun'} with {key} = {old}, now it is {new}; "
                "take that back, choose another --output, or begin anew with --restart"
            )
        shutil.rmtree(folder)
        record = None
    if record is None:
        record = StageRecord(now)
        write(folder, record)
    return record


def plain(value: Any) -> Any:
    """Dataclasses as mappings, all the way down, without an optimiser's :data:`UNSEEN` options."""
    if is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in _seen(value)}
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    return value


def _with_defaults(then: Any, wanted: Any) -> Any:
    """A record with the options that came after it, at their defaults."""
    if not isinstance(then, Mapping):
        return then
    if isinstance(wanted, Mapping):
        return {k: _with_defaults(v, wanted.get(k)) for k, v in then.items()}
    if not is_dataclass(wanted):
        return then
    out = dict(then)
    for option in _seen(wanted):
        if option.name in out:
            out[option.name] = _with_defaults(out[option.name], getattr(wanted, option.name))
        elif option.default is not MISSING:
            out[option.name] = plain(option.default)
        elif option.default_factory is not MISSING:
            out[option.name] = plain(option.default_factory())
    return out


def _seen(value: Any) -> list[Field[Any]]:
    """The fields of a dataclass that a result depends on."""
    hidden = UNSEEN if isinstance(value, OptimiserConfig) else ()
    return [f for f in fields(value) if f.name not in hidden]


def differences(
    then: Mapping[str, Any], now: Mapping[str, Any], path: str = ""
) -> Iterator[tuple[str, str, str]]:
    """Where two nested mappings differ: key, old value, new value."""
    for key in sorted({*then, *now}):
        a, b = then.get(key), now.get(key)
        name = f"{path}.{key}" if path else str(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            yield from differences(a, b, name)
        elif a != b:
            yield name, _shown(a), _shown(b)


def file_hash(path: Path) -> str:
    """SHA-256 of a file.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from None


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a folder against a second run of the same stage.

    Raises:
        ConfigError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(f"{folder}: another run is at work here") from None
        yield


def _shown(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 40 else text[:16] + "..."
