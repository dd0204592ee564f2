"""Writing rosbag2 bags (MCAP) that ``ros2 bag``, RViz and Foxglove open; ROS is not needed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.errors import WriterError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from diffpose_ros.core import InputError

if TYPE_CHECKING:
    from typing_extensions import Self

PACKAGE = "diffpose_ros"
NS = 1_000_000_000


def message_folder() -> Path:
    """The folder with this package's ``.msg`` files: of the source tree, or of the installation.

    Raises:
        InputError: neither is there.
    """
    places = [Path(__file__).resolve().parents[2] / "msg"]
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    places += [Path(p) / "share" / PACKAGE / "msg" for p in prefixes if p]
    for place in places:
        if any(place.glob("*.msg")):
            return place
    raise InputError(
        "message definitions: expected msg/*.msg beside the sources or under "
        f"share/{PACKAGE}/msg of AMENT_PREFIX_PATH; run `make setup` and source the workspace"
    )


def typestore(folder: Path | None = None) -> Typestore:
    """ROS 2's messages and this package's own.

    Args:
        folder: where the ``.msg`` files are; found by :func:`message_folder` when ``None``.
    """
    store = get_typestore(Stores.ROS2_JAZZY)
    types: dict[str, Any] = {}
    for path in sorted((folder or message_folder()).glob("*.msg")):
        name = f"{PACKAGE}/msg/{path.stem}"
        types.update(get_types_from_msg(path.read_text(encoding="utf-8"), name))
    store.register(types)
    return store


def check_replaceable(path: Path) -> None:
    """Raise InputError when something other than a bag lies where a bag shall be written."""
    if not path.exists():
        return
    if not path.is_dir() or any(p.name != "metadata.yaml" and p.suffix != ".mcap" for p in path.iterdir()):
        raise InputError(f"{path}: exists and is not a bag; move it or choose another place")


class BagWriter:
    """A bag being written; use it as a context manager.

    Args:
        path: the bag's folder. A bag of that name is replaced, any other folder is not.
        topics: topic -> message type, e.g. ``{"/tf": "tf2_msgs/msg/TFMessage"}``.

    Raises:
        InputError: ``path`` is something else than a bag, cannot be written, or a message type is
            not known.
    """

    def __init__(self, path: str | Path, topics: dict[str, str]) -> None:
        self.path = Path(path)
        self.store = typestore()
        check_replaceable(self.path)
        shutil.rmtree(self.path, ignore_errors=True)
        unknown = sorted({t for t in topics.values() if t not in self.store.types})
        if unknown:
            raise InputError(f"{self.path}: unknown message type {', '.join(unknown)}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = Writer(self.path, version=9, storage_plugin=StoragePlugin.MCAP)
            self._writer.open()
        except (OSError, WriterError) as error:
            raise InputError(f"{self.path}: cannot be written ({error})") from None
        self._topics = {
            topic: self._writer.add_connection(topic, kind, typestore=self.store)
            for topic, kind in topics.items()
        }

    def write(self, topic: str, stamp_ns: int, data: bytes) -> None:
        """Append one serialised (CDR) message, as a raw subscription delivers it."""
        self._writer.write(self._topics[topic], stamp_ns, data)

    def write_message(self, topic: str, stamp_ns: int, message: Any) -> None:
        """Append one message made from :attr:`store`'s types."""
        data = self.store.serialize_cdr(message, self._topics[topic].msgtype)
        self.write(topic, stamp_ns, bytes(data))

    def write_image(
        self,
        topic: str,
        stamp_ns: int,
        frame_id: str,
        rgb: NDArray[np.uint8],
        *,
        logged_ns: int | None = None,
        quality: int = 80,
    ) -> None:
        """Append an image as a JPEG in a ``sensor_msgs/CompressedImage``.

        Args:
            topic: a topic of that type.
            stamp_ns: the header's stamp.
            frame_id: the header's frame.
            rgb: (H, W, 3) uint8 RGB.
            logged_ns: when the message counts as received; the stamp when ``None``.
            quality: of the JPEG, 1 to 100.
        """
        bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
        _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
        types = self.store.types
        time = types["builtin_interfaces/msg/Time"](sec=stamp_ns // NS, nanosec=stamp_ns % NS)
        message = types["sensor_msgs/msg/CompressedImage"](
            header=types["std_msgs/msg/Header"](stamp=time, frame_id=frame_id),
            format="jpeg",
            data=jpeg.reshape(-1),
        )
        self.write_message(topic, stamp_ns if logged_ns is None else logged_ns, message)

    def close(self) -> None:
        """Finish the file and write ``metadata.yaml``."""
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
