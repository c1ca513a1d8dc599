"""Figures of the ratio: curves against alpha, and the trade-off plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

import plotly.graph_objects as go
import polars as pl

from engine.figures.labels import label_places
from engine.figures.style import ACCENT, GREY, INK, finish
from engine.sweeps.results import curve, pareto

SETTING_COLOURS = {"mono": "#8a5a9e", "cross": "#2a9d8f", "multi": INK, "rank_distance": ACCENT}


def ratio_curve(
    points: pl.DataFrame,
    column: str,
    name: str,
    *,
    base: float | None = None,
    alpha: float | None = None,
    references: Sequence[tuple[float, float, str]] = (),
    selection: pl.DataFrame | None = None,
) -> go.Figure:
    """One figure against alpha: every seed a dot, the mean a line; merged checkpoints as open diamonds.

    The value axis spans the ratios. What has none, the untrained encoder and the baselines, is a line, or named at the
    edge that it lies behind. With `selection`, a
    thin line marks the best ratio, and bars the interval of every other's difference from it, set off from that line:
    a ratio whose bar crosses it does not differ significantly from the best. (Intervals of the values themselves would
    be far wider, since all ratios answer the same easy and hard questions.)

    Args:
        points: Frame of `ratios.points`.
        column: Which of its columns.
        name: What to call it.
        base: The untrained encoder's value.
        alpha: The chosen ratio, drawn as a band.
        references: Published points to draw beside ours: (alpha, value, name); the name begins with the model's.
        selection: Frame of `significance.select` over the ratios.
    """
    figure = go.Figure()
    colour = SETTING_COLOURS.get(column, SETTING_COLOURS.get(column.partition("_")[0], GREY))
    bars = None if selection is None else _get_bars_info(selection)
    if bars:
        _add_bars(figure, bars, colour)
    _add_curve(figure, points, column, name, colour)
    _add_references(figure, references)
    if alpha is not None:
        figure.add_vline(x=alpha, line={"color": GREY, "width": 6}, opacity=0.35)
    on_the_scale = points.filter(pl.col("alpha").is_not_null())[column].drop_nulls()
    bar_ends = [*bars.lows, *bars.highs] if bars else []
    low, high = _span([*on_the_scale, *(value for _, value, _ in references), *bar_ends])
    _add_levels(figure, _levels(points, column, base), low, high, ".0f" if column == "rank_distance" else ".3f")
    figure.update_xaxes(title="alpha", range=[-0.05, 1.05], tickvals=[0, 0.5, 1])
    figure.update_yaxes(range=[low, high], nticks=5)
    return finish(figure, height=270, legend=False)


def trade_off(points: pl.DataFrame, x: str, y: str, names: tuple[str, str], *, alpha: float | None = None) -> go.Figure:
    """Two scores against each other, one point a ratio (mean over seeds), coloured by rank distance, with the front.

    Args:
        points: Frame of `ratios.points`.
        x: Column across.
        y: Column up.
        names: What to call them.
        alpha: The chosen ratio, ringed.
    """
    info = _get_trade_off_info(points, x, y)
    means, front = info.means, info.front
    figure = go.Figure()
    limits = {"cmin": means["rank_distance"].min(), "cmax": means["rank_distance"].max()}
    for strategy, symbol in (("hybrid", "circle"), ("merge", "diamond-open")):
        part = means.filter(pl.col("strategy") == strategy)
        if part.is_empty():
            continue
        figure.add_scatter(
            x=part[x],
            y=part[y],
            mode="markers+text",
            name="mixed batches" if strategy == "hybrid" else "merged checkpoints",
            text=[f"{value:g}" for value in part["alpha"]] if strategy == "hybrid" else None,
            textposition=label_places(part[x], part[y], means.select(x, y).to_numpy()),
            cliponaxis=False,
            marker={
                "size": 15,
                "symbol": symbol,
                "color": part["rank_distance"],
                "colorscale": "Cividis",
                "line": {"width": [3 if alpha == value else 1 for value in part["alpha"]], "color": ACCENT},
                "showscale": strategy == "hybrid",
                "colorbar": {"title": {"text": "rank distance", "side": "right"}, "thickness": 12},
                **limits,
            },
            customdata=part.select("alpha", "rank_distance").to_numpy(),
            hovertemplate="alpha %{customdata[0]:g}<br>"
            + f"{names[0]} %{{x:.4f}}<br>{names[1]} %{{y:.4f}}<br>rank distance %{{customdata[1]:.0f}}<extra></extra>",
        )
    figure.add_scatter(
        x=front[x], y=front[y], mode="lines", name="Pareto front", line={"color": GREY, "dash": "dot"}, hoverinfo="skip"
    )
    figure.update_xaxes(title=names[0], range=_span(means[x].drop_nulls().to_list()))
    figure.update_yaxes(title=names[1], range=_span(means[y].drop_nulls().to_list()))
    return finish(figure, height=400, legend=True)


@dataclass(frozen=True, slots=True)
class _TradeOffInfo:
    """What the trade-off plane shows.

    Attributes:
        means: `strategy`, `alpha`, the two scores and `rank_distance`, a row per ratio, means over seeds.
        front: Rows of `means` on the Pareto front, by the score across.
    """

    means: pl.DataFrame
    front: pl.DataFrame


def _get_trade_off_info(points: pl.DataFrame, x: str, y: str) -> _TradeOffInfo:
    means = (
        points.filter(pl.col("strategy").is_in(["hybrid", "merge"]))
        .group_by("strategy", "alpha")
        .agg(pl.col(x).mean(), pl.col(y).mean(), pl.col("rank_distance").mean())
        .sort("strategy", "alpha")
    )
    return _TradeOffInfo(means, means.filter(pareto(means, [x, y])).sort(x))


def _add_curve(figure: go.Figure, points: pl.DataFrame, column: str, name: str, colour: str) -> None:
    means, hybrid = (
        curve(points, column),
        points.filter((pl.col("strategy") == "hybrid") & pl.col("alpha").is_not_null()),
    )
    figure.add_scatter(
        x=hybrid["alpha"],
        y=hybrid[column],
        mode="markers",
        marker={"color": colour, "size": 6, "opacity": 0.55},
        customdata=hybrid["seed"],
        hovertemplate=f"{name}, seed %{{customdata}}: %{{y:.4f}} at alpha %{{x:g}}<extra></extra>",
        showlegend=False,
    )
    figure.add_scatter(
        x=means["alpha"],
        y=means["mean"],
        mode="lines",
        name=name,
        line={"color": colour, "width": 2.5},
        hovertemplate=f"{name}, mean: %{{y:.4f}}<extra></extra>",
    )
    merged = curve(points, column, "merge")
    if merged.height:
        figure.add_scatter(
            x=merged["alpha"],
            y=merged["mean"],
            mode="markers",
            name=f"{name}, merged",
            marker={"symbol": "diamond-open", "color": colour, "size": 9, "line": {"width": 2}},
            hovertemplate=f"{name}, merged: %{{y:.4f}} at weight %{{x:g}}<extra></extra>",
        )


@dataclass(frozen=True, slots=True)
class _BarsInfo:
    """Bars of the differences from the best ratio.

    Attributes:
        best: The best ratio's value.
        alphas, values: The other ratios and their values.
        lows, highs: Where each bar ends: the best's value plus the ends of the difference's interval.
    """

    best: float
    alphas: list[float]
    values: list[float]
    lows: list[float]
    highs: list[float]


def _get_bars_info(selection: pl.DataFrame) -> _BarsInfo | None:
    """Bars of a frame of `significance.select`; None if there is nothing to compare."""
    others = selection.drop_nulls("difference_low")
    if others.is_empty():
        return None
    best = float((others["value"] - others["difference"])[0])
    return _BarsInfo(
        best,
        others["system"].to_list(),
        others["value"].to_list(),
        (best + others["difference_low"]).to_list(),
        (best + others["difference_high"]).to_list(),
    )


def _add_bars(figure: go.Figure, info: _BarsInfo, colour: str) -> None:
    figure.add_hline(y=info.best, line={"color": colour, "width": 1, "dash": "dash"}, opacity=0.6)
    figure.add_scatter(
        x=info.alphas,
        y=info.values,
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [high - value for high, value in zip(info.highs, info.values, strict=True)],
            "arrayminus": [value - low for low, value in zip(info.lows, info.values, strict=True)],
            "color": colour,
            "thickness": 1.5,
            "width": 4,
        },
        mode="markers",
        marker={"size": 1, "color": colour},
        opacity=0.7,
        hoverinfo="skip",
        showlegend=False,
    )


def _add_references(figure: go.Figure, references: Sequence[tuple[float, float, str]]) -> None:
    """Draw published points in grey, those of a model joined by a dotted line that bears its name."""
    models: dict[str, list[tuple[float, float, str]]] = {}
    for point in sorted(references):
        models.setdefault(point[2].partition(" ")[0], []).append(point)
    for model, points in models.items():
        figure.add_scatter(
            x=[at for at, _, _ in points],
            y=[value for _, value, _ in points],
            mode="lines+markers+text",
            text=["" if i else model for i in range(len(points))],
            textposition="top right",
            textfont={"color": GREY, "size": 11},
            marker={"symbol": "x-thin", "size": 8, "line": {"width": 2, "color": GREY}},
            line={"color": GREY, "width": 1, "dash": "dot"},
            customdata=[name for _, _, name in points],
            hovertemplate="%{customdata}: %{y:.4g} at alpha %{x:g}<extra></extra>",
            showlegend=False,
            cliponaxis=False,
        )


def _levels(points: pl.DataFrame, column: str, base: float | None) -> dict[str, float]:
    """What has no ratio: the untrained encoder, and the means of the baselines."""
    baselines = points.filter(pl.col("alpha").is_null() & pl.col(column).is_not_null())
    means = baselines.group_by("strategy").agg(pl.col(column).mean()).sort("strategy").iter_rows()
    return ({} if base is None else {"untrained": base}) | dict(means)


def _add_levels(figure: go.Figure, levels: dict[str, float], low: float, high: float, pattern: str) -> None:
    """Draw what has no ratio as lines, or name it at the edge that it lies behind."""
    above, below = [], []
    places = cycle(["top left", "bottom right", "top right", "bottom left"])  # lines may lie close together
    for name, value in sorted(levels.items(), key=lambda level: -level[1]):
        text = f"{name} {value:{pattern}}"
        if low <= value <= high:
            annotation = {"text": text, "font": {"color": GREY, "size": 11}}
            line = {"dash": "dot", "color": GREY, "width": 1}
            figure.add_hline(y=value, line=line, annotation=annotation, annotation_position=next(places))
        elif value > high:
            above.append(f"{text} ↑")
        else:
            below.append(f"{text} ↓")
    for y, anchor, texts in ((1, "top", above), (0, "bottom", below)):
        if texts:
            figure.add_annotation(
                x=0.5,
                y=y,
                xref="paper",
                yref="paper",
                yanchor=anchor,
                text="<br>".join(texts),
                font={"color": GREY, "size": 11},
                showarrow=False,
            )


def _span(values: Sequence[float]) -> tuple[float, float]:
    """Ends of an axis that shows all values with room around them."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    room = 0.18 * (high - low) or 0.02 * abs(high) or 0.01
    return low - room, high + room
