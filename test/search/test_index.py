"""The index on the disk: what is added is found; cut off, locked, damaged, foreign, full."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from taught_bodies import raise_left, seen, sit, stand

from diffpose_ros.core import InputError
from diffpose_ros.search.gallery import Example, Taught
from diffpose_ros.search.kinds import Kind
from diffpose_ros.search.recorded import Recorded
from diffpose_ros.search.scan import Scan
from diffpose_ros.search.vectors import pose_vectors, variants

pytest.importorskip("lancedb", reason="lancedb is not installed: pip install 'diffpose_ros[search]'")

from diffpose_ros.search import index as index_file
from diffpose_ros.search.finding import like_pose, like_taught, moments
from diffpose_ros.search.index import PoseIndex


def recording(*poses, source="x.npz", rate=2.0) -> Recorded:
    rows = len(poses)
    return Recorded(
        source,
        np.arange(rows) / rate,
        np.arange(rows),
        np.zeros(rows, int),
        np.stack([seen(p) for p in poses]),
    )


@pytest.fixture
def files(tmp_path):
    for name in ("a.npz", "b.npz"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def filled(files) -> PoseIndex:
    index = PoseIndex(files / "index", create=True)
    with index.writing():
        assert index.add(files / "a.npz", recording(stand(), sit(), sit(), stand())) == 4
        index.add(files / "b.npz", recording(raise_left(), stand()), "b.mp4")
        index.settle()
    return index


def test_what_is_added_is_found_with_its_time_and_place(files) -> None:
    index = filled(files)
    assert len(index) == 6
    first, *_ = like_pose(PoseIndex(files / "index"), variants(seen(raise_left(), turn=80, size=0.8)), 3)
    assert (first.source.video, first.frame, first.stamp_s, first.track_id) == ("b.mp4", 0, 0.0, 0)
    assert first.distance < 1e-3 and np.allclose(first.root, [0.3, 0.2, 4.0], atol=1e-5)
    sitting = like_pose(index, variants(seen(sit())), 2)
    assert sitting[0].stamp_s in (0.5, 1.0) and abs(sitting[1].stamp_s - sitting[0].stamp_s) >= 1.0


def test_names_are_found_by_the_joints_that_count(files) -> None:
    name = Taught("up", (Example(pose_vectors(seen(raise_left()))[None]),), part="left arm")
    hits = like_taught(filled(files), [name], 2)
    assert hits[0].source.path.endswith("b.npz") and hits[0].distance < 1e-3 < hits[1].distance
    moving = Taught("w", (Example(np.tile(pose_vectors(seen(sit())), (11, 1, 1))),), seconds=1.0)
    assert like_taught(filled_again(files), [moving], 2) == [], "nobody moves"


def filled_again(files) -> PoseIndex:
    return PoseIndex(files / "index")


def test_a_file_is_known_until_it_changes(files) -> None:
    index = filled(files)
    assert index.has(files / "a.npz")
    (files / "a.npz").write_bytes(b"longer")
    assert not index.has(files / "a.npz")
    with index.writing():
        index.add(files / "a.npz", recording(sit()))
    assert len(PoseIndex(files / "index")) == 3 and index._table.count_rows() == 3


def test_rows_of_a_run_that_was_cut_off_are_removed(files, monkeypatch) -> None:
    index = filled(files)

    def killed(sources):
        raise KeyboardInterrupt

    with index.writing():
        monkeypatch.setattr(index, "_write", killed)
        with pytest.raises(KeyboardInterrupt):
            index.add(files / "b.npz", recording(sit(), sit(), sit()))
    again = PoseIndex(files / "index")
    assert again._table.count_rows() == 9 and len(again) == 6
    assert {h.source.number for h in again.nearest(variants(seen(sit()))[0], 9)} == {0, 1}
    with again.writing():
        assert again._table.count_rows() == 6


def test_a_disk_that_is_full_loses_nothing(files, monkeypatch) -> None:
    index = filled(files)

    class Full:
        def __init__(self, table):
            self._table = table

        def add(self, rows):
            raise RuntimeError("lance error: LanceError(IO): No space left on device (os error 28)")

        def __getattr__(self, name):
            return getattr(self._table, name)

    with index.writing():
        monkeypatch.setattr(index, "_table", Full(index._table))
        with pytest.raises(InputError, match="the disk is full; the index is as it was"):
            index.add(files / "b.npz", recording(sit()))
    assert len(PoseIndex(files / "index")) == 6


def test_a_locked_index_names_who_writes(files) -> None:
    index = filled(files)
    code = f"""
