"""Curves against alpha, the ratio."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
import polars as pl

from engine.figures.style import ACCENT, GREY, INK, STRIP, error_bars, finish, span
from engine.ranks.metrics import METRICS, label
from engine.sweeps.beside import Level, adjusted_curves, levels
from engine.sweeps.results import BETWEEN_THE_ENDS, curve

SETTING_COLOURS = {"mono": "#8a5a9e", "cross": "#2a9d8f", "multi": INK, "rank_distance": ACCENT}
SETTING_COLOURS |= {"caption-picture": "#2a9d8f", "picture-caption": "#8a5a9e"}
Reference = tuple[float, float, str]
"""A published point: alpha, value, name; the name begins with the model's."""

_CHARACTERS = 34  # of a line of the strip above a curve
_LINE = 15  # pixels of such a line


@dataclass(frozen=True, slots=True)
class Beside:
    """What stands beside the ratios of a curve.

    Attributes:
        base: The untrained encoder's value.
        references: Published points.
        adjusted: Whether the axis spans the heads on adjusted vectors too; else they are drawn only where they fit.
    """

    base: float | None = None
    references: Sequence[Reference] = ()
    adjusted: bool = False


def ratio_curve(
    points: pl.DataFrame,
    column: str,
    *,
    alpha: float | None = None,
    selection: pl.DataFrame | None = None,
    beside: Beside | None = None,
) -> go.Figure:
    """One column against alpha: every seed a dot, the mean a line; merged checkpoints as open diamonds.

    The value axis spans the ratios. What has no ratio, the untrained encoder and the baselines, is named in a strip
    above the plot, where nothing can cover it, and drawn as a line if it lies within the axis. With `selection`, a
    thin line marks the best ratio, and bars the interval of every other's difference from it, set off from that line:
    a ratio whose bar crosses it does not differ significantly from the best. (Intervals of the values themselves would
    be far wider, since all ratios answer the same easy and hard questions.)

    Args:
        points: Frame of `results.points`.
        column: Which of its columns.
        alpha: The chosen ratio, drawn as a band behind the rest.
        selection: Frame of `significance.select` over the ratios.
        beside: What stands beside the ratios.
    """
    info = _get_curve_info(points, column, selection, beside or Beside())
    figure = go.Figure()
    colour = SETTING_COLOURS.get(column, SETTING_COLOURS.get(column.partition("_")[0], GREY))
    if info.bars:
        _add_bars(figure, info.bars, colour)
    _add_curve(figure, info, colour)
    for model, published in info.references.items():
        _add_reference(figure, model, published)
    if alpha is not None:
        figure.add_vline(x=alpha, line={"color": GREY, "width": 6}, opacity=0.35, layer="below")
    _add_beside(figure, info)
    figure.update_xaxes(title="alpha", range=[-0.05, 1.05], tickvals=[0, 0.5, 1])
    figure.update_yaxes(range=info.span, nticks=5)
    finish(figure, height=270, legend=False)
    if info.strip:
        _add_strip(figure, info.strip)
    return figure


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


@dataclass(frozen=True, slots=True)
class _CurveInfo:
    """What a curve against alpha shows.

    Attributes:
        name: What to call the column.
        seeds: `alpha`, `seed` and the column, a row per checkpoint trained on mixed batches.
        means, merged: `alpha` and `mean` over seeds, of mixed batches and of merged checkpoints.
        bars: Intervals of the differences from the best ratio.
        references: Published points by model, in the order of alpha.
        span: Ends of the value axis.
        lines: Values without a ratio that lie within the axis, highest first, each with its name.
        adjusted: Curves of heads on adjusted vectors that lie within the axis, by strategy.
        strip: Names and values of what has no ratio, highest first; an arrow says behind which end a value lies.
    """

    name: str
    seeds: pl.DataFrame
    means: pl.DataFrame
    merged: pl.DataFrame
    bars: _BarsInfo | None
    references: dict[str, list[Reference]]
    span: tuple[float, float]
    lines: list[tuple[float, str]]
    adjusted: dict[str, pl.DataFrame]
    strip: list[str]


def _get_curve_info(points: pl.DataFrame, column: str, selection: pl.DataFrame | None, beside: Beside) -> _CurveInfo:
    bars = None if selection is None else _get_bars_info(selection)
    hybrid = (pl.col("strategy") == "hybrid") & pl.col("alpha").is_not_null()
    spanned = pl.col("alpha").is_not_null() & (pl.col("strategy").is_in(BETWEEN_THE_ENDS) | beside.adjusted)
    bar_ends = [*bars.lows, *bars.highs] if bars else []
    published = [value for _, value, _ in beside.references]
    low, high = span([*points.filter(spanned)[column].drop_nulls(), *published, *bar_ends])
    others, curves = levels(points, column, beside.base), adjusted_curves(points, column)
    pattern = ".0f" if column == "rank_distance" else ".3f"
    return _CurveInfo(
        _name(column),
        points.filter(hybrid).select("alpha", "seed", column),
        curve(points, column).select("alpha", "mean"),
        curve(points, column, "merge").select("alpha", "mean"),
        bars,
        _by_model(beside.references),
        (low, high),
        [(one.low, one.text(pattern)) for one in others if one.low == one.high and low <= one.low <= high],
        {name: means for name, means in curves.items() if means["mean"].is_between(low, high).all()},
        [text for one in others if (text := _strip_text(one, pattern, low, high))],
    )


