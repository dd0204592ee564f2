"""Calibrations as different tools write them, each turned into the same :class:`Calibration`.

- ROS: ``camera_calibration`` and ``camera_info_manager`` (YAML), and what ``ros2 topic echo`` prints.
- Kalibr: ``camchain.yaml`` with one camera or several.
- OpenCV's ``FileStorage``: YAML (with its ``%YAML:1.0``), XML and JSON, under the names that OpenCV's own
  programs and tutorials give the entries.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from diffpose_ros.core import InputError
from diffpose_ros.core.bounded_yaml import MAX_DEPTH, parse
from diffpose_ros.core.calibration import Calibration

EXPECTED = (
    "expected a camera_info YAML (image_width, camera_matrix, ...), a camchain of Kalibr, a FileStorage of "
    "OpenCV or what ros2 topic echo prints of a CameraInfo"
)
_MATRIX_TAG = "tag:yaml.org,2002:opencv-matrix"
_SIZES = ("imagesize", "imgsize", "resolution", "cameraresolution")
_MATRICES = ("cameramatrix", "k", "mtx", "intrinsicmatrix")
_DISTORTIONS = ("distortioncoefficients", "distcoeffs", "distortioncoeffs", "dist", "d")
_RECTIFICATIONS = ("rectificationmatrix", "r")
_PROJECTIONS = ("projectionmatrix", "p")


class _Stored(dict):
    """A matrix that OpenCV's FileStorage wrote."""


def load(text: str, name: str) -> Any:
    """The content of a calibration file, whatever it is written in.

    Raises:
        InputError: it cannot be read as what it seems to be.
    """
    start = text.lstrip()[:1]
    if start == "<":
        return _from_xml(text, name)
    if start == "{":
        try:
            return _from_json(text, name)
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            # YAML may begin like this as well, and says more clearly what is wrong
    # OpenCV's first line is no YAML: a colon where YAML has a space
    text = re.sub(r"\A%YAML:1\.[01]\s*?\n(---)?", "---", text)
    return parse(text, name, tags={_MATRIX_TAG: _Stored})


def calibration(content: Any, name: str, camera: str = "") -> Calibration:
    """The calibration that a file's content holds.

    Args:
        content: from :func:`load`.
        name: of the file, for messages.
        camera: which of several cameras (Kalibr: ``cam0``, ``cam1``...); empty: the only one.

    Raises:
        InputError: nothing that is known, several cameras and no choice, wrong entries.
    """
    if not isinstance(content, dict) or not content:
        raise InputError(f"{name}: {EXPECTED}")
    chain = [str(k) for k in content if re.fullmatch(r"cam\d+", str(k))]
    if chain:
        return _kalibr(content, chain, name, camera)
    if camera:
        raise InputError(f"{name}: holds one camera, and '{camera}' was asked for")
    if {"intrinsics", "camera_model"} <= set(map(str, content)):
        return _kalibr({"cam0": content}, ["cam0"], name, "cam0")
    entries = _Entries(content, name)
    if not entries.has(*_MATRICES, "imagewidth"):
        stereo = [str(k) for k in content if re.fullmatch(r"[MKDmkd](at)?[12]", str(k))]
        if stereo:
            raise InputError(
                f"{name}: holds the matrices of two cameras ({', '.join(stereo)}) and no image size; "
                "write one file for each, with image_width, image_height, camera_matrix"
            )
        found = ", ".join(str(k)[:40] for k in list(content)[:8])
        raise InputError(f"{name}: {EXPECTED}; it holds {found}")
    return _entries_calibration(entries)


