"""Says what people do, of what was taught: ``skeletons`` -> ``person_poses``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from diffpose_ros.core import DiffposeError, InputError, Skeleton
from diffpose_ros.core.joints import H36M17
from diffpose_ros.msg import PersonPoses, PersonPosesArray, PoseMatch, Skeleton3DArray
from diffpose_ros.nodes.pose_examples import recording_of
from diffpose_ros.nodes.process import run_node
from diffpose_ros.ros import conversions, qos
from diffpose_ros.ros.health import RESULT_BEHIND_S
from diffpose_ros.ros.lifecycle import PipelineNode
from diffpose_ros.ros.parameters import Spec
from diffpose_ros.search import gallery_file, teaching
from diffpose_ros.search.gallery import Gallery
from diffpose_ros.search.matching import Hysteresis, Match, People
from diffpose_ros.search.teaching import Lesson
from diffpose_ros.search.vectors import IMAGE_UP, pose_vectors
from diffpose_ros.srv import ForgetPose, ListPoses, TeachPose

SPECS = (
    Spec("gallery", str, "File that stores what is taught; empty: gallery.json in the user's data folder "
         "($XDG_DATA_HOME/diffpose_ros, else ~/.local/share/diffpose_ros).", fixed=True),
    Spec("shipped", bool, "If that file does not exist yet, start with the poses of the package.",
         fixed=True),
    Spec("enter_s", float, "How long a name must be near before it becomes active, s.", 0.0, 10.0),
    Spec("leave_s", float, "How long an active name must be far before it ends, s.", 0.0, 10.0),
    Spec("leave", float, "Distance that counts as far, in radii of the name.", 1.0, 3.0),
    Spec("level_up", str, "Up in the skeletons' frame if gravity is unknown: -y for the optical frame "
         "of a roughly level camera, z for a target_frame such as base_link.", choices=("-y", "z")),
    Spec("model", str, "Lifter for pictures and videos to teach from."),
    Spec("fov", float, "Diagonal field of view of the camera that took them, degrees.", 5.0, 175.0),
)  # fmt: skip
LEVEL = {"-y": IMAGE_UP, "z": np.array([0.0, 0.0, 1.0])}
RECENT_S = 1.0
"""Who was seen in the last message, and that is no older, is in view."""


def check(values: Mapping[str, Any]) -> None:
    """Raise ConfigError when the hysteresis is none."""
    hysteresis(values)


def hysteresis(values: Mapping[str, Any]) -> Hysteresis:
    """That of the parameters."""
    return Hysteresis(values["enter_s"], values["leave_s"], values["leave"])


class PoseSearchNode(PipelineNode):
    """The node."""

    def __init__(self, **node_kwargs: Any) -> None:
        super().__init__("pose_search", SPECS, check=check, **node_kwargs)
        self._services: list[Any] = []
        self._people: People | None = None

    def setup(self) -> None:
        """Read the gallery; offer the services."""
        self._path = gallery_file.place(self.parameters["gallery"])
        self._gallery = gallery_file.begin(self._path, shipped=self.parameters["shipped"])
        self.monitor.value("gallery", f"{self._path}, {len(self._gallery)} names")
        self._results = self.publisher(PersonPosesArray, "person_poses", qos.RESULT)
        self._seen: dict[int, tuple[Skeleton, Any]] = {}
        self._seen_s = -RECENT_S
        self._people = People(self._gallery, hysteresis(self.parameters.values))
        for kind, name, callback in (
            (TeachPose, "teach", self._teach),
            (ForgetPose, "forget", self._forget),
            (ListPoses, "list", self._list),
        ):
            self._services.append(self.create_service(kind, f"~/{name}", self._answering(callback)))

    def start(self) -> None:
        """Listen to skeletons."""
        self._people = People(self._gallery, hysteresis(self.parameters.values))
        self.listen(
            Skeleton3DArray, "skeletons", self._skeletons_came, name="skeletons",
            behind_s=RESULT_BEHIND_S, depth=5, advice="the lifter does not run, or is not active",
        )  # fmt: skip

    def stop(self) -> None:
        """Nobody is in view any more."""
        self._seen = {}

    def teardown(self) -> None:
        """Take the services down."""
        services, self._services = self._services, []
        for service in services:
            self.destroy_service(service)
        self._people = None

    def parameters_changed(self, names: set[str]) -> None:
        """A new hysteresis begins with the next frame."""
        if self._people is not None and names & {"enter_s", "leave_s", "leave"}:
            self._people.rule(hysteresis(self.parameters.values))

    def _skeletons_came(self, message: Skeleton3DArray) -> None:
        assert self._people is not None
        self.hardware_id = message.header.frame_id
        stamp_ns = conversions.stamp_to_ns(message.header.stamp)
        up = self._up(message)
        self._seen, self._seen_s = {}, self._monotonic()
        result = PersonPosesArray(header=message.header, kind=self._gallery.kind.name)
        for one in message.skeletons:
            skeleton = self.read(_skeleton, one, "skeletons")
            if skeleton is None:
                continue
            matches = self.read(
                lambda s: self._people.update(stamp_ns / 1e9, s.track_id, s.xyz, up, s.covariance),  # type: ignore[union-attr]
                skeleton, "skeletons",
            )  # fmt: skip
            if matches is None:
                continue
            self._seen[skeleton.track_id] = skeleton, up
            told = [_message(match) for match in matches]
            result.people.append(
                PersonPoses(track_id=skeleton.track_id, body_frame=one.body_frame, matches=told)
            )
        self._people.forget(stamp_ns / 1e9)
        self._results.publish(result)
        self.monitor.published((self.now_ns() - stamp_ns) / 1e9)

    def _up(self, message: Skeleton3DArray) -> Any:
        known = np.array([message.up.x, message.up.y, message.up.z])
        if np.isfinite(known).all() and abs(np.linalg.norm(known) - 1) < 0.05:
            return known
        return LEVEL[self.parameters["level_up"]]

    def _teach(self, request: Any, response: Any) -> Any:
        def teach() -> str:
            lesson = Lesson(
                request.name, request.part, request.group, float(request.seconds), float(request.radius)
            )
            vectors, source = self._example(request, lesson)
            self._keep(lesson.learned(self._gallery, vectors, source))
            response.examples = len(self._gallery.find(request.name).examples)
            return f"'{request.name}' learned from {source}: example {response.examples}"

        return self._answer(response, teach)

    def _example(self, request: Any, lesson: Lesson) -> tuple[Any, str]:
        """Vectors of what the request shows, and where they are from.

        Raises:
            InputError: it shows nothing, or several things.
        """
        if request.file and request.skeleton:
            raise InputError("expected a file or a skeleton to learn from, got both")
        if request.skeleton:
            if lesson.seconds:
                raise InputError("a motion cannot be learned from one skeleton: give a file and a span")
            skeleton = _skeleton(request.skeleton[0])
            return pose_vectors(skeleton.xyz, LEVEL[self.parameters["level_up"]]), "a skeleton"
        if request.file:
            recording = recording_of(request.file, self.parameters["model"], self.parameters["fov"])
            return teaching.from_recording(
                recording, lesson, track_id=request.track_id, start=request.start, end=request.end
            )
        if self._people is None or self._monotonic() - self._seen_s > RECENT_S:
            self._seen = {}
        who = teaching.one_of(list(self._seen), request.track_id)
        skeleton, up = self._seen[who]
        if lesson.seconds:
            window = self._people.window(who, lesson.seconds)  # type: ignore[union-attr]
            if window is None:
                raise InputError(f"person {who} was not seen for the last {lesson.seconds:g} s without a gap")
            return window, f"person {who}"
        return self._people.steady(who, teaching.STEADY_S, pose_vectors(skeleton.xyz, up)), f"person {who}"  # type: ignore[union-attr]

    def _forget(self, request: Any, response: Any) -> Any:
        def forget() -> str:
            count = len(self._gallery.find(request.name).examples)
            self._keep(self._gallery.without(request.name))
            response.examples = count
            return f"'{request.name}' is forgotten, with {count} examples"

        return self._answer(response, forget)

    def _keep(self, gallery: Gallery) -> None:
        """Go on with a gallery once it is on the disk."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        gallery_file.save(self._path, gallery)
        self._gallery = gallery
        if self._people is not None:
            self._people.learn(gallery)
        self.monitor.value("gallery", f"{self._path}, {len(gallery)} names")

    def _answer(self, response: Any, do: Any) -> Any:
        try:
            response.message = do()
            response.success = True
            self.get_logger().info(response.message)
        except (DiffposeError, OSError) as error:
            response.success, response.message = False, " ".join(str(error).split())
            self.monitor.count("requests refused")
            self.get_logger().warning(f"refused: {response.message}")
        return response

    def _list(self, request: Any, response: Any) -> Any:
        taught = [one for one in self._gallery.taught if one.told]
        response.gallery, response.kind = str(self._path), self._gallery.kind.name
        response.names = [one.name for one in taught]
        response.parts = [one.part for one in taught]
        response.groups = [one.group for one in taught]
        response.seconds = [float(one.seconds) for one in taught]
        response.radii = [float(one.radius) for one in taught]
        response.examples = [len(one.examples) for one in taught]
        response.sources = [one.examples[-1].source for one in taught]
        return response


def _skeleton(message: Any) -> Skeleton:
    """A skeleton of the joints that poses are compared by.

    Raises:
        InputError: it is none.
    """
    skeleton = conversions.skeleton_from_message(message)
    if skeleton.joint_set != H36M17.name:
        raise InputError(f"skeleton: expected the joints of {H36M17.name}, got {skeleton.joint_set}")
    return skeleton


def _message(match: Match) -> PoseMatch:
    return PoseMatch(
        name=match.name, motion=match.motion, active=match.active,
        distance=min(match.distance, 1e6), confidence=match.confidence,
        lasting=conversions.seconds_to_duration(match.lasting_s),
    )  # fmt: skip


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return run_node(PoseSearchNode, args)
