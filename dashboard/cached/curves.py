"""Curves against the ratio, drawn once a sweep: the chosen ratio is marked over them, so that a slider redraws none."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl
import streamlit as st

from dashboard.cached import uncertainty
from dashboard.cached.sweeps import points
from engine import figures
from engine.sweeps import kept
from engine.sweeps.results import Family

LEFT, RIGHT = 48, 10
"""Pixels beside the axes of every curve; the marker's place is reckoned from them."""
SPAN = (-0.05, 1.05)
"""Ends of the axis of alpha."""


def curve(family: Family, column: str, metric: str, beside: figures.Beside) -> go.Figure:
    """A score against alpha, with the intervals of the differences from the best ratio.

    Args:
        family: The sweep.
        column: Which column of its points.
        metric: The metric that is shown, so that no other need be drawn.
        beside: What stands beside the ratios.
    """
    return _curve(family, kept.state(family), column, metric, beside, repr(beside))


def choice(family: Family, column: str, metric: str) -> pl.DataFrame:
    """Which ratio is best in a column of the points; frame of `significance.select`.

    Args:
        family: The sweep.
        column: Which column.
        metric: The metric that is shown, so that no other need be drawn.
    """
    setting, _, measure = ("multi", "", column) if column == "rank_distance" else column.partition("_")
    return uncertainty.selection(family, metric, measure, setting)


@st.cache_resource(max_entries=64, show_spinner=False)
def _curve(
    _family: Family, state: str, column: str, metric: str, _beside: figures.Beside, beside_text: str
) -> go.Figure:
    chosen = choice(_family, column, metric)
    figure = figures.ratio_curve(points(_family.key), column, selection=chosen, beside=_beside)
    figure.update_layout(margin={"l": LEFT, "r": RIGHT})
    figure.update_xaxes(range=SPAN, automargin="height")
    figure.update_yaxes(automargin=False)
    return figure
