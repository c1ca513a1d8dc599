"""Heatmaps over language pairs: scores, differences, numbers of queries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl

from engine.figures.grid import (
    GridInfo,
    add_clicks,
    add_means,
    cells,
    difference_info,
    frame_diagonal,
    grid_figure,
    hovers,
)
from engine.figures.style import name_of, number, signed, whole
from engine.ranks.metrics import label
from engine.ranks.pairs import matrix
from engine.sweeps.prose import LEVEL, p_value

_CROWDED = 12  # in half a page, differences of more languages have no room for decimals
CORRECTIONS = {"p_holm": "(Holm)", "p_bh": "(Benjamini-Hochberg)", "p": "(not corrected)"}


def pair_heatmap(
    pairs: pl.DataFrame,
    metric: str,
    codes: Sequence[str],
    *,
    intervals: pl.DataFrame | None = None,
    low: pl.DataFrame | None = None,
    compact: bool = False,
) -> go.Figure:
    """Scores of every language pair: query language down, document language across, mono pairs framed, means beside.

    With `intervals`, the hover shows each cell's interval, and a cell that is too uncertain is in brackets. With `low`,
    a red frame stands around every cell that is far below what its row and column predict.

    Args:
        pairs: Frame of `metrics.by_pair`.
        metric: Which of its metrics.
        codes: Languages in order.
        intervals: `query_lang`, `doc_lang`, `low`, `high` and `uncertain`, of `significance.mark_uncertain`.
        low: `query_lang`, `doc_lang` of the low cells; those of other languages are passed over.
        compact: For half a page: codes in place of names, smaller cells, no colour bar.
    """
    info = _get_pair_info(pairs, metric, codes, intervals=intervals, low=low, compact=compact)
    figure = grid_figure(info, compact=compact)
    frame_diagonal(figure, len(codes))
    add_means(figure, info.grid, "{:.2f}")
    add_clicks(figure, codes)
    return figure


def _get_pair_info(
    pairs: pl.DataFrame,
    metric: str,
    codes: Sequence[str],
    *,
    intervals: pl.DataFrame | None = None,
    low: pl.DataFrame | None = None,
    compact: bool = False,
) -> GridInfo:
    grid, counts = matrix(pairs, metric, codes), matrix(pairs, "queries", codes)
    texts = [[text.removeprefix("0") if compact else text for text in row] for row in cells(grid, "{:.2f}")]

    def write(query_lang: str, doc_lang: str, value: float, count: float) -> str:
        kind = "same language" if query_lang == doc_lang else "cross-lingual"
        score = f"{label(metric)} {number(value, '{:.3f}')}{_queries(count)}"
        return f"{name_of(query_lang)} → {name_of(doc_lang)} ({kind})<br>{score}"

    hover = hovers(codes, grid, counts, write)
    for i, j, cell in _cells_of(intervals, codes):
        hover[i][j] += f"<br>95 % interval {_from_to(cell, '{:.3f}')}"
        if cell["uncertain"] and texts[i][j]:
            texts[i][j] = f"({texts[i][j]})"
            hover[i][j] += " (wide: read with care)"
    low_pairs = [] if low is None else low.select("query_lang", "doc_lang").rows()
    framed = tuple((codes.index(q), codes.index(d)) for q, d in low_pairs if {q, d} <= set(codes))
    return GridInfo(grid, codes, codes, texts, hover, (0.0, 1.0), label(metric), framed=framed)


def difference_heatmap(
    compared: tuple[pl.DataFrame, pl.DataFrame],
    metric: str,
    codes: Sequence[str],
    *,
    limit: float | None = None,
    tests: tuple[pl.DataFrame, str] | None = None,
    compact: bool = False,
) -> go.Figure:
    """Scores minus reference scores of every language pair, in points (hundredths), centred on 0.

    With `tests`, significant differences are bold and the others pale, and the hover shows interval and p.

    Args:
        compared: Two frames of `metrics.by_pair`; the second is subtracted.
        metric: Which of their metrics.
        codes: Languages in order.
        limit: End of the colour scale in points, both ways; by default the largest difference.
        tests: `query_lang`, `doc_lang`, `low`, `high` and p values of the pairs, of `significance.compare`; and which p
            values decide: "p", or corrected, "p_holm" or "p_bh".
        compact: For half a page: codes in place of names, smaller cells, no colour bar.
    """
    info = _get_difference_info(compared, metric, codes, tests=tests)
    if compact and len(codes) > _CROWDED:
        info = replace(info, texts=cells(info.grid, "{:+.0f}"))
    figure = grid_figure(info if limit is None else replace(info, limits=(-limit, limit)), compact=compact)
    frame_diagonal(figure, len(codes))
    add_means(figure, info.grid, "{:+.1f}")
    return figure


def _get_difference_info(
    compared: tuple[pl.DataFrame, pl.DataFrame],
    metric: str,
    codes: Sequence[str],
    *,
    tests: tuple[pl.DataFrame, str] | None = None,
) -> GridInfo:
    pairs, reference = compared
    grid = 100 * (matrix(pairs, metric, codes) - matrix(reference, metric, codes))

    def write(query_lang: str, doc_lang: str, value: float, count: float) -> str:
        points = f"{label(metric)} {signed(value)} points{_queries(count)}"
        return f"{name_of(query_lang)} → {name_of(doc_lang)}<br>{points}"

    info = difference_info(grid, codes, hovers(codes, grid, matrix(pairs, "queries", codes), write), "points")
    bold: list[list[bool | None]] = [[None] * len(codes) for _ in codes]
    frame, p = tests or (None, "")
    for i, j, cell in _cells_of(frame, codes):
        if info.texts[i][j] and cell[p] is not None:
            bold[i][j] = cell[p] < LEVEL
            points = {end: 100 * cell[end] for end in ("low", "high")}
            interval = f"95 % interval {_from_to(points, '{:+.1f}')}"
            info.hover[i][j] += f"<br>{interval}, {p_value(cell[p])} {CORRECTIONS[p]}"
    return replace(info, bold=bold)


def query_counts(pairs: pl.DataFrame, codes: Sequence[str]) -> go.Figure:
    """How many queries stand behind every cell.

    Args:
        pairs: Frame of `metrics.by_pair`.
        codes: Languages in order.
    """
    return grid_figure(_get_counts_info(pairs, codes))


def _get_counts_info(pairs: pl.DataFrame, codes: Sequence[str]) -> GridInfo:
    grid = matrix(pairs, "queries", codes)
    hover = hovers(codes, grid, grid, lambda q, d, count, _: f"{name_of(q)} → {name_of(d)}<br>{whole(count)} queries")
    limits, colours = (0.0, float(np.nanmax(grid))), ["#fafafa", "#a8adb5"]
    return GridInfo(grid, codes, codes, cells(grid, "{:.0f}"), hover, limits, "queries", colours)


def _cells_of(frame: pl.DataFrame | None, codes: Sequence[str]) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Row, column and row of the frame of each pair that has an interval."""
    place = {code: i for i, code in enumerate(codes)}
    for row in () if frame is None else frame.iter_rows(named=True):
        if row["low"] is not None and row["query_lang"] in place and row["doc_lang"] in place:
            yield place[row["query_lang"]], place[row["doc_lang"]], row


def _from_to(ends: dict[str, Any], pattern: str) -> str:
    return f"{number(ends['low'], pattern)} to {number(ends['high'], pattern)}"


def _queries(count: float) -> str:
    """How many queries stand behind a cell, for its hover; empty where unknown."""
    return f", {whole(count)} queries" if np.isfinite(count) else ""
