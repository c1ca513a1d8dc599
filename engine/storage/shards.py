"""Vectors in files of which only the rows in use are in memory."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import InputError
from engine.storage.files import check_regular

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Shards:
    """Vectors in .npy files, which follow each other.

    A file is mapped while rows are copied from it and no longer, so that its pages do not count as this process's.

    Args:
        files: Arrays of float16 or float32 (rows, dimension) in the order of the rows.

    Raises:
        InputError: If there is no file, or one is missing, cut short, of another type, or of another width than the
            first.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        if not files:
            raise InputError("shards: no file of vectors is given; give at least one")
        self._files = tuple(files)
        shapes = [_mapped(file).shape for file in self._files]
        for file, shape in zip(files, shapes, strict=True):
            if len(shape) != 2 or shape[1:] != shapes[0][1:]:
                expected = f"(rows, {shapes[0][1]}), as the first shard" if len(shapes[0]) == 2 else "(rows, dimension)"
                raise InputError(f"{file}: has shape {shape}; expected {expected}")
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


def _mapped(file: Path) -> NDArray[np.floating]:
    try:
        vectors: NDArray[np.floating] = np.load(check_regular(file), mmap_mode="r")
    except (OSError, ValueError, EOFError, SyntaxError) as error:  # a damaged header may be no literal
        reason = " ".join(str(error).split())
        raise InputError(f"{file}: is no whole array of vectors ({reason}); encode them again") from error
    if vectors.dtype not in (np.float16, np.float32):
        raise InputError(f"{file}: holds {vectors.dtype}; expected float32 or float16")
    return vectors
