"""Figures of the ratio: curves against alpha, the trade-off plane, and losses."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
import polars as pl

from engine.figures.style import ACCENT, GREY, INK, finish
from engine.ratios import curve, pareto

SETTING_COLOURS = {"mono": "#8a5a9e", "cross": "#2a9d8f", "multi": INK, "rank_distance": ACCENT}


def ratio_curve(
    points: pl.DataFrame,
    column: str,
    name: str,
    *,
    base: float | None = None,
    alpha: float | None = None,
    references: Sequence[tuple[float, float, str]] = (),
) -> go.Figure:
    """One figure against alpha: every seed a dot, the mean a line; merged checkpoints as open diamonds.

    The value axis spans what was trained. An untrained encoder outside of it is named at the edge.

    Args:
        points: Frame of `ratios.points`.
        column: Which of its columns.
        name: What to call it.
        base: The untrained encoder's value.
        alpha: The chosen ratio, drawn as a band.
        references: Published points to draw beside ours: (alpha, value, name).
    """
    figure = go.Figure()
    colour = SETTING_COLOURS.get(column, SETTING_COLOURS.get(column.partition("_")[0], GREY))
    _add_curve(figure, points, column, name, colour)
    for at, value, reference in references:
        figure.add_scatter(
            x=[at],
            y=[value],
            mode="markers",
            marker={"symbol": "x-thin-open", "size": 10, "color": GREY, "line": {"width": 2}},
            hovertemplate=f"{reference}: %{{y:.3f}} at alpha %{{x:.2f}}<extra></extra>",
        )
    if alpha is not None:
        figure.add_vline(x=alpha, line={"color": GREY, "width": 6}, opacity=0.35)
    low, high = _span([*points[column].drop_nulls(), *(value for _, value, _ in references)])
    if base is not None:
        _add_base(figure, base, low, high, ".0f" if column == "rank_distance" else ".3f")
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
    means = (
        points.filter(pl.col("strategy").is_in(["hybrid", "merge"]))
        .group_by("strategy", "alpha")
        .agg(pl.col(x).mean(), pl.col(y).mean(), pl.col("rank_distance").mean())
        .sort("strategy", "alpha")
    )
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
            textposition="top center",
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
    front = means.filter(pareto(means, [x, y])).sort(x)
    figure.add_scatter(
        x=front[x], y=front[y], mode="lines", name="Pareto front", line={"color": GREY, "dash": "dot"}, hoverinfo="skip"
    )
    figure.update_xaxes(title=names[0])
    figure.update_yaxes(title=names[1])
    return finish(figure, height=400, legend=True)


def loss_curves(losses: pl.DataFrame) -> go.Figure:
    """Training loss against steps, a line per checkpoint.

    Args:
        losses: `what`, `step`, `loss`.
    """
    figure = go.Figure()
    for what in losses["what"].unique(maintain_order=True):
        part = losses.filter(pl.col("what") == what)
        figure.add_scatter(x=part["step"], y=part["loss"], mode="lines", name=what.partition(", alpha ")[2] or what)
    figure.update_xaxes(title="step")
    figure.update_yaxes(title="loss", type="log")
    return finish(figure, height=300, legend=True)


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


def _add_base(figure: go.Figure, base: float, low: float, high: float, pattern: str) -> None:
    """Draw the untrained encoder as a line, or name it at the edge that it lies behind."""
    text = f"untrained {base:{pattern}}"
    if low <= base <= high:
        figure.add_hline(
            y=base, line={"dash": "dot", "color": GREY}, annotation={"text": text, "font": {"color": GREY}}
        )
        return
    above = base > high
    figure.add_annotation(
        x=0.5,
        y=1 if above else 0,
        xref="paper",
        yref="paper",
        yanchor="top" if above else "bottom",
        text=f"{text} {'↑' if above else '↓'}",
        font={"color": GREY},
        showarrow=False,
    )


def _span(values: Sequence[float]) -> tuple[float, float]:
    """Ends of an axis that shows all values with room around them."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    room = 0.18 * (high - low) or 0.02 * abs(high) or 0.01
    return low - room, high + room
