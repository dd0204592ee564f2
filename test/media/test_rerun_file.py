"""A recording for the viewer holds what was seen, and appears whole or not at all."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest

from diffpose_ros.core import Camera, InputError, People2D, Skeleton, Surroundings
from diffpose_ros.media import rerun_file

CAMERA = Camera.from_fov(1280, 720, diagonal_fov_deg=70)


def person(track_id, z=3.0, velocity=(0.0, 0.0, -1.0)):
    xyz = np.random.default_rng(track_id).normal(0, 0.4, (17, 3)) + np.array([0, 0, z])
    return Skeleton(
        xyz=xyz, covariance=np.tile(np.diag([1e-4, 4e-4, 9e-4]), (17, 1, 1)), score=np.ones(17),
        root=np.array([0.0, 0.0, z]), root_is_metric=False, track_id=track_id, velocity=np.array(velocity),
    )  # fmt: skip


def seen(count=1):
    rng = np.random.default_rng(3)
    return People2D(xy=rng.uniform(0, 700, (count, 17, 2)), score=np.full((count, 17), 0.9))


@pytest.fixture
def written(tmp_path):
    """Three frames: one person, two, nobody; read back by the viewer's own reader."""
    pytest.importorskip("rerun", reason="rerun-sdk is not installed")
    path = tmp_path / "walk.rrd"
    image = np.zeros((720, 1280, 3), np.uint8)
    with rerun_file.RerunFile(path, title="walk") as view:
        around = Surroundings.of_angles(pitch_deg=10, camera_height=1.5)
        view.add(image, seen(), [person(4)], 0, CAMERA, around)
        view.add(image, seen(2), [person(4), person(5, velocity=(np.nan,) * 3)], 100_000_000, CAMERA, around)
        view.add(image, People2D.empty(), [], 200_000_000, CAMERA, around)
        assert not path.exists(), "it appears when it is whole"
    return path


def test_every_part_of_the_picture_is_in_the_file(written) -> None:
    data = written.read_bytes()
    for name in (
        *("world/camera", "world/camera/image", "world/camera/keypoints", "world/floor"),
        *("world/people/4/joints", "world/people/5/bones", "world/people/4/one_sigma"),
        *("plots/distance/4", "plots/speed/4", "plots/tracked/5", "world/people/4/velocity"),
    ):
        assert f"/{name}".encode() in data, name
    assert b"/plots/speed/5" not in data  # a velocity that is not known
    assert sorted(p.name for p in written.parent.iterdir()) == ["walk.rrd"]


def test_an_error_leaves_no_file(tmp_path) -> None:
    pytest.importorskip("rerun", reason="rerun-sdk is not installed")
    view = rerun_file.RerunFile(tmp_path / "a.rrd")
    view.add(np.zeros((72, 128, 3), np.uint8), seen(), [person(1)], 0, Camera.from_fov(128, 72))
    view.leave(well=False)
    assert list(tmp_path.iterdir()) == []


def test_without_the_sdk_the_option_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setattr(rerun_file.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="--view needs rerun-sdk: pip install rerun-sdk"):
        rerun_file.check_installed()


def test_the_viewer_opens_where_there_is_a_screen(monkeypatch, tmp_path) -> None:
    started = []
    monkeypatch.setattr(rerun_file.subprocess, "Popen", lambda command, **_: started.append(command))
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert not rerun_file.show(tmp_path / "a.rrd")
    monkeypatch.setenv("DISPLAY", ":0")
    assert rerun_file.show(tmp_path / "a.rrd")
    assert started == [[sys.executable, "-m", "rerun", str(tmp_path / "a.rrd")]]


def test_the_recording_lies_beside_the_output(tmp_path) -> None:
    pytest.importorskip("rerun", reason="rerun-sdk is not installed")
    from diffpose_ros.cli.lift import view_beside

    assert view_beside(str(tmp_path / "walk.npz")) == str(tmp_path / "walk.rrd")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match="--view: writes beside --output"):
        view_beside(str(pipe))
