"""MPI-INF-3DHP's calibration: the intrinsics of its studio cameras and of its test sequences."""

from __future__ import annotations

import numpy as np

from diffpose_ros.core import Camera, InputError

TEST_SEQUENCES = tuple(f"TS{i}" for i in range(1, 7))

# camera: focal length (x, y) px, centre (x, y) px; images of 2048 x 2048.
_STUDIO = {
    "0": (1497.693, 1497.103, 1024.704, 1051.394),
    "1": (1495.217, 1495.520, 1030.519, 1052.626),
    "2": (1495.587, 1497.828, 983.8873, 987.5902),
    "3": (1495.886, 1496.033, 1029.060, 1041.409),
    "4": (1490.952, 1491.108, 987.6075, 1019.069),
    "5": (1500.414, 1499.971, 1012.331, 998.5009),
    "6": (1498.471, 1498.800, 999.7319, 1010.251),
    "7": (1498.831, 1499.674, 987.2716, 976.8773),
    "8": (1500.172, 1500.837, 1017.387, 1043.032),
    "9": (1501.554, 1501.900, 1010.423, 1037.096),
    "10": (1498.423, 1498.585, 1041.614, 997.0433),
    "11": (1495.779, 1493.703, 1009.802, 999.9984),
    "12": (1501.326, 1501.491, 1000.560, 1014.975),
    "13": (1496.961, 1497.378, 1005.702, 1004.214),
}
# From the calibration files of the test set (mm on a sensor 10 mm wide, turned into pixels).
_OUTDOOR = (1683.98346, 1672.59371, 939.85754, 560.14074)


def camera(name: str) -> Camera:
    """Intrinsics of a studio camera (``"0"`` ... ``"13"``) or a test sequence's (``"TS1"`` ...).

    TS1 to TS4 were taken by studio camera 8, TS5 and TS6 outdoors by another; its pixels count as
    undistorted, as everyone takes them.

    Raises:
        InputError: there is no such camera.
    """
    if name in ("TS5", "TS6"):
        (fx, fy, cx, cy), size = _OUTDOOR, (1920, 1080)
    else:
        studio = "8" if name in TEST_SEQUENCES else name
        if studio not in _STUDIO:
            raise InputError(f"MPI-INF-3DHP: no camera '{name}', known are 0 to 13 and TS1 to TS6")
        (fx, fy, cx, cy), size = _STUDIO[studio], (2048, 2048)
    matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
    return Camera(matrix=matrix, width=size[0], height=size[1])
