"""YOLO-pose through the user's own ``ultralytics``.

It is AGPL-3.0 and therefore not a dependency of this package. A ``.pt`` file is a pickle that runs
code when it is loaded: use those you trust, or an exported model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import COCO17, BackendError, ConfigError, InputError, ModelError, People2D
from diffpose_ros.core.files import expanded
from diffpose_ros.frontend._ranges import check_ranges
from diffpose_ros.frontend.detectors.protocol import check_image

_EXPORTED = (".onnx", ".engine", ".torchscript", ".tflite", ".mlpackage")


@dataclass(frozen=True)
class UltralyticsConfig:
    """Settings of :class:`UltralyticsPose`.

    Attributes:
        model: weight file or exported model (``.pt``, ``.onnx``, ``.engine``, an OpenVINO folder).
            A bare name such as ``yolo11n-pose.pt`` that is not a file is fetched by ultralytics.
        device: ``cpu``, ``cuda:0``, ...; empty lets ultralytics choose.
        batch: images per call that :meth:`UltralyticsPose.detect_batch` hands over at once.
        imgsz: longer side of the network's input, pixels.
        conf: people with a lower score are dropped.
        iou: overlap of boxes from which two people are the same one.
        keypoint_threshold: keypoints with a lower score are masked (score 0).
        max_people: the best ones are kept.

    Raises:
        ConfigError: a value is out of range.
    """

    model: str = "yolo11n-pose.pt"
    device: str = ""
    batch: int = 1
    imgsz: int = 640
    conf: float = 0.25
    iou: float = 0.7
    keypoint_threshold: float = 0.1
    max_people: int = 50

    def __post_init__(self) -> None:
        if not self.model:
            raise ConfigError("ultralytics model: expected a weight file or an exported model")
        ranges: dict[str, tuple[float, float]] = {
            "conf": (0.0, 1.0),
            "iou": (0.0, 1.0),
            "keypoint_threshold": (0.0, 1.0),
            "batch": (1, 256),
            "imgsz": (32, 4096),
            "max_people": (1, 1000),
        }
        check_ranges("ultralytics", self, ranges)


class UltralyticsPose:
    """Any YOLO-pose model with 17 COCO keypoints.

    Raises:
        BackendError: ultralytics is not installed.
        ModelError: the file is missing, damaged, or not a pose model.
    """

    name = "ultralytics"
    joint_set = "coco17"

    def __init__(self, config: UltralyticsConfig | None = None) -> None:
        self.config = config or UltralyticsConfig()
        try:
            from ultralytics import YOLO
        except ImportError as error:
            raise BackendError(
                "detector 'ultralytics' needs ultralytics, which is not installed: pip install ultralytics"
            ) from error
        path = expanded(self.config.model)
        is_name = path.name == self.config.model and path.suffix == ".pt"
        if not is_name and not path.exists():
            raise ModelError(f"ultralytics: no model file at {path}")
        # An exported file does not tell its task without being run, a .pt file does.
        exported = path.suffix in _EXPORTED or path.is_dir()
        try:
            self._model: Any = YOLO(str(path), **({"task": "pose"} if exported else {}))
        except Exception as error:
            raise ModelError(f"ultralytics: cannot load {path}: {_line(error)}") from error
        where = f"device '{self.config.device}'" if self.config.device else "a device of its choice"
        self.reason = f"ultralytics on {where}"
        task = getattr(self._model, "task", "pose")
        if task != "pose":
            raise ModelError(f"ultralytics: {path} is a '{task}' model, expected a pose model (…-pose)")

    def detect(self, rgb: NDArray[np.uint8]) -> People2D:
        """People in an image (H, W, 3) uint8 RGB; keypoints in its pixels, best person first.

        Raises:
            InputError: not such an image.
            BackendError: the network failed, or the detector was closed.
            ModelError: the model's keypoints are not COCO's 17.
        """
        return self.detect_batch([rgb])[0]

    def detect_batch(self, images: list[NDArray[np.uint8]]) -> list[People2D]:
        """People in several images, ``batch`` of them at a time."""
        for image in images:
            check_image(image)
        if self._model is None:
            raise BackendError("ultralytics: the detector was closed; make a new one")
        c = self.config
        options: dict[str, Any] = {
            "imgsz": c.imgsz, "conf": c.conf, "iou": c.iou, "max_det": c.max_people,
            "batch": c.batch, "verbose": False,
        }  # fmt: skip
        if c.device:
            options["device"] = c.device
        # ultralytics takes arrays as BGR.
        bgr = [np.ascontiguousarray(image[..., ::-1]) for image in images]
        people: list[People2D] = []
        for start in range(0, len(bgr), c.batch):
            chunk = bgr[start : start + c.batch]
            try:
                results = self._model.predict(chunk, **options)
            except Exception as error:
                raise BackendError(f"ultralytics: inference failed: {_line(error)}") from error
            people += [self._people(r) for r in results]
        return people

    def close(self) -> None:
        """Let go of the network."""
        self._model = None

    def _people(self, result: Any) -> People2D:
        if result.keypoints is None or result.boxes is None:
            raise ModelError(f"ultralytics: {self.config.model} gives no keypoints, expected a pose model")
        data = _numpy(result.keypoints.data)
        person = np.clip(_numpy(result.boxes.conf).reshape(-1), 0.0, 1.0)
        if not len(person):
            return People2D.empty()
        if data.ndim != 3 or data.shape[1] != len(COCO17) or data.shape[2] not in (2, 3):
            raise ModelError(
                f"ultralytics: {self.config.model} gives keypoints {data.shape[1:]}, expected COCO's (17, 3)"
            )
        xy = data[..., :2]
        # Without per-keypoint scores an (0, 0) stands for "not seen".
        score = data[..., 2] if data.shape[2] == 3 else (xy > 0).any(-1) * person[:, None]
        score = np.clip(np.nan_to_num(score, nan=0.0), 0.0, 1.0)
        seen = (score >= self.config.keypoint_threshold) & np.isfinite(xy).all(-1)
        score = np.where(seen, score, 0.0)
        xy = np.where(seen[..., None], xy, 0.0)
        try:
            found = People2D(xy=xy, score=score, person_score=person)
        except InputError as error:
            raise BackendError(f"ultralytics: {error}") from error
        return found.take(np.argsort(-person, kind="stable")[: self.config.max_people])


def _numpy(value: Any) -> NDArray[np.float64]:
    """A torch tensor on any device, or an array, as float64."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    return np.asarray(value, dtype=np.float64)


def _line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
