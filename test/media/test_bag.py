"""Bags: what was written comes out again, through readers that know nothing of the writer."""

import contextlib
import json

import numpy as np
import pytest

from diffpose_ros.core import InputError

pytest.importorskip("rosbags", reason="needs the rosbags package")

from rosbags.rosbag2 import Reader

from diffpose_ros.media.bag import BagWriter, message_folder, typestore

TOPICS = {
    "/diffpose/image_raw/compressed": "sensor_msgs/msg/CompressedImage",
    "/diffpose/skeletons": "diffpose_ros/msg/Skeleton3DArray",
    "/diffpose/keypoints": "diffpose_ros/msg/Person2DArray",
    "/diffpose/markers": "visualization_msgs/msg/MarkerArray",
}


def header(types, stamp_ns):
    time = types["builtin_interfaces/msg/Time"](sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    return types["std_msgs/msg/Header"](stamp=time, frame_id="camera_optical_frame")


def skeletons(types, stamp_ns):
    duration = types["builtin_interfaces/msg/Duration"](sec=0, nanosec=5)
    point = types["geometry_msgs/msg/Point"](x=1.0, y=2.0, z=3.0)
    joint = types["diffpose_ros/msg/Joint3D"](
        name="hip", position=point, covariance=np.arange(9.0), score=0.5,
        orientation=types["geometry_msgs/msg/Quaternion"](x=0.0, y=0.0, z=0.0, w=1.0),
        orientation_covariance=np.arange(9.0),
    )  # fmt: skip
    person = types["diffpose_ros/msg/Skeleton3D"](
        header=header(types, stamp_ns), image_width=64, image_height=48, joint_set="h36m17",
        track_id=7, age=duration, state=1, score=0.9, joints=[joint], root=point,
        root_covariance=np.zeros(9), root_is_metric=False, body_frame="body_00007",
        velocity=types["geometry_msgs/msg/Vector3"](x=1.0, y=2.0, z=3.0),
        velocity_covariance=np.zeros(9), contact=np.zeros(2, dtype=np.float32), size_source=0,
    )  # fmt: skip
    return types["diffpose_ros/msg/Skeleton3DArray"](
        header=header(types, stamp_ns), image_width=64, image_height=48, joint_set="h36m17",
        model="starpose", hypotheses=5, steps=5, latency=duration, skeletons=[person],
        up=types["geometry_msgs/msg/Vector3"](x=0.0, y=-1.0, z=0.0),
    )  # fmt: skip


@pytest.fixture
def bag(tmp_path):
    image = np.zeros((48, 64, 3), np.uint8)
    image[:, 32:] = (250, 10, 20)
    path = tmp_path / "out" / "demo"
    with BagWriter(path, TOPICS) as writer:
        for i in range(3):
            stamp = 1_700_000_000_000_000_123 + i * 33_000_000
            writer.write_image("/diffpose/image_raw/compressed", stamp, "cam", image)
            message = skeletons(writer.store.types, stamp)
            writer.write_message("/diffpose/skeletons", stamp + 5_000_000, message)
    return path


def test_the_folder_is_what_rosbag2_expects(bag):
    assert sorted(p.name for p in bag.iterdir()) == ["demo.mcap", "metadata.yaml"]
    assert "storage_identifier: mcap" in (bag / "metadata.yaml").read_text()


def test_messages_come_out_as_they_went_in(bag):
    store = typestore()
    with Reader(bag) as reader:
        rows = [(c.topic, t, store.deserialize_cdr(d, c.msgtype)) for c, t, d in reader.messages()]
    skeleton_rows = [r for r in rows if r[0] == "/diffpose/skeletons"]
    assert len(skeleton_rows) == 3
    _, received_ns, message = skeleton_rows[0]
    assert received_ns == 1_700_000_000_005_000_123
    assert message.header.stamp.nanosec == 123
    person = message.skeletons[0]
    assert (person.track_id, person.joints[0].name) == (7, "hip")
    assert person.joints[0].covariance.tolist() == list(range(9))


def test_images_are_jpegs_of_the_right_colour(bag):
    import cv2

    store = typestore()
    with Reader(bag) as reader:
        connection, _, data = next(reader.messages())
        image = store.deserialize_cdr(data, connection.msgtype)
    assert (image.format, image.header.frame_id) == ("jpeg", "cam")
    bgr = cv2.imdecode(np.asarray(image.data), cv2.IMREAD_COLOR)
    assert bgr[24, 50].astype(int) == pytest.approx([20, 10, 250], abs=12)


def test_a_generic_mcap_reader_finds_whole_schemas(bag):
    """Foxglove reads schemas out of the file: they must carry the nested types."""
    mcap = pytest.importorskip("mcap.reader", reason="needs the mcap package")
    with (bag / "demo.mcap").open("rb") as stream:
        summary = mcap.make_reader(stream).get_summary()
    schemas = {s.name: s for s in summary.schemas.values()}
    schema = schemas["diffpose_ros/msg/Skeleton3DArray"]
    assert schema.encoding == "ros2msg"
    text = schema.data.decode()
    for nested in ("diffpose_ros/Skeleton3D", "diffpose_ros/Joint3D", "std_msgs/Header"):
        assert f"MSG: {nested}\n" in text


def test_the_mcap_project_decodes_our_messages(bag):
    factory = pytest.importorskip("mcap_ros2.decoder", reason="needs the mcap-ros2-support package")
    mcap = pytest.importorskip("mcap.reader", reason="needs the mcap package")
    with (bag / "demo.mcap").open("rb") as stream:
        reader = mcap.make_reader(stream, decoder_factories=[factory.DecoderFactory()])
        decoded = [m for *_, m in reader.iter_decoded_messages(topics=["/diffpose/skeletons"])]
    assert [m.skeletons[0].joints[0].position.z for m in decoded] == [3.0] * 3


def test_an_old_bag_is_replaced(bag):
    with BagWriter(bag, {"/tf": "tf2_msgs/msg/TFMessage"}):
        pass
    with Reader(bag) as reader:
        assert [c.topic for c in reader.connections] == ["/tf"]


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("dear")
    with pytest.raises(InputError, match="exists and is not a bag of"):
        BagWriter(tmp_path, TOPICS)
    assert (tmp_path / "thesis.txt").exists()


def test_an_unknown_type_is_named(tmp_path):
    with pytest.raises(InputError, match="unknown message type diffpose_ros/msg/Ghost"):
        BagWriter(tmp_path / "b", {"/x": "diffpose_ros/msg/Ghost"})


def test_every_message_of_the_package_is_known():
    known = typestore().types
    names = {p.stem for p in message_folder().glob("*.msg")}
    assert {"Skeleton3DArray", "Person2DArray"} <= names
    assert all(f"diffpose_ros/msg/{n}" in known for n in names), json.dumps(sorted(names))


def test_a_bag_that_ends_with_an_error_stays_under_another_name(bag, tmp_path):
    before = (bag / "demo.mcap").read_bytes()

    def fail():
        with BagWriter(bag, TOPICS) as writer:
            message = skeletons(writer.store.types, 10**18)
            writer.write_message("/diffpose/skeletons", 10**18, message)
            raise RuntimeError("power")

    with pytest.raises(RuntimeError):
        fail()
    assert (bag / "demo.mcap").read_bytes() == before
    with Reader(bag.with_name("demo.partial")) as reader:
        assert reader.message_count == 1
    assert sorted(p.name for p in bag.parent.iterdir()) == ["demo", "demo.partial"]


def test_a_killed_bag_opens_up_to_its_last_chunk(tmp_path):
    """``kill -9`` in the middle: what a reader of streams gets out of the file."""
    import subprocess
    import sys

    mcap = pytest.importorskip("mcap.stream_reader", reason="needs the mcap package")
    code = f"""
import os, signal
from diffpose_ros.media.bag import BagWriter
writer = BagWriter({str(tmp_path / "run")!r}, {{"/x": "sensor_msgs/msg/CompressedImage"}})
for i in range(30):
    writer.write("/x", i, bytes(200_000))
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], timeout=120, check=False)
    assert done.returncode == -9
    (file,) = tmp_path.glob("**/*.mcap")
    found = []
    with file.open("rb") as stream, contextlib.suppress(Exception):
        for record in mcap.StreamReader(stream).records:
            if type(record).__name__ == "Message":
                found.append(record.log_time)
    assert found == list(range(len(found)))
    assert len(found) >= 24


def test_a_full_disk_is_named(tmp_path):
    import resource
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with BagWriter(tmp_path / "b", {"/x": "sensor_msgs/msg/CompressedImage"}) as writer:
        writer.write("/x", 0, b"before")
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
            with pytest.raises(InputError, match="b: cannot be written"):
                writer.write("/x", 1, bytes(2_000_000))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)
        writer.discard()
    assert list(tmp_path.iterdir()) == []
