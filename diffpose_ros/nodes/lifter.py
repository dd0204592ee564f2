"""Lifts keypoints to 3D: ``keypoints`` + ``camera_info`` -> ``skeletons``, ``skeleton``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sensor_msgs.msg import CameraInfo

from diffpose_ros.core import Camera, InputError, People2D
from diffpose_ros.lifting import Lifter, LifterConfig
from diffpose_ros.msg import Person2DArray, Skeleton3D, Skeleton3DArray
from diffpose_ros.nodes.graph import run_node
from diffpose_ros.ros import conversions, qos
from diffpose_ros.ros.lifecycle import PipelineNode
from diffpose_ros.ros.parameters import Spec
from diffpose_ros.ros.primary import PrimaryPerson
from diffpose_ros.ros.stamps import StampGate, Verdict
from diffpose_ros.ros.worker import NewestWorker

SPECS = (
    Spec("model", str, "Lifter model: a name of the package, or the path of an .onnx file.",
         read_only=True),
    Spec("backend", str, "What runs the model; auto takes the best that works here.",
         choices=("auto", "onnxruntime", "openvino", "tensorrt", "torch"), read_only=True),
    Spec("threads", int, "Threads of the model; more than one is slower on a busy machine.", 1, 64,
         read_only=True),
    Spec("hypotheses", int, "Poses sampled per person; 0: what the model was made for.", 0, 100,
         read_only=True),
    Spec("steps", int, "Denoising steps; 0: what the model was made for.", 0, 50, read_only=True),
    Spec("guidance", bool, "Guide the sampler by reprojection, symmetry and bone lengths (STPG).",
         read_only=True),
    Spec("max_people", int, "Most people lifted per frame; the surest ones are kept.", 1, 100,
         read_only=True),
    Spec("person_height", float,
         "Body height of the people, m; makes the root metric. 0: from the body prior.", 0.0, 2.5,
         read_only=True),
    Spec("deadline_ms", float,
         "Time for lifting one frame, ms: hypotheses, then steps, then people are cut. 0: none.",
         0.0, 1000.0),
)  # fmt: skip


def lifter_config(values: Mapping[str, Any]) -> LifterConfig:
    """The lifter's configuration from the node's parameters; zeros mean "not given"."""
    return LifterConfig(
        model=values["model"],
        backend=values["backend"],
        threads=values["threads"],
        hypotheses=values["hypotheses"] or None,
        steps=values["steps"] or None,
        guidance=values["guidance"],
        max_people=values["max_people"],
        person_height=values["person_height"] or None,
    )


class LifterNode(PipelineNode):
    """The node."""

    def __init__(
        self, *, make_lifter: Callable[[LifterConfig], Any] = Lifter, **node_kwargs: Any
    ) -> None:
        super().__init__("lifter", SPECS, **node_kwargs)
        self._make_lifter = make_lifter
        self._lifter: Any = None
        self._worker: NewestWorker[Any] | None = None
        self._camera: Camera | None = None
        self._info: Any = None
        self._camera_error = ""

    def setup(self) -> None:
        """Load the model."""
        self._lifter = self._make_lifter(lifter_config(self.parameters.values))
        self._skeletons = self.publisher(Skeleton3DArray, "skeletons", qos.RESULT)
        self._skeleton = self.publisher(Skeleton3D, "skeleton", qos.RESULT)

    def start(self) -> None:
        """Listen to keypoints and camera_info."""
        self._gate = StampGate()
        self._primary = PrimaryPerson()
        self._camera = self._info = None
        self._used_camera: Camera | None = None
        self._camera_error = ""
        self._lifter.reset()
        self._worker = NewestWorker(self._work, on_error=self.failed, name="lifter")
        self.subscribe(CameraInfo, "camera_info", self._camera_came, qos.IMAGE_IN)
        self.subscribe(Person2DArray, "keypoints", self._keypoints_came, qos.IMAGE_IN)

    def stop(self) -> None:
        """End the worker."""
        worker, self._worker = self._worker, None
        if worker is not None:
            self.stuck |= not worker.close()

    def teardown(self) -> None:
        """Drop the model."""
        lifter, self._lifter = self._lifter, None
        # a worker stuck in the network still holds it; closing would pull it away
        if lifter is not None and not self.stuck:
            lifter.close()

    def _camera_came(self, info: CameraInfo) -> None:
        # drivers repeat it with every image; it is read anew only when it says something new
        info.header.stamp.sec = info.header.stamp.nanosec = 0
        if info == self._info:
            return
        self._info = info
        try:
            self._camera = conversions.camera_from_info(info)
            self._camera_error = ""
            self.hardware_id = info.header.frame_id
        except InputError as error:
            self._camera, self._camera_error = None, f"camera_info: {error}"
            self.trouble("camera", self._camera_error)

    def _keypoints_came(self, message: Person2DArray) -> None:
        self.monitor.count("keypoints")
        if self._worker is not None and self._worker.offer(message):
            self.monitor.count("skipped: newer keypoints came")

    def _work(self, message: Person2DArray) -> None:
        camera = self._camera_for(message)
        if camera is None:
            self.monitor.count("dropped: no camera")
            return
        stamp_ns = conversions.stamp_to_ns(message.header.stamp)
        try:
            people = conversions.people_from_message(message)
        except InputError as error:
            self.monitor.count("dropped: bad keypoints")
            self.trouble("keypoints", str(error))
            return
        if not self._in_order(stamp_ns):
            return
        deadline = self.parameters["deadline_ms"]
        result = self._lifter.lift(
            people, camera, stamp_ns, deadline_s=deadline / 1e3 if deadline else None
        )
        self._publish(message, result)
        self._tell(people, result.report)

    def _camera_for(self, message: Person2DArray) -> Camera | None:
        """The camera of these keypoints, or ``None`` after saying why there is none."""
        camera = self._camera
        size = (message.image_width, message.image_height)
        if camera is None:
            topic = self.resolve_topic_name("camera_info")
            self.trouble(
                "camera",
                self._camera_error
                or f"no camera_info on {topic} yet: keypoints wait for the camera's calibration",
            )
            return None
        if (camera.width, camera.height) != size:
            self.trouble(
                "camera",
                f"camera_info is for images of {camera.width}x{camera.height}, "
                f"the keypoints' image is {size[0]}x{size[1]}: calibrate for this size",
            )
            return None
        used = self._used_camera
        if used is not None and not used.same_as(camera):
            self.trouble(
                "camera change",
                f"camera changed (from {used.width}x{used.height} to {size[0]}x{size[1]}, frame "
                f"'{camera.frame_id}'): everyone's history starts anew",
            )
            self._lifter.reset()
            self._primary.reset()
        self._used_camera = camera
        return camera

    def _in_order(self, stamp_ns: int) -> bool:
        verdict = self._gate(stamp_ns)
        if verdict is Verdict.JUMPED_BACK:
            self.trouble("stamps", "keypoint stamps jumped back: everyone's history starts anew")
            self._lifter.reset()
            self._primary.reset()
        elif verdict is not Verdict.TAKE:
            self.trouble("stamps", f"dropped keypoints whose stamp is {verdict.value}")
            self.monitor.count(f"dropped: stamp {verdict.value}")
            return False
        return True

    def _publish(self, message: Person2DArray, result: Any) -> None:
        header, skeletons = message.header, result.skeletons
        size = {"width": message.image_width, "height": message.image_height}
        age_s = (self.now_ns() - conversions.stamp_to_ns(header.stamp)) / 1e9
        array = conversions.skeletons_to_message(
            skeletons,
            header,
            **size,
            model=self.parameters["model"],
            hypotheses=result.report.hypotheses,
            steps=result.report.steps,
            latency_s=age_s,
        )
        self._skeletons.publish(array)
        self.monitor.published(age_s)
        primary = self._primary(skeletons)
        if primary is not None:
            self._skeleton.publish(array.skeletons[list(skeletons).index(primary)])

    def _tell(self, people: People2D, report: Any) -> None:
        """Put what the lifter reports into log and diagnostics."""
        self.monitor.value("people", str(len(people)))


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return run_node(LifterNode, args)
