"""Writing rosbag2 bags (MCAP) that ``ros2 bag``, RViz and Foxglove open; ROS is not needed."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.errors import WriterError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from diffpose_ros.core import InputError
from diffpose_ros.core.closing import Closing
from diffpose_ros.core.files import probe, read_limited, reason, sync, unused

PACKAGE = "diffpose_ros"
NS = 1_000_000_000
MARK = "written_by"
"""Of a bag's ``custom_data``: tells a bag of this package from others, which are never replaced."""
MAX_METADATA_BYTES = 1 << 20


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


def is_ours(path: Path) -> bool:
    """Whether a folder is a bag that this package wrote, and nothing else lies in it."""
    try:
        names = {entry.name for entry in path.iterdir()}
        if "metadata.yaml" not in names or any(not n.endswith((".mcap", "metadata.yaml")) for n in names):
            return False
        text = read_limited(path / "metadata.yaml", MAX_METADATA_BYTES, "a bag's metadata").decode()
    except (OSError, InputError, UnicodeDecodeError):
        return False
    return f"{MARK}: {PACKAGE}" in text


def check_replaceable(path: Path, *, overwrite: bool = True) -> None:
    """Raise InputError when a bag must not be written at ``path``.

    Args:
        path: the bag's folder.
        overwrite: whether a bag of this package may be replaced; nothing else ever is.

    Raises:
        InputError: something is there that may not be replaced, or nothing can be written there.
    """
    if path.name in ("", ".."):
        raise InputError(f"{path}: expected the name of a folder for the bag")
    if not os.path.lexists(path):
        probe(path)
        return
    if not is_ours(path):
        raise InputError(f"{path}: exists and is not a bag of {PACKAGE}'s; move it or choose another place")
    if not overwrite:
        raise InputError(f"{path}: exists already; name another place, or give --overwrite")
    probe(path / "metadata.yaml")


class BagWriter(Closing):
    """A bag being written; use it as a context manager.

    It is written at ``<path>.partial/<name>`` and moved when it is complete. One that ends with an
    error, or is killed, stays there: its file holds all chunks that were finished.

    Args:
        path: the bag's folder. A bag of this package is replaced, anything else is not.
        topics: topic -> message type, e.g. ``{"/tf": "tf2_msgs/msg/TFMessage"}``.

    Raises:
        InputError: ``path`` is something else than such a bag, cannot be written, or a message type
            is not known.
    """

    def __init__(self, path: str | Path, topics: dict[str, str]) -> None:
        self.path = Path(os.path.realpath(path))
        self.store = typestore()
        check_replaceable(self.path)
        unknown = sorted({t for t in topics.values() if t not in self.store.types})
        if unknown:
            raise InputError(f"{self.path}: unknown message type {', '.join(unknown)}")
        self._part = unused(self.path.with_name(f"{self.path.name}.partial"))
        try:
            self._part.mkdir(parents=True)
            name = self._part / self.path.name
            self._writer: Writer | None = Writer(name, version=9, storage_plugin=StoragePlugin.MCAP)
            self._writer.set_custom_data(MARK, PACKAGE)
            self._writer.open()
            self._topics = {
                topic: self._writer.add_connection(topic, kind, typestore=self.store)
                for topic, kind in topics.items()
            }
        except (OSError, WriterError) as error:
            shutil.rmtree(self._part, ignore_errors=True)
            raise InputError(f"{self.path}: cannot be written ({error})") from None
        self._chunks = self._messages = 0

    def write(self, topic: str, stamp_ns: int, data: bytes) -> None:
        """Append one serialised (CDR) message, as a raw subscription delivers it.

        Raises:
            InputError: the disk is full.
        """
        assert self._writer is not None
        with self._refusals():
            self._writer.write(self._topics[topic], stamp_ns, data)
            self._messages += 1
            storage: Any = self._writer.storage
            if len(storage.chunks) != self._chunks:
                self._chunks = len(storage.chunks)
                storage.bio.flush()  # a chunk that is complete outlives this process

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

    def finish(self) -> None:
        """Complete the bag and give it its name, in place of an older one.

        Raises:
            InputError: it cannot be completed; what was there stays.
        """
        self._complete()
        part = self._part / self.path.name
        with self._refusals():
            if os.path.lexists(self.path):
                old = self._part / "replaced"
                self.path.rename(old)
            part.rename(self.path)
            sync(self.path.parent)
        shutil.rmtree(self._part, ignore_errors=True)

    def keep(self) -> Path | None:
        """Complete what there is under the name of a part; ``None`` when there is nothing."""
        if not self._messages:
            self.discard()
            return None
        self._complete()
        aside = unused(self._part.with_name(f".{self._part.name}"))
        with self._refusals():
            self._part.rename(aside)
            (aside / self.path.name).rename(self._part)
            aside.rmdir()
        return self._part

    def discard(self) -> None:
        """Throw away what was written."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.abort()
        shutil.rmtree(self._part, ignore_errors=True)

    def _complete(self) -> None:
        writer, self._writer = self._writer, None
        if writer is None:
            raise InputError(f"{self.path}: is closed")
        with self._refusals():
            try:
                writer.close()
            except BaseException:
                writer.abort()
                raise
            for file in (self._part / self.path.name).iterdir():
                sync(file)

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except (OSError, WriterError) as error:
            why = reason(error) if isinstance(error, OSError) else str(error)
            raise InputError(f"{self.path}: cannot be written ({why})") from None

    def leave(self, well: bool) -> None:
        if self._writer is None:
            return
        if well:
            self.finish()
        else:
            with contextlib.suppress(InputError):
                self.keep()
