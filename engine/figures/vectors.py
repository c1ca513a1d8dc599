"""Figures of what vectors hold of their language: a map of passages, distances between languages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
import polars as pl

from engine.figures.grid import cells, grid_figure
from engine.figures.pairs import matrix
from engine.figures.style import ACCENT, SEQUENTIAL, finish, name_of, number

_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#9a8c00", "#8a8f98")
_SYMBOLS = ("circle", "diamond", "square", "cross", "triangle-up")


def language_map(
    points: pl.DataFrame, explained: tuple[float, float], *, chosen: Sequence[int] = (), most: int = 3000
) -> go.Figure:
    """Passages on the first two principal components, coloured by language, each language named at its middle.

    Colours are those of Okabe and Ito, which colour-blind readers tell apart; further languages differ in symbol too.

    Args:
        points: Frame of `bias.identity.Identity.points`.
        explained: Share of the variance that each axis shows.
        chosen: Parallel passages to join, as positions in the pool.
        most: How many passages to draw at most; whole groups are left out evenly.
    """
    step = max(1, -(-points.height // most))
    drawn = points.filter((pl.col("group") % step == 0) | pl.col("doc").is_in(list(chosen)))
    figure = go.Figure()
    codes = sorted(points["doc_lang"].unique())
    for place, code in enumerate(codes):
        part, colour = drawn.filter(pl.col("doc_lang") == code), _COLOURS[place % len(_COLOURS)]
        symbol = _SYMBOLS[place // len(_COLOURS) % len(_SYMBOLS)]
        figure.add_scattergl(
            x=part["x"],
            y=part["y"],
            mode="markers",
            name=name_of(code),
            marker={"color": colour, "symbol": symbol, "size": 6, "opacity": 0.7},
            customdata=[[doc, code] for doc in part["doc"]],
            hovertemplate=f"{name_of(code)}, passage %{{customdata[0]:,}}<extra></extra>",
        )
    _join(figure, points.filter(pl.col("doc").is_in(list(chosen))))
    for code, x, y in points.group_by("doc_lang").agg(pl.col("x", "y").mean()).sort("doc_lang").rows():
        figure.add_annotation(
            x=x,
            y=y,
            text=f"<b>{code}</b>",
            showarrow=False,
            font={"color": "#10202f", "size": 12},
            bgcolor="rgba(255,255,255,0.8)",
            borderpad=1,
        )
    first, second = (f"{100 * share:.1f} % of the variance" for share in explained)
    figure.update_xaxes(title=f"first component, {first}", zeroline=False)
    figure.update_yaxes(title=f"second component, {second}", zeroline=False)
    figure.update_layout(clickmode="event+select", dragmode="pan")
    return finish(figure, height=560, legend=True)


def _join(figure: go.Figure, parallel: pl.DataFrame) -> None:
    """Join parallel passages with their middle."""
    if parallel.height < 2:
        return
    middle = parallel["x"].mean(), parallel["y"].mean()
    lines = [[(x, middle[axis], None) for x in parallel[name]] for axis, name in enumerate("xy")]
    figure.add_scatter(
        x=[value for line in lines[0] for value in line],
        y=[value for line in lines[1] for value in line],
        mode="lines",
        line={"color": ACCENT, "width": 1.5},
        hoverinfo="skip",
        showlegend=False,
    )
    figure.add_scatter(
        x=parallel["x"],
        y=parallel["y"],
        mode="markers",
        marker={"symbol": "circle-open", "size": 12, "color": ACCENT, "line": {"width": 2}},
        hoverinfo="skip",
        name="one answer in all languages",
    )


def distance_heatmap(distances: pl.DataFrame, codes: Sequence[str]) -> go.Figure:
    """Distances between the languages' mean vectors, in units of the spread within a language.

    Args:
        distances: Frame of `bias.identity.Identity.distances`.
        codes: Languages in order.
    """
    named = distances.rename({"doc_lang": "query_lang", "other_lang": "doc_lang"})
    grid = matrix(named, "distance", codes)
    hover = [
        [
            f"{name_of(one)} and {name_of(other)}: {number(grid[i, j], '{:.2f}')} spreads apart"
            if one != other
            else name_of(one)
            for j, other in enumerate(codes)
        ]
        for i, one in enumerate(codes)
    ]
    top = float(np.nanmax(grid)) if np.isfinite(grid).any() else 1.0
    scale = {"colorscale": SEQUENTIAL, "zmin": 0, "zmax": top}
    figure = grid_figure(
        grid, codes, codes, texts=cells(grid, "{:.2f}"), hover=hover, scale=scale, title="spreads apart"
    )
    return figure.update_layout(xaxis_title="passage language", yaxis_title="passage language").update_layout(
        xaxis_zeroline=False, yaxis_zeroline=False
    )
