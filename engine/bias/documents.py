"""Ranks -> are passages of some languages put behind their translations, whoever asks? Friedman's test over questions.

The block is the question: its parallel passages are ordered by their mean log2 pool rank over the question's queries,
so that what each query gives its own language is shared out evenly. Questions need not have all languages (on MLQA-R
they have 2 to 4 of 7): each is ranked among the languages it has, as Skillings and Mack (1981) do. With ranks r of the
k languages of a question, weight w = sqrt(12 / (k + 1)) and spread v, the sum over languages of (r - (k + 1) / 2)^2:

    A = sum over questions of w (r - (k + 1) / 2)             one number per language
    C = sum over questions of w^2 v / (k - 1) (I - J / k)     its covariance if every order is as likely as any other
    T = A' C^- A                                              chi-squared, as many degrees of freedom as C has rank

The covariance is that of permuting the very ranks a question has, so ties are accounted for. On whole questions T is
Friedman's statistic (1937), corrected for ties. Kendall's W is T / sum(k - 1): each question alone gives k - 1, and by
the Cauchy-Schwarz inequality all together give no more than the sum of that. Whole questions reach it if all agree,
incomplete ones of different size come close. Since the expectation of A A' is C, that of T is the rank of C exactly,
and that of W follows.

Near its random expectation W can hardly get lower, so there its interval is no test: Friedman's is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.special import chdtrc

from engine.bias.axes import places
from engine.errors import InputError
from engine.ranks.schema import in_corpus
from engine.significance import holm, randomisation_test

FLIPS = 10_000
_RELATIVE = 1e-9
"""What share of the largest eigenvalue counts as none."""


def document_blocks(ranks: pl.DataFrame) -> pl.DataFrame:
    """The order of every question's parallel passages.

    Args:
        ranks: Frame of schema `RANKS`.

    Returns:
        `question`, `doc_lang`, `rank` (1 is first; the mean where some are tied), `size` (languages of the question),
        `place` (share of the question's other languages that stand before it: 0 is first, 1 last, and 0.5 the mean
        where no language is favoured); sorted. Questions with relevant passages in one language only are left out.
    """
    size = pl.len().over("question").cast(pl.Int64)
    return (
        in_corpus(ranks)
        .group_by("question", "query_lang", "doc_lang")
        .agg(pl.col("rank_in_pool").log(2).mean())
        .sort("question", "doc_lang", "query_lang")  # sums of floats depend on their order, and ties on sums
        .group_by("question", "doc_lang", maintain_order=True)
        .agg(pl.col("rank_in_pool").mean().round(12))
        .with_columns(rank=pl.col("rank_in_pool").rank("average").over("question"), size=size)
        .filter(pl.col("size") > 1)
        .select("question", "doc_lang", "rank", "size", place=(pl.col("rank") - 1) / (pl.col("size") - 1))
    )


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """What each question adds to the test.

    Attributes:
        questions: Ids, sorted: the first axis.
        languages: The second axis.
        sums: float64 (questions, languages), w (r - (k + 1) / 2); 0 where a question lacks the language.
        spreads: float64 (questions, languages, languages), the question's part of C.
        freedom: float64 (questions,), k - 1.
        places: float64 (questions, languages), as in `document_blocks`; NaN where a question lacks the language.
    """

    questions: tuple[str, ...]
    languages: tuple[str, ...]
    sums: np.ndarray
    spreads: np.ndarray
    freedom: np.ndarray
    places: np.ndarray


def blocks_of(ranks: pl.DataFrame) -> Blocks:
    """What each question adds to the test, from ranks."""
    blocks = document_blocks(ranks)
    questions, languages = blocks["question"].unique().sort(), blocks["doc_lang"].unique().sort()
    place = np.full((len(questions), len(languages)), np.nan)
    deviations, size = np.zeros(place.shape), np.full(len(questions), 2.0)
    at = places(blocks["question"], questions), places(blocks["doc_lang"], languages)
    place[at] = blocks["place"]
    deviations[at] = blocks["rank"] - (blocks["size"] + 1) / 2
    size[at[0]] = blocks["size"]
    weight, spread = np.sqrt(12 / (size + 1)), (deviations**2).sum(axis=1)
    has = ~np.isnan(place)
    within = has[:, :, None] * np.eye(len(languages)) - has[:, :, None] * has[:, None] / size[:, None, None]
    parts = (weight**2 * spread / (size - 1))[:, None, None] * within
    return Blocks(tuple(questions), tuple(languages), weight[:, None] * deviations, parts, size - 1, place)


def statistic(sums: np.ndarray, spreads: np.ndarray) -> np.ndarray:
    """T = A' C^- A.

    Args:
        sums: A, float64 (..., languages).
        spreads: C, float64 (..., languages, languages).

    Returns:
        float64 (...); NaN where no question tells two languages apart.
    """
    told = np.einsum("...ii->...", spreads) > 0
    inverse = np.linalg.pinv(np.where(told[..., None, None], spreads, 0.0), rcond=_RELATIVE, hermitian=True)
    return np.where(told, np.einsum("...i,...ij,...j->...", sums, inverse, sums), np.nan)


@dataclass(frozen=True, slots=True)
class DocumentEffect:
    """Whether, and how far, the questions agree on an order of the document languages.

    Attributes:
        statistic: T, Friedman's on whole questions; NaN if there is nothing to compare.
        freedom: Its degrees of freedom.
        p: Of the chi-squared distribution.
        concordance: Kendall's W.
        random: The expectation of W in random rankings.
        questions: Questions that have two languages or more.
    """

    statistic: float
    freedom: int
    p: float
    concordance: float
    random: float
    questions: int


def document_effect(ranks: pl.DataFrame) -> DocumentEffect:
    """Friedman's test over questions: is there an order of document languages that holds across questions?

    Args:
        ranks: Frame of schema `RANKS`.
    """
    blocks = blocks_of(ranks)
    if not blocks.questions:
        return DocumentEffect(np.nan, 0, np.nan, np.nan, np.nan, 0)
    spreads, most = blocks.spreads.sum(axis=0), blocks.freedom.sum()
    found, freedom = float(statistic(blocks.sums.sum(axis=0), spreads)), _rank(spreads)
    p = float(chdtrc(freedom, found)) if freedom else np.nan
    return DocumentEffect(found, freedom, p, found / most, freedom / most, len(blocks.questions))


def expected_concordance(blocks: Blocks) -> float:
    """The expectation of W in random rankings; NaN if there is nothing to compare."""
    most = blocks.freedom.sum()
    return _rank(blocks.spreads.sum(axis=0)) / most if most else np.nan


def _rank(spreads: np.ndarray) -> int:
    return int(np.linalg.matrix_rank(spreads, tol=_RELATIVE * max(np.trace(spreads), 1e-300), hermitian=True))


def pushed(ranks: pl.DataFrame, *, flips: int = FLIPS, seed: int = 0) -> pl.DataFrame:
    """Which document languages are put behind or before the others.

    Post hoc, one language against its translations: if a language is not favoured, its place in a question is as often
    as far above a half as below, so a randomisation test flips the signs of its differences from a half. p is then
    corrected over the languages by Holm's method.

    Args:
        ranks: Frame of schema `RANKS`.
        flips: How many random sign flips the tests make.
        seed: Of the flips.

    Returns:
        `doc_lang`, `questions`, `place` (mean; above 0.5 is behind), `mean_rank` (null unless all questions have all
        languages), `p`, `p_holm`; the first ones first.

    Raises:
        InputError: If flips is below 1.
    """
    if flips < 1:
        raise InputError(f"flips must be >= 1, got {flips}; {FLIPS} is usual")
    blocks = blocks_of(ranks)
    has = ~np.isnan(blocks.places)
    counts = has.sum(axis=0)
    p = randomisation_test(np.where(has, blocks.places - 0.5, 0.0), flips=flips, seed=seed)
    place = np.where(has, blocks.places, 0.0).sum(axis=0) / counts
    whole = bool(has.all())
    mean_rank: Sequence[float | None] = 1 + place * (len(blocks.languages) - 1) if whole else [None] * len(place)
    return pl.DataFrame(
        {"doc_lang": blocks.languages, "questions": counts, "place": place, "mean_rank": mean_rank}
        | {"p": p, "p_holm": holm(p)},
        schema={
            "doc_lang": pl.String,
            "questions": pl.Int64,
            "place": pl.Float64,
            "mean_rank": pl.Float64,
            "p": pl.Float64,
            "p_holm": pl.Float64,
        },
    ).sort("place", "doc_lang")
