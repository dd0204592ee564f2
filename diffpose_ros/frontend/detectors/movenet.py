"""MoveNet MultiPose Lightning on the CPU: the detector in the box.

Up to six people, 17 COCO keypoints each. The whole image goes in at once, so the cost does not
depend on the number of people; what it cannot resolve at ``input_size`` it cannot find.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import COCO17, BackendError, ConfigError, ModelError, People2D
from diffpose_ros.core.choices import DETECTOR_PIXELS
from diffpose_ros.core.files import expanded
from diffpose_ros.frontend._ranges import check_ranges
from diffpose_ros.frontend._suppress import suppress_doubles
from diffpose_ros.frontend.detectors.letterbox import Letterbox
from diffpose_ros.frontend.detectors.protocol import check_image
from diffpose_ros.frontend.networks import Network, Port, check_runtime, describe, open_network
from diffpose_ros.frontend.pyramid import Pyramid

_JOINTS = len(COCO17)
_ROW = 3 * _JOINTS + 5


@dataclass(frozen=True)
class MoveNetConfig:
    """Settings of :class:`MoveNet`.

    Attributes:
        model: ONNX file; empty takes the one in the package.
        input_size: longer side of the network's input, pixels: a multiple of 32, 128 to 1024.
            384 finds people from about a quarter of the image's height up reliably; 512 smaller
            and half hidden ones at twice the cost; 256 is for one person near the camera.
        person_threshold: people with a lower score are dropped. Real people mostly score 0.3 to
            0.7, half hidden or backlit ones down to 0.2; below 0.15 lie the inventions. The
            tracker starts people at 0.3 and uses fainter ones to keep them.
        keypoint_threshold: keypoints with a lower score are masked (score 0).
        min_keypoints: people with fewer keypoints left are dropped.
        nms_threshold: OKS from which two people are the same one; 1 switches it off.
        max_people: the best ones are kept; the network itself finds no more than six.
        threads: threads of one run; beside busy processes one is fastest.
        runtime: ``onnxruntime``, ``openvino``, or ``auto``: OpenVINO where it is installed and the
            CPU computes in bfloat16, which takes half the time; ONNX Runtime otherwise.

    Raises:
        ConfigError: a value is out of range.
    """

    model: str = ""
    input_size: int = 384
    person_threshold: float = 0.15
    keypoint_threshold: float = 0.1
    min_keypoints: int = 5
    nms_threshold: float = 0.7
    max_people: int = 6
    threads: int = 1
    runtime: str = "auto"

    def __post_init__(self) -> None:
        ranges: dict[str, tuple[float, float]] = {
            "input_size": DETECTOR_PIXELS["movenet"],
            "person_threshold": (0.0, 1.0),
            "keypoint_threshold": (0.0, 1.0),
            "min_keypoints": (1, 17),
            "nms_threshold": (0.0, 1.0),
            "max_people": (1, 6),
            "threads": (1, 64),
        }
        check_ranges("movenet", self, ranges)
        check_runtime(self.runtime, "movenet")
        if self.input_size % 32:
            raise ConfigError(f"movenet input_size: expected a multiple of 32, got {self.input_size}")


class MoveNet:
    """The bundled detector.

    Attributes:
        reason: what runs the network, and why that.

    Raises:
        ModelError: the file is missing, is not ONNX, or is another network.
        BackendError: the runtime asked for is not installed.
    """

    name = "movenet"
    joint_set = "coco17"

    def __init__(self, config: MoveNetConfig | None = None) -> None:
        self.config = config or MoveNetConfig()
        path = expanded(self.config.model) if self.config.model else bundled_model()
        self._network: Network | None = open_network(
            path, self.config.runtime, self.config.threads, owner="movenet", check=check_ports
        )
        self.reason = self._network.reason

    def detect(self, rgb: NDArray[np.uint8]) -> People2D:
        """People in an image (H, W, 3) uint8 RGB; keypoints in its pixels, best person first.

        Raises:
            InputError: not such an image.
            BackendError: the network failed, or the detector was closed.
        """
        check_image(rgb)
        box = Letterbox.fit(rgb.shape[1], rgb.shape[0], self.config.input_size)
        return self._people(box.apply(rgb), box, (rgb.shape[1], rgb.shape[0]))

    def find(self, pyramid: Pyramid, *, input_size: int | None = None) -> People2D:
        """The same for an image whose halvings are there: four times as fast to shrink.

        Args:
            pyramid: of the image.
            input_size: instead of the configuration's.

        Raises:
            BackendError: the network failed, or the detector was closed.
        """
        height, width = pyramid.shape
        box = Letterbox.fit(width, height, input_size or self.config.input_size)
        image = pyramid.cut(np.full(2, -0.5), (box.scale_x, box.scale_y), (box.width, box.height))
        return self._people(image, box, (width, height))

    def _people(self, image: NDArray[np.uint8], box: Letterbox, size: tuple[int, int]) -> People2D:
        if self._network is None:
            raise BackendError("movenet: the detector was closed; make a new one")
        (rows,) = self._network.run(image[None].astype(np.int32))
        return decode(rows, box, size, self.config)

    def close(self) -> None:
        """Let go of the network."""
        self._network = None


def check_ports(path: Path, ins: list[Port], outs: list[Port]) -> None:
    """Raise ModelError unless inputs and outputs are those of MoveNet MultiPose."""
    shape_in = ins[0][2]
    shape_out = outs[0][2] if len(outs) == 1 else []
    right = (
        len(shape_in) == 4
        and shape_in[3] == 3
        and ins[0][1] == "int32"
        and len(shape_out) == 3
        and shape_out[2] == _ROW
    )
    if not right:
        raise ModelError(
            f"movenet: {path} is another network: expected int32 (1, H, W, 3) in and "
            f"float (1, 6, {_ROW}) out, got {describe([*ins, *outs])}"
        )


def decode(
    rows: NDArray[np.float32], box: Letterbox, size: tuple[int, int], config: MoveNetConfig
) -> People2D:
    """The network's output as people in image pixels.

    Args:
        rows: (1, 6, 56): 17 x (y, x, score) relative to the padded input, the box, the score.
        box: how the image was fitted into the input.
        size: image width and height, pixels.
        config: thresholds.

    Returns:
        People by falling score. Keypoints that fall outside the image (into the padding) are
        masked: the detector cannot have seen them there.
    """
    people = np.asarray(rows, dtype=np.float64)[0]
    people = people[np.isfinite(people).all(axis=1)]
    keypoints = people[:, : 3 * _JOINTS].reshape(-1, _JOINTS, 3)
    # 0 is the centre of the first pixel, not its edge: measured on images and their mirror images.
    xy = box.to_image(keypoints[..., [1, 0]] * (box.width, box.height))
    score = np.clip(keypoints[..., 2], 0.0, 1.0)
    inside = ((xy > -0.5) & (xy < np.array(size) - 0.5)).all(axis=-1)
    score = np.where(inside & (score >= config.keypoint_threshold), score, 0.0)
    person = np.clip(people[:, -1], 0.0, 1.0)
    good = (person >= config.person_threshold) & ((score > 0).sum(1) >= config.min_keypoints)
    xy, score, person = xy[good], score[good], person[good]
    keep = np.argsort(-person, kind="stable")
    if config.nms_threshold < 1:
        keep = suppress_doubles(
            xy, score, person,
            threshold=config.nms_threshold, visible_above=max(config.keypoint_threshold, 1e-6),
        )  # fmt: skip
    keep = keep[: config.max_people]
    xy, score = xy[keep], score[keep]
    return People2D(xy=np.where(score[..., None] > 0, xy, 0.0), score=score, person_score=person[keep])


def bundled_model() -> Path:
    """Path of the ONNX file in the package."""
    root = Path(str(resources.files("diffpose_ros")))
    return root / "weights" / "movenet" / "movenet_multipose_lightning.onnx"
