"""What stands behind people: a room or a square with random textures, or a picture of the user's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import InputError

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
_TEXTURE = 160


@dataclass(frozen=True)
class Place:
    """A box around the scene, seen from inside; floor at y = 0.

    Attributes:
        middle: (2,) x and z of its middle, metres.
        half: (2,) half of its width along x and z.
        height: of its walls; above them is sky or ceiling.
        textures: five of (S, S, 3) float32: floor, then the walls at +x, -x, +z, -z.
        scale: (5,) metres that each texture covers.
        above: two colours (2, 3), at the walls' top and overhead.
    """

    middle: NDArray[np.float64]
    half: NDArray[np.float64]
    height: float
    textures: tuple[NDArray[np.float32], ...]
    scale: NDArray[np.float64]
    above: NDArray[np.float64]

    def seen(
        self,
        rotation: NDArray[np.float64],
        position: NDArray[np.float64],
        matrix: NDArray[np.float64],
        size: tuple[int, int],
    ) -> NDArray[np.float32]:
        """The picture (H, W, 3) that a camera takes of the empty place, reflectance in [0, 1].

        Args:
            rotation: (3, 3) world to optical frame.
            position: (3,) of the camera, metres.
            matrix: (3, 3) intrinsics.
            size: width, height.
        """
        width, height = size
        x, y = np.meshgrid(np.arange(width), np.arange(height))
        rays = np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(matrix).T @ rotation
        rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
        start = np.array([position[0] - self.middle[0], max(position[1], 0.02), position[2] - self.middle[1]])
        start[[0, 2]] = np.clip(start[[0, 2]], -0.98 * self.half, 0.98 * self.half)
        slope = np.where(np.abs(rays) < 1e-6, 1e-6, rays)
        to_side = [
            (np.sign(slope[..., k]) * self.half[i] - start[k]) / slope[..., k] for i, k in ((0, 0), (1, 2))
        ]
        to_floor = np.where(slope[..., 1] < 0, -start[1] / slope[..., 1], np.inf)
        wall = np.minimum(*to_side)
        out = np.empty((height, width, 3), np.float32)
        hit = start + rays * np.minimum(wall, to_floor)[..., None]
        blend = np.clip(rays[..., 1:2] * 1.5, 0, 1)
        out[:] = (1 - blend) * self.above[0] + blend * self.above[1]
        surfaces = [(to_floor < wall, hit[..., 0], hit[..., 2])]
        for k, other, own in ((0, 2, to_side[0]), (2, 0, to_side[1])):
            for sign in (1, -1):
                mine = (to_floor >= wall) & (own == wall) & (np.sign(slope[..., k]) == sign)
                surfaces.append((mine & (hit[..., 1] < self.height), hit[..., other], -hit[..., 1]))
        for (where, u, w), texture, scale in zip(surfaces, self.textures, self.scale, strict=True):
            if where.any():
                at = [np.asarray(c / scale * _TEXTURE % (_TEXTURE - 1), np.float32) for c in (u, w)]
                out[where] = cv2.remap(texture, at[0], at[1], cv2.INTER_LINEAR)[where]
        return out


def draw_place(rng: np.random.Generator, middle: NDArray[np.float64], least_m: float) -> Place:
    """A random place.

    Args:
        rng: source of randomness.
        middle: (2,) x and z that lie within it.
        least_m: how far its walls are at least.
    """
    outside = rng.random() < 0.4
    half = least_m + (rng.uniform(4, 30, 2) if outside else rng.uniform(0.3, 5, 2))
    height = rng.uniform(2, 9) if outside else 30.0 if rng.random() < 0.3 else rng.uniform(2.3, 4.5)
    one, other = texture(rng, clutter=0.7), texture(rng, clutter=0.7)
    textures = (texture(rng, clutter=0.15), one, one, other, other)
    bright = rng.uniform(0.5, 1.0) * (np.array([0.6, 0.75, 0.95]) if outside else np.ones(3))
    above = np.stack([bright, bright * rng.uniform(0.6, 1.0)])
    scale = np.array([rng.uniform(1.5, 6), *rng.uniform(2.5, 8, 4)])
    return Place(middle + rng.uniform(-0.3, 0.3, 2) * least_m, half, float(height), textures, scale, above)


def texture(rng: np.random.Generator, *, clutter: float) -> NDArray[np.float32]:
    """A random texture (S, S, 3) in [0, 1]: noise of several scales, tiles, and shapes.

    Args:
        rng: source of randomness.
        clutter: chance of shapes that stand out.
    """
    base = rng.uniform(0.1, 0.9) + rng.uniform(-0.15, 0.15, 3)
    out = np.broadcast_to(base, (_TEXTURE, _TEXTURE, 3)).astype(np.float32).copy()
    busy = 0.25 * rng.random() ** 2
    for octave in range(1, 7):
        cells = 2**octave
        strength = busy * rng.uniform(0.3, 1.0) / octave
        grey = rng.normal(0, strength, (cells, cells, 1)) + rng.normal(0, strength / 3, (cells, cells, 3))
        out += cv2.resize(grey.astype(np.float32), (_TEXTURE, _TEXTURE), interpolation=cv2.INTER_CUBIC)
    if rng.random() < 0.4:
        step, contrast = int(rng.integers(8, 40)), rng.uniform(0.03, 0.4)
        row, column = np.indices((_TEXTURE, _TEXTURE)) // step
        kind = rng.integers(3)
        mask = ((row + column) % 2, row % 2, column % 2)[kind]
        out += (contrast * (mask - 0.5))[..., None].astype(np.float32)
    if rng.random() < clutter:
        for _ in range(int(rng.integers(2, 18))):
            colour = tuple(float(c) for c in rng.uniform(0, 1, 3))
            a = rng.integers(0, _TEXTURE, 2)
            b = a + rng.integers(3, 60, 2)
            shape = rng.integers(3)
            if shape == 0:
                cv2.rectangle(out, a.tolist(), b.tolist(), colour, -1 if rng.random() < 0.7 else 3)
            elif shape == 1:
                cv2.ellipse(out, a.tolist(), (b - a).tolist(), float(rng.uniform(0, 180)), 0, 360, colour, -1)
            else:
                cv2.line(
                    out, a.tolist(), rng.integers(0, _TEXTURE, 2).tolist(), colour, int(rng.integers(1, 8))
                )
    return np.clip(out, 0, 1)


def pictures_in(folder: str | Path) -> list[Path]:
    """The pictures of a folder and its subfolders, sorted.

    Raises:
        InputError: there is no such folder, or no picture in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder of pictures for backgrounds")
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in PICTURES)
    if not found:
        raise InputError(f"{folder}: expected pictures ({', '.join(PICTURES)}), found none")
    return found


def photograph(paths: Sequence[Path], rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float32]:
    """A random part (H, W, 3) of one of the user's pictures, in [0, 1].

    Raises:
        InputError: the picture drawn cannot be read.
    """
    path = paths[int(rng.integers(len(paths)))]
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise InputError(f"{path}: cannot be read as a picture")
    width, height = size
    least = max(width / image.shape[1], height / image.shape[0])
    zoom = least * rng.uniform(1.0, 1.6)
    grown = (max(width, round(image.shape[1] * zoom)), max(height, round(image.shape[0] * zoom)))
    image = cv2.resize(image, grown, interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR)
    x = int(rng.integers(image.shape[1] - width + 1))
    y = int(rng.integers(image.shape[0] - height + 1))
    part = image[y : y + height, x : x + width, ::-1]
    if rng.random() < 0.5:
        part = part[:, ::-1]
    return np.asarray(part, np.float32) / 255.0