import sys
from diffpose_ros.search.index import PoseIndex
with PoseIndex({str(files / "index")!r}).writing():
    print("in", flush=True)
    sys.stdin.read()
"""
    other = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout is not None and other.stdout.readline() == "in\n"
        with pytest.raises(InputError, match=f"is locked, process {other.pid} writes to it"), index.writing():
            pass
        assert len(index.nearest(variants(seen(sit()))[0], 3)) == 3, "reading goes on"
    finally:
        other.communicate("")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"version": 7}, "is an index of version 7, this program reads 2"),
        ({"format": "x"}, "expected a pose index of diffpose_ros, got another file"),
        ({"kind": "unihpr_3d"}, "another kind: expected lifted_pose, got unihpr_3d"),
        ({"model": "m 1"}, "another model: expected none, got m 1"),
        ({"joint_set": "coco17"}, "another joint set"),
        ({"sources": [{"n": 1}]}, "is damaged"),
    ],
)
def test_another_index_is_refused_by_name(files, change, text) -> None:
    filled(files)
    meta = files / "index" / "index.json"
    meta.write_text(json.dumps({**json.loads(meta.read_text()), **change}))
    with pytest.raises(InputError, match=text) as told:
        PoseIndex(files / "index")
    assert str(files / "index") in str(told.value)


def test_a_truncated_index_is_refused_by_name(files) -> None:
    filled(files)
    meta = files / "index" / "index.json"
    whole = meta.read_text()
    meta.write_text(whole[:100])
    with pytest.raises(InputError, match="or part of one"):
        PoseIndex(files / "index")
    meta.write_text(whole)
    for data in (files / "index").rglob("*.lance"):
        if data.is_file():
            os.truncate(data, data.stat().st_size // 2)
    with pytest.raises(InputError, match="index: is damaged"):
        PoseIndex(files / "index").nearest(variants(seen(sit()))[0], 1)


def test_what_is_no_index_is_left_alone(files) -> None:
    with pytest.raises(InputError, match="no such pose index"):
        PoseIndex(files / "none")
    with pytest.raises(InputError, match="is not empty and no pose index"):
        PoseIndex(files, create=True)
    assert sorted(p.name for p in files.iterdir()) == ["a.npz", "b.npz"]


@pytest.mark.parametrize(
    ("query", "text"),
    [(np.zeros(0), "51 numbers, got 0"), (np.zeros(50), "got 50"), (np.full(51, np.nan), "finite numbers")],
)
def test_a_query_that_is_none_is_refused(files, query, text) -> None:
    with pytest.raises(InputError, match=text):
        filled(files).nearest(query, 3)


def test_an_empty_index_finds_nothing(files) -> None:
    index = PoseIndex(files / "e", create=True)
    assert like_pose(index, variants(seen(sit())), 5) == []


def test_a_large_index_is_searched_by_its_inverted_file(files, monkeypatch) -> None:
    monkeypatch.setattr(index_file, "SCANNED_ROWS", 500)
    rng = np.random.default_rng(1)
    poses = np.stack([seen(p) for p in (stand(), sit(), raise_left())])[rng.integers(0, 3, 2000)]
    poses = poses + rng.normal(0, 0.04, poses.shape)
    rows = Recorded("n", np.arange(2000) * 2.0, np.arange(2000), np.zeros(2000, int), poses)
    index = PoseIndex(files / "big", create=True)
    with index.writing():
        index.add(files / "a.npz", rows)
        index.settle()
    vectors, _ = rows.vectors()
    exact = Scan(vectors.reshape(2000, -1))
    shared = []
    for k in range(0, 2000, 100):
        found = [h.frame for h in index.nearest(vectors[k].reshape(-1), 10)]
        assert found[0] == k
        shared.append(len(set(found) & set(exact.nearest(vectors[k].reshape(-1), 10)[0].tolist())) / 10)
    assert np.mean(shared) > 0.9


def test_an_embedding_is_another_kind(files) -> None:
    kind = Kind("embedding", 8, model="net 12", metric="cosine")
    PoseIndex(files / "k", kind, create=True)
    with pytest.raises(InputError, match="another kind: expected lifted_pose, got embedding"):
        PoseIndex(files / "k")
    with pytest.raises(InputError, match="another model: expected net 13, got net 12"):
        PoseIndex(files / "k", Kind("embedding", 8, model="net 13", metric="cosine"))


def test_of_one_moment_the_nearest_is_told(files) -> None:
    hits = filled(files).nearest(variants(seen(sit()))[0], 6)
    assert len(moments(hits, 10)) < len(hits)
