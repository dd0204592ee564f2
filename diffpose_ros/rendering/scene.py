"""Scenes: people in motion, things in the way, a place, light, a camera; drawn frame by frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from diffpose_ros.rendering import raster
from diffpose_ros.rendering.backdrop import Place
from diffpose_ros.rendering.bodies import Body
from diffpose_ros.rendering.look import Look
from diffpose_ros.rendering.posing import Posed

OVERSAMPLING = 2

VISIBLE, BY_SELF, BY_OTHERS, BY_THINGS, OUTSIDE = range(5)
"""What hides a keypoint."""


@dataclass(frozen=True)
class Thing:
    """A box that may stand in the way.

    Attributes:
        corners: (V, 3) metres, world.
        faces: (F, 3).
        paint: (V, 3).
    """

    corners: NDArray[np.float32]
    faces: NDArray[np.int32]
    paint: NDArray[np.float32]


@dataclass(frozen=True)
class Light:
    """Sun or lamp, and what comes from everywhere.

    Attributes:
        towards: (3,) unit vector to the lamp, world.
        direct: (3,) its colour.
        ambient: (3,) light from above; half of it comes from below.
        shade: how dark shadows are, 0 to 1.
    """

    towards: NDArray[np.float64]
    direct: NDArray[np.float64]
    ambient: NDArray[np.float64]
    shade: float


@dataclass(frozen=True)
class Lens:
    """What a sensor does to light.

    Attributes:
        gain: (3,) exposure and white balance.
        blur_px: standard deviation of the defocus.
        streak: (2,) pixels over which motion smears the picture.
        noise: standard deviation of the sensor's noise, in [0, 1].
    """

    gain: NDArray[np.float64]
    blur_px: float
    streak: NDArray[np.float64]
    noise: float


@dataclass(frozen=True)
class Scene:
    """Everything that a picture shows.

    Attributes:
        people: bodies in motion, the one in question first.
        looks: how they are dressed.
        things: what may stand in the way.
        place: where, or a picture (H, W, 3) behind them.
        light, lens: see there.
        size: width, height of the pictures.
    """

    people: tuple[Posed, ...]
    looks: tuple[Look, ...]
    things: tuple[Thing, ...]
    place: Place | NDArray[np.float32]
    light: Light
    lens: Lens
    size: tuple[int, int]


@dataclass(frozen=True)
class Shot:
    """One picture and its truth.

    Attributes:
        rgb: (H, W, 3) uint8.
        coco: (P, 17, 3) x, y in pixels and depth in metres of everyone's COCO-17 keypoints.
        hidden: (P, 17) int8, see :data:`VISIBLE` and what follows it.
        h36m17: (P, 17, 3) joints, metres, optical frame.
    """

    rgb: NDArray[np.uint8]
    coco: NDArray[np.float64]
    hidden: NDArray[np.int8]
    h36m17: NDArray[np.float64]


def shoot(
    scene: Scene,
    frame: int,
    rotation: NDArray[np.float64],
    position: NDArray[np.float64],
    matrix: NDArray[np.float64],
    rng: np.random.Generator,
    empty: NDArray[np.float32] | None = None,
) -> Shot:
    """Draw one frame.

    Args:
        scene: what there is.
        frame: of the motions.
        rotation: (3, 3) world to optical frame.
        position: (3,) of the camera, metres.
        matrix: (3, 3) intrinsics, pixels.
        rng: source of the sensor's noise.
        empty: the place without anybody as this camera sees it, see :func:`empty_place`; seen anew when
            omitted.
    """
    skins = [person.vertices(frame) for person in scene.people]
    parts = [(skin, look.body.mesh.faces, look.paint) for skin, look in zip(skins, scene.looks, strict=True)]
    parts += [(thing.corners, thing.faces, thing.paint) for thing in scene.things]
    corners, faces, paint, owners = [], [], [], []
    first = 0
    for i, (v, f, colour) in enumerate(parts):
        corners.append(v)
        faces.append(f + first)
        paint.append(colour * lit(raster.normals(v, f), scene.light))
        owners.append(np.full(len(f), i, np.int32))
        first += len(v)
    world, triangles, whose = np.concatenate(corners), np.concatenate(faces), np.concatenate(owners)
    up = np.array([[OVERSAMPLING, 0, 0.5], [0, OVERSAMPLING, 0.5], [0, 0, 1.0]])
    large = (scene.size[0] * OVERSAMPLING, scene.size[1] * OVERSAMPLING)
    xyz = (world - position) @ rotation.T
    layer = raster.draw(xyz, np.concatenate(paint), triangles, whose, up @ matrix, large)
    if empty is None:
        empty = empty_place(scene, rotation, position, matrix)
    behind = _shadowed(empty, scene, world, triangles, rotation, position, matrix)
    cover = cv2.resize((layer.owner >= 0).astype(np.float32), scene.size, interpolation=cv2.INTER_AREA)
    front = cv2.resize(layer.colour, scene.size, interpolation=cv2.INTER_AREA)
    picture = front + behind * (1 - cover[..., None])
    coco, hidden, joints = [], [], []
    for i, (person, skin) in enumerate(zip(scene.people, skins, strict=True)):
        keypoints = (person.body.mesh.keypoints @ skin - position) @ rotation.T
        depth = keypoints[:, 2]
        pixels = (keypoints @ matrix.T)[:, :2] / np.where(np.abs(depth) < 1e-3, 1e-3, depth)[:, None]
        coco.append(np.concatenate([pixels, depth[:, None]], axis=1))
        hidden.append(_hidden(coco[-1], layer, i, len(scene.people), depth_below_skin(person.body)))
        joints.append((person.h36m17[frame] - position) @ rotation.T)
    return Shot(sensed(picture, scene.lens, rng), np.stack(coco), np.stack(hidden), np.stack(joints))


def lit(normal: NDArray[np.float32], light: Light) -> NDArray[np.float32]:
    """Light (V, 3) that falls on surfaces of normals (V, 3)."""
    direct = np.clip(normal @ light.towards, 0, 1)[:, None] * light.direct
    return np.asarray(direct + (0.75 + 0.25 * normal[:, 1:2]) * light.ambient, np.float32)


def empty_place(
    scene: Scene, rotation: NDArray[np.float64], position: NDArray[np.float64], matrix: NDArray[np.float64]
) -> NDArray[np.float32]:
    """What a camera sees of the place alone, lit (H, W, 3)."""
    if not isinstance(scene.place, Place):
        return scene.place
    bright = (scene.light.direct * 0.5 + scene.light.ambient * 0.9).astype(np.float32)
    return np.asarray(scene.place.seen(rotation, position, matrix, scene.size) * bright, np.float32)


def _shadowed(
    empty: NDArray[np.float32],
    scene: Scene,
    world: NDArray[np.float32],
    faces: NDArray[np.int32],
    rotation: NDArray[np.float64],
    position: NDArray[np.float64],
    matrix: NDArray[np.float64],
) -> NDArray[np.float32]:
    """The place with everyone's shadow on its floor, drawn at half of the pixels: shadows are soft."""
    if scene.light.shade <= 0 or position[1] < 0.05 or not isinstance(scene.place, Place):
        return empty
    to = scene.light.towards
    fallen = world - to * (world[:, 1:2] / to[1])
    fallen[:, 1] = 0.0
    seen = (fallen - position) @ rotation.T
    half = (scene.size[0] // 2, scene.size[1] // 2)
    smaller = np.array([[0.5, 0, -0.25], [0, 0.5, -0.25], [0, 0, 1.0]]) @ matrix
    flat = raster.draw(seen, np.ones_like(world), faces, np.zeros(len(faces), np.int32), smaller, half)
    dark = cv2.GaussianBlur((flat.owner >= 0).astype(np.float32), (0, 0), max(0.7, min(half) / 200))
    dark = cv2.resize(dark, scene.size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(empty * (1 - scene.light.shade * dark[..., None]), np.float32)


def depth_below_skin(body: Body) -> NDArray[np.float64]:
    """How deep (17,) COCO keypoints may lie behind the skin that shows them, metres."""
    away = np.linalg.norm(body.vertices[None, ::4] - body.keypoints[:, None], axis=-1).min(1)
    return np.asarray(1.6 * away + 0.03, np.float64)


def _hidden(
    keypoints: NDArray[np.float64],
    layer: raster.Layer,
    who: int,
    people: int,
    below: NDArray[np.float64],
) -> NDArray[np.int8]:
    height, width = layer.owner.shape
    x = np.round(keypoints[:, 0] * OVERSAMPLING + 0.5)
    y = np.round(keypoints[:, 1] * OVERSAMPLING + 0.5)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height) & (keypoints[:, 2] > raster.NEAR_M)
    column = np.clip(x, 0, width - 1).astype(np.int64)
    row = np.clip(y, 0, height - 1).astype(np.int64)
    owner, depth = layer.owner[row, column], layer.depth[row, column]
    nearer = keypoints[:, 2] - depth > np.where(owner == who, below, 0.03)
    why = np.where(owner == who, BY_SELF, np.where(owner < people, BY_OTHERS, BY_THINGS))
    return np.where(inside, np.where(nearer, why, VISIBLE), OUTSIDE).astype(np.int8)


def sensed(light: NDArray[np.float32], lens: Lens, rng: np.random.Generator) -> NDArray[np.uint8]:
    """What a sensor makes of light (H, W, 3): blur, exposure, noise."""
    out: NDArray = light
    if lens.blur_px > 0.2:
        out = cv2.GaussianBlur(out, (0, 0), lens.blur_px)
    length = float(np.linalg.norm(lens.streak))
    if length > 1.0:
        steps = int(np.ceil(length)) | 1
        kernel = np.zeros((steps, steps), np.float32)
        middle = (steps - 1) / 2
        for part in np.linspace(-0.5, 0.5, 3 * steps):
            x, y = np.round(middle + part * lens.streak).astype(int)
            kernel[np.clip(y, 0, steps - 1), np.clip(x, 0, steps - 1)] += 1
        out = cv2.filter2D(out, -1, kernel / kernel.sum())
    out = out * lens.gain.astype(np.float32)
    if lens.noise > 0:
        out = out + np.float32(lens.noise) * rng.standard_normal(out.shape, np.float32)
    return np.asarray(np.clip(out, 0, 1) * 255 + 0.5, np.uint8)