def _entries_calibration(e: _Entries) -> Calibration:
    """ROS's and OpenCV's names for the same things."""
    width, height = e.size()
    d = e.numbers(*_DISTORTIONS, default="distortion_coefficients") if e.has(*_DISTORTIONS) else []
    model = str(e.get("distortionmodel") or "")
    if not model and any(d) and e.stored:
        # OpenCV writes no name: its fisheye programs say so in an entry, all others have one model
        fisheye = e.get("fisheyemodel") in (1, True)
        model = "equidistant" if fisheye else "plumb_bob"
    if model in ("", "none") and any(d):
        raise InputError(f"{e.name}: distortion_coefficients without a distortion_model")
    roi, header = e.get("roi"), e.get("header")
    roi = roi if isinstance(roi, dict) else {}
    return Calibration(
        width=width,
        height=height,
        k=e.numbers(*_MATRICES, default="camera_matrix", count=9),
        d=d,
        model=model,
        r=e.numbers(*_RECTIFICATIONS, count=9) if e.has(*_RECTIFICATIONS) else (),
        p=e.numbers(*_PROJECTIONS, count=12) if e.has(*_PROJECTIONS) else (),
        binning=(e.whole(e.get("binningx"), "binning_x"), e.whole(e.get("binningy"), "binning_y")),
        roi=tuple(e.whole(roi.get(k), k) for k in ("x_offset", "y_offset", "width", "height")),  # type: ignore[arg-type]
        frame_id=str(header.get("frame_id") or "") if isinstance(header, dict) else "",
    )


def _kalibr(content: Mapping[str, Any], chain: Sequence[str], name: str, camera: str) -> Calibration:
    if not camera and len(chain) > 1:
        raise InputError(
            f"{name}: holds {', '.join(chain)}; say which, for example {name}#{chain[0]}"
        )
    key = camera or chain[0]
    if key not in chain:
        raise InputError(f"{name}: holds {', '.join(chain)}, not '{key}'")
    entry = content[key]
    if not isinstance(entry, dict):
        raise InputError(f"{name}: {key}: expected camera_model, intrinsics, resolution, got {entry!r:.60}")
    if entry.get("camera_model") != "pinhole":
        raise InputError(
            f"{name}: {key}: camera_model: expected pinhole, got '{entry.get('camera_model')}'; "
            "calibrate again with pinhole-radtan or pinhole-equi"
        )
    e = _Entries(entry, f"{name}: {key}")
    fx, fy, cx, cy = e.numbers("intrinsics", count=4)
    model = str(entry.get("distortion_model") or "none")
    d = e.numbers("distortioncoeffs") if e.has("distortioncoeffs") else []
    width, height = e.size()
    return Calibration(width=width, height=height, k=[fx, 0, cx, 0, fy, cy, 0, 0, 1], d=d, model=model)


