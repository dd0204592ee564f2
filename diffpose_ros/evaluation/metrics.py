"""Errors of 3D poses, as the papers of the field define them.

Letters: F frames, J joints, N hypotheses. Poses are metres in the camera's optical frame, results
are millimetres unless a docstring says otherwise. Joint 0 is the root (mid-hip), and every metric
but :func:`root_error` compares poses relative to it, over all J joints, the root included, as
VideoPose3D (Pavllo et al., CVPR 2019) does and everyone after it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import InputError
from diffpose_ros.geometry.procrustes import procrustes_align

Array = NDArray[np.float64]

ROOT = 0
MM = 1000.0
PCK_THRESHOLD_MM = 150.0
AUC_THRESHOLDS_MM = np.linspace(0.0, 150.0, 31)


def relative(pose: Array) -> Array:
    """(..., J, 3) with the root moved to the origin."""
    pose = np.asarray(pose, dtype=np.float64)
    return pose - pose[..., ROOT : ROOT + 1, :]


def joint_errors(predicted: Array, true: Array) -> Array:
    """Distance of each joint from the truth, relative to the root.

    Args:
        predicted: (F, J, 3) m.
        true: (F, J, 3) m.

    Returns:
        (F, J) mm.

    Raises:
        InputError: the shapes differ or are not (F, J, 3).
    """
    predicted, true = _pair(predicted, true)
    return MM * np.linalg.norm(relative(predicted) - relative(true), axis=-1)


def mpjpe(predicted: Array, true: Array) -> Array:
    """Mean per-joint position error of each frame, (F,) mm. Protocol 1 of Human3.6M."""
    return joint_errors(predicted, true).mean(axis=-1)


def n_mpjpe(predicted: Array, true: Array) -> Array:
    """MPJPE after the best scale of each frame, (F,) mm (Rhodin et al., CVPR 2018).

    The scale minimises the squared error: ``s = <p, t> / <p, p>`` of the root-relative poses.
    """
    predicted, true = _pair(predicted, true)
    p, t = relative(predicted), relative(true)
    norm = (p * p).sum((-1, -2))
    scale = np.where(norm > 0, (p * t).sum((-1, -2)) / np.where(norm > 0, norm, 1.0), 1.0)
    return joint_errors(scale[:, None, None] * p, t).mean(axis=-1)


def p_mpjpe(predicted: Array, true: Array) -> Array:
    """MPJPE after the best similarity transform of each frame, (F,) mm. Protocol 2 of Human3.6M.

    Rotation, scale and translation from the singular value decomposition (Umeyama, 1991);
    reflections are not allowed. Joints are compared where the transform puts them, not relative
    to the root.
    """
    predicted, true = _pair(predicted, true)
    return MM * np.linalg.norm(procrustes(predicted, true) - true, axis=-1).mean(axis=-1)


def procrustes(predicted: Array, true: Array) -> Array:
    """``predicted`` (F, J, 3) moved onto ``true`` (F, J, 3) by a similarity for each frame."""
    return procrustes_align(*_pair(predicted, true))


def pck(predicted: Array, true: Array, threshold_mm: float = PCK_THRESHOLD_MM) -> float:
    """Share of joints closer than ``threshold_mm``, 0 to 1 (Mehta et al., 3DV 2017)."""
    return float((joint_errors(predicted, true) < threshold_mm).mean())


def auc(predicted: Array, true: Array) -> float:
    """Mean of the PCK over thresholds 0, 5, ..., 150 mm, 0 to 1 (Mehta et al., 3DV 2017).

    A joint must be closer than the threshold, as in MPI-INF-3DHP's own script and MMPose, so
    that a perfect prediction reaches 30/31: nothing is closer than 0 mm.
    """
    errors = joint_errors(predicted, true)
    return float(np.mean([(errors < t).mean() for t in AUC_THRESHOLDS_MM]))


def mpjve(predicted: Array, true: Array) -> Array:
    """Mean per-joint velocity error, (F-1,) mm per frame (Pavllo et al., CVPR 2019).

    The distance between first differences in time. Call it for one sequence at a time.
    """
    predicted, true = _pair(predicted, true)
    return _difference_error(predicted, true, 1)


def acc_err(predicted: Array, true: Array) -> Array:
    """Acceleration error, (F-2,) mm per frame^2 (Kanazawa et al., CVPR 2019).

    The distance between second differences in time. Call it for one sequence at a time.
    """
    predicted, true = _pair(predicted, true)
    return _difference_error(predicted, true, 2)


def min_of_n_mpjpe(hypotheses: Array, true: Array) -> Array:
    """MPJPE of each frame's best hypothesis, (F,) mm (Li and Lee, CVPR 2019).

    Args:
        hypotheses: (F, N, J, 3) m; a whole pose is chosen, not joint by joint.
        true: (F, J, 3) m.
    """
    return np.asarray(MM * _hypotheses_error(hypotheses, true).mean(-1).min(-1))


def joint_best_mpjpe(hypotheses: Array, true: Array) -> Array:
    """MPJPE of the pose made of each joint's best hypothesis, (F,) mm: "J-Best" (D3DP, FinePOSE).

    An oracle twice over: the truth chooses, and it puts together what no hypothesis was.

    Args:
        hypotheses: (F, N, J, 3) m.
        true: (F, J, 3) m.
    """
    return np.asarray(MM * _hypotheses_error(hypotheses, true).min(1).mean(-1))


def _hypotheses_error(hypotheses: Array, true: Array) -> Array:
    """Distance of each joint of each hypothesis from the truth, (F, N, J) m."""
    hypotheses, true = np.asarray(hypotheses, np.float64), np.asarray(true, np.float64)
    if hypotheses.ndim != 4 or hypotheses.shape[:1] + hypotheses.shape[2:] != true.shape:
        raise InputError(f"hypotheses: expected (F, N, J, 3) for poses {true.shape}, got {hypotheses.shape}")
    return np.asarray(np.linalg.norm(relative(hypotheses) - relative(true)[:, None], axis=-1))


def inside_sigma(predicted: Array, covariance: Array, true: Array, sigmas: float) -> NDArray:
    """Whether each coordinate's truth lies within ``sigmas`` standard deviations.

    A calibrated normal distribution covers 68.3 % at one sigma and 95.4 % at two. The root is
    left out: relative to itself it has neither error nor variance.

    Args:
        predicted: (F, J, 3) m.
        covariance: (F, J, 3, 3) m^2 of the joints relative to the root.
        true: (F, J, 3) m.
        sigmas: width of the interval.

    Returns:
        (F, J - 1, 3) bool.
    """
    predicted, true = _pair(predicted, true)
    covariance = np.asarray(covariance, np.float64)
    if covariance.shape != (*predicted.shape, 3):
        raise InputError(f"covariance: expected {(*predicted.shape, 3)}, got {covariance.shape}")
    error = np.abs(relative(predicted) - relative(true))
    deviation = np.sqrt(np.maximum(np.diagonal(covariance, axis1=-2, axis2=-1), 0.0))
    inside: NDArray = np.delete(error <= sigmas * deviation, ROOT, axis=1)
    return inside


def root_error(predicted: Array, true: Array) -> Array:
    """Distance of the absolute root from the truth, (F,) mm.

    Args:
        predicted: (F, J, 3) m, absolute.
        true: (F, J, 3) m, absolute.
    """
    predicted, true = _pair(predicted, true)
    return MM * np.linalg.norm(predicted[:, ROOT] - true[:, ROOT], axis=-1)


def root_velocity_error(predicted: Array, true: Array) -> Array:
    """Error of the absolute root's motion from frame to frame, (F - 1,) mm per frame.

    Args:
        predicted: (F, J, 3) m, absolute.
        true: (F, J, 3) m, absolute.
    """
    predicted, true = _pair(predicted, true)
    error = np.diff(predicted[:, ROOT], axis=0) - np.diff(true[:, ROOT], axis=0)
    return MM * np.linalg.norm(error, axis=-1)


def root_inside_sigma(predicted: Array, covariance: Array, true: Array, sigmas: float) -> NDArray:
    """Which coordinates of the absolute root lie within so many standard deviations, (F, 3) bool.

    Args:
        predicted: (F, J, 3) m, absolute.
        covariance: (F, 3, 3) m^2 of the root's position.
        true: (F, J, 3) m, absolute.
        sigmas: how many.
    """
    predicted, true = _pair(predicted, true)
    covariance = np.asarray(covariance, np.float64)
    if covariance.shape != (len(true), 3, 3):
        raise InputError(f"root covariance: expected {(len(true), 3, 3)}, got {covariance.shape}")
    deviation = np.sqrt(np.maximum(np.diagonal(covariance, axis1=-2, axis2=-1), 0.0))
    inside: NDArray = np.abs(predicted[:, ROOT] - true[:, ROOT]) <= sigmas * deviation
    return inside


def _difference_error(predicted: Array, true: Array, order: int) -> Array:
    p = np.diff(relative(predicted), n=order, axis=0)
    t = np.diff(relative(true), n=order, axis=0)
    return MM * np.linalg.norm(p - t, axis=-1).mean(axis=-1)


def _pair(predicted: Array, true: Array) -> tuple[Array, Array]:
    predicted, true = np.asarray(predicted, np.float64), np.asarray(true, np.float64)
    if predicted.shape != true.shape:
        raise InputError(f"poses: expected the shape of the truth {true.shape}, got {predicted.shape}")
    if true.ndim != 3 or true.shape[-1] != 3:
        raise InputError(f"poses: expected (F, J, 3), got {true.shape}")
    return predicted, true
