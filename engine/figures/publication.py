"""Figures for print: the same figure at a column's or a page's width, in points, black on white, legible in grey.

Sizes are in inches and points; plotly draws in CSS pixels, of which an inch has 96. Screen figures are drawn for some
700 pixels, so that lines and markers shrink with the width.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go

from engine.errors import InputError
from engine.figures.cells import drawn_cells
from engine.figures.grid import CLICKABLE
from engine.figures.style import ACCENT, GREY, INK

Width = Literal["column", "full"]
Font = Literal["serif", "sans"]

INCHES = {"column": 3.3, "full": 6.9}
POINTS = {"column": 8.0, "full": 9.0}
FAMILIES = {
    "serif": "Times New Roman, Times, Liberation Serif, Noto Serif, Noto Naskh Arabic, Noto Serif Devanagari, "
    "Noto Serif Thai, Noto Serif CJK SC, serif",
    "sans": "Helvetica, Arial, Liberation Sans, Noto Sans, Noto Sans Arabic, Noto Sans Devanagari, Noto Sans Thai, "
    "Noto Sans CJK SC, sans-serif",
}
"""Latin first; a browser takes each letter from the first family that has it."""

PRINT_INK, PRINT_ACCENT, PRINT_GREY = "#16456f", "#e07b39", "#5f646c"
"""As blue and red on the screen, and apart in grey too: the first is dark, the second light."""

_PIXELS = 96
LEAST_POINTS = 6.0  # of the numbers in cells; smaller ones are left out
_EMS = {"serif": {"digit": 0.5, "+": 0.57, "−": 0.57, ".": 0.25, ",": 0.25, "(": 0.34, ")": 0.34}}
_EMS["sans"] = {"digit": 0.56, "+": 0.59, "−": 0.59, ".": 0.28, ",": 0.28, "(": 0.34, ")": 0.34}
"""Widths of Times and Helvetica, in ems."""
_MARKERS, _LINES = 0.55, 0.6


@dataclass(frozen=True, slots=True)
class Layout:
    """How figures are printed.

    Attributes:
        width: "column" (3.3 inches, 8 points) or "full" (6.9 inches, 9 points).
        font: "serif" or "sans".
    """

    width: Width = "column"
    font: Font = "serif"

    def __post_init__(self) -> None:
        """Check both names."""
        for what, value, allowed in (("width", self.width, INCHES), ("font", self.font, FAMILIES)):
            if value not in allowed:
                raise InputError(f"{what} {value!r} is unknown; allowed are {', '.join(allowed)}")

    @property
    def pixels(self) -> int:
        """The width in whole CSS pixels."""
        return round(INCHES[self.width] * _PIXELS)

    @property
    def base(self) -> float:
        """The size of the type, in CSS pixels."""
        return self.size(POINTS[self.width])

    def size(self, points: float) -> float:
        """A length in points as CSS pixels."""
        return points * _PIXELS / 72


def publication(figure: go.Figure, layout: Layout, *, height: float) -> go.Figure:
    """A figure as it is printed.

    Args:
        figure: A figure of this package, as it stands on the screen; it is not changed.
        layout: Width and font.
        height: In inches.
    """
    colours = {INK: PRINT_INK, ACCENT: PRINT_ACCENT, GREY: PRINT_GREY}
    text = figure.to_json()
    for screen, paper in colours.items():
        text = text.replace(screen, paper)
    spec = json.loads(text)
    spec["layout"].pop("template", None)
    base, cell = layout.base, layout.base
    grid = next(figure.select_traces({"type": "heatmap"}), None)
    if grid is not None:
        info = _get_cells_info(figure, grid, layout)
        spec["layout"]["xaxis"]["tickangle"] = info.angle
        _draw_cells(spec, grid, with_text=info.size is not None)
        cell = info.size or base
    for place, trace in enumerate(spec["data"]):
        trace["uid"] = str(place)  # else plotly.js picks it at random, and the same figure never gives the same file
        _shrink(trace)
        _set_trace_text(trace, base, cell)
    for shape in spec["layout"].get("shapes", ()):
        if shape.get("layer") != "below":
            shape["line"]["width"] = shape["line"].get("width", 2) * _LINES
    for note in spec["layout"].get("annotations", ()):
        note["font"] = {**note.get("font", {}), "size": base}
    printed = go.Figure(spec)
    set_title_size(printed, base)
    if layout.width == "column":
        _make_room(printed, figure)
    _frame(printed, layout, base, round(height * _PIXELS), is_grid=grid is not None)
    return printed


def set_title_size(figure: go.Figure, size: float) -> None:
    """Give a figure's title its size (pixels), and keep all its lines inside: plotly anchors the last of them."""
    if figure.layout.title.text:
        more = figure.layout.title.text.count("<br>")
        figure.update_layout(title={"font": {"size": size}, "pad": {"t": size * (0.3 + 1.3 * more)}})


def _shrink(trace: dict[str, Any]) -> None:
    """Make a trace's lines and markers as fine as print wants them."""
    marker, line = trace.get("marker", {}), trace.get("line", {})
    if isinstance(marker.get("size"), int | float):
        marker["size"] *= _MARKERS
    for part in (line, marker.get("line", {})):
        width = part.get("width")
        if isinstance(width, list):
            part["width"] = [_LINES * points for points in width]
        elif width is not None:
            part["width"] = _LINES * width
    if trace["type"] == "box":
        trace["line"] = {**line, "width": 1}
    if "error_y" in trace:
        trace["error_y"] |= {"thickness": 0.9, "width": 2}


