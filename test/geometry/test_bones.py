"""Bone lengths come in the order of the joint set's bones."""

import numpy as np

from diffpose_ros.core import H36M17
from diffpose_ros.geometry.bones import BONES, bone_lengths


def test_each_bone_has_its_own_length():
    lengths = np.linspace(0.1, 0.4, BONES)
    rng = np.random.default_rng(0)
    pose = np.zeros((2, 17, 3))
    for (parent, child), length in zip(H36M17.bones, lengths, strict=True):
        way = rng.normal(size=(2, 3))
        pose[:, child] = pose[:, parent] + length * way / np.linalg.norm(way, axis=-1, keepdims=True)
    np.testing.assert_allclose(bone_lengths(pose), np.tile(lengths, (2, 1)), rtol=1e-12)
