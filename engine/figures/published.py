"""Figures of what others published: a row a model, a point a model, two models by language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
import polars as pl

from engine.collections.languages import is_tag, language
from engine.escaping import figure_text
from engine.figures.grid import GridInfo, cells, grid_figure
from engine.figures.style import ACCENT, DIVERGING, GREY, INK, SEQUENTIAL, finish, name_of, number

PICKED = (INK, "#c46a1b", "#2a9d8f", "#8a5a9e", ACCENT, "#8a7a1f", "#4fa3d1", "#c2739f")
"""Colours of the models that were picked, in their order."""

_WITH_TEXT = 22  # so many columns leave room for numbers
_WITH_ZERO = 13  # and so many for the zero before the point
_LABELS = 45  # so many columns can be named
_NAMED = 4  # so many models are named beside their points, more in the legend
_SYMBOLS = ("circle", "diamond", "x-thin-open", "square")

Axis = tuple[str, str]
"""A column of a frame, and the title of its axis."""


def language_heatmap(
    scores: pl.DataFrame,
    names: Sequence[str],
    codes: Sequence[str],
    title: str,
    *,
    limits: tuple[float, float] = (0.0, 1.0),
    pattern: str = "{:.2f}",
) -> go.Figure:
    """Scores by language: one row a model, one column a language; numbers in the cells while there is room.

    Args:
        scores: `name`, `language`, `value`.
        names: Rows in order.
        codes: Languages in order; what is no language's code (such as "mean") is shown as it is.
        title: What the values are.
        limits: Ends of the colour scale; below 0, the values are differences, in colours centred on 0.
        pattern: How a value is written.
    """
    info = _get_language_info(scores, names, codes, title, limits=limits, pattern=pattern)
    figure = grid_figure(info, compact=True)
    figure.data[0].update(showscale=True, xgap=0 if len(codes) > _LABELS else 1)
    step = -(-len(codes) // _LABELS)
    places = list(range(0, len(codes), step))
    note = "" if step == 1 else f": {len(codes)}, one in {step} named; point at a cell for its own"
    figure.update_xaxes(tickvals=places, ticktext=[codes[i] for i in places], title=f"language{note}")
    figure.update_xaxes(tickangle=-90 if len(codes) > _WITH_TEXT else 0)
    figure.update_yaxes(title=None)
    return figure


def _get_language_info(
    scores: pl.DataFrame,
    names: Sequence[str],
    codes: Sequence[str],
    title: str,
    *,
    limits: tuple[float, float],
    pattern: str,
) -> GridInfo:
    grid = np.full((len(names), len(codes)), np.nan)
    rows, columns = ({key: i for i, key in enumerate(keys)} for keys in (names, codes))
    for name, code, value in scores.select("name", "language", "value").iter_rows():
        if name in rows and code in columns and value is not None:
            grid[rows[name], columns[code]] = value
    hover = [
        [
            f"{figure_text(name)}<br>{figure_text(_named(code))}: {title} {number(grid[i, j], pattern) or 'not known'}"
            for j, code in enumerate(codes)
        ]
        for i, name in enumerate(names)
    ]
    texts = cells(grid, pattern)
    if len(codes) > _WITH_ZERO:
        texts = [["" if len(codes) > _WITH_TEXT else text.removeprefix("0") for text in row] for row in texts]
    return GridInfo(grid, names, codes, texts, hover, limits, title, DIVERGING if limits[0] < 0 else SEQUENTIAL)


def _named(code: str) -> str:
    return name_of(code) if is_tag(code) else code


def model_plane(
    points: pl.DataFrame,
    x: Axis,
    y: Axis,
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
        picked: Models to set off, in the order of their colours.
        groups: Values of `group` in the order of their symbols; empty: all alike.
        diagonal: Whether to draw the line of equal values.
    """
    info = _get_plane_info(points, x[0], y[0], picked, groups)
    figure = go.Figure()
    if diagonal and info.ends:
        line = {"color": GREY, "width": 1, "dash": "dot"}
        figure.add_scatter(x=info.ends, y=info.ends, mode="lines", line=line, hoverinfo="skip", showlegend=False)
    for models in info.others:
        _add_models(figure, models, x, y)
        if groups:
            _add_to_legend(figure, models.name, models)
    for models in info.picked:
        if models.points.height:
            _add_models(figure, models, x, y)
        if not info.named:
            _add_to_legend(figure, models.name, models)
    figure.update_xaxes(title=x[1])
    figure.update_yaxes(title=y[1])
    figure = finish(figure, height=400, legend=bool(groups) or not info.named)
    return figure if info.named else figure.update_layout(height=500, margin_t=130)


@dataclass(frozen=True, slots=True)
class _ModelsInfo:
    """Points that are drawn alike: a picked model, or the others of a group.

    Attributes:
        name: The model's without its owner, or the group's.
        points: Rows of the frame.
        symbol: Their symbol.
        colour: Of a picked model; None for the others.
        place: Where the model's name stands; None if it is not written.
    """

    name: str
    points: pl.DataFrame
    symbol: str
    colour: str | None = None
    place: str | None = None


@dataclass(frozen=True, slots=True)
class _PlaneInfo:
    """What a plane of models shows.

    Attributes:
        others: The models that were not picked, by group.
        picked: The picked models in their order; without points where a value is not known.
        named: Whether the picked ones are named beside their points, and not in the legend.
        ends: The least and the greatest of all values, where the diagonal begins and ends; empty without points.
    """

    others: list[_ModelsInfo]
    picked: list[_ModelsInfo]
    named: bool
    ends: list[float]


