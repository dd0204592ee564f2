"""A diffusion model's inputs, made from what is seen and remembered; and what it remembers.

Letters for shapes: R bound rows, P people of this run, N hypotheses.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.geometry.bones import BONES, bone_lengths
from diffpose_ros.history import Field, Rows
from diffpose_ros.methods.diffusion.contract import INPUTS, DiffusionSpec
from diffpose_ros.methods.streaming import JOINTS, POINTS
from diffpose_ros.methods.streaming_inputs import StreamingInputs
from diffpose_ros.methods.virtual_camera import View

BONE_RING = "bones"
HISTORY_RING = "history"
REMEMBERED = ("previous_pose", "previous_points", "previous_age", "bone_mean")
"""Inputs made from what was answered before."""


class StepInputs:
    """Preallocated inputs of one model.

    Args:
        spec: the model.
        windows: ring name -> slots.
        batch: most rows bound in one run.
        noise: N -> (N, 17, 3) the fixed noise for that many hypotheses.
        guidance: (4,) weights of the four energies.
    """

    def __init__(
        self,
        spec: DiffusionSpec,
        windows: Mapping[str, int],
        batch: int,
        noise: Mapping[int, NDArray[np.float32]],
        guidance: NDArray[np.float32],
    ) -> None:
        self.spec = spec
        self._streaming = StreamingInputs(spec, windows, batch, {name: INPUTS[name] for name in REMEMBERED})
        self._noise = {
            n: np.array(np.broadcast_to(z, (batch, *z.shape)), dtype=np.float32, order="C")
            for n, z in noise.items()
        }
        self._guidance = guidance
        self._bone_age = np.full((batch, spec.bone_window), -1.0, dtype=np.float32)

    def state(self) -> dict[str, Field]:
        """The network's caches, the last frame's answer, and recent bone lengths."""
        return self._streaming.state() | {
            "pose": Field((JOINTS, 3), np.float64),  # mean pose, axes of the real camera
            "points": Field((POINTS, 3), np.float32),
            "bones": Field((self.spec.bone_window, BONES), np.float32, BONE_RING),
        }

    def fill(self, view: View, rows: Rows) -> None:
        """Write the inputs of one frame of the P people in ``rows``."""
        self._streaming.fill(view, rows)
        arrays, p = self._streaming.arrays, len(rows)
        arrays["previous_pose"][:p] = rows["pose"] @ view.rotation.swapaxes(-1, -2)
        arrays["previous_points"][:p] = rows["points"]
        arrays["previous_age"][:p] = np.where(rows.first, -1.0, rows.dt_s)
        arrays["bone_mean"][:p] = self._bone_mean(rows)

    def feeds(self, rows: Rows, bound: int, hypotheses: int) -> dict[str, NDArray[np.float32]]:
        """What :meth:`fill` wrote, ``bound`` (R) rows of it, caches, noise and guidance, as views."""
        made = self._streaming.feeds(rows, bound)
        made["noise"] = self._noise[hypotheses][:bound]
        made["guidance"] = self._guidance
        return made

    def keep(
        self,
        rows: Rows,
        view: View,
        outputs: Mapping[str, NDArray[np.float32]],
        pose: NDArray[np.float64],
    ) -> None:
        """Note what this frame made.

        The history ring's entry belongs to the last frame, whose pose went in with this one: it
        carries that frame's stamp, and there is none for a person's first frame.

        Args:
            rows: the P people.
            view: their virtual cameras.
            outputs: the graph's outputs.
            pose: (P, 17, 3) mean pose, axes of the real camera.
        """
        self._streaming.keep(rows, view, outputs, of_last_frame=(HISTORY_RING,))
        rows.push(BONE_RING, {"bones": bone_lengths(pose)})
        rows.keep(pose=pose, points=view.points)

    def _bone_mean(self, rows: Rows) -> NDArray[np.float32]:
        """(P, 16) mean bone lengths over the window, m; -1 where nothing is remembered."""
        age = self._bone_age[: len(rows)]
        rows.ages(BONE_RING, age)
        used = age >= 0
        total = np.where(used[..., None], rows["bones"], 0.0).sum(axis=1)
        count = used.sum(axis=1)[:, None]
        return np.where(count > 0, total / np.maximum(count, 1), -1.0).astype(np.float32)
