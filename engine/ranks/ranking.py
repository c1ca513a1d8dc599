"""Vectors and judgements -> ranks and the first k, exactly and in one pass. The only import of faiss.

A block of scores is a matrix product in float32. The rank of a relevant passage is one plus the number of candidates
that beat it: those with a higher score, and those with an equal score and a lower position in the corpus. That is the
one rule for ties. It is counted per document language and never sorted, and the first k are drawn from the same
block, so that no score matrix is kept and memory is bounded by the block. Equal vectors get equal scores.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from itertools import islice
from queue import SimpleQueue
from threading import Lock
from typing import TypeVar

import numba
import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from engine.collections.pictures import PICTURE
from engine.collections.structures import Collection
from engine.errors import InputError
from engine.progress import Progress, silent
from engine.ranks.schema import RANKS, TOP, check_frame

BLOCK_QUERIES = 256  # of a thread
_BLOCKS_BYTES = 2**30  # what the blocks of all threads may take
_GROUPS = 512  # of candidates, whose maxima bound the k-th score when the first k are drawn
_HALVINGS = 10  # of the range in which that bound is looked for
_STRETCH = 64  # candidates that are looked at together when the first k are drawn

_T = TypeVar("_T")
_BLAS = Lock()  # held while BLAS is told how many threads to use, which it is for the whole process
_THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def rank_collection(
    query_vectors: np.ndarray,
    document_vectors: np.ndarray,
    collection: Collection,
    *,
    top_k: int = 100,
    index: str = "Flat",
    progress: Progress = silent,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rank every relevant passage at full depth, and draw the first k of the pool for every query.

    Args:
        query_vectors: Float32 (queries, dimension), rows as in `collection.queries`.
        document_vectors: Float32 (candidates, dimension), rows as in `collection.corpus`.
        collection: Whose judgements to use.
        top_k: How many of the pool to keep for each query.
        index: FAISS index-factory string for the first k. "Flat" is exact and comes from the same pass as the ranks,
            which are exact always.
        progress: Told the queries ranked of all queries.

    Returns:
        A frame of schema `RANKS`, sorted by query and passage, and one of schema `TOP`, sorted by query and rank.

    Raises:
        InputError: If shapes do not fit, vectors are not finite, top_k is below 1, or FAISS does not know the index.
    """
    queries = _checked(query_vectors, len(collection.queries), "queries")
    documents = _checked(document_vectors, len(collection.corpus), "candidates")
    if queries.shape[1] != documents.shape[1]:
        raise InputError(f"ranking: queries have {queries.shape[1]} dimensions, candidates {documents.shape[1]}")
    if top_k < 1:
        raise InputError(f"top k: {top_k} came, a whole number from 1 is allowed")
    if collection.own is not None and index != "Flat":
        raise InputError(f"index {index!r}: the queries of {collection.name} are candidates too; only Flat ranks them")
    k = min(top_k, len(documents))
    judged = _Judged(collection)
    shape, exact = (len(queries), k), index == "Flat"
    top = (np.empty(shape, np.int32), np.empty(shape, np.float32)) if exact else search(queries, documents, k, index)

    def consume(scores: np.ndarray, first: int) -> None:
        _hide(scores, first, collection)
        _count(scores, first, judged.starts, judged.docs, judged.low, judged.high, judged.results)
        if exact:
            _draw(scores, *(part[first : first + len(scores)] for part in top))

    deque(_each_block(queries, documents, consume, progress), maxlen=0)
    return judged.frame(), _top_frame(collection, *top)


def ranked_lists(
    query_vectors: np.ndarray,
    document_vectors: np.ndarray,
    collection: Collection,
    depth: int,
    progress: Progress = silent,
) -> Iterator[tuple[str | None, pl.DataFrame]]:
    """The first passages of the pool and of every document language, for each query, a block of queries at a time.

    Args:
        query_vectors: Float32 (queries, dimension), rows as in `collection.queries`.
        document_vectors: Float32 (candidates, dimension), rows as in `collection.corpus`.
        collection: Whose candidates to rank.
        depth: How long a list is at most, >= 1.
        progress: Told the queries ranked of all queries.

    Yields:
        A document language, or None for the pool; and a frame of schema `TOP` for a block of queries, sorted by query
        and rank. `rank` counts within the language, or within the pool.

    Raises:
        InputError: If shapes do not fit, or vectors are not finite.
    """
    queries = _checked(query_vectors, len(collection.queries), "queries")
    documents = _checked(document_vectors, len(collection.corpus), "candidates")
    ranges = {code: collection.document_range(code) for code in collection.languages}
    spans = {None: (0, len(documents))} | {code: span for code, span in ranges.items() if span[0] < span[1]}

    def draw(scores: np.ndarray, first: int) -> list[tuple[str | None, int, np.ndarray, np.ndarray]]:
        lists = []
        _hide(scores, first, collection)
        for code, (low, high) in spans.items():
            shape = (len(scores), min(depth, high - low))
            docs, best = np.empty(shape, np.int32), np.empty(shape, np.float32)
            _draw(np.ascontiguousarray(scores[:, low:high]), docs, best)
            lists.append((code, first, docs + np.int32(low), best))
        return lists

    for block in _each_block(queries, documents, draw, progress):
        for code, first, docs, best in block:
            yield code, _top_frame(collection, docs, best, first)


