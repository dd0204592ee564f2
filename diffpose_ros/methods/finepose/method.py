"""FinePOSE as a method: DiffPose's, with prompts that a user sets, that follow from what is seen, or that
the network fills in itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.history import Field, Rows
from diffpose_ros.methods.diffusion.engine import Engine
from diffpose_ros.methods.diffusion.method import DiffusionMethod
from diffpose_ros.methods.diffusion.step_inputs import StepInputs
from diffpose_ros.methods.finepose import observed
from diffpose_ros.methods.finepose.contract import PROMPT, FinePoseSpec, parse
from diffpose_ros.methods.finepose.prompts import ACTION, Said
from diffpose_ros.methods.settings import MethodSettings
from diffpose_ros.methods.virtual_camera import View

__all__ = ["FinePoseMethod", "open_model", "parse"]

VELOCITY = "prompt.velocity"


def open_model(
    spec: FinePoseSpec,
    settings: MethodSettings,
    *,
    every_level: bool,
    timer: Callable[[], float],
) -> FinePoseMethod:
    """Open a model; see :func:`diffpose_ros.methods.registry.open_method`.

    Raises:
        ConfigError: beside the others', the settings' prompt names what does not exist.
    """
    engine = Engine(spec, settings, every_level=every_level)
    try:
        return FinePoseMethod(engine, settings, timer)
    except BaseException:
        engine.close()
        raise


class FinePoseMethod(DiffusionMethod):
    """A graph that denoises hypotheses, told by prompts.

    Args:
        engine: its backends; owned from here on.
        settings: what the user set.
        timer: monotonic seconds.
    """

    def __init__(self, engine: Engine, settings: MethodSettings, timer: Callable[[], float]) -> None:
        super().__init__(engine, settings, timer)
        self.set_prompt(settings.prompt)

    def make_inputs(self, spec: Any, *args: Any) -> StepInputs:
        """The inputs of a lifter, and prompts."""
        assert isinstance(spec, FinePoseSpec)
        return PromptedInputs(spec, *args, said_of=self.said_of)

    def said_of(self, track_id: int) -> Said:
        """What is said of a person: of them alone, or of everyone."""
        return self._said_of.get(track_id, self._said)

    def set_prompt(self, text: str) -> None:
        """Say anew what is known of everyone and of single people.

        Args:
            text: see :meth:`~diffpose_ros.methods.finepose.prompts.Vocabulary.parse_all`. People named there
                need not be in view yet.

        Raises:
            ConfigError: the text names what does not exist; what was said before still stands.
        """
        spec = self._engine.spec
        assert isinstance(spec, FinePoseSpec)
        self._said, self._said_of = spec.vocabulary.parse_all(text)


class PromptedInputs(StepInputs):
    """A lifter's inputs, and the prompts of each person.

    Args:
        spec: the model.
        args: see :class:`StepInputs`.
        said_of: track id -> what is said of the person.
    """

    def __init__(self, spec: FinePoseSpec, *args: Any, said_of: Callable[[int], Said]) -> None:
        super().__init__(spec, *args)
        self._vocabulary, self._said_of = spec.vocabulary, said_of
        self._blank = spec.vocabulary.unknown()
        if ACTION in spec.vocabulary.words:
            self._blank[spec.vocabulary.segment(ACTION)] = 0.0
        self._prompt = np.tile(self._blank, (len(self._bone_age), 1))
        self._velocity: NDArray[np.float64] = np.zeros((0, 3))

    def state(self) -> dict[str, Field]:
        """What a lifter remembers, and each person's velocity."""
        return super().state() | {VELOCITY: Field((3,), np.float64)}

    def fill(self, view: View, rows: Rows) -> None:
        """Write the inputs of one frame of the P people in ``rows``."""
        super().fill(view, rows)
        told = self._prompt[: len(rows)]
        told[:] = self._blank
        moved = observed.place(view.state.centre, view.state.log_scale)
        moved = moved - observed.place(rows["centre"], rows["log_scale"])
        follows = ~rows.first & (rows.dt_s > 0)
        velocity = observed.follow(rows[VELOCITY], moved, rows.dt_s)
        self._velocity = np.where(follows[:, None], velocity, 0.0)
        observed.write_speed(self._vocabulary, self._velocity, rows.age_s, told)
        observed.write_parts(self._vocabulary, view.points[..., 2], told)
        for row, track_id in enumerate(rows.track_id):
            self._vocabulary.write(self._said_of(int(track_id)), told[row])

    def feeds(self, rows: Rows, bound: int, hypotheses: int) -> dict[str, NDArray[np.float32]]:
        """What :meth:`fill` wrote, and the prompts."""
        return super().feeds(rows, bound, hypotheses) | {PROMPT: self._prompt[:bound]}

    def keep(
        self,
        rows: Rows,
        view: View,
        outputs: Mapping[str, NDArray[np.float32]],
        pose: NDArray[np.float64],
    ) -> None:
        """Note what this frame made."""
        super().keep(rows, view, outputs, pose)
        rows.keep(**{VELOCITY: self._velocity})