def _get_plane_info(points: pl.DataFrame, x: str, y: str, picked: Sequence[str], groups: Sequence[str]) -> _PlaneInfo:
    known = points.drop_nulls([x, y])
    values = [*known[x].to_list(), *known[y].to_list()]
    grouped = [(group, known.filter(pl.col("group") == group)) for group in groups] or [("", known)]
    others = [
        _ModelsInfo(group, part.filter(~pl.col("model").is_in(picked)), symbol)
        for symbol, (group, part) in zip(_SYMBOLS, grouped, strict=False)
    ]
    named = len(picked) <= _NAMED
    places = _name_places(known, x, y, picked) if named else {}
    models = []
    for colour, model in zip(PICKED, picked, strict=False):
        part = known.filter(pl.col("model") == model)
        symbol = _SYMBOLS[list(groups).index(part["group"][0])] if groups and part.height else _SYMBOLS[0]
        models.append(_ModelsInfo(model.rpartition("/")[2], part, symbol, colour, places.get(model)))
    return _PlaneInfo(others, models, named, [min(values), max(values)] if values else [])


def _name_places(known: pl.DataFrame, x: str, y: str, picked: Sequence[str]) -> dict[str, str]:
    """Where the names of picked models stand: towards the middle, above and below in turn from the highest point."""
    across = known[x].to_list()
    middle = (min(across) + max(across)) / 2 if across else 0.0
    models = known.filter(pl.col("model").is_in(picked)).sort(y, descending=True)
    return {
        model: f"{'bottom' if turn % 2 else 'top'} {'left' if at > middle else 'right'}"
        for turn, (model, at) in enumerate(models.select("model", x).iter_rows())
    }


def _add_to_legend(figure: go.Figure, name: str, models: _ModelsInfo) -> None:
    """A line of the legend that does not depend on whether there is such a point."""
    colour = models.colour or GREY
    marker = {"symbol": models.symbol, "size": 9, "color": colour, "line": {"color": colour}}
    figure.add_scatter(x=[None], y=[None], mode="markers", name=figure_text(name), marker=marker)


def _add_models(figure: go.Figure, models: _ModelsInfo, x: Axis, y: Axis) -> None:
    points, colour, is_picked = models.points, models.colour or GREY, models.colour is not None
    figure.add_scatter(
        x=points[x[0]],
        y=points[y[0]],
        mode="markers" if models.place is None else "markers+text",
        showlegend=False,
        text=None if models.place is None else [figure_text(models.name)],
        textposition=models.place,
        textfont={"color": colour, "weight": "bold"},
        cliponaxis=False,
        marker={
            "symbol": models.symbol,
            "size": 13 if is_picked else 7,
            "color": colour,
            "opacity": 1 if is_picked else 0.55,
            "line": {"width": 1.5 if models.symbol.endswith("open") else 0, "color": colour},
        },
        customdata=[tuple(map(figure_text, row)) for row in points.select("model", "about").iter_rows()],
        hovertemplate="<b>%{customdata[0]}</b><br>"
        + f"{x[1]} %{{x:.3f}}<br>{y[1]} %{{y:.3f}}<br>%{{customdata[1]}}<extra></extra>",
    )


def language_dumbbells(compared: pl.DataFrame, names: tuple[str, str], title: str) -> go.Figure:
    """Two models' scores by language, joined; English first, then the languages by what changed, most first.

    Args:
        compared: Frame of `published.compare`.
        names: What to call the English and the multilingual model.
        title: What the values are.
    """
    info = _get_dumbbells_info(compared)
    joints: dict[str, list[str | float | None]] = {"x": [], "y": []}
    for name, low, high in zip(info.names, info.english, info.multilingual, strict=True):
        joints["x"] += [name, name, None]
        joints["y"] += [low, high, None]
    figure = go.Figure()
    figure.add_scatter(
        **joints, mode="lines", line={"color": GREY, "width": 2}, opacity=0.6, hoverinfo="skip", showlegend=False
    )
    for values, name, symbol, colour in (
        (info.english, names[0], "circle-open", PICKED[1]),
        (info.multilingual, names[1], "circle", PICKED[0]),
    ):
        figure.add_scatter(
            x=info.names,
            y=values,
            mode="markers",
            name=name,
            cliponaxis=False,
            marker={"symbol": symbol, "size": 11, "color": colour, "line": {"width": 2, "color": colour}},
            customdata=info.differences,
            hovertemplate=f"%{{x}}, {name}<br>{title} %{{y:.3f}}"
            + "<br>difference %{customdata:+.1f} points<extra></extra>",
        )
    figure.update_xaxes(tickangle=-50, range=[-0.6, len(info.names) - 0.4], showgrid=False)
    figure.update_yaxes(title=title, rangemode="tozero")
    if info.begins_with_english:
        figure.add_vline(x=0.5, line={"color": GREY, "width": 1, "dash": "dot"})
    return finish(figure, height=420, legend=True)


@dataclass(frozen=True, slots=True)
class _DumbbellsInfo:
    """Two models by language.

    Attributes:
        names: Of the languages: English, then those that changed most first.
        english, multilingual: Scores of the two models.
        differences: The second minus the first, in points.
        begins_with_english: Whether English is among them.
    """

    names: list[str]
    english: list[float]
    multilingual: list[float]
    differences: list[float]
    begins_with_english: bool


def _get_dumbbells_info(compared: pl.DataFrame) -> _DumbbellsInfo:
    frame = compared.sort(pl.col("language") != "en", -pl.col("difference"), "language")
    return _DumbbellsInfo(
        [language(code).name for code in frame["language"]],
        frame["english"].to_list(),
        frame["multilingual"].to_list(),
        (100 * frame["difference"]).to_list(),
        "en" in frame["language"],
    )
