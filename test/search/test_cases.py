"""Names that are defined by what is measured: measures, ranges, their file, and examples beside them."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from taught_bodies import OPTICAL, raise_left, seen, sit, stand

from diffpose_ros.core import InputError
from diffpose_ros.search import cases, gallery_file
from diffpose_ros.search.cases import Case, mirrored
from diffpose_ros.search.gallery import Example, Gallery, Taught
from diffpose_ros.search.matching import Hysteresis, Person, nearest
from diffpose_ros.search.measures import OF_A_POSE, STEP, measures, over_time
from diffpose_ros.search.shipped import shipped
from diffpose_ros.search.vectors import pose_vectors
from diffpose_ros.search.written import stride

SHIPPED = shipped()
AT_ONCE = Hysteresis(0.0, 0.0, 1.0)


def active(matches) -> list[str]:
    return [m.name for m in matches if m.active]


def example(pose, **more) -> Example:
    return Example(pose_vectors(seen(pose))[None], **more)


@pytest.mark.parametrize(
    ("pose", "name", "expected"),
    [
        (stand(), "lean", 0.0),
        (stand(), "left thigh", 3.0),
        (stand(), "hip height", 0.998),
        (sit(), "right thigh", 85.0),
        (sit(), "right knee", 85.0),
        (sit(), "left shank", 0.0),
        (sit(), "hip height", 0.543),
        (sit(), "feet off", 0.487),
        (raise_left(), "left upper arm", 165.0),
        (raise_left(), "left elbow", 7.0),
        (raise_left(), "left wrist height", 1.13),
        (raise_left(), "right upper arm", 8.0),
    ],
)  # fmt: skip
def test_measures_are_what_was_written_down(pose, name, expected) -> None:
    for turn, size in ((0.0, 1.0), (130.0, 0.7)):
        assert float(measures(seen(pose, turn=turn, size=size))[name]) == pytest.approx(
            expected, rel=0.01, abs=0.01
        )


def test_legs_are_measured_against_gravity_and_arms_against_the_trunk() -> None:
    tilt = np.radians(30.0)
    down = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    level = measures(seen(raise_left()))
    told = measures(seen(raise_left()) @ down.T, down @ [0.0, -1.0, 0.0])
    assert set(level) == {*OF_A_POSE, STEP}
    for name, value in level.items():
        assert float(told[name]) == pytest.approx(float(value), abs=1e-5)
    untold = measures(seen(raise_left()) @ down.T)
    assert float(untold["lean"]) == pytest.approx(30.0) and untold["left elbow"] == pytest.approx(
        level["left elbow"]
    )


def test_what_was_done_is_measured_level_and_along_the_heading() -> None:
    said = over_time(np.array([-0.3, 0.5, 0.1]), np.array([[0, 0, 4], [0, 0, 4.5], [0.9, 0.4, 4.0]]), None)
    assert said["swing"] == pytest.approx(0.8) and said["travel"] == pytest.approx(1.0)
    ahead = stand().joints()
    ahead[[5, 6], 0] += 0.41  # the left knee and ankle
    assert float(measures(ahead @ OPTICAL.T)[STEP]) == pytest.approx(0.453, abs=1e-3)


def test_a_case_is_near_by_its_worst_range() -> None:
    case = Case({"knee": (-math.inf, 40.0), "lean": (10.0, 30.0)})
    measured = {"left knee": 12.0, "right knee": 40.0, "lean": 20.0}
    assert case.nearness(measured) == pytest.approx(1.0)
    assert case.nearness({**measured, "right knee": 12.0}) == pytest.approx(math.exp(-0.5))
    assert case.nearness({**measured, "lean": 50.0}) == pytest.approx(2.0)
    either, bent = (case, Case({"lean": (40, 60)})), {**measured, "lean": 50.0}
    assert cases.nearness(either, bent) == pytest.approx(math.exp(-0.5))


def test_the_other_side_is_mirrored() -> None:
    case = Case({"left elbow": (0, 10), "right wrist height": (1, 2), "lean": (0, 5), "knee": (3, 4)})
    assert dict(mirrored(case).ranges) == {
        "right elbow": (0, 10), "left wrist height": (1, 2), "lean": (0, 5), "knee": (3, 4)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ([{"tail": [0, 1]}], "expected a measure of thigh, .* got 'tail'"),
        ([{"lean": [9, 1]}], "lean: expected least <= most, got 9 to 1"),
        ([{"lean": [float("nan"), 1]}], "lean: expected least <= most"),
        ([{}], "expected one range or more"),
        ("lean", "cases: expected a list"),
        ([{"lean": 3}], "is damaged"),
        ([{"lean": ["a", 1]}], "is damaged"),
    ],
)
def test_a_definition_that_is_none_is_refused_with_its_file(tmp_path, said, text) -> None:
    path = tmp_path / "g.json"
    gallery_file.save(path, Gallery((Taught("up", (example(stand()),), cases=(Case({"lean": (0, 9)}),)),)))
    content = json.loads(path.read_text())
    content["names"][0]["cases"] = said
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=text) as told:
        gallery_file.load(path)
    assert str(path) in str(told.value)


def test_definitions_and_what_counts_survive_the_file(tmp_path) -> None:
    case = Case({"left knee": (-math.inf, 40.0), "lean": (10.0, 30.0)})
    one = Taught("a", (example(stand(), counts=False), example(sit())), cases=(case,))
    gallery_file.save(tmp_path / "g.json", Gallery((one,)))
    (back,) = gallery_file.load(tmp_path / "g.json").taught
    assert back.cases == (case,) and [e.counts for e in back.examples] == [False, True]


def test_a_defined_name_learns_examples_beside_its_definition() -> None:
    gallery = SHIPPED
    before = gallery.find("sitting")
    assert before.shown is None
    assert set(active(nearest(gallery, seen(raise_left())))) == {"left arm raised", "standing"}
    lesson = Taught("sitting", (example(raise_left()),), part="legs", group="posture")
    after = gallery.with_example(lesson)
    assert after.find("sitting").cases == before.cases
    assert "sitting" in active(nearest(after, seen(raise_left()))), "since it was shown"
    assert "sitting" in active(nearest(after, seen(sit()))), "since it is defined"
    assert "sitting" not in active(
        nearest(gallery.with_example(replace(lesson, name="kneeling")), seen(stand()))
    )


def test_who_walks_is_told_from_who_marches_on_the_spot() -> None:
    gallery = Gallery(tuple(SHIPPED.find(name) for name in ("standing", "walking")))
    for speed, expected in ((1.2, "walking"), (0.0, None)):
        person, said = Person(gallery, AT_ONCE), []
        for k in range(50):
            pose = seen(stride(k / 30 / 1.1, 25.0), turn=90.0, at=(speed * k / 30, 0, 4))
            said.append(active(person.update(1 + k / 30, pose)))
        assert {name for names in said[30:] for name in names} == ({expected} if expected else set())


def test_of_a_part_that_is_not_known_nothing_is_told() -> None:
    pose, sure = seen(raise_left()), np.tile(1e-3 * np.eye(3), (17, 1, 1))
    hidden = sure.copy()
    hidden[[12, 13, 15, 16]] = 0.02 * np.eye(3)  # elbows and wrists
    assert set(active(nearest(SHIPPED, pose, None, sure))) == {"left arm raised", "standing"}
    assert active(nearest(SHIPPED, pose, None, hidden)) == ["standing"]
    person = Person(SHIPPED, AT_ONCE)
    assert active(person.update(1.0, pose, None, hidden)) == ["standing"]
