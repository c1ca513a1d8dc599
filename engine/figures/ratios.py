"""Figures of the ratio: curves against alpha, and the trade-off plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

import plotly.graph_objects as go
import polars as pl

from engine.figures.labels import label_places
from engine.figures.style import ACCENT, GREY, INK, finish
from engine.significance.selection import LOWER_IS_BETTER
from engine.sweeps.results import curve, pareto
from engine.training.adjusted import adjusted_by

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
    adjusted: bool = False,
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
        adjusted: Whether the axis spans the heads on adjusted vectors too; else they are drawn only where they fit.
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
    shown = pl.col("alpha").is_not_null() & (pl.col("strategy").is_in(["hybrid", "merge"]) | adjusted)
    on_the_scale = points.filter(shown)[column].drop_nulls()
    bar_ends = [*bars.lows, *bars.highs] if bars else []
    low, high = _span([*on_the_scale, *(value for _, value, _ in references), *bar_ends])
    _add_adjusted(figure, points, column, low, high)
    pattern = ".0f" if column == "rank_distance" else ".3f"
    _add_levels(figure, _get_levels_info(points, column, base), low, high, pattern)
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


@dataclass(frozen=True, slots=True)
class _Level:
    """A system beside the ratios: one value, or the range of a curve that lies elsewhere.

    Attributes:
        name: Its strategy; "untrained" for the base encoder.
        low, high: Its value twice, or the ends of its curve.
        is_named: Whether its name is written; a line without a name tells it when pointed at.
    """

    name: str
    low: float
    high: float
    is_named: bool

    def text(self, pattern: str) -> str:
        """Name and value."""
        ends = f"{self.low:{pattern}}" if self.low == self.high else f"{self.low:{pattern}} to {self.high:{pattern}}"
        return f"{self.name} {ends}"


def _get_levels_info(points: pl.DataFrame, column: str, base: float | None) -> list[_Level]:
    """What has no ratio, and heads on adjusted vectors; of the adjusted only the best of either kind is named."""
    known = points.filter(pl.col(column).is_not_null() & ~pl.col("strategy").is_in(["hybrid", "merge"]))
    means = known.group_by("strategy", "alpha").agg(pl.col(column).mean())
    ends = means.group_by("strategy").agg(low=pl.col(column).min(), high=pl.col(column).max()).sort("strategy")
    rows = ends.rows()
    adjusted = {name: adjusted_by(name) for name, _, _ in rows}
    named = {name for name, one in adjusted.items() if one is None}
    for has_head in (False, True):
        kind = [row for row in rows if (one := adjusted[row[0]]) is not None and one.head == has_head]
        if kind:
            lower = column in LOWER_IS_BETTER
            named.add(min(kind, key=lambda row: row[1])[0] if lower else max(kind, key=lambda row: row[2])[0])
    levels = [] if base is None else [_Level("untrained", base, base, is_named=True)]
    return levels + [_Level(name, low, high, name in named) for name, low, high in rows]


def _add_levels(figure: go.Figure, levels: list[_Level], low: float, high: float, pattern: str) -> None:
    """Draw what has no ratio as lines, or name it at the edge that it lies behind."""
    above, below = [], []
    places = cycle(["top left", "bottom right", "top right", "bottom left"])  # lines may lie close together
    for level in sorted(levels, key=lambda level: -level.high):
        text = level.text(pattern)
        if low <= level.low and level.high <= high:
            if level.low != level.high:
                continue  # its curve is drawn
            annotation = {"text": text if level.is_named else "", "font": {"color": GREY, "size": 11}}
            line = {"dash": "dot", "color": GREY, "width": 1}
            figure.add_hline(y=level.low, line=line, annotation=annotation, annotation_position=next(places))
            figure.add_scatter(
                x=[0, 0.25, 0.5, 0.75, 1],
                y=[level.low] * 5,
                mode="lines",
                line={"width": 0},
                hovertemplate=f"{text}<extra></extra>",
                showlegend=False,
            )
        elif level.is_named:
            side, arrow = (above, "↑") if level.high > high else (below, "↓")
            side.append(f"{text} {arrow}")
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


def _add_adjusted(figure: go.Figure, points: pl.DataFrame, column: str, low: float, high: float) -> None:
    """Draw the curves of heads on adjusted vectors that lie on the axis."""
    heads = points.filter(pl.col("alpha").is_not_null() & ~pl.col("strategy").is_in(["hybrid", "merge"]))
    for strategy in heads["strategy"].unique().sort():
        means = curve(points, column, strategy)
        if means.is_empty() or not (low <= means["mean"].min() and means["mean"].max() <= high):
            continue
        figure.add_scatter(
            x=means["alpha"],
            y=means["mean"],
            mode="lines+markers",
            name=strategy,
            line={"color": GREY, "width": 1.5, "dash": "dash"},
            marker={"symbol": "square", "size": 5},
            hovertemplate=f"{strategy}: %{{y:.4f}} at alpha %{{x:g}}<extra></extra>",
        )


def _span(values: Sequence[float]) -> tuple[float, float]:
    """Ends of an axis that shows all values with room around them."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    room = 0.18 * (high - low) or 0.02 * abs(high) or 0.01
    return low - room, high + room
