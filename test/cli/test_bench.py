"""``bench`` measures each stage, compares in the same run, and writes what scripts and docs need."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "runtime"))

pytest.importorskip("onnx", reason="needs the Python package onnx to make a test graph")

from synthetic import write_family

from diffpose_ros.bench.report import BEGIN, END


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(write_family(tmp_path_factory.mktemp("bench")))


@pytest.fixture
def bench(call, model, tmp_path):
    """Run the command quickly on the synthetic model; the JSON."""

    def run(*more):
        out = tmp_path / "bench.json"
        outcome = call(
            "bench", "--model", model, "--people", "1,2", "--frames", "5", "--backend",
            "onnxruntime", "--json", str(out), *more,
        )  # fmt: skip
        assert outcome.code == 0, outcome.err
        return json.loads(out.read_text())

    return run


def test_the_json_has_every_stage_for_every_crowd(bench):
    data = bench("--no-ratios")
    people = data["backend"]["onnxruntime"]["people"]
    assert set(people) == {"1", "2"}
    for stages in people.values():
        assert {"undistort", "window", "encoder", "sampler", "graph", "root", "total"} <= set(stages)
        assert all(0 <= s["p50_ms"] <= s["p99_ms"] for s in stages.values())
    assert data["machine"]["cores"] >= 1
    assert data["ratios"] == {"torch_eager": None, "full_window": None, "papers_way": None}
    assert "--no-ratios" in data["not_measured"]["ratios"]


def test_without_a_checkpoint_the_ratios_say_why(bench):
    data = bench()
    assert data["ratios"]["torch_eager"] is None
    assert "not found beside" in data["not_measured"]["ratios"] or (
        "torch is not installed" in data["not_measured"]["ratios"]
    )


def test_docs_are_written_between_the_marks(bench, tmp_path):
    docs = tmp_path / "performance.md"
    docs.write_text(f"# Title\n\n{BEGIN}\nold\n{END}\n\nthe end\n")
    bench("--no-ratios", "--write-docs", str(docs))
    text = docs.read_text()
    assert text.startswith("# Title\n\n")
    assert text.endswith("\n\nthe end\n")
    assert "old" not in text
    assert "| p50 / p99, ms | 1 person | 2 people |" in text


def test_kept_numbers_can_be_drawn_later(bench, call, tmp_path):
    pytest.importorskip("matplotlib", reason="needs the Python package matplotlib")
    bench("--no-ratios")
    picture = tmp_path / "bench.png"
    outcome = call("bench", "--from", str(tmp_path / "bench.json"), "--plot", str(picture))
    assert outcome.code == 0, outcome.err
    assert picture.stat().st_size > 5000


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--model", "nonsense"], "unknown model 'nonsense'"),
        (["--from", "gone.json"], "gone.json: cannot be read"),
        (["--people", "0"], "expected a whole number, 1 to 1000, got '0'"),
        (["--people", "1,x"], "expected a whole number, 1 to 1000, got 'x'"),
    ],
)
def test_what_cannot_be_is_one_clear_line(call, arguments, error):
    outcome = call("bench", *arguments)
    assert outcome.code != 0
    assert error in outcome.err
    assert "Traceback" not in outcome.err


def test_docs_without_marks_are_left_alone(bench, call, tmp_path):
    bench("--no-ratios")
    docs = tmp_path / "performance.md"
    docs.write_text("mine\n")
    outcome = call("bench", "--from", str(tmp_path / "bench.json"), "--write-docs", str(docs))
    assert outcome.code != 0
    assert "expected the lines" in outcome.err
    assert docs.read_text() == "mine\n"


def test_the_references_run_on_a_whole_model(call, tmp_path):
    """On a small network, and a small stand-in for the papers' encoder."""
    for package in ("torch", "safetensors"):
        pytest.importorskip(package, reason=f"needs the Python package {package}")
    import torch
    from small_network import WINDOW, save_model

    from diffpose_ros.bench import references
    from diffpose_ros.methods.registry import read_spec

    spec = read_spec(save_model(tmp_path / "m", steps=(5, 1)))
    said = []

    class Tiny(references.MixSteSized):
        def __init__(self):
            super().__init__(width=16, depth=1, heads=2)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(references, "MixSteSized", Tiny)
        patch.setattr(references, "WINDOWS", (WINDOW,))
        patch.setattr(references, "CROWDS", (1, 10))
        wall, busy = references.ratios(spec, 3, said.append)
    assert set(wall) == set(busy) >= {
        "torch_eager", "full_window", "full_window_9", "full_window_9_all", "full_window_9_first",
        "full_window_9_people_10", "papers_way",
    }  # fmt: skip
    assert all(v > 0 for v in wall.values())
    assert said[-1] == "the papers' way"
    with torch.device("meta"):
        assert sum(p.numel() for p in references.MixSteSized().parameters()) == pytest.approx(
            33.8e6, rel=0.02
        )
