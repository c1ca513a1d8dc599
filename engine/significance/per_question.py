"""Ranks -> what every question adds to every cell: all that resampling needs to know of an evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from engine.collections.structures import SETTINGS
from engine.errors import InputError
from engine.ranks.metrics import per_query
from engine.ranks.schema import RANKS, UNKNOWN_LANGUAGE, check_frame, in_corpus

RANK_DISTANCE = "rank_distance"
RANDOM_DISTANCE = "random_distance"
CELLS = pl.Schema({"measure": pl.String, "setting": pl.String, "query_lang": pl.String, "doc_lang": pl.String})
"""What names a cell: in mono and cross a pair, in multi a query language, and `doc_lang` is null."""
_PAIR = {"query_lang": pl.String, "doc_lang": pl.String}


@dataclass(frozen=True, slots=True, eq=False)
class QuestionSums:
    """What one system scored in one evaluation, question by question.

    A cell's mean is the sum of its column of `sums` over that of `counts`, so the mean over any draw of questions is
    the ratio of two products with the draw's weights.

    Attributes:
        questions: Ids, sorted: the first axis.
        cells: Frame of schema `CELLS`: the second axis; cells of one measure and setting stand together.
        sums: float64 (questions, cells), the question's scores in the cell; 0 where it has no query there.
        counts: float64 (questions, cells), how many queries those are.
    """

    questions: tuple[str, ...]
    cells: pl.DataFrame
    sums: np.ndarray
    counts: np.ndarray


def question_sums(
    ranks: pl.DataFrame,
    metrics: Sequence[str] = ("map",),
    *,
    languages: Sequence[str] | None = None,
    document_languages: Sequence[str] | None = None,
    pool: int | None = None,
) -> QuestionSums:
    """Add up scores by question and cell, for metrics in all settings and for the rank distance.

    Args:
        ranks: Frame of schema `RANKS`.
        metrics: Names of metrics, as in `engine.ranks.metrics`.
        languages: The collection's that have queries, for their order and so that a pair without queries is known to
            be missing; those in the ranks if None.
        document_languages: The collection's that have documents; the same ones if None.
        pool: Candidates in the pool; where given, the rank distance is also set against a random ranking's, as `bias`.

    Raises:
        InputError: If there are no ranks, a metric is unknown, or the ranks hold a language that is not listed.
    """
    ranks = check_frame(ranks, RANKS, "ranks")
    if ranks.is_empty():
        raise InputError("ranks: the frame is empty; at least one judged query is needed")
    seen = sorted({*ranks["query_lang"].unique(), *ranks["doc_lang"].unique()} - {UNKNOWN_LANGUAGE})
    languages = seen if languages is None else list(languages)
    documents = languages if document_languages is None else list(document_languages)
    if unknown := [code for code in seen if code not in {*languages, *documents}]:
        raise InputError(f"ranks: hold the languages {', '.join(unknown)}; listed are {', '.join(languages)}")
    questions = ranks["question"].unique().sort()
    names: list[tuple[str, str, str | None, str | None]] = []
    sums: list[np.ndarray] = []
    counts: list[np.ndarray] = []
    for measure, setting, frame in _scores(ranks, metrics, pool):
        pairs = _pairs(setting, languages, documents)
        names += [(measure, setting, query_lang, doc_lang) for query_lang, doc_lang in pairs]
        for values, into in ((frame[measure], sums), (pl.repeat(1.0, frame.height, eager=True), counts)):
            into.append(_dense(frame, values, questions, pairs))
    cells = pl.DataFrame(names, schema=CELLS, orient="row")
    return QuestionSums(tuple(questions), cells, np.concatenate(sums, axis=1), np.concatenate(counts, axis=1))


def _scores(ranks: pl.DataFrame, metrics: Sequence[str], pool: int | None) -> Iterator[tuple[str, str, pl.DataFrame]]:
    """Measure, setting, and a row per query and cell with the measure's column."""
    by_setting = {setting: per_query(ranks, setting, metrics) for setting in SETTINGS}
    yield from ((metric, setting, by_setting[setting]) for metric in metrics for setting in SETTINGS)
    rank, k = pl.col("rank_in_pool"), pl.len().cast(pl.Float64)
    distances = (
        in_corpus(ranks)
        .group_by("query_lang", "question")
        .agg(
            (rank.max() - rank.min()).cast(pl.Float64).alias(RANK_DISTANCE),
            ((0 if pool is None else pool + 1) * (k - 1) / (k + 1)).alias(RANDOM_DISTANCE),
            languages=pl.col("doc_lang").n_unique(),
        )
        .filter(pl.col("languages") > 1)  # as in engine.bias.rank_distance, which gives the formula's source
    )
    yield RANK_DISTANCE, "multi", distances
    if pool is not None:
        yield RANDOM_DISTANCE, "multi", distances


def _pairs(setting: str, languages: Sequence[str], documents: Sequence[str]) -> list[tuple[str, str | None]]:
    """A setting's cells that can exist, given the languages of queries and of documents."""
    if setting == "multi":
        return [(code, None) for code in languages]
    return [(a, b) for a in languages for b in documents if (a == b) == (setting == "mono")]


def _dense(
    frame: pl.DataFrame, values: pl.Series, questions: pl.Series, pairs: list[tuple[str, str | None]]
) -> np.ndarray:
    """The values in an array (questions, cells), 0 where there is none."""
    keys = [name for name in ("query_lang", "doc_lang") if name in frame.columns]
    cells = pl.DataFrame(pairs, schema=_PAIR, orient="row").select(keys).with_row_index("cell")
    rows = frame.select("question", *keys).join(cells, on=keys, how="left", maintain_order="left")
    found = np.zeros((len(questions), len(pairs)))
    found[rows["question"].cast(pl.Enum(questions)).to_physical().to_numpy(), rows["cell"].to_numpy()] = values
    return found
