"""A recording for the Rerun viewer: image, keypoints, skeletons with their doubt, the floor, plots over time.

One entity per person, so that the viewer's streams show who was there when.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import UNKNOWN, Camera, InputError, People2D, Skeleton, Surroundings, joint_set
from diffpose_ros.core.closing import Closing
from diffpose_ros.core.colours import SIDE_COLOURS
from diffpose_ros.core.files import whole
from diffpose_ros.core.rotations import quaternions

NS = 1e-9
INSTALL = "needs rerun-sdk: pip install rerun-sdk"
JPEG_QUALITY = 80
LONGEST_SIDE = 960
"""Images are made smaller for the viewer, pixels."""
MIN_SIGMA_M = 1e-3
FLOOR_M = 5.0
"""Half of the floor's side that is shown."""
WORLD, CAMERA, PLOTS = "world", "world/camera", "plots"


def check_installed() -> None:
    """Raise InputError when the Rerun SDK is missing."""
    if importlib.util.find_spec("rerun") is None:
        raise InputError(f"--view {INSTALL}")


class RerunFile(Closing):
    """Collects frames into ``path``, which appears whole or not at all.

    Args:
        path: the ``.rrd`` file.
        title: what the viewer calls it.

    Raises:
        InputError: the SDK is missing, or the file cannot be written.
    """

    def __init__(self, path: Path, *, title: str = "diffpose_ros") -> None:
        check_installed()
        import rerun

        self._rr = rerun
        self._stack = contextlib.ExitStack()
        part = self._stack.enter_context(whole(path))
        self._stream = rerun.RecordingStream(title, send_properties=False)
        self._stream.save(part, default_blueprint=_blueprint())
        self._stream.log(WORLD, rerun.ViewCoordinates.RDF, static=True)
        self._seen: set[int] = set()
        self._floor = False

    def add(
        self, image: NDArray[np.uint8], people: People2D, skeletons: Sequence[Skeleton], stamp_ns: int,
        camera: Camera, around: Surroundings = UNKNOWN,
    ) -> None:  # fmt: skip
        """One frame.

        Args:
            image: (H, W, 3) RGB.
            people: in the image's pixels.
            skeletons: in the camera's optical frame.
            stamp_ns: of the image.
            camera: what took it.
            around: gravity and the floor.
        """
        rr = self._rr
        self._stream.set_time("time", duration=stamp_ns * NS)
        scale = min(1.0, LONGEST_SIDE / max(image.shape[:2]))
        matrix = np.diag([scale, scale, 1.0]) @ camera.matrix
        size = [round(image.shape[1] * scale), round(image.shape[0] * scale)]
        self._stream.log(CAMERA, rr.Pinhole(image_from_camera=matrix, resolution=size))
        self._stream.log(
            f"{CAMERA}/image", rr.EncodedImage(contents=_jpeg(image, size), media_type="image/jpeg")
        )
        self._keypoints(people, scale)
        if around.up is not None and around.camera_height is not None and not self._floor:
            self._draw_floor(np.asarray(around.up), float(around.camera_height))
        here = set()
        for one in skeletons:
            here.add(one.track_id)
            self._person(one)
        for gone in self._seen - here:
            self._stream.log(f"{WORLD}/people/{gone}", rr.Clear(recursive=True))
        self._seen = here

    def _keypoints(self, people: People2D, scale: float) -> None:
        rr, joints = self._rr, joint_set(people.joint_set)
        points, colours, lines = [], [], []
        for xy, score in zip(people.xy * scale, people.score, strict=True):
            seen = np.flatnonzero(score > 0)
            points += xy[seen].tolist()
            colours += [SIDE_COLOURS[joints.side(int(j))] for j in seen]
            lines += [
                [xy[a].tolist(), xy[b].tolist()] for a, b in joints.bones if score[a] > 0 and score[b] > 0
            ]
        self._stream.log(f"{CAMERA}/keypoints", rr.Points2D(points, colors=colours, radii=3.0))
        self._stream.log(f"{CAMERA}/bones", rr.LineStrips2D(lines, colors=[(255, 255, 255, 120)]))

    def _person(self, one: Skeleton) -> None:
        rr, joints, name = self._rr, joint_set(one.joint_set), f"{WORLD}/people/{one.track_id}"
        colours = [SIDE_COLOURS[joints.side(j)] for j in range(len(joints))]
        label = f"{one.track_id}: {np.linalg.norm(one.root):.1f} m"
        self._stream.log(f"{name}/joints", rr.Points3D(one.xyz, colors=colours, radii=0.025))
        self._stream.log(f"{name}/label", rr.Points3D([one.xyz.mean(axis=0)], labels=[label], radii=0.001))
        bones = [(one.xyz[a], one.xyz[b]) for a, b in joints.bones]
        sides = [SIDE_COLOURS[joints.bone_side(a, b)] for a, b in joints.bones]
        self._stream.log(f"{name}/bones", rr.LineStrips3D(bones, colors=sides, radii=0.012))
        values, vectors = np.linalg.eigh(one.covariance)
        vectors[..., 0] *= np.sign(np.linalg.det(vectors))[:, None]
        sigma = np.maximum(np.sqrt(np.maximum(values, 0.0)), MIN_SIGMA_M)
        self._stream.log(
            f"{name}/one_sigma",
            rr.Ellipsoids3D(
                centers=one.xyz, half_sizes=sigma, quaternions=quaternions(vectors),
                colors=[(*colour, 60) for colour in colours], fill_mode="solid",
            ),
        )  # fmt: skip
        self._stream.log(f"{PLOTS}/distance/{one.track_id}", rr.Scalars(float(np.linalg.norm(one.root))))
        self._stream.log(f"{PLOTS}/tracked/{one.track_id}", rr.Scalars(float(one.track_id)))
        if np.isfinite(one.velocity).all():
            speed = float(np.linalg.norm(one.velocity))
            self._stream.log(f"{PLOTS}/speed/{one.track_id}", rr.Scalars(speed))
            arrow = rr.Arrows3D(origins=[one.root], vectors=[0.5 * one.velocity], colors=[(255, 220, 60)])
            self._stream.log(f"{name}/velocity", arrow)

    def _draw_floor(self, up: NDArray[np.float64], height: float) -> None:
        """A grid of one metre below the camera."""
        up = up / np.linalg.norm(up)
        ahead = np.array([0.0, 0.0, 1.0]) - up[2] * up
        if np.linalg.norm(ahead) < 1e-6:  # it looks straight down
            return
        ahead = ahead / np.linalg.norm(ahead)
        right, below = np.cross(ahead, up), -height * up
        steps = np.arange(-FLOOR_M, FLOOR_M + 1)
        lines = []
        for k in steps:
            lines.append([below + k * right + (FLOOR_M + s) * ahead for s in (-FLOOR_M, FLOOR_M)])
            lines.append([below + s * right + (FLOOR_M + k) * ahead for s in (-FLOOR_M, FLOOR_M)])
        self._stream.log(f"{WORLD}/floor", self._rr.LineStrips3D(lines, colors=[(90, 110, 130)]), static=True)
        self._floor = True

    def leave(self, well: bool) -> None:
        """Close the file; what an error cut short is removed."""
        self._stream.flush()
        self._stream.disconnect()
        if well:
            self._stack.close()
            return
        with contextlib.suppress(_CutShortError):
            self._stack.__exit__(_CutShortError, _CutShortError(), None)


