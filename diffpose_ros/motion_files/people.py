"""The rows that ``lift`` collects, seen as one motion per person on an even time grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import H36M17, InputError

LONGEST_BRIDGE_S = 0.25
"""Over gaps up to this long a person is interpolated when times have to be made even."""
EVEN = 0.02
"""Largest deviation of a time from the even grid, in steps, that counts as none."""

Y_UP = np.diag([1.0, -1.0, -1.0])
"""Camera optical frame (x right, y down, z forward) to x right, y up, z towards the camera."""


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
        steps: of the grid.
        people: in the order of their identities.
    """

    rate: float
    steps: int
    people: tuple[Motion, ...]


def recording(arrays: Mapping[str, NDArray]) -> Recording:
    """What the arrays of ``diffpose_ros lift`` hold, at even times.

    Even times are kept as they are; others are interpolated at the median rate, over gaps of at most
    a quarter of a second.

    Raises:
        InputError: arrays are missing or do not fit together, or nobody is in them.
    """
    stamps, frame, identity, skeleton = checked(arrays)
    if not len(frame):
        raise InputError("nobody is in these skeletons")
    step = float(np.median(np.diff(stamps))) if len(stamps) > 1 else 1 / 30
    if not step > 0:
        raise InputError("skeletons: expected stamps that increase")
    steps = round((stamps[-1] - stamps[0]) / step) + 1
    place = (stamps - stamps[0]) / step
    even = steps == len(stamps) and bool(np.abs(place - np.arange(steps)).max() < EVEN)
    people = []
    for person in np.unique(identity):
        mine = identity == person
        at, xyz = place[frame[mine]], skeleton[mine].astype(np.float64)
        if even:
            first, last = int(frame[mine].min()), int(frame[mine].max())
            out = np.full((last - first + 1, *xyz.shape[1:]), np.nan)
            out[frame[mine] - first] = xyz
        else:
            first, last = int(np.ceil(at[0] - EVEN)), int(np.floor(at[-1] + EVEN))
            out = _resampled(at, xyz, np.arange(first, last + 1), LONGEST_BRIDGE_S / step)
        if len(out):
            people.append(Motion(int(person), first, out))
    if not people:
        raise InputError("nobody stays long enough to have a motion at even times")
    return Recording(rate=1 / step, steps=steps, people=tuple(people))


def checked(arrays: Mapping[str, NDArray]) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """``stamps``, ``frame``, ``track_id`` and ``skeleton``, if they fit together.

    Raises:
        InputError: they are missing or do not.
    """
    wanted = ("stamps", "frame", "track_id", "skeleton", "joint_names")
    missing = [name for name in wanted if name not in arrays]
    if missing:
        raise InputError(f"skeletons: expected what `diffpose_ros lift` writes, without {', '.join(missing)}")
    stamps, frame, identity, skeleton, names = (np.asarray(arrays[name]) for name in wanted)
    rows, joints = len(frame) if frame.ndim else -1, len(H36M17)
    if names.tolist() != list(H36M17.joints):
        raise InputError(f"skeletons: expected the joints of {H36M17.name}, got {names.tolist()}")
    if stamps.ndim != 1 or frame.shape != identity.shape or skeleton.shape != (rows, joints, 3):
        raise InputError(
            f"skeletons: expected stamps (F,), frame (R,), track_id (R,) and skeleton (R, {joints}, 3), got "
            f"{stamps.shape}, {frame.shape}, {identity.shape} and {skeleton.shape}"
        )
    if rows and not (frame.dtype.kind in "iu" and frame.min() >= 0 and frame.max() < len(stamps)):
        raise InputError(f"skeletons: expected frames that number the {len(stamps)} stamps")
    if not np.isfinite(stamps).all() or (np.diff(stamps) < 0).any():
        raise InputError("skeletons: expected finite stamps that increase")
    return stamps, frame, identity, skeleton


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
