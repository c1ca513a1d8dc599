"""Scores of a few systems by language, side by side with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
import polars as pl

from engine.collections.languages import language
from engine.escaping import figure_text
from engine.figures.style import GREY, INK, error_bars, finish, span

_COLOURS = (INK, GREY)
_APART = 0.3  # of a language's room, between the points of two systems


@dataclass(frozen=True, slots=True)
class _SystemInfo:
    """One system's points.

    Attributes:
        name: What to call it.
        places: Where its points stand across; languages stand at whole numbers.
        values: Of the points.
        lows, highs: Ends of their intervals; the value itself where there is none.
    """

    name: str
    places: list[float]
    values: list[float]
    lows: list[float]
    highs: list[float]


@dataclass(frozen=True, slots=True)
class _LanguagesInfo:
    """What the figure shows.

    Attributes:
        languages: Names in order: the first system's highest score first.
        systems: Their points.
        span: Ends of the value axis, which begins at 0.
    """

    languages: list[str]
    systems: list[_SystemInfo]
    span: tuple[float, float]


def language_points(scores: pl.DataFrame, systems: Sequence[str], title: str) -> go.Figure:
    """A point for each language and system, with its 95 % interval.

    Args:
        scores: `system`, `language`, `value`, `low`, `high` (both null where no interval is known).
        systems: At most two of the systems; languages are in the order of the first one's scores.
        title: What the values are.
    """
    info = _get_languages_info(scores, systems)
    figure = go.Figure()
    for system, colour in zip(info.systems, _COLOURS, strict=False):
        figure.add_scatter(
            x=system.places,
            y=system.values,
            mode="markers",
            name=figure_text(system.name),
            marker={"color": colour, "size": 8},
            error_y=error_bars(system.values, system.lows, system.highs, colour),
            customdata=[[info.languages[round(place)]] for place in system.places],
            hovertemplate="%{customdata[0]}: %{y:.3f}",
        )
    figure.update_xaxes(tickvals=list(range(len(info.languages))), ticktext=info.languages, tickangle=-35)
    figure.update_yaxes(range=info.span, title=title)
    return finish(figure, height=340, legend=True)


def _get_languages_info(scores: pl.DataFrame, systems: Sequence[str]) -> _LanguagesInfo:
    first = scores.filter(pl.col("system") == systems[0]).sort("value", "language", descending=[True, False])
    place = {code: i for i, code in enumerate(first["language"])}
    points = []
    for number, name in enumerate(systems):
        of = scores.filter((pl.col("system") == name) & pl.col("language").is_in(list(place)))
        of = of.with_columns(pl.col("low", "high").fill_null(pl.col("value")))
        offset = _APART * (number - (len(systems) - 1) / 2)
        places = [place[code] + offset for code in of["language"]]
        points.append(_SystemInfo(name, places, *(of[column].to_list() for column in ("value", "low", "high"))))
    _, high = span([0.0, *(high for one in points for high in one.highs)], 0.06)
    return _LanguagesInfo([language(code).name for code in place], points, (0.0, high))
