"""Ranks and top-k -> does the query's own language come first? Advantage of its passage, its share of the first k."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from engine.errors import InputError
from engine.ranks.schema import TOP, check_frame, in_corpus

_OWN = pl.col("doc_lang") == pl.col("query_lang")


def pool_ranks(ranks: pl.DataFrame) -> pl.DataFrame:
    """Where the relevant passages of each language stand in the pool.

    Returns:
        One row per query and document language: `query_lang`, `doc_lang`, `queries`, `mean_rank`, `median_rank`,
        `mean_log2_rank` (mean of log2 of the rank, so that one far outlier does not rule); sorted.
    """
    rank = pl.col("rank_in_pool")
    return (
        in_corpus(ranks)
        .group_by("query_lang", "doc_lang")
        .agg(
            queries=pl.col("question").n_unique().cast(pl.Int64),
            mean_rank=rank.mean(),
            median_rank=rank.median(),
            mean_log2_rank=rank.log(2).mean(),
        )
        .sort("query_lang", "doc_lang")
    )


def pool_rank_quantiles(ranks: pl.DataFrame) -> pl.DataFrame:
    """Spread of the pool ranks of the relevant passages of each language.

    Args:
        ranks: `query_lang`, `doc_lang` and `rank_in_pool` of schema `RANKS`.

    Returns:
        One row per query and document language: `query_lang`, `doc_lang`, and the quantiles `low` (5 %), `q1`,
        `median`, `q3` and `high` (95 %); sorted.
    """
    rank = pl.col("rank_in_pool")
    shares = {"low": 0.05, "q1": 0.25, "q3": 0.75, "high": 0.95}
    return (
        ranks.group_by("query_lang", "doc_lang")
        .agg(median=rank.median(), **{name: rank.quantile(share) for name, share in shares.items()})
        .sort("query_lang", "doc_lang")
    )


def advantages(ranks: pl.DataFrame) -> pl.DataFrame:
    """How many doublings of the pool rank each language's relevant passage stands before its translations.

    The mean log2 rank of the query's relevant passages in the other languages, minus its own; positive is ahead.
    Several relevant passages in one language count as their mean. A query with relevant passages in one language only
    is left out.

    Args:
        ranks: Frame of schema `RANKS`.

    Returns:
        `question`, `query_lang`, `doc_lang`, `value`; sorted.
    """
    query, own = ["question", "query_lang"], pl.col("log2_rank")
    others = (own.sum().over(query) - own) / (pl.len().over(query) - 1)
    return (
        in_corpus(ranks)
        .group_by(*query, "doc_lang", maintain_order=True)  # sums of floats depend on their order
        .agg(log2_rank=pl.col("rank_in_pool").log(2).mean())
        .filter(pl.len().over(query) > 1)
        .select(*query, "doc_lang", value=others - own)
        .sort("query_lang", "doc_lang", "question")
    )


def own_advantages(ranks: pl.DataFrame) -> pl.DataFrame:
    """`advantages` of the passage in the query's own language.

    On a collection in which every language has every question, whatever favours a document language for all queries
    alike cancels out of the mean over query languages: it is added once, and taken off in equal parts.

    Returns:
        `question`, `query_lang`, `value`, `random` (0: relevant passages are exchangeable); sorted.
    """
    own = advantages(ranks).filter(_OWN)
    return own.select("question", "query_lang", "value", random=pl.lit(0.0))


def advantage_matrix(ranks: pl.DataFrame) -> pl.DataFrame:
    """Mean of `advantages` for every query and document language.

    Returns:
        `query_lang`, `doc_lang`, `queries`, `advantage`; sorted.
    """
    return (
        advantages(ranks)
        .group_by("query_lang", "doc_lang")
        .agg(queries=pl.len().cast(pl.Int64), advantage=pl.col("value").mean())
        .sort("query_lang", "doc_lang")
    )


def language_shares(top: pl.DataFrame, k: int) -> pl.DataFrame:
    """Share of each document language among the first k of the pool, relevant or not.

    Args:
        top: Frame of schema `TOP`.
        k: How many of the first are looked at.

    Returns:
        One row per query and document language that occurs: `query_lang`, `doc_lang`, `share` (they sum to 1 per
        query language); sorted.
    """
    return (
        check_frame(top, TOP, "top")
        .filter(pl.col("rank") <= k)
        .group_by("query_lang", "doc_lang")
        .agg(share=pl.len().cast(pl.Float64))
        .with_columns(pl.col("share") / pl.col("share").sum().over("query_lang"))
        .sort("query_lang", "doc_lang")
    )


def own_shares(top: pl.DataFrame, candidates: Mapping[str, int], k: int) -> pl.DataFrame:
    """Share of the query's own language among the first k of the pool.

    In a random ranking every place is held by any candidate alike, so the expected share is the language's in the pool.

    Args:
        top: Frame of schema `TOP`.
        candidates: How many candidates the pool has, by language.
        k: How many of the first are looked at.

    Returns:
        `question`, `query_lang`, `value`, `random`; sorted.
    """
    pool = sum(candidates.values())
    fair = {code: count / pool for code, count in candidates.items()}
    return (
        first(top, k, pool)
        .group_by("question", "query_lang")
        .agg(value=_OWN.mean())
        .with_columns(random=pl.col("query_lang").replace_strict(fair, default=0.0, return_dtype=pl.Float64))
        .sort("query_lang", "question")
    )


def first(top: pl.DataFrame, k: int, pool: int) -> pl.DataFrame:
    """The first k places of every query.

    Args:
        top: Frame of schema `TOP`.
        k: How many places.
        pool: Candidates in the pool; of a smaller pool all places are taken.

    Raises:
        InputError: If k is below 1, or a query has fewer places than asked for.
    """
    if k < 1:
        raise InputError(f"k must be an integer >= 1, got {k}")
    first_places = check_frame(top, TOP, "top").filter(pl.col("rank") <= k)
    places = first_places.group_by("question", "query_lang").len()["len"].to_list()
    if places and min(places) < min(k, pool):
        raise InputError(f"top holds {min(places)} places for a query, but k is {k}; evaluate with a larger --top-k")
    return first_places
