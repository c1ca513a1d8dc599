"""Where candidates' vectors are read from: an array in memory, or files of which only the rows in use are in memory."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from engine.errors import InputError

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


class Shards:
    """Candidates whose vectors are in .npy files, which follow each other.

    A file is mapped while rows are copied from it and no longer, so that its pages do not count as this process's.

    Args:
        files: Arrays of float32 (rows, dimension) in the order of the corpus.

    Raises:
        InputError: If there is no file, or one is missing, cut short, or of another shape or type than the others.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        if not files:
            raise InputError("shards: no file of vectors is given; give at least one")
        self._files = tuple(files)
        shapes = [_mapped(file).shape for file in self._files]
        for file, shape in zip(files, shapes, strict=True):
            if len(shape) != 2 or shape[1] != shapes[0][1]:
                raise InputError(f"{file}: has shape {shape}; expected (rows, {shapes[0][-1]}), as the first shard")
        self._starts = list(accumulate((shape[0] for shape in shapes), initial=0))
        self.shape: tuple[int, ...] = (self._starts[-1], shapes[0][1])

    def read(self, start: int, out: NDArray[np.float32]) -> None:
        """Copy the rows from `start` on into `out`."""
        stop = start + len(out)
        for file, first, last in zip(self._files, self._starts, self._starts[1:], strict=False):
            low, high = max(start, first), min(stop, last)
            if low < high:
                out[low - start : high - start] = _mapped(file)[low - first : high - first]

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors of some rows."""
        taken = np.empty((len(rows), self.shape[1]), np.float32)
        for file, first, last in zip(self._files, self._starts, self._starts[1:], strict=False):
            of = (rows >= first) & (rows < last)
            if of.any():
                taken[of] = _mapped(file)[rows[of] - first]
        return taken


def _mapped(file: Path) -> NDArray[np.float32]:
    try:
        vectors: NDArray[np.float32] = np.load(file, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{file}: is no whole array of vectors ({error}); encode them again") from error
    if vectors.dtype != np.float32:
        raise InputError(f"{file}: holds {vectors.dtype}; expected float32")
    return vectors
