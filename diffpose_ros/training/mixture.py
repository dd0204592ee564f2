"""The mixture of H_K, found by EM (DiffPose sec. 4.2) with scikit-learn."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from diffpose_ros.core import InputError
from diffpose_ros.methods.diffusion.mixture import Mixture

LEAST_VARIANCE = 1e-4
"""Added to every variance, in units of s^2: a component must not close in on a single draw."""


def fit_mixture(
    residuals: NDArray[np.floating], components: int = 5, *, rounds: int = 100, seed: int = 0
) -> Mixture:
    """A diagonal Gaussian mixture, the narrowest component first.

    EM starts from draws chosen at random, several times, and the likeliest end is taken: components
    that lie inside one another, as those of errors do, have no clusters for k-means to find.

    Args:
        residuals: (S, J, 3) draws.
        components: M.
        rounds: EM iterations at most.
        seed: of the start.

    Raises:
        InputError: fewer draws than ten per component, or NaN among them.
    """
    s, joints, _ = residuals.shape
    if s < 10 * components:
        raise InputError(f"mixture: expected {10 * components} draws or more, got {s}")
    if not np.isfinite(residuals).all():
        raise InputError("mixture: expected finite residuals, got NaN or infinity")
    model = GaussianMixture(
        components, covariance_type="diag", init_params="random_from_data", n_init=3,
        reg_covar=LEAST_VARIANCE, max_iter=rounds, random_state=seed,
    )  # fmt: skip
    with warnings.catch_warnings():
        # Fewer rounds than convergence asks for are enough; degenerate data give fewer clusters.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(residuals.reshape(s, -1).astype(np.float64))
    variance = model.covariances_
    order = np.argsort(variance.mean(1))
    shape = (components, joints, 3)
    return Mixture(
        model.weights_[order].astype(np.float32),
        model.means_[order].reshape(shape).astype(np.float32),
        np.sqrt(variance[order]).reshape(shape).astype(np.float32),
    )
