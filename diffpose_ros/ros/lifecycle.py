"""The base of all nodes: lifecycle with autostart, throttled logging, safe callbacks.

rclpy swallows an exception in a transition and lets one in any other callback end ``spin``; here
both end as one clear log line and a diagnostic. What a node makes in ``setup`` and ``start`` it
undoes in ``teardown`` and ``stop``, so cycles through the lifecycle leave nothing behind.
"""

from __future__ import annotations

import functools
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import QoSProfile

from diffpose_ros.core import DiffposeError, InputError
from diffpose_ros.core.resources import config_path
from diffpose_ros.ros import diagnostics, qos
from diffpose_ros.ros.diagnostics import ERROR, OK, WARN, Monitor
from diffpose_ros.ros.health_watch import HealthWatch
from diffpose_ros.ros.inputs import Input
from diffpose_ros.ros.parameters import Check, ParameterSet, Spec, load_defaults
from diffpose_ros.ros.throttle import Throttle, one_line

Value = TypeVar("Value")

AUTOSTART = Spec(
    "autostart",
    bool,
    "Configure and activate at start; otherwise wait for a lifecycle manager.",
    at_start=True,
)
DIAGNOSTIC_PERIOD_S = 1.0
WATCH_PERIOD_S = 0.25
LOAD_LINE_S = 3.0
"""A configuration that takes longer is told of, seconds."""


