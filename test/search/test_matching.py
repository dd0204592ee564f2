"""Taught poses and motions, online: distance, groups, hysteresis, unknown."""

from __future__ import annotations

import numpy as np
import pytest
from taught_bodies import raise_left, seen, sit, stand, wave

from diffpose_ros.core import ConfigError, InputError
from diffpose_ros.search.gallery import Example, Gallery, Taught
from diffpose_ros.search.gallery_file import load, shipped_path
from diffpose_ros.search.matching import Hysteresis, People, Person, confidence, nearest
from diffpose_ros.search.recorded import Recorded
from diffpose_ros.search.teaching import Lesson, from_recording
from diffpose_ros.search.vectors import pose_vectors, variants

AT_ONCE = Hysteresis(0.0, 0.0, 1.0)


def taught(name: str, pose, **more) -> Taught:
    return Taught(name, (Example(pose_vectors(seen(pose))[None]),), **more)


SMALL = Gallery((taught("stand", stand(), group="g"), taught("sit", sit(), group="g")))


def active(matches) -> list[str]:
    return [m.name for m in matches if m.active]


def test_who_does_what_was_taught_is_told_and_nobody_else() -> None:
    assert active(nearest(SMALL, seen(sit(), turn=99))) == ["sit"]
    assert active(nearest(SMALL, seen(stand(), size=1.1))) == ["stand"]
    crawl = seen(sit())
    crawl[[2, 3, 5, 6]] += [0.3, 0.3, 0.3]
    assert active(nearest(SMALL, crawl)) == []


def test_distance_is_in_metres_and_confidence_half_at_the_radius() -> None:
    (match,) = nearest(Gallery((taught("sit", sit(), radius=0.2),)), seen(sit()))
    assert match.distance < 1e-6 and match.confidence > 0.99
    assert confidence(1.0) == 0.5 and confidence(1e9) >= 0.0


def test_a_name_is_active_after_a_while_and_ends_after_a_while() -> None:
    person = Person(SMALL, Hysteresis(enter_s=0.3, leave_s=0.2, leave=1.2))
    said = []
    for k in range(40):
        pose = sit() if 10 <= k < 25 else stand()
        said.append("sit" in active(person.update(1.0 + k / 10, seen(pose))))
    assert said.index(True) == 13 and not any(said[29:])
    assert all(said[13:25])


def test_a_flicker_of_one_frame_changes_nothing() -> None:
    person = Person(SMALL, Hysteresis())
    for k in range(30):
        matches = person.update(1.0 + k / 30, seen(sit() if k == 20 else stand()))
        assert active(matches) == (["stand"] if k >= 9 else [])


def test_of_a_group_one_is_active() -> None:
    wide = Gallery(
        (taught("stand", stand(), group="g", radius=1.0), taught("sit", sit(), group="g", radius=1.0))
    )
    person = Person(wide, AT_ONCE)
    assert active(person.update(1.0, seen(stand()))) == ["stand"]
    assert active(person.update(1.1, seen(sit()))) == ["sit"]


def test_a_part_does_not_care_for_the_rest() -> None:
    gallery = Gallery((taught("left up", raise_left(), part="left arm"), taught("sit", sit(), part="legs")))
    both = seen(sit())
    both[[11, 12, 13]] = seen(raise_left())[[11, 12, 13]]
    assert set(active(nearest(gallery, both))) == {"left up", "sit"}


def test_a_name_that_is_not_told_keeps_its_group_silent() -> None:
    gallery = Gallery(
        (taught("sit", sit(), radius=1.0, group="g"), taught("no", stand(), group="g", told=False))
    )
    assert nearest(gallery, seen(stand()))[0].active is False
    assert [m.name for m in nearest(gallery, seen(stand()))] == ["sit"]


def waving(seconds: float = 1.5) -> Gallery:
    frames = wave(3.0)
    rows = len(frames)
    recording = Recorded("wave.npz", np.arange(rows) / 30, np.arange(rows), np.zeros(rows, int), frames)
    lesson = Lesson("wave", part="right arm", seconds=seconds)
    gallery = Gallery()
    for end in (1.6, 1.8, 2.0, 2.2):
        vectors, source = from_recording(recording, lesson, end=end)
        gallery = lesson.learned(gallery, vectors, source)
    assert gallery.find("wave").examples[0].source == "wave.npz at 1.60 s"
    return gallery


