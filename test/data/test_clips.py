"""Motion capture clips: checked, turned, resampled, named as COCO names them, read and written."""

from __future__ import annotations

import numpy as np
import pytest

from diffpose_ros.core import COCO17, H36M17, InputError
from diffpose_ros.data import clips
from diffpose_ros.data.clips import Clip, load_clips, save_clips
from diffpose_ros.data.face import coco_from_h36m
from diffpose_ros.data.virtual.synthesis import MotionLibrary


def standing() -> np.ndarray:
    """(17, 3) metres, Y up: a person who faces +z; the left side is +x."""
    at = {
        "hip": (0, 0.95, 0), "right_hip": (-0.13, 0.95, 0), "left_hip": (0.13, 0.95, 0),
        "right_knee": (-0.13, 0.5, 0.02), "left_knee": (0.13, 0.5, 0.02),
        "right_ankle": (-0.13, 0.08, 0), "left_ankle": (0.13, 0.08, 0),
        "spine": (0, 1.2, 0), "thorax": (0, 1.45, 0), "nose": (0, 1.6, 0.1),
        "head_top": (0, 1.72, 0), "left_shoulder": (0.18, 1.4, 0),
        "right_shoulder": (-0.18, 1.4, 0),
        "left_elbow": (0.2, 1.1, 0), "right_elbow": (-0.2, 1.1, 0),
        "left_wrist": (0.2, 0.85, 0.05), "right_wrist": (-0.2, 0.85, 0.05),
    }  # fmt: skip
    return np.array([at[n] for n in H36M17.joints])


def clip(frames: int = 5, **changes) -> Clip:
    body = standing()[None] + np.linspace(0, 1, frames)[:, None, None] * [1.0, 0, 0]
    given = {"name": "walk", "subject": "s1", "action": "", "fps": 30.0, "h36m17": body}
    return Clip(**given | changes)


def named(coco: np.ndarray, joint: str) -> np.ndarray:
    return coco[..., COCO17.index(joint), :]


def test_body_joints_keep_their_place_under_cocos_names():
    coco = coco_from_h36m(standing())
    for joint in COCO17.joints:
        if joint in H36M17.joints:
            want = standing()[H36M17.index(joint)]
            np.testing.assert_allclose(named(coco, joint), want, atol=1e-6)


def test_eyes_and_ears_lie_where_a_face_has_them():
    coco = coco_from_h36m(standing())
    nose = named(coco, "nose")
    for side, sign in (("left", 1), ("right", -1)):
        eye, ear = named(coco, f"{side}_eye") - nose, named(coco, f"{side}_ear") - nose
        assert 0.02 < sign * eye[0] < 0.05
        assert 0.02 < eye[1] < 0.05
        assert -0.04 < eye[2] < 0
        assert 0.05 < sign * ear[0] < 0.1
        assert -0.02 < ear[1] < 0.03
        assert -0.15 < ear[2] < -0.08


def test_the_face_turns_with_the_head():
    c, s = np.cos(0.7), np.sin(0.7)
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    before = standing()
    after = before.copy()
    head = [H36M17.index("nose"), H36M17.index("head_top")]
    after[head] = after[head] @ turn.T
    a, b = coco_from_h36m(before), coco_from_h36m(after)
    for joint in ("left_eye", "right_eye", "left_ear", "right_ear"):
        np.testing.assert_allclose(named(b, joint), turn @ named(a, joint), atol=1e-5)


def test_any_rotation_of_the_world_rotates_the_face_with_it():
    q, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    q *= np.sign(np.linalg.det(q))
    np.testing.assert_allclose(
        coco_from_h36m(standing() @ q.T + 2.0), coco_from_h36m(standing()) @ q.T + 2.0, atol=1e-5
    )


def test_a_nose_on_the_heads_axis_faces_where_the_shoulders_face():
    body = standing()
    body[H36M17.index("nose")] = (0, 1.6, 0)
    coco = coco_from_h36m(body)
    assert named(coco, "left_ear")[2] < -0.08
    assert named(coco, "left_ear")[0] > 0.05


