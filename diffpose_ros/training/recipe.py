"""Recipes: everything that one model is made with, from motion capture to its folder, in one YAML file.

A recipe may name a ``base``: another file, of which it says only what differs. The runs of a section
follow each other, each from the weights of the one before, and each says only what differs from that one;
the first takes ``optimiser`` and ``synthesis`` of the recipe.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from diffpose_ros.core import ConfigError
from diffpose_ros.core.typed_config import at_least, from_mapping, read_yaml, share
from diffpose_ros.data.motion import ClipChoice
from diffpose_ros.data.virtual.synthesis import SynthesisConfig
from diffpose_ros.methods.diffusion.context_encoder import ContextConfig
from diffpose_ros.methods.zedo.contract import LoopConfig
from diffpose_ros.methods.zedo.prior import PriorConfig
from diffpose_ros.training.config import LifterModel, OptimiserConfig
from diffpose_ros.training.finepose_config import FinePoseSection, PromptRun
from diffpose_ros.training.losses import TERMS
from diffpose_ros.training.pose_prior import PoseConfig
from diffpose_ros.training.unihpr_section import UniHprSection

WHOLE = ("rates_hz", "loss", "runs", "data")
"""Keys whose values replace those of a base instead of being merged with them."""


@dataclass(frozen=True)
class Run:
    """One run of the training loop; see :class:`~diffpose_ros.training.config.TrainingConfig`."""

    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    synthesis: SynthesisConfig = field(default_factory=SynthesisConfig)
    loss: dict[str, float] = field(default_factory=dict)
    rollouts: float = 0.0

    def __post_init__(self) -> None:
        share("rollouts", self.rollouts)


@dataclass(frozen=True)
class Compression:
    """Keys cut to fewer numbers, see :mod:`~diffpose_ros.training.key_compression`.

    Attributes:
        keys: numbers per head that stay.
        batches: of views that say which numbers matter.
        run: training after the cut; none when omitted.
    """

    keys: int = 16
    batches: int = 8
    run: Run | None = None

    def __post_init__(self) -> None:
        at_least("keys", self.keys, 1)
        at_least("batches", self.batches, 1)


@dataclass(frozen=True)
class EncoderSection:
    """The context encoder, shared by all recipes that agree on it.

    Attributes:
        name: of its folder.
        checkpoint: a trained one to take; then nothing here is trained.
        model: sizes as trained at first.
        runs: trainings, one after the other.
        compression: cut of the keys after them.
        mirror: a model of the encoder alone reads the mirror image, too, and gives the mean.
    """

    name: str = "encoder"
    checkpoint: str = ""
    model: ContextConfig = field(default_factory=ContextConfig)
    runs: tuple[Run, ...] = (Run(),)
    compression: Compression | None = None
    mirror: bool = False

    def __post_init__(self) -> None:
        _check_runs(self.runs, "context", history=False)
        if self.compression is not None:
            if not self.model.temporal:
                raise ConfigError("compression: a frame-based encoder has no keys to cut")
            if self.compression.keys > self.model.keys:
                raise ConfigError(
                    f"compression.keys: expected at most the {self.model.keys} of the model, "
                    f"got {self.compression.keys}"
                )
            if self.compression.run is not None:
                _check_runs((self.compression.run,), "context", history=False)


@dataclass(frozen=True)
class LifterSection:
    """The lifter around the encoder: StarPose with a history, DiffPose without.

    Attributes:
        model: what it is made of.
        runs: trainings, one after the other.
    """

    model: LifterModel = field(default_factory=LifterModel)
    runs: tuple[Run, ...] = (Run(),)

    def __post_init__(self) -> None:
        _check_runs(self.runs, self.task, history=self.model.history is not None)

    @property
    def task(self) -> str:
        """``starpose`` or ``diffpose``."""
        return "diffpose" if self.model.history is None else "starpose"


@dataclass(frozen=True)
class PriorRun:
    """One run of a pose prior's training: how weights move, and which poses are learnt from."""

    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    poses: PoseConfig = field(default_factory=PoseConfig)


