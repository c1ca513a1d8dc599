"""Vectors and judgements -> ranks and the first k, exactly and in one pass. The only import of faiss.

A score is an inner product in float32. The rank of a relevant passage is one plus the number of candidates that beat
it: those with a higher score, and those with an equal score and a lower position in the corpus. That is the one rule
for ties. It is counted per document language, over one block of candidates after the other, and the first k are drawn
from the same blocks, so that nothing is sorted and no score matrix is kept: memory is bounded by the block, and ranks
do not depend on how the candidates are cut into blocks and shards. Equal vectors get equal scores.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np
import polars as pl

from engine.collections.pictures import PICTURE
from engine.collections.structures import Collection
from engine.errors import InputError
from engine.progress import Progress, silent
from engine.ranks import kernels
from engine.ranks.kernels import Judgements
from engine.ranks.schema import RANKS, TOP, UNKNOWN_LANGUAGE, UNRANKED, check_frame
from engine.ranks.tiling import Tiling
from engine.ranks.vectors import Candidates, InMemory

BLOCK = 4096  # candidates
ONE_BLOCK = 2**15  # so many candidates, and fewer, are one block: their own scores are picked from it


def rank_collection(
    query_vectors: np.ndarray,
    document_vectors: np.ndarray | Candidates,
    collection: Collection,
    *,
    top_k: int = 100,
    index: str = "Flat",
    progress: Progress = silent,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rank every relevant passage at full depth, and draw the first k of the pool for every query.

    Args:
        query_vectors: Float32 (queries, dimension), rows as in `collection.queries`.
        document_vectors: Float32 (candidates, dimension), rows as in `collection.corpus`; or shards of them on disk.
        collection: Whose judgements to use.
        top_k: How many of the pool to keep for each query.
        index: FAISS index-factory string for the first k. "Flat" is exact and comes from the same pass as the ranks,
            which are exact always. Another one has all vectors in memory.
        progress: Told the candidates ranked of all candidates.

    Returns:
        A frame of schema `RANKS`, sorted by query and passage, and one of schema `TOP`, sorted by query and rank.

    Raises:
        InputError: If shapes do not fit, vectors are not finite, top_k is below 1, or FAISS does not know the index.
    """
    queries, candidates = _checked(query_vectors, document_vectors, collection)
    if top_k < 1:
        raise InputError(f"top k must be an integer >= 1, got {top_k}")
    if PICTURE in collection.document_languages and index != "Flat":
        raise InputError(f"index {index!r}: the queries of {collection.name} are candidates too; only Flat ranks them")
    size = candidates.shape[0]
    k, exact = min(top_k, size), index == "Flat"
    if exact:
        top = np.empty((len(queries), k), np.int32), np.empty((len(queries), k), np.float32)
    else:
        top = _search_others(queries, candidates.take(np.arange(size)), k, index, collection.own)
    judged = _judgements(collection)
    block = size if size <= ONE_BLOCK else BLOCK
    with Tiling(queries, block) as tiling:
        if block < size:
            _score_judged(tiling, candidates, judged, collection)
        for at, vectors in tiling.blocks(candidates, (0, size), block):
            width = len(vectors)

            def consume(scores: np.ndarray, first: int, at: int = at, width: int = width) -> None:
                _hide(scores, first, (at, at + width), collection)
                if width == size:
                    kernels.pick(scores, first, judged)
                kernels.count(scores, first, at, width, judged)
                if exact:
                    docs, best = (part[first : first + len(scores)] for part in top)
                    kernels.draw(scores, at, width, min(at, k), docs, best)

            deque(tiling.each(vectors, consume), maxlen=0)
            progress("rank", at + width, size)
    return _ranks_frame(collection, judged), _top_frame(collection, *top)


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
    queries, candidates = _checked(query_vectors, document_vectors, collection)
    size = candidates.shape[0]
    ranges = {code: collection.document_range(code) for code in collection.languages}
    spans = {None: (0, size)} | {code: span for code, span in ranges.items() if span[0] < span[1]}

    def draw(scores: np.ndarray, first: int) -> list[tuple[str | None, int, np.ndarray, np.ndarray]]:
        lists = []
        _hide(scores, first, (0, size), collection)
        for code, (low, high) in spans.items():
            shape = (len(scores), min(depth, high - low))
            docs, best = np.empty(shape, np.int32), np.empty(shape, np.float32)
            kernels.draw(np.ascontiguousarray(scores[:, low:high]), low, high - low, 0, docs, best)
            lists.append((code, first, docs, best))
        return lists

    done = 0
    with Tiling(queries, size) as tiling:
        for _, vectors in tiling.blocks(candidates, (0, size), size):
            for lists in tiling.each(vectors, draw):
                for code, first, docs, best in lists:
                    yield code, _top_frame(collection, docs, best, first)
                done += len(lists[0][2])
                progress("rank", done, len(queries))


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


