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
        network: what looks at crops, ``lightning`` or ``thunder``.
        crop_size: side of a crop as the network sees it, pixels, a multiple of 32; 0 takes what
            the network was made for.
        input_size: longer side of the whole image as the whole-image network sees it, pixels, a
            multiple of 32.
        person_threshold: people found in the whole image with a lower score are dropped.
        crop_threshold: a crop whose keypoints score less in the mean shows nobody.
        keypoint_threshold: keypoints with a lower score are masked (score 0).
        max_people: people followed at most.
        max_crops: people looked at by crops in one frame; more go to the whole image, and those
            whom it misses are looked at in turns.
        discovery_s: time between two searches for new people, seconds.
        in_step: search in step with the frames, so that the same images give the same people on
            any machine; otherwise in a thread of its own, and short of time means fewer pixels.
        budget_s: time a frame may take; beyond it, crops and searches get cheaper.
        threads: threads of one run.
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

        Searches are rare and beside the frames, and small people show only at more pixels.
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
