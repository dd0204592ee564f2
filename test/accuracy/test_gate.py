"""The shipped weights, through the whole lifter, are as accurate as when they were accepted.

Each bound stands just beyond what was measured: errors from above, shares inside a covariance from
both sides, since a covariance that is too large lies as well. 296 frames of 8 people (CMU) before
four cameras, or one; a better lifter moves the bounds, a broken one does not pass.
"""

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="needs onnxruntime")

from gate import fingerprint, lift, scores

RUNS = {
    "starpose": {"model": "starpose"},
    "diffpose in 2 steps": {"model": "diffpose", "steps": 2},
    "zedo": {"model": "zedo"},
    "finepose": {"model": "finepose", "steps": 1, "prompt": "walking; 3: lying; 5: sitting"},
    "unihpr": {"model": "unihpr"},
    "baseline_people": {"model": "baseline_people", "gravity": True},
}
FEW = dict.fromkeys(("finepose", "unihpr"), ("wide lens",))
"""Runs before some of the cameras."""
FINGERPRINTS = {"finepose": 0.003522, "unihpr": 0.021726, "baseline_people": 0.002100}
"""Of methods that are told more than keypoints: what they make of it moves their errors too little."""
BOUNDS = {
    "starpose": {
        "MPJPE": (0, 57.6),
        "P-MPJPE": (0, 43.0),
        "root": (0, 217),
        "root, median": (0, 181),
        "joints in 1 sigma": (0.475, 0.50),
        "joints in 2 sigma": (0.70, 0.73),
        "root in 1 sigma": (0.68, 0.73),
        "root in 2 sigma": (0.92, 0.96),
        "missing": (0, 0),
    },
    "diffpose in 2 steps": {
        "MPJPE": (0, 56.8),
        "P-MPJPE": (0, 42.8),
        "root": (0, 205),
        "root, median": (0, 169),
        "joints in 1 sigma": (0.475, 0.50),
        "joints in 2 sigma": (0.70, 0.73),
        "root in 1 sigma": (0.70, 0.75),
        "root in 2 sigma": (0.92, 0.96),
        "missing": (0, 0),
    },
    "zedo": {
        "MPJPE": (0, 105.0),
        "P-MPJPE": (0, 70.5),
        "root": (0, 246),
        "root, median": (0, 189),
        "joints in 1 sigma": (0.645, 0.675),
        "joints in 2 sigma": (0.845, 0.875),
        "root in 1 sigma": (0.535, 0.57),
        "root in 2 sigma": (0.79, 0.825),
        "missing": (0, 0),
    },
    "finepose": {
        "MPJPE": (0, 63.5),
        "P-MPJPE": (0, 48.5),
        "root": (0, 145),
        "root, median": (0, 112),
        "joints in 1 sigma": (0.505, 0.53),
        "joints in 2 sigma": (0.72, 0.75),
        "root in 1 sigma": (0.73, 0.765),
        "root in 2 sigma": (0.92, 0.95),
        "missing": (0, 0),
    },
    "unihpr": {
        "MPJPE": (0, 80.5),
        "P-MPJPE": (0, 60.5),
        "root": (0, 204),
        "root, median": (0, 144),
        "joints in 1 sigma": (0.73, 0.76),
        "joints in 2 sigma": (0.92, 0.945),
        "root in 1 sigma": (0.565, 0.60),
        "root in 2 sigma": (0.89, 0.92),
        "missing": (0, 0),
    },
    "baseline_people": {
        "MPJPE": (0, 61.8),
        "P-MPJPE": (0, 50.3),
        "root": (0, 164),
        "root, median": (0, 144),
        "joints in 1 sigma": (0.855, 0.88),
        "joints in 2 sigma": (0.96, 0.98),
        "root in 1 sigma": (0.775, 0.815),
        "root in 2 sigma": (0.94, 0.965),
        "missing": (0, 0),
    },
}


@pytest.fixture(scope="module")
def measured():
    """Scores of a run, measured once."""
    done = {}

    def get(run):
        if run not in done:
            answers = lift(**{"cameras": FEW[run]} if run in FEW else {}, **RUNS[run])
            done[run] = scores(answers), fingerprint(answers)
        return done[run]

    return get


@pytest.mark.parametrize("run", RUNS)
def test_accuracy_gate(measured, run):
    low = {name: bounds[0] for name, bounds in BOUNDS[run].items()}
    got = {name: round(float(value), 3) for name, value in measured(run)[0].items()}
    beyond = {n: v for n, v in got.items() if not low[n] <= v <= BOUNDS[run][n][1]}
    assert not beyond, f"beyond the bounds: {beyond}; all of it: {got}"


@pytest.mark.parametrize("run", FINGERPRINTS)
def test_what_a_model_is_told_beside_keypoints_arrives(measured, run):
    """Speed, parts in view, prompts of everyone and of tracks; gravity; the noise, and whose row is whose."""
    assert measured(run)[1] == pytest.approx(FINGERPRINTS[run], abs=2e-5)


def test_the_gate_measures_what_it_says():
    """The truth scores 0 and is covered; a pose moved by 10 mm scores what it should."""
    from gate import Answers

    rng = np.random.default_rng(0)
    true = rng.normal([0, 0, 4.0], 0.5, (5, 17, 3))
    xyz = true.copy()
    xyz[:, 1:] += [0.017, 0, 0]
    tight, wide = (s**2 * np.broadcast_to(np.eye(3), (5, 17, 3, 3)) for s in (0.005, 0.01))
    got = scores(Answers(xyz, true, wide, true[:, 0] + [0, 0, 0.03], tight[:, 0], 0))
    assert got["MPJPE"] == pytest.approx(16.0)
    assert got["P-MPJPE"] < 16.0
    assert got["root"] == pytest.approx(30.0)
    assert got["joints in 1 sigma"] == 1.0
    assert got["root in 2 sigma"] == 0.0
    c, si = np.cos(0.7), np.sin(0.7)
    turned = 1.2 * true @ np.array([[c, si, 0], [-si, c, 0], [0, 0, 1.0]])
    again = scores(Answers(turned, true, wide, true[:, 0], tight[:, 0], 0))
    assert again["MPJPE"] > 100
    assert again["P-MPJPE"] == pytest.approx(0, abs=1e-9)
    mirrored = scores(Answers(true * [-1, 1, 1], true, wide, true[:, 0], tight[:, 0], 0))
    assert mirrored["P-MPJPE"] > 100
