"""Good messages for every input of the nodes, and what a hostile or broken peer makes of them."""

from __future__ import annotations

import copy
import time
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from diffpose_ros.msg import Skeleton3DArray
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters, SetParameters
from rclpy.serialization import serialize_message
from std_msgs.msg import Header

from diffpose_ros.core import Camera, People2D, Skeleton
from diffpose_ros.core.joints import joint_set
from diffpose_ros.media.encodings import ENCODINGS
from diffpose_ros.ros import conversions, images

SERVICES = {
    "set_parameters": SetParameters, "get_parameters": GetParameters,
    "describe_parameters": DescribeParameters, "list_parameters": ListParameters,
}  # fmt: skip
WIDTH, HEIGHT = 320, 240
STANDING = np.array([
    (0, -80), (4, -84), (-4, -84), (9, -82), (-9, -82), (18, -60), (-18, -60), (24, -30), (-24, -30),
    (26, -2), (-26, -2), (12, 0), (-12, 0), (13, 40), (-13, 40), (13, 80), (-13, 80),
], dtype=float)  # fmt: skip
"""COCO keypoints of somebody who stands 160 px high, pixels from the hip."""

NUMBERS = (0, 1, -1, 7, 255, 256, 65535, 2**31 - 1, -(2**31), 2**32 - 1, 2**63 - 1)
FLOATS = (0.0, -1.0, 1e-300, 1e-9, 1e9, 1e30, -1e30, 3e38, 1e308, float("nan"), float("inf"), -float("inf"))
TEXTS = (
    "", " ", "\n", "x" * 5000, "ü" * 90, "%s%n", "[red]", "/", "a/b/../c", "\x01", "coco17", "h36m17", "²",
)  # fmt: skip


def stamp_now() -> Time:
    return conversions.ns_to_stamp(time.time_ns())


def good() -> dict[str, Any]:
    """Input -> a message that its reader takes."""
    header = Header(frame_id="cam", stamp=stamp_now())
    size = {"width": WIDTH, "height": HEIGHT}
    noise = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    people = People2D(
        xy=STANDING[None] + [WIDTH / 2, HEIGHT / 2], score=np.full((1, 17), 0.9), track_id=np.array([1]),
        covariance=np.tile(np.eye(2), (1, 17, 1, 1)),
    )  # fmt: skip
    joints = len(joint_set("h36m17").joints)
    skeleton = Skeleton(
        xyz=np.tile([0.0, 0.0, 4.0], (joints, 1)), covariance=np.tile(np.eye(3) * 1e-4, (joints, 1, 1)),
        score=np.ones(joints), root=np.array([0.0, 0.0, 4.0]), root_is_metric=False, track_id=1,
    )  # fmt: skip
    lifted = Skeleton3DArray(header=header, image_width=WIDTH, image_height=HEIGHT, joint_set="h36m17")
    lifted.skeletons = [conversions.skeleton_to_message(skeleton, header, **size)]
    text = Parameter(name="frame_id", value=ParameterValue(type=4, string_value="cam"))
    return {
        "image_raw": images.rgb_to_image(noise, header),
        "image_raw/compressed": images.rgb_to_compressed(noise, header),
        "camera_info": conversions.camera_to_info(Camera.from_fov(WIDTH, HEIGHT), header),
        "keypoints": conversions.people_to_message(people, header, **size, detector="fuzz"),
        "skeletons": lifted,
        "set_parameters": SetParameters.Request(parameters=[text]),
        "get_parameters": GetParameters.Request(names=["frame_id"]),
        "describe_parameters": DescribeParameters.Request(names=["frame_id"]),
        "list_parameters": ListParameters.Request(prefixes=["a"], depth=1),
    }


def bad(rng: np.random.Generator, message: Any) -> bytes:
    """One bad message, serialised."""
    kind = rng.random()
    if kind < 0.2:
        return noise(rng)
    if kind < 0.6:
        return mutated(rng, bytes(serialize_message(message)))
    return bytes(serialize_message(absurd(rng, message)))


def noise(rng: np.random.Generator) -> bytes:
    """Random bytes, mostly behind a valid encoding."""
    data = rng.integers(0, 256, int(rng.integers(0, 3000)), dtype=np.uint8).tobytes()
    return data if rng.random() < 0.3 else b"\0\1\0\0" + data


