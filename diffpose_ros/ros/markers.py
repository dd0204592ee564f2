"""Skeletons as RViz markers with ids that stay, and a DELETE for each person who leaves.

Messages are made once per person and changed in place: making a hundred markers per frame in
Python costs more than lifting a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from diffpose_ros.core import Skeleton, joint_set
from diffpose_ros.ros.body_frame import quaternion
from diffpose_ros.ros.conversions import seconds_to_duration

IDS_PER_PERSON = 100
"""Marker id = track id x 100 + joint; joint sets have fewer than 100 joints."""
LEFT, RIGHT, MIDDLE = (0.20, 0.55, 1.0), (1.0, 0.45, 0.15), (0.85, 0.85, 0.85)
_COLOURS = {"left": LEFT, "right": RIGHT, "middle": MIDDLE}
MIN_SIGMA_M = 1e-3


@dataclass(frozen=True)
class MarkerStyle:
    """Sizes of what is drawn.

    Attributes:
        lifetime_s: seconds for which a marker stays when nothing renews it.
        joint_diameter: metres.
        bone_width: metres.
        label_height: height of the text, metres; 0 draws none.
        ellipsoid_sigma: radius of the uncertainty ellipsoids in standard deviations; 0: none.
    """

    lifetime_s: float
    joint_diameter: float
    bone_width: float
    label_height: float
    ellipsoid_sigma: float


class SkeletonMarkers:
    """Draws frame after frame.

    Args:
        style: sizes.
    """

    def __init__(self, style: MarkerStyle) -> None:
        self._style = style
        self._people: dict[int, list[Any]] = {}
        self._delete_all = False

    def restyle(self, style: MarkerStyle) -> None:
        """Draw with other sizes; everything shown before is deleted with the next frame."""
        self._style = style
        self._people.clear()
        self._delete_all = True

    def draw(self, skeletons: Sequence[Skeleton], header: Any) -> Any:
        """The ``MarkerArray`` of one frame."""
        array = MarkerArray()
        if self._delete_all:
            array.markers.append(Marker(header=header, action=Marker.DELETEALL))
            self._delete_all = False
        present = {s.track_id for s in skeletons}
        for gone in [t for t in self._people if t not in present]:
            for marker in self._people.pop(gone):
                array.markers.append(Marker(header=header, ns=marker.ns, id=marker.id, action=Marker.DELETE))
        for skeleton in skeletons:
            array.markers.extend(self._person(skeleton, header))
        return array

    def _person(self, skeleton: Skeleton, header: Any) -> list[Any]:
        markers = self._people.get(skeleton.track_id)
        if markers is None:
            markers = self._make(skeleton)
            self._people[skeleton.track_id] = markers
        joints = joint_set(skeleton.joint_set)
        n = len(joints)
        xyz = skeleton.xyz.tolist()
        for marker in markers:
            marker.header = header
        for marker, position in zip(markers[:n], xyz, strict=True):
            _place(marker.pose.position, position)
        bones = markers[n]
        for k, (a, b) in enumerate(joints.bones):
            _place(bones.points[2 * k], xyz[a])
            _place(bones.points[2 * k + 1], xyz[b])
        rest = markers[n + 1 :]
        if self._style.label_height > 0:
            label, *rest = rest
            top = min(xyz, key=lambda p: p[1])  # y points down
            _place(label.pose.position, (top[0], top[1] - 1.5 * self._style.label_height, top[2]))
        if self._style.ellipsoid_sigma > 0:
            self._shape(rest, skeleton)
        return markers

    def _make(self, skeleton: Skeleton) -> list[Any]:
        """All markers of a person: joints, then bones, then the label, then the ellipsoids."""
        style = self._style
        joints = joint_set(skeleton.joint_set)
        first = skeleton.track_id * IDS_PER_PERSON
        markers = []
        for j in range(len(joints)):
            marker = self._marker("joints", first + j, Marker.SPHERE, _COLOURS[joints.side(j)])
            marker.scale.x = marker.scale.y = marker.scale.z = style.joint_diameter
            markers.append(marker)
        bones = self._marker("bones", first, Marker.LINE_LIST, MIDDLE)
        bones.scale.x = style.bone_width
        for a, b in joints.bones:
            sides = {joints.side(a), joints.side(b)} - {"middle"}
            colour = _COLOURS[sides.pop() if len(sides) == 1 else "middle"]
            bones.points += [Point(), Point()]
            bones.colors += [_colour(colour), _colour(colour)]
        markers.append(bones)
        if style.label_height > 0:
            label = self._marker("labels", first, Marker.TEXT_VIEW_FACING, (1.0, 1.0, 1.0))
            label.scale.z = style.label_height
            label.text = str(skeleton.track_id)
            markers.append(label)
        if style.ellipsoid_sigma > 0:
            for j in range(len(joints)):
                marker = self._marker("uncertainty", first + j, Marker.SPHERE, _COLOURS[joints.side(j)], 0.25)
                markers.append(marker)
        return markers

    def _shape(self, markers: Sequence[Any], skeleton: Skeleton) -> None:
        values, vectors = np.linalg.eigh(skeleton.covariance)
        # a left-handed set of axes is no rotation
        vectors[..., 0] *= np.sign(np.linalg.det(vectors))[:, None]
        sigma = np.maximum(np.sqrt(np.maximum(values, 0.0)), MIN_SIGMA_M)
        diameter = (2 * self._style.ellipsoid_sigma * sigma).tolist()
        for j, marker in enumerate(markers):
            _place(marker.pose.position, skeleton.xyz[j].tolist())
            _place(marker.scale, diameter[j])
            q = marker.pose.orientation
            q.x, q.y, q.z, q.w = quaternion(vectors[j])

    def _marker(
        self, ns: str, number: int, kind: int, rgb: tuple[float, float, float], alpha: float = 1.0
    ) -> Any:
        marker = Marker(ns=ns, id=number, type=kind, action=Marker.ADD, color=_colour(rgb, alpha))
        marker.pose.orientation.w = 1.0
        marker.lifetime = seconds_to_duration(self._style.lifetime_s)
        return marker


def _colour(rgb: tuple[float, float, float], alpha: float = 1.0) -> Any:
    return ColorRGBA(r=rgb[0], g=rgb[1], b=rgb[2], a=alpha)


def _place(target: Any, xyz: Sequence[float]) -> None:
    target.x, target.y, target.z = xyz
