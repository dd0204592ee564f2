"""A small 3D view: skeletons in their absolute places over a ground grid, the camera going round.

Painter's algorithm over lines; perspective; nothing but OpenCV needed. The scene is the optical
frame of the camera that saw the people (x right, y down, z forward), and "up" is that camera's up,
since nothing tells gravity.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import Skeleton, joint_set
from diffpose_ros.core.colours import SIDE_COLOURS, Colour
from diffpose_ros.media import drawing
from diffpose_ros.media.drawing import Image

BACKGROUND_TOP: Colour = (30, 35, 44)
BACKGROUND_BOTTOM: Colour = (14, 16, 20)
GRID: Colour = (66, 74, 88)
SHADOW: Colour = (38, 44, 54)
FIELD_OF_VIEW_DEG = 34.0
MAX_RADIUS_M = 15.0
FOLLOW_S = 0.8
"""Time constant of the view's centre, size and ground, so that they glide."""


class OrbitView:
    """Renders frames of a turning view; remembers where it looks between frames.

    Args:
        width: pixels.
        height: pixels.
        period_s: seconds of a full turn; infinite keeps still.
        pitch_deg: how far the view looks down.
        start_deg: the turn at time 0; 0 looks along the real camera.
    """

    def __init__(
        self,
        width: int,
        height: int,
        *,
        period_s: float = 16.0,
        pitch_deg: float = 14.0,
        start_deg: float = 35.0,
    ) -> None:
        self.width, self.height = width, height
        self._period_s, self._pitch = period_s, math.radians(pitch_deg)
        self._start = math.radians(start_deg)
        ramp = np.linspace(0, 1, height)[:, None, None]
        shade = (1 - ramp) * np.array(BACKGROUND_TOP) + ramp * np.array(BACKGROUND_BOTTOM)
        self._background = np.broadcast_to(shade, (height, width, 3)).astype(np.uint8)
        self._focus: NDArray[np.float64] | None = None
        self._time_s = 0.0

    def render(self, skeletons: Sequence[Skeleton], time_s: float) -> Image:
        """One frame.

        Args:
            skeletons: people in the camera's optical frame.
            time_s: time of the frame; decides the turn and how fast the view follows.

        Returns:
            (height, width, 3) uint8 RGB.
        """
        image = self._background.copy()
        self._follow(skeletons, time_s)
        if self._focus is None:
            drawing.text_at(image, "nobody in view yet", (18, self.height - 20), 0.5, drawing.MUTED)
            return image
        cam = _Eye(self._focus, self._turn(time_s), self._pitch, self.width, self.height)
        self._grid(image, cam)
        for skeleton in skeletons:
            self._shadow(image, cam, skeleton)
        self._people(image, cam, skeletons)
        return image

    def _turn(self, time_s: float) -> float:
        return self._start + (2 * math.pi * time_s / self._period_s if self._period_s else 0.0)

    def _follow(self, skeletons: Sequence[Skeleton], time_s: float) -> None:
        """Glide towards (x, y, z of the middle, ground y, radius)."""
        if not skeletons:
            return
        joints = np.concatenate([s.xyz for s in skeletons])
        low, high = joints.min(0), joints.max(0)
        ground = float(max(np.sort(s.xyz[:, 1])[-2] for s in skeletons)) + 0.05
        radius = float(np.clip(0.5 * np.linalg.norm(high - low), 1.0, MAX_RADIUS_M))
        target = np.array([*(low + high) / 2, ground, radius])
        if self._focus is None:
            self._focus = target
        else:
            dt = float(np.clip(time_s - self._time_s, 0.0, 1.0))
            self._focus = self._focus + (1 - math.exp(-dt / FOLLOW_S)) * (target - self._focus)
            # However fast they move, nobody leaves the picture.
            reach = float(np.linalg.norm(joints - self._focus[:3], axis=1).max())
            self._focus[4] = max(self._focus[4], min(reach, MAX_RADIUS_M))
        self._time_s = time_s

    def _grid(self, image: Image, cam: _Eye) -> None:
        assert self._focus is not None
        x0, z0 = np.round(self._focus[0]), np.round(self._focus[2])
        reach = math.ceil(self._focus[4]) + 2
        ground = self._focus[3]
        span = np.linspace(-reach, reach, 2 * reach + 1)
        for k in range(-reach, reach + 1):
            for points in (
                np.stack([x0 + span, np.full_like(span, ground), np.full_like(span, z0 + k)], 1),
                np.stack([np.full_like(span, x0 + k), np.full_like(span, ground), z0 + span], 1),
            ):
                pixels, depth = cam.project(points)
                for i in range(len(span) - 1):
                    # Lines fade into the background towards the rim.
                    rim = max(abs(k), abs(span[i] + 0.5)) / reach
                    if min(depth[i], depth[i + 1]) > 0.1 and rim < 1:
                        colour = _mix(GRID, BACKGROUND_BOTTOM, rim**2)
                        drawing.line(image, pixels[i], pixels[i + 1], colour, 1)

    def _shadow(self, image: Image, cam: _Eye, skeleton: Skeleton) -> None:
        assert self._focus is not None
        flat = skeleton.xyz.copy()
        flat[:, 1] = self._focus[3]
        pixels, depth = cam.project(flat)
        for a, b in joint_set(skeleton.joint_set).bones:
            if min(depth[a], depth[b]) > 0.1:
                width = 0.05 * cam.focal / depth[[a, b]].mean()
                drawing.line(image, pixels[a], pixels[b], SHADOW, width)

    def _people(self, image: Image, cam: _Eye, skeletons: Sequence[Skeleton]) -> None:
        pieces = []
        for skeleton in skeletons:
            pixels, depth = cam.project(skeleton.xyz)
            joints = joint_set(skeleton.joint_set)
            for a, b in joints.bones:
                if min(depth[a], depth[b]) > 0.1:
                    colour = SIDE_COLOURS[joints.bone_side(a, b)]
                    pieces.append((float(depth[[a, b]].mean()), pixels[a], pixels[b], colour))
        for depth_m, a, b, colour in sorted(pieces, key=lambda piece: -piece[0]):
            width = 0.045 * cam.focal / depth_m
            shade = _mix(colour, BACKGROUND_BOTTOM, cam.haze(depth_m))
            drawing.line(image, a, b, drawing.DARK, width + 3)
            drawing.line(image, a, b, shade, width)
            for end in (a, b):
                drawing.dot(image, end, shade, 0.62 * width)
        for skeleton in skeletons:
            pixels, depth = cam.project(skeleton.xyz)
            if skeleton.track_id >= 0 and depth.min() > 0.1:
                top = pixels[np.argmin(skeleton.xyz[:, 1])]
                where = (float(top[0]), float(top[1]) - 12)
                drawing.tag(image, f"#{skeleton.track_id}", where, 0.5)


