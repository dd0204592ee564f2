"""What any graph is to a backend: named inputs whose sizes are numbers or names, and outputs.

Which names there are and what they mean is the business of the method that owns the model file. One
name every backend knows: :data:`PEOPLE`, the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PEOPLE = "people"
"""The size along which people stand side by side: always the first axis of what has it."""

Shape = tuple[int, ...]
Example = Callable[[np.random.Generator, Shape], NDArray]
"""Plausible contents of an input: for warm-up, tests and measurements."""


def small_numbers(rng: np.random.Generator, shape: Shape) -> NDArray:
    """Normal, a tenth wide."""
    return 0.1 * rng.standard_normal(shape)


@dataclass(frozen=True)
class GraphInput:
    """One input.

    Attributes:
        shape: a number or the name of a size for each axis.
        cache: large, and kept by the caller between runs: a device uploads only the rows in use.
        example: plausible contents.
    """

    shape: tuple[int | str, ...]
    cache: bool = False
    example: Example = small_numbers

    @property
    def per_person(self) -> bool:
        """Whether it has a row for each person; otherwise all share it."""
        return self.shape[:1] == (PEOPLE,)

    def row(self) -> Shape:
        """One person's shape, of an input whose other sizes are numbers."""
        assert self.per_person
        return tuple(int(s) for s in self.shape[1:])


@dataclass(frozen=True)
class GraphSpec:
    """A graph, as its owner describes it.

    Attributes:
        path: the ONNX file.
        name: the model's name, for messages.
        inputs: name -> input, in the file's order.
        outputs: names, in the file's order; each has a row per person.
        sizes: name of a size -> what the model was made for; :data:`PEOPLE` is not among them.
        may_shrink: sizes that a run may make smaller than a compiled graph's without another one
            being compiled ahead.
    """

    path: Path
    name: str
    inputs: Mapping[str, GraphInput]
    outputs: tuple[str, ...]
    sizes: Mapping[str, int]
    may_shrink: frozenset[str] = frozenset()
    _shapes: dict[tuple[int, ...], dict[str, Shape]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @cached_property
    def caches(self) -> frozenset[str]:
        """Inputs that are caches."""
        return frozenset(n for n, i in self.inputs.items() if i.cache)

    def with_sizes(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """Every size, those of ``sizes`` instead of the model's own.

        Raises:
            KeyError: the graph has no such size.
        """
        if unknown := sorted(sizes.keys() - self.sizes.keys()):
            raise KeyError(unknown[0])
        return {**self.sizes, **sizes}

    def shapes(self, people: int, sizes: Mapping[str, int] | None = None) -> dict[str, Shape]:
        """Input -> full shape for ``people`` rows; ``sizes`` gives those that differ."""
        full = self.with_sizes(sizes or {})
        key = (people, *full.values())
        if key not in self._shapes:
            known = {PEOPLE: people, **full}
            self._shapes[key] = {
                n: tuple(known[s] if isinstance(s, str) else s for s in i.shape)
                for n, i in self.inputs.items()
            }
        return self._shapes[key]

    @cached_property
    def _where(self) -> dict[str, tuple[str, int]]:
        """Size -> the first input and axis that tell it."""
        found: dict[str, tuple[str, int]] = {}
        for name, one in self.inputs.items():
            for axis, size in enumerate(one.shape):
                if isinstance(size, str):
                    found.setdefault(size, (name, axis))
        return found

    def sizes_in(self, feeds: Mapping[str, NDArray]) -> dict[str, int]:
        """The sizes of a run, :data:`PEOPLE` among them, as the feeds have them."""
        return {s: feeds[n].shape[axis] for s, (n, axis) in self._where.items()}

    def example_feeds(
        self, people: int, sizes: Mapping[str, int] | None = None, *, seed: int = 0
    ) -> dict[str, NDArray[np.float32]]:
        """Plausible random inputs for ``people`` rows."""
        rng = np.random.default_rng(seed)
        return {
            n: np.ascontiguousarray(self.inputs[n].example(rng, shape), dtype=np.float32)
            for n, shape in self.shapes(people, sizes).items()
        }
