"""``diffpose_ros render``: what it refuses before it draws."""

from __future__ import annotations

from pathlib import Path

import pytest

from diffpose_ros.cli import main as cli
from diffpose_ros.rendering import bodies

EXCERPT = Path(__file__).parents[1] / "data" / "cmu_excerpt.npz"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--size", "640"], "expected WxH with sides of 64 to 4096, got '640'"),
        (["--count", "0"], "expected a whole number, 1 or more, got '0'"),
        (["--ages", "12", "4"], "--ages: expected the lower one first, got 12 4"),
        (["--distance", "9", "2"], "--distance: expected the lower one first, got 9 2"),
        (["--backgrounds", "nowhere"], "nowhere: expected a folder of pictures for backgrounds"),
        (["--data", "nowhere.npz"], "nowhere.npz"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_line(
    options: list[str],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bodies, "check_installed", lambda: None)
    words = ["render", "--data", str(EXCERPT), "--output", str(tmp_path / "out"), *options]
    assert cli.main(words) in (1, 2)
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_without_the_body_model_it_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent() -> None:
        raise ModuleNotFoundError("No module named 'anny'", name="anny")

    monkeypatch.setattr(bodies, "check_installed", absent)
    assert cli.main(["render", "--data", str(EXCERPT), "--output", str(tmp_path / "out")]) == 1
    assert "pip install 'diffpose_ros[render]'" in capsys.readouterr().err
