"""Blocks of scores in threads: every tile of queries against a block of candidates.

Each thread multiplies for itself: BLAS's own threads would meet after every block, and hold the processor while
waiting.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice
from queue import SimpleQueue
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

from engine.errors import InputError
from engine.ranks.products import TILE_CANDIDATES, TILE_QUERIES, multiply, padded
from engine.ranks.vectors import Candidates

if TYPE_CHECKING:
    from numpy.typing import NDArray

THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
_ROOMS_BYTES = 2**30  # what the scores of all threads may take

_BLAS = Lock()  # held while BLAS is told how many threads to use, which it is for the whole process
_T = TypeVar("_T")


class Tiling:
    """Queries in tiles, and the threads that multiply them; use it in a `with` statement.

    Args:
        queries: Float32 (queries, dimension).
        widest: The most candidates that a block will have.
    """

    def __init__(self, queries: NDArray[np.float32], widest: int) -> None:
        self._count, self._width = len(queries), padded(widest, TILE_CANDIDATES)
        self._queries = np.zeros((padded(self._count, TILE_QUERIES), queries.shape[1]), np.float32)
        self._queries[: self._count] = queries
        room = TILE_QUERIES * self._width
        self._threads = max(1, min(THREADS, len(self._queries) // TILE_QUERIES, _ROOMS_BYTES // (4 * room)))
        self._rooms: SimpleQueue[NDArray[np.float32]] = SimpleQueue()
        for _ in range(self._threads):
            self._rooms.put(np.empty(room, np.float32))
        self._held = ExitStack()

    def __enter__(self) -> Tiling:
        """Start the threads."""
        self._held.enter_context(_BLAS)
        self._held.enter_context(threadpool_limits(1, "blas"))
        self._pool = self._held.enter_context(ThreadPoolExecutor(self._threads))
        self._reader = self._held.enter_context(ThreadPoolExecutor(1))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the threads."""
        self._held.__exit__(kind, error, trace)

    def blocks(
        self, candidates: Candidates, span: tuple[int, int], rows: int
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Blocks of candidates, one in use while the next one is read.

        Args:
            candidates: Their vectors.
            span: First and one past last position.
            rows: How many candidates a block has at most.

        Yields:
            The first one's position, and their vectors; a block holds until the next but one is asked for.

        Raises:
            InputError: If a vector is not finite.
        """
        starts = range(*span, rows)
        rooms = [np.empty((min(rows, span[1] - span[0]), candidates.shape[1]), np.float32) for _ in starts[:2]]

        def read(number: int) -> NDArray[np.float32]:
            start = starts[number]
            block = rooms[number % 2][: min(rows, span[1] - start)]
            candidates.read(start, block)
            if not np.isfinite(block).all():
                raise InputError("ranking: the candidates' vectors hold NaN or infinite numbers; encode them again")
            return block

        coming = self._reader.submit(read, 0) if starts else None
        for number, start in enumerate(starts):
            block = coming.result() if coming else rooms[0]
            coming = self._reader.submit(read, number + 1) if number + 1 < len(starts) else None
            yield start, block

    def tiles(self) -> Iterator[tuple[int, int]]:
        """First and one past last query of every tile."""
        for first in range(0, self._count, TILE_QUERIES):
            yield first, min(first + TILE_QUERIES, self._count)

    def scores(self, first: int, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores of the tile from query `first` on with some candidates, float32 (tile's queries, at least those)."""
        whole = _whole(vectors)
        scores = np.empty((TILE_QUERIES, len(whole)), np.float32)
        multiply(self._queries[first : first + TILE_QUERIES], whole, scores)
        return scores[: self._count - first]

    def each(self, block: NDArray[np.float32], work: Callable[[NDArray[np.float32], int], _T]) -> Iterator[_T]:
        """Give every tile's scores to `work(scores, first query)`, in threads; yields what it returns, in order.

        Few results wait for a slow reader. `scores` has the tile's queries as rows, and at least the block's candidates
        as columns; what is beyond them is to be passed over.

        Args:
            block: Vectors of candidates, float32 (candidates, dimension).
            work: What to do with the scores; it may write into them.
        """
        whole = _whole(block)

        def run(first: int) -> _T:
            room = self._rooms.get()
            try:
                scores = room[: TILE_QUERIES * len(whole)].reshape(TILE_QUERIES, len(whole))
                multiply(self._queries[first : first + TILE_QUERIES], whole, scores)
                return work(scores[: self._count - first], first)
            finally:
                self._rooms.put(room)

        firsts = iter([first for first, _ in self.tiles()])
        running = deque(self._pool.submit(run, first) for first in islice(firsts, 2 * self._threads))
        while running:
            yield running.popleft().result()
            running.extend(self._pool.submit(run, first) for first in islice(firsts, 1))


def _whole(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vectors filled up with zeros to whole tiles."""
    if len(vectors) % TILE_CANDIDATES == 0:
        return vectors
    whole = np.zeros((padded(len(vectors), TILE_CANDIDATES), vectors.shape[1]), np.float32)
    whole[: len(vectors)] = vectors
    return whole
