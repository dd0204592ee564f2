"""Prompts: what a user may say, what a robot says itself, and what of it reaches the network."""

from __future__ import annotations

import numpy as np
import pytest

from diffpose_ros.core import H36M17, ConfigError
from diffpose_ros.methods.finepose import observed
from diffpose_ros.methods.finepose.prompts import (
    ACTIONS,
    EVERYONE,
    PARTS,
    SPEEDS,
    STANDARD,
    Vocabulary,
    with_prompt,
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", {}),
        ("auto", {}),
        ("walking", {"action": "walking"}),
        ("Playing ball", {"action": "playing_ball"}),
        ("action: walking-backwards, SPEED: slow", {"action": "walking_backwards", "speed": "slow"}),
        ("fast, legs: hidden", {"speed": "fast", "legs": "hidden"}),
        ("walking, action: auto", {}),
        ("action: unknown", {"action": "unknown"}),
        ("unknown", dict.fromkeys(("action", "speed", *PARTS), "unknown")),
    ],
)
def test_what_a_user_may_say(text: str, said: dict[str, str]) -> None:
    assert STANDARD.parse(text) == said


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("walkin", "no such word; did you mean 'walking'.*there are: action: standing, walking"),
        ("action: fly", "prompt action: expected one of unknown, auto, standing, walking"),
        ("mood: happy", "prompt 'mood': expected one of action, speed, head, body, arms, legs"),
        ("person: tall", "prompt 'person': expected one of action"),
        ("seen", "say of what, as in 'head: seen'"),
        ("action:", "prompt action: expected one of"),
        ("x" * 500, r"'xxxxx[x]*\.\.\.'"),
    ],
)
def test_what_does_not_exist_is_refused_with_the_list(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        STANDARD.parse(text)


def test_what_is_said_of_everyone_and_of_single_people() -> None:
    everyone, people = STANDARD.parse_all("walking; 3: lying, legs: hidden ;7:unknown, action: running")
    assert everyone == {"action": "walking"}
    assert people[3] == {"action": "lying", "legs": "hidden"}
    assert people[7]["action"] == "running"
    assert people[7]["speed"] == "unknown"
    assert STANDARD.parse_all("") == ({}, {})
    assert STANDARD.parse_all("5: sitting") == ({}, {5: {"action": "sitting"}})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("walking; lying", "expected a track id before what comes after a semicolon"),
        ("1: walking; 1: lying", "track 1 is told twice"),
        ("walking; 2: swim", "no such word"),
    ],
)
def test_what_is_said_of_people_wrongly_is_refused(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        STANDARD.parse_all(text)


def test_what_is_said_takes_the_place_of_what_was_there() -> None:
    weights = np.stack([STANDARD.unknown()] * 2)
    STANDARD.write({"action": "running", "head": "hidden"}, weights[1])
    for prompt in STANDARD.words:
        assert weights[:, STANDARD.segment(prompt)].sum(axis=-1) == pytest.approx([1, 1])
    assert weights[1, STANDARD.column("action", "running")] == 1
    assert weights[1, STANDARD.column("head", "hidden")] == 1
    assert weights[0, STANDARD.column("action", "unknown")] == 1


def test_words_that_mean_something_else_are_no_vocabulary() -> None:
    with pytest.raises(ConfigError, match="distinct words"):
        Vocabulary({"action": ("auto",)})


@pytest.mark.parametrize(
    ("speed_m_s", "word"), [(0.0, "still"), (0.4, "slow"), (1.2, "brisk"), (3.0, "fast")]
)
def test_the_speed_comes_from_the_track(speed_m_s: float, word: str) -> None:
    velocity, last = np.zeros((1, 3)), None
    for frame in range(90):
        x = speed_m_s * frame / 30
        size = observed.BODY_M / np.hypot(x, 5.0)
        at = observed.place(np.array([[x / 5.0, 0.0]]), np.log([size]))
        if last is not None:
            velocity = observed.follow(velocity, at - last, np.array([1 / 30]))
        last = at
    weights = STANDARD.unknown()[None].copy()
    observed.write_speed(STANDARD, velocity, np.array([3.0]), weights)
    assert weights[0, STANDARD.column("speed", word)] == 1
    assert word in SPEEDS
    young = STANDARD.unknown()[None].copy()
    observed.write_speed(STANDARD, velocity, np.array([0.1]), young)
    assert young[0, STANDARD.column("speed", "unknown")] == 1


def test_a_velocity_is_low_passed() -> None:
    """In 0.4 s it goes 63 % of the way."""
    got = observed.follow(np.array([1.0, 0.0, 0.0]), np.array([0.2, 0.0, -0.4]), np.array(0.4))
    share = 1 - np.exp(-1.0)
    np.testing.assert_allclose(got, [1.0 - 0.5 * share, 0.0, -1.0 * share])


def test_the_parts_in_view_come_from_the_scores() -> None:
    score = np.full((1, 21), 0.9)
    score[0, [H36M17.index(n) for n in ("left_knee", "left_ankle", "right_knee", "right_ankle")]] = 0.0
    score[0, H36M17.index("left_wrist")] = 0.1
    weights = STANDARD.unknown()[None].copy()
    observed.write_parts(STANDARD, score, weights)
    words = {p: [w for w in STANDARD.words[p] if weights[0, STANDARD.column(p, w)]] for p in PARTS}
    assert words == {"head": ["seen"], "body": ["seen"], "arms": ["partly_seen"], "legs": ["hidden"]}


def test_about_twenty_actions() -> None:
    assert len(set(ACTIONS)) == len(ACTIONS) == 20


@pytest.mark.parametrize(
    ("text", "track_id", "words", "said"),
    [
        ("", EVERYONE, "walking", "walking"),
        ("walking", EVERYONE, "", ""),
        ("walking; 3: lying", EVERYONE, "auto", "3: lying"),
        ("", 3, "lying", "3: lying"),
        (
            "walking; 3: lying",
            3,
            "action: sitting, legs: hidden",
            "walking; 3: action: sitting, legs: hidden",
        ),
        ("walking; 7: lying", 3, "unknown", "walking; 3: unknown; 7: lying"),
        ("walking; 3: lying", 3, "", "walking; 3: auto"),
        ("3: lying", 3, "", ""),
    ],
)
def test_one_person_is_told_of_beside_the_others(text, track_id, words, said) -> None:
    made = with_prompt(text, track_id, words)
    assert made == said
    everyone, people = STANDARD.parse_all(made)
    before_everyone, before = STANDARD.parse_all(text)
    if track_id == EVERYONE:
        assert (everyone, people) == (STANDARD.parse(words), before)
    else:
        assert everyone == before_everyone and people.get(track_id, {}) == STANDARD.parse(words)


@pytest.mark.parametrize(
    ("track_id", "words", "text"),
    [
        (-2, "walking", "track_id: expected 0 or more, or -1 for everyone, got -2"),
        (3, "walking; 4: lying", "expected what is said of one person"),
        (EVERYONE, "4: lying", "expected what is said of one person"),
    ],
)
def test_what_is_not_of_one_person_is_refused(track_id, words, text) -> None:
    with pytest.raises(ConfigError, match=text):
        with_prompt("", track_id, words)