def _name(column: str) -> str:
    """What to call a column of `results.points`, such as "multi mAP" or "rank distance"."""
    setting, _, metric = column.partition("_")
    return f"{setting} {label(metric)}" if metric in METRICS else column.replace("_", " ")


def _strip_text(level: Level, pattern: str, low: float, high: float) -> str:
    """A system's name and value for the strip; empty where it has none, or its curve is drawn."""
    is_within = low <= level.low and level.high <= high
    if not level.is_named or (is_within and level.low != level.high):
        return ""
    return level.text(pattern) if is_within else f"{level.text(pattern)} {'↑' if level.high > high else '↓'}"


def _by_model(references: Iterable[Reference]) -> dict[str, list[Reference]]:
    models: dict[str, list[Reference]] = {}
    for point in sorted(references):
        models.setdefault(point[2].partition(" ")[0], []).append(point)
    return models


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


def _add_curve(figure: go.Figure, info: _CurveInfo, colour: str) -> None:
    figure.add_scatter(
        x=info.seeds["alpha"],
        y=info.seeds.to_series(2),
        mode="markers",
        marker={"color": colour, "size": 6, "opacity": 0.55},
        customdata=info.seeds["seed"],
        hovertemplate=f"{info.name}, seed %{{customdata}}: %{{y:.4f}} at alpha %{{x:g}}<extra></extra>",
        showlegend=False,
    )
    figure.add_scatter(
        x=info.means["alpha"],
        y=info.means["mean"],
        mode="lines",
        name=info.name,
        line={"color": colour, "width": 2.5},
        hovertemplate=f"{info.name}, mean: %{{y:.4f}}<extra></extra>",
    )
    if info.merged.height:
        figure.add_scatter(
            x=info.merged["alpha"],
            y=info.merged["mean"],
            mode="markers",
            name=f"{info.name}, merged",
            marker={"symbol": "diamond-open", "color": colour, "size": 9, "line": {"width": 2}},
            hovertemplate=f"{info.name}, merged: %{{y:.4f}} at weight %{{x:g}}<extra></extra>",
        )


def _add_bars(figure: go.Figure, info: _BarsInfo, colour: str) -> None:
    figure.add_hline(y=info.best, line={"color": colour, "width": 1, "dash": "dash"}, opacity=0.6)
    figure.add_scatter(
        x=info.alphas,
        y=info.values,
        error_y=error_bars(info.values, info.lows, info.highs, colour),
        mode="markers",
        marker={"size": 1, "color": colour},
        opacity=0.7,
        hoverinfo="skip",
        showlegend=False,
    )


def _add_reference(figure: go.Figure, model: str, points: Sequence[Reference]) -> None:
    """Draw a model's published points in grey, joined by a dotted line that bears its name."""
    figure.add_scatter(
        x=[at for at, _, _ in points],
        y=[value for _, value, _ in points],
        mode="lines+markers+text",
        text=[model, *[""] * (len(points) - 1)],
        textposition="top right",
        textfont={"color": GREY, "size": 11},
        marker={"symbol": "x-thin", "size": 8, "line": {"width": 2, "color": GREY}},
        line={"color": GREY, "width": 1, "dash": "dot"},
        customdata=[name for _, _, name in points],
        hovertemplate="%{customdata}: %{y:.4g} at alpha %{x:g}<extra></extra>",
        showlegend=False,
        cliponaxis=False,
    )


def _add_beside(figure: go.Figure, info: _CurveInfo) -> None:
    """Draw what has no ratio as lines that tell their names when pointed at, and curves on adjusted vectors."""
    for value, text in info.lines:
        figure.add_hline(y=value, line={"dash": "dot", "color": GREY, "width": 1})
        hover = {"hovertemplate": f"{text}<extra></extra>", "showlegend": False}
        figure.add_scatter(x=[0, 0.25, 0.5, 0.75, 1], y=[value] * 5, mode="lines", line={"width": 0}, **hover)
    for strategy, means in info.adjusted.items():
        figure.add_scatter(
            x=means["alpha"],
            y=means["mean"],
            mode="lines+markers",
            name=strategy,
            line={"color": GREY, "width": 1.5, "dash": "dash"},
            marker={"symbol": "square", "size": 5},
            hovertemplate=f"{strategy}: %{{y:.4f}} at alpha %{{x:g}}<extra></extra>",
        )


def _add_strip(figure: go.Figure, names: Sequence[str]) -> None:
    """Write names above the plot, some in a line, and make room for the lines."""
    lines: list[str] = []
    for name in names:
        if lines and len(f"{lines[-1]} · {name}") <= _CHARACTERS:
            lines[-1] += f" · {name}"
        else:
            lines.append(name)
    figure.add_annotation(
        name=STRIP,
        x=0.5,
        y=1,
        xref="paper",
        yref="paper",
        yanchor="bottom",
        text="<br>".join(lines),
        font={"color": GREY, "size": 11},
        showarrow=False,
    )
    figure.update_layout(margin_t=8 + _LINE * len(lines))
