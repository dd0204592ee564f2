"""What the lifter keeps between frames, and the network's inputs made from it.

Letters for shapes: C rows, R bound rows, P people of this run (rows a..a+P-1), W ring slots.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.geometry.mapping import NUM_POINTS
from diffpose_ros.geometry.normalise import VIEW_SIZE, ViewState, observe
from diffpose_ros.history import PeopleState
from diffpose_ros.lifting.poses import bone_lengths
from diffpose_ros.runtime.graph_spec import ModelSpec

JOINTS, BONES = 17, 16
STATURE_TIME_CONSTANT_S = 1.0


class Memory:
    """People's rows and the preallocated inputs of one model.

    Args:
        spec: the model.
        windows: ring name -> slots.
        capacity: people to remember.
        batch: most rows bound in one run.
        noise: N -> (N, 17, 3) the fixed noise for that many hypotheses.
        guidance: weights of the four energies.
    """

    def __init__(
        self,
        spec: ModelSpec,
        windows: Mapping[str, int],
        capacity: int,
        batch: int,
        noise: Mapping[int, NDArray[np.float32]],
        guidance: NDArray[np.float32],
    ) -> None:
        self.spec = spec
        self.people = PeopleState(
            capacity,
            windows,
            spec.state,
            {
                "centre": ((2,), np.float64),
                "log_scale": ((), np.float64),
                "pose": ((JOINTS, 3), np.float64),  # last mean pose, axes of the real camera
                "points": ((NUM_POINTS, 3), np.float32),
                "bones": ((spec.bone_window, BONES), np.float32),
                "bones_seen": ((), np.int64),
                "stature": ((), np.float64),
            },
            spare=batch,
        )
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
        self._state: ViewState | None = None
        self._rows = slice(0, 0)
        self._dt: NDArray[np.float64] = np.zeros(0)
        self._first: NDArray[np.bool_] = np.zeros(0, dtype=bool)

    def observe(
        self,
        rows: slice,
        tangents: NDArray[np.float64],
        score: NDArray[np.float64],
        now_ns: int,
    ) -> NDArray[np.float64]:
        """Turn one frame of the people in ``rows`` into inputs.

        Args:
            rows: P rows.
            tangents: (P, 21, 2) in the real camera.
            score: (P, 21), 0 where masked.
            now_ns: the frame's stamp.

        Returns:
            (P, 3, 3) rotation of each person's virtual camera, ``virtual = R @ real``.
        """
        store, feeds = self.people, self._feeds
        p = rows.stop - rows.start
        warm = store.warm[rows]
        dt = np.where(warm, (now_ns - store.last_ns[rows]) * 1e-9, 0.0)
        age = np.where(warm, (now_ns - store.first_ns[rows]) * 1e-9, 0.0)
        before = ViewState(store.arrays["centre"][rows], store.arrays["log_scale"][rows])
        points, view, after = observe(tangents, score, dt, before, ~warm, age)
        rotation = after.rotation
        feeds["points"][:p] = points
        feeds["view"][:p] = view
        turned = store.arrays["pose"][rows] @ rotation.swapaxes(-1, -2)
        feeds["previous_pose"][:p] = np.where(warm[:, None, None], turned, 0.0)
        feeds["previous_points"][:p] = np.where(
            warm[:, None, None], store.arrays["points"][rows], 0.0
        )
        feeds["previous_age"][:p] = np.where(warm, dt, -1.0)
        feeds["bone_mean"][:p] = self._bone_mean(rows, warm)
        for name, ring in self.spec.age_inputs.items():
            store.rings[ring].ages(rows, now_ns, feeds[name][:p])
        self._state, self._rows, self._dt, self._first = after, rows, dt, ~warm
        return rotation

    def feeds(self, bound: int, hypotheses: int) -> dict[str, NDArray[np.float32]]:
        """The inputs of the last :meth:`observe`, ``bound`` rows of them, as views."""
        start = self._rows.start
        made: dict[str, NDArray[np.float32]] = {}
        for name in self.spec.inputs:
            if name == "noise":
                made[name] = self._noise[hypotheses][:bound]
            elif name == "guidance":
                made[name] = self._feeds[name]
            elif name in self._feeds:
                made[name] = self._feeds[name][:bound]
            else:
                made[name] = self.people.arrays[name][start : start + bound]
        return made

    def store(
        self,
        outputs: Mapping[str, NDArray[np.float32]],
        pose: NDArray[np.float64],
        good: NDArray[np.bool_],
        now_ns: int,
    ) -> None:
        """Keep what this frame made; rows that are not ``good`` (P,) start anew.

        The history ring's entry belongs to the previous frame, whose pose went in with this one:
        it carries that frame's stamp, and there is none for a person's first frame.

        Args:
            outputs: the graph's outputs.
            pose: (P, 17, 3) mean pose, axes of the real camera.
            good: (P,) whether the network's answer is finite.
            now_ns: the frame's stamp.
        """
        store = self.people
        assert self._state is not None
        p = len(good)
        everyone = np.arange(self._rows.start, self._rows.start + p)
        for ring in store.rings:
            keep = good & ~self._first if ring == "history" else good
            kept = np.flatnonzero(keep)
            rows = everyone[kept]
            stamps = store.last_ns[rows] if ring == "history" else np.full(len(rows), now_ns)
            entries = {
                s.input: outputs[s.output][:p] if keep.all() else outputs[s.output][kept]
                for s in self.spec.state
                if s.ring == ring
            }
            store.push(ring, rows, stamps, entries)
        index = np.flatnonzero(good)
        rows = everyone[index]
        arrays = store.arrays
        arrays["centre"][rows] = self._state.centre[index]
        arrays["log_scale"][rows] = self._state.log_scale[index]
        arrays["pose"][rows] = pose[index]
        arrays["points"][rows] = self._feeds["points"][index]
        seen = np.where(self._first[index], 0, arrays["bones_seen"][rows])
        arrays["bones"][rows, seen % self.spec.bone_window] = bone_lengths(pose[index])
        arrays["bones_seen"][rows] = seen + 1
        store.mark(rows, now_ns)
        if len(index) < p:
            store.reset(everyone[~good])

    def smooth_stature(self, stature: NDArray[np.float64]) -> NDArray[np.float64]:
        """Low-pass each person's stature (P,), so that the scale does not flicker; call before
        :meth:`store`."""
        kept = self.people.arrays["stature"]
        gain = np.where(self._first, 1.0, 1.0 - np.exp(-self._dt / STATURE_TIME_CONSTANT_S))
        old = np.where(self._first, stature, kept[self._rows])
        new = old + gain * (stature - old)
        kept[self._rows] = np.where(np.isfinite(new), new, old)
        return new

    def _bone_mean(self, rows: slice, warm: NDArray[np.bool_]) -> NDArray[np.float32]:
        seen = np.where(warm, self.people.arrays["bones_seen"][rows], 0)
        bones = self.people.arrays["bones"][rows]
        used = np.arange(self.spec.bone_window) < seen[:, None]
        total = np.where(used[..., None], bones, 0.0).sum(axis=1)
        count = np.minimum(seen, self.spec.bone_window)[:, None]
        return np.where(count > 0, total / np.maximum(count, 1), -1.0).astype(np.float32)
