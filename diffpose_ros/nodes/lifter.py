"""Lifts keypoints to 3D: ``keypoints`` + ``camera_info`` -> ``skeletons``, ``skeleton``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image, Imu
from std_msgs.msg import Header

from diffpose_ros.core import Camera, ConfigError, Skeleton
from diffpose_ros.core.depth import DepthImage
from diffpose_ros.lifting import Lifter, LifterConfig, LiftReport, LiftResult
from diffpose_ros.lifting.config import MAX_RATE_HZ
from diffpose_ros.msg import Person2DArray, Skeleton3D, Skeleton3DArray
from diffpose_ros.nodes.lifter_parameters import SPECS, check, lifter_config
from diffpose_ros.nodes.process import run_node
from diffpose_ros.nodes.prompting import Prompting
from diffpose_ros.ros import conversions, qos
from diffpose_ros.ros.body_frame import frame_prefix
from diffpose_ros.ros.camera_info import Calibrated
from diffpose_ros.ros.depth import DepthInput, info_topic
from diffpose_ros.ros.gravity import Gravity, source_of
from diffpose_ros.ros.health import RESULT_BEHIND_S, plausible_age
from diffpose_ros.ros.lifecycle import PipelineNode
from diffpose_ros.ros.primary import PrimaryPerson
from diffpose_ros.ros.switches import Switches
from diffpose_ros.ros.target_frame import FrameLookup, Rigid, moved
from diffpose_ros.ros.worker import NewestWorker

NO_DEADLINE_S = 60.0
GRAVITY_BEHIND_S = 0.2
UNKNOWN_S = -1.0
"""The latency where the stamp's clock is not the node's."""


class LifterNode(PipelineNode):
    """The node."""

    def __init__(
        self,
        *,
        make_lifter: Callable[[LifterConfig], Any] = Lifter,
        make_lookup: Callable[..., Any] = FrameLookup,
        **node_kwargs: Any,
    ) -> None:
        super().__init__("lifter", SPECS, check=check, **node_kwargs)
        self._make_lifter, self._make_lookup = make_lifter, make_lookup
        self._lifter: Any = None
        self._lookup: Any = None
        self._switches: Switches | None = None
        self._prompting: Prompting | None = None
        self._worker: NewestWorker[Any] | None = None
        self._calibrated = Calibrated()

    @property
    def _camera(self) -> Camera | None:
        return self._calibrated.camera

    @property
    def _info(self) -> Any:
        return self._calibrated.info

    def setup(self) -> None:
        """Load the model."""
        self._prompt = self.parameters["prompt"]
        self._lifter = self._make_lifter(lifter_config(self.parameters.values))
        reason = self._lifter.backend.reason
        self.monitor.value("backend choice", reason)
        self.get_logger().info(f"model '{self.parameters['model']}' on {reason}")
        self._skeletons = self.publisher(Skeleton3DArray, "skeletons", qos.RESULT)
        self._skeleton = self.publisher(Skeleton3D, "skeleton", qos.RESULT)
        self._gravity_source = source_of(self.parameters.values)
        self._lookup = self._make_tf()
        self._prefix = frame_prefix(self.parameters["frame_prefix"], self.get_namespace())
        self._switches = Switches(self, "people and their history")
        self._prompting = Prompting(self)

    def start(self) -> None:
        """Listen to keypoints and camera_info."""
        self._primary = PrimaryPerson()
        self._calibrated = Calibrated()
        self._said_thinned = False
        self._frame: str | None = None
        self._gravity = Gravity(
            self._gravity_source, self.parameters.values, self._lookup,
            lambda text: self.trouble("gravity", text),
        )  # fmt: skip
        self._depth = DepthInput(self._lookup) if self.parameters["depth"] else None
        self._lifter.reset()
        self._worker = NewestWorker(self._work, on_error=self.failed, name="lifter")
        self.listen(
            CameraInfo,
            "camera_info",
            self._camera_came,
            name="camera_info",
            timeout_s=None,
            advice="start the camera's driver, or launch with camera_info:=TOPIC",
        )
        self.listen(
            Person2DArray,
            "keypoints",
            self._keypoints_came,
            name="keypoints",
            behind_s=RESULT_BEHIND_S,
            advice="the keypoints node does not run, or is not active",
        )
        if self._depth is not None:
            topic = self.parameters["depth"]
            advice = "start the depth camera, or set depth and depth_info to its topics"
            self.listen(
                Image, topic, self._depth.image_came, name="depth", reliable_depth=5, advice=advice
            )
            self.listen(
                CameraInfo, info_topic(topic, self.parameters["depth_info"]), self._depth.info_came,
                name="depth_info", timeout_s=None, advice=advice,
            )  # fmt: skip
        if self._gravity_source == "imu":
            self.listen(
                Imu,
                self.parameters["imu"],
                self._gravity.imu_came,
                name="imu",
                depth=20,
                behind_s=GRAVITY_BEHIND_S,
                advice="start the IMU's driver, or set imu to its topic",
            )

    def _make_tf(self) -> Any:
        """tf2 where it is needed."""
        if self.parameters["target_frame"]:
            return self._make_lookup(self)
        if self._gravity_source == "tf":
            return self._make_lookup(self, "gravity_frame")
        turned = self._gravity_source == "imu" and not self.parameters["imu_rotation"]
        if turned or self.parameters["depth"]:  # they may need none
            with contextlib.suppress(ConfigError):
                return self._make_lookup(self, "imu")
        return None

    def stop(self) -> None:
        """End the worker."""
        worker, self._worker = self._worker, None
        if worker is not None:
            self.stuck |= not worker.close()

    def busy_s(self) -> float:
        """For how long the worker has been at one message, seconds."""
        return self._worker.busy_s if self._worker is not None else 0.0

    def teardown(self) -> None:
        """Drop the model, the services and the transforms."""
        for made in (self._switches, self._prompting, self._lookup):
            if made is not None:
                made.close()
        self._switches = self._prompting = self._lookup = None
        lifter, self._lifter = self._lifter, None
        # a worker stuck in the network still holds it; closing would pull it away
        if lifter is not None and not self.stuck:
            lifter.close()

    def _camera_came(self, info: CameraInfo) -> None:
        if self._calibrated.info_came(info):
            self.hardware_id = info.header.frame_id
            if self._calibrated.error:
                self.trouble("camera", self._calibrated.error)

    def _keypoints_came(self, message: Person2DArray) -> None:
        self.monitor.count("keypoints")
        if self._switches is not None and not self._switches.enabled:
            return
        if self._worker is not None and self._worker.offer(message):
            self.monitor.count("skipped: newer keypoints came")

    def _told(self) -> None:
        """Pass a prompt that was changed on to the lifter."""
        prompt = self.parameters["prompt"]
        if prompt != self._prompt:
            self._lifter.set_prompt(prompt)
            self._prompt = prompt

    def _work(self, message: Person2DArray) -> None:
        self._told()
        if self._switches is not None and self._switches.take_reset():
            self._lifter.reset()
            self._primary.reset()
        camera = self._camera_for(message)
        if camera is None:
            self.monitor.count("dropped: no camera")
            return
        people = self.read(conversions.people_from_message, message, "keypoints")
        if people is None:
            return
        stamp_ns = conversions.stamp_to_ns(message.header.stamp)
        frame = self._frame_of(message.header, camera)
        if self._frame not in (None, frame):
            text = f"the camera's frame changed from '{self._frame}' to '{frame}': everyone starts anew"
            self.trouble("camera frame", text)
            self._lifter.reset()
            self._primary.reset()
        self._frame = frame
        around = self._gravity.around(frame, stamp_ns, self.parameters.values)
        depth = self._depth_at(stamp_ns, frame, camera)
        result: LiftResult = self._lifter.lift(
            people,
            camera,
            stamp_ns,
            deadline_s=self.parameters["deadline_ms"] / 1e3 or NO_DEADLINE_S,
            around=around,
            **({} if depth is None else {"depth": depth}),
        )
        if result.report.refused is None and not result.report.thinned:
            up = around.up if result.report.up is None else result.report.up
            self._publish(message, result, camera, up)
        self._tell(result.report)

    def _camera_for(self, message: Person2DArray) -> Camera | None:
        """The camera of these keypoints, or ``None`` after saying why there is none."""
        if self._calibrated.ask(self.parameters["rectified"], message.image_topic):
            rectified, why = self._calibrated.choice
            choice = f"{'rectified' if rectified else 'raw'}: {why}"
            self.monitor.value("images", choice)
            self.get_logger().info(f"images are taken as {choice}")
        camera = self._camera
        size = (message.image_width, message.image_height)
        if camera is None:
            topic = self.resolve_topic_name("camera_info")
            self.trouble(
                "camera",
                self._calibrated.error
                or f"no camera_info on {topic} yet: keypoints wait for the camera's calibration",
            )
            return None
        if (camera.width, camera.height) != size:
            self.trouble(
                "camera",
                f"camera_info is for images of {camera.width}x{camera.height}, "
                f"the keypoints' image is {size[0]}x{size[1]}: calibrate for this size, or publish the "
                "camera_info that belongs to the scaled or cut image",
            )
            return None
        return camera

    def _publish(
        self, message: Person2DArray, result: Any, camera: Camera, up: NDArray[np.float64] | None
    ) -> None:
        placed = self._placed(message.header, result.skeletons, camera, up)
        if placed is None:
            return
        header, skeletons, up = placed
        size = {"width": message.image_width, "height": message.image_height}
        age_s = (self.now_ns() - conversions.stamp_to_ns(header.stamp)) / 1e9
        array = conversions.skeletons_to_message(
            skeletons,
            header,
            **size,
            model=self.parameters["model"],
            hypotheses=result.report.hypotheses,
            steps=result.report.steps,
            latency_s=age_s if plausible_age(age_s) else UNKNOWN_S,
            frame_prefix=self._prefix,
            up=up,
        )
        self._skeletons.publish(array)
        self.monitor.published(age_s)
        primary = self._primary(result.skeletons)  # the nearest to the camera, whatever the frame
        if primary is not None:
            self._skeleton.publish(
                next(m for m, s in zip(array.skeletons, result.skeletons, strict=True) if s is primary)
            )

    def _depth_at(self, stamp_ns: int, frame: str, camera: Camera) -> DepthImage | None:
        """The depth image of this moment, or ``None`` after saying why there is none."""
        if self._depth is None:
            return None
        found = self._depth.at(stamp_ns, frame, camera)
        self.monitor.value("depth", self._depth.said)
        if isinstance(found, str):
            self.trouble("depth", f"depth is not used: {found}")
            return None
        return found

    def _frame_of(self, header: Header, camera: Camera) -> str:
        """The camera's optical frame."""
        return str(self.parameters["frame_id"] or header.frame_id or camera.frame_id)

    def _placed(
        self, header: Header, skeletons: Sequence[Skeleton], camera: Camera, up: NDArray[np.float64] | None
    ) -> tuple[Header, Sequence[Skeleton], NDArray[np.float64] | None] | None:
        """Skeletons and up in the frame to publish in, or ``None`` after saying why they cannot be."""
        frame = self._frame_of(header, camera)
        if not (self.parameters["frame_id"] or header.frame_id or self._info.header.frame_id):
            text = f"neither images nor camera_info name a frame: '{frame}' is taken; set frame_id"
            self.trouble("frame", text)
        target = self.parameters["target_frame"] or frame
        if target == frame:
            return Header(stamp=header.stamp, frame_id=frame), skeletons, up
        stamp_ns = conversions.stamp_to_ns(header.stamp)
        motion: Rigid | str = "the image has no stamp"
        if stamp_ns:
            motion = self._lookup(target, frame, stamp_ns, self.parameters["transform_timeout_s"])
        if isinstance(motion, str):
            self.monitor.count("dropped: no transform")
            text = f"nothing is published in {target}, its transform from {frame} is missing: {motion}"
            self.trouble("transform", text)
            return None
        turned = None if up is None else motion.rotation @ up
        return Header(stamp=header.stamp, frame_id=target), [moved(s, motion) for s in skeletons], turned

    def _tell(self, report: LiftReport) -> None:
        """Put what the lifter reports into the log and the diagnostics."""
        monitor = self.monitor
        if report.thinned:
            self._tell_thinned()
            return
        monitor.value("people", f"{report.people} in, {report.lifted} lifted")
        monitor.value("backend", report.backend)
        monitor.value("gravity", f"people: {report.place}" if report.place else self._gravity.said)
        monitor.value("sampling", f"{report.hypotheses} hypotheses, {report.steps} steps")
        monitor.value("deadline", "; ".join(report.degraded) or "met")
        for stage, seconds in report.stage_s.items():
            monitor.value(f"{stage}_ms", f"{seconds * 1e3:.1f}")
        if report.refused is not None:
            monitor.count("dropped: refused")
            self.trouble("refused", f"keypoints not taken: {report.refused}")
        if report.degraded:
            monitor.count("degraded")
            self.trouble("deadline", "deadline: " + "; ".join(report.degraded), minor=True)
        if report.people > self.parameters["max_people"]:
            self.trouble(
                "too many people",
                f"{report.people} people in view: at most {self.parameters['max_people']} are "
                f"lifted per frame, {len(report.waiting)} wait for their turn, "
                f"{report.left_out} are left out",
            )
        if report.failed:
            monitor.count("dropped: not finite", len(report.failed))
            self.trouble(
                "network",
                f"the network gave NaN for person {', '.join(map(str, report.failed))}: dropped, "
                "their history starts anew",
            )
        if report.unplaced:
            monitor.count("dropped: not placeable", len(report.unplaced))
        if report.floor_refused:
            monitor.count("floor not used", len(report.floor_refused))
            self.trouble(
                "floor",
                f"the floor is not used for person {', '.join(map(str, report.floor_refused))}, who stands "
                "at another angle or height than it has there: check gravity and camera_height",
                log_key="floor",
            )
        for text in report.messages:
            self.trouble("lifter", text, log_key=f"lifter: {text}")

    def _tell_thinned(self) -> None:
        """Count a frame that came too soon; the log says it once."""
        self.monitor.count("thinned: faster than 60 Hz")
        if not self._said_thinned:
            self._said_thinned = True
            self.get_logger().warning(
                f"keypoints come faster than {MAX_RATE_HZ:g} Hz, for which the model was made: "
                "the frames above it are left out"
            )


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return run_node(LifterNode, args)
