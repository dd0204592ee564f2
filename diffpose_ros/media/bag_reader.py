"""Reading rosbag2 bags (MCAP or SQLite); ROS is not needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import H36M17, InputError

TYPE = "diffpose_ros/msg/Skeleton3DArray"
NS = 1_000_000_000


def is_bag(path: Path) -> bool:
    """Whether a path is a bag: a folder with ``metadata.yaml``."""
    return path.is_dir() and (path / "metadata.yaml").is_file()


def read_skeletons(path: Path) -> dict[str, NDArray[Any]]:
    """Everyone in a bag's skeletons, a row per person per frame.

    Args:
        path: folder of the bag. Where several topics carry skeletons, the first by name is read.

    Returns:
        ``stamp_s (R,)`` s, ``frame (R,)``, ``track_id (R,)``, ``xyz (R, 17, 3)`` m, ``up (R, 3)``, NaN
        where the bag does not know it.

    Raises:
        InputError: it is no bag, damaged, or has no skeletons; the text names the topics that it has.
    """
    from rosbags.rosbag2 import Reader
    from rosbags.rosbag2.errors import ReaderError

    stamps: list[float] = []
    frames: list[int] = []
    ids: list[int] = []
    xyz: list[list[tuple[float, float, float]]] = []
    ups: list[tuple[float, float, float]] = []
    try:
        with Reader(path) as reader:
            found = sorted((c for c in reader.connections if c.msgtype == TYPE), key=lambda c: c.topic)
            if not found:
                topics = ", ".join(sorted({c.topic for c in reader.connections})[:20]) or "none"
                raise InputError(
                    f"{path}: expected a topic of {TYPE}, its topics are {topics}; record `skeletons`, too"
                )
            store = _types(found[0])
            for frame, (_, _, raw) in enumerate(reader.messages(connections=found[:1])):
                message: Any = store.deserialize_cdr(raw, TYPE)
                stamp = message.header.stamp.sec + message.header.stamp.nanosec / NS
                up = getattr(message, "up", None)
                towards = (np.nan,) * 3 if up is None or not (up.x or up.y or up.z) else (up.x, up.y, up.z)
                for one in message.skeletons:
                    if one.joint_set != H36M17.name or len(one.joints) != len(H36M17):
                        raise InputError(f"{path}: expected the joints of {H36M17.name}, got {one.joint_set}")
                    stamps.append(stamp)
                    frames.append(frame)
                    ids.append(one.track_id)
                    xyz.append([(j.position.x, j.position.y, j.position.z) for j in one.joints])
                    ups.append(towards)
    except InputError:
        raise
    except (ReaderError, OSError, ValueError, KeyError, EOFError, AssertionError, AttributeError) as error:
        raise InputError(f"{path}: is no bag that can be read ({' '.join(str(error).split())})") from None
    return {
        "stamp_s": np.array(stamps, dtype=np.float64),
        "frame": np.array(frames, dtype=np.int64),
        "track_id": np.array(ids, dtype=np.int64),
        "xyz": np.array(xyz, dtype=np.float64).reshape(-1, 17, 3),
        "up": np.array(ups, dtype=np.float64).reshape(-1, 3),
    }


def _types(connection: Any) -> Any:
    """Message types as the bag defines them, so that bags of other versions are read, too."""
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.ROS2_JAZZY)
    definition = connection.msgdef
    text = getattr(definition, "data", definition)
    if text:
        store.register(get_types_from_msg(text, TYPE))
        return store
    from diffpose_ros.media.bag import typestore

    return typestore()
