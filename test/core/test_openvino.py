"""One core of OpenVINO per process, so that a signal finds the stack it is handled on."""

import subprocess
import sys

import pytest

from diffpose_ros.frontend.detectors.movenet import bundled_model

pytest.importorskip("openvino", reason="openvino is not installed")

USE_AND_DROP_IN_A_THREAD = """
import faulthandler, gc, os, signal, sys, threading
from pathlib import Path

faulthandler.enable()  # as pytest and many launchers do: Python's handlers run on a stack of their own
caught = []
signal.signal(signal.SIGUSR1, lambda *_: caught.append(1))

def network():
    from diffpose_ros.frontend.networks import OpenVinoNetwork
    from diffpose_ros.frontend.detectors.movenet import bundled_model
    import numpy as np
    net = OpenVinoNetwork(bundled_model(), 1, "", owner="test")
    net.run(np.zeros((1, 64, 64, 3), np.int32))
    return net

def capabilities():
    from diffpose_ros.frontend.networks import cpu_capabilities
    return cpu_capabilities()

users = [network(), capabilities()]

def drop():
    users.clear()
    gc.collect()

thread = threading.Thread(target=drop)
thread.start()
thread.join()
os.kill(os.getpid(), signal.SIGUSR1)
assert caught == [1]
"""


@pytest.mark.skipif(
    not bundled_model().is_file(), reason=f"the MoveNet weights are missing: {bundled_model()}"
)
def test_a_signal_after_another_thread_dropped_the_last_model_is_handled():
    done = subprocess.run(
        [sys.executable, "-c", USE_AND_DROP_IN_A_THREAD], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
