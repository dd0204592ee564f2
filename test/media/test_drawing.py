"""Drawings: people appear where they are, in the colours of their sides."""

import numpy as np
import pytest

from diffpose_ros.core import COCO17, H36M17, People2D, Skeleton
from diffpose_ros.core.colours import SIDE_COLOURS
from diffpose_ros.media import drawing
from diffpose_ros.media.overlay import Overlay
from diffpose_ros.media.view3d import OrbitView

GREY = np.full((240, 320, 3), 100, np.uint8)


def person(track_id: int = 3, score: float = 1.0) -> People2D:
    """Joints on a grid, far apart."""
    k = np.arange(17)
    xy = np.stack([40 + 60 * (k % 5), 40 + 50 * (k // 5)], axis=-1).astype(float)
    return People2D(xy=xy[None], score=np.full((1, 17), score), track_id=np.array([track_id]))


def standing(track_id: int = 1, at: tuple[float, float, float] = (0.0, 0.0, 4.0)) -> Skeleton:
    """A T-pose of about 1.7 m."""
    shape = {
        "hip": (0, 0), "right_hip": (-0.1, 0), "right_knee": (-0.1, 0.45),
        "right_ankle": (-0.1, 0.9), "left_hip": (0.1, 0), "left_knee": (0.1, 0.45),
        "left_ankle": (0.1, 0.9), "spine": (0, -0.25), "thorax": (0, -0.5), "nose": (0, -0.6),
        "head_top": (0, -0.75), "left_shoulder": (0.18, -0.5), "left_elbow": (0.45, -0.5),
        "left_wrist": (0.7, -0.5), "right_shoulder": (-0.18, -0.5), "right_elbow": (-0.45, -0.5),
        "right_wrist": (-0.7, -0.5),
    }  # fmt: skip
    xyz = np.array([(*shape[j], 0.0) for j in H36M17.joints]) + np.array(at)
    return Skeleton(
        xyz=xyz, covariance=np.zeros((17, 3, 3)), score=np.ones(17), root=xyz[0],
        root_is_metric=False, track_id=track_id,
    )  # fmt: skip


def coloured(image, side):
    """Pixels of a side's colour."""
    distance = np.abs(image.astype(int) - np.array(SIDE_COLOURS[side])).sum(-1)
    return distance < 12


def test_every_joint_is_drawn_in_its_sides_colour():
    people = person(track_id=-1)
    image = drawing.draw_people(GREY, people)
    for j, (x, y) in enumerate(people.xy[0].astype(int)):
        assert coloured(image, COCO17.side(j))[y, x], COCO17.joints[j]


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_bone_is_drawn_in_its_sides_colour(side):
    ends = [COCO17.index(f"{side}_hip"), COCO17.index(f"{side}_knee")]
    xy, score = np.zeros((1, 17, 2)), np.zeros((1, 17))
    xy[0, ends], score[0, ends] = [(100, 40), (100, 140)], 1.0
    image = drawing.draw_people(GREY, People2D(xy=xy, score=score))
    red, green, blue = image[90, 100].astype(int)
    assert red > green > blue if side == "left" else blue > green > red


def test_the_image_itself_is_not_touched():
    before = GREY.copy()
    drawing.draw_people(GREY, person())
    assert np.array_equal(GREY, before)


def test_unseen_joints_are_left_out():
    assert np.array_equal(drawing.draw_people(GREY, person(score=0.1)), GREY)


def test_nobody_leaves_the_image_as_it_is():
    assert np.array_equal(drawing.draw_people(GREY, People2D.empty()), GREY)


def test_a_tracked_person_is_named_and_an_untracked_one_is_not():
    named, bare = (drawing.draw_people(GREY, person(i)) for i in (3, -1))
    assert not np.array_equal(named, bare)


def test_people_outside_the_image_do_no_harm():
    people = People2D(xy=person().xy * 1e7 - 1e8, score=np.ones((1, 17)), track_id=np.array([1]))
    assert drawing.draw_people(GREY, people).shape == GREY.shape


@pytest.mark.parametrize(
    ("a", "b", "side"),
    [
        ("hip", "left_hip", "left"),
        ("thorax", "spine", "middle"),
        ("right_knee", "right_hip", "right"),
    ],
)
def test_the_side_of_a_bone(a, b, side):
    assert H36M17.bone_side(H36M17.index(a), H36M17.index(b)) == side


def test_the_3d_view_shows_both_sides_where_they_are():
    view = OrbitView(300, 300, start_deg=0.0, pitch_deg=0.0, period_s=0)
    image = view.render([standing()], 0.0)
    left, right = (np.argwhere(coloured(image, s)).mean(0) for s in ("left", "right"))
    # Seen along the real camera, the person's left (positive x here) is to the right.
    assert left[1] > 150 > right[1]


def test_seen_from_behind_the_sides_swap():
    view = OrbitView(300, 300, start_deg=180.0, pitch_deg=0.0, period_s=0)
    image = view.render([standing()], 0.0)
    left, right = (np.argwhere(coloured(image, s)).mean(0) for s in ("left", "right"))
    assert left[1] < 150 < right[1]


def test_people_stand_apart_as_they_do_in_the_scene():
    view = OrbitView(600, 300, start_deg=0.0, pitch_deg=0.0, period_s=0)
    image = view.render([standing(1, (-1.5, 0, 5)), standing(2, (1.5, 0, 5))], 0.0)
    columns = np.flatnonzero(coloured(image, "middle").any(0))
    assert np.diff(columns).max() > 100


def test_the_view_turns_with_time():
    view = OrbitView(200, 200, period_s=8.0)
    assert not np.array_equal(view.render([standing()], 0.0), view.render([standing()], 2.0))


def test_someone_who_jumps_aside_stays_in_the_picture():
    view = OrbitView(300, 300, start_deg=0.0, pitch_deg=0.0, period_s=0)
    view.render([standing()], 0.0)
    image = view.render([standing(at=(4.0, 0.0, 4.0))], 0.03)
    for side in ("left", "right", "middle"):
        assert coloured(image, side).any(), side


def test_an_empty_view_says_so_and_keeps_its_size():
    assert OrbitView(200, 120).render([], 0.0).shape == (120, 200, 3)


@pytest.mark.parametrize("size", [(1920, 1080), (1080, 1920), (641, 479)])
def test_composed_frames_have_one_even_size(size):
    overlay = Overlay(*size, title="test")
    width, height = overlay.size
    assert (width % 2, height % 2) == (0, 0)
    image = np.zeros((size[1], size[0], 3), np.uint8)
    for skeletons in ([], [standing()]):
        out = overlay.compose(image, person(), skeletons, 0.5)
        assert out.shape == (height, width, 3)


def test_keypoints_land_on_the_person_after_scaling():
    overlay = Overlay(640, 480)
    image = np.zeros((480, 640, 3), np.uint8)
    out = overlay.compose(image, person(), [], 0.0)
    scale = 540 / 480
    x, y = (person().xy[0, 0] * scale).astype(int)
    assert coloured(out, "middle")[y, x]


def test_keypoints_land_on_an_image_that_has_bars():
    """Upright images in a picture made for wide ones: 405 x 540 pixels in the middle of 720."""
    image, people = np.zeros((640, 480, 3), np.uint8), person()
    out = Overlay(640, 480).compose(image, people, [], 0.0)
    for j in (0, 16):
        x, y = (people.xy[0, j] * (540 / 640) + (157, 0)).astype(int)
        assert coloured(out, COCO17.side(j))[y, x]


def test_the_3d_view_looks_down_on_people():
    """Of two people on one floor the farther one's feet, orange and blue, are higher in the picture."""
    view = OrbitView(400, 400, start_deg=0.0, pitch_deg=14.0, period_s=0)
    image = view.render([standing(1, (-1.0, 0, 4.0)), standing(2, (1.0, 0, 6.0))], 0.0)
    near, far = (
        np.flatnonzero((np.ptp(half.astype(int), axis=-1) > 60).any(axis=1)).max()
        for half in (image[:, :200], image[:, 200:])
    )
    assert near > far + 10


def test_what_is_near_is_painted_over_what_is_far(monkeypatch):
    """Bones get wider the nearer they are."""
    widths = []
    monkeypatch.setattr(
        drawing, "line",
        lambda image, a, b, colour, width: widths.append(width) if colour == drawing.DARK else None,
    )  # fmt: skip
    view = OrbitView(200, 200, start_deg=60.0, period_s=0)
    view.render([standing(1, (0, 0, 4.0)), standing(2, (0.5, 0, 6.0))], 0.0)
    assert len(widths) == 32
    assert widths == sorted(widths)


def test_left_is_orange_and_right_is_blue():
    red, green, blue = SIDE_COLOURS["left"]
    assert red > green > blue
    red, green, blue = SIDE_COLOURS["right"]
    assert blue > green > red
