"""Files for other programs hold the skeletons that went in; other programs' readers say so."""

from __future__ import annotations

import csv
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from diffpose_ros.core import H36M17, InputError
from diffpose_ros.motion_files import format_of, write
from diffpose_ros.motion_files.markers import write_c3d
from diffpose_ros.motion_files.people import recording

RATE, FRAMES = 25.0, 20
Y_UP = np.array([1.0, -1.0, -1.0])


def lifted(people=(3,), *, frames=FRAMES, missing=(), stamps=None, seed=0):
    """What ``lift`` writes of people who move smoothly; frames ``missing`` have nobody."""
    rng = np.random.default_rng(seed)
    neutral = np.array(
        [(0, 0, 0), (-0.13, 0, 0), (-0.13, 0.44, 0), (-0.13, 0.87, 0), (0.13, 0, 0), (0.13, 0.44, 0),
         (0.13, 0.87, 0), (0, -0.24, 0), (0, -0.48, 0), (0, -0.58, -0.1), (0, -0.74, 0), (0.17, -0.46, 0),
         (0.25, -0.2, 0), (0.3, 0.05, -0.1), (-0.17, -0.46, 0), (-0.25, -0.2, 0), (-0.3, 0.05, -0.1)]
    )  # fmt: skip
    rows = [(k, p) for k in range(frames) if k not in missing for p in people]
    shift = {p: rng.normal((0, 0, 5), 1) for p in people}
    wobble = rng.normal(0, 0.08, (17, 3))
    skeleton = np.array([neutral + shift[p] + np.sin(0.2 * k) * wobble for k, p in rows])
    return {
        "stamps": np.arange(frames) / RATE if stamps is None else stamps,
        "frame": np.array([k for k, _ in rows], dtype=int),
        "track_id": np.array([p for _, p in rows], dtype=int),
        "skeleton": skeleton.astype(np.float32).reshape(-1, 17, 3),
        "covariance": np.tile(np.diag([1e-4, 4e-4, 9e-4]).astype(np.float32), (len(rows), 17, 1, 1)),
        "score": np.full((len(rows), 17), 0.5, np.float32),
        "joint_names": np.array(H36M17.joints),
    }


def test_csv_has_a_row_per_person_per_frame(tmp_path) -> None:
    data = lifted((3, 8))
    data["skeleton"][5, 2] = np.nan
    assert write(data, tmp_path / "a.csv") == [tmp_path / "a.csv"]
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(data["frame"])
    assert float(rows[4]["stamp"]) == data["stamps"][data["frame"][4]]
    assert int(rows[5]["track_id"]) == data["track_id"][5]
    assert float(rows[4]["left_wrist_z"]) == pytest.approx(data["skeleton"][4, 13, 2], abs=1e-5)
    assert float(rows[4]["hip_sigma_y"]) == pytest.approx(0.02)
    assert float(rows[4]["hip_score"]) == 0.5
    assert rows[5]["right_knee_x"] == ""


