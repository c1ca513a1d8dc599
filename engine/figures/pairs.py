"""Heatmaps over language pairs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
import polars as pl
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from engine.figures.grid import add_clicks, add_means, cells, frame_diagonal, grid_figure
from engine.figures.style import ACCENT, DIVERGING, SEQUENTIAL, name_of, number, outline, signed, whole
from engine.languages import language
from engine.metrics import label


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


def matrix(pairs: pl.DataFrame, column: str, codes: Sequence[str]) -> np.ndarray:
    """A column of a pair frame as float64 (query languages, document languages), NaN where there is no row."""
    place = {code: i for i, code in enumerate(codes)}
    grid = np.full((len(codes), len(codes)), np.nan)
    for query_lang, doc_lang, value in pairs.select("query_lang", "doc_lang", column).iter_rows():
        if value is not None:
            grid[place[query_lang], place[doc_lang]] = value
    return grid


def pair_heatmap(
    pairs: pl.DataFrame,
    metric: str,
    codes: Sequence[str],
    *,
    limits: tuple[float, float] = (0.0, 1.0),
    marked: tuple[str, str] | None = None,
    compact: bool = False,
) -> go.Figure:
    """Scores of every language pair: query language down, document language across, mono pairs framed, means beside.

    Args:
        pairs: Frame of `metrics.by_pair`.
        metric: Which of its metrics.
        codes: Languages in order.
        limits: Ends of the colour scale; give compared heatmaps the same.
        marked: A pair to mark.
        compact: For half a page: codes in place of names, smaller cells, no colour bar.
    """
    grid, counts = matrix(pairs, metric, codes), matrix(pairs, "queries", codes)
    figure = grid_figure(
        grid,
        codes,
        codes,
        texts=[[text.lstrip("0") if compact else text for text in row] for row in cells(grid, "{:.2f}")],
        hover=[
            [_pair_hover(q, d, grid[i, j], counts[i, j], metric) for j, d in enumerate(codes)]
            for i, q in enumerate(codes)
        ],
        scale={"colorscale": SEQUENTIAL, "zmin": limits[0], "zmax": limits[1]},
        title=label(metric),
        compact=compact,
    )
    frame_diagonal(figure, len(codes))
    add_means(figure, grid, "{:.2f}")
    add_clicks(figure, codes)
    if marked and set(marked) <= set(codes):
        outline(figure, codes.index(marked[1]), codes.index(marked[0]), ACCENT, 3)
    return figure


def difference_heatmap(
    pairs: pl.DataFrame,
    reference: pl.DataFrame,
    metric: str,
    codes: Sequence[str],
    *,
    limit: float | None = None,
    compact: bool = False,
) -> go.Figure:
    """Scores minus reference scores of every language pair, in points (hundredths), centred on 0.

    Args:
        pairs: Frame of `metrics.by_pair`.
        reference: The frame that is subtracted.
        metric: Which of their metrics.
        codes: Languages in order.
        limit: End of the colour scale in points, both ways; by default the largest difference.
        compact: For half a page: codes in place of names, smaller cells, no colour bar.
    """
    grid = 100 * (matrix(pairs, metric, codes) - matrix(reference, metric, codes))
    counts = matrix(pairs, "queries", codes)
    limit = limit or max(1.0, float(np.nanmax(np.abs(grid))) if np.isfinite(grid).any() else 1.0)
    hover = [
        [
            f"{name_of(q)} → {name_of(d)}<br>{label(metric)} {signed(grid[i, j])} points, {whole(counts[i, j])} queries"
            for j, d in enumerate(codes)
        ]
        for i, q in enumerate(codes)
    ]
    figure = grid_figure(
        grid,
        codes,
        codes,
        texts=cells(grid, "{:+.1f}"),
        hover=hover,
        scale={"colorscale": DIVERGING, "zmin": -limit, "zmax": limit},
        title="points",
        compact=compact,
    )
    frame_diagonal(figure, len(codes))
    add_means(figure, grid, "{:+.1f}")
    return figure


def query_counts(pairs: pl.DataFrame, codes: Sequence[str]) -> go.Figure:
    """How many queries stand behind every cell."""
    grid = matrix(pairs, "queries", codes)
    hover = [
        [f"{name_of(q)} → {name_of(d)}<br>{whole(grid[i, j])} queries" for j, d in enumerate(codes)]
        for i, q in enumerate(codes)
    ]
    scale = {"colorscale": ["#fafafa", "#a8adb5"], "zmin": 0, "zmax": float(np.nanmax(grid))}
    return grid_figure(grid, codes, codes, texts=cells(grid, "{:.0f}"), hover=hover, scale=scale, title="queries")


def _pair_hover(query_lang: str, doc_lang: str, value: float, count: float, metric: str) -> str:
    kind = "same language" if query_lang == doc_lang else "cross-lingual"
    score = f"{label(metric)} {number(value, '{:.3f}')}, {whole(count)} queries"
    return f"{name_of(query_lang)} → {name_of(doc_lang)} ({kind})<br>{score}"
