"""A heatmap's cells as rectangles and text: plotly paints a heatmap as pixels, which no print can enlarge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.colors import hex_to_rgb

_GAP = {"color": "white", "width": 0.7}


def drawn_cells(heatmap: go.Heatmap, *, with_text: bool) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What to draw in place of a heatmap whose cells stand at whole numbers.

    Args:
        heatmap: With both ends of its scale.
        with_text: Whether its texts are drawn; without them the colour bar is, whatever the heatmap says.

    Returns:
        Shapes, below everything else; and traces: the texts, and the colour bar.
    """
    z = np.asarray(heatmap.z, float)
    low, high = float(heatmap.zmin), float(heatmap.zmax)
    shares = np.clip((z - low) / (high - low or 1.0), 0.0, 1.0)
    known = np.argwhere(np.isfinite(z))
    colours = _colours(heatmap.colorscale, shares[tuple(known.T)])
    shapes = [
        {"type": "rect", "layer": "below", "fillcolor": colour, "line": _GAP}
        | {"x0": int(j) - 0.5, "x1": int(j) + 0.5, "y0": int(i) - 0.5, "y1": int(i) + 0.5}
        for (i, j), colour in zip(known, colours, strict=True)
    ]
    traces = [_bar(heatmap, low, high)] if heatmap.showscale is not False or not with_text else []
    if with_text and heatmap.text is not None:
        traces.append(_texts(heatmap))
    return shapes, traces


def _colours(scale: Sequence[tuple[float, str]], shares: np.ndarray) -> list[str]:
    """Colours between those of a scale, whose colours are in hexadecimal digits."""
    places, colours = [place for place, _ in scale], np.array([hex_to_rgb(colour) for _, colour in scale])
    channels = [np.interp(shares, places, colours[:, channel]).round().astype(int) for channel in range(3)]
    return [f"rgb({red},{green},{blue})" for red, green, blue in zip(*channels, strict=True)]


def _texts(heatmap: go.Heatmap) -> dict[str, Any]:
    written = [(i, j, text) for i, row in enumerate(heatmap.text) for j, text in enumerate(row) if text]
    return {
        "type": "scatter",
        "mode": "text",
        "x": [j for _, j, _ in written],
        "y": [i for i, _, _ in written],
        "text": [text for _, _, text in written],
        "textfont": {"color": heatmap.textfont.color},
        "cliponaxis": False,
        "showlegend": False,
    }


def _bar(heatmap: go.Heatmap, low: float, high: float) -> dict[str, Any]:
    """A trace without points that brings the colour bar."""
    marker = {"color": [low], "cmin": low, "cmax": high, "showscale": True, "opacity": 0}
    marker |= {"colorscale": heatmap.colorscale, "colorbar": heatmap.colorbar.to_plotly_json()}
    return {"type": "scatter", "mode": "markers", "x": [None], "y": [None], "marker": marker, "showlegend": False}
