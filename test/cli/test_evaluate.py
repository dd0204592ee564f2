"""``evaluate``: the numbers reach the table and the JSON; bad calls are refused."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from diffpose_ros.cli import evaluate
from diffpose_ros.core import Hypotheses

KEYS = {
    "mpjpe_mm", "p_mpjpe_mm", "n_mpjpe_mm", "pck150", "auc", "mpjve_mm", "acc_err_mm",
    "min_of_n_mpjpe_mm", "root_error_mm", "coverage_1sigma", "coverage_2sigma", "model", "frames",
}  # fmt: skip


class Off:
    """Answers every frame with one pose, 4 m away."""

    def __init__(self):
        self.pose = np.random.default_rng(0).normal(scale=0.3, size=(17, 3)) + np.array([0, 0, 4.0])

    def reset(self):
        pass

    def lift(self, people, camera, stamp_ns, *, around=None):
        covariance = np.tile(1e-2 * np.eye(3), (17, 1, 1))
        skeleton = SimpleNamespace(xyz=self.pose, covariance=covariance, root_covariance=np.eye(3))
        samples = Hypotheses((self.pose - self.pose[:1])[None])
        return SimpleNamespace(skeletons=[skeleton], hypotheses=[samples])


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(1)
    matrix = np.array([[900.0, 0, 640], [0, 900, 360], [0, 0, 1]])
    skeleton = rng.normal(scale=0.3, size=(12, 17, 3)) + np.array([0, 0, 4.0])
    image = skeleton @ matrix.T
    keypoints = np.concatenate([image[..., :2] / image[..., 2:], np.ones((12, 17, 1))], -1)
    path = tmp_path / "bench.npz"
    np.savez(
        path, offsets=np.array([0, 6, 12]), keypoints=keypoints, skeleton=skeleton,
        camera_matrix=np.stack([matrix] * 2), image_size=np.array([1280, 720]), fps=30.0,
        action=np.array(["walk", "run"]),
    )  # fmt: skip
    return path


@pytest.fixture
def lifter(monkeypatch):
    seen = {}

    def make(args, *, keep_hypotheses=False):
        seen["args"], seen["keep"] = args, keep_hypotheses
        return Off()

    monkeypatch.setattr(evaluate, "make_lifter", make)
    return seen


def test_the_json_holds_the_agreed_keys(call, data, lifter, tmp_path):
    out = tmp_path / "deep" / "out.json"
    outcome = call("evaluate", "--data", data, "--json", out, "--model", "diffpose")
    assert outcome.code == 0, outcome.err
    content = json.loads(out.read_text())
    assert set(content) >= KEYS
    assert (content["model"], content["frames"]) == ("diffpose", 12)
    assert content["mpjpe_mm"] > 100
    assert lifter["keep"]


def test_the_table_shows_the_metrics(call, data, lifter):
    outcome = call("evaluate", "--data", data)
    for label in ("MPJPE", "P-MPJPE", "PCK@150", "ACC-ERR", "in 1 sigma"):
        assert label in outcome.out
    assert "12 frames of 2 sequences" in outcome.out


def test_actions_get_rows_of_their_own(call, data, lifter, tmp_path):
    out = tmp_path / "out.json"
    outcome = call("evaluate", "--data", data, "--per-action", "--json", out)
    assert outcome.code == 0, outcome.err
    assert set(json.loads(out.read_text())["per_action"]) == {"walk", "run"}
    for row in ("walk", "run", "mean of actions", "mean of frames"):
        assert row in outcome.out


def test_a_slower_camera_sees_fewer_frames(call, data, lifter, tmp_path):
    out = tmp_path / "out.json"
    assert call("evaluate", "--data", data, "--frame-rate", 10, "--json", out).code == 0
    content = json.loads(out.read_text())
    assert (content["frames"], content["frame_rate_hz"]) == (4, 10.0)


def test_only_the_first_sequences_on_request(call, data, lifter):
    assert "6 frames of 1 sequences" in call("evaluate", "--data", data, "--sequences", 1).out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--hypotheses", "0"], "expected a whole number, 1 to 1000, got '0'"),
        (["--steps", "many"], "expected a whole number, 1 to 1000, got 'many'"),
        (["--frame-rate", "-3"], "expected a number, 0.1 or more, got '-3'"),
        (["--backend", "abacus"], "invalid choice: 'abacus'"),
        (["--person-height", "17"], "expected a number, 0.4 to 2.8, got '17'"),
    ],
)
def test_arguments_out_of_range_are_usage_errors(call, data, words, text):
    outcome = call("evaluate", "--data", data, *words)
    assert outcome.code == 2
    assert text in outcome.err


def test_a_faster_camera_than_the_file_is_refused(call, data, lifter):
    outcome = call("evaluate", "--data", data, "--frame-rate", 60)
    assert outcome.code == 1
    assert "at most the file's 30 Hz, got 60" in outcome.err


def test_a_missing_file_is_one_line(call, lifter):
    outcome = call("evaluate", "--data", "nowhere.npz")
    assert outcome.code == 1
    assert outcome.err.startswith("diffpose_ros evaluate: error: nowhere.npz: no such file")
    assert outcome.err.count("\n") == 1


def test_a_place_that_cannot_be_written_is_found_before_the_work(call, data, lifter, tmp_path):
    outcome = call("evaluate", "--data", data, "--json", tmp_path)
    assert outcome.code == 1
    assert "expected a file name to write to, got a folder" in outcome.err
    assert "args" not in lifter
