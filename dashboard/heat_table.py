"""Heatmaps as HTML tables, for pages where a slider moves them: a table is changed in place, a chart is built anew."""

from __future__ import annotations

import html

import numpy as np
import plotly.graph_objects as go
from plotly.colors import hex_to_rgb

STYLE = """<style>
.heat { width: 100%; border-collapse: separate; border-spacing: 1px; font-size: 0.72rem; line-height: 1.7rem;
  text-align: center; table-layout: fixed; font-variant-numeric: tabular-nums; }
.heat td, .heat th { padding: 0; white-space: nowrap; }
.heat th { font-weight: 400; }
.heat th:first-child { width: 2.4rem; }
.heat td { color: #10202f; }
.heat td.own { box-shadow: inset 0 0 0 1.5px #333a44; }
.heat td.mean { color: inherit; opacity: 0.75; }
.heat caption { caption-side: bottom; text-align: left; font-size: 0.75rem; opacity: 0.75; line-height: 1.4; }
</style>"""


def to_html(figure: go.Figure, caption: str) -> str:
    """A table of a heatmap that `engine.figures` has drawn, with its texts, colours, hovers and means.

    Args:
        figure: A heatmap over language pairs; its first trace holds the cells, the two next the means.
        caption: What stands below the table.
    """
    heat, row_means, column_means = figure.data[:3]
    colours = _colours(np.array(heat.z, float), heat)
    rows, columns = figure.layout.yaxis.ticktext, figure.layout.xaxis.ticktext
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in columns)
    lines = [f'<tr><th></th>{head}<th scope="col">mean</th></tr>']
    for i, name in enumerate(rows):
        cells = [
            f'<td{" class=own" if name == columns[j] else ""} style="background:{colours[i][j]}" '
            f'title="{_hover(heat.hovertext[i][j])}">{heat.text[i][j]}</td>'
            for j in range(len(columns))
        ]
        mean = f'<td class="mean">{row_means.text[i]}</td>'
        lines.append(f'<tr><th scope="row">{html.escape(name)}</th>{"".join(cells)}{mean}</tr>')
    means = "".join(f'<td class="mean">{text}</td>' for text in column_means.text)
    lines.append(f'<tr><th scope="row">mean</th>{means}<td></td></tr>')
    return f'<table class="heat"><caption>{html.escape(caption)}</caption>{"".join(lines)}</table>'


def _colours(values: np.ndarray, heat: go.Heatmap) -> list[list[str]]:
    """The colour of every cell on the heatmap's scale, transparent where there is no value."""
    stops = [stop for stop, _ in heat.colorscale]
    channels = np.array([hex_to_rgb(colour) for _, colour in heat.colorscale], float)
    shares = (values - heat.zmin) / (heat.zmax - heat.zmin)
    mixed = np.stack([np.interp(shares, stops, channel) for channel in channels.T], axis=-1)
    return [
        ["rgb({:.0f},{:.0f},{:.0f})".format(*cell) if np.isfinite(cell).all() else "transparent" for cell in row]
        for row in mixed
    ]


def _hover(text: str) -> str:
    return html.escape(text.replace("<br>", "\n"))
