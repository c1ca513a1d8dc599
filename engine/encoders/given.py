"""Vectors that a collection brings along, as an encoder's own, read from their files when they are needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engine.encoders.encoder import unit_length
from engine.encoders.maps import Map
from engine.storage.shards import Shards

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLE = 16
"""Captions that are encoded to see whose vectors they are."""

ALIKE = 0.99
"""Least median cosine of given vectors and the encoder's own: half precision, as on a GPU, stays above 0.999."""


class GivenRows:
    """Vectors by row of a collection's part, of unit length.

    Args:
        vectors: Where they are.
        rows: The row there of each row here, int64 (rows,).
        lead: What leads from them to the encoder's own.
    """

    def __init__(self, vectors: Shards, rows: np.ndarray, lead: Map) -> None:
        self._vectors, self.rows, self._lead = vectors, rows, lead
        self.shape: tuple[int, ...] = (len(rows), lead(np.zeros((1, vectors.shape[1]), np.float32)).shape[1])

    def of(self, rows: np.ndarray) -> NDArray[np.float32]:
        """The vectors in some rows of the files, float32 (rows, dimension)."""
        return self._lead(unit_length(self._vectors.take(rows)))

    def take(self, rows: np.ndarray) -> NDArray[np.float32]:
        """The vectors of some rows here, float32 (rows, dimension)."""
        return self.of(self.rows[rows])
