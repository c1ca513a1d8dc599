"""Ranks by chance and scores by question, for the tests of `engine.significance`."""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy.stats import binom

from engine.ranks.schema import RANKS
from engine.significance import QuestionSums
from engine.significance.per_question import CELLS

LANGUAGES = ("ar", "de", "en", "hi")
POOL = 500


def ranks_by_chance(
    rng: np.random.Generator,
    *,
    questions: int = 12,
    held: float = 0.7,
    languages: tuple[str, ...] = LANGUAGES,
    places: np.random.Generator | None = None,
) -> pl.DataFrame:
    """Ranks as MLQA-R's: each question has its own languages (at least one), and its answers are in these alone.

    Some queries have two relevant passages in a language, which share no rank. Of one collection are frames whose `rng`
    are alike and whose `places`, by which the ranks are drawn, are not.
    """
    places = rng if places is None else places
    rows = []
    for number in range(questions):
        own = [code for code in languages if rng.random() < held] or [languages[number % len(languages)]]
        relevant = [code for code in own for _ in range(rng.integers(1, 3))]
        for query_lang in own:
            in_language, in_pool = (
                places.choice(np.arange(1, top), len(relevant), replace=False) for top in (40, POOL)
            )
            for doc, (doc_lang, *found) in enumerate(zip(relevant, in_language, in_pool, strict=True)):
                rows.append((f"q{number:03d}", query_lang, doc_lang, doc, *map(int, found), 0.0))
    return pl.DataFrame(rows, schema=RANKS, orient="row")


def sums_of(scores: np.ndarray, present: np.ndarray | None = None) -> QuestionSums:
    """Sums of one metric in multi from scores (questions, cells), where `present` says which queries there are."""
    present = np.ones(scores.shape) if present is None else present.astype(float)
    names = [("map", "multi", f"l{cell:03d}", None) for cell in range(scores.shape[1])]
    cells = pl.DataFrame(names, schema=CELLS, orient="row")
    return QuestionSums(tuple(f"q{i:05d}" for i in range(len(scores))), cells, scores * present, present)


def macro_mean(scores: np.ndarray, present: np.ndarray, chosen: np.ndarray) -> float:
    """The mean over the cells of the mean over the chosen questions, one number after the other."""
    means = []
    for cell in range(scores.shape[1]):
        values = [scores[question, cell] for question in chosen if present[question, cell]]
        means.append(sum(values) / len(values))
    return sum(means) / len(means)


def drawn_questions(questions: int, resamples: int, seed: int) -> np.ndarray:
    """Which questions `resample` draws, (resamples, questions)."""
    return np.random.default_rng(seed).integers(questions, size=(resamples, questions))


def plausible(hits: int, trials: int, low: float, high: float, doubt: float = 1e-3) -> bool:
    """Whether so many hits can come from a chance between low and high; wrongly denied with at most `doubt`."""
    return binom.ppf(doubt, trials, low) <= hits <= binom.ppf(1 - doubt, trials, high)