def test_a_collapsed_body_gives_finite_numbers():
    assert np.isfinite(coco_from_h36m(np.zeros((2, 17, 3)))).all()


def test_leading_shapes_are_kept():
    assert coco_from_h36m(np.tile(standing(), (2, 3, 1, 1))).shape == (2, 3, 17, 3)


def test_with_coco_fills_in_only_what_is_absent():
    assert clip().with_coco().coco17 is not None
    given = clip(coco17=np.ones((5, 17, 3)))
    assert given.with_coco() is given


def test_a_clip_is_frozen_and_its_arrays_are_too():
    c = clip()
    with pytest.raises(AttributeError):
        c.fps = 3.0
    with pytest.raises(ValueError, match="read-only"):
        c.h36m17[0] = 0


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"fps": 0.0}, "clip 'walk': fps: expected above 0, got 0"),
        ({"fps": float("nan")}, "fps: expected above 0, got nan"),
        ({"up_axis": "x"}, "up axis: expected 'y' or 'z', got 'x'"),
        ({"h36m17": np.zeros((5, 16, 3))}, r"h36m17: expected shape \('any', 17, 3\)"),
        ({"h36m17": np.full((5, 17, 3), np.nan)}, "h36m17: expected finite numbers"),
        ({"h36m17": np.zeros((0, 17, 3))}, "expected at least one frame"),
        ({"coco17": np.zeros((4, 17, 3))}, r"coco17: expected shape \(5, 17, 3\)"),
        ({"coco17": np.full((5, 17, 3), np.inf)}, "coco17: expected finite numbers"),
    ],
    ids=["no rate", "rate not a number", "up axis", "joints", "nan", "empty", "length", "infinite"],
)
def test_a_wrong_clip_is_refused(changes, text):
    with pytest.raises(InputError, match=text):
        clip(**changes)


def test_turning_up_keeps_the_body_and_its_handedness():
    c = clip().with_coco()
    z = c.with_up("z")
    np.testing.assert_allclose(z.h36m17[..., 2], c.h36m17[..., 1], atol=1e-6)
    np.testing.assert_allclose(z.coco17, coco_from_h36m(z.h36m17), atol=1e-5)
    np.testing.assert_allclose(z.with_up("y").h36m17, c.h36m17, atol=1e-6)
    assert c.with_up("y") is c


@pytest.mark.parametrize(("fps", "frames"), [(30.0, 5), (15.0, 3), (10.0, 2), (60.0, 9), (25.0, 4)])
def test_resampling_keeps_time(fps, frames):
    r = clip().resampled(fps)
    assert (len(r), r.fps) == (frames, fps)
    x = r.h36m17[:, 0, 0]
    np.testing.assert_allclose(x, np.arange(frames) * (30 / fps) / 4, atol=1e-6)


def test_a_rate_off_by_a_hair_still_gives_whole_frames():
    fast = clip(frames=41, fps=1 / 0.0083333)
    np.testing.assert_array_equal(fast.resampled(30.0).h36m17, fast.h36m17[::4])


def test_clips_come_back_as_they_were_saved(tmp_path):
    saved = [clip(), clip(frames=7, name="run", subject="s2", action="Running")]
    save_clips(tmp_path / "a.npz", saved)
    got = load_clips(tmp_path / "a.npz")
    assert [(c.name, c.subject, c.action, c.fps, len(c)) for c in got] == [
        ("walk", "s1", "", 30.0, 5), ("run", "s2", "Running", 30.0, 7)
    ]  # fmt: skip
    np.testing.assert_array_equal(got[1].h36m17, saved[1].h36m17)
    np.testing.assert_array_equal(got[1].coco17, saved[1].with_coco().coco17)


