"""A figure of a report: what is on the screen, its caption, and how high it is in print."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go

from engine.figures.publication import Layout, publication

_ROW = 0.17  # inches that a name takes in a list


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A figure of a report.

    Attributes:
        name: Of its files.
        part: Of which part of the report it is.
        caption: What it shows.
        figure: As on the screen.
        height: In print, in inches.
        wide: Whether it needs the whole width of a screen.
    """

    name: str
    part: str
    caption: str
    figure: go.Figure
    height: float
    wide: bool = False

    def printed(self, layout: Layout) -> go.Figure:
        """As it is printed."""
        return publication(self.figure, layout, height=self.height)


def list_height(rows: int) -> float:
    """Inches of a figure with a name in every row."""
    return 0.75 + _ROW * rows


def grid_height(rows: int, layout: Layout) -> float:
    """Inches of a heatmap with so many languages and a row of means."""
    return 0.45 + (rows + 1) * (0.235 if layout.width == "column" else 0.3)
