"""What a stage remembers of how it was begun."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed: training needs it")

from diffpose_ros.core import ConfigError
from diffpose_ros.data.virtual.camera import CameraConfig
from diffpose_ros.data.virtual.synthesis import SynthesisConfig
from diffpose_ros.training import stage_record
from diffpose_ros.training.config import OptimiserConfig

NOW = {"settings": {"synthesis": SynthesisConfig(camera=CameraConfig(rolled=0.2)), "steps": 3}, "inputs": {}}


def _begun(folder: Path, forget: tuple[str, ...]) -> None:
    """A record of before options existed."""
    stage_record.open_stage(folder, NOW, restart=False)
    content = json.loads((folder / "stage.json").read_text())
    for path in forget:
        at = content["wanted"]["settings"]["synthesis"]
        *way, last = path.split(".")
        for name in way:
            at = at[name]
        del at[last]
    (folder / "stage.json").write_text(json.dumps(content))


def test_an_option_that_came_later_counts_as_its_default(tmp_path: Path) -> None:
    _begun(tmp_path, ("camera.travelling", "missing", "people", "camera.pitch_deg"))
    stage_record.open_stage(tmp_path, NOW, restart=False)


@pytest.mark.parametrize(
    ("synthesis", "said"),
    [
        (
            SynthesisConfig(camera=CameraConfig(rolled=0.2, travelling=0.1)),
            "camera.travelling = 0.0, now it is 0.1",
        ),
        (SynthesisConfig(camera=CameraConfig()), "camera.rolled = 0.2, now it is 0.0"),
    ],
    ids=["new", "old"],
)  # fmt: skip
def test_an_option_that_differs_is_refused(synthesis: SynthesisConfig, said: str, tmp_path: Path) -> None:
    _begun(tmp_path, ("camera.travelling",))
    now = {**NOW, "settings": {"synthesis": synthesis, "steps": 3}}
    with pytest.raises(ConfigError, match=re.escape(f"settings.synthesis.{said}")):
        stage_record.open_stage(tmp_path, now, restart=False)


def test_an_option_without_a_default_and_one_that_is_gone_are_refused(tmp_path: Path) -> None:
    stage_record.open_stage(tmp_path / "a", {"settings": {"steps": 3}}, restart=False)
    with pytest.raises(ConfigError, match=r"settings\.keys = nothing, now it is 16"):
        stage_record.open_stage(tmp_path / "a", {"settings": {"steps": 3, "keys": 16}}, restart=False)
    stage_record.open_stage(tmp_path / "b", {"settings": {"steps": 3, "keys": 16}}, restart=False)
    with pytest.raises(ConfigError, match=r"settings\.keys = 16, now it is nothing"):
        stage_record.open_stage(tmp_path / "b", {"settings": {"steps": 3}}, restart=False)


def test_threads_and_devices_are_not_remembered(tmp_path: Path) -> None:
    options = OptimiserConfig(steps=3)
    hidden = set(asdict(options)) - set(stage_record.plain(options))
    assert hidden == {"threads", "device", "compile", "save_every"}
    stage_record.open_stage(tmp_path, {"optimiser": options}, restart=False)
    stage_record.open_stage(tmp_path, {"optimiser": replace(options, threads=7)}, restart=False)
    with pytest.raises(ConfigError, match=r"optimiser\.steps = 3, now it is 4"):
        stage_record.open_stage(tmp_path, {"optimiser": replace(options, steps=4)}, restart=False)