def mutated(rng: np.random.Generator, data: bytes) -> bytes:
    """CDR with bytes changed, cut off, cut out or added; lengths that lie; text that is not UTF-8."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 6))):
        if len(out) < 9:
            break
        at = int(rng.integers(4, len(out)))
        if rng.random() < 0.6:  # what decides comes first
            at = min(at, int(rng.integers(4, 200)))
        word = at // 4 * 4
        kind = int(rng.integers(7))
        if kind == 0:
            out[at] = int(rng.integers(256))
        elif kind == 1:
            value = int(rng.choice([0, 1, 2, 255, 1 << 20, 2**31 - 1, 2**31, 2**32 - 1]))
            out[word : word + 4] = value.to_bytes(4, "little")
        elif kind == 2:
            out[word : word + 8] = np.float64(rng.choice(FLOATS)).tobytes()
        elif kind == 3:
            del out[at:]
        elif kind == 4:
            del out[at : at + int(rng.integers(1, 40))]
        elif kind == 5:
            out[at:at] = rng.integers(0, 256, int(rng.integers(1, 40)), dtype=np.uint8).tobytes()
        else:
            text = [i for i in range(4, min(len(out), 400)) if 97 <= out[i] <= 122]
            if text:
                out[int(rng.choice(text))] = int(rng.choice([0xFF, 0xC0, 0x80, 0xED, 0xF5]))
    return bytes(out)


def absurd(rng: np.random.Generator, message: Any) -> Any:
    """A valid message with values that no honest peer sends."""
    out = copy.deepcopy(message)
    stamps = rng.random() < 0.3
    if hasattr(out, "header") and not stamps:
        out.header.stamp = stamp_now()
    if hasattr(out, "encoding") and rng.random() < 0.6:
        return _odd_image(rng, out)
    for _ in range(int(rng.integers(1, 5))):
        _spoil(rng, out)
    return out


def _odd_image(rng: np.random.Generator, out: Any) -> Any:
    """An image whose numbers fit together and are odd, or nearly fit."""
    shapes = ((1, 1), (2, 2), (1, 4000), (4000, 1), (3, 5), (600, 20), (17, 31))
    out.height, out.width = shapes[int(rng.integers(len(shapes)))]
    out.encoding = str(rng.choice([*ENCODINGS, "", "rgb", "32FC1", "bayer_"]))
    out.step = int(out.width * rng.choice([1, 2, 3, 4, 6, 8]) + rng.choice([0, 0, 1, 5]))
    out.is_bigendian = int(rng.integers(2))
    size = max(0, out.step * out.height + int(rng.choice([0, 0, 0, -1, 7])))
    out.data = rng.integers(0, 256, size, dtype=np.uint8).tobytes()
    return out


def _spoil(rng: np.random.Generator, message: Any, depth: int = 0) -> None:
    """Put something absurd into one field, somewhere below."""
    fields = message.get_fields_and_field_types()
    name = str(rng.choice(list(fields)))
    value = getattr(message, name)
    try:
        if hasattr(value, "get_fields_and_field_types"):
            _spoil(rng, value, depth + 1)
        elif isinstance(value, list) and value and hasattr(value[0], "get_fields_and_field_types"):
            kind = int(rng.integers(5))
            if kind == 0:
                setattr(message, name, [])
            elif kind == 1:
                setattr(message, name, value[: int(rng.integers(len(value) + 1))])
            elif kind == 2 and depth < 2:
                setattr(message, name, [copy.deepcopy(value[0]) for _ in range(int(rng.integers(2, 60)))])
            else:
                _spoil(rng, value[int(rng.integers(len(value)))], depth + 1)
        elif isinstance(value, str):
            setattr(message, name, TEXTS[int(rng.integers(len(TEXTS)))])
        elif isinstance(value, bool):
            setattr(message, name, not value)
        elif isinstance(value, int):
            setattr(message, name, _whole_number(rng, fields[name]))
        elif isinstance(value, float):
            setattr(message, name, FLOATS[int(rng.integers(len(FLOATS)))])
        elif isinstance(value, np.ndarray):
            value[int(rng.integers(len(value)))] = FLOATS[int(rng.integers(len(FLOATS)))]
        elif "float" in fields[name] or "double" in fields[name]:
            size = int(rng.choice([0, 1, 3, 5, 9, 500]))
            setattr(message, name, [FLOATS[int(rng.integers(len(FLOATS)))] for _ in range(size)])
        elif "uint8" in fields[name]:
            size = int(rng.choice([0, 1, 3, 500]))
            setattr(message, name, rng.integers(0, 256, size, dtype=np.uint8).tobytes())
        else:
            setattr(message, name, [])
    except (AssertionError, OverflowError, TypeError):
        return  # the field's type does not hold it


def _whole_number(rng: np.random.Generator, kind: str) -> int:
    """One that fits into ``int32``, ``uint8``, ``octet``..."""
    bits = int("".join(c for c in kind if c.isdigit()) or 8)
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if kind.startswith("int") else (0, (1 << bits) - 1)
    options = [n for n in NUMBERS if low <= n <= high] + [low, high]
    return options[int(rng.integers(len(options)))]
