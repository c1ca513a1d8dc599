"""Top-k -> do the versions of a question find the same? Rank correlation between query languages."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import polars as pl

from engine.bias.advantage import first
from engine.bias.axes import places

_PAIRS = pl.Schema({"question": pl.String, "query_lang": pl.String, "other_lang": pl.String, "value": pl.Float64})


def correlations(top: pl.DataFrame, pool: int, k: int) -> pl.DataFrame:
    """Spearman's correlation between the rankings of every two versions of a question.

    The ranking is that of the whole pool of N, of which the first k are known; all others are tied at the mean of the
    places behind, t = (N + k + 1) / 2. With s = rank - t for the first k and 0 behind them, the covariance comes from
    the passages that both lists hold: N cov = sum(s s') - N k^2 / 4, and N var = sum(s^2) - N k^2 / 4.

    Args:
        top: Frame of schema `TOP`.
        pool: Candidates in the pool.
        k: How many of the first are compared.

    Returns:
        `question`, `query_lang`, `other_lang`, `value`, both ways round; sorted. Empty where the pool has one
        candidate.

    Raises:
        InputError: If fewer than k places are kept.
    """
    k = min(k, pool)
    lists = first(top, k, pool).sort("question")
    if lists.is_empty() or pool < 2:
        return pl.DataFrame(schema=_PAIRS)
    questions, languages = lists["question"].unique(maintain_order=True), lists["query_lang"].unique().sort()
    question = lists["question"].rle_id().to_numpy().astype(np.int64)
    language = places(lists["query_lang"], languages)
    below = lists["rank"].to_numpy() - (pool + k + 1) / 2
    stride = int(lists["doc"].to_numpy().max()) + 1
    passages, row = np.unique(question * stride + lists["doc"].to_numpy(), return_inverse=True)
    known = np.zeros((len(languages), len(passages)))
    known[language, row] = below
    asked = np.zeros((len(questions), len(languages)), bool)
    asked[question, language] = True
    middle = pool * k**2 / 4
    spread = ((np.arange(1, k + 1) - (pool + k + 1) / 2) ** 2).sum() - middle
    starts = np.searchsorted(passages, np.arange(len(questions)) * stride)
    frames = []
    for one, other in combinations(range(len(languages)), 2):
        both = asked[:, one] & asked[:, other]
        value = (np.add.reduceat(known[one] * known[other], starts)[both] - middle) / spread
        for left, right in ((one, other), (other, one)):
            named = {"query_lang": pl.lit(languages[left]), "other_lang": pl.lit(languages[right])}
            frames.append(pl.DataFrame({"question": questions.filter(both)}).with_columns(**named, value=value))
    return pl.concat([pl.DataFrame(schema=_PAIRS), *frames]).sort("query_lang", "other_lang", "question")


def rank_correlations(top: pl.DataFrame, pool: int, k: int) -> pl.DataFrame:
    """Mean correlation of every query's ranking with those of its question's other versions.

    The Mean Rank Correlation MRC@k of arXiv 2509.06195: Spearman's, mean over the other languages, then over queries.
    Two independent random rankings have the correlation 0 on average.

    Returns:
        `question`, `query_lang`, `value`, `random` (0); sorted. A question in one language only is left out.
    """
    return (
        correlations(top, pool, k)
        .group_by("question", "query_lang")
        .agg(pl.col("value").mean())
        .with_columns(random=pl.lit(0.0))
        .sort("query_lang", "question")
    )


def agreement_matrix(top: pl.DataFrame, pool: int, k: int) -> pl.DataFrame:
    """Mean of `correlations` for every two query languages.

    Returns:
        `query_lang`, `other_lang`, `questions`, `correlation`; sorted, and the same both ways round.
    """
    return (
        correlations(top, pool, k)
        .group_by("query_lang", "other_lang")
        .agg(questions=pl.len().cast(pl.Int64), correlation=pl.col("value").mean())
        .sort("query_lang", "other_lang")
    )
