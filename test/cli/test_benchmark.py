"""``diffpose_ros benchmark``: files that `evaluate` reads, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from diffpose_ros.cli import main as cli
from diffpose_ros.data.benchmark import load
from diffpose_ros.data.clips import load_clips

EXCERPT = Path(__file__).parents[1] / "data" / "cmu_excerpt.npz"


def test_a_file_per_kind_of_the_clips_that_were_asked_for(tmp_path: Path, capsys) -> None:
    subject = load_clips(EXCERPT)[0].subject
    words = ["benchmark", "--data", str(EXCERPT), "--output", str(tmp_path / "hard"), "--seconds", "1",
             "--subjects", subject, "--kinds", "above", "children", "--views", "2"]  # fmt: skip
    assert cli.main(words) == 0
    assert sorted(p.name for p in (tmp_path / "hard").iterdir()) == ["above.npz", "children.npz"]
    for name in ("above", "children"):
        seen = load(tmp_path / "hard" / f"{name}.npz")
        assert {s.subject for s in seen} == {subject} and max(map(len, seen)) <= 30
        assert len(seen) == 2 * sum(c.subject == subject for c in load_clips(EXCERPT))
        assert all(s.around.up is not None for s in seen)
    assert "from 30 to 60 degrees above" in capsys.readouterr().out
    assert cli.main(words) == 1
    assert "above.npz: exists" in capsys.readouterr().err


def test_everyone_of_a_file_may_be_asked_for(tmp_path: Path) -> None:
    subjects = sorted({c.subject for c in load_clips(EXCERPT)})
    words = ["benchmark", "--data", str(EXCERPT), "--output", str(tmp_path), "--seconds", "0.5",
             "--kinds", "level", "--noise", "made", "--subjects", *subjects]  # fmt: skip
    assert cli.main(words) == 0
    assert {s.subject for s in load(tmp_path / "level.npz")} == set(subjects)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--kinds", "below"], "--kinds: expected of level, above, rolled, close, children; got 'below'"),
        (["--subjects", "nobody"], "subjects: no clip has 'nobody'"),
        (["--data", "nowhere.npz"], "nowhere.npz"),
        (["--seconds", "0"], "expected a number, 0.5 to 600, got '0'"),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_line(options, said: str, tmp_path: Path, capsys) -> None:
    words = ["benchmark", "--data", str(EXCERPT), "--output", str(tmp_path / "out"), *options]
    assert cli.main(words) in (1, 2)
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()
