"""Figures of training losses."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go
import polars as pl
from plotly.colors import sample_colorscale

from engine.escaping import figure_text
from engine.figures.style import finish


def loss_curves(losses: pl.DataFrame) -> go.Figure:
    """Training loss against steps, a line per checkpoint; the seeds of a ratio share its colour and its legend.

    Args:
        losses: `what` (a recipe's label), `step`, `loss`.
    """
    figure = go.Figure()
    for line in _get_loss_info(losses):
        [colour] = sample_colorscale("Viridis", [0.25 + 0.6 * line.place])
        name = figure_text(f"{line.name}, seed {line.seed}")
        figure.add_scatter(
            x=line.steps,
            y=line.losses,
            mode="lines",
            line={"color": colour, "width": 1.5},
            name=figure_text(line.name),
            legendgroup=line.ratio,
            showlegend=line.is_first,
            hovertemplate=f"{name}: %{{y:.3f}} at step %{{x}}<extra></extra>",
        )
    figure.update_xaxes(title="step")
    ticks = [digit * 10.0**power for power in range(-4, 2) for digit in (1, 2, 5)]
    figure.update_yaxes(title="loss", type="log", tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks])
    return finish(figure, height=300, legend=True)


@dataclass(frozen=True, slots=True)
class _LossInfo:
    """The losses of one checkpoint.

    Attributes:
        ratio: Its recipe's label without the seed.
        name: What the legend calls the ratio.
        seed: The seed.
        steps, losses: The line.
        place: Where the ratio stands among all, from 0 to 1: its colour.
        is_first: Whether it is the first of its ratio, which the legend shows.
    """

    ratio: str
    name: str
    seed: str
    steps: list[int]
    losses: list[float]
    place: float
    is_first: bool


def _get_loss_info(losses: pl.DataFrame) -> list[_LossInfo]:
    labels = sorted(set(losses["what"]))
    ratios = sorted({label.partition(", seed ")[0] for label in labels})
    lines: list[_LossInfo] = []
    for label in labels:
        ratio, _, seed = label.partition(", seed ")
        part = losses.filter(pl.col("what") == label)
        place = ratios.index(ratio) / max(1, len(ratios) - 1)
        is_first = not any(line.ratio == ratio for line in lines)
        name = ratio.rpartition(", ")[2]
        lines.append(_LossInfo(ratio, name, seed, part["step"].to_list(), part["loss"].to_list(), place, is_first))
    return lines
