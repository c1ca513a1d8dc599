"""Published results by language pair, and what each model comes to on a task.

Frames of results have `model`, `revision`, `version`, `query_lang`, `doc_lang` and a column per measure: one task, and
one run a model, never an average of several.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import polars as pl

from engine.errors import InputError
from engine.evaluation import checks
from engine.published.tasks import Task
from engine.ranks.schema import PUBLISHED_PAIRS, read_frame
from engine.reference import FOLDER

_LEAST = 5  # models with an alarm, before the data is blamed
_RECALLS = {"hit@1": "recall@1", "hit@10": "recall@10"}
_MODEL = ["model", "revision", "version"]
_CELL = ["query_lang", "doc_lang"]


@cache
def shipped() -> pl.DataFrame:
    """All shipped results, of schema `PUBLISHED_PAIRS`."""
    return read_frame(FOLDER / "mteb.parquet", PUBLISHED_PAIRS)


def of_task(task: Task, results: pl.DataFrame) -> pl.DataFrame:
    """A task's results under the names of our metrics.

    Args:
        task: A task of pairs or languages.
        results: Frame of schema `PUBLISHED_PAIRS`.

    Returns:
        `model`, `revision`, `version`, `query_lang`, `doc_lang`, and a Float64 column per measure of the task.
    """
    measures = [pl.col(_RECALLS.get(name, name)).alias(name) for name in task.measures]
    return results.filter(pl.col("task") == task.key).select(*_MODEL, *_CELL, *measures)


def models(results: pl.DataFrame) -> pl.DataFrame:
    """The models of a task.

    Returns:
        `model`, `revision`, `version`, `cells` (how many pairs or languages are known), `expected` (how many there
        are); sorted by model.
    """
    expected = results.select(_CELL).unique().height
    counts = results.group_by(_MODEL).agg(pl.len().cast(pl.Int64).alias("cells"))
    return counts.with_columns(expected=pl.lit(expected, pl.Int64)).sort("model")


def pairs(results: pl.DataFrame, model: str) -> pl.DataFrame:
    """A model's scores in the shape of `metrics.by_pair`; `queries` is null, for nobody published it.

    Raises:
        InputError: If the model is not among them.
    """
    found = results.filter(pl.col("model") == model)
    if found.is_empty():
        names = results["model"].unique().sort()
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        raise InputError(f"model {model!r}: no published result; allowed are {', '.join(names.head(5))}{more}")
    queries = pl.lit(None, pl.Int64).alias("queries")
    return found.select(*_CELL, queries, pl.exclude(*_MODEL, *_CELL)).sort(_CELL)


def points(results: pl.DataFrame, measure: str, without: Sequence[tuple[str, str]] = ()) -> pl.DataFrame:
    """What every model comes to on a task, a row each.

    Means are macro: over the pairs of a query language, then over query languages. They are null for a model that lacks
    a pair.

    Args:
        results: Of one task.
        measure: One of its measures.
        without: Pairs (query language, document language) that are left out of every model's means.

    Returns:
        `model`, `revision`, `version`, `cells`, `expected` (both without what is left out), `mono` and `cross` (mean
        over the pairs of one and of two languages; null where the task has none), `mean`, and `spread` (standard
        deviation over query languages); sorted by model.
    """
    left_out = pl.DataFrame(list(without), schema=dict.fromkeys(_CELL, pl.String), orient="row")
    found = results.join(left_out, on=_CELL, how="anti")
    same, score = pl.col("query_lang") == pl.col("doc_lang"), pl.col(measure)
    by_kind = [score.filter(same).mean().alias("mono"), score.filter(~same).mean().alias("cross")]
    languages = found.group_by(*_MODEL, "query_lang").agg(score.mean())
    spread = languages.group_by(_MODEL).agg(score.mean().alias("mean"), score.std().alias("spread"))
    complete = pl.col("cells") == pl.col("expected")
    means = [pl.when(complete).then(pl.col(name)).alias(name) for name in ("mono", "cross", "mean", "spread")]
    return (
        models(found)
        .join(found.group_by(_MODEL).agg(by_kind), on=_MODEL)
        .join(spread, on=_MODEL)
        .with_columns(means)
        .sort("model")
    )


def low_cells(task: Task, results: pl.DataFrame, measure: str) -> pl.DataFrame:
    """Every model's cells that are far below what their row and column predict, as `alarms.low_cells` finds them.

    Only where a task has all pairs of its languages: around a pivot, a row of two cells predicts nothing.

    Returns:
        `model`, `query_lang`, `doc_lang`, `value`, `expected`; sorted by the first three.
    """
    columns = ["model", *_CELL, "value", "expected"]
    parts = [pl.DataFrame(schema=dict.fromkeys(columns[:3], pl.String) | dict.fromkeys(columns[3:], pl.Float64))]
    if task.shape == "pairs":
        for (model,), rows in results.group_by("model", maintain_order=True):
            parts.append(checks.low_cells(rows, measure).with_columns(pl.lit(model).alias("model")).select(columns))
    return pl.concat(parts).sort(columns[:3])


def faults(results: pl.DataFrame, measure: str, low: pl.DataFrame) -> pl.DataFrame:
    """Which cells are low for so many models that the data must be at fault, by the version that measured.

    A cell is faulty if at least half of the models of one version, and five, have the alarm. Models with gaps do not
    count.

    Args:
        results: Of one task.
        measure: The measure that was looked at.
        low: What `low_cells` gave.

    Returns:
        `query_lang`, `doc_lang`, `version` (its first number), `low` (models with the alarm), `models` (of that
        version), `highest` (score of any of these on the cell); a row for every version of each faulty cell; sorted.
    """
    complete = models(results).filter(pl.col("cells") == pl.col("expected"))
    key = ["model", *_CELL]
    return (
        results.join(complete, on="model", how="semi")
        .join(low, on=_CELL, how="semi")
        .join(low.select(key).with_columns(alarm=pl.lit(1, pl.Int64)), on=key, how="left")
        .group_by(*_CELL, pl.col("version").map_elements(major, return_dtype=pl.String))
        .agg(
            pl.col("alarm").sum().alias("low"),
            pl.len().cast(pl.Int64).alias("models"),
            pl.col(measure).max().alias("highest"),
        )
        .filter(((pl.col("low") >= _LEAST) & (2 * pl.col("low") >= pl.col("models"))).any().over(_CELL))
        .sort(*_CELL, "version")
    )


def major(version: str) -> str:
    """The first number of a version, such as "2" of "2.1.17"."""
    return version.partition(".")[0]
