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
from numpy.typing import NDArray
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from diffpose_ros.core import H36M17, Skeleton, joint_set
from diffpose_ros.core.colours import SIDE_COLOURS, Colour
from diffpose_ros.core.rotations import quaternions
from diffpose_ros.ros.conversions import seconds_to_duration

IDS_PER_PERSON = 100
"""Marker id = track id x 100 + joint; joint sets have fewer than 100 joints."""
MAX_TRACKS = (2**31 - 1) // IDS_PER_PERSON
"""Track ids beyond it share marker ids with smaller ones: a marker id has 32 bits."""
WHITE: Colour = (255, 255, 255)
YELLOW: Colour = (255, 220, 60)
ARROW_WIDTHS = (1.0, 2.5)
"""Diameters of an arrow's shaft and head, in widths of a bone."""
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
        velocity_s: an arrow goes from the root to where its velocity takes it in so many seconds;
            0: none.
    """

    lifetime_s: float
    joint_diameter: float
    bone_width: float
    label_height: float
    ellipsoid_sigma: float
    velocity_s: float = 0.0


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
        names = _names(skeletons)
        present = set(names)
        for gone in [t for t in self._people if t not in present]:
            for marker in self._people.pop(gone):
                array.markers.append(Marker(header=header, ns=marker.ns, id=marker.id, action=Marker.DELETE))
        for name, skeleton in zip(names, skeletons, strict=True):
            array.markers.extend(self._person(name, skeleton, header))
        return array

    def _person(self, name: int, skeleton: Skeleton, header: Any) -> list[Any]:
        markers = self._people.get(name)
        if markers is None:
            markers = self._make(name, skeleton)
            self._people[name] = markers
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
            _place(label.pose.position, _above(skeleton, 1.5 * self._style.label_height).tolist())
        if self._style.velocity_s > 0:
            *rest, arrow = rest
            self._aim(arrow, skeleton)
        if self._style.ellipsoid_sigma > 0:
            self._shape(rest, skeleton)
        return markers

    def _aim(self, arrow: Any, skeleton: Skeleton) -> None:
        """From the root to where it will be; gone while its velocity is not known."""
        known = bool(np.isfinite(skeleton.velocity).all())
        arrow.action = Marker.ADD if known else Marker.DELETE
        if known:
            _place(arrow.points[0], skeleton.root.tolist())
            _place(arrow.points[1], (skeleton.root + self._style.velocity_s * skeleton.velocity).tolist())

    def _make(self, name: int, skeleton: Skeleton) -> list[Any]:
        """All markers of a person: joints, bones, the label, the ellipsoids, the arrow."""
        style = self._style
        joints = joint_set(skeleton.joint_set)
        first = (name % MAX_TRACKS if name >= 0 else name) * IDS_PER_PERSON
        markers = []
        for j in range(len(joints)):
            marker = self._marker("joints", first + j, Marker.SPHERE, SIDE_COLOURS[joints.side(j)])
            marker.scale.x = marker.scale.y = marker.scale.z = style.joint_diameter
            markers.append(marker)
        bones = self._marker("bones", first, Marker.LINE_LIST, SIDE_COLOURS["middle"])
        bones.scale.x = style.bone_width
        for a, b in joints.bones:
            colour = SIDE_COLOURS[joints.bone_side(a, b)]
            bones.points += [Point(), Point()]
            bones.colors += [_colour(colour), _colour(colour)]
        markers.append(bones)
        if style.label_height > 0:
            label = self._marker("labels", first, Marker.TEXT_VIEW_FACING, WHITE)
            label.scale.z = style.label_height
            label.text = str(skeleton.track_id) if skeleton.track_id >= 0 else "?"
            markers.append(label)
        if style.ellipsoid_sigma > 0:
            for j in range(len(joints)):
                colour = SIDE_COLOURS[joints.side(j)]
                markers.append(self._marker("uncertainty", first + j, Marker.SPHERE, colour, 0.25))
        if style.velocity_s > 0:
            arrow = self._marker("velocity", first, Marker.ARROW, YELLOW)
            arrow.scale.x, arrow.scale.y = (width * style.bone_width for width in ARROW_WIDTHS)
            arrow.points += [Point(), Point()]
            markers.append(arrow)
        return markers

    def _shape(self, markers: Sequence[Any], skeleton: Skeleton) -> None:
        values, vectors = np.linalg.eigh(skeleton.covariance)
        # a left-handed set of axes is no rotation
        vectors[..., 0] *= np.sign(np.linalg.det(vectors))[:, None]
        sigma = np.maximum(np.sqrt(np.maximum(values, 0.0)), MIN_SIGMA_M)
        turns = quaternions(vectors).tolist()
        diameter = (2 * self._style.ellipsoid_sigma * sigma).tolist()
        for j, marker in enumerate(markers):
            _place(marker.pose.position, skeleton.xyz[j].tolist())
            _place(marker.scale, diameter[j])
            q = marker.pose.orientation
            q.x, q.y, q.z, q.w = turns[j]

    def _marker(self, ns: str, number: int, kind: int, colour: Colour, alpha: float = 1.0) -> Any:
        marker = Marker(ns=ns, id=number, type=kind, action=Marker.ADD, color=_colour(colour, alpha))
        marker.pose.orientation.w = 1.0
        marker.lifetime = seconds_to_duration(self._style.lifetime_s)
        return marker


def _names(skeletons: Sequence[Skeleton]) -> list[int]:
    """One number per person: the track id, or below zero for who has none or another's."""
    names: list[int] = []
    for i, skeleton in enumerate(skeletons):
        free = skeleton.track_id >= 0 and skeleton.track_id not in names
        names.append(skeleton.track_id if free else -1 - i)
    return names


def _above(skeleton: Skeleton, distance: float) -> NDArray[np.float64]:
    """A point over a person, (3,) metres.

    Optical frames have y down, others z up (REP-103); a person who stands along z tells which it is.
    """
    up = np.array([0.0, -1.0, 0.0])
    joints = joint_set(skeleton.joint_set)
    if joints is H36M17:
        body = skeleton.xyz[joints.index("head_top")] - skeleton.xyz[joints.index("hip")]
        if body[2] > 0.8 * np.linalg.norm(body):
            up = np.array([0.0, 0.0, 1.0])
    return skeleton.xyz[int((skeleton.xyz @ up).argmax())] + distance * up


def _colour(colour: Colour, alpha: float = 1.0) -> Any:
    r, g, b = (c / 255 for c in colour)
    return ColorRGBA(r=r, g=g, b=b, a=alpha)


def _place(target: Any, xyz: Sequence[float]) -> None:
    target.x, target.y, target.z = xyz
