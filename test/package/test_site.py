"""The documentation as a site: every page has its place, what is generated is up to date, and it builds."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
CONFIG = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
PAGES = sorted(DOCS.rglob("*.md"))


def placed(nav: object) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [page for part in parts for page in placed(part)]  # type: ignore[union-attr]


def test_every_page_has_a_place_in_the_navigation() -> None:
    pages = placed(CONFIG["nav"])
    assert len(pages) == len(set(pages))
    assert set(pages) - {"manual.md", "commands.md"} == {page.relative_to(DOCS).as_posix() for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_the_pages_that_are_generated_are_up_to_date() -> None:
    pytest.importorskip("rclpy", reason="needs ROS 2's rclpy: make setup")
    command = [sys.executable, ROOT / "tools" / "docs_pages.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_parameters_page_has_every_parameter() -> None:
    text = (DOCS / "parameters.md").read_text()
    for path in (ROOT / "config").glob("*.yaml"):
        content = yaml.safe_load(path.read_text())
        if "/**" in content:
            part = text[text.index(f"## {path.stem}\n") :].split("\n## ")[0]
            for name in content["/**"]["ros__parameters"]:
                assert f"| `{name}` |" in part, f"{path.stem}: {name}"


@pytest.mark.parametrize("page", sorted((DOCS / "tutorials").glob("*.md")), ids=lambda page: page.stem)
def test_the_python_of_a_tutorial_is_python(page: Path) -> None:
    text = page.read_text()
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        compile(code, str(page), "exec")
    assert "```" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_stands_inside_a_list_is_indented_by_four(page: Path) -> None:
    """The site's Markdown takes less for a part of the outer list, where GitHub's does not."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    assert re.findall(r"^ {1,3}(?:[-*+] |\d+\. |\|).*", text, re.M) == []


def test_pictures_are_small() -> None:
    for path in (DOCS / "images").rglob("*"):
        if path.suffix in (".jpg", ".jpeg"):
            assert path.stat().st_size < 100_000, path.name


def test_the_site_builds_without_warnings(tmp_path: Path) -> None:
    if importlib.util.find_spec("mkdocs") is None or importlib.util.find_spec("material") is None:
        pytest.skip("mkdocs-material is not installed (requirements/docs.txt)")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path],
        cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    assert 'href="manual.html#diagnostics"' in (tmp_path / "troubleshooting.html").read_text()
    for page in placed(CONFIG["nav"]):
        assert (tmp_path / page).with_suffix(".html").is_file()
