"""What every streaming graph reads and leaves behind: keypoints, ages, caches.

Letters for shapes: R bound rows, P people of this run.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.history import Field, Rows
from diffpose_ros.methods.streaming import INPUTS, StreamingSpec
from diffpose_ros.methods.virtual_camera import FIELDS, View
from diffpose_ros.runtime.graph_spec import GraphInput


class StreamingInputs:
    """Preallocated inputs of one model.

    Args:
        spec: the model.
        windows: ring name -> slots.
        batch: most rows bound in one run.
        more: further inputs with a row per person and no free size, which the owner fills.

    Attributes:
        arrays: input -> (batch, ...) array, for what is made anew in every frame.
    """

    def __init__(
        self,
        spec: StreamingSpec,
        windows: Mapping[str, int],
        batch: int,
        more: Mapping[str, GraphInput] | None = None,
    ) -> None:
        self.spec, self.windows = spec, dict(windows)
        own = {name: spec.graph.inputs.get(name, one) for name, one in INPUTS.items()}
        self.arrays: dict[str, NDArray[np.float32]] = {
            name: np.zeros((batch, *one.row()), dtype=np.float32)
            for name, one in {**own, **(more or {})}.items()
        }
        for name, ring in spec.age_inputs.items():
            self.arrays[name] = np.full((batch, windows[ring]), -1.0, dtype=np.float32)

    def state(self) -> dict[str, Field]:
        """The caches, and where each virtual camera looked."""
        return FIELDS | {s.input: s.field(self.windows[s.ring]) for s in self.spec.state}

    def fill(self, view: View, rows: Rows) -> None:
        """Write the keypoints and ages of the P people in ``rows``."""
        p = len(rows)
        self.arrays["points"][:p] = view.points
        self.arrays["view"][:p] = view.view[:, : self.arrays["view"].shape[1]]
        for name, ring in self.spec.age_inputs.items():
            rows.ages(ring, self.arrays[name][:p])

    def feeds(self, rows: Rows, bound: int) -> dict[str, NDArray[np.float32]]:
        """What stands in the arrays, ``bound`` (R) rows of it, and the caches, as views."""
        made = {n: array[:bound] for n, array in self.arrays.items() if n in self.spec.graph.inputs}
        return made | {s.input: rows.bound(s.input, bound) for s in self.spec.state}

    def keep(
        self,
        rows: Rows,
        view: View,
        outputs: Mapping[str, NDArray[np.float32]],
        *,
        of_last_frame: Collection[str] = (),
    ) -> None:
        """Note the new entries of the caches, and where the cameras looked.

        Args:
            rows: the P people.
            view: their virtual cameras.
            outputs: the graph's outputs.
            of_last_frame: rings whose entries describe the last frame, see :meth:`Rows.push`.
        """
        view.keep(rows)
        for ring in self.windows:
            entries = {s.input: outputs[s.output] for s in self.spec.state if s.ring == ring}
            rows.push(ring, entries, of_last_frame=ring in of_last_frame)
