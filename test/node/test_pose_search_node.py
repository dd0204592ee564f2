"""The pose_search node: teach, forget, list, tell; refusals by name, the gallery safe."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("diffpose_ros.srv", reason="the package's services are not built")

from dataclasses import replace

from diffpose_ros.msg import PersonPosesArray
from diffpose_ros.srv import ForgetPose, ListPoses, TeachPose

from diffpose_ros.core.joints import H36M17
from diffpose_ros.nodes.pose_search import PoseSearchNode
from diffpose_ros.ros.conversions import skeleton_to_message, skeletons_to_message, stamp_to_ns
from diffpose_ros.search import gallery_file

UP = np.array([0.0, -1.0, 0.0])
SKELETONS = "/diffpose/skeletons"


def arms_up(kit, track_id=0):
    one = kit.skeleton(track_id)
    xyz = one.xyz.copy()
    for joint, height in (
        ("left_elbow", 0.8),
        ("left_wrist", 1.05),
        ("right_elbow", 0.8),
        ("right_wrist", 1.05),
    ):
        xyz[H36M17.index(joint), 1] = one.root[1] - height
    return replace(one, xyz=xyz)


def message(kit, *people, stamp_ns=1_000_000_000, up=UP):
    return skeletons_to_message(
        people, kit.header(stamp_ns), width=320, height=240, model="fake", hypotheses=5, steps=5,
        latency_s=0.01, up=up,
    )  # fmt: skip


def example(kit):
    return skeleton_to_message(kit.skeleton(), kit.header(), width=9, height=9)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mine" / "gallery.json"


def make(bench, path, **more):
    return bench.add(PoseSearchNode, **{"gallery": str(path), "shipped": False, "enter_s": 0.0, **more})


def ask(bench, kind, service, **fields):
    client = bench.peer.create_client(kind, f"/diffpose/pose_search/{service}")
    assert client.wait_for_service(10.0)
    future = client.call_async(kind.Request(**fields))
    assert bench.spin(future.done)
    bench.peer.destroy_client(client)
    return future.result()


def show(bench, kit, *people, frames=4, start_ns=1_000_000_000):
    """Some frames of these people; what the node says of the last."""
    heard = bench.listen(PersonPosesArray, "/diffpose/person_poses")
    stamps = [start_ns + k * 33_000_000 for k in range(frames)]
    for stamp_ns in stamps:
        bench.publish(SKELETONS, message(kit, *people, stamp_ns=stamp_ns))
    assert bench.spin(lambda: heard and stamp_to_ns(heard[-1].header.stamp) == stamps[-1])
    return heard[-1]


def test_somebody_in_view_teaches_and_is_told_after_a_restart_too(bench, kit, path):
    node = make(bench, path)
    assert show(bench, kit, arms_up(kit)).people[0].matches == []
    answer = ask(bench, TeachPose, "teach", name="hurrah", part="arms")
    assert answer.success and answer.examples == 1, answer.message
    told = show(bench, kit, arms_up(kit), start_ns=2_000_000_000)
    (match,) = told.people[0].matches
    assert told.kind == "lifted_pose" and told.people[0].body_frame == "body_aaaaa"
    assert match.name == "hurrah" and match.active and match.distance < 0.01 and match.confidence > 0.9
    late = show(bench, kit, kit.skeleton(0), frames=20, start_ns=3_000_000_000)
    assert not [m for m in late.people[0].matches if m.active]
    listed = ask(bench, ListPoses, "list")
    assert (list(listed.names), list(listed.parts), list(listed.examples)) == (["hurrah"], ["arms"], [1])
    assert listed.gallery == str(path) and listed.sources == ["person 0"]

    node.close()
    bench.executor.remove_node(node)
    bench.nodes.remove(node)
    make(bench, path)
    assert list(ask(bench, ListPoses, "list").names) == ["hurrah"]
    assert ask(bench, ForgetPose, "forget", name="hurrah").success
    assert gallery_file.load(path).names == ()


@pytest.mark.parametrize(
    ("people", "fields", "text"),
    [
        (0, {}, "nobody is in view"),
        (2, {}, "2 people are in view (track ids 0, 1): say which by track_id"),
        (1, {"track_id": 7}, "no person 7 is in view, but 0"),
        (1, {"name": ""}, "name: expected 1 to 64 printable characters"),
        (1, {"part": "tail"}, "part: expected one of whole body"),
        (1, {"seconds": 2.0}, "person 0 was not seen for the last 2 s"),
        (1, {"radius": float("nan")}, "radius of 'a': expected 0.01 to 1 m"),
        (1, {"file": "/nowhere/a.npz"}, "/nowhere/a.npz: no such file"),
        (1, {"file": "/nowhere/a.jpg"}, "/nowhere/a.jpg"),
        (1, {"file": "rtsp://x/y"}, "expected a file to learn from, got a live source"),
    ],
)  # fmt: skip
def test_a_lesson_that_is_none_is_refused_and_nothing_changes(bench, kit, path, people, fields, text):
    node = make(bench, path)
    show(bench, kit, *(kit.skeleton(i) for i in range(people)), frames=1)
    answer = ask(bench, TeachPose, "teach", **{"name": "a", **fields})
    assert not answer.success and text in answer.message
    assert not path.exists() and len(node._gallery) == 0
    assert ask(bench, TeachPose, "teach", name="b", skeleton=[example(kit)]).success


def test_a_disk_that_refuses_loses_nothing(bench, kit, path, monkeypatch):
    make(bench, path)
    show(bench, kit, kit.skeleton(0))
    assert ask(bench, TeachPose, "teach", name="a").success
    before = path.read_text()

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(gallery_file, "save", full)
    answer = ask(bench, TeachPose, "teach", name="b", skeleton=[example(kit)])
    assert not answer.success and "No space left" in answer.message
    assert path.read_text() == before
    assert list(ask(bench, ListPoses, "list").names) == ["a"]


def test_forgetting_what_was_not_taught_says_what_was(bench, path):
    make(bench, path, shipped=True)
    answer = ask(bench, ForgetPose, "forget", name="moonwalk")
    assert (
        not answer.success
        and "'moonwalk' was not taught; the gallery holds standing, sitting" in answer.message
    )


def test_a_recording_teaches(bench, kit, path, tmp_path):
    make(bench, path)
    one = arms_up(kit)
    np.savez(
        tmp_path / "o.npz", stamps=np.arange(30) / 30, frame=np.arange(30), track_id=np.zeros(30, int),
        skeleton=np.tile(one.xyz, (30, 1, 1)), joint_names=np.array(H36M17.joints),
    )  # fmt: skip
    answer = ask(bench, TeachPose, "teach", name="up", part="arms", file=str(tmp_path / "o.npz"), start=0.2)
    assert answer.success and "o.npz at 0.6" in answer.message
    assert show(bench, kit, one).people[0].matches[0].name == "up"


def test_a_gallery_of_another_version_fails_the_configuration_by_name(bench, path):
    path.parent.mkdir()
    path.write_text(json.dumps({"format": gallery_file.FORMAT, "version": 9}))
    node = bench.add(PoseSearchNode, start=False, gallery=str(path))
    assert not node.autostart()
    assert "is a gallery of version 9" in node.monitor.status().problems["transition"].text
    path.unlink()
    assert node.autostart()


def test_broken_skeletons_are_left_out_and_the_rest_is_told(bench, kit, path):
    node = make(bench, path, shipped=True)
    bad = message(kit, kit.skeleton(0), kit.skeleton(1), kit.skeleton(2))
    bad.skeletons[0].joints[3].position.x = float("nan")
    for joint in bad.skeletons[1].joints:
        joint.position.x = joint.position.y = joint.position.z = 1.0
    heard = bench.listen(PersonPosesArray, "/diffpose/person_poses")
    bench.publish(SKELETONS, bad)
    assert bench.spin(lambda: heard)
    assert [p.track_id for p in heard[-1].people] == [2]
    assert "skeletons" in node.monitor.status().problems
