"""Figures of training losses."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl
from plotly.colors import sample_colorscale

from engine.figures.style import finish


def loss_curves(losses: pl.DataFrame) -> go.Figure:
    """Training loss against steps, a line per checkpoint; the seeds of a ratio share its colour and its legend.

    Args:
        losses: `what` (a recipe's label), `step`, `loss`.
    """
    figure, labels = go.Figure(), losses["what"].unique(maintain_order=True).to_list()
    ratios = sorted({label.partition(", seed ")[0] for label in labels})
    colours = sample_colorscale("Viridis", [0.25 + 0.6 * i / max(1, len(ratios) - 1) for i in range(len(ratios))])
    for label in sorted(labels):
        ratio, _, seed = label.partition(", seed ")
        part = losses.filter(pl.col("what") == label)
        figure.add_scatter(
            x=part["step"],
            y=part["loss"],
            mode="lines",
            line={"color": colours[ratios.index(ratio)], "width": 1.5},
            name=ratio.rpartition(", ")[2],
            legendgroup=ratio,
            showlegend=not any(trace.legendgroup == ratio for trace in figure.data),
            hovertemplate=f"{ratio.rpartition(', ')[2]}, seed {seed}: %{{y:.3f}} at step %{{x}}<extra></extra>",
        )
    figure.update_xaxes(title="step")
    ticks = [digit * 10.0**power for power in range(-4, 2) for digit in (1, 2, 5)]
    figure.update_yaxes(title="loss", type="log", tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks])
    return finish(figure, height=300, legend=True)
