"""BVH files through pybvh, and what it leaves to its caller: encodings, positions of joints, NaN."""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import InputError

_BROKEN = (AttributeError, IndexError, KeyError, OSError, TypeError, ValueError, RecursionError)
"""What pybvh raises over a damaged file."""

_STILL = 1e-3
"""How far a joint may move from its offset, relative to the largest one, and count as fixed."""

_PREFIXES = ("mixamorig", "ccbase", "bip01", "bip001")


@dataclass(frozen=True)
class BvhMotion:
    """A file's skeleton and motion.

    Attributes:
        path: the file.
        names: (J) joints, parents first; an end site is named ``<parent>_end``.
        parents: (J) index of each joint's parent, -1 for the root.
        ends: (J) which are end sites.
        offset: (J, 3) place of each joint in its parent's frame at rest, file units; the root's is zero.
        position: (T, J, 3) in the world, file units.
        rotation: (T, J, 3, 3) world rotations; an end site turns with its parent.
        fps: frames per second.
        whole_degrees: (T,) frames in which every angle is a whole number of degrees, as in a calibration
            pose that somebody typed.
    """

    path: Path
    names: tuple[str, ...]
    parents: tuple[int, ...]
    ends: tuple[bool, ...]
    offset: NDArray[np.float64]
    position: NDArray[np.float64]
    rotation: NDArray[np.float64]
    fps: float
    whole_degrees: NDArray[np.bool_]

    @property
    def rest(self) -> NDArray[np.float64]:
        """(J, 3) joint positions with all rotations zero, the root at zero."""
        out = self.offset.copy()
        for i, parent in enumerate(self.parents):
            if parent >= 0:
                out[i] += out[parent]
        return out

    def moved(self, joints: list[int], shift: NDArray[np.float64]) -> BvhMotion:
        """The same with ``joints`` moved by ``shift`` (T, 3) in the world."""
        position = self.position.copy()
        position[:, joints] += shift[:, None]
        return replace(self, position=position)


def read_bvh(path: str | Path) -> BvhMotion:
    """Read a BVH file.

    Raises:
        InputError: it cannot be read or breaks the format, holds NaN, or a joint other than the root
            moves away from its parent.
    """
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: expected a BVH text file, got binary data") from None
    from pybvh import read_bvh_file

    with tempfile.TemporaryDirectory(prefix="diffpose_ros_") as folder:
        copy = Path(folder) / "motion.bvh"
        try:
            copy.write_text(_simple(path, text), encoding="ascii", errors="replace")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                parsed = read_bvh_file(copy, world_up="+y")
                root, local = parsed.to_rotmat()
                position = np.asarray(parsed.node_positions(), np.float64)
        except InputError:
            raise
        except _BROKEN as error:
            line = (str(error) or type(error).__name__).splitlines()[0]
            line = line.replace(f" in file {copy}", "").replace(str(copy), "the file")
            raise InputError(f"{path}: not a BVH file that can be read: {line}") from None
    if not (np.isfinite(position).all() and np.isfinite(root).all() and parsed.frame_time > 0):
        raise InputError(f"{path}: expected finite numbers and a frame time above 0, got NaN or the like")
    nodes = parsed.nodes
    index = {id(node): i for i, node in enumerate(nodes)}
    parents = tuple(-1 if n.parent is None else index[id(n.parent)] for n in nodes)
    rotation = np.empty((*position.shape, 3))
    joint = 0
    for i, node in enumerate(nodes):
        above = rotation[:, parents[i]] if parents[i] >= 0 else np.eye(3)
        if node.is_end_site():
            rotation[:, i] = above
        else:
            rotation[:, i] = above @ np.asarray(local)[:, joint]
            joint += 1
    offset = np.array([n.offset for n in nodes], np.float64)
    offset[0] = 0.0
    degrees = np.rad2deg(parsed.joint_angles).reshape(len(position), -1)
    fps = 1.0 / parsed.frame_time
    return BvhMotion(
        path=path,
        names=tuple(f"{n.parent.name}_end" if n.is_end_site() else n.name for n in nodes),
        parents=parents, ends=tuple(bool(n.is_end_site()) for n in nodes), offset=offset,
        position=position, rotation=rotation,
        # Frame times are written with few digits: 0.0083333 s means 120 Hz.
        fps=float(round(fps)) if abs(fps - round(fps)) < 1e-3 * fps else fps,
        whole_degrees=(np.abs(degrees - degrees.round()) < 1e-5).all(1),
    )  # fmt: skip


def simplify(name: str) -> str:
    """A joint's name without prefix, case, spaces and punctuation."""
    out = "".join(c for c in name.rsplit(":", 1)[-1].lower() if c.isalnum())
    for prefix in _PREFIXES:
        out = out.removeprefix(prefix)
    return out


def _simple(path: Path, text: str) -> str:
    """The file as pybvh reads it: names in one word, positions at the root alone.

    Many exporters write six channels for every joint, three of which say what its offset says: those are
    folded into the offset.
    """
    head, mark, motion = text.partition("Frame Time:")
    if not mark or "JOINT" not in head or "ROOT" not in head:
        return text
    lines = head.splitlines()
    kept: list[int] = []
    folded: list[tuple[int, str, list[int], list[str]]] = []  # OFFSET line, joint, columns, axes
    column, offset_line, joint, root = 0, 0, "", True
    for i, line in enumerate(lines):
        words = line.split()
        if words[:1] in (["ROOT"], ["JOINT"]):
            joint, root = "_".join(words[1:]), words[0] == "ROOT"
            lines[i] = f"{words[0]} {joint}"
        elif words[:1] == ["OFFSET"]:
            offset_line = i
        elif words[:1] == ["CHANNELS"]:
            names = words[2:]
            columns = list(range(column, column + len(names)))
            column += len(names)
            away = [] if root else [n for n in names if n.lower().endswith("position")]
            if away:
                pairs = list(zip(columns, names, strict=True))
                folded.append((offset_line, joint, [c for c, n in pairs if n in away], away))
                turns = [n for n in names if n not in away]
                lines[i] = f"CHANNELS {len(turns)} {' '.join(turns)}"
                columns = [c for c, n in pairs if n not in away]
            kept += columns
    if not folded:
        return "\n".join(lines) + f"\n{mark}{motion}"
    time, _, rows = motion.lstrip().partition("\n")
    values = np.loadtxt(rows.splitlines(), ndmin=2)
    if values.shape[1] != column:
        raise ValueError(f"motion lines have {values.shape[1]} values, the hierarchy declares {column}")
    for at, joint, columns, names in folded:
        place = values[:, columns]
        size = max(float(np.abs(place).max()), 1e-9)
        if float(np.ptp(place, axis=0).max()) > _STILL * size:
            raise InputError(
                f"{path}: joint '{joint}' moves away from its parent; expected positions at the root "
                "alone, export the file with fixed bones"
            )
        offset = [float(v) for v in lines[at].split()[1:4]]
        for name, value in zip(names, np.median(place, axis=0), strict=True):
            offset["XYZ".index(name[0].upper())] = float(value)
        lines[at] = "OFFSET " + " ".join(f"{v:.9g}" for v in offset)
    body = "\n".join(" ".join(f"{v:.9g}" for v in row) for row in values[:, kept])
    return "\n".join(lines) + f"\nFrame Time: {time}\n{body}\n"
