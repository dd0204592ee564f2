"""Reading skeletons from bags."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="rosbags is not installed (requirements/demo.txt)")

from diffpose_ros.core import InputError
from diffpose_ros.core.joints import H36M17
from diffpose_ros.media.bag import BagWriter
from diffpose_ros.media.bag_reader import TYPE, is_bag, read_skeletons

NS = 1_000_000_000


def array(store, stamp_ns: int, poses: dict[int, np.ndarray], up=(0.0, -1.0, 0.0)):
    """A Skeleton3DArray of these people."""
    kinds = store.types
    point, vector = kinds["geometry_msgs/msg/Point"], kinds["geometry_msgs/msg/Vector3"]
    header = kinds["std_msgs/msg/Header"](
        kinds["builtin_interfaces/msg/Time"](stamp_ns // NS, stamp_ns % NS), "cam"
    )
    zero, turn = vector(0.0, 0.0, 0.0), kinds["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0)
    span = kinds["builtin_interfaces/msg/Duration"](0, 0)
    nine = np.zeros(9)
    known = SimpleNamespace(
        header=header, image_width=9, image_height=9, joint_set="h36m17", age=span, state=1, score=1.0,
        root=point(0.0, 0.0, 0.0), root_covariance=nine, root_is_metric=False, body_frame="", velocity=zero,
        velocity_covariance=nine, contact=np.zeros(2, np.float32), size_source=0, model="m", hypotheses=1,
        steps=1, latency=span, up=vector(*up),
    )  # fmt: skip

    def make(kind: str, **more):
        cls = kinds[f"diffpose_ros/msg/{kind}"]
        fields = [f for f in cls.__dataclass_fields__ if not f.startswith("_") and not f[0].isupper()]
        return cls(**{f: more[f] if f in more else getattr(known, f) for f in fields})

    people = [
        make("Skeleton3D", track_id=track, joints=[
            make("Joint3D", name=n, position=point(*map(float, p)), covariance=nine, orientation=turn,
                 orientation_covariance=nine)
            for n, p in zip(H36M17.joints, pose, strict=True)
        ])
        for track, pose in poses.items()
    ]  # fmt: skip
    return make("Skeleton3DArray", skeletons=people)


def test_everyone_in_a_bag_is_read(tmp_path) -> None:
    pose = np.arange(51.0).reshape(17, 3)
    with BagWriter(tmp_path / "walk", {"/d/skeletons": TYPE, "/tf": "tf2_msgs/msg/TFMessage"}) as bag:
        bag.write_message("/d/skeletons", NS, array(bag.store, NS, {4: pose, 7: pose + 1}))
        bag.write_message("/d/skeletons", 2 * NS, array(bag.store, 2 * NS, {}))
        last = array(bag.store, 3 * NS, {4: pose}, up=(0.0, 0.0, 0.0))
        bag.write_message("/d/skeletons", 3 * NS, last)
        bag.finish()
    assert is_bag(tmp_path / "walk") and not is_bag(tmp_path)
    read = read_skeletons(tmp_path / "walk")
    assert read["stamp_s"].tolist() == [1.0, 1.0, 3.0] and read["frame"].tolist() == [0, 0, 2]
    assert read["track_id"].tolist() == [4, 7, 4] and np.array_equal(read["xyz"][1], pose + 1)
    assert read["up"][0].tolist() == [0, -1, 0] and np.isnan(read["up"][2]).all()


def test_a_bag_without_skeletons_says_what_it_has(tmp_path) -> None:
    with BagWriter(tmp_path / "b", {"/tf": "tf2_msgs/msg/TFMessage"}) as bag:
        tf = bag.store.types["tf2_msgs/msg/TFMessage"](transforms=[])
        bag.write_message("/tf", NS, tf)
        bag.finish()
    with pytest.raises(InputError, match=r"expected a topic of .*Skeleton3DArray, its topics are /tf"):
        read_skeletons(tmp_path / "b")


def test_a_damaged_bag_is_refused_by_name(tmp_path) -> None:
    with BagWriter(tmp_path / "b", {"/s": TYPE}) as bag:
        bag.write_message("/s", NS, array(bag.store, NS, {1: np.zeros((17, 3))}))
        bag.finish()
    file = next((tmp_path / "b").glob("*.mcap"))
    raw = file.read_bytes()
    for broken in (raw[: len(raw) // 2], b"", b"nonsense" * 50):
        file.write_bytes(broken)
        with pytest.raises(InputError, match="/b: is no bag that can be read"):
            read_skeletons(tmp_path / "b")
    (tmp_path / "b" / "metadata.yaml").write_text("- 1")
    with pytest.raises(InputError, match="/b: is no bag that can be read"):
        read_skeletons(tmp_path / "b")
