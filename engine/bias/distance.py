"""Ranks -> rank distance: how far a query's parallel relevant passages lie apart in the pool."""

from __future__ import annotations

import polars as pl

from engine.ranks.schema import in_corpus


def distances(ranks: pl.DataFrame, pool: int) -> pl.DataFrame:
    """Highest minus lowest pool rank of every query's relevant passages.

    In a random ranking of N candidates, k relevant ones lie (N + 1)(k - 1) / (k + 1) apart on average (range of k draws
    without replacement). A query whose relevant passages are all in one language has no distance and is left out.

    Args:
        ranks: Frame of schema `RANKS`.
        pool: Candidates in the pool, N.

    Returns:
        `question`, `query_lang`, `value`, `random` (what a random ranking gives); sorted.
    """
    rank, k = pl.col("rank_in_pool"), pl.len().cast(pl.Float64)
    return (
        in_corpus(ranks)
        .group_by("question", "query_lang")
        .agg(
            value=(rank.max() - rank.min()).cast(pl.Float64),
            random=(pool + 1) * (k - 1) / (k + 1),
            languages=pl.col("doc_lang").n_unique(),
        )
        .filter(pl.col("languages") > 1)
        .drop("languages")
        .sort("query_lang", "question")
    )


def rank_distance(ranks: pl.DataFrame, pool: int) -> pl.DataFrame:
    """Highest minus lowest pool rank of a query's parallel relevant passages, averaged per query language.

    The measure of arXiv 2408.10536. 0 is the least; lower is less biased.

    Args:
        ranks: Frame of schema `RANKS`.
        pool: Candidates in the pool.

    Returns:
        One row per query language: `query_lang`, `queries`, `rank_distance`, `median`, `random` (what a random ranking
        would give, see `distances`); sorted.
    """
    return (
        distances(ranks, pool)
        .group_by("query_lang")
        .agg(
            queries=pl.len().cast(pl.Int64),
            rank_distance=pl.col("value").mean(),
            median=pl.col("value").median(),
            random=pl.col("random").mean(),
        )
        .sort("query_lang")
    )


def random_distance(rank_distance: pl.DataFrame) -> float:
    """What a random ranking would give, mean over the query languages of a frame of `rank_distance`; NaN if empty."""
    randoms = rank_distance["random"].to_list()
    return sum(randoms) / len(randoms) if randoms else float("nan")
