"""Heatmaps over language pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
import polars as pl
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from engine.collections.languages import language
from engine.figures.grid import add_clicks, add_means, cells, frame_diagonal, grid_figure
from engine.figures.style import ACCENT, DIVERGING, PALE_TEXT, SEQUENTIAL, name_of, number, outline, signed, whole
from engine.ranks.metrics import label
from engine.sweeps.prose import LEVEL, p_value

CORRECTIONS = {"p_holm": "(Holm)", "p_bh": "(Benjamini-Hochberg)", "p": "(not corrected)"}


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
    intervals: pl.DataFrame | None = None,
    marked: tuple[str, str] | None = None,
    compact: bool = False,
) -> go.Figure:
    """Scores of every language pair: query language down, document language across, mono pairs framed, means beside.

    With `intervals`, the hover shows each cell's interval, and a cell that is too uncertain is in brackets.

    Args:
        pairs: Frame of `metrics.by_pair`.
        metric: Which of its metrics.
        codes: Languages in order.
        limits: Ends of the colour scale; give compared heatmaps the same.
        intervals: `query_lang`, `doc_lang`, `low`, `high` and `uncertain`, of `significance.mark_uncertain`.
        marked: A pair to mark.
        compact: For half a page: codes in place of names, smaller cells, no colour bar.
    """
    grid, counts = matrix(pairs, metric, codes), matrix(pairs, "queries", codes)
    known = {} if intervals is None else _by_pair(intervals)
    texts = [[text.lstrip("0") if compact else text for text in row] for row in cells(grid, "{:.2f}")]
    hover = [
        [_pair_hover(q, d, grid[i, j], counts[i, j], metric) for j, d in enumerate(codes)] for i, q in enumerate(codes)
    ]
    for i, j, cell in _cells_of(known, codes):
        hover[i][j] += f"<br>95 % interval {_from_to(cell, '{:.3f}')}"
        if cell["uncertain"] and texts[i][j]:
            texts[i][j] = f"({texts[i][j]})"
            hover[i][j] += " (wide: read with care)"
    figure = grid_figure(
        grid,
        codes,
        codes,
        texts=texts,
        hover=hover,
        scale={"colorscale": SEQUENTIAL, "zmin": limits[0], "zmax": limits[1]},
        title=label(metric),
        compact=compact,
    )
    frame_diagonal(figure, len(codes))
    add_means(figure, grid, "{:.2f}")
    add_clicks(figure, codes)
    if marked and set(marked) <= set(codes):
        outline(figure, [(codes.index(marked[1]), codes.index(marked[0]))], ACCENT, 3)
    return figure


def difference_heatmap(
    pairs: pl.DataFrame,
    reference: pl.DataFrame,
    metric: str,
    codes: Sequence[str],
    *,
    limit: float | None = None,
    tests: pl.DataFrame | None = None,
    p: str = "p_holm",
    compact: bool = False,
) -> go.Figure:
    """Scores minus reference scores of every language pair, in points (hundredths), centred on 0.

    With `tests`, significant differences are bold and the others pale, and the hover shows interval and p.

    Args:
        pairs: Frame of `metrics.by_pair`.
        reference: The frame that is subtracted.
        metric: Which of their metrics.
        codes: Languages in order.
        limit: End of the colour scale in points, both ways; by default the largest difference.
        tests: `query_lang`, `doc_lang`, `low`, `high` and p values of the pairs, of `significance.compare`.
        p: Which p values decide: "p", or corrected, "p_holm" or "p_bh".
        compact: For half a page: codes in place of names, smaller cells, no colour bar.
    """
    info = _get_difference_info((pairs, reference), metric, codes, limit=limit, tests=tests, p=p)
    figure = grid_figure(
        info.grid,
        codes,
        codes,
        texts=[
            [_emphasised(*cell) for cell in zip(*row, strict=True)] for row in zip(info.texts, info.bold, strict=True)
        ],
        hover=info.hover,
        scale={"colorscale": DIVERGING, "zmin": -info.limit, "zmax": info.limit},
        title="points",
        compact=compact,
    )
    frame_diagonal(figure, len(codes))
    add_means(figure, info.grid, "{:+.1f}")
    return figure


@dataclass(frozen=True, slots=True)
class _DifferenceInfo:
    """What a difference heatmap shows.

    Attributes:
        grid: float64 (query languages, document languages), differences in points, NaN where unknown.
        texts: Of every cell; empty where unknown.
        bold: Of every cell, whether its difference is significant; None where it is not tested.
        hover: Of every cell.
        limit: End of the colour scale in points, both ways.
    """

    grid: np.ndarray
    texts: list[list[str]]
    bold: list[list[bool | None]]
    hover: list[list[str]]
    limit: float


def _get_difference_info(
    compared: tuple[pl.DataFrame, pl.DataFrame],
    metric: str,
    codes: Sequence[str],
    *,
    limit: float | None = None,
    tests: pl.DataFrame | None = None,
    p: str = "p_holm",
) -> _DifferenceInfo:
    """Numbers and texts of `difference_heatmap`; of the two compared frames, the second is subtracted."""
    pairs, reference = compared
    grid = 100 * (matrix(pairs, metric, codes) - matrix(reference, metric, codes))
    counts = matrix(pairs, "queries", codes)
    limit = limit or max(1.0, float(np.nanmax(np.abs(grid))) if np.isfinite(grid).any() else 1.0)
    texts = cells(grid, "{:+.1f}")
    bold: list[list[bool | None]] = [[None] * len(codes) for _ in codes]
    hover = [
        [
            f"{name_of(q)} → {name_of(d)}<br>{label(metric)} {signed(grid[i, j])} points{_queries(counts[i, j])}"
            for j, d in enumerate(codes)
        ]
        for i, q in enumerate(codes)
    ]
    for i, j, cell in _cells_of({} if tests is None else _by_pair(tests), codes):
        if texts[i][j] and cell[p] is not None:
            bold[i][j] = cell[p] < LEVEL
            points = {end: 100 * cell[end] for end in ("low", "high")}
            hover[i][j] += f"<br>95 % interval {_from_to(points, '{:+.1f}')}, {p_value(cell[p])} {CORRECTIONS[p]}"
    return _DifferenceInfo(grid, texts, bold, hover, limit)


def _emphasised(text: str, bold: bool | None) -> str:
    """A cell's text: bold where significant, pale where tested and not significant."""
    if bold is None:
        return text
    return f"<b>{text}</b>" if bold else f'<span style="color:{PALE_TEXT}">{text}</span>'


