"""Motion for training: mixtures of files, what is left out and held out, and files that are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from diffpose_ros.core import H36M17, InputError
from diffpose_ros.data.clips import Clip, load_clips, save_clips
from diffpose_ros.data.motion import ClipChoice, choose, fingerprint, load_motion
from diffpose_ros.data.virtual.benchmark import record
from diffpose_ros.data.virtual.synthesis import MotionLibrary

REST = np.array(
    [[0, 0.95, 0], [-0.1, 0.95, 0], [-0.1, 0.5, 0], [-0.1, 0.08, 0], [0.1, 0.95, 0], [0.1, 0.5, 0],
     [0.1, 0.08, 0], [0, 1.2, 0], [0, 1.45, 0], [0, 1.55, 0.08], [0, 1.7, 0], [0.18, 1.42, 0],
     [0.2, 1.15, 0], [0.2, 0.9, 0], [-0.18, 1.42, 0], [-0.2, 1.15, 0], [-0.2, 0.9, 0]], np.float32
)  # fmt: skip
Z_UP = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float32)


def clip(name: str = "walk", pace: float = 1.0, frames: int = 20, **changes) -> Clip:
    path = pace * np.arange(frames)[:, None, None] / 30 * np.array([1.0, 0, 0])
    body = (REST + path).astype(np.float32)
    return Clip(**({"name": name, "subject": "s1", "action": "walk", "fps": 30.0, "h36m17": body} | changes))


def write(path: Path, **changes) -> Path:
    body = np.concatenate([clip().h36m17, clip(pace=2.0).h36m17])
    arrays = {"names": np.array(["a", "b"]), "offsets": np.array([0, 20, 40]), "h36m17": body,
              "fps": np.float32(30)} | changes  # fmt: skip
    np.savez(path, **{n: v for n, v in arrays.items() if v is not None})
    return path


def test_what_is_written_is_read_back_whole(tmp_path: Path) -> None:
    saved = [clip("a", source="CMU asf/amc"), clip("b", 2.0, subject="s2", action="run", source="mine")]
    save_clips(tmp_path / "m.npz", saved)
    got = load_motion([tmp_path / "m.npz"])
    for a, b in zip(saved, got, strict=True):
        for field in ("name", "subject", "action", "source", "fps"):
            assert getattr(a, field) == getattr(b, field)
        np.testing.assert_array_equal(a.h36m17, b.h36m17)


@pytest.mark.parametrize("declared", [np.array("z"), None], ids=["declared", "seen by how people stand"])
def test_z_up_is_turned_for_training_and_for_benchmarks_alike(tmp_path: Path, declared) -> None:
    upright = MotionLibrary.from_clips(load_motion([write(tmp_path / "y.npz")]))
    body = np.concatenate([clip().h36m17, clip(pace=2.0).h36m17]) @ Z_UP.T
    turned = load_motion([write(tmp_path / "z.npz", h36m17=body, up_axis=declared)])
    assert {c.up_axis for c in turned} == {"z"}
    np.testing.assert_allclose(MotionLibrary.from_clips(turned).body, upright.body, atol=1e-5)
    seen = [record(load_clips(tmp_path / f"{n}.npz"), seed=1, views=1)[0].skeleton for n in "yz"]
    np.testing.assert_allclose(seen[0], seen[1], atol=1e-4)
    head, ankle = H36M17.index("head_top"), H36M17.index("left_ankle")
    assert (seen[1][:, head, 1] < seen[1][:, ankle, 1]).all(), "y points down in a camera"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"h36m17": np.full((40, 17, 3), np.nan, np.float32)}, "clip 'a': h36m17: expected finite numbers"),
        ({"h36m17": np.zeros((40, 22, 3), np.float32)},
         r"h36m17: expected floats of shape \(frames, 17, 3\), the joints of Human3.6M, got float32 "),
        ({"coco17": np.zeros((40, 18, 3), np.float32)}, r"coco17: .*the joints of COCO, got float32 "),
        ({"h36m17": np.zeros((40, 17, 3), np.int64)}, "h36m17: expected floats"),
        ({"h36m17": 100 * np.concatenate([clip().h36m17] * 2)},
         "clip 'a': expected metres, got a body 162 m large; it may be in centimetres, divide by 100"),
        ({"h36m17": 1000 * np.concatenate([clip().h36m17] * 2)}, "it may be in millimetres, divide by 1000"),
        ({"h36m17": 0.01 * np.concatenate([clip().h36m17] * 2)}, "expected metres, got a body 0.0162 m"),
        ({"up_axis": np.array("z")}, "up_axis: expected the axis people stand along, y, got z"),
        ({"up_axis": np.array("x")}, "up_axis: expected 'y' or 'z', got 'x'"),
        ({"fps": np.array("fast")}, "fps: expected one number, got <U4"),
        ({"fps": None}, "missing fps; a motion capture file holds offsets, h36m17, fps"),
        ({"offsets": np.array([0, 20])}, "offsets: expected one integer more than there are clips"),
        ({"subject": np.array([{}, {}], object)}, "subject: expected numbers or text, got Python objects"),
    ],
)  # fmt: skip
def test_motion_that_is_no_such_motion_is_refused_in_one_line(tmp_path: Path, changes, text: str) -> None:
    path = write(tmp_path / "m.npz", **changes)
    with pytest.raises(InputError, match=rf"m\.npz: .*{text}") as caught:
        load_motion([path])
    assert "\n" not in str(caught.value)
    assert "allow_pickle" not in str(caught.value)


def test_clips_are_brought_to_one_rate(tmp_path: Path) -> None:
    save_clips(tmp_path / "slow.npz", [clip("slow", fps=15.0)])
    save_clips(tmp_path / "usual.npz", [clip("usual")])
    got = load_motion([tmp_path / "slow.npz", tmp_path / "usual.npz"])
    assert [(c.name, c.fps, len(c)) for c in got] == [("slow", 30.0, 39), ("usual", 30.0, 20)]


def everything() -> list[Clip]:
    return [
        clip("a", 1.0, subject="s1", action="walk", source="CMU"),
        clip("b", 2.0, subject="s2", action="walk", source="CMU"),
        clip("c", 3.0, subject="s2", action="run", source="ACCAD BVH"),
        clip("d", 4.0, subject="s3", action="run", source="CMU"),
    ]


def names(clips) -> list[str]:
    return [c.name for c in clips]


@pytest.mark.parametrize(
    ("choice", "train", "held"),
    [
        (ClipChoice(), "abcd", ""),
        (ClipChoice(leave_out_sources=("ACCAD BVH",)), "abd", ""),
        (ClipChoice(hold_out_subjects=("s2",)), "ad", "bc"),
        (ClipChoice(hold_out_actions=("run",)), "ab", "cd"),
        (ClipChoice(("ACCAD BVH",), ("s1",), ("run",)), "b", "ad"),
    ],
    ids=["all", "without a source", "a subject", "an action", "all three"],
)
def test_whole_sources_people_and_actions_are_kept_apart(choice: ClipChoice, train: str, held: str) -> None:
    got = choose(everything(), choice)
    assert (names(got.train), names(got.held_out)) == (list(train), list(held))
    assert not {c.subject for c in got.train} & set(choice.hold_out_subjects)
    assert not {c.action for c in got.train} & set(choice.hold_out_actions)


def test_a_held_out_motion_does_not_come_back_under_another_name() -> None:
    moved = clip("twin", 2.0, subject="s9", action="stroll")
    moved = clip("twin", subject="s9", action="stroll", h36m17=moved.h36m17 + np.float32(0.5))
    got = choose([*everything(), moved], ClipChoice(hold_out_subjects=("s2",)))
    assert names(got.train) == ["a", "d"]
    assert names(got.held_out) == ["b", "c"], "the twin is nobody's gain: it is in neither"


def test_a_name_that_no_clip_has_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match="hold_out_actions: no clip has 'wlak', did you mean 'walk'"):
        choose(everything(), ClipChoice(hold_out_actions=("wlak",)))
    with pytest.raises(InputError, match="nothing to learn from: all 4 clips"):
        choose(everything(), ClipChoice(hold_out_actions=("walk", "run")))


def test_a_fingerprint_changes_with_what_is_learnt() -> None:
    one = fingerprint(everything())
    assert one == fingerprint(everything())
    assert one != fingerprint(everything()[:-1])
    other = clip("d", 4.001, subject="s3", action="run", source="CMU")
    assert one != fingerprint([*everything()[:-1], other])


def test_folders_of_bvh_and_archives_are_one_mixture(tmp_path: Path) -> None:
    pytest.importorskip("pybvh", reason="pybvh is not installed: training needs it")
    joints = {
        "Hips": (None, REST[0]), "LeftUpLeg": ("Hips", REST[4]), "LeftLeg": ("LeftUpLeg", REST[5]),
        "LeftFoot": ("LeftLeg", REST[6]), "RightUpLeg": ("Hips", REST[1]),
        "RightLeg": ("RightUpLeg", REST[2]), "RightFoot": ("RightLeg", REST[3]),
        "Spine": ("Hips", REST[7]), "Neck": ("Spine", REST[8]), "Head": ("Neck", REST[9] * [1, 1, 0]),
        "LeftArm": ("Neck", REST[11]), "LeftForeArm": ("LeftArm", REST[12]),
        "LeftHand": ("LeftForeArm", REST[13]), "RightArm": ("Neck", REST[14]),
        "RightForeArm": ("RightArm", REST[15]), "RightHand": ("RightForeArm", REST[16]),
    }  # fmt: skip
    lines = ["HIERARCHY"]

    def block(name: str) -> None:
        parent, place = joints[name]
        offset = place - joints[parent][1] if parent else 0 * place
        channels = "6 Xposition Yposition Zposition" if parent is None else "3"
        lines.extend([f"{'JOINT' if parent else 'ROOT'} {name}", "{", "OFFSET " + " ".join(map(str, offset)),
                      f"CHANNELS {channels} Zrotation Xrotation Yrotation"])  # fmt: skip
        children = [n for n in joints if joints[n][0] == name]
        for child in children:
            block(child)
        if not children:
            lines.extend(["End Site", "{", "OFFSET 0 0.15 0", "}"])
        lines.append("}")

    block("Hips")
    lines += ["MOTION", "Frames: 9", "Frame Time: 0.0333333"]
    lines += [f"0 0.95 {0.1 * i} " + " ".join(["0"] * 48) for i in range(9)]
    (tmp_path / "bvh" / "anna").mkdir(parents=True)
    (tmp_path / "bvh" / "anna" / "stroll.bvh").write_text("\n".join(lines))
    save_clips(tmp_path / "m.npz", [clip()])
    got = load_motion([tmp_path / "bvh", tmp_path / "m.npz"])
    assert [(c.name, c.subject, len(c)) for c in got] == [("stroll", "anna", 9), ("walk", "s1", 20)]
    assert len(MotionLibrary.from_clips(got).body) == 29
    with pytest.raises(InputError, match=r"gone\.npz: no such file"):
        load_motion([tmp_path / "gone.npz"])
