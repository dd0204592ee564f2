"""Finds people in images and keeps their identities: ``image_raw`` -> ``keypoints``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sensor_msgs.msg import CompressedImage, Image

from diffpose_ros.core import ConfigError, People2D
from diffpose_ros.core.stamps import StampJudge, Verdict
from diffpose_ros.frontend import FRONT_ENDS, FrontEnd, FrontEndReport, make_front_end
from diffpose_ros.frontend.detectors import DETECTORS, RUNTIMES, Detector
from diffpose_ros.media.drawing import draw_people
from diffpose_ros.msg import Person2DArray
from diffpose_ros.nodes.process import run_node
from diffpose_ros.ros import conversions, images, qos
from diffpose_ros.ros.lifecycle import PipelineNode
from diffpose_ros.ros.parameters import Spec
from diffpose_ros.ros.switches import Switches
from diffpose_ros.ros.worker import NewestWorker
from diffpose_ros.tracking import Tracker, TrackerConfig

SPECS = (
    Spec("detector", str, "2D detector.", choices=DETECTORS, fixed=True),
    Spec("front_end", str, "tracked: follow people by crops (movenet); whole_image: run the detector on "
         "every whole image; auto: tracked if the detector can.",
         choices=FRONT_ENDS, fixed=True),
    Spec("model", str, "Weight file of the detector; empty: the detector's own.",
         fixed=True),
    Spec("device", str, "Device of the ultralytics detector, e.g. cuda:0; empty: its own choice.",
         fixed=True),
    Spec("batch", int, "Images per call of the ultralytics detector.", 1, 256, fixed=True),
    Spec("threads", int, "Threads of the movenet and onnx detectors.", 1, 64, fixed=True),
    Spec("runtime", str, "Runtime of the movenet and onnx detectors; auto: openvino if it is faster here.",
         choices=RUNTIMES, fixed=True),
    Spec("transport", str, "Topic to read: image_raw (raw) or image_raw/compressed (compressed).",
         choices=("raw", "compressed"), fixed=True),
    Spec("image_qos", str, "Reliability for reading images; auto: as published.",
         choices=qos.ASKED, fixed=True),
    Spec("input_size", int, "Longer side of the network's input, pixels; a multiple of 32.",
         128, 1024),
    Spec("person_threshold", float, "Lowest score of a new person.", 0.0, 1.0),
    Spec("keep_threshold", float, "Lowest score of a known person.", 0.0, 1.0),
    Spec("keypoint_threshold", float, "Keypoints with a lower score are ignored.", 0.0, 1.0),
    Spec("max_people", int, "Largest number of people per image, best first; movenet finds at most six.",
         1, 100),
    Spec("occlusion_s", float, "How long an unseen person keeps the id, s.", 0.1, 30.0,
         fixed=True),
    Spec("min_hits", int, "Consecutive frames with a person before it is published.", 1, 100,
         fixed=True),
)  # fmt: skip
DETECTOR_PARAMETERS = {
    "input_size", "person_threshold", "keep_threshold", "keypoint_threshold", "max_people",
}  # fmt: skip
MOVENET_PEOPLE = 6
IMAGE_KINDS = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")


def detector_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """Options of ``make_detector`` from the node's parameters."""
    # the detector gives what the tracker needs to follow people; the tracker decides who is new
    lowest = min(values["keep_threshold"], values["person_threshold"])
    common = {"keypoint_threshold": values["keypoint_threshold"]}
    if values["model"]:
        common["model"] = values["model"]
    if values["detector"] in ("movenet", "onnx"):
        most = MOVENET_PEOPLE if values["detector"] == "movenet" else values["max_people"]
        return common | {
            "input_size": values["input_size"],
            "person_threshold": lowest,
            "max_people": min(values["max_people"], most),
            "threads": values["threads"],
            "runtime": values["runtime"],
        }
    return common | {
        "imgsz": values["input_size"],
        "conf": lowest,
        "max_people": values["max_people"],
        "device": values["device"],
        "batch": values["batch"],
    }


def tracker_config(values: Mapping[str, Any]) -> TrackerConfig:
    """The tracker's configuration from the node's parameters."""
    return TrackerConfig(
        max_occlusion_s=values["occlusion_s"],
        min_hits=values["min_hits"],
        high_score=values["person_threshold"],
        low_score=min(values["keep_threshold"], values["person_threshold"]),
    )


def check(values: Mapping[str, Any]) -> None:
    """Raise ConfigError when the values do not fit together."""
    if values["input_size"] % 32:
        raise ConfigError(f"parameter 'input_size': expected a multiple of 32, got {values['input_size']}")


