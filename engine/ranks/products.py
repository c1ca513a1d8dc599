"""Scores as products of tiles of one shape, so that a score does not depend on what it is computed together with.

How a matrix product rounds depends on its shape and, in the rests at its edges, on where a number stands. With full
tiles of one shape every number is summed alike, whatever the blocks, shards and threads; that is checked once for each
dimension, and where a BLAS does not hold to it, a slower product that sums in order takes its place.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from engine.ranks.kernels import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

TILE_QUERIES = 256
TILE_CANDIDATES = 512
_CHECKS = 3  # with vectors by chance: another order of summing shows in nearly each of them


def padded(rows: int, tile: int) -> int:
    """The least multiple of a tile's rows that holds so many."""
    return -(-rows // tile) * tile


def multiply(queries: NDArray[np.float32], candidates: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Inner products of one tile of queries with tiles of candidates.

    Args:
        queries: (TILE_QUERIES, dimension).
        candidates: (a multiple of TILE_CANDIDATES, dimension).
        out: (TILE_QUERIES, candidates), written.
    """
    product = np.matmul if is_regular(queries.shape[1]) else in_order
    for start in range(0, len(candidates), TILE_CANDIDATES):
        stop = start + TILE_CANDIDATES
        product(queries, candidates[start:stop].T, out[:, start:stop])


@cache
def is_regular(dimension: int) -> bool:
    """Whether a full tile's product is the same number wherever two vectors stand in it."""
    rng = np.random.default_rng(0)
    for _ in range(_CHECKS):
        query, candidate = rng.standard_normal((2, dimension)).astype(np.float32)
        tile = np.tile(query, (TILE_QUERIES, 1)) @ np.tile(candidate, (TILE_CANDIDATES, 1)).T
        if (tile != tile[0, 0]).any():
            return False
    return True


@compiled
def in_order(queries: NDArray[np.float32], turned: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """The product of queries (rows, dimension) and candidates (dimension, columns), each sum from first to last."""
    for row in range(queries.shape[0]):
        for column in range(turned.shape[1]):
            total = np.float32(0)
            for i in range(queries.shape[1]):
                total += queries[row, i] * turned[i, column]
            out[row, column] = total
