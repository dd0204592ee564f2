"""Galleries: teaching, forgetting, files that are damaged or of another kind."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from taught_bodies import seen, sit, stand

from diffpose_ros.core import ConfigError, InputError
from diffpose_ros.search import gallery_file
from diffpose_ros.search.gallery import Example, Gallery, Taught
from diffpose_ros.search.gallery_file import begin, load, place, save
from diffpose_ros.search.kinds import Kind
from diffpose_ros.search.recorded import Recorded, read_lifted
from diffpose_ros.search.teaching import Lesson, from_recording, one_of
from diffpose_ros.search.vectors import pose_vectors

SIT = pose_vectors(seen(sit()))


def small() -> Gallery:
    window = np.tile(SIT, (11, 1, 1))
    return Gallery((
        Taught("sit \N{LATIN SMALL LETTER U WITH DIAERESIS}ber", (Example(SIT[None], "a picture"),)),
        Taught("swing", (Example(window),), part="legs", group="g", seconds=1.0, radius=0.2, told=False),
    ))  # fmt: skip


def test_a_file_keeps_everything(tmp_path) -> None:
    save(tmp_path / "g.json", small())
    again = load(tmp_path / "g.json")
    for a, b in zip(again.taught, small().taught, strict=True):
        assert (a.name, a.part, a.group, a.seconds, a.radius, a.told) == (
            b.name, b.part, b.group, b.seconds, b.radius, b.told,
        )  # fmt: skip
        assert [e.source for e in a.examples] == [e.source for e in b.examples]
        assert np.abs(a.examples[0].vectors - b.examples[0].vectors).max() <= 0.0005 + 1e-9


def test_without_a_file_one_begins_with_the_shipped_or_empty(tmp_path) -> None:
    assert len(begin(tmp_path / "no.json", shipped=False)) == 0
    assert len(begin(tmp_path / "no.json", shipped=True)) > 9
    save(tmp_path / "no.json", small())
    assert len(begin(tmp_path / "no.json", shipped=True)) == 2


def test_the_usual_place(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert place("") == tmp_path / "diffpose_ros" / "gallery.json"
    assert place("x.json").name == "x.json"


def damaged(change) -> bytes:
    content = {
        "format": gallery_file.FORMAT, "version": 1, "kind": "lifted_pose", "size": 51, "model": "",
        "joint_set": "h36m17", "metric": "metres", "rate_hz": 10.0, "about": "",
        "names": [{"name": "a", "part": "legs", "group": "", "seconds": 0.0, "radius_m": 0.2, "examples": [
            {"source": "", "vectors": [SIT.reshape(-1).tolist()]}]}],
    }  # fmt: skip
    change(content)
    return json.dumps(content).encode()


def set_to(*path_and_value):
    *path, last, value = path_and_value

    def change(content):
        for key in path:
            content = content[key]
        content[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (set_to("version", 2), "is a gallery of version 2, this program reads 1"),
        (set_to("joint_set", "coco17"), "another joint set: expected h36m17, got coco17"),
        (set_to("kind", "unihpr_3d"), "another kind: expected lifted_pose, got unihpr_3d"),
        (set_to("model", "unihpr 12ab"), "another model: expected none, got unihpr 12ab"),
        (set_to("size", "51"), "expected kind, size, model, joint_set, metric"),
        (set_to("rate_hz", 30.0), "its motions are at 30.0 Hz, expected 10"),
        (set_to("format", "other"), "expected a gallery of diffpose_ros, got another file"),
        (set_to("names", [{}]), "is damaged"),
        (set_to("names", 0, "radius_m", 9.0), "expected 0.01 to 1 m, got 9"),
        (set_to("names", 0, "part", "tail"), "expected one of whole body"),
        (set_to("names", 0, "name", ""), "expected 1 to 64 printable"),
        (set_to("names", 0, "seconds", 1.0), "expected examples of 11 frames, got 1"),
        (set_to("names", 0, "examples", 0, "vectors", [[1, 2]]), "is damaged"),
        (set_to("names", 0, "examples", 0, "vectors", [[float("nan")] * 51]), "expected finite joints"),
        (set_to("names", 0, "examples", []), "expected 1 to 1000 examples, got 0"),
    ],
)
def test_another_or_a_damaged_file_is_refused_by_name(tmp_path, change, text) -> None:
    path = tmp_path / "g.json"
    path.write_bytes(damaged(change))
    with pytest.raises(InputError, match=re.escape(text)) as told:
        load(path)
    assert str(path) in str(told.value)


def test_what_is_no_file_or_half_a_one_is_refused(tmp_path) -> None:
    whole = damaged(lambda content: None)
    for raw in (whole[: len(whole) // 2], b"", b"\xff\xfe", b"[" * 100_000, b"[]"):
        (tmp_path / "g.json").write_bytes(raw)
        with pytest.raises(InputError, match="expected a gallery"):
            load(tmp_path / "g.json")
    with pytest.raises(InputError, match="No such file"):
        load(tmp_path / "none.json")
    (tmp_path / "g.json").write_bytes(whole)
    assert load(tmp_path / "g.json").names == ("a",)


def test_teaching_adds_examples_and_keeps_what_the_name_is() -> None:
    gallery = Lesson("sit", part="legs", group="g", radius=0.3).learned(Gallery(), SIT, "x")
    gallery = Lesson("sit").learned(gallery, pose_vectors(seen(stand())), "y")
    (one,) = gallery.taught
    assert (one.part, one.group, one.radius, len(one.examples)) == ("legs", "g", 0.3, 2)
    with pytest.raises(InputError, match=r"taught with another part \(legs, now arms\): forget it first"):
        Lesson("sit", part="arms").learned(gallery, SIT, "z")
    with pytest.raises(InputError, match="another length"):
        Lesson("sit", seconds=1.0).learned(gallery, np.tile(SIT, (11, 1, 1)), "z")
    with pytest.raises(ConfigError, match="part: expected one of"):
        Lesson("b", part="tail").learned(gallery, SIT, "z")
    with pytest.raises(InputError, match="'crawl' was not taught; the gallery holds sit"):
        gallery.without("crawl")
    assert gallery.without(" sit ").taught == ()


@pytest.mark.parametrize("name", ["", "  ", "a" * 65, "a\0b", "\n\n", "a\x07b"])
def test_names_are_printable(name) -> None:
    with pytest.raises(InputError, match="name: expected 1 to 64"):
        Lesson(name).learned(Gallery(), SIT, "")


@pytest.mark.parametrize("seconds", [0.1, 11.0, float("nan"), -1.0])
def test_motions_have_a_length(seconds) -> None:
    with pytest.raises(InputError, match=r"motion: expected 0\.2 to 10 s"):
        Lesson("a", seconds=seconds).learned(Gallery(), SIT, "")


def test_who_shows_it_must_be_clear() -> None:
    assert one_of([5], -1) == 5 and one_of([5, 6], 6) == 6
    with pytest.raises(InputError, match="nobody is in view"):
        one_of([], -1)
    with pytest.raises(InputError, match=r"2 people are in view \(track ids 5, 6\): say which"):
        one_of([6, 5], -1)
    with pytest.raises(InputError, match="no person 9 is in view, but 5"):
        one_of([5], 9)


def recording(rows: int = 60, people: int = 1) -> Recorded:
    pose = np.stack([seen(sit() if k > 30 else stand()) for k in range(rows)])
    ids = np.arange(rows) % people
    return Recorded("walk.npz", np.arange(rows) / 30, np.arange(rows), ids, pose)


def test_a_span_of_a_recording_is_taught() -> None:
    vectors, source = from_recording(recording(), Lesson("sit"), start=1.5)
    assert source == "walk.npz at 1.73 s" and np.allclose(vectors, SIT, atol=1e-9)


@pytest.mark.parametrize(
    ("lesson", "more", "text"),
    [
        (Lesson("a"), {"start": 5.0}, "walk.npz: nobody is in it"),
        (Lesson("a"), {"start": 2.0, "end": 1.0}, "span: expected 0 <= start <= end"),
        (Lesson("a"), {"start": float("nan")}, "span: expected"),
        (Lesson("a"), {"track_id": 4}, "no person 4 is in it, but 0"),
        (Lesson("a", seconds=5.0), {}, "expected somebody seen for 5 s"),
    ],
)
def test_a_span_that_shows_nothing_is_refused(lesson, more, text) -> None:
    with pytest.raises(InputError, match=text):
        from_recording(recording(), lesson, **more)
    with pytest.raises(InputError, match=r"2 people are in it \(track ids 0, 1\)"):
        from_recording(recording(people=2), Lesson("a"))


def test_what_lift_wrote_is_read(tmp_path) -> None:
    from diffpose_ros.core import H36M17

    content = {
        "stamps": np.array([0.0, 0.1]), "frame": np.array([1]), "track_id": np.array([3]),
        "skeleton": seen(sit())[None].astype(np.float32), "joint_names": np.array(H36M17.joints),
        "keypoints": np.array([[[5, 7, 0.9]] * 16 + [[50, 70, 0.0]]], np.float32),
    }  # fmt: skip
    np.savez(tmp_path / "o.npz", **content)
    made = read_lifted(tmp_path / "o.npz")
    assert made.stamp_s.tolist() == [0.1] and made.box.tolist() == [[5, 7, 5, 7]]
    assert np.isnan(made.up).all() and np.allclose(made.vectors()[0], SIT, atol=1e-5)
    for change, text in (
        ({"joint_names": np.array(["a"] * 17)}, "joints of h36m17"),
        ({"frame": np.array([2])}, "frames and stamps disagree"),
        ({"stamps": np.array([0.0, np.nan])}, "finite stamps"),
    ):
        np.savez(tmp_path / "o.npz", **{**content, **change})
        with pytest.raises(InputError, match=text):
            read_lifted(tmp_path / "o.npz")
    (tmp_path / "o.npz").write_bytes(b"PK\x03\x04 half")
    with pytest.raises(InputError, match="cannot be read"):
        read_lifted(tmp_path / "o.npz")
    with pytest.raises(InputError, match="no such file"):
        read_lifted(tmp_path / "none.npz")


def test_poses_without_axes_have_no_vector() -> None:
    poses = np.stack([seen(sit()), np.zeros((17, 3)), np.full((17, 3), np.nan)])
    made = Recorded("x", np.arange(3.0), np.arange(3), np.zeros(3, int), poses)
    assert made.vectors()[1].tolist() == [0]


def test_kinds_have_a_metric() -> None:
    with pytest.raises(ConfigError, match="metric: expected one of metres, cosine"):
        Kind("x", 64, metric="dot")
