"""People who stand close: a crop that loses one of them hands over to the whole image."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from painted import ids, make, play


def test_whom_a_crop_loses_between_others_the_whole_image_finds():
    front_end = make()
    close = {0: (200, 240), 1: (280, 240), 2: (360, 240)}  # their boxes do not touch, their crops do
    play(front_end, [close] * 10)
    assert front_end.report.counts.get("frames looked at whole", 0) == 0
    front_end.single.unsure = {1}
    frames = play(front_end, [close] * 60, start=10)
    seen = [1 in row for row in ids(frames)]
    assert not seen[0]
    assert sum(seen) >= 56  # one look in half a second is a crop's, which may find them again
    assert "people stand close" in front_end.report.values["keypoints from"]
    assert ids(frames)[-1] == [0, 1, 2]


def test_whom_a_crop_loses_alone_is_lost():
    """Nobody stands so near that the whole image would tell more."""
    front_end = make()
    play(front_end, [{0: (100, 240), 1: (540, 240)}] * 10)
    front_end.single.unsure = {1}
    frames = play(front_end, [{0: (100, 240), 1: (540, 240)}] * 8, start=10)
    assert ids(frames) == [[0]] * 8
    assert front_end.report.counts.get("frames looked at whole", 0) == 0


def test_a_crop_that_shows_too_little_of_somebody_alone_is_nobody_elses():
    front_end = make()
    play(front_end, [{0: (200, 240)}] * 10)
    front_end.single.look = _mostly_outside(front_end.single.look)
    frames = play(front_end, [{0: (200, 240)}] * 5, start=10)
    assert ids(frames) == [[]] * 5
    assert front_end.report.counts.get("crops that showed someone else", 0) == 0
    assert front_end.report.counts.get("frames looked at whole", 0) == 0


def test_two_crops_of_one_body_send_both_to_the_whole_image_for_half_a_second():
    front_end = make()
    play(front_end, [{0: (200, 240), 1: (290, 240)}] * 10)
    look = front_end.single.look
    front_end.single.look = _same_place(front_end, look)
    play(front_end, [{0: (200, 240), 1: (290, 240)}], start=10)
    assert front_end.report.counts["crops that showed someone else"] == 1
    front_end.single.look = look
    frames = play(front_end, [{0: (200, 240), 1: (290, 240)}] * 20, start=11)
    assert ids(frames) == [[0, 1]] * 20
    assert front_end.report.counts["frames looked at whole"] == 15


def _mostly_outside(look):
    """A network that sees a body of which two keypoints are in the image."""

    def looks(crops, prior=None):
        seen = look(crops, prior)
        at = seen.at.copy()
        at[:, 2:] = -10.0
        return replace(seen, at=at)

    return looks


def _same_place(front_end, look):
    """A network that sees the first crop's body in the second, too: 90 pixels to the left."""

    def looks(crops, prior=None):
        seen = look(crops, prior)
        at = seen.at.copy()
        side = 160 * 1.3
        at[1] = at[0] + np.array([-90 / side, 0.0])
        return replace(seen, at=at)

    return looks
