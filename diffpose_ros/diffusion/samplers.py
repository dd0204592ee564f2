"""Samplers: free functions that see a callable, never a network class.

``denoise(h, k)`` maps noisy residuals (..., J, 3) and the step number to the clean ones (x_0
parametrisation, steadier than eps at few steps). All are written in operations that export.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

from torch import Tensor

Denoise = Callable[[Tensor, int], Tensor]
Guide = Callable[[Tensor], Tensor]


def diffuse(clean: Tensor, mean: Tensor, noise: Tensor, alpha: Tensor | float) -> Tensor:
    """DiffPose eq. 7: h_k = mu + sqrt(alpha_k) (h_0 - mu) + sqrt(1 - alpha_k) eps.

    Args:
        clean: h_0.
        mean: mu of the drawn component.
        noise: eps, already of the component's width.
        alpha: alpha_k, broadcastable.
    """
    if isinstance(alpha, Tensor):
        return mean + alpha.sqrt() * (clean - mean) + (1 - alpha).sqrt() * noise
    return mean + math.sqrt(alpha) * (clean - mean) + math.sqrt(1 - alpha) * noise


def sample_ddim(
    denoise: Denoise,
    start: Tensor,
    mean: Tensor,
    alphas: Sequence[float],
    steps: Sequence[int],
    guide: Guide | None = None,
    *,
    keep_centre: bool = False,
) -> Tensor:
    """Deterministic DDIM (eta = 0) around the component means; StarPose Algorithm 1 with ``guide``.

    h_{k'} = mu + sqrt(alpha_k') (h_0|k - mu) + sqrt(1 - alpha_k') eps_hat, mu kept throughout.

    Args:
        denoise: (h_k, k) to h_0|k.
        start: draws from H_K, (..., J, 3).
        mean: mu of each draw's component, broadcastable to ``start``.
        alphas: alpha_0 .. alpha_K.
        steps: the k to visit, descending, ending with 0.
        guide: moves a clean estimate; applied to every h_0|k.
        keep_centre: shift the finished hypotheses (axis -3) together, so that their mean is that of
            the first clean estimates: what is expected given the condition alone, free of what the
            later steps add up. The later steps then decide the spread.

    Returns:
        h_0.
    """
    h = start
    centre: Tensor | None = None
    for k, nxt in itertools.pairwise(steps):
        clean = denoise(h, k)
        if keep_centre:
            now = clean.mean(dim=-3, keepdim=True)
            if centre is None:
                centre = now
            elif nxt == 0:
                clean = clean - now + centre
        if guide is not None:
            clean = guide(clean)
        if nxt == 0:
            return clean
        here, there = alphas[k], alphas[nxt]
        eps = (h - mean - math.sqrt(here) * (clean - mean)) / math.sqrt(max(1.0 - here, 1e-8))
        h = mean + math.sqrt(there) * (clean - mean) + math.sqrt(1.0 - there) * eps
    return h