AnyRun = TypeVar("AnyRun", Run, PriorRun, PromptRun)


@dataclass(frozen=True)
class ZedoSection:
    """A pose prior and what ZeDO optimises with.

    Attributes:
        prior: sizes of the score network.
        runs: trainings, one after the other.
        anchors: poses to begin from, the clusters of k-means.
        anchor_poses: drawn poses that are clustered.
        loop: how it optimises.
    """

    prior: PriorConfig = field(default_factory=PriorConfig)
    runs: tuple[PriorRun, ...] = (PriorRun(),)
    anchors: int = 200
    anchor_poses: int = 20000
    loop: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        if not self.runs:
            raise ConfigError("runs: expected at least one, got none")
        at_least("anchors", self.anchors, 1)
        at_least("anchor_poses", self.anchor_poses, self.anchors)


@dataclass(frozen=True)
class CalibrationSection:
    """Guidance and covariance, on held-out clips or, where there are none, on held-out views.

    Attributes:
        batches: of views.
        batch: clips per batch.
        guidance: choose the weights of the STPG energies; without, all are zero.
        guidance_batches: how many of the batches choose them.
        seed: of the views.
        as_trained: see the clips through the recipe's own cameras and detector, not through ordinary ones:
            for models that are to be honest in every view that they were trained for.
    """

    batches: int = 4
    batch: int = 64
    guidance: bool = True
    guidance_batches: int = 2
    seed: int = 777
    as_trained: bool = False

    def __post_init__(self) -> None:
        for name in ("batches", "batch", "guidance_batches"):
            at_least(name, getattr(self, name), 1)


@dataclass(frozen=True)
class Recipe:
    """How one model is made.

    Attributes:
        name: the model's.
        data: motion capture: archives (npz) and folders of BVH files.
        output: where all folders go.
        clips: which clips are used, and which held out.
        optimiser: what the first runs start from.
        synthesis: likewise.
        encoder: the context encoder.
        lifter: the lifter; without one the recipe ends in a model of the encoder alone.
        zedo: a model that optimises; then neither encoder nor lifter is made.
        finepose: a model that prompts tell, around the encoder of a lifter that is there; likewise.
        unihpr: an embedding around the encoder; then no lifter is made.
        calibration: what follows.
    """

    name: str
    data: tuple[str, ...]
    output: str = "out/training"
    clips: ClipChoice = field(default_factory=ClipChoice)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    synthesis: SynthesisConfig = field(default_factory=SynthesisConfig)
    encoder: EncoderSection = field(default_factory=EncoderSection)
    lifter: LifterSection | None = None
    zedo: ZedoSection | None = None
    finepose: FinePoseSection | None = None
    unihpr: UniHprSection | None = None
    calibration: CalibrationSection = field(default_factory=CalibrationSection)

    def __post_init__(self) -> None:
        if not self.data:
            raise ConfigError("data: expected at least one motion capture file or folder, got none")
        for name, text in (("name", self.name), ("encoder.name", self.encoder.name)):
            if not text or text != Path(text).name or text.startswith("."):
                raise ConfigError(f"{name}: expected a name fit for a folder, got '{text}'")
        if self.name == self.encoder.name and (self.lifter or self.unihpr):
            raise ConfigError(f"encoder.name: expected another name than the model's, got '{self.name}'")
        made = [n for n in ("zedo", "lifter", "finepose", "unihpr") if getattr(self, n) is not None]
        if len(made) > 1:
            raise ConfigError(f"{', '.join(made)}: expected one of them, got {_count(len(made))}")

    def tuned(self, **options: Any) -> Recipe:
        """The same with options of the optimiser changed in every run.

        Raises:
            ConfigError: an option is out of its range.
        """
        def change(run: AnyRun) -> AnyRun:
            return replace(run, optimiser=replace(run.optimiser, **options))

        encoder, lifter, zedo, finepose = self.encoder, self.lifter, self.zedo, self.finepose
        cut = encoder.compression
        if cut is not None and cut.run is not None:
            encoder = replace(encoder, compression=replace(cut, run=change(cut.run)))
        encoder = replace(encoder, runs=tuple(change(r) for r in encoder.runs))
        if lifter is not None:
            lifter = replace(lifter, runs=tuple(change(r) for r in lifter.runs))
        if zedo is not None:
            zedo = replace(zedo, runs=tuple(change(r) for r in zedo.runs))
        if finepose is not None:
            finepose = replace(finepose, runs=tuple(change(r) for r in finepose.runs))
        unihpr = None if self.unihpr is None else self.unihpr.tuned(lambda o: replace(o, **options))
        return replace(
            self, encoder=encoder, lifter=lifter, zedo=zedo, finepose=finepose, unihpr=unihpr
        )


