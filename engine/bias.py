"""Ranks and top-k -> measures of language bias: does the retriever favour some languages over others?

All measures look at the pool of all languages. Per-query PEER is left out on purpose: where every language has exactly
one relevant passage it is a constant.
"""

from __future__ import annotations

import polars as pl

from engine.frames import RANKS, TOP, check_frame


def rank_distance(ranks: pl.DataFrame, pool: int) -> pl.DataFrame:
    """Highest minus lowest pool rank of a query's parallel relevant passages, averaged per query language.

    The measure of arXiv 2408.10536. 0 is the least; lower is less biased. In a random ranking of N candidates, k
    relevant ones lie (N + 1)(k - 1) / (k + 1) apart on average (range of k draws without replacement). A query with
    fewer than two relevant passages has no distance and is left out.

    Args:
        ranks: Frame of schema `RANKS`.
        pool: Candidates in the pool, N.

    Returns:
        One row per query language: `query_lang`, `queries`, `rank_distance`, `median`, `random` (what a random ranking
        would give); sorted.
    """
    queries = (
        check_frame(ranks, RANKS, "ranks")
        .group_by("query_lang", "question")
        .agg(
            distance=(pl.col("rank_in_pool").max() - pl.col("rank_in_pool").min()).cast(pl.Float64),
            relevant=pl.len().cast(pl.Float64),
        )
        .filter(pl.col("relevant") > 1)
    )
    k = pl.col("relevant")
    return (
        queries.group_by("query_lang")
        .agg(
            queries=pl.len().cast(pl.Int64),
            rank_distance=pl.col("distance").mean(),
            median=pl.col("distance").median(),
            random=((pool + 1) * (k - 1) / (k + 1)).mean(),
        )
        .sort("query_lang")
    )


def pool_ranks(ranks: pl.DataFrame) -> pl.DataFrame:
    """Where the relevant passages of each language stand in the pool.

    Returns:
        One row per query and document language: `query_lang`, `doc_lang`, `queries`, `mean_rank`, `median_rank`,
        `mean_log2_rank` (mean of log2 of the rank, so that one far outlier does not rule); sorted.
    """
    rank = pl.col("rank_in_pool")
    return (
        check_frame(ranks, RANKS, "ranks")
        .group_by("query_lang", "doc_lang")
        .agg(
            queries=pl.col("question").n_unique().cast(pl.Int64),
            mean_rank=rank.mean(),
            median_rank=rank.median(),
            mean_log2_rank=rank.log(2).mean(),
        )
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
