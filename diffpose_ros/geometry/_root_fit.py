"""One person onto the rays of its joints: Gauss-Newton with Huber weights, in plain numbers.

A person has some fifteen joints and three unknowns. At that size a loop over floats is several times
faster than array operations, whose calls cost more than what they compute.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot, inf, isfinite, sqrt

MIN_DEPTH_M = 0.1
HUBER = 1.0
"""Huber limit in robust standard deviations of the residuals."""
CONVERGED_M = 1e-4
"""A step this short ends the rounds; the noise of a place is a hundred times as long."""

Joint = tuple[float, float, float, float, float, float]
"""Position (x, y, z) relative to the root in metres, ray (u, v) as tangents, weight above 0."""
Vector = tuple[float, float, float]
Matrix = tuple[Vector, Vector, Vector]
_Seen = tuple[float, float, float, float, float, float]
"""Projection (a, b), inverse depth, residual (du, dv), weight of one placed joint."""
SINGULAR = 1e-12


def fit_root(joints: Sequence[Joint], rounds: int, tangent_noise: float) -> tuple[Vector, Matrix] | None:
    """Translation (m) and covariance (m^2) of one person; None where the rays allow none.

    See :func:`diffpose_ros.geometry.root.root_translation`, which says what is solved.
    """
    place = _closed_form(joints)
    if place is None:
        return None
    limit = inf
    seen, sizes = _project(joints, place)
    for _ in range(rounds):
        limit = max(HUBER * 1.2 * _median(sizes), tangent_noise)
        step = _step(seen, sizes, limit)
        place = (place[0] + step[0], place[1] + step[1], place[2] + step[2])
        seen, sizes = _project(joints, place)
        if abs(step[0]) + abs(step[1]) + abs(step[2]) < CONVERGED_M:
            break
    if not (isfinite(place[0] + place[1]) and MIN_DEPTH_M < place[2] < inf):
        return None
    if any(z + place[2] <= 0 for _, _, z, _, _, _ in joints):
        return None  # every joint that was seen lies in front of the camera
    covariance = _covariance(seen, sizes, limit, tangent_noise)
    if not isfinite(sum(map(sum, covariance))):
        return None
    return place, covariance


def _closed_form(joints: Sequence[Joint]) -> Vector | None:
    """Weighted least squares of ``(x, y) - ray z = ray T_z - (T_x, T_y)``: T_z is the slope over the
    rays, T_x and T_y follow from the means."""
    total = mean_u = mean_v = mean_p = mean_q = 0.0
    for x, y, z, u, v, w in joints:
        total += w
        mean_u += w * u
        mean_v += w * v
        mean_p += w * (x - u * z)
        mean_q += w * (y - v * z)
    mean_u, mean_v, mean_p, mean_q = mean_u / total, mean_v / total, mean_p / total, mean_q / total
    spread = slope = 0.0
    for x, y, z, u, v, w in joints:
        du, dv = w * (u - mean_u), w * (v - mean_v)
        spread += du * u + dv * v
        slope += du * (x - u * z) + dv * (y - v * z)
    if not spread > 1e-10 * total:
        return None
    depth = slope / spread
    return mean_u * depth - mean_p, mean_v * depth - mean_q, depth


def _project(joints: Sequence[Joint], place: Vector) -> tuple[list[_Seen], list[float]]:
    """The placed joints as they would be seen, and the lengths of the residuals, tangent units."""
    tx, ty, tz = place
    seen, sizes = [], []
    for x, y, z, u, v, w in joints:
        depth = z + tz
        near = 1.0 / (depth if depth > MIN_DEPTH_M else MIN_DEPTH_M)
        a, b = (x + tx) * near, (y + ty) * near
        seen.append((a, b, near, u - a, v - b, w))
        sizes.append(hypot(u - a, v - b))
    return seen, sizes


def _median(values: list[float]) -> float:
    ordered = sorted(values)
    n = len(ordered)
    return 0.5 * (ordered[(n - 1) // 2] + ordered[n // 2])


def _step(seen: list[_Seen], sizes: list[float], limit: float) -> Vector:
    """Gauss-Newton step: a tangent changes by (dT_x - u dT_z) / depth, v likewise."""
    n = na = nb = nn = gx = gy = gz = 0.0
    for (a, b, near, du, dv, w), size in zip(seen, sizes, strict=True):
        pull = w * near if size <= limit else w * near * limit / size
        weight = pull * near
        n += weight
        na += weight * a
        nb += weight * b
        nn += weight * (a * a + b * b)
        gx += pull * du
        gy += pull * dv
        gz -= pull * (du * a + dv * b)
    if not n > 0:
        return 0.0, 0.0, 0.0
    dz = (gz + (na * gx + nb * gy) / n) / max(nn - (na * na + nb * nb) / n, SINGULAR)
    return (gx + na * dz) / n, (gy + nb * dz) / n, dz


def _covariance(seen: list[_Seen], sizes: list[float], limit: float, tangent_noise: float) -> Matrix:
    """Noise variance x N(w)^-1 N(w^2) N(w)^-1 of the weighted fit, N the normal matrix.

    The noise is the mean square of the residuals, cut at the Huber limit, over the squared share of
    a residual's change that the cut lets through.
    """
    total = square = cut2 = passed = 0.0
    n = na = nb = nn = m = ma = mb = mm = 0.0
    for (a, b, near, _, _, w), size in zip(seen, sizes, strict=True):
        total += w
        square += w * w
        # Beyond the limit a residual passes on across its direction alone.
        if size > limit:
            cut2 += w * limit * limit
            passed += w * 0.5 * limit / size
        else:
            cut2 += w * size * size
            passed += w
        q = w * near * near
        n += q
        na += q * a
        nb += q * b
        nn += q * (a * a + b * b)
        q *= w
        m += q
        ma += q * a
        mb += q * b
        mm += q * (a * a + b * b)
    freedom = 2 * total * total / square - 3  # of joints that really count
    # An inverse variance is estimated without bias by two degrees of freedom less.
    measured = cut2 / (2 * total) / max(passed / total, 1e-6) ** 2 * (freedom + 3) / max(freedom - 2, 1.0)
    assumed = tangent_noise * tangent_noise
    variance = max(measured - assumed * sqrt(2 / max(freedom, 1.0)), assumed)
    schur = max(nn - (na * na + nb * nb) / n, SINGULAR)
    x, y = na / n, nb / n
    inverse = (
        (1 / n + x * x / schur, x * y / schur, x / schur),
        (x * y / schur, 1 / n + y * y / schur, y / schur),
        (x / schur, y / schur, 1 / schur),
    )
    half = [(r[0] * m - r[2] * ma, r[1] * m - r[2] * mb, r[2] * mm - r[0] * ma - r[1] * mb) for r in inverse]
    first, second, third = (
        (
            variance * (h[0] * inverse[0][0] + h[1] * inverse[0][1] + h[2] * inverse[0][2]),
            variance * (h[0] * inverse[1][0] + h[1] * inverse[1][1] + h[2] * inverse[1][2]),
            variance * (h[0] * inverse[2][0] + h[1] * inverse[2][1] + h[2] * inverse[2][2]),
        )
        for h in half
    )
    return first, second, third