def _count(number: int) -> str:
    return "both" if number == 2 else "all"


def load_recipe(path: str | Path) -> Recipe:
    """Read a recipe with its bases.

    Raises:
        ConfigError: a file is missing, is not YAML, or says something that is not understood; the message
            names file and key.
    """
    return parse_recipe(read_mapping(path), str(path))


def parse_recipe(mapping: dict[str, Any], where: str) -> Recipe:
    """A recipe from plain data, its bases merged already."""
    return from_mapping(Recipe, _inherited(mapping), where)


def read_mapping(path: str | Path, _above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """A recipe file as plain data, merged onto its ``base``, which is relative to the file.

    Raises:
        ConfigError: a file is missing or is no YAML mapping, or bases go round in a ring.
    """
    path = Path(path)
    if path.resolve() in _above:
        raise ConfigError(f"recipe {path}: its bases go round in a ring")
    content = read_yaml(path, "recipe")
    base = content.pop("base", None)
    if base is None:
        return content
    if not isinstance(base, str):
        raise ConfigError(f"{path}: base: expected a file's name, got {base!r}")
    return merged(read_mapping(path.parent / base, (*_above, path.resolve())), content)


def merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """``base`` with the leaves of ``change``; the keys of :data:`WHOLE` are replaced whole."""
    out = deepcopy(base)
    for key, value in change.items():
        deep = isinstance(value, dict) and isinstance(out.get(key), dict) and key not in WHOLE
        out[key] = merged(out[key], value) if deep else deepcopy(value)
    return out


def _inherited(mapping: dict[str, Any]) -> dict[str, Any]:
    """Every run with what it takes from the one before; a single data file as a list of one."""
    out = deepcopy(mapping)
    if isinstance(out.get("data"), str):
        out["data"] = [out["data"]]
    first = {k: out[k] for k in ("optimiser", "synthesis") if isinstance(out.get(k), dict)}
    for section in ("encoder", "lifter", "zedo", "finepose"):
        content = out.get(section)
        if not isinstance(content, dict):
            continue
        # A pose prior sees no camera, and FinePOSE's views are the same in all runs.
        last = {k: v for k, v in first.items() if section in ("encoder", "lifter") or k == "optimiser"}
        runs = content.get("runs", [{}])
        if isinstance(runs, list):
            content["runs"] = []
            for run in runs:
                last = merged(last, run) if isinstance(run, dict) else run
                content["runs"].append(last)
                last = last if isinstance(last, dict) else {}
        cut = content.get("compression")
        if isinstance(cut, dict) and isinstance(cut.get("run"), dict):
            cut["run"] = merged(last, cut["run"])
    out.setdefault("encoder", {"runs": [first]})
    return out


def _check_runs(runs: Iterable[Run], task: str, *, history: bool) -> None:
    runs = tuple(runs)
    if not runs:
        raise ConfigError("runs: expected at least one, got none")
    for i, run in enumerate(runs):
        for term in run.loss:
            if term not in TERMS[task]:
                known = ", ".join(TERMS[task])
                raise ConfigError(f"runs.{i}.loss.{term}: unknown term, expected one of {known}")
            at_least(f"runs.{i}.loss.{term}", run.loss[term], 0.0)
        if run.rollouts and not history:
            raise ConfigError(f"runs.{i}.rollouts: nothing but a lifter with a history has rollouts")