class _Entries:
    """Entries by name, without regard to capitals and underscores.

    Attributes:
        name: of the file, for messages.
        stored: some matrix was written by OpenCV's FileStorage.
    """

    def __init__(self, content: Mapping[Any, Any], name: str) -> None:
        self.name = name
        self.stored = any(isinstance(v, _Stored) for v in content.values())
        self._names: dict[str, str] = {}
        self._values: dict[str, Any] = {}
        for key, value in content.items():
            plain = str(key).replace("_", "").lower()
            if plain in self._values:
                raise InputError(f"{name}: '{self._names[plain]}' and '{key}' are the same entry")
            self._names[plain], self._values[plain] = str(key), value

    def has(self, *names: str) -> bool:
        """Whether one of the entries is there."""
        return any(n in self._values for n in names)

    def get(self, name: str) -> Any:
        """An entry, or ``None``."""
        return self._values.get(name)

    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        for key in _SIZES:
            if self.has(key):
                width, height = self.numbers(key, count=2)
                return self._positive(width, self._names[key]), self._positive(height, self._names[key])
        echoed = self.has("width") and not self.has("imagewidth")
        names = ("width", "height") if echoed else ("image_width", "image_height")
        w, h = (self._positive(self.get(n.replace("_", "")), n) for n in names)
        return w, h

    def numbers(self, *names: str, default: str = "", count: int = 0) -> list[float]:
        """The numbers of the first of these entries, row by row."""
        key = next((n for n in names if n in self._values), "")
        shown = self._names.get(key, default or names[0])
        value = self._values.get(key)
        if isinstance(value, dict):
            rows, cols = value.get("rows"), value.get("cols")
            value = value.get("data")
            if not isinstance(value, list):
                raise InputError(f"{self.name}: {shown}: expected rows, cols and data, got {value!r:.60}")
            if type(rows) is int and type(cols) is int and rows * cols != len(value):
                raise InputError(
                    f"{self.name}: {shown}: expected {rows} x {cols} numbers, got {len(value)}"
                )
        if not isinstance(value, list):
            raise InputError(f"{self.name}: {shown}: expected rows, cols and data, got {value!r:.60}")
        flat = [v for row in value for v in (row if isinstance(row, list) else [row])]
        if any(isinstance(v, bool) or not isinstance(v, (int, float)) for v in flat):
            raise InputError(f"{self.name}: {shown}: expected numbers, got {flat!r:.80}")
        if count and len(flat) != count:
            raise InputError(f"{self.name}: {shown}: expected {count} numbers, got {len(flat)}")
        try:
            return [float(v) for v in flat]
        except OverflowError:
            raise InputError(f"{self.name}: {shown}: expected numbers, got one too large") from None

    def whole(self, value: Any, shown: str) -> int:
        """A whole number from 0, 0 where there is none."""
        if value is None:
            return 0
        if type(value) is not int or not 0 <= value < 2**32:
            raise InputError(f"{self.name}: {shown}: expected a whole number from 0, got {value!r:.60}")
        return value

    def _positive(self, value: Any, shown: str) -> int:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not 0 < value < 2**31 or value != int(value):
            raise InputError(
                f"{self.name}: {shown}: expected a positive whole number, got {value!r:.60}"
            )
        return int(value)


def _from_json(text: str, name: str) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            twice = next(k for k, _ in pairs if [n for n, _ in pairs].count(k) > 1)
            raise InputError(f"{name}: '{twice}' is given twice")
        return _Stored(made) if made.get("type_id") == "opencv-matrix" else made

    try:
        return json.loads(text, object_pairs_hook=once)
    except RecursionError:
        raise InputError(f"{name}: nested deeper than {MAX_DEPTH} levels") from None


def _from_xml(text: str, name: str) -> Any:
    """OpenCV's XML: the children of ``<opencv_storage>``, matrices with ``type_id="opencv-matrix"``."""
    if "<!" in re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL):
        raise InputError(f"{name}: holds a document type or entities, which are not read")
    parser = ElementTree.XMLPullParser(("start", "end"))
    depth = 0
    try:
        for begin in range(0, len(text), 1 << 16):
            parser.feed(text[begin : begin + (1 << 16)])
            for event in parser.read_events():
                depth += 1 if event[0] == "start" else -1
                if depth > MAX_DEPTH:
                    raise InputError(f"{name}: nested deeper than {MAX_DEPTH} levels")
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name}: not an XML file ({error})") from None
    if root.tag != "opencv_storage":
        raise InputError(f"{name}: expected <opencv_storage> of OpenCV, got <{root.tag[:40]}>")
    content: dict[str, Any] = {}
    for child in root:
        if child.tag in content:
            raise InputError(f"{name}: '{child.tag}' is given twice")
        content[child.tag] = _xml_value(child)
    return content


def _xml_value(element: ElementTree.Element) -> Any:
    if element.get("type_id") == "opencv-matrix":
        return _Stored({child.tag: _xml_value(child) for child in element} | {
            "data": _words(element.findtext("data") or "")
        })  # fmt: skip
    values = _words(element.text or "")
    return values[0] if len(values) == 1 else values


def _words(text: str) -> list[Any]:
    """Numbers where they are some, texts otherwise."""
    out: list[Any] = []
    for word in text.split():
        for kind in (int, float):
            try:
                out.append(kind(word))
                break
            except ValueError:
                continue
        else:
            out.append(word)
    return out
