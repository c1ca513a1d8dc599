"""Ranks and top-k -> what the first result is: right or wrong, in the query's language or another."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from engine.bias.measures import OUTCOMES
from engine.ranks.schema import TOP, check_frame, in_corpus

_KEYS = ["question", "query_lang"]


def first_results(ranks: pl.DataFrame, top: pl.DataFrame) -> pl.DataFrame:
    """Which of the four outcomes the first of the pool is, for every judged query.

    Args:
        ranks: Frame of schema `RANKS`; it knows what is relevant.
        top: Frame of schema `TOP`.

    Returns:
        `question`, `query_lang`, `relevant` (how many passages are), `own` (how many of them in the query's language),
        and a Float64 column for each of `OUTCOMES`, one of which is 1; sorted.
    """
    ranks, top = in_corpus(ranks), check_frame(top, TOP, "top")
    own = pl.col("doc_lang") == pl.col("query_lang")
    relevant = ranks.group_by(_KEYS).agg(relevant=pl.len(), own=own.sum())
    judged = ranks.select(*_KEYS, "doc", right=True)
    return (
        top.filter(pl.col("rank") == 1)
        .join(relevant, on=_KEYS)
        .join(judged, on=[*_KEYS, "doc"], how="left")
        .with_columns(pl.col("right").fill_null(value=False))
        .select(
            *_KEYS,
            "relevant",
            "own",
            *(
                ((pl.col("right") == is_right) & (own == is_own)).cast(pl.Float64).alias(name)
                for name, (is_right, is_own) in zip(OUTCOMES, _CASES, strict=True)
            ),
        )
        .sort("query_lang", "question")
    )


_CASES = ((True, True), (True, False), (False, True), (False, False))
"""Right, and in the query's language, in the order of `OUTCOMES`."""


def with_random(results: pl.DataFrame, candidates: Mapping[str, int]) -> dict[str, pl.DataFrame]:
    """Each outcome beside its chance in a random ranking, in which the first is any candidate of the pool alike.

    Args:
        results: Frame of `first_results`.
        candidates: How many candidates the pool has, by language.

    Returns:
        By outcome: `question`, `query_lang`, `value`, `random`; the four chances of a query sum to 1.
    """
    pool = sum(candidates.values())
    of_language = pl.col("query_lang").replace_strict(dict(candidates), default=0, return_dtype=pl.Int64)
    own, relevant = pl.col("own").cast(pl.Int64), pl.col("relevant").cast(pl.Int64)
    right_other = relevant - own
    counts = (own, right_other, of_language - own, pool - of_language - right_other)
    return {
        name: results.select(*_KEYS, value=pl.col(name), random=count / pool)
        for name, count in zip(OUTCOMES, counts, strict=True)
    }


def outcomes(ranks: pl.DataFrame, top: pl.DataFrame) -> pl.DataFrame:
    """Shares of the four outcomes of the first result.

    Returns:
        One row per query language: `query_lang`, `queries`, and a share for each of `OUTCOMES`, which sum to 1; sorted.
    """
    results = first_results(ranks, top)
    shares = results.group_by("query_lang").agg(pl.len().cast(pl.Int64).alias("queries"), pl.col(OUTCOMES).mean())
    return shares.sort("query_lang")
