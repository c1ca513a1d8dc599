"""Frames of language pairs as matrices: rows are query languages, columns document languages; their order and means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from engine.collections.languages import language


def matrix(pairs: pl.DataFrame, column: str, codes: Sequence[str]) -> np.ndarray:
    """A column of a pair frame as float64 (query languages, document languages), NaN where there is no row."""
    place = {code: i for i, code in enumerate(codes)}
    grid = np.full((len(codes), len(codes)), np.nan)
    for query_lang, doc_lang, value in pairs.select("query_lang", "doc_lang", column).iter_rows():
        if value is not None:
            grid[place[query_lang], place[doc_lang]] = value
    return grid


def language_order(pairs: pl.DataFrame, metric: str, by: str) -> list[str]:
    """Languages in the order in which a heatmap shows them.

    Args:
        pairs: Frame of `metrics.by_pair`.
        metric: The metric shown.
        by: "name" (of the language), "score" (mean as query and as document language, best first), or "similarity"
            (leaves of an average-linkage clustering of the rows' and columns' distance).
    """
    codes = sorted(set(pairs["query_lang"]) | set(pairs["doc_lang"]), key=lambda code: language(code).name)
    if by == "name" or len(codes) < 3:
        return codes
    grid = matrix(pairs, metric, codes)
    if by == "score":
        means = (np.nanmean(grid, axis=0) + np.nanmean(grid, axis=1)) / 2
        return [codes[i] for i in np.argsort(-means, kind="stable")]
    both = np.nan_to_num(np.hstack([grid, grid.T]), nan=float(np.nanmean(grid)))
    distances = np.sqrt(((both[:, None] - both[None]) ** 2).sum(axis=2))
    return [codes[i] for i in leaves_list(linkage(squareform(distances, checks=False), "average"))]


def cross_means(grid: np.ndarray) -> tuple[list[float], list[float]]:
    """Means of each row and of each column without the diagonal; NaN where nothing else is known.

    Args:
        grid: float64 (languages, languages), NaN where unknown.
    """
    off = grid.copy()
    np.fill_diagonal(off, np.nan)
    return [_mean(row) for row in off], [_mean(column) for column in off.T]


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