def test_clips_of_different_rates_are_not_stacked(tmp_path):
    with pytest.raises(InputError, match="expected one frame rate for all, got 15, 30"):
        save_clips(tmp_path / "a.npz", [clip(), clip(fps=15.0)])
    with pytest.raises(InputError, match="got no clips"):
        clips.stack([])


def test_bodies_feed_the_training_library():
    body, offsets = clips.bodies([clip(), clip(frames=7).with_up("z")])
    assert body.shape == (12, 21, 3)
    assert offsets.tolist() == [0, 5, 12]
    np.testing.assert_allclose(body[0, :17], standing(), atol=1e-6)
    eye = named(coco_from_h36m(standing()), "right_eye")
    np.testing.assert_allclose(body[5, 18], eye, atol=1e-5)


def arrays(**changes):
    body = clip(frames=6).h36m17
    out = {
        "names": np.array(["a", "b"]), "offsets": np.array([0, 2, 6]), "h36m17": body,
        "fps": np.float32(30),
    }  # fmt: skip
    out.update(changes)
    return {k: v for k, v in out.items() if v is not None}


def test_labels_and_coco_may_be_left_out(tmp_path):
    np.savez(tmp_path / "a.npz", **arrays())
    got = load_clips(tmp_path / "a.npz")
    assert [(c.name, c.subject, len(c), c.coco17, c.up_axis) for c in got] == [
        ("a", "", 2, None, "y"), ("b", "", 4, None, "y")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"h36m17": None}, "missing h36m17; a motion capture file holds"),
        ({"offsets": np.array([0, 6])}, r"offsets: expected one integer more .* \(2\)"),
        ({"offsets": np.array([0.0, 2, 6])}, "offsets: expected one integer more .* got float64"),
        ({"offsets": np.array([0, 2, 7])}, "offsets: expected to rise from 0 to the 6 frames"),
        ({"offsets": np.array([0, 6, 6])}, "offsets: expected to rise"),
        ({"coco17": np.zeros((5, 17, 3))}, r"coco17: expected shape \(6, 17, 3\), got"),
        ({"subject": np.array(["a"])}, r"subject: expected shape \(2,\)"),
        ({"fps": np.array([30.0, 30])}, "fps: expected one number"),
        ({"fps": np.array(0.0)}, "clip 'a': fps: expected above 0"),
        ({"h36m17": np.full((6, 17, 3), np.nan)}, "clip 'a': h36m17: expected finite"),
        ({"h36m17": np.zeros((6, 15, 3))}, "h36m17: expected floats of shape"),
        ({"h36m17": np.full((6, 17, 3), "x")}, "h36m17: expected floats of shape"),
        ({"up_axis": np.array("x")}, "up_axis: expected 'y' or 'z'"),
        ({"names": np.array([{"a": 1}, 2], dtype=object)}, "names: expected numbers or text, got"),
    ],
)
def test_a_wrong_file_is_named_with_its_array(tmp_path, changes, text):
    np.savez(tmp_path / "a.npz", **arrays(**changes))
    with pytest.raises(InputError, match=rf"a\.npz: .*{text}"):
        load_clips(tmp_path / "a.npz")


def test_a_missing_or_broken_file_is_named(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load_clips(tmp_path / "a.npz")
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(InputError, match="not a readable"):
        load_clips(tmp_path / "a.npz")
    (tmp_path / "b.npz").write_text("offsets: 3")
    with pytest.raises(InputError, match="not a readable"):
        load_clips(tmp_path / "b.npz")


def test_saved_clips_are_what_training_reads(tmp_path):
    clips.save_clips(tmp_path / "a.npz", [clip(), clip(frames=7).with_up("z")])
    library = MotionLibrary.from_clips(load_clips(tmp_path / "a.npz"))
    assert library.fps == 30.0
    np.testing.assert_array_equal(library.lengths, [5, 7])
    np.testing.assert_allclose(library.body[5, :17], standing(), atol=1e-6)
