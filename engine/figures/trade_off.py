"""The trade-off plane: two scores against each other, a point a ratio."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go
import polars as pl

from engine.figures.labels import label_places
from engine.figures.style import ACCENT, GREY, finish, span
from engine.sweeps.results import means_by_ratio, pareto


def trade_off(points: pl.DataFrame, x: str, y: str, names: tuple[str, str], *, alpha: float | None = None) -> go.Figure:
    """Two scores against each other, one point a ratio (mean over seeds), coloured by rank distance, with the front.

    Args:
        points: Frame of `results.points`.
        x: Column across.
        y: Column up.
        names: What to call them.
        alpha: The chosen ratio, ringed.
    """
    info = _get_trade_off_info(points, x, y)
    figure = go.Figure()
    hover = f"{names[0]} %{{x:.4f}}<br>{names[1]} %{{y:.4f}}<br>rank distance %{{customdata[1]:.0f}}<extra></extra>"
    for strategy, symbol, name in (
        ("hybrid", "circle", "mixed batches"),
        ("merge", "diamond-open", "merged checkpoints"),
    ):
        part, is_mixed = info.means.filter(pl.col("strategy") == strategy), strategy == "hybrid"
        if part.height:
            figure.add_scatter(
                x=part[x],
                y=part[y],
                mode="markers+text",
                name=name,
                text=[f"{value:g}" for value in part["alpha"]] if is_mixed else None,
                textposition=label_places(part[x].to_list(), part[y].to_list(), info.means.select(x, y).to_numpy()),
                cliponaxis=False,
                marker=_marker(info, part, symbol, alpha) | {"showscale": is_mixed},
                customdata=part.select("alpha", "rank_distance").to_numpy(),
                hovertemplate=f"alpha %{{customdata[0]:g}}<br>{hover}",
            )
    line = {"color": GREY, "dash": "dot"}
    front = {"x": info.front[x], "y": info.front[y]}
    figure.add_scatter(**front, mode="lines", name="Pareto front", line=line, hoverinfo="skip")
    figure.update_xaxes(title=names[0], range=span(info.means[x].drop_nulls().to_list()))
    figure.update_yaxes(title=names[1], range=span(info.means[y].drop_nulls().to_list()))
    return finish(figure, height=400, legend=True)


def _marker(info: _TradeOffInfo, part: pl.DataFrame, symbol: str, alpha: float | None) -> dict[str, object]:
    return {
        "size": 15,
        "symbol": symbol,
        "color": part["rank_distance"],
        "colorscale": "Cividis",
        "line": {"width": [3 if alpha == value else 1 for value in part["alpha"]], "color": ACCENT},
        "colorbar": {"title": {"text": "rank distance", "side": "right"}, "thickness": 12},
        "cmin": info.distances[0],
        "cmax": info.distances[1],
    }


@dataclass(frozen=True, slots=True)
class _TradeOffInfo:
    """What the trade-off plane shows.

    Attributes:
        means: `strategy`, `alpha`, the two scores and `rank_distance`, a row per ratio, means over seeds.
        front: Rows of `means` on the Pareto front, by the score across.
        distances: The lowest and the highest rank distance, ends of the colour scale; None if unknown.
    """

    means: pl.DataFrame
    front: pl.DataFrame
    distances: tuple[float | None, float | None]


def _get_trade_off_info(points: pl.DataFrame, x: str, y: str) -> _TradeOffInfo:
    means = means_by_ratio(points, [x, y, "rank_distance"])
    known = means["rank_distance"].drop_nulls().to_list()
    front = means.filter(pareto(means, [x, y])).sort(x)
    return _TradeOffInfo(means, front, (min(known, default=None), max(known, default=None)))
