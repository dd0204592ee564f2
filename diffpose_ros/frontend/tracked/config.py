"""Settings of the tracked front end."""

from __future__ import annotations

from dataclasses import dataclass

from diffpose_ros.core import ConfigError
from diffpose_ros.core.choices import DETECTOR_PIXELS
from diffpose_ros.frontend._ranges import check_ranges
from diffpose_ros.frontend.networks import check_runtime
from diffpose_ros.frontend.tracked.single_pose import NETWORKS


@dataclass(frozen=True)
class TrackedConfig:
    """Settings of :class:`diffpose_ros.frontend.tracked.Tracked`.

    Attributes:
        network: network for crops, ``lightning`` or ``thunder``.
        crop_size: side of a crop at the network's input, pixels, a multiple of 32; 0: the network's
            default.
        input_size: longer side of the whole image at the network's input, pixels, a multiple of 32.
        person_threshold: people found in the whole image with a lower score are dropped.
        crop_threshold: a crop whose mean keypoint score is lower shows nobody.
        keypoint_threshold: keypoints with a lower score are ignored (score 0).
        max_people: largest number of people followed.
        max_crops: largest number of crops per frame; with more people the whole image is used, and
            those it misses get crops in turns.
        discovery_s: time between two searches for new people, s.
        in_step: True: search in step with the frames, so the same images give the same people on any
            machine. False: search in a separate thread, and use fewer pixels if time is short.
        budget_s: time limit per frame, s; beyond it crops and searches get cheaper.
        threads: CPU threads per run.
        runtime: see :func:`diffpose_ros.frontend.networks.open_network`.

    Raises:
        ConfigError: a value is out of range.
    """

    network: str = "lightning"
    crop_size: int = 0
    input_size: int = 384
    person_threshold: float = 0.15
    crop_threshold: float = 0.25
    keypoint_threshold: float = 0.1
    max_people: int = 6
    max_crops: int = 4
    discovery_s: float = 0.4
    in_step: bool = False
    budget_s: float = 0.05
    threads: int = 1
    runtime: str = "auto"

    @property
    def search_size(self) -> int:
        """Longer side of the whole image in a search, pixels: a third more than ``input_size``.

        Searches are rare and run beside the frames, and small people are visible only with more pixels.
        """
        return min(round(self.input_size * 4 / 3 / 32) * 32, DETECTOR_PIXELS["movenet"][1])

    def __post_init__(self) -> None:
        if self.network not in NETWORKS:
            raise ConfigError(
                f"tracked network: expected one of {', '.join(NETWORKS)}, got {self.network!r}"
            )
        ranges: dict[str, tuple[float, float]] = {
            "crop_size": (0, 512),
            "input_size": DETECTOR_PIXELS["movenet"],
            "person_threshold": (0.0, 1.0),
            "crop_threshold": (0.0, 1.0),
            "keypoint_threshold": (0.0, 1.0),
            "max_people": (1, 100),
            "max_crops": (0, 100),
            "discovery_s": (0.0, 60.0),
            "budget_s": (0.001, 10.0),
            "threads": (1, 64),
        }
        check_ranges("tracked", self, ranges)
        check_runtime(self.runtime, "tracked")
        for name in ("crop_size", "input_size"):
            if getattr(self, name) % 32:
                raise ConfigError(
                    f"tracked {name}: expected a multiple of 32, got {getattr(self, name)}"
                )
        if not isinstance(self.in_step, bool):
            raise ConfigError(f"tracked in_step: expected true or false, got {self.in_step!r}")
