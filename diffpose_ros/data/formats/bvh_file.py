"""The BVH format: skeleton, channels and frames of a Biovision hierarchy file.

A channel list such as ``Zrotation Xrotation Yrotation`` means ``R = Rz Rx Ry``: rotations apply in
the order in which they are listed, each in the frame that the one before it left. Position
channels are a joint's place in its parent's frame; they replace its offset.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import InputError

CHANNELS = ("Xposition", "Yposition", "Zposition", "Xrotation", "Yrotation", "Zrotation")
_CHANNEL = {name.lower(): name for name in CHANNELS}
END = "_end"
"""Suffix of the name given to an end site, which has none of its own."""


@dataclass
class Joint:
    """One joint of the hierarchy.

    Attributes:
        name: as the file has it; ``<parent>_end`` for an end site.
        parent: index of its parent, -1 for the root.
        offset: (3,) rest position in the parent's frame, file units.
        channels: its channels in the file's order.
        column: where its channels start in a frame.
    """

    name: str
    parent: int
    offset: tuple[float, float, float]
    channels: tuple[str, ...] = ()
    column: int = 0


@dataclass(frozen=True)
class Bvh:
    """A parsed file.

    Attributes:
        joints: parents first, end sites included.
        frame_time: seconds between frames.
        values: (T, C) channel values: file units and degrees.
    """

    joints: tuple[Joint, ...]
    frame_time: float
    values: NDArray[np.float64] = field(repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Joint names, in the order of :attr:`joints`."""
        return tuple(j.name for j in self.joints)

    def rest(self) -> NDArray[np.float64]:
        """(J, 3) joint positions with all rotations zero, the root at its offset."""
        out = np.zeros((len(self.joints), 3))
        for i, joint in enumerate(self.joints):
            out[i] = np.array(joint.offset) + (out[joint.parent] if joint.parent >= 0 else 0.0)
        return out

    def pose(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Forward kinematics.

        Returns:
            World positions (T, J, 3) in file units, and world rotations (T, J, 3, 3).
        """
        t, j = len(self.values), len(self.joints)
        position, rotation = np.empty((t, j, 3)), np.empty((t, j, 3, 3))
        for i, joint in enumerate(self.joints):
            local = np.tile(np.asarray(joint.offset, dtype=np.float64), (t, 1))
            turn = np.tile(np.eye(3), (t, 1, 1))
            for k, channel in enumerate(joint.channels):
                value = self.values[:, joint.column + k]
                axis = "XYZ".index(channel[0])
                if channel.endswith("position"):
                    local[:, axis] = value
                else:
                    turn = turn @ _about(axis, np.radians(value))
            if joint.parent < 0:
                position[:, i], rotation[:, i] = local, turn
            else:
                up = rotation[:, joint.parent]
                position[:, i] = position[:, joint.parent] + np.einsum("tij,tj->ti", up, local)
                rotation[:, i] = up @ turn
        return position, rotation


def _about(axis: int, angle: NDArray[np.float64]) -> NDArray[np.float64]:
    c, s = np.cos(angle), np.sin(angle)
    out = np.zeros((len(angle), 3, 3))
    a, b = (axis + 1) % 3, (axis + 2) % 3
    out[:, axis, axis] = 1.0
    out[:, a, a], out[:, b, b] = c, c
    out[:, a, b], out[:, b, a] = -s, s
    return out


def read(path: str | Path) -> Bvh:
    """Parse a BVH file.

    Raises:
        InputError: the file is missing, not text, or breaks the format; the message names the
            line.
    """
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8-sig", errors="strict")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: expected a BVH text file, got binary data") from None
    lines = _Lines(path, text)
    joints = _hierarchy(lines)
    return _motion(lines, joints)


class _Lines:
    """Non-empty lines with their numbers, and errors that name them."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self._rows: Iterator[tuple[int, list[str]]] = (
            (n, row.split()) for n, row in enumerate(text.splitlines(), 1) if row.strip()
        )
        self.number = 0

    def next(self, expected: str) -> list[str]:
        row = next(self._rows, None)
        if row is None:
            raise InputError(f"{self.path}: ends where {expected} was expected")
        self.number, words = row
        return words

    def rest(self) -> Iterator[list[str]]:
        for number, words in self._rows:
            self.number = number
            yield words

    def error(self, expected: str, got: str) -> InputError:
        got = got if len(got) <= 60 else got[:57] + "..."
        return InputError(f"{self.path}, line {self.number}: expected {expected}, got '{got}'")

    def numbers(self, words: list[str], count: int, what: str) -> list[float]:
        try:
            out = [float(w) for w in words]
        except ValueError:
            raise self.error(what, " ".join(words)) from None
        if len(out) != count or not np.isfinite(out).all():
            raise self.error(what, " ".join(words))
        return out


