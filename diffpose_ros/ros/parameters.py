"""Node parameters: described, ranged, validated as a whole, then applied as a whole.

A node lists its :class:`Spec`; the defaults live in ``config/<node>.yaml`` and nowhere else.
This file knows no rclpy class until :class:`ParameterSet` declares, so specs can be tested alone.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from diffpose_ros.core import ConfigError
from diffpose_ros.core.resources import config_path

Values = Mapping[str, Any]
Check = Callable[[Values], None]
ROS_PARAMETERS = {"use_sim_time", "start_type_description_service"}
"""Parameters of every node; others of ROS itself have a dot in their names (``qos_overrides.``)."""


@dataclass(frozen=True)
class Spec:
    """One parameter.

    Attributes:
        name: its name.
        kind: ``bool``, ``int``, ``float`` or ``str``.
        description: one sentence for ``ros2 param describe``, with the unit.
        minimum: lowest value allowed.
        maximum: highest value allowed.
        choices: the strings allowed; empty means any.
        fixed: read when the node is configured; can be changed while it is unconfigured.
        at_start: can be set at start only.
    """

    name: str
    kind: type
    description: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    fixed: bool = False
    at_start: bool = False

    def check(self, value: Any) -> Any:
        """Return ``value`` as this parameter's type.

        Raises:
            ConfigError: wrong type, out of range, not one of the choices.
        """
        if self.kind is str and type(value) is bool and str(value).lower() in self.choices:
            return str(value).lower()  # a command line turns true and false into booleans
        # bool is an int to Python, but not to a user
        if type(value) is not self.kind:
            raise ConfigError(
                f"parameter '{self.name}': expected {_NAMES[self.kind]}, "
                f"got {_NAMES.get(type(value), type(value).__name__)} {value!r}{self._hint(value)}"
            )
        if isinstance(value, (int, float)) and self.kind is not bool:
            self._check_range(value)
        if self.choices and value not in self.choices:
            raise ConfigError(
                f"parameter '{self.name}': expected one of {', '.join(self.choices)}, got '{value}'"
            )
        return value

    def _hint(self, value: Any) -> str:
        if self.kind is float and type(value) is int:
            return f", write {float(value)}"
        return ""

    def _check_range(self, value: float) -> None:
        low = -math.inf if self.minimum is None else self.minimum
        high = math.inf if self.maximum is None else self.maximum
        if not (math.isfinite(value) and low <= value <= high):
            raise ConfigError(f"parameter '{self.name}': expected {low:g} to {high:g}, got {value:g}")


_NAMES: dict[type, str] = {
    bool: "a boolean",
    int: "an integer",
    float: "a number with a decimal point",
    str: "a string",
}


def load_defaults(path: Path, specs: Sequence[Spec]) -> dict[str, Any]:
    """Read a node's defaults from its config YAML.

    Args:
        path: a ROS parameter file, ``/**: ros__parameters: {...}``.
        specs: the node's parameters; the file must hold exactly these.

    Raises:
        ConfigError: the file is missing, not of that form, or holds other or wrong values.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))["/**"]["ros__parameters"]
    except OSError as error:
        raise ConfigError(f"cannot read the default parameters {path}: {error.strerror}") from None
    except (yaml.YAMLError, KeyError, TypeError):
        raise ConfigError(f"{path}: expected '/**: ros__parameters:' and a mapping") from None
    names = {spec.name for spec in specs}
    if set(values) != names:
        wrong = sorted(set(values) ^ names)
        raise ConfigError(f"{path}: parameters missing here or unknown: {', '.join(wrong)}")
    return {spec.name: spec.check(values[spec.name]) for spec in specs}


def merged(specs: Sequence[Spec], values: Values, changes: Values, check: Check | None) -> dict:
    """The values after ``changes``, when the whole set is right.

    Raises:
        ConfigError: a change is wrong by itself or together with the others.
    """
    by_name = {spec.name: spec for spec in specs}
    out = dict(values)
    for name, value in changes.items():
        if name in by_name:
            out[name] = by_name[name].check(value)
    if check is not None:
        check(out)
    return out


class ParameterSet:
    """A node's parameters: declared once, then always a valid whole.

    Args:
        node: the rclpy node.
        specs: its parameters.
        defaults: values of all of them, from :func:`load_defaults`.
        check: raises :class:`ConfigError` when the values do not fit together.
        on_change: called with the names that changed, after the new values are in place.
        locked: tells whether the node is configured, so that fixed parameters must stay.

    Raises:
        ConfigError: an override given at start is wrong.
    """

    def __init__(
        self,
        node: Any,
        specs: Sequence[Spec],
        defaults: Values,
        *,
        check: Check | None = None,
        on_change: Callable[[set[str]], None] | None = None,
        locked: Callable[[], bool] = lambda: False,
    ) -> None:
        self._specs = tuple(specs)
        self._check = check
        self._on_change = on_change
        self._locked = locked
        self._name = node.get_fully_qualified_name()
        self._logger = node.get_logger()
        given = {spec.name: _declare(node, spec, defaults[spec.name]) for spec in specs}
        self.values: dict[str, Any] = merged(specs, defaults, given, check)
        if text := unknown(getattr(node, "_parameter_overrides", {}), self.values):
            self._logger.warning(text)
        # rclpy refuses some by itself before it asks _validate, and logs none
        node.add_pre_set_parameters_callback(self._log_refusal)
        node.add_on_set_parameters_callback(self._validate)
        node.add_post_set_parameters_callback(self._apply)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def _validate(self, parameters: Sequence[Any]) -> Any:
        from rcl_interfaces.msg import SetParametersResult

        reason = self._refusal(parameters)
        return SetParametersResult(successful=not reason, reason=reason)

    def _log_refusal(self, parameters: Sequence[Any]) -> Sequence[Any]:
        reason = self._refusal(parameters)
        if reason:
            self._logger.error(f"refused, the old values stay: {reason}")
        return parameters

    def _refusal(self, parameters: Sequence[Any]) -> str:
        """Why these changes cannot be made; empty when they can."""
        changes = {p.name: p.value for p in parameters}
        try:
            merged(self._specs, self.values, changes, self._check)
        except ConfigError as error:
            return str(error)
        new = [s for s in self._specs if s.name in changes and changes[s.name] != self.values[s.name]]
        for spec in new:
            if spec.at_start:
                return f"parameter '{spec.name}' can be set at start only"
            if spec.fixed and self._locked():
                return (
                    f"parameter '{spec.name}' is read when the node is configured, and it is: "
                    f"'ros2 lifecycle set {self._name} deactivate', then 'cleanup', set it, "
                    "then 'configure' and 'activate'"
                )
        return ""

    def _apply(self, parameters: Sequence[Any]) -> None:
        changes = {p.name: p.value for p in parameters}
        old = self.values
        self.values = merged(self._specs, old, changes, self._check)
        changed = {name for name, value in self.values.items() if value != old[name]}
        if changed and self._on_change is not None:
            self._on_change(changed)


def unknown(given: Iterable[str], own: Collection[str]) -> str:
    """What to say of parameters that were given and mean nothing here; empty where there are none.

    Those of a file for all nodes (``/**``) are given to each: one that another node of the package has
    is no mistake.

    Args:
        given: names.
        own: names that this node has.
    """
    others: set[str] = set()
    for path in config_path("lifter.yaml").parent.glob("*.yaml"):
        others |= set(yaml.safe_load(path.read_text(encoding="utf-8"))["/**"]["ros__parameters"])
    names = sorted(n for n in set(given) - set(own) - others - ROS_PARAMETERS if "." not in n)
    if not names:
        return ""
    close = {name: difflib.get_close_matches(name, own, 1) for name in names}
    said = [f"'{n}' (did you mean '{found[0]}'?)" if found else f"'{n}'" for n, found in close.items()]
    return f"parameters that no node of the package has are ignored: {', '.join(said[:8])}"


def _declare(node: Any, spec: Spec, default: Any) -> Any:
    """Declare without a range first, so that a wrong override gets our text and not a traceback."""
    from rcl_interfaces.msg import ParameterDescriptor

    value = node.declare_parameter(spec.name, default, ParameterDescriptor(dynamic_typing=True)).value
    value = spec.check(value)
    node.set_descriptor(spec.name, _descriptor(spec))
    return value


def _descriptor(spec: Spec) -> Any:
    from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

    descriptor = ParameterDescriptor(
        name=spec.name,
        description=spec.description,
        read_only=spec.at_start,
        # types are checked by Spec, whose text is clearer than rclpy's
        dynamic_typing=True,
    )
    constraints = [f"one of: {', '.join(spec.choices)}"] if spec.choices else []
    if spec.fixed:
        constraints.append("fixed while the node is configured")
    descriptor.additional_constraints = "; ".join(constraints)
    if spec.minimum is not None and spec.maximum is not None:
        if spec.kind is int:
            descriptor.integer_range = [
                IntegerRange(from_value=int(spec.minimum), to_value=int(spec.maximum), step=1)
            ]
        elif spec.kind is float:
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=float(spec.minimum), to_value=float(spec.maximum))
            ]
    return descriptor
