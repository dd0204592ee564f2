"""The messages: every field documented, and the fields that others rely on."""

from __future__ import annotations

from pathlib import Path

import pytest

from diffpose_ros.core import TrackState
from diffpose_ros.core.types import SIZE_SOURCES
from diffpose_ros.methods.root import ScaleSource

MSG = Path(__file__).resolve().parents[2] / "msg"
FILES = sorted(MSG.glob("*.msg"))
UNITS = (
    *("pixels", "metres", "m^2", "m/s", "rad^2", "no unit", "stamp of the image", "time since"),
    "on the lifter",
)
MEASURED = ("float", "geometry_msgs/", "std_msgs/Header", "builtin_interfaces/Duration")


def fields(path: Path) -> list[tuple[str, str, str]]:
    """(type, name, comment) of every field; a comment may go on in the next line."""
    found: list[tuple[str, str, str]] = []
    for line in path.read_text().splitlines():
        code, _, comment = line.partition("#")
        if code.strip() and "=" not in code:
            kind, name = code.split()
            found.append((kind, name, comment.strip()))
        elif found and line.startswith(" ") and comment:
            kind, name, before = found[-1]
            found[-1] = (kind, name, f"{before} {comment.strip()}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_field_is_explained_with_its_unit(path: Path) -> None:
    for kind, name, comment in fields(path):
        assert comment, f"{path.name}: {name} has no comment"
        if kind.startswith(MEASURED):
            assert any(unit in comment for unit in UNITS), f"{path.name}: {name} names no unit"


def test_states_have_the_numbers_of_the_library() -> None:
    interfaces = pytest.importorskip("diffpose_ros.msg", reason="messages not built: make setup")
    for kind in (interfaces.Person2D, interfaces.Skeleton3D):
        for state in TrackState:
            assert getattr(kind, f"STATE_{state.name}") == state


def test_sources_of_size_have_the_numbers_of_the_library() -> None:
    interfaces = pytest.importorskip("diffpose_ros.msg", reason="messages not built: make setup")
    kind = interfaces.Skeleton3D
    numbers = (kind.SIZE_FROM_PRIOR, kind.SIZE_FROM_HEIGHT, kind.SIZE_FROM_FLOOR, kind.SIZE_FROM_DEPTH)
    assert [SIZE_SOURCES[n] for n in numbers] == ["body prior", "person height", "floor", "depth"]
    assert tuple(source.value for source in ScaleSource) == SIZE_SOURCES


def test_covariances_are_three_by_three() -> None:
    interfaces = pytest.importorskip("diffpose_ros.msg", reason="messages not built: make setup")
    assert len(interfaces.Joint3D().covariance) == 9
    assert len(interfaces.Joint3D().orientation_covariance) == 9
    assert len(interfaces.Skeleton3D().root_covariance) == 9
    assert len(interfaces.Skeleton3D().velocity_covariance) == 9


@pytest.mark.parametrize(
    ("message", "first"),
    [
        ("Keypoint2D", "name x y score"),
        ("Person2D", "track_id age state score keypoints"),
        ("Person2DArray", "header image_width image_height joint_set detector people"),
        ("Joint3D", "name position covariance score orientation orientation_covariance"),
        ("Skeleton3D", "header image_width image_height joint_set track_id age state score joints root "
                       "root_covariance root_is_metric body_frame velocity velocity_covariance contact "
                       "size_source"),
        ("Skeleton3DArray", "header image_width image_height joint_set model hypotheses steps latency "
                            "skeletons"),
    ],
)  # fmt: skip
def test_old_fields_stay_in_their_places(message: str, first: str) -> None:
    names = [name for _, name, _ in fields(MSG / f"{message}.msg")]
    assert names[: len(first.split())] == first.split()


def test_nobody_promises_people_whom_the_image_does_not_show() -> None:
    for message in ("Person2D", "Skeleton3D"):
        assert "reserved for other sources" in (MSG / f"{message}.msg").read_text()


@pytest.mark.parametrize(
    ("message", "names"),
    [
        ("Keypoint2D", {"x", "y", "score", "covariance"}),
        ("Person2D", {"track_id", "age", "state", "score", "keypoints"}),
        ("Person2DArray", {"header", "image_width", "image_height", "joint_set", "people", "image_topic"}),
        (
            "Joint3D",
            {"name", "position", "covariance", "score", "orientation", "orientation_covariance"},
        ),
        (
            "Skeleton3D",
            {"header", "joint_set", "track_id", "age", "state", "score", "joints", "root",
             "root_covariance", "root_is_metric", "body_frame", "velocity", "velocity_covariance",
             "contact", "size_source"},
        ),
        ("Skeleton3DArray", {"header", "image_width", "image_height", "joint_set", "skeletons"}),
    ],
)  # fmt: skip
def test_a_message_carries(message: str, names: set[str]) -> None:
    assert names <= {name for _, name, _ in fields(MSG / f"{message}.msg")}
