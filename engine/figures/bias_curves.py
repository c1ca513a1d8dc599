"""A bias measure against the ratio."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go
import polars as pl

from engine.bias import MEASURES
from engine.figures.style import ACCENT, GREY, INK, error_bars, finish, span


def measure_curve(curves: pl.DataFrame, measure: str, *, base: float | None = None) -> go.Figure:
    """One measure against the ratio: mean over seeds with its interval.

    Args:
        curves: Frame of `bias.curves`.
        measure: Which.
        base: The untrained encoder's value.
    """
    info = _get_measure_curve_info(curves, measure, base)
    figure = go.Figure(
        go.Scatter(
            x=info.alphas,
            y=info.values,
            mode="lines+markers",
            line={"color": INK, "width": 2.5},
            marker={"size": 7},
            error_y=error_bars(info.values, info.lows, info.highs, INK),
            hovertext=info.hover,
            hoverinfo="text",
        )
    )
    for level, colour, side in ((info.untrained, GREY, "left"), (info.random, ACCENT, "right")):
        if level is not None:
            _add_level(figure, level, colour, side)
    figure.update_xaxes(title="alpha", range=[-0.05, 1.05], tickvals=[0, 0.5, 1])
    per_cent = "%" in MEASURES[measure].pattern
    figure.update_yaxes(range=info.axis, nticks=5, tickformat=".0%" if per_cent else None)
    return finish(figure, height=230, legend=False)


@dataclass(frozen=True, slots=True)
class _LevelInfo:
    """A value that has no ratio.

    Attributes:
        value: The value.
        text: Its name and value; an arrow says behind which end of the axis it lies.
        behind: That end, "top" or "bottom"; empty if it lies within the axis.
    """

    value: float
    text: str
    behind: str


@dataclass(frozen=True, slots=True)
class _MeasureCurveInfo:
    """A measure against the ratio.

    Attributes:
        alphas: The ratios in order.
        values: Means over seeds.
        lows, highs: Ends of the intervals; the value itself where there is none.
        hover: Of every ratio.
        axis: Ends of the value axis.
        untrained, random: The untrained encoder's value and that of a random ranking.
    """

    alphas: list[float]
    values: list[float]
    lows: list[float]
    highs: list[float]
    hover: list[str]
    axis: tuple[float, float]
    untrained: _LevelInfo | None
    random: _LevelInfo | None


def _get_measure_curve_info(curves: pl.DataFrame, measure: str, base: float | None) -> _MeasureCurveInfo:
    frame = curves.filter(pl.col("measure") == measure).drop_nulls("value").sort("alpha")
    write = MEASURES[measure].write
    hover = [
        f"alpha {row['alpha']:g}: {write(row['value'])}, 95 % interval {write(row['low'])} to {write(row['high'])}, "
        f"{row['seeds']} seed{'s' if row['seeds'] > 1 else ''}"
        for row in frame.to_dicts()
    ]
    values, lows, highs = (frame[name].fill_null(frame["value"]).to_list() for name in ("value", "low", "high"))
    axis = span([*values, *lows, *highs], 0.25)

    def level(value: float | None, name: str) -> _LevelInfo | None:
        if value is None:
            return None
        behind = "top" if value > axis[1] else "bottom" if value < axis[0] else ""
        arrow = {"top": " ↑", "bottom": " ↓", "": ""}[behind]
        return _LevelInfo(value, f"{name} {write(value)}{arrow}", behind)

    random = level(frame["random"][0] if frame.height else None, "random")
    return _MeasureCurveInfo(
        frame["alpha"].to_list(), values, lows, highs, hover, axis, level(base, "untrained"), random
    )


def _add_level(figure: go.Figure, level: _LevelInfo, colour: str, side: str) -> None:
    """A line at a value with its name, or the name at the end of the axis that it lies behind."""
    if not level.behind:
        figure.add_hline(y=level.value, line={"dash": "dot", "color": colour, "width": 1.5})
    figure.add_annotation(
        x=0.01 if side == "left" else 0.99,
        y=float(level.behind == "top") if level.behind else level.value,
        xref="paper",
        yref="paper" if level.behind else "y",
        xanchor=side,
        yanchor=level.behind or "bottom",
        text=level.text,
        font={"color": colour, "size": 11},
        showarrow=False,
    )
