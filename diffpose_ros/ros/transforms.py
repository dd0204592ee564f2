"""Sends transforms where tf2 is installed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core.rotations import quaternions
from diffpose_ros.ros import qos


class TransformSender:
    """Publishes to ``/tf``; without the tf2 packages it does nothing and says so in ``missing``.

    Args:
        node: the node that publishes.
    """

    def __init__(self, node: Any) -> None:
        self._node = node
        self._publisher: Any = None
        self.missing = ""
        try:
            # the message is all that a broadcaster sends; tf2_ros itself brings a lot along
            from tf2_msgs.msg import TFMessage
        except ImportError:
            self.missing = "no transforms are sent: install tf2_msgs"
            return
        self._message = TFMessage
        self._publisher = node.create_publisher(TFMessage, "/tf", qos.RESULT)

    def send(
        self, header: Any, frames: Sequence[tuple[str, NDArray[np.float64], NDArray[np.float64]]]
    ) -> None:
        """Send ``(child frame, translation (3,) m, rotation (3, 3))``, seen from the header's."""
        self.send_all(header, [("", *frame) for frame in frames])

    def send_all(
        self, header: Any, frames: Sequence[tuple[str, str, NDArray[np.float64], NDArray[np.float64]]]
    ) -> None:
        """Send ``(frame, child frame, translation (3,) m, rotation (3, 3))``; an empty frame is the
        header's."""
        if self._publisher is None or not frames:
            return
        from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
        from std_msgs.msg import Header

        transforms = []
        turns = quaternions(np.stack([rotation for *_, rotation in frames])).tolist()
        for (parent, child, t, _), (x, y, z, w) in zip(frames, turns, strict=True):
            transforms.append(
                TransformStamped(
                    header=Header(stamp=header.stamp, frame_id=parent) if parent else header,
                    child_frame_id=child,
                    transform=Transform(
                        translation=Vector3(x=float(t[0]), y=float(t[1]), z=float(t[2])),
                        rotation=Quaternion(x=x, y=y, z=z, w=w),
                    ),
                )
            )
        self._publisher.publish(self._message(transforms=transforms))

    def close(self) -> None:
        """Stop publishing."""
        if self._publisher is not None:
            self._node.destroy_publisher(self._publisher)
            self._publisher = None
