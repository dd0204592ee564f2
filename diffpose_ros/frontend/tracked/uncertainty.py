"""Keypoint covariance: from a heatmap's moments, or from a score where there is no heatmap.

Calibrated on real video of two people and of one, four views each, against triangulation: the mean
squared Mahalanobis distance of keypoints, which should be 2, came out as 2.0 for one person's crops,
1.2 to 5.1 in the four views of two people, and 1.9 for the whole image with two people (outliers of
limbs taken for another's are in these figures).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SPREAD_GAIN = 0.30
"""Share of a heatmap's second moments that is error; the rest is the width that training gave it."""

CROP_FLOOR = 0.012
"""Standard deviation that is always there, of the crop's side."""

SCORE_FLOOR, SCORE_SLOPE = 0.02, 0.10
"""Standard deviation over the body's size: at score 1, and what is added towards score 0."""


def from_heatmap(
    spread: NDArray[np.float64], score: NDArray[np.float64], side: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Covariance (N, J, 2, 2) pixels^2 of keypoints read from heatmaps.

    Args:
        spread: (N, J, 2, 2) second moments in units of the crop, see ``heads.Decoded``.
        score: (N, J) in [0, 1].
        side: (N,) of the crops, pixels.
    """
    doubt = 1 / np.clip(score, 0.05, 1.0)
    unit = SPREAD_GAIN * spread * doubt[..., None, None] + CROP_FLOOR**2 * np.eye(2)
    return unit * (side**2)[:, None, None, None]


def from_score(score: NDArray[np.float64], size: NDArray[np.float64]) -> NDArray[np.float64]:
    """Covariance (P, J, 2, 2) pixels^2 of keypoints of which only a score is known.

    Args:
        score: (P, J) in [0, 1].
        size: (P,) apparent size of the bodies, pixels.
    """
    deviation = (SCORE_FLOOR + SCORE_SLOPE * (1 - score)) * size[:, None]
    return (deviation**2)[..., None, None] * np.eye(2)
