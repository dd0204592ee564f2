"""The lifting methods: one table, from which names, choices, errors and tests come.

A method's module is imported when one of its models is read, and not before.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from diffpose_ros.core import ConfigError, ModelError
from diffpose_ros.methods.catalog import find_model
from diffpose_ros.methods.model_file import ModelFile, read_model_file
from diffpose_ros.methods.protocol import Method
from diffpose_ros.methods.settings import MethodSettings
from diffpose_ros.runtime.graph_spec import GraphSpec


@dataclass(frozen=True)
class Entry:
    """One method.

    Attributes:
        module: what reads and opens its models, see :func:`read_spec` and :func:`open_method`.
        torch: what makes its graph from a checkpoint, ``step_graph(folder, spec)``; needs torch.
        summary: one line for ``diffpose_ros models`` and the README.
        has_paper_setting: whether it can also run as its paper prints it.
        takes_prompts: whether it can be told in words what people do.
    """

    module: str
    torch: str
    summary: str
    has_paper_setting: bool = False
    takes_prompts: bool = False


_DIFFUSION = ("diffpose_ros.methods.diffusion.method", "diffpose_ros.methods.diffusion.checkpoint")

METHODS = {
    "starpose": Entry(
        *_DIFFUSION,
        "DiffPose that also sees its own past answers, with guidance by body constraints (StarPose)",
    ),
    "diffpose": Entry(*_DIFFUSION, "diffusion around the answer of a context encoder (DiffPose)"),
    "finepose": Entry(
        "diffpose_ros.methods.finepose.method", "diffpose_ros.methods.finepose.checkpoint",
        "DiffPose with prompts: the action, the speed, the visible parts (FinePOSE)",
        takes_prompts=True,
    ),
    "baseline": Entry(
        "diffpose_ros.methods.baseline.method", "diffpose_ros.methods.baseline.network",
        "the context encoder alone: one pose with its own error estimate, in half the time",
    ),
    "zedo": Entry(
        "diffpose_ros.methods.zedo.method", "diffpose_ros.methods.zedo.network",
        "optimises each pose under a pose prior; no camera in its training (ZeDO)",
        has_paper_setting=True,
    ),
    "unihpr": Entry(
        "diffpose_ros.methods.unihpr.method", "diffpose_ros.methods.unihpr.graphs",
        "one embedding of keypoints, skeletons and pictures; decodes poses from it alone (UniHPR)",
    ),
}  # fmt: skip
"""Kind, as a model file's metadata names it -> the method."""

VARIANTS = {
    "baseline_people": (
        "baseline",
        "`baseline` trained for other views and bodies: from above, rolled, close up, children",
    ),
}
"""Shipped models beside the one that is named as its method: name -> kind, and one line about it."""


def summary_of(name: str, kind: str) -> str:
    """What a model is, in one line."""
    variant = VARIANTS.get(name)
    return variant[1] if variant is not None and variant[0] == kind else METHODS[kind].summary



def read_model(model: str | Path) -> ModelFile:
    """Find a model's file and read it.

    Raises:
        ModelError: the file is missing, not ONNX, truncated, not a model of this package, of another
            format, or of a method that this version does not have.
    """
    file = read_model_file(find_model(model))
    if file.kind not in METHODS:
        raise ModelError(f"{file.path}: kind: expected one of {', '.join(METHODS)}, got '{file.kind}'")
    return file


def read_spec(model: str | Path) -> Any:
    """What a model's file says, checked by its method, without starting any backend.

    Raises:
        ModelError: as :func:`read_model`, or its inputs and metadata are not what its method expects.
    """
    file = read_model(model)
    try:
        return _module(file).parse(file)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as e:
        raise ModelError(f"{file.path}: incomplete or wrong metadata: {e!r}") from e


def graph_of(model: str | Path) -> GraphSpec:
    """A model's graph, as backends see it; errors as :func:`read_spec`."""
    graph: GraphSpec = read_spec(model).graph
    return graph


def open_method(
    settings: MethodSettings,
    *,
    every_level: bool = False,
    timer: Callable[[], float] = perf_counter,
) -> Method:
    """Open the model that ``settings`` name with the method of its kind.

    Args:
        settings: what the user set.
        every_level: load what the method's cheaper levels need, too.
        timer: monotonic seconds.

    Raises:
        ModelError: there is no such model, or its file is wrong.
        BackendError: no backend works here.
        ConfigError: a setting does not fit the model.
    """
    spec = read_spec(settings.model)
    if settings.paper and not METHODS[spec.kind].has_paper_setting:
        raise ConfigError(f"paper: model '{spec.name}' has no setting of its paper beside its own")
    _check_prompt(spec, settings.prompt)
    module = importlib.import_module(METHODS[spec.kind].module)
    method: Method = module.open_model(spec, settings, every_level=every_level, timer=timer)
    return method


def check_prompt(model: str | Path, text: str) -> None:
    """Refuse a prompt that a model does not understand. A missing model is not an error here.

    Raises:
        ConfigError: the model takes no prompts, or the text has unknown words.
    """
    if text.strip():
        with contextlib.suppress(ModelError):
            _check_prompt(read_spec(model), text)


def _check_prompt(spec: Any, text: str) -> None:
    if not text.strip():
        return
    if not METHODS[spec.kind].takes_prompts:
        able = ", ".join(name for name, entry in METHODS.items() if entry.takes_prompts)
        raise ConfigError(f"prompt: model '{spec.name}' is not told by prompts; expected one of {able}")
    spec.vocabulary.parse_all(text)


def _module(file: ModelFile) -> Any:
    return importlib.import_module(METHODS[file.kind].module)
