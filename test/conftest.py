"""Messages of this package made without ROS, for tests of several rooms."""

import os
import shutil
import signal
import tempfile

import numpy as np
import pytest

from diffpose_ros.core import COCO17, H36M17

# Before any library reads it: two processes with two threads each are far slower than with one.
os.environ.setdefault("OMP_NUM_THREADS", "1")
NS = 10**9


def pytest_configure(config):
    """A folder for what is expensive to make, shared by all processes; signals as in a terminal."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # begun in the background of a script
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:  # begun by nohup
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if "DIFFPOSE_TEST_CACHE" not in os.environ:
        os.environ["DIFFPOSE_TEST_CACHE"] = tempfile.mkdtemp(prefix="diffpose_ros-test-")
        config.add_cleanup(lambda: shutil.rmtree(os.environ.pop("DIFFPOSE_TEST_CACHE"), ignore_errors=True))


LONGEST_FIRST = (
    "cli/test_demo_with_ros.py", "cli/test_train_export.py", "training/test_stages.py", "cli/test_bench.py",
    "training/test_calibration.py", "cli/test_ablate.py", "cli/test_results.py", "runtime/test_export.py",
    "runtime/test_tensorrt_build.py", "runtime/test_half_graphs.py", "fuzz/test_fuzz.py",
    "lifting/test_soak.py", "training/test_rollout.py", "node/test_lifecycle.py", "package/test_rooms.py",
    "runtime/test_parity.py",
)  # fmt: skip
"""Files that take ten seconds or more. Begun last, one of them keeps a single worker at work."""


def pytest_collection_modifyitems(items):
    """Long files first: processes that take one file after the other then end together."""
    rank = {name: i for i, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get("/".join(item.path.parts[-2:]), len(rank)))


class Wire:
    """Makes messages of this package without ROS, from a typestore's types."""

    def __init__(self, store):
        self.store = store

    def __call__(self, kind, /, **fields):
        return self.store.types[kind](**fields)

    def pack(self, message):
        """CDR bytes."""
        return bytes(self.store.serialize_cdr(message, message.__msgtype__))

    def header(self, stamp_ns):
        time = self("builtin_interfaces/msg/Time", sec=stamp_ns // NS, nanosec=stamp_ns % NS)
        return self("std_msgs/msg/Header", stamp=time, frame_id="cam")

    def duration(self, ns=0):
        return self("builtin_interfaces/msg/Duration", sec=ns // NS, nanosec=ns % NS)

    def keypoints(self, stamp_ns, ids):
        points = [
            self("diffpose_ros/msg/Keypoint2D", name=n, x=float(i), y=2.0 * i, score=0.5,
                 covariance=np.zeros(0))
            for i, n in enumerate(COCO17.joints)
        ]
        people = [
            self("diffpose_ros/msg/Person2D", track_id=i, age=self.duration(NS // 2), state=1,
                 score=0.75, keypoints=points)
            for i in ids
        ]  # fmt: skip
        return self("diffpose_ros/msg/Person2DArray", header=self.header(stamp_ns),
                    image_width=64, image_height=48, joint_set="coco17", detector="movenet",
                    people=people, image_topic="/diffpose/image_raw")  # fmt: skip

    def skeletons(self, stamp_ns, ids, latency_ns):
        point = self("geometry_msgs/msg/Point", x=1.0, y=0.0, z=4.0)
        joints = [
            self("diffpose_ros/msg/Joint3D", name=n, covariance=np.arange(9.0) * 1e-4, score=0.5,
                 position=self("geometry_msgs/msg/Point", x=1.0, y=0.1 * i, z=4.0),
                 orientation=self("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0),
                 orientation_covariance=np.arange(9.0) * 1e-2)
            for i, n in enumerate(H36M17.joints)
        ]  # fmt: skip
        people = [
            self("diffpose_ros/msg/Skeleton3D", header=self.header(stamp_ns), image_width=64,
                 image_height=48, joint_set="h36m17", track_id=i, age=self.duration(), state=2,
                 score=0.9, joints=joints, root=point, root_covariance=np.eye(3).reshape(-1),
                 root_is_metric=True, body_frame=f"body_{i:05d}",
                 velocity=self("geometry_msgs/msg/Vector3", x=0.5, y=0.0, z=-1.0),
                 velocity_covariance=np.eye(3).reshape(-1), contact=np.float32([0.25, 1.0]),
                 size_source=1)
            for i in ids
        ]  # fmt: skip
        return self("diffpose_ros/msg/Skeleton3DArray", header=self.header(stamp_ns),
                    image_width=64, image_height=48, joint_set="h36m17", model="starpose",
                    hypotheses=5, steps=5, latency=self.duration(latency_ns),
                    skeletons=people, up=self("geometry_msgs/msg/Vector3", x=0.0, y=-1.0, z=0.0))  # fmt: skip


@pytest.fixture(scope="session")
def store():
    pytest.importorskip("rosbags", reason="needs the rosbags package")
    from diffpose_ros.media.bag import typestore

    return typestore()


@pytest.fixture(scope="session")
def wire(store):
    return Wire(store)
