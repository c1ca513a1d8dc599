"""Figures of what others published: heatmaps with their alarms, one row a model, and every model as a point."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
import polars as pl

from engine.collections.languages import is_tag, language
from engine.figures.grid import cells, grid_figure
from engine.figures.pairs import pair_heatmap
from engine.figures.style import ACCENT, DIVERGING, GREY, INK, SEQUENTIAL, finish, name_of, number, outline

PICKED = (INK, "#c46a1b", "#2a9d8f", "#8a5a9e", ACCENT, "#8a7a1f", "#4fa3d1", "#c2739f")
"""Colours of the models that were picked, in their order."""

_WITH_TEXT = 22  # so many columns leave room for numbers
_WITH_ZERO = 13  # and so many for the zero before the point
_LABELS = 45  # so many columns can be named
_NAMED = 4  # so many models are named beside their points, more in the legend
_SYMBOLS = ("circle", "diamond", "x-thin-open", "square")


def published_heatmap(
    pairs: pl.DataFrame,
    metric: str,
    codes: Sequence[str],
    *,
    limits: tuple[float, float] = (0.0, 1.0),
    low: pl.DataFrame | None = None,
    compact: bool = True,
) -> go.Figure:
    """The pair heatmap with a red frame around every cell that is far below what its row and column predict.

    Args:
        pairs: Frame of `metrics.by_pair`, or of its shape.
        metric: Which of its metrics.
        codes: Languages in order.
        limits: Ends of the colour scale; give compared heatmaps the same.
        low: The alarmed cells: `query_lang`, `doc_lang`.
        compact: For half a page.
    """
    figure = pair_heatmap(pairs, metric, codes, limits=limits, compact=compact)
    found = () if low is None else low.select("query_lang", "doc_lang").iter_rows()
    shown = [pair for pair in found if set(pair) <= set(codes)]
    outline(figure, [(codes.index(doc_lang), codes.index(query_lang)) for query_lang, doc_lang in shown], ACCENT, 3)
    return figure


def language_heatmap(
    scores: pl.DataFrame,
    names: Sequence[str],
    codes: Sequence[str],
    title: str,
    *,
    limits: tuple[float, float] = (0.0, 1.0),
    pattern: str = "{:.2f}",
    diverging: bool = False,
) -> go.Figure:
    """Scores by language: one row a model, one column a language; numbers in the cells while there is room.

    Args:
        scores: `name`, `language`, `value`.
        names: Rows in order.
        codes: Languages in order; what is no language's code (such as "mean") is shown as it is.
        title: What the values are.
        limits: Ends of the colour scale.
        pattern: How a value is written.
        diverging: Whether the values are differences, in colours centred on 0.
    """
    grid = np.full((len(names), len(codes)), np.nan)
    rows, columns = ({key: i for i, key in enumerate(keys)} for keys in (names, codes))
    for name, code, value in scores.select("name", "language", "value").iter_rows():
        if name in rows and code in columns and value is not None:
            grid[rows[name], columns[code]] = value
    hover = [
        [
            f"{name}<br>{_named(code)}: {title} {number(grid[i, j], pattern) or 'not known'}"
            for j, code in enumerate(codes)
        ]
        for i, name in enumerate(names)
    ]
    many = len(codes) > _WITH_TEXT
    texts = [["" if many else text for text in row] for row in cells(grid, pattern)]
    if len(codes) > _WITH_ZERO:
        texts = [[text.removeprefix("0") for text in row] for row in texts]
    scale = {"colorscale": DIVERGING if diverging else SEQUENTIAL, "zmin": limits[0], "zmax": limits[1]}
    figure = grid_figure(grid, names, codes, texts=texts, hover=hover, scale=scale, title=title, compact=True)
    figure.data[0].update(showscale=True, xgap=0 if len(codes) > _LABELS else 1)
    step = -(-len(codes) // _LABELS)
    places = list(range(0, len(codes), step))
    note = "" if step == 1 else f": {len(codes)}, one in {step} named; point at a cell for its own"
    figure.update_xaxes(tickvals=places, ticktext=[codes[i] for i in places], title=f"language{note}")
    figure.update_xaxes(tickangle=-90 if many else 0)
    figure.update_yaxes(title=None)
    return figure


def _named(code: str) -> str:
    return name_of(code) if is_tag(code) else code


def model_plane(
    points: pl.DataFrame,
    x: str,
    y: str,
    titles: tuple[str, str],
    picked: Sequence[str],
    *,
    groups: Sequence[str] = (),
    diagonal: bool = False,
) -> go.Figure:
    """Every model as a point: the picked ones coloured and named, the others grey.

    Args:
        points: `model`, the columns x and y (rows with null in them are left out), `group` where groups are told
            apart, and `about`, a line for the hover.
        x: Column across.
        y: Column up.
        titles: What to call them.
        picked: Models to set off, in the order of their colours.
        groups: Values of `group` in the order of their symbols; empty: all alike.
        diagonal: Whether to draw the line of equal values.
    """
    known = points.drop_nulls([x, y])
    figure = go.Figure()
    if diagonal and known.height:
        ends = [min(known[x].min(), known[y].min()), max(known[x].max(), known[y].max())]
        line = {"color": GREY, "width": 1, "dash": "dot"}
        figure.add_scatter(x=ends, y=ends, mode="lines", line=line, hoverinfo="skip", showlegend=False)
    text = len(picked) <= _NAMED
    for symbol, group in zip(_SYMBOLS, groups or [None], strict=False):
        part = known if group is None else known.filter(pl.col("group") == group)
        _add_points(figure, part.filter(~pl.col("model").is_in(picked)), x, y, titles, symbol)
        if group is not None:
            _add_to_legend(figure, group, symbol, GREY)
    middle = (known[x].min() + known[x].max()) / 2 if known.height else 0.0
    heights = known.filter(pl.col("model").is_in(picked)).sort(y, descending=True)["model"].to_list()
    for colour, model in zip(PICKED, picked, strict=False):
        part = known.filter(pl.col("model") == model)
        symbol = _SYMBOLS[list(groups).index(part["group"][0])] if groups and part.height else _SYMBOLS[0]
        if part.height:
            place = ("top", "bottom")[heights.index(model) % 2] + (" left" if part[x][0] > middle else " right")
            _add_points(figure, part, x, y, titles, symbol, colour=colour, place=place if text else None)
        if not text:
            _add_to_legend(figure, model.rpartition("/")[2], symbol, colour)
    figure.update_xaxes(title=titles[0])
    figure.update_yaxes(title=titles[1])
    figure = finish(figure, height=400, legend=bool(groups) or not text)
    return figure if text else figure.update_layout(height=500, margin_t=130)


def _add_to_legend(figure: go.Figure, name: str, symbol: str, colour: str) -> None:
    """A line of the legend that does not hang on whether there is such a point."""
    marker = {"symbol": symbol, "size": 9, "color": colour, "line": {"color": colour}}
    figure.add_scatter(x=[None], y=[None], mode="markers", name=name, marker=marker)


def _add_points(
    figure: go.Figure,
    part: pl.DataFrame,
    x: str,
    y: str,
    titles: tuple[str, str],
    symbol: str,
    *,
    colour: str | None = None,
    place: str | None = None,
) -> None:
    figure.add_scatter(
        x=part[x],
        y=part[y],
        mode="markers" if place is None else "markers+text",
        showlegend=False,
        text=None if place is None else [model.rpartition("/")[2] for model in part["model"]],
        textposition=place,
        textfont={"color": colour or GREY, "weight": "bold"},
        cliponaxis=False,
        marker={
            "symbol": symbol,
            "size": 7 if colour is None else 13,
            "color": colour or GREY,
            "opacity": 0.55 if colour is None else 1,
            "line": {"width": 1.5 if symbol.endswith("open") else 0, "color": colour or GREY},
        },
        customdata=part.select("model", "about").to_numpy(),
        hovertemplate="<b>%{customdata[0]}</b><br>"
        + f"{titles[0]} %{{x:.3f}}<br>{titles[1]} %{{y:.3f}}<br>%{{customdata[1]}}<extra></extra>",
    )


def language_dumbbells(compared: pl.DataFrame, names: tuple[str, str], title: str) -> go.Figure:
    """Two models' scores by language, joined; English first, then the languages by what changed, most first.

    Args:
        compared: Frame of `published.compare`.
        names: What to call the English and the multilingual model.
        title: What the values are.
    """
    frame = compared.sort(pl.col("language") != "en", -pl.col("difference"), "language")
    languages = [language(code).name for code in frame["language"]]
    figure = go.Figure()
    joints = {"x": [], "y": []}
    for name, low, high in zip(languages, frame["english"], frame["multilingual"], strict=True):
        joints["x"] += [name, name, None]
        joints["y"] += [low, high, None]
    figure.add_scatter(
        **joints, mode="lines", line={"color": GREY, "width": 2}, opacity=0.6, hoverinfo="skip", showlegend=False
    )
    for column, name, symbol, colour in zip(
        ("english", "multilingual"), names, ("circle-open", "circle"), PICKED[1::-1], strict=True
    ):
        figure.add_scatter(
            x=languages,
            y=frame[column],
            mode="markers",
            name=name,
            cliponaxis=False,
            marker={"symbol": symbol, "size": 11, "color": colour, "line": {"width": 2, "color": colour}},
            customdata=100 * frame["difference"],
            hovertemplate=f"%{{x}}, {name}<br>{title} %{{y:.3f}}"
            + "<br>difference %{customdata:+.1f} points<extra></extra>",
        )
    figure.update_xaxes(tickangle=-50, range=[-0.6, len(languages) - 0.4], showgrid=False)
    figure.update_yaxes(title=title, rangemode="tozero")
    if languages and frame["language"][0] == "en":
        figure.add_vline(x=0.5, line={"color": GREY, "width": 1, "dash": "dot"})
    return finish(figure, height=420, legend=True)
