"""The study behind docs/results.md, and the page made of it."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from diffpose_ros.core import UNKNOWN, InputError, Surroundings
from diffpose_ros.data import benchmark
from diffpose_ros.evaluation import results as study_of
from diffpose_ros.evaluation.report import Scores
from diffpose_ros.evaluation.results import LADDER, QUICK, Results, Study
from diffpose_ros.evaluation.results_page import order, page

BLANK = Scores(**{f.name: 1 for f in fields(Scores)})
WEIGHTS = (1.0, 0.5, 0.0, 0.2)


class Constant:
    """A lifter that says the same of everyone; the study sees how it was started."""

    def __init__(self, settings) -> None:
        self.settings, self.closed = settings, False

    def reset(self) -> None:
        self.frames = 0

    def lift(self, people, camera, stamp_ns, *, around=None):
        from types import SimpleNamespace

        xyz = np.arange(51.0).reshape(17, 3) / 50 + [0, 0, 4]
        covariance = np.tile(np.eye(3) * 0.04, (17, 1, 1))
        skeletons = [
            SimpleNamespace(xyz=xyz, covariance=covariance, root_covariance=np.eye(3), track_id=int(t))
            for t in people.track_id
        ]
        return SimpleNamespace(skeletons=skeletons, hypotheses=None)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def studied(contents, save):
    """A whole quick study on two sequences, and the lifters that it started."""
    started = []

    def make(model, **settings):
        started.append(Constant({"model": model, **settings}))
        return started[-1]

    study = Study(
        benchmark.load(save(contents)), make, plan=replace(QUICK, drift_frames=20), steps=[5, 2],
        weights=WEIGHTS, window=9,
    )  # fmt: skip
    for part in (study.ablation, study.places, study.sweeps, study.guidance, study.drift):
        part()
    return study, started


def test_places_are_measured_by_what_is_known_and_nothing_else_is(contents, save) -> None:
    around = Surroundings(up=np.array([0.0, -1.0, 0.0]), camera_height=1.4)
    told = []

    class Listening(Constant):
        def lift(self, people, camera, stamp_ns, around=UNKNOWN):
            told.append((around.up is not None, around.camera_height))
            return super().lift(people, camera, stamp_ns)

    sequences = [replace(s, around=around) for s in benchmark.load(save(contents))]
    study = Study(
        sequences, lambda model, **settings: Listening(settings), plan=QUICK, steps=[5], weights=WEIGHTS
    )
    study.ablation()
    assert set(told) == {(False, None)}
    told.clear()
    study.places()
    assert list(study.results.places) == ["nothing", "gravity", "gravity and the camera's height"]
    assert sorted(set(told), key=str) == [(False, None), (True, 1.4), (True, None)]
    text = page(study.results, {})
    (row,) = (line for line in text.splitlines() if line.startswith("| gravity and the camera's height |"))
    share = 100 * study.results.places["gravity and the camera's height"].root_coverage_1sigma
    assert f" {share:.1f} |" in row


def test_each_rung_and_each_setting_is_measured(studied) -> None:
    study, started = studied
    found = study.results
    assert tuple(found.overall) == LADDER
    assert list(found.sweeps) == ["hypotheses", "steps", "window", "rate"]
    assert list(found.sweeps["steps"]) == [2, 5]
    assert list(found.sweeps["rate"]) == [10.0]
    assert all(list(rows) == [0.0, 1.0] for rows in found.guidance.values())
    assert found.sweep_frames == 12
    assert len(found.drift_mm) == 1
    assert all(lifter.closed for lifter in started)


def test_the_ladder_switches_one_thing_at_a_time(studied) -> None:
    _, started = studied
    ladder = [
        (s.settings["model"], s.settings.get("guidance"), s.settings.get("guidance_weights"))
        for s in started[:5]
    ]
    assert ladder == [
        ("baseline", None, None),
        ("diffpose", False, None), ("diffpose", None, WEIGHTS),
        ("starpose", False, None), ("starpose", None, WEIGHTS),
    ]  # fmt: skip


def test_one_energy_is_varied_at_a_time_and_the_common_setting_is_run_once(studied) -> None:
    _, started = studied
    tried = [s.settings.get("guidance_weights") for s in started[-6:-1]]
    assert tried == [
        (0.0, 0.5, 0.0, 0.2),
        WEIGHTS,
        (1.0, 0.0, 0.0, 0.2),
        (1.0, 0.5, 0.01, 0.2),  # off as shipped: around the papers' weight
        (1.0, 0.5, 0.0, 0.0),
    ]


def test_a_model_without_weights_is_guided_with_the_papers(contents, save) -> None:
    study = Study(benchmark.load(save(contents)), Constant, plan=QUICK, steps=[5], weights=(0.0,) * 4)
    assert study.results.weights == study_of.PAPER_WEIGHTS
    assert study.results.weights_are_the_papers


def test_what_stands_beside_the_ladder_is_measured_as_it_is_shipped(studied) -> None:
    study, started = studied
    study.others, before = ("zedo", "some/unihpr_2.onnx"), len(started)
    study.beside()
    assert [s.settings for s in started[before:]] == [
        {"model": "starpose", "max_people": study_of.GROUP, "keep_hypotheses": True,
         "guidance_weights": WEIGHTS, "refine": True},
        {"model": "zedo", "max_people": study_of.GROUP, "keep_hypotheses": True},
        {"model": "some/unihpr_2.onnx", "max_people": study_of.GROUP, "keep_hypotheses": True},
    ]  # fmt: skip
    text = page(study.results, {})
    for name in ("StarPose + refine", "ZeDO, zero-shot", "unihpr_2"):
        assert text.count(f"| {name} |") > 2  # overall, spread, per action
    assert "| StarPose | StarPose + refine |" not in text  # no rung of the ladder


def test_nothing_to_study_is_an_error() -> None:
    with pytest.raises(InputError, match="at least one sequence"):
        Study([], Constant, plan=QUICK, steps=[5], weights=WEIGHTS)


def test_the_page_holds_every_table(studied, tmp_path) -> None:
    study, _ = studied
    study.results.notes.append("Something: it was not there.")
    text = page(study.results, {"steps": "images/results_steps.png"})
    for name in LADDER:
        assert f"| {name} |" in text
    for heading in ("Overall", "Per action", "Per subject", "DDIM steps", "Guidance weights", "Drift",
                    "Not measured", "Does the papers' order hold?"):  # fmt: skip
        assert f" {heading}" in text, heading
    assert "trained with 9" in text
    assert "![DDIM steps](images/results_steps.png)" in text
    assert "12 frames" in text
    assert "Something: it was not there." in text
    assert "Single-frame" not in text, "the reference was measured on another file"


def test_the_reference_stands_where_it_was_measured(studied) -> None:
    study, _ = studied
    whole = {n: replace(BLANK, sequences=36, frames=4976) for n in LADDER}
    text = page(replace(study.results, overall=whole), {})
    assert "| Single-frame residual MLP, same training data | 80.8 | 53.2 |" in text


def test_a_rung_that_is_no_better_is_said() -> None:
    rungs = {n: replace(BLANK, mpjpe_mm=v) for n, v in zip(LADDER, (60, 50, 50, 51, 40.0), strict=True)}
    verdicts = [line.split("|")[-2].strip() for line in order(rungs)[2:]]
    assert verdicts == ["yes", "the same", "**no**", "yes"]


def test_plots_are_drawn_for_what_was_swept(tmp_path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: plots need it")
    from diffpose_ros.evaluation.results_plots import draw

    rows = {1.0: BLANK, 5.0: replace(BLANK, min_of_n_mpjpe_mm=None, mpjve_mm=None)}
    found = draw(
        Results(sweeps={"window": rows, "rate": {30.0: BLANK}}, guidance={"symmetry": rows}),
        tmp_path / "images",
    )
    assert sorted(found) == ["guidance", "window"], "one setting is no curve"
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in found.values())
