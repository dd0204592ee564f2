"""A pose network that the user exported to ONNX: YOLO-pose, RTMPose or ViTPose.

What it is shows in its inputs and outputs. YOLO-pose finds people by itself; RTMPose and ViTPose look
at one person's crop, whose box MoveNet finds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import BackendError, ConfigError, ModelError, People2D
from diffpose_ros.core.choices import DETECTOR_PIXELS
from diffpose_ros.core.files import expanded
from diffpose_ros.frontend._ranges import check_ranges
from diffpose_ros.frontend._suppress import suppress_doubles
from diffpose_ros.frontend.detectors import _top_down, _yolo
from diffpose_ros.frontend.detectors.letterbox import Letterbox
from diffpose_ros.frontend.detectors.movenet import MoveNet, MoveNetConfig
from diffpose_ros.frontend.detectors.protocol import check_image
from diffpose_ros.frontend.networks import Port, check_runtime, describe, open_network
from diffpose_ros.frontend.pyramid import Pyramid

_FLOATS = {"float": np.float32, "float16": np.float16}
_EXPECTED = (
    "expected float (1, 3, H, W) in and one of: YOLO-pose (1, 56, N) or (1, N, 57); RTMPose "
    "(N, 17, bins) twice; ViTPose (N, 17, h, w); all with COCO's 17 joints"
)


@dataclass(frozen=True)
class OnnxPoseConfig:
    """Settings of :class:`OnnxPose`.

    Attributes:
        model: the ONNX file.
        input_size: longer side of a YOLO-pose network's input where the file leaves it open, and
            of what MoveNet sees that finds boxes for the others; pixels, a multiple of 32.
        person_threshold: people with a lower score are dropped.
        keypoint_threshold: keypoints with a lower score are masked (score 0).
        nms_threshold: OKS from which two people are the same one.
        max_people: the best ones are kept.
        threads: threads of one run.
        runtime: see :func:`diffpose_ros.frontend.networks.open_network`.

    Raises:
        ConfigError: a value is out of range, or there is no file's name.
    """

    model: str = ""
    input_size: int = 640
    person_threshold: float = 0.15
    keypoint_threshold: float = 0.1
    nms_threshold: float = 0.7
    max_people: int = 20
    threads: int = 1
    runtime: str = "auto"

    def __post_init__(self) -> None:
        if not self.model:
            raise ConfigError("onnx model: expected the path of a pose network's .onnx file, got ''")
        ranges: dict[str, tuple[float, float]] = {
            "input_size": DETECTOR_PIXELS["onnx"],
            "person_threshold": (0.0, 1.0),
            "keypoint_threshold": (0.0, 1.0),
            "nms_threshold": (0.0, 1.0),
            "max_people": (1, 100),
            "threads": (1, 64),
        }
        check_ranges("onnx", self, ranges)
        check_runtime(self.runtime, "onnx")
        if self.input_size % 32:
            raise ConfigError(f"onnx input_size: expected a multiple of 32, got {self.input_size}")


class OnnxPose:
    """See the module.

    Attributes:
        kind: ``yolo``, ``simcc`` or ``heatmap``.

    Raises:
        ModelError: the file is missing, damaged, or no pose network of a known kind.
        BackendError: the runtime asked for is not installed.
    """

    name = "onnx"
    joint_set = "coco17"

    def __init__(self, config: OnnxPoseConfig) -> None:
        self.config = c = config
        path = expanded(c.model)
        self._network: Any = open_network(path, c.runtime, c.threads, owner="onnx", check=_check)
        self.kind = recognise(self._network.inputs, self._network.outputs) or ""
        self.reason = f"{self._network.reason}; {path.name} is {_NAMES[self.kind]}"
        _, kind, shape = self._network.inputs[0]
        self._type = _FLOATS[kind]
        height, width = (n if isinstance(n, int) and n > 0 else 0 for n in shape[2:])
        self._shape = (height, width)
        batch = shape[0]
        self._batch = batch if isinstance(batch, int) and batch > 0 else 0
        self._finder: MoveNet | None = None
        if self.kind != "yolo":
            self._finder = MoveNet(MoveNetConfig(
                input_size=min(c.input_size, 384), person_threshold=c.person_threshold,
                threads=c.threads, runtime=c.runtime,
            ))  # fmt: skip

    def detect(self, rgb: NDArray[np.uint8]) -> People2D:
        """See :meth:`diffpose_ros.frontend.detectors.Detector.detect`."""
        check_image(rgb)
        if self._network is None:
            raise BackendError("onnx: the detector was closed; make a new one")
        return self._yolo(rgb) if self.kind == "yolo" else self._top_down(Pyramid(rgb))

    def close(self) -> None:
        """Let go of the networks."""
        self._network = None
        if self._finder is not None:
            self._finder.close()

    def _yolo(self, rgb: NDArray[np.uint8]) -> People2D:
        c, (height, width) = self.config, rgb.shape[:2]
        box = self._letterbox(width, height)
        image = Pyramid(rgb).cut(np.full(2, -0.5), (box.scale_x, box.scale_y), (box.width, box.height))
        tensor = np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=np.float32) / 255
        outputs = self._network.run(tensor.astype(self._type))
        rows = _yolo.read(outputs[0])
        if rows is None:
            raise BackendError(f"onnx: {c.model} answers {outputs[0].shape}, {_EXPECTED}")
        # pixel centres are whole numbers here and lie at one half there
        return self._people(box.to_image(rows.xy - 0.5), rows.score, rows.person, (width, height))

    def _letterbox(self, width: int, height: int) -> Letterbox:
        """The image's place in the input: its shape is the file's, or follows the image."""
        high, wide = self._shape
        if not (high and wide):
            return Letterbox.fit(width, height, self.config.input_size)
        scale = min(wide / width, high / height)
        return Letterbox(wide, high, scale, scale)

    def _top_down(self, pyramid: Pyramid) -> People2D:
        assert self._finder is not None
        people = self._finder.find(pyramid)
        if not len(people):
            return people
        high, wide = self._shape
        corner, scale = _crops(people, wide / high)
        crops = np.empty((len(people), high, wide, 3), np.uint8)
        for i, crop in enumerate(crops):
            pyramid.cut(corner[i], wide / scale[i, 0], (wide, high), crop)
        tensor = _top_down.normalised(crops).astype(self._type)
        step = self._batch or len(tensor)
        parts = []
        for start in range(0, len(tensor), step):
            chunk = tensor[start : start + step]
            if len(chunk) < step:
                chunk = np.concatenate([chunk, np.repeat(chunk[-1:], step - len(chunk), axis=0)])
            parts.append(self._network.run(chunk))
        outputs = [np.concatenate(part)[: len(tensor)] for part in zip(*parts, strict=True)]
        read = _top_down.from_bins if self.kind == "simcc" else _top_down.from_maps
        at, score = read(*outputs[: 2 if self.kind == "simcc" else 1])
        xy = corner[:, None] + at * scale[:, None]
        assert people.person_score is not None
        height, width = pyramid.shape
        return self._people(xy, score, people.person_score, (width, height))

    def _people(
        self, xy: NDArray[np.float64], score: NDArray[np.float64], person: NDArray[np.float64],
        size: tuple[int, int],
    ) -> People2D:  # fmt: skip
        c = self.config
        inside = ((xy > -0.5) & (xy < np.array(size) - 0.5)).all(axis=-1)
        score = np.where(inside & (score >= c.keypoint_threshold), score, 0.0)
        good = (person >= c.person_threshold) & ((score > 0).sum(axis=1) >= 3)
        xy, score, person = xy[good], score[good], person[good]
        best = np.argsort(-person, kind="stable")[: 3 * c.max_people]
        xy, score, person = xy[best], score[best], person[best]
        keep = suppress_doubles(
            xy, score, person, threshold=c.nms_threshold, visible_above=max(c.keypoint_threshold, 1e-6)
        )[: c.max_people]
        xy, score = xy[keep], score[keep]
        return People2D(
            xy=np.where(score[..., None] > 0, xy, 0.0), score=score, person_score=person[keep]
        )


_NAMES = {"yolo": "YOLO-pose", "simcc": "RTMPose (SimCC)", "heatmap": "a heatmap network (ViTPose)"}


def recognise(ins: list[Port], outs: list[Port]) -> str | None:
    """``yolo``, ``simcc``, ``heatmap``, or ``None``: what a network is, by inputs and outputs."""
    _, kind, shape = ins[0]
    if kind not in _FLOATS or len(shape) != 4 or shape[1] != 3:
        return None
    shapes = [port[2] for port in outs]
    fixed = all(isinstance(n, int) and n > 0 for n in shape[2:])
    joints = [len(s) > 1 and s[1] == _top_down.JOINTS for s in shapes]
    if fixed and len(shapes) == 2 and all(joints) and all(len(s) == 3 for s in shapes):
        return "simcc"
    if fixed and len(shapes) == 1 and joints[0] and len(shapes[0]) == 4:
        return "heatmap"
    if _yolo.fits(shapes[0]):
        return "yolo"
    return None


def _check(path: Path, ins: list[Port], outs: list[Port]) -> None:
    if recognise(ins, outs) is None:
        raise ModelError(
            f"onnx: {path} is no pose network known here: {_EXPECTED}; got {describe([*ins, *outs])}"
        )


def _crops(
    people: People2D, aspect: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Outer corners (N, 2) and sizes (N, 2) of rectangles of one shape around people, pixels."""
    mask = (people.score > 0)[..., None]
    low = np.where(mask, people.xy, np.inf).min(axis=1)
    high = np.where(mask, people.xy, -np.inf).max(axis=1)
    size = np.maximum(high - low, 8.0) * PADDING_OF_KEYPOINTS
    width = np.maximum(size[:, 0], size[:, 1] * aspect)
    scale = np.stack([width, width / aspect], axis=1)
    return (low + high) / 2 - scale / 2, scale


PADDING_OF_KEYPOINTS = _top_down.PADDING * 1.1
"""The box of keypoints is smaller than the body's, which mmpose pads."""
