"""The last messages of a topic, which come and are asked for in different threads."""

from types import SimpleNamespace

from diffpose_ros.ros.recent import Recent


def message(stamp):
    return SimpleNamespace(header=SimpleNamespace(stamp=stamp))


def test_the_message_of_exactly_this_stamp_is_found_among_the_last():
    recent = Recent(2)
    first, second, third = (message(stamp) for stamp in (1, 2, 3))
    for one in (first, second, third):
        recent.add(one)
    assert recent.at(1) is None
    assert recent.at(2) is second
    assert recent.at(3) is third


def test_a_message_that_comes_while_one_is_looked_for_does_no_harm():
    recent = Recent()

    class Stamp:
        def __eq__(self, other):
            recent.add(message(other))  # as another thread may between two comparisons
            return False

    old = message(1)
    for one in (old, message(Stamp()), message(Stamp())):
        recent.add(one)
    assert recent.at(1) is old
