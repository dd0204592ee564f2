"""Features of the detector's network at a person, for embeddings of pictures.

MoveNet SinglePose is read with two of its inner maps as further outputs: what its backbone ends in, and the
finest map of its feature pyramid, from which all heads read.

Letters for shapes: N crops, J = 17 joints, h x w cells of the fine map.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import BackendError, InputError, ModelError
from diffpose_ros.frontend.pyramid import Pyramid
from diffpose_ros.frontend.tracked.crops import Crops
from diffpose_ros.frontend.tracked.heads import Decoded, decode
from diffpose_ros.frontend.tracked.single_pose import NETWORKS, weights_folder

NAME = "lightning"
SIZE = NETWORKS[NAME]
_MODEL = "StatefulPartitionedCall/center_net_mobile_net_v2fpn_feature_extractor/model_1/"
COARSE, FINE = f"{_MODEL}conv2d/BiasAdd:0", f"{_MODEL}re_lu_2/Relu:0"
"""Backbone (N, 64, h / 8, w / 8), and the fine map (N, 24, h, w)."""

GRID = 3
"""The coarse map is averaged over so many parts of each side."""
VISIBLE = 0.15
"""Score from which a keypoint's place says where the person is."""
FEATURES = 17 * 3 + 17 * 24 + 64 * GRID * GRID


class PictureFeatures:
    """Reads features at people.

    Args:
        threads: of one run.
        model: ONNX file; the one in the package by default.

    Raises:
        BackendError: ONNX Runtime is not installed.
        ModelError: the file is missing or another network.
    """

    def __init__(self, *, threads: int = 1, model: Path | None = None) -> None:
        try:
            import onnxruntime as ort
        except ImportError as error:
            raise BackendError(
                "picture features: onnxruntime is not installed (pip install onnxruntime)"
            ) from error
        path = weights_folder() / f"movenet_singlepose_{NAME}.onnx" if model is None else model
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            content = with_outputs(path.read_bytes(), (COARSE, FINE))
            where = ["CPUExecutionProvider"]
            self._session: Any = ort.InferenceSession(content, options, providers=where)
        except Exception as error:  # its exceptions share no base class
            line = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ModelError(
                f"{path}: no MoveNet SinglePose that features can be read from: {line}"
            ) from error
        self._weight = np.asarray(
            cv2.resize(np.load(weights_folder() / f"center_{NAME}.npy"), (SIZE // 4, SIZE // 4)), np.float32
        )

    def at(
        self, rgb: NDArray[np.uint8], keypoints: NDArray[np.floating]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Features at people whose keypoints are known roughly.

        Args:
            rgb: (H, W, 3) image.
            keypoints: (N, 17, 3) x, y in pixels and score.

        Returns:
            Features (N, :data:`FEATURES`), and the keypoints that the network sees there (N, 17, 3).

        Raises:
            InputError: no image, or somebody without a keypoint.
        """
        if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
            raise InputError(f"picture: expected (H, W, 3) uint8 RGB, got {rgb.shape} {rgb.dtype}")
        visible = keypoints[..., 2] > VISIBLE
        if not visible.any(axis=1).all():
            raise InputError(f"picture: expected people with a keypoint scored above {VISIBLE:g}")
        if not len(keypoints):
            return np.zeros((0, FEATURES), np.float32), np.zeros((0, 17, 3))
        crops = Crops.around(np.asarray(keypoints[..., :2], np.float64), visible)
        features, seen = self.of(crops.cut(Pyramid(rgb), SIZE))
        return features, np.concatenate([crops.to_image(seen.at), seen.score[..., None]], axis=-1)

    def of(self, crops: NDArray[np.uint8]) -> tuple[NDArray[np.float32], Decoded]:
        """Features and keypoints of one person each in crops (N, 192, 192, 3)."""
        names = ["heatmap", "center", "regress", "offset", COARSE, FINE]
        heatmap, center, regress, offset, coarse, fine = self._session.run(names, {"image": crops})
        seen = decode(heatmap, center, regress, offset, self._weight)
        return gather(seen, coarse, fine), seen


def gather(seen: Decoded, coarse: NDArray[np.float32], fine: NDArray[np.float32]) -> NDArray[np.float32]:
    """The feature vectors (N, :data:`FEATURES`): keypoints in the crop, the fine map at each, the coarse one.

    Args:
        seen: keypoints of N crops.
        coarse: (N, 64, a, a).
        fine: (N, 24, h, w).
    """
    count, _, h, w = fine.shape
    cell = np.floor(seen.at * (w, h)).astype(int).clip(0, (w - 1, h - 1))
    at_joints = fine[np.arange(count)[:, None], :, cell[..., 1], cell[..., 0]]  # (N, J, 24)
    side = coarse.shape[2] // GRID
    parts = coarse[:, :, : GRID * side, : GRID * side].reshape(count, -1, GRID, side, GRID, side)
    places = np.concatenate([seen.at - 0.5, seen.score[..., None]], axis=-1)
    flat = (x.reshape(count, -1) for x in (places, at_joints, parts.mean(axis=(3, 5))))
    return np.concatenate(list(flat), axis=1).astype(np.float32)


def with_outputs(model: bytes, names: tuple[str, ...]) -> bytes:
    """An ONNX file with inner values as further outputs.

    Protocol buffers are merged by writing one behind the other: what is appended adds to the graph's
    outputs (``ModelProto.graph`` is field 7, ``GraphProto.output`` 12, ``ValueInfoProto.name`` 1). So no
    library for ONNX files is needed.
    """
    outputs = b"".join(_field(12, _field(1, name.encode())) for name in names)
    return model + _field(7, outputs)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
