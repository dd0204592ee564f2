"""Hours of people coming and going leave memory where it was."""

import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor

import pytest

pytest.importorskip("onnx", reason="needs the Python package onnx to make a test graph")

from soaking import soak


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_ten_people_coming_and_going_leave_memory_flat(model, camera):
    # In a process of its own: what other tests leave behind comes and goes as well.
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh) as pool:
        grown, remembered = pool.submit(soak, model, camera).result(timeout=300)
    assert grown < 1.0  # 2 kB a frame
    assert remembered <= 12
