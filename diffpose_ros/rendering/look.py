"""How people look: hair, skin, clothes and shoes as one colour per corner of the mesh."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.rendering import raster
from diffpose_ros.rendering.bodies import Body

_SKINS = np.array(
    [[0.95, 0.80, 0.70], [0.88, 0.69, 0.56], [0.78, 0.58, 0.43], [0.60, 0.42, 0.30], [0.42, 0.28, 0.20],
     [0.27, 0.18, 0.13]]
)  # fmt: skip
_HAIRS = np.array(
    [[0.06, 0.05, 0.05], [0.18, 0.11, 0.07], [0.35, 0.22, 0.12], [0.70, 0.55, 0.30], [0.55, 0.20, 0.10],
     [0.70, 0.70, 0.70]]
)  # fmt: skip
_TRUNK = ("root", "pelvis", "spine", "clavicle", "shoulder01")
_HEAD = ("head", "neck03", "eye")


@dataclass(frozen=True)
class Look:
    """A dressed body.

    Attributes:
        body: its rest pose, hair and clothes included.
        paint: (V, 3) float32 reflectance in [0, 1].
    """

    body: Body
    paint: NDArray[np.float32]


def dress(body: Body, rng: np.random.Generator) -> Look:
    """Give a body hair, clothes and colours drawn at random.

    Args:
        body: whom.
        rng: source of randomness.
    """
    mesh, v = body.mesh, body.vertices.astype(np.float64)
    bone = mesh.weight_bones[np.arange(len(v)), mesh.weights.argmax(1)]

    def on(*names: str) -> NDArray[np.bool_]:
        chosen = [i for i, name in enumerate(mesh.bones) if name.startswith(names)]
        return np.isin(bone, chosen)

    at = {name: body.heads[i].astype(np.float64) for i, name in enumerate(mesh.bones)}
    size = body.stature / 1.7
    skin = _mixed(_SKINS, rng)
    paint = np.broadcast_to(skin, v.shape).copy()
    thick = np.zeros(len(v))

    def wear(where: NDArray[np.bool_], cloth: NDArray[np.float64], loose_m: float) -> None:
        paint[where] = cloth[where]
        thick[where] = loose_m * size

    loose = rng.uniform(0.0, 0.025, 3)
    shirt, trousers, shoes = (_cloth(v / size, rng) for _ in range(3))
    hips = (at["upperleg01.L"][1] + at["upperleg01.R"][1]) / 2
    waist = hips + rng.uniform(0.02, 0.14) * size
    trunk, upper_arm, fore = on(*_TRUNK), on("upperarm"), on("lowerarm")
    thigh, shin, foot = on("upperleg"), on("lowerleg"), on("foot", "toe")
    legs = int(rng.choice(4, p=[0.65, 0.2, 0.1, 0.05]))  # trousers, shorts, a skirt's length, bare
    sleeves = int(rng.choice(3, p=[0.15, 0.45, 0.4]))
    short = at["lowerleg01.L"][1] + rng.uniform(0.0, 0.25) * size
    wear(trunk & (v[:, 1] < waist), trousers, loose[0])
    wear(thigh & ((legs == 0) | (v[:, 1] > short) | (legs == 2)), trousers, loose[0])
    if legs == 0:
        wear(shin, trousers, loose[0])
    wear(trunk & (v[:, 1] >= waist), shirt, loose[1])
    if sleeves >= 1:
        reach = np.abs(v[:, 0]) / np.abs(at["lowerarm01.L"][0])
        wear(upper_arm & ((sleeves == 2) | (reach < rng.uniform(0.7, 1.1))), shirt, loose[1])
    if sleeves == 2:
        wear(fore, shirt, loose[1])
    if rng.random() < 0.85:
        wear(foot, shoes, 0.008)
    _paint_head(body, v, paint, thick, on(*_HEAD), on("eye"), on(*_HEAD, "neck", "spine01"), skin, rng)
    outward = raster.normals(body.vertices, mesh.faces)
    swollen = (v + outward * thick[:, None]).astype(np.float32)
    dressed = replace(body, vertices=swollen)
    return Look(dressed, np.clip(paint, 0.02, 1.0).astype(np.float32))


def _paint_head(
    body: Body, v: NDArray[np.float64], paint: NDArray[np.float64], thick: NDArray[np.float64],
    head: NDArray[np.bool_], eyes: NDArray[np.bool_], mane: NDArray[np.bool_], skin: NDArray[np.float64],
    rng: np.random.Generator,
) -> None:  # fmt: skip
    nose, eye, ear = body.keypoints[0], body.keypoints[1:3].mean(0), body.keypoints[3:5].mean(0)
    crown = v[:, 1].max()
    height = (v[:, 1] - eye[1]) / (crown - eye[1])
    ahead = (v[:, 2] - ear[2]) / (nose[2] - ear[2])
    hair = _mixed(_HAIRS, rng) * rng.uniform(0.7, 1.2)
    length = float(rng.choice([-0.3, -0.6, -1.2, -2.2], p=[0.35, 0.3, 0.2, 0.15]))
    line = np.where(ahead > 0, rng.uniform(0.05, 0.35) + 0.6 * ahead, length)
    covered = (head | (mane & (ahead < -0.1) & (length < -1))) & (height > line)
    if rng.random() < 0.9:
        paint[covered] = hair
        thick[covered] = rng.uniform(0.004, 0.03) * (crown - eye[1]) / 0.12
    unit = crown - eye[1]
    for side in (1, 2):
        off = (v - body.keypoints[side]) / unit
        brow = head & (np.abs(off[:, 0]) < 0.2) & (off[:, 1] > 0.10) & (off[:, 1] < 0.19) & (ahead > 0.4)
        paint[brow] = 0.5 * hair + 0.2 * skin
    off = (v - nose) / unit
    lips = head & (np.abs(off[:, 0]) < 0.2) & (off[:, 1] < -0.2) & (off[:, 1] > -0.36) & (ahead > 0.6)
    paint[lips] = skin * np.array([0.85, 0.6, 0.6])
    paint[eyes] = 0.85
    for side in (1, 2):
        ball = eyes & (np.sign(v[:, 0]) == np.sign(body.keypoints[side, 0]))
        if ball.any():
            paint[ball & (v[:, 2] > v[ball, 2].max() - 0.004)] = rng.uniform(0.02, 0.35, 3)


def _mixed(palette: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    i, part = rng.integers(len(palette) - 1), rng.random()
    mixed = palette[i] * (1 - part) + palette[i + 1] * part
    return np.asarray(mixed * rng.uniform(0.9, 1.1), np.float64)


def _cloth(v: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Colours (V, 3) of a cloth: plain, striped, checked or blotched."""
    first, second = _dye(rng), _dye(rng)
    kind = rng.choice(5, p=[0.5, 0.15, 0.1, 0.1, 0.15])
    wave = 2 * np.pi / rng.uniform(0.04, 0.15)
    phase = rng.uniform(0, 2 * np.pi, 3)
    x, y, z = (np.sin(wave * v[:, i] + phase[i]) for i in range(3))
    part = (np.zeros(len(v)), y > 0, x > 0, (x > 0) ^ (y > 0), x + y + z > 0.4)[kind]
    return np.where(np.asarray(part, bool)[:, None], second, first)


def _dye(rng: np.random.Generator) -> NDArray[np.float64]:
    grey = rng.uniform(0.03, 0.9)
    colour = rng.uniform(0.03, 0.95, 3)
    return grey + (colour - grey) * rng.choice([0.1, 0.5, 1.0])