def _hierarchy(lines: _Lines) -> tuple[Joint, ...]:
    words = lines.next("HIERARCHY")
    if words[0].upper() != "HIERARCHY":
        raise lines.error("HIERARCHY", " ".join(words))
    joints: list[Joint] = []
    open_joints: list[int] = []
    column = 0
    while True:
        words = lines.next("the end of the hierarchy")
        key = words[0].upper()
        if key in ("ROOT", "JOINT", "END"):
            if (key == "ROOT") == bool(open_joints) or (key == "ROOT" and joints):
                raise lines.error("one ROOT that holds all joints", " ".join(words))
            parent = open_joints[-1] if open_joints else -1
            name = joints[parent].name + END if key == "END" else " ".join(words[1:])
            if not name or any(j.name == name for j in joints):
                raise lines.error("a joint with a name of its own", " ".join(words))
            if lines.next("'{'") != ["{"]:
                raise lines.error("'{'", name)
            offset = lines.next("OFFSET")
            if offset[0].upper() != "OFFSET":
                raise lines.error("OFFSET", " ".join(offset))
            x, y, z = lines.numbers(offset[1:], 3, "OFFSET and three numbers")
            joints.append(Joint(name, parent, (x, y, z)))
            open_joints.append(len(joints) - 1)
        elif key == "CHANNELS" and open_joints and not joints[open_joints[-1]].channels:
            names = [_CHANNEL.get(w.lower(), "") for w in words[2:]]
            if words[1:2] != [str(len(names))] or "" in names or len(set(names)) < len(names):
                raise lines.error("CHANNELS, their number and their names", " ".join(words))
            joint = joints[open_joints[-1]]
            joint.channels, joint.column = tuple(names), column
            column += len(names)
        elif key == "}" and open_joints:
            open_joints.pop()
            if not open_joints:
                return tuple(joints)
        else:
            raise lines.error("ROOT, JOINT, End Site, CHANNELS or '}'", " ".join(words))


def _motion(lines: _Lines, joints: tuple[Joint, ...]) -> Bvh:
    words = lines.next("MOTION")
    if words[0].upper() != "MOTION":
        raise lines.error("MOTION", " ".join(words))
    words = lines.next("Frames:")
    if words[0].lower() != "frames:" or len(words) != 2 or not words[1].isdigit():
        raise lines.error("Frames: and their number", " ".join(words))
    frames = int(words[1])
    words = lines.next("Frame Time:")
    if [w.lower() for w in words[:2]] != ["frame", "time:"]:
        raise lines.error("Frame Time: and seconds", " ".join(words))
    (frame_time,) = lines.numbers(words[2:], 1, "Frame Time: and seconds")
    if frame_time <= 0:
        raise lines.error("a frame time above 0", words[2])
    columns = sum(len(j.channels) for j in joints)
    rows = [lines.numbers(w, columns, f"{columns} channel values") for w in lines.rest()]
    if len(rows) != frames or not frames:
        raise InputError(f"{lines.path}: expected {frames} frames and at least one, got {len(rows)}")
    return Bvh(joints=joints, frame_time=frame_time, values=np.array(rows).reshape(frames, columns))