def test_csv_has_the_roots_speed_and_what_the_feet_do(tmp_path) -> None:
    data = lifted()
    rows = len(data["frame"])
    data["contact"] = np.tile([0.25, 0.75], (rows, 1))
    data["root_velocity"] = np.tile([1.0, 2.0, 3.0], (rows, 1))
    data["size_source"] = np.full(rows, "floor")
    write(data, tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    assert (row["contact_right"], row["contact_left"], row["size_source"]) == ("0.25", "0.75", "floor")
    assert [float(row[f"root_velocity_{axis}"]) for axis in "xyz"] == [1.0, 2.0, 3.0]


def test_parquet_has_the_same_columns(tmp_path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    data = lifted()
    write(data, tmp_path / "a.parquet")
    table = parquet.read_table(tmp_path / "a.parquet")
    np.testing.assert_array_equal(table["head_top_y"].to_numpy(), data["skeleton"][:, 10, 1])


def test_json_has_every_frame(tmp_path) -> None:
    data = lifted((3, 8), missing=(2,))
    data["skeleton"][0, 4] = np.nan
    write(data, tmp_path / "a.json")
    read = json.loads((tmp_path / "a.json").read_text())
    assert [len(f["people"]) for f in read["frames"]] == [0 if k == 2 else 2 for k in range(FRAMES)]
    assert read["frames"][0]["people"][0]["skeleton"][4] == [None, None, None]
    last = read["frames"][-1]["people"][1]
    assert last["track_id"] == 8
    np.testing.assert_allclose(last["skeleton"], data["skeleton"][-1], atol=1e-6)
    assert read["joint_names"] == list(H36M17.joints)


def trc(path):
    """Names, times (T,) and points (T, J, 3) of a TRC file, by the format's own rules."""
    lines = path.read_text().split("\n")
    names = [name for name in lines[3].split("\t")[2:] if name]
    rows = [[float(x) if x else np.nan for x in line.split("\t")] for line in lines[6:] if line]
    table = np.array(rows)
    facts = dict(zip(lines[1].split("\t"), lines[2].split("\t"), strict=True))
    assert int(facts["NumFrames"]) == len(table)
    assert int(facts["NumMarkers"]) == len(names)
    assert facts["Units"] == "mm"
    return names, table[:, 1], table[:, 2:].reshape(len(table), -1, 3), float(facts["DataRate"])


def test_trc_has_millimetres_with_y_up(tmp_path) -> None:
    data = lifted(missing=(0, 6))
    write(data, tmp_path / "a.trc")
    names, times, points, rate = trc(tmp_path / "a.trc")
    assert names == list(H36M17.joints)
    assert rate == pytest.approx(RATE)
    assert times[0] == pytest.approx(1 / RATE)
    assert np.isnan(points[5]).all()
    seen = np.arange(len(points)) != 5
    np.testing.assert_allclose(points[seen], 1000 * data["skeleton"] * Y_UP, atol=1e-3)


def test_c3d_reads_back_in_another_library(tmp_path) -> None:
    pytest.importorskip("ezc3d", reason="ezc3d is not installed")
    c3d = pytest.importorskip("c3d", reason="c3d, an independent reader, is not installed")
    data = lifted(missing=(4,))
    write(data, tmp_path / "a.c3d")
    with (tmp_path / "a.c3d").open("rb") as file:
        reader = c3d.Reader(file)
        assert [label.strip() for label in reader.point_labels] == list(H36M17.joints)
        assert reader.point_rate == pytest.approx(RATE)
        points = np.array([frame for _, frame, _ in reader.read_frames()])
    assert (points[4, :, 3] == -1).all()
    seen = np.arange(len(points)) != 4
    np.testing.assert_allclose(points[seen, :, :3], 1000 * data["skeleton"] * Y_UP, atol=1e-2)


def test_c3d_is_given_millimetres_with_y_up_and_what_was_not_seen(tmp_path, monkeypatch) -> None:
    """What the library is told, where it is not installed, too."""
    told = {}

    class File(dict):
        def __missing__(self, key):
            self[key] = File()
            return self[key]

        def write(self, path):
            told.update(self)
            open(path, "w").close()

    monkeypatch.setitem(sys.modules, "ezc3d", SimpleNamespace(c3d=File))
    data = lifted(missing=(4,))
    write_c3d(recording(data).people[0], RATE, tmp_path / "a.c3d")
    point, found = told["parameters"]["POINT"], told["data"]
    assert (point["RATE"]["value"], point["UNITS"]["value"]) == ([RATE], ("mm",))
    assert point["LABELS"]["value"] == H36M17.joints
    seen = np.arange(FRAMES) != 4
    np.testing.assert_allclose(
        found["points"][:3, :, seen].transpose(2, 1, 0), 1000 * data["skeleton"] * Y_UP, rtol=1e-6
    )
    assert np.isnan(found["points"][:3, :, 4]).all()
    assert found["meta_points"]["residuals"].shape == (1, 17, FRAMES)
    np.testing.assert_array_equal(
        found["meta_points"]["residuals"][0], np.tile(np.where(seen, 0.0, -1.0), (17, 1))
    )


def bvh(path):
    """Names, fps and world positions (T, J, 3) of a BVH file, by the format's own rules."""
    from scipy.spatial.transform import Rotation

    head, motion = path.read_text().split("MOTION")
    names, parents, stack, channels = [], [], [], []
    for words in (line.split() for line in head.splitlines()):
        if words[:1] in (["ROOT"], ["JOINT"]):
            parents.append(stack[-1] if stack else -1)
            names.append(words[1])
        elif words[:1] == ["{"]:
            stack.append(len(names) - 1)
        elif words[:1] == ["}"]:
            stack.pop()
        elif words[:1] == ["CHANNELS"]:
            channels.append(words[2:])
    rows = [line.split() for line in motion.splitlines() if line.strip()]
    assert int(rows[0][1]) == len(rows) - 2
    values = np.array(rows[2:], dtype=float).reshape(len(rows) - 2, len(names), 6)
    places, turns = [], []
    for j, parent in enumerate(parents):
        assert [c[0] for c in channels[j]] == ["X", "Y", "Z", "Z", "X", "Y"]
        turn = Rotation.from_euler("ZXY", values[:, j, 3:], degrees=True)
        if parent >= 0:
            places.append(places[parent] + turns[parent].apply(values[:, j, :3]))
            turn = turns[parent] * turn
        else:
            places.append(values[:, j, :3])
        turns.append(turn)
    return names, 1 / float(rows[1][2]), np.stack(places, axis=1)


def test_bvh_puts_every_joint_where_it_was(tmp_path) -> None:
    data = lifted()
    write(data, tmp_path / "a.bvh")
    names, fps, places = bvh(tmp_path / "a.bvh")
    assert fps == pytest.approx(RATE)
    order = [names.index(joint) for joint in H36M17.joints]
    np.testing.assert_allclose(places[:, order], data["skeleton"] * Y_UP, atol=1e-3)


def test_bvh_bones_at_rest_are_those_of_the_person(tmp_path) -> None:
    """A reader that lets no joint but the root move away from its parent comes close all the same."""
    import re

    data = lifted()
    write(data, tmp_path / "a.bvh")
    text = (tmp_path / "a.bvh").read_text()
    knee = re.search(r"left_knee\s+\{\s+OFFSET (\S+) (\S+) (\S+)", text)
    length = np.linalg.norm(data["skeleton"][:, 5] - data["skeleton"][:, 4], axis=1)
    assert np.linalg.norm([float(x) for x in knee.groups()]) == pytest.approx(np.median(length), abs=0.02)
    assert abs(float(knee.group(2)) + np.median(length)) < 0.02  # along -y: the rest pose hangs


def test_people_get_files_of_their_own(tmp_path) -> None:
    data = lifted((3, 8))
    made = write(data, tmp_path / "walk.trc")
    assert [path.name for path in made] == ["walk_3.trc", "walk_8.trc"]
    for path, person in zip(made, (3, 8), strict=True):
        _, _, points, _ = trc(path)
        mine = data["skeleton"][data["track_id"] == person]
        np.testing.assert_allclose(points, 1000 * mine * Y_UP, atol=1e-3)
    with pytest.raises(InputError, match=r"walk_3\.trc: exists already"):
        write(data, tmp_path / "walk.trc", overwrite=False)


def test_uneven_times_become_even(tmp_path) -> None:
    rng = np.random.default_rng(1)
    stamps = np.arange(FRAMES) / RATE + rng.uniform(-0.3, 0.3, FRAMES) / RATE
    stamps[10:] += 0.12  # three frames were lost
    data = lifted(stamps=stamps)
    data["skeleton"] = (stamps[:, None, None] * np.ones((1, 17, 3))).astype(np.float32)
    seen = recording(data)
    (person,) = seen.people
    times = stamps[0] + (person.first + np.arange(len(person.positions))) / seen.rate
    np.testing.assert_allclose(person.positions[:, 3, 1], times, atol=1e-6)


def test_long_absences_stay_empty() -> None:
    data = lifted(missing=range(5, 15), stamps=np.arange(FRAMES) / RATE * np.linspace(1, 1.2, FRAMES))
    (person,) = recording(data).people
    assert np.isnan(person.positions[7:12]).all()


@pytest.mark.parametrize("name", ["trc", "bvh"])
def test_nobody_has_no_motion(tmp_path, name) -> None:
    with pytest.raises(InputError, match="nobody"):
        write(lifted(()), tmp_path / f"a.{name}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"skeleton": np.zeros((3, 16, 3))}, r"skeleton: expected the shape \(R, 17, 3\), got \(3, 16, 3\)"),
        ({"skeleton": np.full((FRAMES, 17, 3), "a")}, "skeleton: expected numbers, got <U1"),
        ({"skeleton": np.ones((FRAMES, 17, 3), complex)}, "skeleton: expected numbers, got complex128"),
        ({"frame": np.full(FRAMES, 99)}, "number the 20 stamps"),
        ({"frame": np.zeros(FRAMES)}, "frame: expected whole numbers, got float64"),
        ({"frame": np.zeros(FRAMES, int)}, "once per frame"),
        ({"frame": np.int64(3)}, r"frame: expected the shape \(R\), got \(\)"),
        ({"track_id": np.full(FRAMES, np.nan)}, "track_id: expected whole numbers"),
        ({"track_id": np.full(FRAMES, "../x")}, "track_id: expected whole numbers"),
        ({"score": np.zeros(3)}, r"score: expected the shape \(R, 17\)"),
        ({"covariance": np.zeros((2, 2))}, "covariance: expected the shape"),
        ({"root_velocity": np.zeros((FRAMES, 2))}, "root_velocity: expected the shape"),
        ({"contact": np.array(3)}, "contact: expected the shape"),
        ({"size_source": np.zeros(FRAMES)}, "size_source: expected text"),
        ({"stamps": np.arange(FRAMES).astype("datetime64[s]")}, "stamps: expected numbers"),
        ({"stamps": np.zeros(FRAMES) * np.nan}, "finite stamps"),
        ({"stamps": -np.arange(FRAMES)}, "increase"),
        ({"joint_names": np.array(["a"] * 17)}, "joints of h36m17"),
    ],
)
def test_arrays_that_do_not_fit_are_named(tmp_path, change, words) -> None:
    for name in ("a.csv", "a.json", "a.trc", "a.npz"):
        with pytest.raises(InputError, match=words):
            write(lifted() | change, tmp_path / name)
    with pytest.raises(InputError, match="without skeleton"):
        write({k: v for k, v in lifted().items() if k != "skeleton"}, tmp_path / "a.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_format_is_chosen_by_name_or_ending() -> None:
    assert format_of("a.TRC") == "trc"
    assert format_of("a", "bvh") == "bvh"
    with pytest.raises(InputError, match=r"expected a name ending in one of .*\.trc"):
        format_of("walk.fbx")


def test_a_missing_library_is_named(monkeypatch) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install ezc3d"):
        format_of("a.c3d")


@pytest.mark.parametrize("kind", [">f4", ">f8", "f2", "g"])
def test_numbers_of_any_type_are_read(tmp_path, kind) -> None:
    """Arrays may come from another machine or another library, in any order."""
    data = lifted()
    skeleton = np.asfortranarray(data["skeleton"].astype(np.float16).astype(kind))
    write(data | {"skeleton": skeleton, "track_id": data["track_id"].astype(">u2")}, tmp_path / "a.json")
    read = json.loads((tmp_path / "a.json").read_text())
    got = read["frames"][4]["people"][0]["skeleton"]
    np.testing.assert_allclose(got, skeleton[4].astype(float), atol=1e-6)


def test_rows_in_any_order_are_one_motion() -> None:
    data = lifted(stamps=np.arange(FRAMES) / RATE * np.linspace(1, 1.2, FRAMES))
    mixed = np.random.default_rng(2).permutation(FRAMES)
    rows = ("frame", "track_id", "skeleton", "covariance", "score")
    shuffled = data | {name: data[name][mixed] for name in rows}
    (a,), (b,) = recording(data).people, recording(shuffled).people
    np.testing.assert_array_equal(a.positions, b.positions)


@pytest.mark.parametrize(
    ("stamps", "words"),
    [
        (np.r_[np.arange(FRAMES - 1) / RATE, 1e12], "too uneven"),
        (np.r_[np.arange(FRAMES - 1) * 1e-5, 10.0], "too uneven"),
        (np.arange(FRAMES) * 5e-324, "stamps in seconds"),
        (np.arange(FRAMES) * 1e300, "stamps in seconds"),
        (np.zeros(FRAMES), "stamps in seconds"),
    ],
)
def test_times_that_would_take_all_memory_are_refused(tmp_path, stamps, words) -> None:
    with pytest.raises(InputError, match=words):
        write(lifted(stamps=stamps), tmp_path / "a.trc")


def test_infinite_joints_are_unseen(tmp_path) -> None:
    data = lifted()
    data["skeleton"][5, 4] = np.inf
    data["covariance"] = -data["covariance"]
    write(data, tmp_path / "a.csv")
    write(data, tmp_path / "a.trc")
    assert np.isnan(trc(tmp_path / "a.trc")[2][5, 4]).all()


@pytest.mark.parametrize("link", ["same", "symlink"])
def test_a_persons_file_never_replaces_what_was_read(tmp_path, link) -> None:
    source = tmp_path / ("walk_8.trc" if link == "same" else "source.npz")
    source.write_bytes(b"precious")
    if link == "symlink":
        (tmp_path / "walk_8.trc").symlink_to(source)
    with pytest.raises(InputError, match=r"walk_8\.trc: is the file that is read"):
        write(lifted((3, 8)), tmp_path / "walk.trc", apart=[source])
    assert source.read_bytes() == b"precious"
    assert not (tmp_path / "walk_3.trc").exists()


def test_all_places_are_looked_at_before_the_first_is_written(tmp_path) -> None:
    (tmp_path / "walk_8.trc").mkdir()
    with pytest.raises(InputError, match=r"walk_8\.trc: expected a file name"):
        write(lifted((3, 8)), tmp_path / "walk.trc")
    assert [path.name for path in tmp_path.iterdir()] == ["walk_8.trc"]
