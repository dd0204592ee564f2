"""A diffusion model's inputs, made from what is seen and remembered; and what it remembers.

Letters for shapes: R bound rows, P people of this run, N hypotheses, W ring slots.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.geometry.bones import BONES, bone_lengths
from diffpose_ros.geometry.mapping import NUM_POINTS
from diffpose_ros.geometry.normalise import VIEW_SIZE, ViewState, observe
from diffpose_ros.history import Field, Rows
from diffpose_ros.runtime.graph_spec import ModelSpec

JOINTS = 17
BONE_RING = "bones"
HISTORY_RING = "history"


@dataclass(frozen=True)
class View:
    """The virtual cameras of one frame.

    Attributes:
        state: their directions and sizes.
        rotation: (P, 3, 3) R with ``virtual = R @ real``.
        points: (P, 21, 3) what the network sees.
    """

    state: ViewState
    rotation: NDArray[np.float64]
    points: NDArray[np.float32]


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
        spec: ModelSpec,
        windows: Mapping[str, int],
        batch: int,
        noise: Mapping[int, NDArray[np.float32]],
        guidance: NDArray[np.float32],
    ) -> None:
        self.spec, self.windows, self.batch = spec, dict(windows), batch
        self._noise = {
            n: np.array(np.broadcast_to(z, (batch, *z.shape)), dtype=np.float32, order="C")
            for n, z in noise.items()
        }
        self._feeds: dict[str, NDArray[np.float32]] = {"guidance": guidance}
        shapes = {
            "points": (NUM_POINTS, 3),
            "view": (VIEW_SIZE,),
            "previous_pose": (JOINTS, 3),
            "previous_points": (NUM_POINTS, 3),
            "previous_age": (),
            "bone_mean": (BONES,),
        }
        for name, shape in shapes.items():
            self._feeds[name] = np.zeros((batch, *shape), dtype=np.float32)
        for name, ring in spec.age_inputs.items():
            self._feeds[name] = np.full((batch, windows[ring]), -1.0, dtype=np.float32)
        self._bone_age = np.full((batch, spec.bone_window), -1.0, dtype=np.float32)

    def state(self) -> dict[str, Field]:
        """The network's caches, the last frame's answer, and recent bone lengths."""
        fields = {
            s.input: Field(s.with_slots(self.windows[s.ring]), np.float32, s.ring, s.slot_axis)
            for s in self.spec.state
        }
        return fields | {
            "centre": Field((2,), np.float64),
            "log_scale": Field((), np.float64),
            "pose": Field((JOINTS, 3), np.float64),  # mean pose, axes of the real camera
            "points": Field((NUM_POINTS, 3), np.float32),
            "bones": Field((self.spec.bone_window, BONES), np.float32, BONE_RING),
        }

    def observe(self, rays: NDArray[np.float64], score: NDArray[np.float64], rows: Rows) -> View:
        """Turn one frame into inputs.

        Args:
            rays: (P, 21, 2) tangents in the real camera.
            score: (P, 21), 0 where masked.
            rows: what is remembered of the P people.
        """
        feeds, p, first = self._feeds, len(rows), rows.first
        before = ViewState(rows["centre"], rows["log_scale"])
        points, view, after = observe(rays, score, rows.dt_s, before, first, rows.age_s)
        rotation = after.rotation
        feeds["points"][:p] = points
        feeds["view"][:p] = view
        feeds["previous_pose"][:p] = rows["pose"] @ rotation.swapaxes(-1, -2)
        feeds["previous_points"][:p] = rows["points"]
        feeds["previous_age"][:p] = np.where(first, -1.0, rows.dt_s)
        feeds["bone_mean"][:p] = self._bone_mean(rows)
        for name, ring in self.spec.age_inputs.items():
            rows.ages(ring, feeds[name][:p])
        return View(after, rotation, points)

    def feeds(self, rows: Rows, bound: int, hypotheses: int) -> dict[str, NDArray[np.float32]]:
        """The inputs of the last :meth:`observe`, ``bound`` (R) rows of them, as views."""
        made: dict[str, NDArray[np.float32]] = {}
        for name in self.spec.inputs:
            if name == "noise":
                made[name] = self._noise[hypotheses][:bound]
            elif name == "guidance":
                made[name] = self._feeds[name]
            elif name in self._feeds:
                made[name] = self._feeds[name][:bound]
            else:
                made[name] = rows.bound(name, bound)
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
            view: what :meth:`observe` gave.
            outputs: the graph's outputs.
            pose: (P, 17, 3) mean pose, axes of the real camera.
        """
        for ring in self.windows:
            entries = {s.input: outputs[s.output] for s in self.spec.state if s.ring == ring}
            if entries:
                rows.push(ring, entries, of_last_frame=ring == HISTORY_RING)
        rows.push(BONE_RING, {"bones": bone_lengths(pose)})
        rows.keep(centre=view.state.centre, log_scale=view.state.log_scale, pose=pose, points=view.points)

    def _bone_mean(self, rows: Rows) -> NDArray[np.float32]:
        """(P, 16) mean bone lengths over the window, m; -1 where nothing is remembered."""
        age = self._bone_age[: len(rows)]
        rows.ages(BONE_RING, age)
        used = age >= 0
        total = np.where(used[..., None], rows["bones"], 0.0).sum(axis=1)
        count = used.sum(axis=1)[:, None]
        return np.where(count > 0, total / np.maximum(count, 1), -1.0).astype(np.float32)
