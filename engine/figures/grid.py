"""The grid of cells that all heatmaps are drawn on: what it shows, and the drawing of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from engine.escaping import figure_text
from engine.figures.style import (
    ACCENT,
    CELL_TEXT,
    DIVERGING,
    GREY,
    PALE_TEXT,
    SEQUENTIAL,
    finish,
    name_of,
    number,
    outline,
    short_name,
)
from engine.ranks.pairs import cross_means

CLICKABLE = "cells"
"""Name of the invisible trace that reports clicks."""


@dataclass(frozen=True, slots=True, eq=False)
class GridInfo:
    """What a heatmap shows.

    Attributes:
        grid: float64 (rows, columns), NaN where unknown.
        rows: Codes of the rows, or names of models.
        columns: Codes of the columns.
        texts: Of every cell; empty where unknown.
        hover: Of every cell.
        limits: Ends of the colour scale.
        title: What the values are.
        colours: Of the scale, from its low end to its high end.
        bold: Of every cell, whether its difference is significant; None where it is not tested. Empty: none is.
        framed: Cells (row, column) with a red frame.
    """

    grid: np.ndarray
    rows: Sequence[str]
    columns: Sequence[str]
    texts: list[list[str]]
    hover: list[list[str]]
    limits: tuple[float, float]
    title: str
    colours: Sequence[str] = tuple(SEQUENTIAL)
    bold: Sequence[Sequence[bool | None]] = ()
    framed: tuple[tuple[int, int], ...] = ()


def grid_figure(info: GridInfo, *, compact: bool = False) -> go.Figure:
    """A heatmap with text in its cells; positions are numbers, so that shapes and clicks can be laid over it.

    Args:
        info: What it shows.
        compact: For half a page: codes in place of names, smaller cells, no colour bar.
    """
    figure = go.Figure(
        go.Heatmap(
            z=np.where(np.isfinite(info.grid), info.grid, np.nan),
            text=_emphasised(info),
            texttemplate="%{text}",
            textfont={"color": CELL_TEXT, "size": 11 if compact else 12},
            hovertext=info.hover,
            hoverinfo="text",
            xgap=1,
            ygap=1,
            showscale=not compact,
            colorbar={"title": {"text": info.title, "side": "top"}, "thickness": 12, "len": 0.9},
            colorscale=list(info.colours),
            zmin=info.limits[0],
            zmax=info.limits[1],
        )
    )
    figure.update_xaxes(
        tickvals=list(range(len(info.columns))),
        ticktext=[short_name(name) for name in info.columns],
        title="document language",
        side="top",
        showgrid=False,
    )
    figure.update_yaxes(
        tickvals=list(range(len(info.rows))),
        ticktext=[figure_text(short_name(name) if compact else name_of(name)) for name in info.rows],
        title="query language",
        autorange="reversed",
        showgrid=False,
    )
    outline(figure, ((column, row) for row, column in info.framed), ACCENT, 3)
    return finish(figure, height=150 + (29 if compact else 34) * (len(info.rows) + 1), legend=False)


def _emphasised(info: GridInfo) -> list[list[str]]:
    """Texts of the cells: bold where significant, pale where tested and not significant."""
    if not info.bold:
        return info.texts
    marks = {None: "{}", True: "<b>{}</b>", False: f'<span style="color:{PALE_TEXT}">{{}}</span>'}
    return [
        [marks[bold].format(text) for text, bold in zip(*row, strict=True)]
        for row in zip(info.texts, info.bold, strict=True)
    ]


def cells(grid: np.ndarray, pattern: str) -> list[list[str]]:
    """Numbers of a grid as texts, empty where there is none."""
    return [[number(value, pattern) for value in row] for row in grid]


def hovers(
    codes: Sequence[str], values: np.ndarray, counts: np.ndarray, write: Callable[[str, str, float, float], str]
) -> list[list[str]]:
    """A text for each cell, of its query language, its document language, its value and its count."""
    return [[write(q, d, values[i, j], counts[i, j]) for j, d in enumerate(codes)] for i, q in enumerate(codes)]


def both_ways(grid: np.ndarray) -> tuple[float, float]:
    """Ends of a scale that is centred on 0 and holds all values; -1 and 1 if these are smaller."""
    end = max(1.0, float(np.nanmax(np.abs(grid)))) if np.isfinite(grid).any() else 1.0
    return -end, end


def difference_info(grid: np.ndarray, codes: Sequence[str], hover: list[list[str]], title: str) -> GridInfo:
    """A heatmap of values that are centred on 0."""
    return GridInfo(grid, codes, codes, cells(grid, "{:+.1f}"), hover, both_ways(grid), title, DIVERGING)


def frame_diagonal(figure: go.Figure, size: int) -> None:
    """Set the same-language cells off with a frame."""
    outline(figure, ((i, i) for i in range(size)), "#333a44", 1.5)


def add_means(figure: go.Figure, grid: np.ndarray, pattern: str) -> None:
    """Means over the cross-lingual cells, as text behind the last row and column."""
    size = len(grid)
    rows, columns = cross_means(grid)
    common = {
        "mode": "text",
        "hoverinfo": "text",
        "showlegend": False,
        "textfont": {"color": GREY},
        "cliponaxis": False,
    }
    behind, places = [size + 0.1] * size, list(range(size))
    for x, y, means, hover in (
        (behind, places, [number(mean, pattern) for mean in rows], "mean over the other document languages"),
        (places, behind, [number(mean, pattern) for mean in columns], "mean over the other query languages"),
        (behind[:1], behind[:1], ["mean"], "means of the cross-lingual cells"),
    ):
        figure.add_scatter(x=x, y=y, text=means, hovertext=hover, **common)
    figure.update_xaxes(range=[-0.5, size + 0.7], zeroline=False)
    figure.update_yaxes(range=[size + 0.6, -0.5], autorange=False, zeroline=False)


def add_clicks(figure: go.Figure, codes: Sequence[str]) -> None:
    """Invisible squares over the cells, which take over their hover: a heatmap itself reports no clicks.

    A trace that skips the hover reports no clicks either, and of two traces only the one in front shows its text.
    """
    size, heat = len(codes), figure.data[0]
    heat.hoverinfo = "skip"
    figure.add_scatter(
        x=[j for _ in range(size) for j in range(size)],
        y=[i for i in range(size) for _ in range(size)],
        customdata=[[q, d] for q in codes for d in codes],
        mode="markers",
        marker={"symbol": "square", "size": 30, "opacity": 0},
        hovertext=[text for row in heat.hovertext for text in row],
        hoverinfo="text",
        showlegend=False,
        name=CLICKABLE,
    )
    figure.update_layout(clickmode="event+select", dragmode=False)
    figure.update_traces(
        selected={"marker": {"opacity": 0}}, unselected={"marker": {"opacity": 0}}, selector={"name": CLICKABLE}
    )
