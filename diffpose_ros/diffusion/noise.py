"""The fixed noise of the sampler.

Fresh noise in every frame would shake the mean of N hypotheses by spread / sqrt(N) from frame to
frame. So one set of samples is drawn once and kept: for each joint the N samples have zero mean and
unit variance, and, from N = 4 on, no correlation between x, y and z. To first order the mean of the
hypotheses then carries no sampling error, and their covariance is that of the transported noise.

A single sample cannot have zero mean over samples, and none at all would be noise of a length that
training never showed. Its noise is opposite on left and right instead, so that it moves limbs but
neither turns nor sizes the body as a whole.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import H36M17, ConfigError


def fixed_noise(hypotheses: int, joints: int = 17, seed: int = 0) -> NDArray[np.float32]:
    """Whitened noise (N, J, 3), the same for the same arguments.

    Raises:
        ConfigError: fewer than one hypothesis.
    """
    if hypotheses < 1:
        raise ConfigError(f"hypotheses: expected 1 or more, got {hypotheses}")
    rng = np.random.default_rng(seed)
    if hypotheses == 1:
        return _balanced(rng.standard_normal((joints, 3)))[None].astype(np.float32)
    out = np.empty((hypotheses, joints, 3))
    for j in range(joints):
        draw = rng.standard_normal((hypotheses, 3))
        draw -= draw.mean(axis=0)
        if hypotheses >= 4:
            draw, _ = np.linalg.qr(draw)
        else:
            draw /= np.linalg.norm(draw, axis=0)
        out[:, j] = draw * np.sqrt(hypotheses)
    return out.astype(np.float32)


def _balanced(draw: NDArray[np.float64]) -> NDArray[np.float64]:
    """Noise (J, 3) of zero mean and unit variance over joints, left and right opposite."""
    if len(draw) == len(H36M17):
        for left, right in zip(H36M17.left, H36M17.right, strict=True):
            draw[right] = -draw[left]
        middle = [j for j, other in enumerate(H36M17.flip) if j == other]
        draw[middle] -= draw[middle].mean(axis=0)
    else:
        draw = draw - draw.mean(axis=0)
    return draw / draw.std(axis=0)
