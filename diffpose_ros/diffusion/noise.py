"""The fixed noise of the sampler.

Fresh noise in every frame would shake the mean of N hypotheses by spread / sqrt(N) from frame to
frame. So one set of samples is drawn once and kept: for each joint the N samples have zero mean and
unit variance, and, from N = 4 on, no correlation between x, y and z. To first order the mean of the
hypotheses then carries no sampling error, and their covariance is that of the transported noise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import ConfigError


def fixed_noise(hypotheses: int, joints: int = 17, seed: int = 0) -> NDArray[np.float32]:
    """Whitened noise (N, J, 3), the same for the same arguments.

    One hypothesis is the mean itself: zeros.

    Raises:
        ConfigError: fewer than one hypothesis.
    """
    if hypotheses < 1:
        raise ConfigError(f"hypotheses: expected 1 or more, got {hypotheses}")
    if hypotheses == 1:
        return np.zeros((1, joints, 3), np.float32)
    rng = np.random.default_rng(seed)
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
