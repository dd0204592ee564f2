"""What the nodes do between the stages, for ``bench``: messages, and publishing them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import People2D
from diffpose_ros.lifting import LiftResult

FRAME_ID = "camera_optical_frame"
SIZE = (1920, 1080)
"""That the messages name."""


class RosWire:
    """Makes and publishes messages as the nodes do; use :func:`open_wire`.

    Args:
        node: an rclpy node.
    """

    def __init__(self, node: Any) -> None:
        from diffpose_ros.msg import Person2DArray, Skeleton3DArray
        from diffpose_ros.ros import qos

        self._people = node.create_publisher(Person2DArray, "keypoints", qos.RESULT)
        self._skeletons = node.create_publisher(Skeleton3DArray, "skeletons", qos.RESULT)

    def image(self, rgb: NDArray[np.uint8], stamp_ns: int) -> Any:
        """A camera's ``sensor_msgs/Image``."""
        from diffpose_ros.ros import images

        return images.rgb_to_image(rgb, _header(stamp_ns))

    def rgb(self, message: Any) -> NDArray[np.uint8]:
        """The array that the keypoints node makes of it."""
        from diffpose_ros.ros import images

        return images.image_to_rgb(message)

    def tell(self, people: People2D, stamp_ns: int) -> None:
        """Publish people as the keypoints node does."""
        from diffpose_ros.ros import conversions

        width, height = SIZE
        self._people.publish(
            conversions.people_to_message(
                people, _header(stamp_ns), width=width, height=height, detector="bench"
            )
        )

    def publish(self, result: LiftResult, stamp_ns: int) -> None:
        """Publish skeletons as the lifter node does."""
        from diffpose_ros.ros import conversions

        width, height = SIZE
        self._skeletons.publish(
            conversions.skeletons_to_message(
                result.skeletons, _header(stamp_ns), width=width, height=height, model="bench",
                hypotheses=result.report.hypotheses, steps=result.report.steps, latency_s=0.0,
            )
        )  # fmt: skip


def _header(stamp_ns: int) -> Any:
    from std_msgs.msg import Header

    header = Header(frame_id=FRAME_ID)
    header.stamp.sec, header.stamp.nanosec = divmod(stamp_ns, 10**9)
    return header


@contextlib.contextmanager
def open_wire() -> Iterator[tuple[RosWire | None, str]]:
    """The wire; or ``None``, and why ROS is not here."""
    try:
        import rclpy

        import diffpose_ros.msg  # noqa: F401
        from diffpose_ros.ros import conversions, images, qos  # noqa: F401
    except ImportError as error:
        yield None, f"ROS 2 with this package's messages is not here ({error})"
        return
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("diffpose_bench", context=context)
    try:
        yield RosWire(node), ""
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)
