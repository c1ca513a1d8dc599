"""Ranks -> what happens when relevant passages are taken out of the pool: LAReQA's two probes (arXiv 2004.05484).

Both follow from ranks alone: taking out a passage moves those behind it up by one.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from engine.bias.axes import places
from engine.ranks.schema import in_corpus

_QUERY = ["question", "query_lang"]
_OWN = pl.col("doc_lang") == pl.col("query_lang")


def one_target_ranks(ranks: pl.DataFrame) -> pl.DataFrame:
    """Pool rank of every relevant passage, had it been the only one: the others are taken out of the pool.

    Args:
        ranks: Frame of schema `RANKS`.

    Returns:
        `question`, `query_lang`, `doc_lang`, `rank`; sorted by query and rank in the pool.
    """
    before = pl.int_range(pl.len(), dtype=pl.Int32).over(_QUERY)
    return (
        in_corpus(ranks)
        .sort("query_lang", "question", "rank_in_pool")
        .select(*_QUERY, "doc_lang", rank=pl.col("rank_in_pool") - before)
    )


def one_target(ranks: pl.DataFrame) -> pl.DataFrame:
    """Mean reciprocal rank with one relevant passage in the pool, for every query and document language.

    Args:
        ranks: Frame of schema `RANKS`.

    Returns:
        `query_lang`, `doc_lang`, `queries`, `mrr`, `hit@1`; sorted.
    """
    rank = pl.col("rank")
    return (
        one_target_ranks(ranks)
        .group_by("query_lang", "doc_lang")
        .agg(
            pl.col("question").n_unique().cast(pl.Int64).alias("queries"),
            (1 / rank).mean().alias("mrr"),
            (rank == 1).mean().alias("hit@1"),
        )
        .sort("query_lang", "doc_lang")
    )


def one_target_gaps(ranks: pl.DataFrame) -> pl.DataFrame:
    """Reciprocal rank of the lone passage in the query's language, minus the mean of those in other languages.

    Several relevant passages in one language count as their mean. A query needs one in its own language and another.

    Returns:
        `question`, `query_lang`, `value`, `random` (0: relevant passages are exchangeable); sorted.
    """
    reciprocal = pl.col("reciprocal")
    return (
        one_target_ranks(ranks)
        .group_by(*_QUERY, "doc_lang", maintain_order=True)  # sums of floats depend on their order
        .agg(reciprocal=(1 / pl.col("rank")).mean())
        .group_by(_QUERY)
        .agg(value=reciprocal.filter(_OWN).mean() - reciprocal.filter(~_OWN).mean())
        .drop_nulls("value")
        .with_columns(random=pl.lit(0.0))
        .sort("query_lang", "question")
    )


def removals(ranks: pl.DataFrame, pool: int) -> pl.DataFrame:
    """Average precision in the pool when the relevant passages of one language are taken out.

    Args:
        ranks: Frame of schema `RANKS`.
        pool: Candidates in the pool.

    Returns:
        `question`, `query_lang`, `map` (nothing taken out), `without_own` (the query's language), `without_other` (mean
        over the other languages, one at a time), `random` (what a random ranking expects of `without_other` minus
        `without_own`); sorted. A query needs relevant passages in its own language and another.
    """
    rows = in_corpus(ranks).sort("query_lang", "question", "rank_in_pool")
    queries = rows.group_by("query_lang", "question", maintain_order=True).agg(
        codes=pl.len(), own=_OWN.any(), languages=pl.col("doc_lang").n_unique()
    )
    sizes = queries["codes"].to_numpy().astype(np.int64)
    place = np.repeat(np.arange(len(sizes)), sizes), np.arange(sizes.sum()) - np.repeat(sizes.cumsum() - sizes, sizes)
    shape = len(sizes), int(sizes.max()) if len(sizes) else 0
    rank, language = np.ones(shape), np.full(shape, -1)
    names = pl.concat([rows["doc_lang"], rows["query_lang"]]).unique().sort()
    rank[place] = rows["rank_in_pool"]
    language[place] = places(rows["doc_lang"], names)
    own = places(queries["query_lang"], names)
    whole = _precision(rank, language, np.zeros(shape, bool), pool)[0]
    without_own, expected_own = _precision(rank, language, language == own[:, None], pool)
    others, chance, counted = (np.zeros(len(sizes)) for _ in range(3))
    for code in range(len(names)):
        removed = language == code
        used = removed.any(axis=1) & (own != code)
        precision, by_chance = _precision(rank, language, removed, pool)
        others[used] += precision[used]
        chance[used] += (by_chance - expected_own)[used]
        counted[used] += 1
    with np.errstate(invalid="ignore", divide="ignore"):
        others, chance = others / counted, chance / counted
    found = {"map": whole, "without_own": without_own, "without_other": others, "random": chance}
    kept = queries["own"] & (queries["languages"] > 1)
    return queries.select(*_QUERY).with_columns(pl.Series(name, one) for name, one in found.items()).filter(kept)


def _precision(rank: np.ndarray, language: np.ndarray, removed: np.ndarray, pool: int) -> tuple[np.ndarray, np.ndarray]:
    """Average precision without the removed passages, and what a random ranking expects of it; NaN if none is left.

    A random order of N with R relevant ones has the expected average precision
    1 / N sum over i from 1 to N of (1 + (i - 1)(R - 1) / (N - 1)) / i = (R - 1) / (N - 1) (1 - H_N / N) + H_N / N,
    since place i is relevant with chance R / N, and then (i - 1)(R - 1) / (N - 1) of those before it are too.

    Args:
        rank: Pool ranks, float64 (queries, most relevant), ascending.
        language: Codes of the same shape, -1 where a query has no more.
        removed: Which are taken out, bool of the same shape.
        pool: Candidates in the pool before any is taken out.
    """
    kept = (language >= 0) & ~removed
    before = removed.cumsum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(kept, kept.cumsum(axis=1) / (rank - before), 0.0).sum(axis=1) / kept.sum(axis=1)
    n, relevant = pool - removed.sum(axis=1), kept.sum(axis=1)
    harmonic = np.concatenate([[0.0], (1 / np.arange(1, pool + 1)).cumsum()])[n] / np.maximum(n, 1)
    chance = (relevant - 1) / np.maximum(n - 1, 1) * (1 - harmonic) + harmonic
    return precision, np.where(relevant > 0, chance, np.nan)


def own_removals(ranks: pl.DataFrame, pool: int) -> pl.DataFrame:
    """How much more average precision is lost with the own language's passages than with another language's.

    Returns:
        `question`, `query_lang`, `value`, `random`; sorted.
    """
    value = pl.col("without_other") - pl.col("without_own")
    return (
        removals(ranks, pool)
        .select("question", "query_lang", "random", value=value)
        .select("question", "query_lang", "value", "random")
    )
