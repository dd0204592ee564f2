"""Commands, options, launch arguments, nodes, topics, services and files in the documentation exist."""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import re
import shlex
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path

from diffpose_ros.cli.main import COMMANDS, build_parser

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "diffpose_ros"
MARKDOWN = {
    path: path.read_text()
    for path in (
        *(ROOT / "README.md", ROOT / "examples" / "README.md"),
        *sorted((ROOT / "docs").rglob("*.md")),
        *sorted(PACKAGE.glob("weights/*/MODEL_CARD.md")),
    )
}
COMMENTED = {
    path: path.read_text()
    for path in (*sorted((ROOT / "config").rglob("*.yaml")), *sorted((ROOT / "launch").glob("*.py")))
}
PAGES = {**MARKDOWN, **COMMENTED}
MADE_LATER = ("out/", "docs/tensorrt_measured.md")
OF_OTHER_PROGRAMS = {"--skip-keys", "--shm-size", "--ipc", "--clock", "--once", "--show-args"}


def blocks(path: Path) -> str:
    """What a page gives as code to type; all of a file that is no page."""
    return (
        "\n".join(re.findall(r"```\w*\n(.*?)```", PAGES[path], re.DOTALL))
        if path in MARKDOWN
        else PAGES[path]
    )


def in_sentences(path: Path) -> list[str]:
    """What stands in backticks outside of code blocks."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", MARKDOWN[path], flags=re.DOTALL))


def calls_of(program: str, text: str) -> Iterator[list[str]]:
    """Arguments of each line that calls a program, without comments and without what is piped behind."""
    for line in re.sub(r"\\\n\s*(#\s+)?", " ", text).splitlines():
        bare = line.strip().removeprefix("#").strip()
        if bare.startswith(f"{program} "):
            call = shlex.split(re.split(r" (?:&&|\||;) ", bare)[0], comments=True)
            yield call[len(program.split()) :]


@functools.cache
def parser_of(command: str) -> ArgumentParser:
    return build_parser(command)


def accepted(call: list[str]) -> bool:
    """Whether the command line takes a call."""
    if not call or call[0] not in COMMANDS:
        return False
    try:
        parser_of(call[0]).parse_args(call)
    except SystemExit:
        return False
    return True


def called(program: str) -> list[tuple[str, list[str]]]:
    return [(page.name, call) for page in PAGES for call in calls_of(program, blocks(page))]


def test_commands_are_accepted() -> None:
    calls = called("diffpose_ros")
    assert len(calls) > 40
    assert [(page, shlex.join(call)) for page, call in calls if not accepted(call)] in (
        [],
        [("README.md", "COMMAND --help")],
    )


def test_the_examples_of_every_command_are_accepted() -> None:
    for name, (module, _) in COMMANDS.items():
        examples = importlib.import_module(f"diffpose_ros.cli.{module}").EXAMPLES
        calls = list(calls_of("diffpose_ros", examples))
        assert calls, name
        assert [shlex.join(call) for call in calls if not accepted(call)] == []


def test_options_in_sentences_exist() -> None:
    known = set(OF_OTHER_PROGRAMS)
    tools = (*ROOT.glob("tools/*.*"), *ROOT.glob("tools/mutation/*.py"), *ROOT.glob("test/fuzz/run_*.py"))
    for path in (*tools, *PACKAGE.glob("cli/*.py")):
        known.update(re.findall(r"--[a-z][a-z0-9-]+", path.read_text()))
    said = {
        (page.name, option)
        for page in MARKDOWN
        for code in in_sentences(page)
        for option in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", code)
    }
    assert len(said) > 50
    assert {(page, option) for page, option in said if option not in known} == set()


@functools.cache
def launch_arguments(file: str) -> frozenset[str]:
    """Arguments of a launch file and of those that it includes, as the source declares them."""
    files = ROOT.glob("launch/*.launch.py") if file == "lift.launch.py" else [ROOT / "launch" / file]
    return frozenset(
        ast.literal_eval(call.args[0])
        for path in files
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "DeclareLaunchArgument"
    )


def test_launch_arguments_exist() -> None:
    calls = called("ros2 launch diffpose_ros")
    assert len(calls) > 15
    for page, (file, *given) in calls:
        names = {word.partition(":=")[0] for word in given} - {"--show-args"}
        assert names <= launch_arguments(file), page
    for path in MARKDOWN:
        names = {name for code in in_sentences(path) for name in re.findall(r"(?<![\w:])(\w+):=", code)}
        assert names <= launch_arguments("lift.launch.py"), path.name


def test_what_ros2_runs_and_shows_exists() -> None:
    assert {call[0] for _, call in called("ros2 run diffpose_ros")} <= {
        p.name for p in ROOT.glob("scripts/*")
    }
    for example in ("follow_person", "watch_zone"):
        source = "".join(path.read_text() for path in (ROOT / "examples" / example).iterdir())
        for page, (executable, *given) in called(f"ros2 run {example}"):
            parameters = re.findall(r"-p (\w+):=", " ".join(given))
            assert executable == example
            assert all(f'"{name}"' in source for name in parameters), (page, parameters)
    interfaces = {path.stem for path in (*ROOT.glob("msg/*.msg"), *ROOT.glob("srv/*.srv"))}
    for path, text in PAGES.items():
        assert set(re.findall(r"diffpose_ros/(?:msg|srv)/(\w+)", text)) <= interfaces, path.name


def test_topics_and_services_exist() -> None:
    nodes = {path.stem for path in PACKAGE.glob("nodes/*.py")}
    files = (*PACKAGE.glob("nodes/*.py"), *PACKAGE.glob("ros/*.py"), *ROOT.glob("launch/*.py"))
    strings = set(re.findall(r'"(?:~/)?(\w+)"', "".join(path.read_text() for path in files)))
    for path, text in MARKDOWN.items():
        said = {topic.split("/")[-1] for topic in re.findall(r"(?<![\w/])/diffpose/([a-z_0-9/]*\w)", text)}
        assert said <= strings | nodes, path.name


def test_make_has_the_targets() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for path, text in MARKDOWN.items():
        assert set(re.findall(r"(?:^|`)(?:\w+=\w+ )?make ([a-z-]+)", text, re.M)) <= targets, path.name


def test_files_in_sentences_exist() -> None:
    ending = r"\.(?:py|sh|md|yaml|xml|rviz|txt|c|json|NOTICE|LICENSE|cpp|hpp)"
    count = 0
    for page in MARKDOWN:
        if page.name == "comparison.md":  # its sources are files of other projects
            continue
        for code in in_sentences(page):
            name = re.fullmatch(rf"(?:[\w.]+/)+[\w.]+{ending}", code)
            if name and not code.startswith(MADE_LATER):
                assert any((at / code).is_file() for at in (ROOT, PACKAGE, page.parent)), (
                    f"{page.name}: {code}"
                )
                count += 1
    assert count > 100


def exists(dotted: str) -> bool:
    """Whether a module, or something in one, has this name."""
    owner, _, name = dotted.rpartition(".")
    return hasattr(importlib.import_module(owner), name) or importlib.util.find_spec(dotted) is not None


def test_python_names_exist() -> None:
    """What code blocks import, and names with the path of a module in sentences."""
    said = set()
    for page, text in MARKDOWN.items():
        for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
            for node in ast.walk(ast.parse(code)):
                if isinstance(node, ast.ImportFrom) and str(node.module).startswith("diffpose_ros"):
                    said.update((page.name, f"{node.module}.{name.name}") for name in node.names)
        for code in in_sentences(page):
            if name := re.fullmatch(
                r"(?:diffpose_ros\.)?((?:core|data|evaluation|kinematics|rendering)(?:\.\w+)+)", code
            ):
                said.add((page.name, f"diffpose_ros.{name[1]}"))
    assert len(said) > 25
    assert [item for item in sorted(said) if ".msg." not in item[1] and not exists(item[1])] == []


def anchor_of(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def test_links_of_the_readmes_lead_somewhere() -> None:
    for page in (ROOT / "README.md", ROOT / "examples" / "README.md"):
        for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", MARKDOWN[page]):
            if not target.startswith("http"):
                file = page.parent / target if target else page
                assert file.exists(), target
                headings = re.findall(r"^#+ (.*)$", file.read_text(), re.M) if anchor else []
                assert not anchor or anchor in map(anchor_of, headings), f"{target}#{anchor}"
