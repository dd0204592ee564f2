"""What the lifter remembers of each person: rows, ring slots, stamps, resets."""

from diffpose_ros.history.field import Field
from diffpose_ros.history.people import PeopleState
from diffpose_ros.history.ring import RingStamps
from diffpose_ros.history.rows import Rows

__all__ = ["Field", "PeopleState", "RingStamps", "Rows"]