def search(
    query_vectors: np.ndarray, document_vectors: np.ndarray, k: int, index: str = "Flat"
) -> tuple[np.ndarray, np.ndarray]:
    """Find the k nearest documents by inner product with FAISS.

    Args:
        query_vectors: Float32 (queries, dimension).
        document_vectors: Float32 (candidates, dimension).
        k: How many.
        index: FAISS index-factory string; "Flat" is exact, "IVF256,Flat" or "HNSW32" serve large corpora.

    Returns:
        Positions, int32 (queries, k), -1 where an approximate index found fewer; and scores, float32 (queries, k);
        best first, equal scores by position.

    Raises:
        InputError: If FAISS does not know the index.
    """
    import faiss

    try:
        built = faiss.index_factory(document_vectors.shape[1], index, faiss.METRIC_INNER_PRODUCT)
        built.train(document_vectors)
    except RuntimeError as error:
        line = str(error).strip().splitlines()[-1]
        raise InputError(
            f"index {index!r}: FAISS cannot build it ({line}); 'Flat' is exact and always works"
        ) from error
    built.add(document_vectors)
    scores, docs = built.search(query_vectors, k)
    order = np.lexsort((docs, -scores), axis=1)
    return np.take_along_axis(docs, order, 1).astype(np.int32), np.take_along_axis(scores, order, 1)


class _Judged:
    """The judgements laid out for counting, and room for what is counted."""

    def __init__(self, collection: Collection) -> None:
        qrels = collection.qrels
        self.collection = collection
        self.starts = np.searchsorted(qrels.queries, np.arange(len(collection.queries) + 1)).astype(np.int64)
        self.docs = qrels.documents.astype(np.int64)
        ranges = np.array([collection.document_range(code) for code in collection.languages], np.int64).reshape(-1, 2)
        self.codes = collection.document_codes[self.docs]
        self.low, self.high = ranges[self.codes, 0].copy(), ranges[self.codes, 1].copy()
        self.results = tuple(np.zeros(len(qrels), kind) for kind in (np.int32, np.int32, np.float32))

    def frame(self) -> pl.DataFrame:
        in_language, in_pool, scores = self.results
        languages = pl.Series(self.collection.languages, dtype=pl.String)
        rows = self.collection.qrels.queries
        frame = pl.DataFrame(
            {
                "question": pl.Series(self.collection.queries.questions)[rows],
                "query_lang": languages[self.collection.query_codes[rows]],
                "doc_lang": languages[self.codes],
                "doc": self.docs.astype(np.int32),
                "rank_in_language": in_language,
                "rank_in_pool": in_pool,
                "score": scores,
            }
        )
        return check_frame(frame, RANKS, "ranks")


def _hide(scores: np.ndarray, first: int, collection: Collection) -> None:
    """Take out of a block of scores what its queries never retrieve: themselves, and pictures other pictures."""
    if collection.own is None:
        return
    own = collection.own[first : first + len(scores)]
    rows = np.flatnonzero(own >= 0)
    scores[rows, own[rows]] = -np.inf
    (low, high), (start, end) = collection.document_range(PICTURE), collection.query_range(PICTURE)
    scores[max(start - first, 0) : max(end - first, 0), low:high] = -np.inf


def _top_frame(collection: Collection, docs: np.ndarray, scores: np.ndarray, first: int = 0) -> pl.DataFrame:
    """Frame of schema `TOP` for the queries from row `first` on; `docs` and `scores` are (queries, k)."""
    count, k = docs.shape
    rows, flat = np.repeat(np.arange(first, first + count), k), docs.reshape(-1)
    found = (flat >= 0) & (scores.reshape(-1) > -np.inf)
    rows, flat, codes = rows[found], flat[found], collection.document_codes
    languages = pl.Series(collection.languages, dtype=pl.String)
    frame = pl.DataFrame(
        {
            "question": pl.Series(collection.queries.questions)[rows],
            "query_lang": languages[collection.query_codes[rows]],
            "rank": np.tile(np.arange(1, k + 1, dtype=np.int32), count)[found],
            "doc": flat,
            "doc_lang": languages[codes[flat]],
            "score": scores.reshape(-1)[found],
        }
    )
    return check_frame(frame, TOP, "top")


def _checked(vectors: np.ndarray, rows: int, what: str) -> np.ndarray:
    if vectors.ndim != 2 or len(vectors) != rows:
        raise InputError(f"ranking: {what} have vectors of shape {vectors.shape}; expected are {rows} rows")
    if not np.isfinite(vectors).all():
        raise InputError(f"ranking: the {what}' vectors hold NaN or infinite numbers; encode them again")
    return np.ascontiguousarray(vectors, np.float32)


