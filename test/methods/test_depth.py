"""A depth image tells how far away people are and how large, or it is left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from depth_camera import SMALL, points_of, render, sensed
from walker import CAMERA, DT, POSE, Watched, rays_of

from diffpose_ros.core import H36M17, Camera, InputError
from diffpose_ros.core.depth import DepthImage
from diffpose_ros.geometry.body_surface import SITES, at_sites, bone_behind_surface, surface_depth
from diffpose_ros.lifting.depth import unusable
from diffpose_ros.methods.root import ScaleSource
from diffpose_ros.methods.root.depth import root_depth

ROOT = np.array([0.2, 0.1, 3.0])
NS = 1_000_000_000
THORAX = H36M17.index("thorax")


def turned(degrees):
    a = np.radians(degrees)
    return POSE @ np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]]).T


def measured(image, pose, root):
    """(1, S) surfaces of a pose at a root."""
    rays = at_sites(rays_of(pose, root)[None])
    pixels = rays @ SMALL.matrix[:2, :2].T + SMALL.matrix[:2, 2]
    return surface_depth(image, pixels, rays, np.ones((1, SITES)), np.array([root[2] * 1.3]))


def watch(pose, root, depth, *, believed=1.0, frames=20):
    """What the stage says after some frames, and all roots on the way."""
    watched, roots = Watched(), []
    for _ in range(frames):
        watched.known = {"depth": depth}
        placed = watched.see(pose, rays_of(pose, root), said=pose * believed)
        roots.append(placed.root[0])
    return placed, np.array(roots)


@pytest.mark.parametrize("degrees", [0, 45, 90, 180])
@pytest.mark.parametrize("believed", [1.0, 1.1, 1.5])
def test_the_root_is_within_three_centimetres(degrees, believed) -> None:
    """Whatever size the lifter believes; 1.5 times: a child, taken for an adult."""
    pose = turned(degrees)
    image = DepthImage(render(points_of(pose) + ROOT, rng=np.random.default_rng(degrees)), NS)
    placed, roots = watch(pose, ROOT, measured(image, pose, ROOT), believed=believed)
    assert np.linalg.norm(roots[-1] - ROOT) < 0.03
    assert np.linalg.norm(roots[0] - ROOT) < 0.10
    assert placed.scale[0] * believed == pytest.approx(1.0, abs=0.05)
    assert placed.source == (ScaleSource.DEPTH,)


def test_an_image_of_another_camera_is_found_along_the_rays() -> None:
    """A depth camera 6 cm to the side that squints by 8 degrees."""
    a = np.radians(8)
    rotation = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    translation = np.array([0.06, 0.01, -0.05])
    seen = (points_of(POSE) + ROOT - translation) @ rotation
    camera = Camera(matrix=np.array([[260.0, 0, 190], [0, 260.0, 110], [0, 0, 1]]), width=320, height=240)
    image = DepthImage(render(seen, camera), NS, camera, rotation, translation)
    own = measured(image, POSE, ROOT)
    registered = measured(DepthImage(render(points_of(POSE) + ROOT), NS), POSE, ROOT)
    assert np.isfinite(own).sum() >= 6
    both = np.isfinite(own) & np.isfinite(registered)
    assert own[both] == pytest.approx(registered[both], abs=0.02)


def test_somebody_before_the_person_is_not_the_person() -> None:
    z = render(points_of(POSE) + ROOT)
    z[:, :175] = 1.0  # a pillar, near the camera, over half of the body
    surface = measured(DepthImage(z, NS), POSE, ROOT)
    _, roots = watch(POSE, ROOT, surface)
    assert np.abs(roots[-1, 2] - ROOT[2]) < 0.12


def test_without_depth_it_is_as_it_was() -> None:
    nothing = np.full((1, SITES), np.nan)
    placed, with_holes = watch(POSE, ROOT, nothing)
    _, without = watch(POSE, ROOT, None)
    np.testing.assert_array_equal(with_holes, without)
    assert placed.source == (ScaleSource.BODY_PRIOR,)


def test_what_depth_has_told_of_the_size_stays() -> None:
    watched = Watched()
    image = DepthImage(render(points_of(POSE) + ROOT), NS)
    surface = measured(image, POSE, ROOT)
    for k in range(60):
        watched.known = {"depth": surface if k < 30 else None}
        placed = watched.see(POSE, rays_of(POSE, ROOT), said=POSE * 1.4)
    assert placed.root[0] == pytest.approx(ROOT, abs=0.06)


def test_a_walk_is_followed() -> None:
    watched, off = Watched(), []
    for k in range(45):
        root = ROOT + np.array([0, 0, 1.2 * k * DT])
        image = DepthImage(render(points_of(POSE) + root, rng=np.random.default_rng(k)), NS)
        watched.known = {"depth": measured(image, POSE, root)}
        off.append(np.linalg.norm(watched.see(POSE, rays_of(POSE, root)).root[0] - root))
    assert np.mean(off[5:]) < 0.04


@pytest.mark.parametrize(("degrees", "across"), [(0, 0.150), (90, 0.105)])
def test_the_trunk_is_wider_than_thick(degrees, across) -> None:
    """How much nearer than the spine the surface is: half the thickness from the front, half the width from
    the side (a share of 0.3 up the trunk)."""
    site = 1
    upright = turned(90 - degrees)
    upright[:, [0, 2]] -= upright[:, [0, 2]] * (np.arange(17) == THORAX)[:, None]  # straight up
    behind = bone_behind_surface(upright[None], np.zeros((1, SITES, 2)))
    assert behind[0, site] == pytest.approx(across)
    aslant = bone_behind_surface(upright[None], np.tile([0.0, 0.75], (1, SITES, 1)))
    assert aslant[0, site] == pytest.approx(across)  # 1 / 0.8 as long a way, of which 0.8 is depth


def test_a_depth_is_as_sure_as_bodies_are_thick_and_sensors_good() -> None:
    """3 cm, and 4 mm more for each metre."""
    for z in (2.0, 8.0):
        root = np.array([0.0, 0.0, z])
        rays = rays_of(POSE, root)[None]
        surface = at_sites((POSE + root)[None])[..., 2] - bone_behind_surface(POSE[None], at_sites(rays))
        depth, variance = root_depth(surface, POSE[None], rays, np.array([z * 1.1]))
        assert depth[0] == pytest.approx(z, abs=1e-6)
        assert variance[0] == pytest.approx(0.03**2 + (0.004 * z) ** 2, rel=1e-3)


METRES = np.full((48, 64), 3.0, dtype=np.float32)


@pytest.mark.parametrize(
    ("z", "text"),
    [
        (METRES * 1000, "half of it is farther than 3000 m: are these millimetres"),
        (METRES / 1000, "half of it is nearer than 3.0 mm: are these metres"),
        (METRES * 0, "all holes"),
        (METRES * np.nan, "all holes"),
        (METRES.astype(np.uint16), "expected metres as floats"),
        (METRES[0], "expected metres as floats"),
    ],
    ids=["mm as m", "m as mm", "zeros", "NaN", "integers", "flat"],
)
def test_an_image_that_is_none_is_refused(z, text) -> None:
    with pytest.raises(InputError, match=text):
        DepthImage(z, NS)


def test_an_image_of_another_size_or_time_is_not_used() -> None:
    z = np.full((CAMERA.height, CAMERA.width), 3.0, dtype=np.float32)
    assert unusable(DepthImage(z, NS), CAMERA, NS + NS // 20) == ""
    assert "0.2 s apart" in unusable(DepthImage(z, NS), CAMERA, NS + NS // 5)
    assert "more than a second apart" in unusable(DepthImage(z, NS), CAMERA, 9 * NS)
    assert "it has 64x48 pixels, the image 1280x720" in unusable(DepthImage(METRES, NS), CAMERA, NS)
    assert unusable(DepthImage(METRES, NS, Camera.from_fov(64, 48)), CAMERA, NS) == ""
    with pytest.raises(InputError, match="its camera_info is for 32x24, it has 64x48"):
        DepthImage(METRES, NS, Camera.from_fov(32, 24))


def test_bodies_of_all_sizes_are_found_within_three_centimetres() -> None:
    """Rendered people, with a sensor's noise, holes and outlines, whose lifter errs in size and lean."""
    with np.load(Path(__file__).with_name("anny_depth.npz")) as file:
        images, poses, root = file["depth_mm"], file["pose"].astype(float), file["root"]
    rng, off = np.random.default_rng(0), []
    for depth_mm, pose in zip(images, poses, strict=True):
        z = sensed(np.where(depth_mm > 0, depth_mm / 1000, 6.0), rng=rng)
        lean = np.radians(4) * rng.choice([-1, 1])
        c, s = np.cos(lean), np.sin(lean)
        said = pose @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]]).T * rng.uniform(0.93, 1.07)
        watched = Watched(depth=measured(DepthImage(z, NS), pose, root))
        for _ in range(15):
            placed = watched.see(pose, rays_of(pose, root, noise=0.002, rng=rng), said=said)
        off.append(placed.root[0] - root)
    assert np.linalg.norm(off, axis=1).mean() < 0.03
    assert np.abs(np.mean(off, axis=0)).max() < 0.015
