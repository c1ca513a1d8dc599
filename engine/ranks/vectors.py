"""Where candidates' vectors are read from: an array in memory, or what else can be read row by row.

`engine.storage.shards.Shards` reads them from files of which only the rows in use are in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Candidates(Protocol):
    """Vectors of candidates, float32 (candidates, dimension), by position in the corpus."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Candidates and dimensions."""

    def read(self, start: int, out: NDArray[np.float32]) -> None:
        """Copy the rows from `start` on into `out`, (rows, dimension)."""

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors of some rows, float32 (rows, dimension)."""


class InMemory:
    """Candidates whose vectors are an array.

    Args:
        vectors: Numbers (candidates, dimension).
    """

    def __init__(self, vectors: NDArray[np.floating]) -> None:
        self._vectors = np.ascontiguousarray(vectors, np.float32)
        self.shape: tuple[int, ...] = self._vectors.shape

    def read(self, start: int, out: NDArray[np.float32]) -> None:
        """Copy the rows from `start` on into `out`."""
        out[:] = self._vectors[start : start + len(out)]

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors of some rows."""
        return self._vectors[rows]