def _make_room(printed: go.Figure, figure: go.Figure) -> None:
    """Lengthen the axis of bars whose numbers stand at their ends."""
    for bars in figure.select_traces({"type": "bar", "orientation": "h", "textposition": "outside"}):
        least = 1.22 * max(bars.x, default=0.0)
        printed.update_xaxes(range=[0, max(least, (figure.layout.xaxis.range or [0, 0])[1])])


@dataclass(frozen=True, slots=True)
class _CellsInfo:
    """How a heatmap's texts fit.

    Attributes:
        size: Of the numbers in its cells, in pixels; None if they would be too small to read.
        angle: Of the names of its columns, in degrees: 0, or -90 where they are wider than the columns.
    """

    size: float | None
    angle: int


def _get_cells_info(figure: go.Figure, grid: go.Heatmap, layout: Layout) -> _CellsInfo:
    base, names = layout.base, figure.layout.xaxis.ticktext
    labels = max(_width(str(name), layout.font) for name in figure.layout.yaxis.ticktext)
    bar = 0 if grid.showscale is False else 6
    columns = len(names) + (1.2 if len(figure.data) > 1 else 0)
    column = (layout.pixels - base * (labels + 2.2 + bar)) / columns
    texts = [re.sub(r"<[^>]*>", "", str(text)) for row in grid.text for text in row]
    widest = max(_width(text, layout.font) for text in texts)
    size = min(base, 0.94 * column / max(widest, 0.1))
    fits = base * max(_width(code, layout.font) for code in names) < 0.9 * column
    return _CellsInfo(size if size >= layout.size(LEAST_POINTS) else None, 0 if fits else -90)


def _draw_cells(spec: dict[str, Any], grid: go.Heatmap, *, with_text: bool) -> None:
    """Put rectangles and texts in the place of a heatmap."""
    shapes, traces = drawn_cells(grid, with_text=with_text)
    others = [trace for trace in spec["data"] if trace["type"] != "heatmap" and trace.get("name") != CLICKABLE]
    others = [trace for trace in others if with_text or trace.get("mode") != "text"]
    spec["data"] = [*traces, *others]
    spec["layout"]["shapes"] = [*shapes, *spec["layout"].get("shapes", ())]
    rows, columns = np.shape(grid.z)
    for axis, given in (("xaxis", [-0.5, columns - 0.5]), ("yaxis", [rows - 0.5, -0.5])):
        if "range" not in spec["layout"].setdefault(axis, {}):
            spec["layout"][axis] |= {"range": given, "autorange": False}


def _width(text: str, font: Font) -> float:
    """About how many ems wide a text is."""
    widths = _EMS[font]
    return sum(widths.get(letter, widths["digit"]) for letter in text)


def _set_trace_text(trace: dict[str, Any], base: float, cell: float) -> None:
    for owner in (trace, trace.get("marker", {})):
        if "colorbar" in owner:
            bar = owner["colorbar"]
            bar["title"] = {**bar.get("title", {}), "font": {"size": base}}
            owner["colorbar"] = {**bar, "thickness": base * 0.8, "tickfont": {"size": base}, "outlinewidth": 0}
    if trace.get("text") is not None:
        colour = {"color": trace["textfont"]["color"]} if "color" in trace.get("textfont", {}) else {}
        trace["textfont"] = {**colour, "size": cell}


def _lines_above(figure: go.Figure) -> int:
    """How many lines of text stand above the plot."""
    texts = [note.text for note in figure.layout.annotations if note.y == 1 and note.yanchor == "bottom"]
    texts += [figure.layout.title.text] if figure.layout.title.text else []
    return max((text.count("<br>") + 1 for text in texts), default=0)


def _frame(figure: go.Figure, layout: Layout, base: float, height: int, *, is_grid: bool) -> None:
    """Font, size, margins, axes."""
    legend = bool(figure.layout.showlegend)
    figure.update_layout(
        template="none",
        width=layout.pixels,
        height=height,
        font={"family": FAMILIES[layout.font], "size": base, "color": "black"},
        paper_bgcolor="white",
        plot_bgcolor="white",
        margin={
            "l": 2,
            "r": 4,
            "t": base * max(0.4, 2.1 * legend, 0.5 + 1.35 * _lines_above(figure)),
            "b": 4,
            "pad": 0,
        },
        legend={
            "font": {"size": base},
            "itemsizing": "trace",
            "x": 0,
            "xanchor": "left",
            "y": 1.01,
            "tracegroupgap": 0,
        },
    )
    axis = {"tickfont": {"size": base}, "title": {"font": {"size": base}, "standoff": base * 0.5}, "automargin": True}
    axis |= {"linecolor": "black", "linewidth": 0.75, "ticklen": 3, "tickwidth": 0.75, "tickcolor": "black"}
    axis |= {"gridcolor": "#dcdcdc", "gridwidth": 0.5, "zeroline": False}
    more = {"showline": False, "ticks": ""} if is_grid else {"showline": True, "ticks": "outside"}
    figure.update_xaxes(axis, **more)
    figure.update_yaxes(axis, **more)
