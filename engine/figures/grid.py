"""The grid of query languages by document languages that heatmaps are drawn on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from engine.figures.style import CELL_TEXT, GREY, finish, name_of, number, outline

CLICKABLE = "cells"
"""Name of the invisible trace that reports clicks."""


def grid_figure(
    grid: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    texts: list[list[str]],
    hover: list[list[str]],
    scale: dict[str, object],
    title: str,
    compact: bool = False,
) -> go.Figure:
    """A heatmap with text in its cells; positions are numbers, so that shapes and clicks can be laid over it."""
    figure = go.Figure(
        go.Heatmap(
            z=np.where(np.isfinite(grid), grid, np.nan),
            text=texts,
            texttemplate="%{text}",
            textfont={"color": CELL_TEXT, "size": 11 if compact else 12},
            hovertext=hover,
            hoverinfo="text",
            xgap=1,
            ygap=1,
            showscale=not compact,
            colorbar={"title": {"text": title, "side": "top"}, "thickness": 12, "len": 0.9},
            **scale,
        )
    )
    figure.update_xaxes(
        tickvals=list(range(len(columns))),
        ticktext=list(columns),
        title="document language",
        side="top",
        showgrid=False,
    )
    figure.update_yaxes(
        tickvals=list(range(len(rows))),
        ticktext=list(rows) if compact else [name_of(code) for code in rows],
        title="query language",
        autorange="reversed",
        showgrid=False,
    )
    return finish(figure, height=150 + (29 if compact else 34) * (len(rows) + 1), legend=False)


def cells(grid: np.ndarray, pattern: str) -> list[list[str]]:
    """Numbers of a grid as texts, empty where there is none."""
    return [[number(value, pattern) for value in row] for row in grid]


def frame_diagonal(figure: go.Figure, size: int) -> None:
    """Set the same-language cells off with a frame."""
    outline(figure, ((i, i) for i in range(size)), "#333a44", 1.5)


def add_means(figure: go.Figure, grid: np.ndarray, pattern: str) -> None:
    """Means over the cross-lingual cells, as text behind the last row and column."""
    off = grid.copy()
    np.fill_diagonal(off, np.nan)
    size = len(grid)
    rows = [_mean(off[i]) for i in range(size)]
    columns = [_mean(off[:, j]) for j in range(size)]
    common = {
        "mode": "text",
        "hoverinfo": "text",
        "showlegend": False,
        "textfont": {"color": GREY},
        "cliponaxis": False,
    }
    figure.add_scatter(
        x=[size + 0.1] * size,
        y=list(range(size)),
        text=[number(value, pattern) for value in rows],
        hovertext="mean over the other document languages",
        **common,
    )
    figure.add_scatter(
        x=list(range(size)),
        y=[size + 0.1] * size,
        text=[number(value, pattern) for value in columns],
        hovertext="mean over the other query languages",
        **common,
    )
    figure.add_scatter(
        x=[size + 0.1], y=[size + 0.1], text=["mean"], hovertext="means of the cross-lingual cells", **common
    )
    figure.update_xaxes(range=[-0.5, size + 0.7], zeroline=False)
    figure.update_yaxes(range=[size + 0.6, -0.5], autorange=False, zeroline=False)


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def add_clicks(figure: go.Figure, codes: Sequence[str]) -> None:
    """Invisible squares over the cells, which take over their hover: a heatmap itself reports no clicks.

    A trace that skips the hover reports no clicks either, and of two traces only the one in front tells its text.
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