def _search_others(
    queries: np.ndarray, documents: np.ndarray, k: int, index: str, own: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """`search` without each query's own document: one more is searched for, and it or the last one is left out."""
    if own is None:
        return search(queries, documents, k, index)
    docs, scores = search(queries, documents, k + 1, index)
    is_own = (docs == own[:, None]) & (own[:, None] >= 0)
    order = np.argsort(is_own, axis=1, kind="stable")[:, :k]
    docs, scores, is_own = (np.take_along_axis(part, order, 1) for part in (docs, scores, is_own))
    return np.where(is_own, -1, docs), scores


def _judgements(collection: Collection) -> Judgements:
    """The judgements laid out for counting, and room for what is counted."""
    qrels = collection.qrels
    docs = qrels.documents.astype(np.int64)
    ranges = np.array([collection.document_range(code) for code in collection.languages], np.int64).reshape(-1, 2)
    low, high = ranges[collection.document_codes[docs]].reshape(-1, 2).T.copy()
    return Judgements(
        starts=np.searchsorted(qrels.queries, np.arange(len(collection.queries) + 1)).astype(np.int64),
        docs=docs,
        low=low,
        high=high,
        scores=np.zeros(len(docs), np.float32),
        in_language=np.zeros(len(docs), np.int32),
        in_pool=np.zeros(len(docs), np.int32),
    )


def _with_absent(ranks: pl.DataFrame, collection: Collection) -> pl.DataFrame:
    """Add a row for every relevant document that is not in the corpus, behind its query's other rows."""
    absent = np.zeros(0, np.int64) if collection.absent is None else collection.absent
    rows = np.repeat(np.arange(len(absent)), absent)
    known = collection.document_languages
    frame = pl.DataFrame(
        {
            "question": pl.Series(collection.queries.questions)[rows],
            "query_lang": pl.Series(collection.languages, dtype=pl.String)[collection.query_codes[rows]],
        }
    ).with_columns(
        doc_lang=pl.lit(known[0] if len(known) == 1 else UNKNOWN_LANGUAGE),
        doc=pl.lit(-1, pl.Int32),
        rank_in_language=pl.lit(UNRANKED, pl.Int32),
        rank_in_pool=pl.lit(UNRANKED, pl.Int32),
        score=pl.lit(float("nan"), pl.Float32),
    )
    order = np.argsort(np.concatenate([collection.qrels.queries, rows]), kind="stable")
    return pl.concat([ranks, check_frame(frame, RANKS, "ranks")])[order]


def _score_judged(tiling: Tiling, candidates: Candidates, judged: Judgements, collection: Collection) -> None:
    """Compute the relevant passages' own scores ahead, tile by tile of the queries."""
    for first, last in tiling.tiles():
        rows = slice(judged.starts[first], judged.starts[last])
        docs, columns = np.unique(judged.docs[rows], return_inverse=True)
        of = np.repeat(np.arange(last - first), np.diff(judged.starts[first : last + 1]))
        for start in range(0, len(docs), BLOCK):
            scores = tiling.scores(first, candidates.take(docs[start : start + BLOCK]))
            here = (columns >= start) & (columns < start + BLOCK)
            judged.scores[rows][here] = scores[of[here], columns[here] - start]
    queries, (low, high) = collection.qrels.queries, collection.document_range(PICTURE)
    if collection.own is not None:
        start, end = collection.query_range(PICTURE)
        pictures = (queries >= start) & (queries < end) & (judged.docs >= low) & (judged.docs < high)
        judged.scores[pictures | (collection.own[queries] == judged.docs)] = -np.inf


def _ranks_frame(collection: Collection, judged: Judgements) -> pl.DataFrame:
    languages = pl.Series(collection.languages, dtype=pl.String)
    rows = collection.qrels.queries
    frame = pl.DataFrame(
        {
            "question": pl.Series(collection.queries.questions)[rows],
            "query_lang": languages[collection.query_codes[rows]],
            "doc_lang": languages[collection.document_codes[judged.docs]],
            "doc": judged.docs.astype(np.int32),
            "rank_in_language": 1 + judged.in_language,
            "rank_in_pool": 1 + judged.in_pool,
            "score": judged.scores,
        }
    )
    frame = check_frame(frame, RANKS, "ranks")
    return frame if collection.absent is None else _with_absent(frame, collection)


def _hide(scores: np.ndarray, first: int, span: tuple[int, int], collection: Collection) -> None:
    """Take out of a block of scores what its queries never retrieve: themselves, and pictures other pictures."""
    if collection.own is None:
        return
    at, stop = span
    own = collection.own[first : first + len(scores)]
    rows = np.flatnonzero((own >= at) & (own < stop))
    scores[rows, own[rows] - at] = -np.inf
    (low, high), (start, end) = collection.document_range(PICTURE), collection.query_range(PICTURE)
    columns = slice(max(low - at, 0), max(min(high, stop) - at, 0))
    scores[max(start - first, 0) : max(end - first, 0), columns] = -np.inf


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


def _checked(
    query_vectors: np.ndarray, document_vectors: np.ndarray | Candidates, collection: Collection
) -> tuple[np.ndarray, Candidates]:
    """The queries' vectors as float32, and where the candidates' are read from; those are checked while they are read.

    Raises:
        InputError: If shapes do not fit, or a query's vector is not finite.
    """
    for vectors, rows, what in (
        (query_vectors, len(collection.queries), "queries"),
        (document_vectors, len(collection.corpus), "candidates"),
    ):
        if len(vectors.shape) != 2 or vectors.shape[0] != rows:
            raise InputError(f"ranking: {what} have vectors of shape {vectors.shape}; expected are {rows} rows")
    if query_vectors.shape[1] != document_vectors.shape[1]:
        sizes = query_vectors.shape[1], document_vectors.shape[1]
        raise InputError(f"ranking: queries have {sizes[0]} dimensions, candidates {sizes[1]}")
    if not np.isfinite(query_vectors).all():
        raise InputError("ranking: the queries' vectors hold NaN or infinite numbers; encode them again")
    candidates = InMemory(document_vectors) if isinstance(document_vectors, np.ndarray) else document_vectors
    return np.ascontiguousarray(query_vectors, np.float32), candidates
