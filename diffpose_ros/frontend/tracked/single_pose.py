"""MoveNet SinglePose on crops: one person each, with the heads that its decoder needs."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import COCO17, BackendError, ConfigError, ModelError
from diffpose_ros.frontend.networks import Port, describe, open_network
from diffpose_ros.frontend.tracked.heads import Decoded, Prior, decode

NETWORKS = {"lightning": 192, "thunder": 256}
"""Name -> side of the crops that it was made for, pixels."""

_JOINTS = len(COCO17)
_HEADS = {"heatmap": _JOINTS, "center": 1, "regress": 2 * _JOINTS, "offset": 2 * _JOINTS}


class SinglePose:
    """MoveNet SinglePose Lightning or Thunder.

    Args:
        name: one of :data:`NETWORKS`.
        threads: threads of one run.
        runtime: see :func:`diffpose_ros.frontend.networks.open_network`.
        model: ONNX file; the one in the package by default.

    Raises:
        ConfigError: no such network or runtime.
        ModelError: the file is missing, damaged or another network.
        BackendError: the runtime is not installed.
    """

    def __init__(
        self, name: str = "lightning", *, threads: int = 1, runtime: str = "auto",
        model: Path | None = None,
    ) -> None:  # fmt: skip
        if name not in NETWORKS:
            raise ConfigError(f"network: expected one of {', '.join(NETWORKS)}, got {name!r}")
        self.name, self.size = name, NETWORKS[name]
        folder = weights_folder()
        path = folder / f"movenet_singlepose_{name}.onnx" if model is None else model
        self._network = open_network(path, runtime, threads, owner=name, check=check_ports)
        self.reason = self._network.reason
        self._order = [port[0] for port in self._network.outputs]
        self._weight = np.load(folder / f"center_{name}.npy")
        self._weights: dict[tuple[int, int], NDArray[np.float32]] = {}

    def look(self, crops: NDArray[np.uint8], prior: Prior | None = None) -> Decoded:
        """Keypoints of the person in each crop.

        Args:
            crops: (N, H, W, 3) uint8 RGB; H and W are multiples of 32.
            prior: where they are expected.

        Raises:
            BackendError: the network failed.
        """
        heads = dict(zip(self._order, self._network.run(crops), strict=True))
        n, _, h, w = heads["heatmap"].shape
        if n != len(crops) or any(
            heads[name].shape != (n, channels, h, w) for name, channels in _HEADS.items()
        ):
            shapes = {name: head.shape for name, head in heads.items()}
            raise BackendError(f"{self.name}: the heads disagree in shape: {shapes}")
        return decode(
            heads["heatmap"], heads["center"], heads["regress"], heads["offset"],
            self._center_weight(h, w), prior,
        )  # fmt: skip

    def _center_weight(self, h: int, w: int) -> NDArray[np.float32]:
        if (h, w) not in self._weights:
            self._weights[h, w] = np.asarray(cv2.resize(self._weight, (w, h)), dtype=np.float32)
        return self._weights[h, w]


def check_ports(path: Path, ins: list[Port], outs: list[Port]) -> None:
    """Raise ModelError unless inputs and outputs are those of MoveNet SinglePose with its heads."""
    (_, kind, shape) = ins[0]
    channels = {name: size[1] for name, _, size in outs if len(size) == 4}
    if kind != "uint8" or len(shape) != 4 or shape[3] != 3 or channels != _HEADS:
        raise ModelError(
            f"{path} is another network: expected uint8 (N, H, W, 3) in and the heads "
            f"{_HEADS} out, got {describe([*ins, *outs])}"
        )


def weights_folder() -> Path:
    """Where the package keeps MoveNet's files."""
    return Path(str(resources.files("diffpose_ros"))) / "weights" / "movenet"