class KeypointsNode(PipelineNode):
    """The node."""

    def __init__(
        self,
        *,
        make_detector: Callable[..., Detector] | None = None,
        make_tracker: Callable[[TrackerConfig], Any] = Tracker,
        **node_kwargs: Any,
    ) -> None:
        super().__init__("keypoints", SPECS, check=check, **node_kwargs)
        self._make_detector = make_detector
        self._front_end: FrontEnd | None = None
        # one tracker for the node's life, so that no identity is ever used twice
        self._tracker = make_tracker(tracker_config(self.parameters.values))
        self._worker: NewestWorker[Any] | None = None
        self._stale = False
        self._seen: tuple[str, tuple[int, int]] | None = None
        self._switches: Switches | None = None

    def setup(self) -> None:
        """Load the front end."""
        self._tracker.reconfigure(tracker_config(self.parameters.values))
        self._front_end = self._load()
        self.get_logger().info(f"detector '{self._front_end.name}' on {self._front_end.reason}")
        self._people = self.publisher(Person2DArray, "keypoints", qos.RESULT)
        self._annotated = self.publisher(Image, "annotated", qos.IMAGE_OUT)
        self._switches = Switches(self, "tracks and identities")

    def start(self) -> None:
        """Listen to images."""
        self._judge = StampJudge()
        self._seen = None
        self._worker = NewestWorker(self._work, on_error=self.failed, name="keypoints")
        raw = self.parameters["transport"] == "raw"
        topic = "image_raw" if raw else "image_raw/compressed"
        self._topic = self.resolve_topic_name(topic)
        self.listen(
            Image if raw else CompressedImage,
            topic,
            self._image_came,
            name="images",
            asked=self.parameters["image_qos"],
            reliable_depth=qos.RELIABLE_IMAGE_DEPTH,
            advice="start the camera, or launch with image:=TOPIC (compressed:=true for JPEGs)",
            also=IMAGE_KINDS,
            single=True,
            near=raw,
        )

    def stop(self) -> None:
        """End the worker."""
        worker, self._worker = self._worker, None
        if worker is not None:
            self.stuck |= not worker.close()

    def teardown(self) -> None:
        """Drop the front end and the services."""
        switches, self._switches = self._switches, None
        if switches is not None:
            switches.close()
        front_end, self._front_end = self._front_end, None
        # a worker stuck in the network still holds it; closing would pull it away
        if front_end is not None and not self.stuck:
            front_end.close()

    def busy_s(self) -> float:
        """For how long the worker has been at one image, seconds."""
        return self._worker.busy_s if self._worker is not None else 0.0

    def parameters_changed(self, names: set[str]) -> None:
        """The worker loads the front end anew before its next image."""
        if names & DETECTOR_PARAMETERS:
            self._stale = True

    def _load(self) -> FrontEnd:
        self._stale = False
        values = self.parameters.values
        front_end = make_front_end(
            values["detector"], front_end=values["front_end"], tracker=self._tracker, in_step=False,
            make_detector=self._make_detector, **detector_options(values),
        )  # fmt: skip
        self.monitor.value("detector", f"{front_end.name} at {values['input_size']} px")
        self.monitor.value("detector choice", front_end.reason)
        return front_end

    def _image_came(self, message: Any) -> None:
        self.monitor.count("images")
        switches = self._switches
        if switches is not None and not switches.enabled:
            return
        worker = self._worker  # images of this process come in their publisher's thread
        if worker is not None and worker.offer(message):
            self.monitor.count("skipped: a newer image came")

    def _work(self, message: Any) -> None:
        front_end = self._front_end
        if front_end is None:
            return
        if self._stale:
            old, front_end = front_end, self._load()
            self._front_end = front_end
            old.close()
            self._tracker.config = tracker_config(self.parameters.values)
        if self._switches is not None and self._switches.take_reset():
            front_end.reset()
            self._judge.reset()
        if not self._in_order(conversions.stamp_to_ns(message.header.stamp), front_end):
            return
        if isinstance(message, CompressedImage):
            rgb = images.compressed_to_rgb(message)
        else:
            rgb = images.image_to_rgb(message)
        stamp_ns = conversions.stamp_to_ns(message.header.stamp)
        if self._another_camera(message.header.frame_id, (rgb.shape[1], rgb.shape[0])):
            front_end.reset()
        people = front_end.see(rgb, stamp_ns)
        self._show(front_end.report)
        self._publish(message.header, rgb, people, front_end.name)

    def _another_camera(self, frame: str, size: tuple[int, int]) -> bool:
        """Whether the image is of another camera, or of another size, than the one before; that is told."""
        before, self._seen = self._seen, (frame, size)
        if before is None or before == self._seen:
            return False
        if before[0] != frame:
            self.trouble(
                "camera frame",
                f"the images' frame changed from '{before[0]}' to '{frame}': tracks start anew; if two "
                f"cameras publish {self._topic}, give each its own topic and nodes",
            )
        else:
            (width, height), (now_width, now_height) = before[1], size
            text = f"image size changed from {width}x{height} to {now_width}x{now_height}: tracks start anew"
            self.trouble("image size", text)
        return True

    def _show(self, report: FrontEndReport) -> None:
        for name, value in report.values.items():
            self.monitor.value(name, value)
        for name, count in report.counts.items():
            self.monitor.value(name, str(count))

    def _in_order(self, stamp_ns: int, front_end: FrontEnd) -> bool:
        verdict = self._judge(stamp_ns)
        if verdict is Verdict.JUMPED_BACK:
            self.trouble("stamps", "image stamps jumped back: tracks start anew")
            front_end.reset()
        elif verdict.dropped:
            self.trouble("stamps", f"dropped an image whose stamp is {verdict.value}")
            self.monitor.count(f"dropped: stamp {verdict.value}")
            return False
        return True

    def _publish(self, header: Any, rgb: images.Image, people: People2D, name: str) -> None:
        height, width = rgb.shape[:2]
        message = conversions.people_to_message(
            people, header, width=width, height=height, detector=name, image_topic=self._topic
        )
        self._people.publish(message)
        self.monitor.published((self.now_ns() - conversions.stamp_to_ns(header.stamp)) / 1e9)
        self.monitor.value("people", str(len(people)))
        self.hardware_id = header.frame_id
        if self._annotated.get_subscription_count():
            self._annotated.publish(images.rgb_to_image(draw_people(rgb, people), header))


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return run_node(KeypointsNode, args)
