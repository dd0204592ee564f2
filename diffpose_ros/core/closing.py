"""What is opened in a ``with`` block, and told at its end whether the block ended well."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self


class Closing(ABC):
    """A context manager whose end is one method, :meth:`leave`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.leave(kind is None)

    @abstractmethod
    def leave(self, well: bool) -> None:
        """End the work; ``well`` is false after an error."""