class _Eye:
    """A pinhole camera on a circle around the focus, looking slightly down."""

    def __init__(
        self, focus: NDArray[np.float64], turn: float, pitch: float, width: int, height: int
    ) -> None:
        target, radius = focus[:3], focus[4]
        half = math.radians(FIELD_OF_VIEW_DEG) / 2
        self.distance = 1.04 * radius / math.sin(half)
        self._radius = radius
        self.focal = 0.5 * min(width, height) / math.tan(half)
        forward = np.array(
            [math.sin(turn) * math.cos(pitch), math.sin(pitch), math.cos(turn) * math.cos(pitch)]
        )
        right = np.array([math.cos(turn), 0.0, -math.sin(turn)])
        self._rotation = np.stack([right, np.cross(forward, right), forward])
        self._position = target - self.distance * forward
        self._centre = np.array([width / 2, height / 2])

    def project(self, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(K, 3) scene points to (K, 2) pixels and (K,) depths, metres."""
        local = (points - self._position) @ self._rotation.T
        depth = local[:, 2]
        safe = np.maximum(depth, 0.1)[:, None]
        return self._centre + self.focal * local[:, :2] / safe, depth

    def haze(self, depth_m: float) -> float:
        """0 near to 0.45 far: how much of the background covers a thing."""
        return float(np.clip((depth_m - self.distance) / (2 * self._radius), 0, 0.45))


def _mix(colour: Colour, other: Colour, share: float) -> Colour:
    r, g, b = (round((1 - share) * c + share * o) for c, o in zip(colour, other, strict=True))
    return r, g, b