class _CutShortError(Exception):
    """Makes ``whole`` remove the part."""


def show(path: Path) -> bool:
    """Open the viewer on a file where there is a screen; it goes on when this process ends."""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.Popen([sys.executable, "-m", "rerun", str(path)], start_new_session=True, **quiet)
    return True


def _jpeg(image: NDArray[np.uint8], size: Sequence[int]) -> bytes:
    small = (
        image
        if image.shape[1::-1] == tuple(size)
        else cv2.resize(image, tuple(size), interpolation=cv2.INTER_AREA)
    )
    _, data = cv2.imencode(
        ".jpg", np.ascontiguousarray(small[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    )
    return bytes(data)


def _blueprint() -> Any:
    from rerun import blueprint as rrb

    plots = [
        rrb.TimeSeriesView(origin=f"/{PLOTS}/{name}", name=title)
        for name, title in (("distance", "distance, m"), ("speed", "speed, m/s"), ("tracked", "tracks"))
    ]
    return rrb.Blueprint(
        rrb.Horizontal(
            rrb.Vertical(
                rrb.Spatial2DView(origin=f"/{CAMERA}", name="image"), rrb.Tabs(*plots), row_shares=[2, 1]
            ),
            rrb.Spatial3DView(origin=f"/{WORLD}", name="skeletons, one sigma"),
            column_shares=[1, 1],
        ),
        collapse_panels=True,
    )
