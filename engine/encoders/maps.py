"""What leads from stored vectors to others, row by row: a head, a truncation, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Map = Callable[["NDArray[np.float32]"], "NDArray[np.float32]"]
"""What leads from vectors to other vectors, row by row."""

MAPPED_ROWS = 2**15
"""Rows of a block in `in_blocks`."""


def unchanged(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vectors as they are."""
    return vectors


def one_after_other(first: Map, then: Map, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """What two maps make of vectors."""
    return then(first(vectors))


def in_blocks(lead: Map, vectors: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """What a map makes of vectors, block by block.

    The blocks are always the same, for the rounding of a product depends on its shape.

    Args:
        lead: The map.
        vectors: Float32 (rows, dimension); may be mapped from a file.

    Yields:
        Float32 (at most `MAPPED_ROWS`, dimension); one block at least.
    """
    for start in range(0, max(len(vectors), 1), MAPPED_ROWS):
        yield lead(vectors[start : start + MAPPED_ROWS])