def _each_block(
    queries: np.ndarray, documents: np.ndarray, work: Callable[[np.ndarray, int], _T], progress: Progress
) -> Iterator[_T]:
    """Give blocks of scores to `work(scores, first query)`, in threads; yields what it returns, in order.

    Each multiplies for itself: BLAS's own threads would meet after every block, and hold the processor while waiting.
    Few results wait for a slow reader.
    """
    threads = min(_THREADS, len(queries))
    rows = max(1, min(BLOCK_QUERIES, len(queries), _BLOCKS_BYTES // (4 * len(documents) * threads)))
    rooms: SimpleQueue[np.ndarray] = SimpleQueue()
    for _ in range(threads):
        rooms.put(np.empty((rows, len(documents)), np.float32))
    turned = documents.T
    copies, firsts = _repeated(documents)

    def run(first: int) -> _T:
        block, room = queries[first : first + rows], rooms.get()
        try:
            scores = np.matmul(block, turned, out=room[: len(block)])
            scores[:, copies] = scores[:, firsts]
            return work(scores, first)
        finally:
            rooms.put(room)

    firsts_left, done = iter(range(0, len(queries), rows)), 0
    with _BLAS, threadpool_limits(1, "blas"), ThreadPoolExecutor(threads) as pool:
        running = deque(pool.submit(run, first) for first in islice(firsts_left, 2 * threads))
        while running:
            yield running.popleft().result()
            running.extend(pool.submit(run, first) for first in islice(firsts_left, 1))
            done = min(done + rows, len(queries))
            progress("rank", done, len(queries))


def _repeated(documents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows that repeat an earlier one, and the first row equal to each: a product rounds by where a column stands."""
    _, value, count = np.unique(documents[:, 0], return_inverse=True, return_counts=True)
    rows = np.flatnonzero(count[value] > 1)  # equal in one number at least, which few are
    seen: dict[bytes, int] = {}
    firsts = np.array([seen.setdefault(blake2b(documents[row]).digest(), row) for row in rows], np.int64)
    return rows[firsts != rows], firsts[firsts != rows]


@numba.njit(nogil=True, cache=True, inline="always")
def _at_least(scores: np.ndarray, threshold: np.float32) -> int:
    count = np.int32(0)
    for i in range(scores.size):
        count += np.int32(scores[i] >= threshold)
    return count


@numba.njit(nogil=True, cache=True, inline="always")
def _above(scores: np.ndarray, threshold: np.float32) -> int:
    count = np.int32(0)
    for i in range(scores.size):
        count += np.int32(scores[i] > threshold)
    return count


@numba.njit(nogil=True, cache=True)
def _count(
    scores: np.ndarray,
    first: int,
    starts: np.ndarray,
    docs: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    results: tuple[np.ndarray, ...],
) -> None:
    """Ranks of the relevant passages of queries first, first + 1, ...: judgements starts[q] to starts[q + 1].

    A candidate before the passage beats it with an equal score, one after it only with a higher one. The
    passage's language stands at positions low to high.
    """
    in_language, in_pool, kept = results
    for row in range(scores.shape[0]):
        line = scores[row]
        for i in range(starts[first + row], starts[first + row + 1]):
            doc, a, b = docs[i], low[i], high[i]
            score = line[doc]
            own = _at_least(line[a:doc], score) + _above(line[doc + 1 : b], score)
            in_language[i] = 1 + own
            in_pool[i] = 1 + _at_least(line[:a], score) + own + _above(line[b:], score)
            kept[i] = score


@numba.njit(nogil=True, cache=True)
def _draw(scores: np.ndarray, top_docs: np.ndarray, top_scores: np.ndarray) -> None:
    """The first k of each row, best first, equal scores by position.

    Only what reaches a lower bound of the k-th score is sorted: few candidates, so it is looked for by the stretch.
    """
    k = top_docs.shape[1]
    kept = np.empty(scores.shape[1], np.int32)
    for row in range(scores.shape[0]):
        line = scores[row]
        bound = _bound_of_kth(line, k)
        count = 0
        for start in range(0, line.size, _STRETCH):
            stretch = line[start : start + _STRETCH]
            if _at_least(stretch, bound):
                for i in range(stretch.size):
                    if stretch[i] >= bound:
                        kept[count] = start + i
                        count += 1
        found = line[kept[:count]]
        order = np.argsort(-found, kind="mergesort")[:k]
        for place in range(k):
            top_docs[row, place] = kept[order[place]]
            top_scores[row, place] = found[order[place]]


@numba.njit(nogil=True, cache=True)
def _bound_of_kth(line: np.ndarray, k: int) -> np.float32:
    """A lower bound of the k-th largest score, near the k-th largest of the maxima of groups of candidates."""
    if k > _GROUPS or line.size < _GROUPS:
        return np.float32(-np.inf)
    maxima = line[:_GROUPS].copy()
    for start in range(_GROUPS, line.size - _GROUPS + 1, _GROUPS):
        more = line[start : start + _GROUPS]
        for i in range(_GROUPS):
            maxima[i] = max(maxima[i], more[i])
    low, high = maxima.min(), maxima.max()
    for _ in range(_HALVINGS):
        middle = (low + high) / np.float32(2)
        low, high = (middle, high) if _at_least(maxima, middle) >= k else (low, middle)
    return low
