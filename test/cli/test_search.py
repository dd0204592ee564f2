"""``index`` and ``search`` as commands."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("lancedb", reason="lancedb is not installed: pip install 'diffpose_ros[search]'")

import cv2
from taught_bodies import raise_left, seen, sit, stand, wave

from diffpose_ros.cli import main
from diffpose_ros.core.joints import H36M17
from diffpose_ros.search.vectors import pose_vectors


def write(path, *poses):
    rows = len(poses)
    np.savez(
        path, stamps=np.arange(rows) * 2.0, frame=np.arange(rows), track_id=np.full(rows, 4),
        skeleton=np.stack([seen(p) for p in poses]), joint_names=np.array(H36M17.joints),
    )  # fmt: skip


def write_motion(path, frames):
    rows = len(frames)
    np.savez(
        path, stamps=np.arange(rows) / 30, frame=np.arange(rows), track_id=np.full(rows, 7),
        skeleton=frames, joint_names=np.array(H36M17.joints),
    )  # fmt: skip


@pytest.fixture
def index(tmp_path, capsys):
    (tmp_path / "lifted").mkdir()
    write(tmp_path / "lifted" / "a.npz", stand(), sit(), raise_left())
    write(tmp_path / "lifted" / "b.npz", sit())
    assert main.main(["index", str(tmp_path / "lifted"), "--into", str(tmp_path / "poses")]) == 0
    assert "4 poses of 2 recordings added" in capsys.readouterr().out
    return tmp_path


def test_a_second_call_adds_what_is_new(index, capsys) -> None:
    write(index / "lifted" / "c.npz", stand())
    (index / "lifted" / "d.npz").write_bytes(b"nonsense")
    assert main.main(["index", str(index / "lifted"), "--into", str(index / "poses")]) == 1
    said = capsys.readouterr()
    assert "1 poses of 1 recordings added, 2 recordings were there already; 5 poses" in said.out
    assert (
        "d.npz: expected what `diffpose_ros lift` wrote" in said.err
        and "1 of 4 recordings were left out" in said.err
    )


def test_a_name_and_a_file_find_their_moments(index, capsys) -> None:
    found = index / "found.json"
    call = ["search", "--in", str(index / "poses"), "--json", str(found), "--overwrite"]
    assert main.main([*call, "--like", "left arm raised", "--count", "1"]) == 0
    (hit,) = json.loads(found.read_text())
    assert hit["file"].endswith("a.npz") and (hit["stamp_s"], hit["track_id"]) == (4.0, 4)
    like = ["--like", str(index / "lifted" / "b.npz"), "--within", "50"]
    assert main.main([*call, *like, "--sheet", str(index / "s.png")]) == 0
    assert [h["distance_mm"] for h in json.loads(found.read_text())] == [0.0, 0.0]
    assert "0 of 2 with their images" in capsys.readouterr().out
    assert cv2.imread(str(index / "s.png")).shape == (284, 480, 3)
    assert main.main([*call, "--like", "hands on head", "--within", "30"]) == 3


def test_a_name_and_a_file_find_their_motions(index, capsys) -> None:
    still = [seen(stand())] * 60
    write_motion(index / "lifted" / "w.npz", np.stack([*still, *wave(2.0), *still]))
    assert main.main(["index", str(index / "lifted"), "--into", str(index / "poses")]) == 0
    found, query = index / "found.json", index / "query.npz"
    write_motion(query, wave(3.0, hz=1.1))
    call = ["search", "--in", str(index / "poses"), "--json", str(found), "--overwrite", "--like"]
    motion = ["--seconds", "1.5", "--part", "right arm", "--count", "1"]
    assert main.main([*call, str(query), *motion]) == 0
    (hit,) = json.loads(found.read_text())
    assert hit["file"].endswith("w.npz") and hit["track_id"] == 7
    assert 3.3 < hit["stamp_s"] < 4.3 and hit["distance_mm"] < 100, "the wave ends at 4 s"
    assert main.main([*call, "walking", "--within", "100"]) == 3, "nobody walks"


def test_what_cannot_be_looked_for_is_told(index, capsys) -> None:
    call = ["search", "--in", str(index / "poses"), "--like"]
    for words, text in (
        (["moonwalk"], "neither a file nor a taught pose; taught are standing"),
        (["walking", "--seconds", "2"], "--seconds: is for files"),
        ([str(index / "lifted" / "b.npz"), "--seconds", "2"], "expected somebody seen for 2 s"),
        (["sitting", "--sheet", "s.bmp"], "expected a name ending in .png"),
        ([str(index / "lifted" / "a.npz"), "--track", "9"], "no person 9 is in it, but 4"),
        ([str(index / "lifted" / "a.npz"), "--at", "60"], "nobody is in it"),
    ):
        assert main.main([*call, *words]) == 1
        assert text in capsys.readouterr().err
    assert main.main(["search", "--in", str(index / "none"), "--like", "sitting"]) == 1
    assert "no such pose index" in capsys.readouterr().err


def test_a_sheet_shows_the_person_in_the_image(tmp_path) -> None:
    from diffpose_ros.media.sheet import SIDE, Thumbnail, write_sheet

    image = np.zeros((100, 200, 3), np.uint8)
    image[30:70, 120:160] = (0, 0, 255)
    cv2.imwrite(str(tmp_path / "p.png"), image)
    one = Thumbnail(("a", "b"), pose_vectors(seen(sit())), str(tmp_path / "p.png"), 0, [120, 30, 160, 70])
    gone = Thumbnail(("a", "b"), pose_vectors(seen(sit())), str(tmp_path / "gone.png"))
    assert write_sheet(tmp_path / "s.png", [one, gone]) == 1
    sheet = cv2.imread(str(tmp_path / "s.png"))
    assert sheet[SIDE // 2, SIDE // 2].tolist() == [0, 0, 255]
    assert sheet[:SIDE, SIDE:].max() > 100, "a drawn pose"
