"""Scenes drawn at random: who moves how, dressed how, where, before which camera."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core.typed_config import at_least, share, span
from diffpose_ros.data.virtual.camera import CameraConfig, place
from diffpose_ros.rendering.backdrop import draw_place, photograph
from diffpose_ros.rendering.bodies import Body, BodyMaker
from diffpose_ros.rendering.look import dress
from diffpose_ros.rendering.posing import Posed, pose
from diffpose_ros.rendering.scene import BY_THINGS, Lens, Light, Scene, Shot, Thing, empty_place, shoot

RATE_HZ = 30.0

_MOST_BEHIND_THINGS = 11
"""Keypoints that things may hide; where they would hide more, they are taken away."""

CAMERAS = CameraConfig(
    distance=(1.2, 9.0), height=(0.2, 2.6), focal=(0.45, 1.2), roll_std=0.04, off_centre=0.8, moving=0.3,
    pitched=0.35, pitch_deg=(-75.0, 20.0), rolled=0.1, roll_deg=45.0, upside_down=0.01, travelling=0.1,
)  # fmt: skip


@dataclass(frozen=True)
class SceneConfig:
    """What is drawn.

    Attributes:
        width, height: pixels.
        crop: the picture shows the person, as a front end's crop does, instead of the whole image.
        frames: pictures of one scene, 30 per second.
        others: chances of one and of two other people.
        things: chance of something between camera and person.
        builds: how many bodies there are; every tenth is kept apart as unseen.
        age_years: of the bodies.
        camera: where cameras are.
    """

    width: int = 640
    height: int = 480
    crop: bool = False
    frames: int = 1
    others: tuple[float, float] = (0.25, 0.1)
    things: float = 0.3
    builds: int = 400
    age_years: tuple[float, float] = (1.0, 80.0)
    camera: CameraConfig = field(default_factory=lambda: CAMERAS)

    def __post_init__(self) -> None:
        for name, least in (("width", 64), ("height", 64), ("frames", 1), ("builds", 1)):
            at_least(name, getattr(self, name), least)
        share("others", sum(self.others))
        share("things", self.things)
        span("age_years", self.age_years, equal=True)


@dataclass(frozen=True)
class Taken:
    """One picture of a scene, and where it comes from.

    Attributes:
        shot: the picture and everyone's truth.
        frame: of the scene.
        clip: index of the person's motion.
        row: frame of the motion.
        build: index of the person's body.
        body: the body.
        rotation, position, matrix: of the camera.
    """

    shot: Shot
    frame: int
    clip: int
    row: int
    build: int
    body: Body
    rotation: NDArray[np.float64]
    position: NDArray[np.float64]
    matrix: NDArray[np.float64]


def unseen(build: int) -> bool:
    """Whether a body is kept apart from those that anything learns from."""
    return build % 10 == 9


class Studio:
    """Draws scenes; a scene's number and the seed say everything about it.

    Args:
        config: what is drawn.
        motion: (F, 21, 3) clips in a row, metres, Y up, 30 Hz; see :func:`data.clips.bodies`.
        offsets: (C + 1,) first row of each clip.
        maker: makes bodies.
        seed: of everything.
        backgrounds: pictures to put behind people; random places when there are none.
    """

    def __init__(
        self, config: SceneConfig, motion: NDArray[np.float32], offsets: NDArray[np.int64],
        maker: BodyMaker, seed: int, backgrounds: tuple[Path, ...] = (),
    ) -> None:  # fmt: skip
        self.config, self._motion, self._offsets = config, motion, offsets
        self._maker, self._seed, self._backgrounds = maker, seed, backgrounds
        self._kept: dict[int, Body] = {}

    def body(self, build: int) -> Body:
        """The body of a number."""
        if build not in self._kept:
            if len(self._kept) >= 64:
                self._kept.pop(next(iter(self._kept)))
            rng = np.random.default_rng([self._seed, 1, build])
            self._kept[build] = self._maker.draw(rng, self.config.age_years)
        return self._kept[build]

    def scene(self, number: int) -> Iterator[Taken]:
        """The pictures of one scene."""
        c, rng = self.config, np.random.default_rng([self._seed, 0, number])
        build = int(rng.integers(c.builds))
        people, looks, clip, start = [], [], 0, 0
        count = 1 + int(rng.choice(3, p=[1 - sum(c.others), *c.others]))
        for i in range(count):
            which = build if i == 0 else int(rng.integers(c.builds))
            look = dress(self.body(which), rng)
            this_clip, begin, motion = self._cut(rng)
            posed = pose(look.body, motion, hands=rng.uniform(0, 1))
            if i == 0:
                clip, start = this_clip, begin
                posed = _moved(posed, -np.array([1, 0, 1]) * posed.h36m17[:, 0].mean(0), 0.0)
            else:
                posed = _beside(posed, people, rng)
            people.append(posed)
            looks.append(look)
        times = np.arange(c.frames) / RATE_HZ
        joints = people[0].h36m17[None].astype(np.float32)
        aspect = c.height / c.width
        cameras = place(joints, times, rng, c.camera)
        rotation, position = cameras.rotation[0], cameras.position[0]
        matrices = self._intrinsics(people[0], rotation, position, float(cameras.focal[0]), aspect, rng)
        things = self._things(people[0].h36m17.mean(0), position.mean(0), rng)
        far = float(np.linalg.norm(position, axis=-1).max()) + 1.0
        back = (
            photograph(self._backgrounds, rng, (c.width, c.height))
            if self._backgrounds
            else draw_place(rng, position.mean(0)[[0, 2]] * 0.3, far)
        )
        scene = Scene(
            tuple(people), tuple(looks), things, back, _light(rng), _lens(rng, c.crop), (c.width, c.height)
        )
        cameras_of = (rotation, position, matrices)
        for i in range(c.frames):
            view = (rotation[i], position[i], matrices[i])
            if i == 0 or any(
                np.any(now != before[i - 1]) for now, before in zip(view, cameras_of, strict=True)
            ):
                empty = empty_place(scene, *view)
            shot = shoot(scene, i, *view, rng, empty)
            if i == 0 and (shot.hidden[0] == BY_THINGS).sum() > _MOST_BEHIND_THINGS:
                scene = replace(scene, things=())
                shot = shoot(scene, i, *view, rng, empty)
            yield Taken(
                shot, i, clip, start + i, build, people[0].body, rotation[i], position[i], matrices[i]
            )

    def _cut(self, rng: np.random.Generator) -> tuple[int, int, NDArray[np.float32]]:
        lengths = np.diff(self._offsets)
        clip = int(rng.choice(len(lengths), p=lengths / lengths.sum()))
        start = int(rng.integers(max(1, lengths[clip] - self.config.frames + 1)))
        rows = np.minimum(start + np.arange(self.config.frames), lengths[clip] - 1)
        return clip, start, self._motion[self._offsets[clip] + rows]

    def _intrinsics(
        self, person: Posed, rotation: NDArray[np.float64], position: NDArray[np.float64], focal: float,
        aspect: float, rng: np.random.Generator,
    ) -> NDArray[np.float64]:  # fmt: skip
        c, t = self.config, len(rotation)
        out = np.zeros((t, 3, 3))
        out[:, 2, 2] = 1
        middle = np.array([(c.width - 1) / 2, (c.height - 1) / 2])
        jitter, room = rng.normal(0, 0.06, 2), rng.uniform(1.15, 1.7)
        if not c.crop:
            out[:, 0, 0] = out[:, 1, 1] = focal * c.width
            out[:, :2, 2] = middle
            return out
        xyz = np.einsum("tij,tnj->tni", rotation, person.h36m17 - position[:, None])
        for i in range(t):
            before = xyz[i][xyz[i, :, 2] > 0.3]
            tangents = (
                before[:, :2] / before[:, 2:] if len(before) > 3 else np.array([[-0.5, -0.5], [0.5, 0.5]])
            )
            tangents = np.clip(tangents, -1.7, 1.7)
            low, high = tangents.min(0), tangents.max(0)
            side = float(max((high - low).max() * room, 0.05))
            centre = (low + high) / 2 + jitter * side
            f = min(c.width, c.height) / side
            out[i, 0, 0] = out[i, 1, 1] = f
            out[i, :2, 2] = middle - f * centre
        return out

    def _things(
        self, joints: NDArray[np.float64], camera: NDArray[np.float64], rng: np.random.Generator
    ) -> tuple[Thing, ...]:
        """Boxes before the person, and some elsewhere."""
        out = []
        to_camera = (camera - joints[0]) * [1, 0, 1]
        distance = float(np.linalg.norm(to_camera))
        if rng.random() < self.config.things and distance > 1.0:
            along = rng.uniform(0.5, min(0.75 * distance, 2.5))
            middle = joints[0] + to_camera / distance * along + rng.normal(0, 0.35, 3) * [1, 0, 1]
            out.append(box(middle, _furniture(rng), rng))
        for _ in range(int(rng.integers(0, 4))):
            angle, away = rng.uniform(0, 2 * np.pi), rng.uniform(1.2, 4.0)
            middle = joints[0] + away * np.array([np.sin(angle), 0, np.cos(angle)])
            aside = np.linalg.norm(middle[[0, 2]] - camera[[0, 2]]) > 1.0
            if aside and (middle - joints[0]) @ to_camera < 0.3 * distance * away:
                out.append(box(middle, _furniture(rng), rng))
        return tuple(out)


def box(middle: NDArray[np.float64], size: NDArray[np.float64], rng: np.random.Generator) -> Thing:
    """A box that stands on the floor, turned at random; each side has corners and a shade of its own.

    Args:
        middle: (3,) metres; its height does not matter.
        size: (3,) width, height, depth.
        rng: source of randomness.
    """
    a = rng.uniform(0, np.pi)
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    corners, faces = [], []
    cells = 4
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, cells + 1)] * 2, indexing="ij"), -1).reshape(-1, 2)
    for axis in range(3):
        for sign in (-1.0, 1.0):
            side = np.insert(grid, axis, sign, axis=1)
            first = len(grid) * len(corners)
            corners.append(side)
            for i in range(cells):
                for j in range(cells):
                    q = first + i * (cells + 1) + j
                    quad = (q, q + 1, q + cells + 2, q + cells + 1)
                    # Outward normals; the grid of the middle axis runs the other way.
                    quad = quad[::-1] if (sign > 0) == (axis != 1) else quad
                    faces += [(quad[0], quad[1], quad[2]), (quad[0], quad[2], quad[3])]
    at = np.concatenate(corners) * size / 2 + [0, size[1] / 2, 0]
    colour = rng.uniform(0.05, 0.95) + rng.uniform(-0.2, 0.2, 3)
    paint = np.clip(colour + rng.normal(0, 0.03, (len(at), 1)), 0.02, 1)
    world = at @ turn.T + np.asarray(middle) * [1, 0, 1]
    return Thing(world.astype(np.float32), np.array(faces, np.int32), paint.astype(np.float32))


def _furniture(rng: np.random.Generator) -> NDArray[np.float64]:
    kind = rng.integers(3)
    if kind == 0:  # a table, a crate
        return np.array([rng.uniform(0.3, 1.4), rng.uniform(0.3, 1.1), rng.uniform(0.2, 0.8)])
    if kind == 1:  # a post
        return np.array([rng.uniform(0.05, 0.25), rng.uniform(1.0, 3.0), rng.uniform(0.05, 0.25)])
    return np.array([rng.uniform(0.3, 0.8), rng.uniform(1.0, 2.1), rng.uniform(0.1, 0.6)])  # a cupboard


def _moved(person: Posed, shift: NDArray[np.float64], turn: float) -> Posed:
    c, s = np.cos(turn), np.sin(turn)
    r = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    return replace(
        person, turns=r @ person.turns, heads=person.heads @ r.T + shift, h36m17=person.h36m17 @ r.T + shift
    )


def _beside(person: Posed, others: list[Posed], rng: np.random.Generator) -> Posed:
    """Somebody else, nobody's feet on another's."""
    level = np.array([1, 0, 1])
    for _ in range(20):
        angle, away = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 3.0)
        there = away * np.array([np.sin(angle), 0, np.cos(angle)])
        turned = _moved(person, np.zeros(3), rng.uniform(-np.pi, np.pi))
        moved = _moved(turned, there - turned.h36m17[:, 0].mean(0) * level, 0.0)
        gaps = [np.linalg.norm((moved.h36m17[:, 0] - o.h36m17[:, 0]) * level, axis=-1).min() for o in others]
        if min(gaps) > 0.45:
            break
    return moved


def _light(rng: np.random.Generator) -> Light:
    towards = rng.normal(size=3)
    towards[1] = abs(towards[1]) + 0.6
    warm = 1 + rng.uniform(-0.12, 0.12) * np.array([1.0, 0.0, -1.0])
    direct, ambient = rng.uniform(0.2, 0.9), rng.uniform(0.35, 0.8)
    shade = rng.uniform(0, 0.6) * direct
    return Light(towards / np.linalg.norm(towards), direct * warm, ambient * np.ones(3), float(shade))


def _lens(rng: np.random.Generator, crop: bool) -> Lens:
    gain = rng.uniform(0.65, 1.35) * (1 + rng.uniform(-0.08, 0.08, 3))
    streak = rng.normal(0, 4, 2) * (rng.random() < 0.1)
    blur = rng.uniform(0, 1.2 if crop else 1.0)
    return Lens(gain, float(blur), streak, float(rng.uniform(0, 0.03)))
