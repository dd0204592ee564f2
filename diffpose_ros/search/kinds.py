"""Kinds of vectors: what poses are compared by. Those of two kinds, or of two models, cannot be."""

from __future__ import annotations

from dataclasses import dataclass

from diffpose_ros.core import H36M17, ConfigError, InputError
from diffpose_ros.search.vectors import SIZE


@dataclass(frozen=True)
class Kind:
    """What the numbers of a vector are.

    Attributes:
        name: of the kind, e.g. ``lifted_pose``.
        size: numbers of a vector.
        model: what made them, where a model did: its name and a digest of its file. Empty: none did.
        joint_set: of the skeletons they were made from.
        metric: ``metres``: joints of a body of average size; ``cosine``: an embedding of length 1.
    """

    name: str
    size: int
    model: str = ""
    joint_set: str = H36M17.name
    metric: str = "metres"

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise ConfigError(f"metric: expected one of {', '.join(METRICS)}, got '{self.metric}'")
        if self.size < 1:
            raise ConfigError(f"kind {self.name}: expected vectors of 1 number or more, got {self.size}")

    def to_json(self) -> dict[str, object]:
        """What files keep of it."""
        return {
            "kind": self.name, "size": self.size, "model": self.model, "joint_set": self.joint_set,
            "metric": self.metric,
        }  # fmt: skip


METRICS = ("metres", "cosine")
LIFTED_POSE = Kind("lifted_pose", SIZE)
"""The pose itself, see :mod:`diffpose_ros.search.vectors`."""


def kind_from_json(content: object, where: str) -> Kind:
    """The kind that a file names.

    Raises:
        InputError: the file does not say it as :meth:`Kind.to_json` does.
    """
    wanted: dict[str, type] = {"kind": str, "size": int, "model": str, "joint_set": str, "metric": str}
    if not isinstance(content, dict) or any(type(content.get(n)) is not t for n, t in wanted.items()):
        raise InputError(f"{where}: expected {', '.join(wanted)} to say what its vectors are")
    try:
        return Kind(
            content["kind"], content["size"], content["model"], content["joint_set"], content["metric"]
        )
    except ConfigError as error:
        raise InputError(f"{where}: {error}") from None


def check_same(there: Kind, wanted: Kind, where: str) -> None:
    """Refuse vectors that cannot be compared.

    Raises:
        InputError: the kind, its model, size or joint set is another.
    """
    for what, a, b in (
        ("kind", there.name, wanted.name),
        ("joint set", there.joint_set, wanted.joint_set),
        ("model", there.model or "none", wanted.model or "none"),
        ("size of a vector", there.size, wanted.size),
        ("metric", there.metric, wanted.metric),
    ):
        if a != b:
            raise InputError(f"{where}: its vectors are of another {what}: expected {b}, got {a}")
