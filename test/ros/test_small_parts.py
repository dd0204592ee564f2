"""Throttle, worker, primary person, diagnostics: the parts that need no ROS."""

from __future__ import annotations

import platform
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from diffpose_ros.core import Skeleton, TrackState
from diffpose_ros.ros.diagnostics import ERROR, OK, WARN, Monitor, report
from diffpose_ros.ros.primary import PrimaryPerson
from diffpose_ros.ros.throttle import MAX_KEYS, MAX_TEXT, Throttle, one_line
from diffpose_ros.ros.worker import NewestWorker


def test_throttle_lets_one_line_a_period_through_and_counts_the_rest():
    throttle = Throttle(period_s=5.0)
    assert throttle("a", 0.0) == 0
    assert throttle("a", 1.0) is None
    assert throttle("a", 4.9) is None
    assert throttle("b", 1.0) == 0
    assert throttle("a", 5.0) == 2
    assert throttle("a", 10.0) == 0


def test_throttle_forgets_old_keys():
    throttle = Throttle()
    for i in range(10 * MAX_KEYS):
        throttle(f"key {i}", 0.0)
    assert len(throttle._last) == MAX_KEYS


def test_what_others_send_stays_one_line_of_a_bearable_length():
    assert one_line("expected rgb8,\n got\t'x'") == "expected rgb8, got 'x'"
    assert len(one_line("x" * 100_000)) == MAX_TEXT + 3


def test_worker_takes_the_newest_and_skips_the_rest():
    started, free, done = threading.Event(), threading.Event(), []

    def work(item):
        started.set()
        free.wait(5.0)
        done.append(item)

    worker = NewestWorker(work, on_error=pytest.fail)
    assert worker.offer(1) is False
    assert started.wait(5.0)
    assert [worker.offer(i) for i in (2, 3, 4)] == [False, True, True]
    free.set()
    _wait(lambda: len(done) == 2)
    assert done == [1, 4]
    assert worker.close()
    assert worker.offer(5) is False


def test_worker_outlives_an_error():
    errors, done = [], []

    def work(item):
        if item == "bad":
            raise ValueError(item)
        done.append(item)

    worker = NewestWorker(work, on_error=errors.append)
    worker.offer("bad")
    _wait(lambda: errors)
    worker.offer("good")
    _wait(lambda: done)
    assert [str(e) for e in errors] == ["bad"]
    assert worker.close()


def test_worker_says_when_it_is_stuck():
    free = threading.Event()
    worker = NewestWorker(lambda item: free.wait(5.0), on_error=pytest.fail)
    worker.offer(1)
    time.sleep(0.05)
    assert worker.close(timeout_s=0.05) is False
    free.set()


def _person(track_id, depth, state=TrackState.TRACKED):
    return Skeleton(
        xyz=np.zeros((17, 3)),
        covariance=np.zeros((17, 3, 3)),
        score=np.ones(17),
        root=np.array([0, 0, depth]),
        root_is_metric=False,
        track_id=track_id,
        state=state,
    )


def test_primary_person_is_the_nearest_and_stays():
    choose = PrimaryPerson()
    assert choose([]) is None
    assert choose([_person(1, 4.0), _person(2, 2.0)]).track_id == 2
    assert choose([_person(1, 1.0), _person(2, 3.0)]).track_id == 2
    assert choose([_person(1, 1.0), _person(3, 0.5, TrackState.OCCLUDED)]).track_id == 1
    assert choose([]) is None
    assert choose([_person(1, 5.0), _person(4, 2.0)]).track_id == 4


def test_diagnostic_is_a_function_of_the_status():
    now = 100.0
    monitor = Monitor(lambda: now)
    monitor.set_state("active")
    assert report(monitor.status(), now).level == OK
    assert report(monitor.status(), now).message == "active"
    monitor.value("enabled", "false")  # others blame this node for their silence
    assert report(monitor.status(), now).message == "active, disabled: ~/enable was called with false"
    monitor.value("enabled", "true")
    assert report(monitor.status(), now).message == "active"
    monitor.problem("camera", "no camera_info")
    monitor.problem("network", "gave NaN", level=ERROR)
    result = report(monitor.status(), now)
    assert (result.level, result.message) == (ERROR, "gave NaN")
    assert ("problem: camera", "1 x no camera_info") in result.values


def test_a_problem_passes_but_a_sticky_one_stays():
    now = [0.0]
    monitor = Monitor(lambda: now[0])
    monitor.problem("input", "bad image")
    monitor.problem("transition", "configure failed", level=ERROR, sticky=True)
    now[0] = 60.0
    result = report(monitor.status(), now[0])
    assert (result.level, result.message) == (ERROR, "configure failed")
    monitor.clear("transition")
    assert report(monitor.status(), now[0]).level == OK


def test_ages_and_rate_are_shown():
    now = [0.0]
    monitor = Monitor(lambda: now[0])
    for i in range(61):
        now[0] = i / 30
        monitor.published(0.050 if i else 0.2)
    values = dict(report(monitor.status(), now[0]).values)
    assert values["rate_hz"] == "30.0"
    assert values["age_p50_ms"] == "50.0"
    assert float(values["age_p99_ms"]) > 100
    assert values["published"] == "61"
    now[0] += 60
    assert dict(report(monitor.status(), now[0]).values)["rate_hz"] == "0.0"


def test_memory_of_problems_is_cleared_by_a_reset():
    monitor = Monitor(lambda: 0.0)
    monitor.count("images")
    monitor.problem("input", "bad", level=WARN)
    monitor.reset()
    assert monitor.status().counters == {}
    assert monitor.status().problems == {}


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc's mallopt")
def test_image_sized_blocks_are_kept_by_the_process():
    code = """
import resource, numpy as np
from diffpose_ros.ros.malloc import reuse_large_blocks
assert reuse_large_blocks()
for i in range(60):
    if i == 10:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    image = np.ones((1080, 1920, 3), np.uint8)
    copy = image.copy()
    del image, copy
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    # by default 48,000: two times 1,500 pages in most of the 50 rounds
    assert int(done.stdout) < 5_000


def _wait(condition):
    end = time.monotonic() + 5.0
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)