def told_of(gallery: Gallery, frames: np.ndarray) -> list[bool]:
    person = Person(gallery, AT_ONCE)
    return ["wave" in active(person.update(1 + k / 30, f)) for k, f in enumerate(frames)]


def test_a_motion_is_known_at_another_pace_and_phase() -> None:
    gallery = waving()
    said = told_of(gallery, wave(3.0, hz=1.1, phase=0.13))
    assert not any(said[:44]), "its window was not seen yet"
    assert np.mean(said[48:]) > 0.9


def test_an_arm_that_is_held_does_not_wave() -> None:
    held = np.tile(wave(0.1)[:1], (60, 1, 1))
    assert not any(told_of(waving(), held))
    assert not any(told_of(waving(), np.tile(seen(stand()), (60, 1, 1))))


def test_a_gap_begins_anew() -> None:
    gallery, frames = waving(), wave(3.0)
    person = Person(gallery, AT_ONCE)
    for k, frame in enumerate(frames):
        late = 1 + k / 30 + (2.0 if k > 60 else 0.0)
        told = active(person.update(late, frame))
        assert not (60 < k < 104 and told)


def test_people_are_told_apart_and_forgotten() -> None:
    people = People(SMALL, AT_ONCE)
    assert active(people.update(1.0, 4, seen(sit()))) == ["sit"]
    assert active(people.update(1.0, 7, seen(stand()))) == ["stand"]
    assert people.window(4, 1.0) is None and people.window(9, 1.0) is None
    people.forget(9.0)
    assert not people._known
    assert active(people.update(1.0, -1, seen(sit()))) == ["sit"], "without an identity by the frame alone"


def test_learning_goes_on_with_what_is_active() -> None:
    people = People(SMALL, Hysteresis(enter_s=0.1))
    for k in range(5):
        people.update(1 + k / 30, 0, seen(sit()))
    more = SMALL.with_example(taught("left up", raise_left()))
    people.learn(more)
    assert active(people.update(1.2, 0, seen(sit()))) == ["sit"]
    people.learn(more.without("sit"))
    assert active(people.update(1.3, 0, seen(sit()))) == []


def test_shipped_names_know_what_was_written_down() -> None:
    gallery = load(shipped_path())
    assert [one.name for one in gallery.taught if one.told] == [
        "standing", "sitting", "crouching", "lying", "walking", "left arm raised", "right arm raised",
        "both arms raised", "pointing", "hands on head",
    ]  # fmt: skip
    assert active(nearest(gallery, seen(sit()))) == ["sitting"]
    assert active(nearest(gallery, seen(stand()))) == ["standing"]
    assert set(active(nearest(gallery, seen(raise_left(), turn=70)))) == {"standing", "left arm raised"}
    assert {one.name for one in gallery.like("arm raised")} == {"left arm raised", "right arm raised"}


def test_the_shipped_file_is_what_the_code_writes(tmp_path) -> None:
    from diffpose_ros.search.gallery_file import save
    from diffpose_ros.search.shipped import shipped

    save(tmp_path / "gallery.json", shipped())
    assert (tmp_path / "gallery.json").read_text() == shipped_path().read_text()


@pytest.mark.parametrize("numbers", [(-1, 0, 1), (0, 99, 1), (0, 0, 0.5)])
def test_a_hysteresis_has_ranges(numbers) -> None:
    with pytest.raises(ConfigError, match="expected"):
        Hysteresis(*numbers)


def test_all_poses_in_one_go_are_each_of_them() -> None:
    gallery = load(shipped_path())
    for pose in (seen(sit()), seen(raise_left(), turn=50)):
        query = variants(pose)
        once = gallery.pose_distances(query)
        assert set(once) == {one.name for one in gallery.taught if not one.motion}
        for name, found in once.items():
            assert found == pytest.approx(gallery.find(name).distance(query), abs=1e-9)


def test_a_pose_without_axes_is_refused() -> None:
    with pytest.raises(InputError, match="apart"):
        Person(SMALL, AT_ONCE).update(1.0, np.zeros((17, 3)))
