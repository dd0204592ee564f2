"""Checks shared by the value types."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffpose_ros.core.errors import InputError


def array(name: str, value: ArrayLike, shape: tuple[int | None, ...], dtype: type = np.float64) -> NDArray:
    """Return ``value`` as a read-only array of ``dtype``; ``None`` in ``shape`` accepts any size."""
    out = np.array(value, dtype=dtype)
    if out.ndim != len(shape) or any(
        want is not None and have != want for have, want in zip(out.shape, shape, strict=True)
    ):
        want = tuple("any" if s is None else s for s in shape)
        raise InputError(f"{name}: expected shape {want}, got {out.shape}")
    out.flags.writeable = False
    return out


def finite(name: str, value: NDArray) -> None:
    """Raise when ``value`` holds NaN or infinity."""
    if not np.isfinite(value).all():
        raise InputError(f"{name}: expected finite numbers, got NaN or infinity")


def unit(name: str, value: NDArray) -> None:
    """Raise when ``value`` holds NaN, infinity or a number outside 0 to 1."""
    finite(name, value)
    if value.size and (value.min() < 0 or value.max() > 1):
        raise InputError(f"{name}: expected 0 to 1, got {value.min():g} to {value.max():g}")


def numbers(name: str, value: ArrayLike, shape: tuple[int | None, ...]) -> NDArray[np.float64]:
    """As :func:`array`, of finite numbers that are no truth values."""
    if np.asarray(value).dtype == bool:
        raise InputError(f"{name}: expected numbers, got true and false")
    out = array(name, value, shape)
    finite(name, out)
    return out
