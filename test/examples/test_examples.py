"""The examples build, and decide as they say."""

from __future__ import annotations

import math
import os
import runpy
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "examples"
PACKAGES = sorted(path.parent.name for path in ROOT.glob("*/package.xml"))
SETTINGS = {"distance_m": 1.5, "sigma_m": 0.8, "speed": 0.4, "turn": 0.8}


def test_the_page_names_every_example() -> None:
    page = (ROOT / "README.md").read_text()
    assert PACKAGES == ["follow_person", "watch_zone"]
    assert all(f"[`{name}`]({name})" in page for name in PACKAGES)


@pytest.mark.parametrize("name", PACKAGES)
def test_the_files_of_a_package_agree(name: str) -> None:
    cmake = (ROOT / name / "CMakeLists.txt").read_text()
    described = ET.parse(ROOT / name / "package.xml")
    assert described.findtext("name") == name
    assert f"project({name}" in cmake
    needed = {e.text for e in described.iter() if str(e.tag) in ("depend", "buildtool_depend")}
    assert {
        line.split("(")[1].split(" ")[0] for line in cmake.splitlines() if "find_package(" in line
    } == needed


def test_colcon_leaves_the_examples_out_of_the_packages_own_build() -> None:
    assert (ROOT / "COLCON_IGNORE").is_file()


@pytest.fixture(scope="module")
def command():
    pytest.importorskip("rclpy", reason="rclpy is not installed")
    return runpy.run_path(str(ROOT / "follow_person" / "follow_person"))["command"]


@pytest.mark.parametrize(
    ("x", "z", "forward", "turn"),
    [(0, 1.5, 0, 0), (0, 1.55, 0, 0), (0, 4, 0.4, 0), (0, 0.8, -0.4, 0), (0, 1.75, 0.2, 0), (1, 1.5, 0, -0.8),
     (-0.3, 1.5, 0, 0.296)],
)  # fmt: skip
def test_a_follower_keeps_its_distance_and_turns_to_the_person(command, x, z, forward, turn) -> None:
    assert command(x, z, 0.01, **SETTINGS) == pytest.approx((forward, turn), abs=1e-3)


@pytest.mark.parametrize(
    "seen", [(math.nan, 2, 0.1), (0, math.inf, 0.1), (0, -1, 0.1), (0, 3, 0.7), (0, 3, math.nan)]
)
def test_a_follower_stops_when_it_does_not_know_the_place(command, seen) -> None:
    assert command(*seen, **SETTINGS) == (0.0, 0.0)


ZONE = r"""
#include <cstdio>
#include "zone.hpp"
int main() {
  diffpose_ros::msg::Skeleton3D person;
  std::printf("%g\n", nearest(person));
  person.joints.resize(2);
  person.joints[0].position.z = 5.0;
  person.joints[1].position.x = 1.5; person.joints[1].position.z = 2.0;
  std::printf("%g\n", nearest(person));
  for (int i = 0; i < 9; i += 4) {person.joints[1].covariance[i] = 0.01; person.root_covariance[i] = 0.03;}
  std::printf("%g\n", nearest(person));
  person.joints[0].position.x = NAN;
  std::printf("%g\n", nearest(person));
}
"""


def test_a_zone_counts_the_covariance_in(tmp_path) -> None:
    """The header that decides, with this package's C++ messages and a compiler."""
    prefixes = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(":") if p]
    if not any((p / "include" / "diffpose_ros").is_dir() for p in prefixes):
        pytest.skip("the package's C++ messages are not built")
    compiler = shutil.which("g++") or pytest.skip("g++ is not installed")
    (tmp_path / "zone.cpp").write_text(ZONE)
    folders = [f for p in prefixes for f in (p / "include").glob("*") if f.is_dir()]
    include = [f"-I{folder}" for folder in (ROOT / "watch_zone", *folders)]
    build = [compiler, "-std=c++17", "-Wall", "-Werror", *include, "zone.cpp", "-o", "zone"]
    done = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = subprocess.run([tmp_path / "zone"], capture_output=True, text=True, check=True).stdout.split()
    assert said == ["inf", "2.5", "2.1", "nan"]
