"""Skeletons in the frame that the user asks for, through tf2 where it is installed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import ConfigError, Skeleton
from diffpose_ros.core.rotations import rotations
from diffpose_ros.core.stamps import JUMP_NS

POLL_S = 0.005


@dataclass(frozen=True)
class Rigid:
    """A rigid motion: ``x_target = rotation @ x_source + translation``.

    Attributes:
        rotation: (3, 3).
        translation: (3,) metres.
    """

    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]

    @classmethod
    def from_quaternion(cls, xyzw: Sequence[float], translation: Sequence[float]) -> Rigid:
        """From a quaternion (x, y, z, w), of about unit length, and a translation in metres."""
        q = np.array(xyzw, dtype=np.float64)
        rotation = rotations(q / np.linalg.norm(q))
        return cls(rotation, np.array(translation, dtype=np.float64))


def moved(skeleton: Skeleton, motion: Rigid) -> Skeleton:
    """A skeleton in another frame: points are turned and shifted, velocity and covariances turned.

    Args:
        skeleton: in the source frame.
        motion: from the source to the target frame.
    """
    r, t = motion.rotation, motion.translation
    return replace(
        skeleton,
        xyz=skeleton.xyz @ r.T + t,
        root=r @ skeleton.root + t,
        covariance=r @ skeleton.covariance @ r.T,
        root_covariance=r @ skeleton.root_covariance @ r.T,
        velocity=r @ skeleton.velocity,
        velocity_covariance=r @ skeleton.velocity_covariance @ r.T,
        orientation=r @ skeleton.orientation,
        orientation_covariance=r @ skeleton.orientation_covariance @ r.T,
    )


class FrameLookup:
    """Asks tf2 how frames lie; the one place that knows ``tf2_ros``.

    Args:
        node: the rclpy node, whose executor must spin while :meth:`__call__` waits elsewhere.
        parameter: that needs it, for the error's text.

    Raises:
        ConfigError: ``tf2_ros`` is not installed.
    """

    def __init__(self, node: Any, parameter: str = "target_frame") -> None:
        try:
            import tf2_ros
            from rclpy.duration import Duration
            from rclpy.time import Time
        except ImportError as error:
            raise ConfigError(
                f"parameter '{parameter}': expected tf2_ros to be installed ({error}); install it, or "
                f"leave {parameter} empty"
            ) from None
        self._node, self._tf2, self._time = node, tf2_ros, Time
        self._buffer = tf2_ros.Buffer(cache_time=Duration(seconds=10))
        self._listener = tf2_ros.TransformListener(self._buffer, node, spin_thread=False)
        self._last_ns: int | None = None

    def __call__(self, target: str, source: str, stamp_ns: int, timeout_s: float) -> Rigid | str:
        """Where ``source`` lies in ``target`` at a time.

        Args:
            target: frame to go to.
            source: frame to come from.
            stamp_ns: time, nanoseconds.
            timeout_s: how long to wait for transforms that are still under way, seconds.

        Returns:
            The motion from source to target, or why there is none.
        """
        if self._last_ns is not None and self._last_ns - stamp_ns >= JUMP_NS:
            self._buffer.clear()  # a clock that went back leaves transforms of another time
        self._last_ns = stamp_ns
        when = self._time(nanoseconds=stamp_ns)
        end = time.monotonic() + timeout_s
        while True:
            try:
                found = self._buffer.lookup_transform(target, source, when).transform
            except self._tf2.TransformException as error:
                if time.monotonic() >= end:
                    return " ".join(str(error).split())
                time.sleep(POLL_S)
                continue
            return _rigid(found)

    def latest(self, target: str, source: str) -> tuple[Rigid, int] | str:
        """Where ``source`` lies in ``target``, as it is known last.

        Args:
            target: frame to go to.
            source: frame to come from.

        Returns:
            The motion and its stamp (0: it never changes), or why there is none.
        """
        try:
            found = self._buffer.lookup_transform(target, source, self._time())
        except self._tf2.TransformException as error:
            return " ".join(str(error).split())
        stamp = found.header.stamp
        return _rigid(found.transform), stamp.sec * 10**9 + stamp.nanosec

    def close(self) -> None:
        """Stop listening."""
        for subscription in (self._listener.tf_sub, self._listener.tf_static_sub):
            self._node.destroy_subscription(subscription)


def _rigid(transform: Any) -> Rigid:
    q, t = transform.rotation, transform.translation
    return Rigid.from_quaternion((q.x, q.y, q.z, q.w), (t.x, t.y, t.z))


Lookup = Callable[[str, str, int, float], "Rigid | str"]
