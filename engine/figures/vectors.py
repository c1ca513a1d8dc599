"""Figures of what vectors hold of their language: a map of passages, distances between languages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
import polars as pl

from engine.bias.language_probe import centres
from engine.figures.grid import GridInfo, cells, grid_figure, hovers
from engine.figures.style import ACCENT, finish, name_of, number
from engine.ranks.pairs import matrix

_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#9a8c00", "#8a8f98")
_SYMBOLS = ("circle", "diamond", "square", "cross", "triangle-up")


def language_map(
    points: pl.DataFrame, explained: tuple[float, float], *, chosen: Sequence[int] = (), most: int = 3000
) -> go.Figure:
    """Passages on the first two principal components, coloured by language, each language named at its middle.

    Colours are those of Okabe and Ito, which colour-blind readers tell apart; further languages differ in symbol too.

    Args:
        points: Frame of `Identity.points`.
        explained: Share of the variance that each axis shows.
        chosen: Parallel passages to join, as positions in the pool.
        most: How many passages to draw at most; whole groups are left out evenly.
    """
    info = _get_map_info(points, chosen, most)
    figure = go.Figure()
    for place, (code, part) in enumerate(info.languages.items()):
        figure.add_scattergl(
            x=part["x"],
            y=part["y"],
            mode="markers",
            name=name_of(code),
            marker={
                "color": _COLOURS[place % len(_COLOURS)],
                "symbol": _SYMBOLS[place // len(_COLOURS) % len(_SYMBOLS)],
                "size": 6,
                "opacity": 0.7,
            },
            customdata=[[doc, code] for doc in part["doc"]],
            hovertemplate=f"{name_of(code)}, passage %{{customdata[0]:,}}<extra></extra>",
        )
    if info.middle:
        _join(figure, info.chosen, info.middle)
    for code, x, y in info.centres:
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


@dataclass(frozen=True, slots=True)
class _MapInfo:
    """What the map shows.

    Attributes:
        languages: The passages drawn, by language in the order of codes.
        centres: Code, x and y of each language's middle, over all its passages.
        chosen: The chosen passages.
        middle: Where the lines from them meet; None with fewer than two.
    """

    languages: dict[str, pl.DataFrame]
    centres: list[tuple[str, float, float]]
    chosen: pl.DataFrame
    middle: tuple[float, float] | None


def _get_map_info(points: pl.DataFrame, chosen: Sequence[int], most: int) -> _MapInfo:
    step = max(1, -(-points.height // most))
    is_chosen = pl.col("doc").is_in(list(chosen))
    drawn, joined = points.filter((pl.col("group") % step == 0) | is_chosen), points.filter(is_chosen)
    languages = {code: drawn.filter(pl.col("doc_lang") == code) for code in sorted(set(points["doc_lang"]))}
    xs, ys = joined["x"].to_list(), joined["y"].to_list()
    middle = (sum(xs) / len(xs), sum(ys) / len(ys)) if len(xs) > 1 else None
    return _MapInfo(languages, centres(points).rows(), joined, middle)


def _join(figure: go.Figure, parallel: pl.DataFrame, middle: tuple[float, float]) -> None:
    """Join parallel passages with their middle."""
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
        distances: Frame of `Identity.distances`.
        codes: Languages in order.
    """
    figure = grid_figure(_get_distance_info(distances, codes))
    figure.update_layout(xaxis_title="passage language", yaxis_title="passage language")
    return figure.update_layout(xaxis_zeroline=False, yaxis_zeroline=False)


def _get_distance_info(distances: pl.DataFrame, codes: Sequence[str]) -> GridInfo:
    named = distances.rename({"doc_lang": "query_lang", "other_lang": "doc_lang"})
    grid = matrix(named, "distance", codes)

    def write(first: str, second: str, value: float, _: float) -> str:
        if first == second:
            return name_of(first)
        return f"{name_of(first)} and {name_of(second)}: {number(value, '{:.2f}')} spreads apart"

    top = float(np.nanmax(grid)) if np.isfinite(grid).any() else 1.0
    hover, texts = hovers(codes, grid, grid, write), cells(grid, "{:.2f}")
    return GridInfo(grid, codes, codes, texts, hover, (0.0, top), "spreads apart")
