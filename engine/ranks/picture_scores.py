"""Ranks of a picture collection -> scores by direction: captions find pictures, pictures captions, captions captions.

R@k of CLIP papers is `hit@k` here: the share of queries with a relevant item among the first k. CLIP_benchmark counts
the same, over all captions of a language for text to image, and over all pictures for image to text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import polars as pl

from engine.collections.pictures import PICTURE
from engine.ranks.metrics import METRICS, by_pair

Direction = Literal["caption-picture", "picture-caption", "caption-caption"]

DIRECTIONS: dict[Direction, str] = {
    "caption-picture": "caption finds picture",
    "picture-caption": "picture finds caption",
    "caption-caption": "caption finds caption",
}
"""What is asked with, and what is found, among the candidates of one language."""


def rows_of(direction: Direction) -> pl.Expr:
    """Which rows of a frame with `query_lang` and `doc_lang` belong to a direction; captions of two languages only."""
    query, document = pl.col("query_lang"), pl.col("doc_lang")
    if direction == "caption-picture":
        return document == PICTURE
    if direction == "picture-caption":
        return query == PICTURE
    return (query != PICTURE) & (document != PICTURE) & (query != document)


def by_direction(pairs: pl.DataFrame, metrics: Sequence[str] = METRICS) -> pl.DataFrame:
    """Macro means of the directions over their language pairs.

    Args:
        pairs: What `metrics.by_pair` gave.
        metrics: Names of metrics.

    Returns:
        `direction`, `cells` (pairs averaged), and a Float64 column per metric, null where there is no pair.
    """
    means = [pl.col(metric).mean() for metric in metrics]
    frames = [
        pairs.filter(rows_of(direction)).select(pl.lit(direction).alias("direction"), pl.len().alias("cells"), *means)
        for direction in DIRECTIONS
    ]
    return pl.concat(frames)


def by_language(ranks: pl.DataFrame, direction: Direction, metrics: Sequence[str] = METRICS) -> pl.DataFrame:
    """Scores of a direction by the captions' language.

    Returns:
        `language`, `queries`, and a Float64 column per metric; sorted. Of captions that find captions, the language
        is that of the query, and the score the mean over the languages found.
    """
    pairs = by_pair(ranks.filter(rows_of(direction)), metrics)
    language = pl.col("doc_lang" if direction == "picture-caption" else "query_lang").alias("language")
    means = [pl.col(metric).mean() for metric in metrics]
    return pairs.group_by(language).agg(pl.col("queries").max(), *means).sort("language")
