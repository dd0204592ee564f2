"""What the lifter remembers of each person: rows, ring slots, stamps, resets."""

from diffpose_ros.history.clock import Clock, ClockEvent
from diffpose_ros.history.people import CacheEntry, PeopleState
from diffpose_ros.history.ring import RingStamps

__all__ = ["CacheEntry", "Clock", "ClockEvent", "PeopleState", "RingStamps"]
