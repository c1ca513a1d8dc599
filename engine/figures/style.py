"""What all figures share: colours, names, numbers, frame.

The sequential scale is single-hue, the diverging one is red-blue and centred on 0: both are safe for colour-blind
readers, and light enough for dark text in every cell. Backgrounds are transparent, for light and dark pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import plotly.graph_objects as go

from engine.collections.languages import language
from engine.collections.pictures import PICTURE

SEQUENTIAL = ["#f7fbff", "#d6e6f4", "#abcfe6", "#73b2d8", "#4a94c8"]
DIVERGING = ["#d8735f", "#f0b9a8", "#f7f7f7", "#a9cde4", "#5a9fd0"]
CELL_TEXT = "#10202f"  # reads on every colour of both scales
PALE_TEXT = "#64727f"  # of what is shown but not told apart
ACCENT = "#d1495b"
INK = "#1f6fb2"
GREY = "#8a8f98"
STRIP = "strip"
"""Name of the annotation that stands above a plot and names what has no place on its axis."""


def error_bars(
    values: Sequence[float], lows: Sequence[float], highs: Sequence[float], colour: str, thickness: float = 1.5
) -> dict[str, object]:
    """Plotly's asymmetric error bars, from each value to the ends of its interval.

    Args:
        values: What the bars stand at.
        lows: Lower ends.
        highs: Upper ends.
        colour: Of the bars.
        thickness: Of the bars, in pixels.
    """
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - value for high, value in zip(highs, values, strict=True)],
        "arrayminus": [value - low for low, value in zip(lows, values, strict=True)],
        "color": colour,
        "thickness": thickness,
        "width": 4,
    }


def finish(figure: go.Figure, *, height: int, legend: bool) -> go.Figure:
    """Give a figure its height (pixels), margins, transparent ground, and a legend above it if it has one."""
    figure.update_layout(
        height=height,
        margin={"l": 10, "r": 10, "t": 40 if legend else 10, "b": 10},
        showlegend=legend,
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "xanchor": "left", "x": 0},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    figure.update_xaxes(automargin=True)
    figure.update_yaxes(automargin=True)
    return figure


def name_of(code: str) -> str:
    """A language's name and code, such as "Arabic ar"; "picture" for pictures."""
    return language(code).name if code == PICTURE else f"{language(code).name} {code}"


def short_name(code: str) -> str:
    """A language's code as an axis shows it; "pic" for pictures."""
    return "pic" if code == PICTURE else code


def number(value: float, pattern: str) -> str:
    """A number as text, with a true minus sign, and none before a zero; empty if there is no number."""
    if not np.isfinite(value):
        return ""
    text = pattern.format(value)
    return (text if text.strip("+-0.,") else text.lstrip("+-")).replace("-", "\u2212")


def signed(value: float) -> str:
    """A difference as text, "?" if there is none."""
    return number(value, "{:+.1f}") or "?"


def whole(value: float) -> str:
    """A count as text, "no" if there is none."""
    return number(value, "{:,.0f}") or "no"


def outline(figure: go.Figure, cells: Iterable[tuple[int, int]], colour: str, width: float) -> None:
    """Draw a frame around each of a grid's cells, (x, y)."""
    frames = [
        {"type": "rect", "x0": x - 0.5, "x1": x + 0.5, "y0": y - 0.5, "y1": y + 0.5}
        | {"line": {"color": colour, "width": width}}
        for x, y in cells
    ]
    figure.update_layout(shapes=[*figure.layout.shapes, *frames])  # at once: one by one takes far longer


def span(values: Sequence[float], share: float = 0.18) -> tuple[float, float]:
    """Ends of an axis that shows all values with a share of their range as room on both sides."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    room = share * (high - low) or 0.02 * abs(high) or 0.01
    return low - room, high + room
