"""A body of a few bones, for tests that need no body model."""

from __future__ import annotations

import numpy as np

from diffpose_ros.rendering.bodies import Body, Mesh

_FINGERS = {
    f"finger{f}-{p}": (0.70 + 0.03 * p, 1.20, 0.10 + 0.01 * f) for f in range(1, 6) for p in range(1, 4)
}
_SIDE = {
    "pelvis": (0.0, 0.95, 0.0), "upperleg01": (0.10, 0.93, 0.0), "upperleg02": (0.10, 0.72, 0.0),
    "lowerleg01": (0.10, 0.50, 0.01), "lowerleg02": (0.10, 0.30, 0.0), "foot": (0.10, 0.08, 0.0),
    "toe1-1": (0.10, 0.02, 0.12), "clavicle": (0.02, 1.42, 0.02), "shoulder01": (0.10, 1.44, 0.02),
    "upperarm01": (0.19, 1.42, 0.0), "upperarm02": (0.30, 1.36, 0.0), "lowerarm01": (0.45, 1.28, 0.0),
    "lowerarm02": (0.55, 1.24, 0.05),
    "wrist": (0.68, 1.20, 0.08), **_FINGERS,
}  # fmt: skip
_MIDDLE = {
    "root": (0, 0.95, 0), "spine05": (0, 0.98, 0), "spine04": (0, 1.08, 0), "spine03": (0, 1.16, 0),
    "spine02": (0, 1.24, 0), "spine01": (0, 1.34, 0), "neck01": (0, 1.47, 0), "neck02": (0, 1.49, 0),
    "neck03": (0, 1.52, 0.01), "head": (0, 1.56, 0.02), "eye.L": (0.03, 1.63, 0.1),
    "eye.R": (-0.03, 1.63, 0.1),
}  # fmt: skip
_PARENT = {
    "pelvis": "root", "upperleg01": "pelvis", "upperleg02": "upperleg01", "lowerleg01": "upperleg02",
    "lowerleg02": "lowerleg01", "foot": "lowerleg02", "toe1-1": "foot", "clavicle": "spine01",
    "shoulder01": "clavicle", "upperarm01": "shoulder01", "upperarm02": "upperarm01",
    "lowerarm01": "upperarm02", "lowerarm02": "lowerarm01", "wrist": "lowerarm02",
    **{f"finger{f}-1": "wrist" for f in range(1, 6)},
    **{f"finger{f}-{p}": f"finger{f}-{p - 1}" for f in range(1, 6) for p in (2, 3)},
}  # fmt: skip
_CHAIN = {
    "spine05": "root", "spine04": "spine05", "spine03": "spine04", "spine02": "spine03", "spine01": "spine02",
    "neck01": "spine01", "neck02": "neck01", "neck03": "neck02", "head": "neck03", "eye.L": "head",
    "eye.R": "head",
}  # fmt: skip


def stick_body() -> Body:
    """A body of bones, with an octahedron of skin about the beginning of each."""
    names, heads, parents = ["root"], [_MIDDLE["root"]], [-1]

    def add(name: str, at: tuple[float, float, float], parent: str) -> None:
        names.append(name)
        heads.append(at)
        parents.append(names.index(parent))

    for name, parent in _CHAIN.items():
        add(name, _MIDDLE[name], parent)
    for side, sign in (("L", 1), ("R", -1)):
        for name, (x, y, z) in _SIDE.items():
            parent = _PARENT[name]
            known = parent if parent in names else f"{parent}.{side}"
            add(f"{name}.{side}", (sign * x, y, z), known)
    tips = 0.03 * np.concatenate([np.eye(3), -np.eye(3)])
    corners = (np.array(heads)[:, None] + tips).reshape(-1, 3).astype(np.float32)
    eighths = [(0, 1, 2), (1, 3, 2), (3, 4, 2), (4, 0, 2), (1, 0, 5), (3, 1, 5), (4, 3, 5), (0, 4, 5)]
    faces = np.array([[6 * b + i for i in face] for b in range(len(names)) for face in eighths], np.int32)
    bone = np.repeat(np.arange(len(names)), 6)
    keypoints = np.zeros((17, len(corners)), np.float32)
    sources = ["head", "eye.L", "eye.R", "head", "head"]
    sources += [f"{n}.{s}" for n in ("upperarm01", "lowerarm01", "wrist", "upperleg01", "lowerleg01", "foot")
                for s in "LR"]  # fmt: skip
    for k, name in enumerate(sources):
        b = 6 * names.index(name)
        # The nose, and the ears, are corners of the head; others are the middle of a bone's corners.
        picked = {0: [b + 2], 3: [b], 4: [b + 3]}.get(k, list(range(b, b + 6)))
        keypoints[k, picked] = 1 / len(picked)
    mesh = Mesh(
        faces,
        tuple(names),
        np.array(parents),
        np.ones((len(corners), 1), np.float32),
        bone[:, None],
        keypoints,
    )
    return Body(mesh, corners, np.array(heads, np.float32), keypoints @ corners, np.full(6, 0.5), 30.0, 1.7)
