"""Figures that papers printed for sentence retrieval: the hybrid-batch paper and LAReQA."""

from __future__ import annotations

from functools import cache

import polars as pl

from engine.ranks.schema import PUBLISHED_SETTINGS, read_frame
from engine.reference import FOLDER

MEAN = "mean"
SOURCES = {
    "hybrid-batch": "Elmahdy, Lin, Ahmad 2024, arXiv 2408.10536",
    "lareqa": "Roy et al. 2020, arXiv 2004.05484",
}
ALPHAS = {"x-y": 0.0, "hybrid": 0.5, "x-x-mono": 1.0}
"""The share of monolingual batches that a strategy of the hybrid-batch paper stands for."""

_STRATEGIES = {"x-y": "X-Y", "hybrid": "Hybrid", "x-x-mono": "X-X-mono", "x-x": "X-X", "en-en": "En-En"}


@cache
def figures() -> pl.DataFrame:
    """All printed figures, of schema `PUBLISHED_SETTINGS`."""
    return read_frame(FOLDER / "papers.parquet", PUBLISHED_SETTINGS)


def scores(collection: str, setting: str, measure: str) -> pl.DataFrame:
    """What was printed for a collection, a setting and a measure.

    Returns:
        `model` (with its strategy), `query_lang` ("mean" where the mean was printed), `value`; in the order of models
        and of alpha.
    """
    model = pl.col("model") + " " + pl.col("strategy").replace_strict(_STRATEGIES)
    return (
        figures()
        .filter(collection=collection, setting=setting, measure=measure)
        .with_columns(order=pl.col("strategy").replace_strict(ALPHAS, default=2.0, return_dtype=pl.Float64))
        .sort("source", "model", "order", "strategy", "query_lang")
        .select(model.alias("model"), "query_lang", "value")
    )


def measures(collection: str, setting: str) -> list[str]:
    """Which measures were printed for a collection and a setting."""
    return sorted(figures().filter(collection=collection, setting=setting)["measure"].unique())


def means(scores: pl.DataFrame) -> pl.DataFrame:
    """What each model comes to.

    Args:
        scores: `model`, `query_lang`, `value`, as `scores` gives it.

    Returns:
        `model`, `mean` (as printed, else over the query languages) and `spread` (standard deviation over the query
        languages; null where only the mean is known); in the order of the models.
    """
    printed = pl.col("query_lang") == MEAN
    value = pl.col("value")
    return scores.group_by("model", maintain_order=True).agg(
        pl.coalesce(value.filter(printed).first(), value.filter(~printed).mean()).alias("mean"),
        value.filter(~printed).std().alias("spread"),
    )


def paper_points(collection: str, column: str) -> list[tuple[float, float, str]]:
    """The hybrid-batch paper's points beside a curve against alpha.

    The paper trained on other data, for longer, and all weights: its points are marks to compare shapes with.

    Args:
        collection: Name of the collection that was evaluated.
        column: A column of `ratios.points`: a setting and a measure, such as "multi_map", or "rank_distance".

    Returns:
        (alpha, the printed mean over query languages, what to call it) for each model and strategy; empty where the
        paper printed nothing.
    """
    setting, _, measure = ("multi", "", column) if column == "rank_distance" else column.partition("_")
    rows = (
        figures()
        .filter(source="hybrid-batch", collection=collection, setting=setting, measure=measure, query_lang=MEAN)
        .with_columns(alpha=pl.col("strategy").replace_strict(ALPHAS))
        .sort(pl.col("model") != "XLM-R", "alpha")
    )
    return [
        (row["alpha"], row["value"], f"{row['model']} {_STRATEGIES[row['strategy']]}, hybrid-batch paper")
        for row in rows.iter_rows(named=True)
    ]
