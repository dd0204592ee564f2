"""Several people onto the rays of their joints at once: what :mod:`._root_fit` does for one, in arrays.

From several people on, array operations cost less than loops over floats. Every step is that of the plain
version; what differs is how sums are rounded. Coordinates lie apart, and sums of a round are taken in one
call, because at this size a call costs more than what it computes.

Letters for shapes: P people, J joints.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.geometry._root_fit import CONVERGED_M, HUBER, MIN_DEPTH_M, SINGULAR

Array = NDArray[np.float64]


def fit_roots(joints: Array, rounds: int, tangent_noise: float) -> tuple[Array, Array]:
    """Translations (P, 3) m and covariances (P, 3, 3) m^2; NaN where the rays allow none.

    Args:
        joints: (P, J, 6) position m relative to the root, ray in tangent units, and weight; all finite,
            weight 0 for joints that do not count.
        rounds, tangent_noise: see :func:`diffpose_ros.geometry.root.root_translation`.
    """
    x, y, z, u, v, w = np.ascontiguousarray(joints.transpose(2, 0, 1))
    people = len(joints)
    sums = np.empty((8, *w.shape))  # of one round, summed over joints in one call
    with np.errstate(all="ignore"):  # who has no answer is told by NaN
        place, good = _closed_form(x, y, z, u, v, w)
        place[:, ~good] = 0.0
        seen = w > 0
        count = seen.sum(axis=1)
        row, low, high = np.arange(people), (count - 1) // 2, count // 2
        unseen = np.where(seen, 0.0, np.inf)
        limit, active = np.full(people, np.inf), good
        a, b, near, du, dv, size = _project(x, y, z, u, v, place)
        for _ in range(rounds):
            ordered = size + unseen
            ordered.sort(axis=1)
            middle = 0.5 * (ordered[row, low] + ordered[row, high])
            limit = np.where(active, np.maximum(HUBER * 1.2 * middle, tangent_noise), limit)
            step = _step(a, b, near, du, dv, size, w, limit, sums) * active
            place += step
            a, b, near, du, dv, size = _project(x, y, z, u, v, place)
            active = active & (np.abs(step).sum(axis=0) >= CONVERGED_M)
            if not active.any():
                break
        covariance = _covariance(a, b, near, size, w, limit, tangent_noise, sums)
        behind = (seen & (z + place[2, :, None] <= 0)).any(axis=1)
        good &= np.isfinite(place[0] + place[1]) & (place[2] > MIN_DEPTH_M) & (place[2] < np.inf) & ~behind
        good &= np.isfinite(covariance.sum(axis=(1, 2)))
    place[:, ~good] = np.nan
    covariance[~good] = np.nan
    return place.T.copy(), covariance


def _closed_form(
    x: Array, y: Array, z: Array, u: Array, v: Array, w: Array
) -> tuple[Array, NDArray[np.bool_]]:
    p, q = x - u * z, y - v * z
    means = np.stack([u, v, p, q])
    means = (w * means).sum(axis=2) / w.sum(axis=1)
    du, dv = w * (u - means[0, :, None]), w * (v - means[1, :, None])
    spread, slope = (du * u + dv * v).sum(axis=1), (du * p + dv * q).sum(axis=1)
    depth = slope / spread
    place = np.stack([means[0] * depth - means[2], means[1] * depth - means[3], depth])
    return place, np.asarray(spread > 1e-10 * w.sum(axis=1))


def _project(x: Array, y: Array, z: Array, u: Array, v: Array, place: Array) -> tuple[Array, ...]:
    """Projections, inverse depths, residuals and their lengths, (P, J) each."""
    tx, ty, tz = place[:, :, None]
    near = 1.0 / np.maximum(z + tz, MIN_DEPTH_M)
    a, b = (x + tx) * near, (y + ty) * near
    du, dv = u - a, v - b
    return a, b, near, du, dv, np.hypot(du, dv)


def _step(
    a: Array, b: Array, near: Array, du: Array, dv: Array, size: Array, w: Array, limit: Array, sums: Array
) -> Array:
    """(3, P) Gauss-Newton step."""
    most = limit[:, None]
    pull = w * near
    pull *= most / np.maximum(size, most)
    weight = np.multiply(pull, near, out=sums[0])
    np.multiply(weight, a, out=sums[1])
    np.multiply(weight, b, out=sums[2])
    np.multiply(weight, a * a + b * b, out=sums[3])
    np.multiply(pull, du, out=sums[4])
    np.multiply(pull, dv, out=sums[5])
    np.multiply(pull, du * a + dv * b, out=sums[6])
    n, na, nb, nn, gx, gy, gz = sums[:7].sum(axis=2)
    ma, mb = na / n, nb / n
    dz = (ma * gx + mb * gy - gz) / np.maximum(nn - (na * ma + nb * mb), SINGULAR)
    step = np.stack([gx / n + ma * dz, gy / n + mb * dz, dz])
    step[:, ~(n > 0)] = 0.0
    return step


def _covariance(
    a: Array, b: Array, near: Array, size: Array, w: Array, limit: Array, tangent_noise: float, sums: Array
) -> Array:
    """(P, 3, 3), as the plain version has it."""
    most = limit[:, None]
    total, square = w.sum(axis=1), (w * w).sum(axis=1)
    least = np.minimum(size, most)
    cut2 = (w * least * least).sum(axis=1)
    passed = (w * np.where(size > most, 0.5 * most / size, 1.0)).sum(axis=1)
    q = np.multiply(w, near * near, out=sums[0])
    np.multiply(q, a, out=sums[1])
    np.multiply(q, b, out=sums[2])
    np.multiply(q, a * a + b * b, out=sums[3])
    np.multiply(sums[:4], w, out=sums[4:])
    n, na, nb, nn, m, ma, mb, mm = sums.sum(axis=2)
    freedom = 2 * total * total / square - 3
    measured = cut2 / (2 * total) / np.maximum(passed / total, 1e-6) ** 2
    measured = measured * (freedom + 3) / np.maximum(freedom - 2, 1.0)
    assumed = tangent_noise * tangent_noise
    variance = np.maximum(measured - assumed * np.sqrt(2 / np.maximum(freedom, 1.0)), assumed)
    schur = np.maximum(nn - (na * na + nb * nb) / n, SINGULAR)
    x, y = na / n, nb / n
    inverse, middle = np.empty((len(w), 3, 3)), np.zeros((len(w), 3, 3))
    inverse[:, 0, 0], inverse[:, 1, 1] = 1 / n + x * x / schur, 1 / n + y * y / schur
    inverse[:, 2, 2] = 1 / schur
    inverse[:, 0, 1] = inverse[:, 1, 0] = x * y / schur
    inverse[:, 0, 2] = inverse[:, 2, 0] = x / schur
    inverse[:, 1, 2] = inverse[:, 2, 1] = y / schur
    middle[:, 0, 0] = middle[:, 1, 1] = m
    middle[:, 0, 2] = middle[:, 2, 0] = -ma
    middle[:, 1, 2] = middle[:, 2, 1] = -mb
    middle[:, 2, 2] = mm
    return np.asarray(variance[:, None, None] * (inverse @ middle @ inverse))
