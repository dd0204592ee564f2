"""The rows that ``lift`` collects, seen as one motion per person on an even time grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import H36M17, InputError

LONGEST_BRIDGE_S = 0.25
"""Over gaps up to this long a person is interpolated when times have to be made even."""
SHORTEST_STEP_S, LONGEST_STEP_S = 1e-6, 1e6
EVEN = 0.02
"""Largest deviation of a time from the even grid, in steps, that counts as none."""

Y_UP = np.diag([1.0, -1.0, -1.0])
"""Camera optical frame (x right, y down, z forward) to x right, y up, z towards the camera."""


NUMBERS, WHOLE, TEXT = "fiu", "iu", "U"
WORDS = {NUMBERS: "numbers", WHOLE: "whole numbers", TEXT: "text"}


@dataclass(frozen=True)
class Array:
    """What an array has to be.

    Attributes:
        shape: its size in each direction; F: of the stamps, R: of the rows.
        kinds: numpy's letters for its type.
    """

    shape: tuple[str | int, ...]
    kinds: str = NUMBERS


ARRAYS = {
    "stamps": Array(("F",)),
    "frame": Array(("R",), WHOLE),
    "track_id": Array(("R",), WHOLE),
    "skeleton": Array(("R", 17, 3)),
    "joint_names": Array((17,), TEXT),
    "keypoints": Array(("R", 17, 3)),
    "covariance": Array(("R", 17, 3, 3)),
    "score": Array(("R", 17)),
    "root_velocity": Array(("R", 3)),
    "contact": Array(("R", 2)),
    "size_source": Array(("R",), TEXT),
    "up": Array(("F", 3)),
    "camera_height": Array(("F",)),
}
"""What ``diffpose_ros lift`` writes."""
NEEDED = ("stamps", "frame", "track_id", "skeleton", "joint_names")

FREE_STEPS, STEPS_PER_ROW = 300_000, 10
"""How many steps all people together may take: some for everybody, and more the more rows there are."""


@dataclass(frozen=True)
class Motion:
    """One person over time.

    Attributes:
        track_id: identity.
        first: number of the grid's step at which the person appears.
        positions: (T, 17, 3) m, axes of the camera's optical frame; NaN where the person was not seen.
    """

    track_id: int
    first: int
    positions: NDArray[np.float64]


@dataclass(frozen=True)
class Recording:
    """Everybody on one time grid.

    Attributes:
        rate: steps per second.
        people: in the order of their identities.
    """

    rate: float
    people: tuple[Motion, ...]


def recording(arrays: Mapping[str, NDArray]) -> Recording:
    """What the arrays of ``diffpose_ros lift`` hold, at even times.

    Even times are kept as they are; others are interpolated at the median rate, over gaps of at most
    a quarter of a second.

    Raises:
        InputError: arrays are missing or do not fit together, or nobody is in them.
    """
    arrays = checked(arrays)
    stamps, frame, identity = arrays["stamps"].astype(np.float64), arrays["frame"], arrays["track_id"]
    skeleton = np.where(np.isfinite(arrays["skeleton"]), arrays["skeleton"], np.nan).astype(np.float64)
    if not len(frame):
        raise InputError("nobody is in these skeletons")
    step = float(np.median(np.diff(stamps))) if len(stamps) > 1 else 1 / 30
    if not SHORTEST_STEP_S <= step <= LONGEST_STEP_S:
        raise InputError(f"skeletons: expected stamps in seconds that increase, got steps of {step:.3g} s")
    place = (stamps - stamps[0]) / step
    rows = [r[np.argsort(frame[r])] for r in (np.flatnonzero(identity == p) for p in np.unique(identity))]
    needed, most = sum(np.ptp(place[frame[r]]) + 1 for r in rows), FREE_STEPS + STEPS_PER_ROW * len(frame)
    if not needed <= most:
        raise InputError(
            f"skeletons: people take {needed:.3g} steps of {step:.3g} s, expected at most {most}: the times "
            "of frames are too uneven"
        )
    steps = round(place[-1]) + 1 if place[-1] < len(place) + 1 else 0
    even = steps == len(stamps) and bool(np.abs(place - np.arange(steps)).max() < EVEN)
    people = []
    for mine in rows:
        at, xyz = place[frame[mine]], skeleton[mine]
        if even:
            first, last = int(frame[mine[0]]), int(frame[mine[-1]])
            out = np.full((last - first + 1, *xyz.shape[1:]), np.nan)
            out[frame[mine] - first] = xyz
        else:
            first, last = int(np.ceil(at[0] - EVEN)), int(np.floor(at[-1] + EVEN))
            out = _resampled(at, xyz, np.arange(first, last + 1), LONGEST_BRIDGE_S / step)
        if len(out):
            people.append(Motion(int(identity[mine[0]]), first, out))
    if not people:
        raise InputError("nobody stays long enough to have a motion at even times")
    return Recording(rate=1 / step, people=tuple(people))


def checked(arrays: Mapping[str, NDArray], name: str = "skeletons") -> dict[str, NDArray]:
    """The arrays of :data:`ARRAYS`, if they fit together; numbers in the machine's own types.

    Args:
        arrays: of ``diffpose_ros lift``, or of a file that says it is theirs.
        name: of the file, for messages.

    Raises:
        InputError: one that is needed is missing, one is of another shape or kind, times do not
            increase, or a person stands twice in a frame.
    """
    missing = [key for key in NEEDED if key not in arrays]
    if missing:
        raise InputError(f"{name}: expected what `diffpose_ros lift` writes, without {', '.join(missing)}")
    out = {key: _fitted(name, key, arrays, ARRAYS[key]) for key in ARRAYS if key in arrays}
    stamps, frame, identity = out["stamps"], out["frame"], out["track_id"]
    if out["joint_names"].tolist() != list(H36M17.joints):
        raise InputError(f"{name}: expected the joints of {H36M17.name}, got {out['joint_names'].tolist()}")
    if len(frame) and not (frame.min() >= 0 and frame.max() < len(stamps)):
        raise InputError(f"{name}: expected frames that number the {len(stamps)} stamps")
    if not np.isfinite(stamps).all() or (np.diff(stamps) < 0).any():
        raise InputError(f"{name}: expected finite stamps that increase")
    if len(np.unique(np.stack([frame, identity]), axis=1).T) != len(frame):
        raise InputError(f"{name}: expected a person once per frame, got one twice")
    return out


def _fitted(name: str, key: str, arrays: Mapping[str, NDArray], kind: Array) -> NDArray:
    value = np.asarray(arrays[key])
    sizes = {"F": np.shape(arrays["stamps"])[:1], "R": np.shape(arrays["frame"])[:1]}
    shape = tuple(n for size in kind.shape for n in sizes.get(str(size), (size,)))
    if value.shape != shape or len(shape) != len(kind.shape):
        told = ", ".join(map(str, kind.shape))
        raise InputError(f"{name}: {key}: expected the shape ({told}), got {value.shape}")
    if value.dtype.kind not in kind.kinds:
        raise InputError(f"{name}: {key}: expected {WORDS[kind.kinds]}, got {value.dtype}")
    if kind.kinds == TEXT:
        return value
    if kind.kinds == NUMBERS and value.dtype.kind == "f" and value.dtype.itemsize <= 8:
        return np.asarray(value, dtype=value.dtype.newbyteorder("="))
    return np.asarray(value, dtype=np.int64 if kind.kinds == WHOLE else np.float64)


def _resampled(at: NDArray, xyz: NDArray, grid: NDArray, bridge: float) -> NDArray[np.float64]:
    """Positions (T, 17, 3) at ``grid``, linear between neighbours no more than ``bridge`` steps apart."""
    if not len(grid):
        return np.empty((0, *xyz.shape[1:]))
    right = np.searchsorted(at, grid, side="left").clip(0, len(at) - 1)
    right = np.where((at[right] < grid) & (right + 1 < len(at)), right + 1, right)
    left = np.where(np.abs(at[right] - grid) < 1e-9, right, np.maximum(right - 1, 0))
    gap = at[right] - at[left]
    share = np.where(gap > 0, (grid - at[left]) / np.where(gap > 0, gap, 1.0), 0.0).clip(0, 1)
    out = xyz[left] + share[:, None, None] * (xyz[right] - xyz[left])
    out[gap > bridge] = np.nan
    return np.asarray(out)


def filled(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Positions (T, 17, 3) with unseen steps interpolated: for formats that know no holes."""
    seen = np.flatnonzero(np.isfinite(positions).all(axis=(1, 2)))
    if not len(seen):
        raise InputError("a person without a single whole skeleton has no motion")
    steps = np.arange(len(positions))
    flat = positions.reshape(len(positions), -1)
    columns = [np.interp(steps, seen, column[seen]) for column in flat.T]
    return np.stack(columns, axis=1).reshape(positions.shape)