def query_counts(pairs: pl.DataFrame, codes: Sequence[str]) -> go.Figure:
    """How many queries stand behind every cell."""
    grid = matrix(pairs, "queries", codes)
    hover = [
        [f"{name_of(q)} → {name_of(d)}<br>{whole(grid[i, j])} queries" for j, d in enumerate(codes)]
        for i, q in enumerate(codes)
    ]
    scale = {"colorscale": ["#fafafa", "#a8adb5"], "zmin": 0, "zmax": float(np.nanmax(grid))}
    return grid_figure(grid, codes, codes, texts=cells(grid, "{:.0f}"), hover=hover, scale=scale, title="queries")


def _by_pair(frame: pl.DataFrame) -> dict[tuple[str, str], dict[str, float]]:
    return {(row["query_lang"], row["doc_lang"]): row for row in frame.iter_rows(named=True)}


def _cells_of(
    known: dict[tuple[str, str], dict[str, float]], codes: Sequence[str]
) -> Iterator[tuple[int, int, dict[str, float]]]:
    """Row, column and row of the frame of each pair that has an interval."""
    for i, query_lang in enumerate(codes):
        for j, doc_lang in enumerate(codes):
            cell = known.get((query_lang, doc_lang))
            if cell is not None and cell["low"] is not None:
                yield i, j, cell


def _from_to(ends: dict[str, float], pattern: str) -> str:
    return f"{number(ends['low'], pattern)} to {number(ends['high'], pattern)}"


def _pair_hover(query_lang: str, doc_lang: str, value: float, count: float, metric: str) -> str:
    kind = "same language" if query_lang == doc_lang else "cross-lingual"
    score = f"{label(metric)} {number(value, '{:.3f}')}{_queries(count)}"
    return f"{name_of(query_lang)} → {name_of(doc_lang)} ({kind})<br>{score}"


def _queries(count: float) -> str:
    """How many queries stand behind a cell, for its hover; empty where unknown."""
    return f", {whole(count)} queries" if np.isfinite(count) else ""