class PipelineNode(LifecycleNode):
    """A lifecycle node that stays alive.

    Subclasses give :meth:`setup`, :meth:`start`, :meth:`stop` and :meth:`teardown`. ``stop`` and
    ``teardown`` must also work after a ``start`` or ``setup`` that failed half-way.

    Args:
        name: node name, and that of its config YAML.
        specs: its parameters, without ``autostart``.
        check: raises ``ConfigError`` when parameter values do not fit together.
        clock: monotonic seconds, for throttling and diagnostics.
        **node_kwargs: for ``rclpy.lifecycle.LifecycleNode``: namespace, parameter_overrides...

    Attributes:
        monitor: what the node tells about itself.
        parameters: its parameters.
        hardware_id: what its diagnostic is about, e.g. the camera's frame.
        stuck: a worker thread did not end when it was told to.

    Raises:
        ConfigError: a parameter given at start is wrong.
    """

    def __init__(
        self,
        name: str,
        specs: Sequence[Spec],
        *,
        check: Check | None = None,
        clock: Callable[[], float] = time.monotonic,
        **node_kwargs: Any,
    ) -> None:
        super().__init__(name, **node_kwargs)
        self._monotonic = clock
        self._throttle = Throttle()
        self.monitor = Monitor(clock)
        self.hardware_id = ""
        self.stuck = False
        self._configured = False
        self._health = HealthWatch(self, clock)
        self._published_s = -DIAGNOSTIC_PERIOD_S
        self._last_report: tuple[int, str] = (OK, "")
        self._inputs: list[Input] = []
        self._publishers_made: list[Any] = []
        try:
            all_specs = (*specs, AUTOSTART)
            self.parameters = ParameterSet(
                self,
                all_specs,
                load_defaults(config_path(f"{name}.yaml"), all_specs),
                check=check,
                on_change=self.guard(self.parameters_changed),
                locked=lambda: self._configured,
            )
        except DiffposeError:
            self.destroy_node()
            raise
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", qos.RESULT)
        # on a steady clock: trouble is told also when simulated time stands still
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._watch_timer = self.create_timer(WATCH_PERIOD_S, self.guard(self._watch), clock=steady)
        # rclpy's parameter services raise on requests that no honest peer sends, into the executor
        for service in self.services:
            service.callback = self._answering(service.callback)

    # What subclasses fill in

    def setup(self) -> None:
        """Configure: load models, make publishers."""

    def start(self) -> None:
        """Activate: start workers, then subscribe."""

    def stop(self) -> None:
        """Deactivate: stop workers. What :meth:`listen` and :meth:`every` made goes by itself."""

    def teardown(self) -> None:
        """Clean up: drop models. What :meth:`publisher` made goes by itself."""

    def parameters_changed(self, names: set[str]) -> None:
        """New parameter values are in place."""

    def busy_s(self) -> float:
        """For how long a worker has been at one message, seconds; 0 without a worker."""
        return 0.0

    # Helpers for subclasses

    def publisher(self, kind: type, topic: str, profile: QoSProfile) -> Any:
        """A publisher that lives until clean-up; QoS overrides change its profile."""
        changes = qos.overrides(self, self.resolve_topic_name(topic), "publisher")
        made = self.create_publisher(kind, topic, qos.overridden(profile, changes))
        self._publishers_made.append(made)
        return made

    def listen(
        self, kind: type, topic: str, callback: Callable[[Any], None], *, name: str, **options: Any
    ) -> Input:
        """An input that lives until deactivation; its state goes into the diagnostics.

        Args:
            kind: message type.
            topic: its name.
            callback: called with each message.
            name: what comes in, for people.
            **options: of :class:`Input`.
        """
        made = Input(self, kind, topic, self.guard(callback), name=name, clock=self._monotonic, **options)
        self._inputs.append(made)
        return made

    def guard(self, callback: Callable[..., None]) -> Callable[..., None]:
        """``callback``, but what it raises becomes a log line and a diagnostic."""

        @functools.wraps(callback)
        def safe(*args: Any) -> None:
            try:
                callback(*args)
            except Exception as error:
                self.failed(error)

        return safe

    def _answering(self, callback: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """A service's ``callback``, but what it raises becomes a log line and an empty answer."""

        @functools.wraps(callback)
        def safe(request: Any, response: Any) -> Any:
            try:
                return callback(request, response)
            except Exception as error:
                kind = type(request).__name__.removesuffix("_Request")
                self.trouble("request", f"a request of {kind} cannot be answered: {error}")
                return response

        return safe

    def failed(self, error: Exception) -> None:
        """Report an exception: our own errors as one line, others with their traceback."""
        if isinstance(error, DiffposeError):
            self.monitor.count(f"failed: {type(error).__name__}")
            if isinstance(error, InputError):
                self.trouble("input", str(error))
            else:
                self.trouble(type(error).__name__, str(error), ERROR)
            return
        if not self.context.ok():
            return  # publishing while the process goes down
        lines = "".join(traceback.format_exception(error)).rstrip()
        self.trouble("internal error", f"{type(error).__name__}: {error}", ERROR, detail=lines)

    def read(self, convert: Callable[[Any], Value], message: Any, what: str) -> Value | None:
        """What a message says, or ``None`` after saying why it cannot be read.

        Args:
            convert: makes a value of it, or raises InputError.
            message: as it came.
            what: it is, in the plural: ``skeletons``.
        """
        try:
            return convert(message)
        except InputError as error:
            self.monitor.count(f"dropped: bad {what}")
            self.trouble(what, str(error))
            return None

    def trouble(
        self,
        key: str,
        text: str,
        level: int = WARN,
        *,
        sticky: bool = False,
        minor: bool = False,
        detail: str = "",
        log_key: str = "",
    ) -> None:
        """Put trouble into the diagnostics, and into the log at most once in a few seconds.

        Args:
            key: kind of trouble, from a small fixed set.
            text: one line: what was expected, what came, what to do.
            level: ``WARN`` or ``ERROR``.
            sticky: the diagnostic stays until ``monitor.clear(key)``.
            minor: results are complete all the same; other trouble speaks first.
            detail: more for the log.
            log_key: what the log is throttled by, where that is not ``key``.
        """
        text = one_line(text)
        self.monitor.problem(key, text, level=level, sticky=sticky, minor=minor)
        held = self._throttle(log_key or key, self._monotonic())
        if held is None:
            return
        line = f"{text} ({held} more like this were not logged)" if held else text
        line = f"{line}\n{detail}" if detail else line
        if level == ERROR:
            self.get_logger().error(line)
        else:
            self.get_logger().warning(line)

    def now_ns(self) -> int:
        """The node's clock (simulated with ``use_sim_time``), nanoseconds."""
        return int(self.get_clock().now().nanoseconds)

    def diagnose(self) -> diagnostics.Report:
        """The present diagnostic: what was counted and met, the inputs, the clock, the worker."""
        status = replace(
            self.monitor.status(),
            inputs=tuple(made.status() for made in self._inputs),
            clock=self._health.clock(),
            busy_s=self.busy_s(),
        )
        return diagnostics.report(status, self._monotonic())

    def publish_diagnostics(self) -> None:
        """Publish the present diagnostic."""
        self._publish_report(self.diagnose())

    def _publish_report(self, result: diagnostics.Report) -> None:
        self._published_s = self._monotonic()
        self._last_report = (result.level, result.message)
        self._diagnostics.publish(
            diagnostics.to_message(
                result,
                name=self.get_fully_qualified_name(),
                hardware_id=self.hardware_id,
                stamp=self.get_clock().now().to_msg(),
            )
        )

    def _watch(self) -> None:
        """Look after inputs and clock; publish once a second, and at once when the level changes."""
        for made in self._inputs:
            made.watch()
        result = self.diagnose()
        self._health.tell(result.troubles)
        due = self._monotonic() - self._published_s >= DIAGNOSTIC_PERIOD_S - WATCH_PERIOD_S / 2
        if due or result.level != self._last_report[0]:
            self._publish_report(result)

    # The lifecycle

    def autostart(self) -> bool:
        """Configure and activate when the ``autostart`` parameter says so. False on failure."""
        if not self.parameters["autostart"]:
            return True
        if self.trigger_configure() != TransitionCallbackReturn.SUCCESS:
            return False
        return self.trigger_activate() == TransitionCallbackReturn.SUCCESS

    def close(self) -> bool:
        """Stop and drop everything, whatever the state; the node is destroyed.

        Returns:
            False when a worker thread did not end in time.
        """
        self._undo("stop", self._stop_all)
        self._undo("teardown", self._teardown_all)
        self.destroy_node()
        return not self.stuck

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Set up; what was half made is dropped again."""
        self.monitor.reset()
        self._configured = True
        self.monitor.set_state("configuring")
        late = threading.Timer(
            LOAD_LINE_S, self.get_logger().info,
            ["still loading; where a model is compiled for the first time, this takes up to a minute"],
        )  # fmt: skip
        late.daemon = True
        late.start()
        try:
            return self._forward("configure", self.setup, self._teardown_all, "inactive")
        finally:
            late.cancel()

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start; what was half started is stopped again."""
        return self._forward("activate", self.start, self._stop_all, "active")

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop."""
        return self._back("deactivate", self._stop_all, "inactive")

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Drop."""
        return self._back("cleanup", self._teardown_all, "unconfigured")

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop and drop."""
        self._undo("stop", self._stop_all)
        return self._back("shutdown", self._teardown_all, "finalized")

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Back to unconfigured with nothing left over."""
        self._undo("stop", self._stop_all)
        self._undo("teardown", self._teardown_all)
        self.monitor.set_state("unconfigured")
        return TransitionCallbackReturn.SUCCESS

    def _forward(
        self, name: str, do: Callable[[], None], undo: Callable[[], None], state: str
    ) -> TransitionCallbackReturn:
        try:
            do()
        except Exception as error:
            self._transition_failed(name, error)
            self._undo(name, undo)
            self.monitor.set_state("inactive" if name == "activate" else "unconfigured")
            return TransitionCallbackReturn.FAILURE
        self.monitor.clear("transition")
        self.monitor.set_state(state)
        self.get_logger().info(state)
        return TransitionCallbackReturn.SUCCESS

    def _back(self, name: str, do: Callable[[], None], state: str) -> TransitionCallbackReturn:
        try:
            do()
        except Exception as error:
            self._transition_failed(name, error)
            return TransitionCallbackReturn.ERROR
        self.monitor.set_state(state)
        return TransitionCallbackReturn.SUCCESS

    def _undo(self, name: str, undo: Callable[[], None]) -> None:
        try:
            undo()
        except Exception as error:
            self._transition_failed(f"undo {name}", error)

    def _transition_failed(self, name: str, error: Exception) -> None:
        text = f"{name} failed: {error}"
        self.monitor.problem("transition", text, level=ERROR, sticky=True)
        if not isinstance(error, DiffposeError):
            text += "\n" + "".join(traceback.format_exception(error)).rstrip()
        self.get_logger().error(text)

    def _stop_all(self) -> None:
        for listening in self._inputs:
            listening.close()
        self._inputs.clear()
        self.stop()

    def _teardown_all(self) -> None:
        self.teardown()
        for made in self._publishers_made:
            self.destroy_publisher(made)
        self._publishers_made.clear()
        self._configured = False
