"""The plain front end: what the detector sees in the whole image, with identities."""

import numpy as np
import pytest

from diffpose_ros.core import People2D
from diffpose_ros.frontend import FrontEnd, WholeImage
from diffpose_ros.tracking import Tracker, TrackerConfig

S = 1_000_000_000
IMAGE = np.zeros((480, 640, 3), np.uint8)


class FakeDetector:
    name, joint_set, reason = "fake", "coco17", "nothing"

    def __init__(self):
        self.closed = False

    def detect(self, rgb):
        column = np.linspace(0, 60, 17)
        xy = np.stack([column + 100, 3 * column + 50], -1)
        return People2D(xy=xy[None], score=np.full((1, 17), 0.9))

    def close(self):
        self.closed = True


@pytest.fixture
def front_end():
    return WholeImage(FakeDetector(), Tracker(TrackerConfig(min_hits=1)))


def test_it_is_a_front_end_named_as_its_detector(front_end):
    assert isinstance(front_end, FrontEnd)
    assert (front_end.name, front_end.joint_set, front_end.reason) == ("fake", "coco17", "nothing")


def test_people_keep_their_identity(front_end):
    ids = [front_end.see(IMAGE, t * S // 30).track_id.tolist() for t in range(5)]
    assert ids == [[0]] * 5
    assert set(front_end.report.stages_s) == {"detect", "track"}


def test_a_tracker_may_be_shared_so_that_identities_outlive_a_detector(front_end):
    assert front_end.see(IMAGE, 0).track_id.tolist() == [0]
    second = WholeImage(FakeDetector(), front_end.tracker)
    assert second.see(IMAGE, S // 30).track_id.tolist() == [0]


@pytest.mark.parametrize("shape", [(480, 641, 3), (200, 200, 3)])
def test_another_image_size_starts_new_identities(front_end, shape):
    front_end.see(IMAGE, 0)
    assert front_end.see(np.zeros(shape, np.uint8), S // 30).track_id.tolist() == [1]


def test_reset_starts_new_identities(front_end):
    front_end.see(IMAGE, 0)
    front_end.reset()
    assert front_end.see(IMAGE, S // 30).track_id.tolist() == [1]


def test_close_closes_the_detector(front_end):
    front_end.close()
    assert front_end.detector.closed
