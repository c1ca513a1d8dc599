"""Several figures side by side as one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from engine.figures.publication import INCHES, POINTS, Layout
from engine.figures.style import STRIP


def panels(
    figures: Sequence[go.Figure], titles: Sequence[str], layout: Layout, *, columns: int, height: float
) -> go.Figure:
    """Several figures of one pair of axes each, side by side as one, each with its title above it.

    Args:
        figures: The figures; they are not changed.
        titles: What stands above each.
        layout: The width that the gaps are made for.
        columns: Panels in a row.
        height: In inches, that the gaps are made for.
    """
    rows = -(-len(figures) // columns)
    heads = [_head(figure, title) for figure, title in zip(figures, titles, strict=True)]
    em = POINTS[layout.width] / 72
    lines = 1 + max(head.count("<br>") for head in heads)
    across = 4.2 * em / INCHES[layout.width]  # room for the ticks' labels
    down = (1.9 + 1.3 * lines) * em / (height - (4.1 + 1.35 * lines) * em)  # and for the heads
    whole: dict[str, Any] = {"data": [], "layout": {"shapes": [], "annotations": [], "showlegend": False}}
    for place, (figure, text) in enumerate(zip(figures, heads, strict=True)):
        number = "" if place == 0 else str(place + 1)
        x, y = f"x{number}", f"y{number}"
        spec = json.loads(figure.to_json())
        row, column = divmod(place, columns)
        for trace in spec["data"]:
            whole["data"].append({**trace, "xaxis": x, "yaxis": y, "showlegend": False})
        for kind in ("shapes", "annotations"):
            parts = [part for part in spec["layout"].get(kind, ()) if part.get("name") != STRIP]
            whole["layout"][kind] += [_moved(part, x, y) for part in parts]
        for axis, of, domain in (
            ("x", y, _share_of(column, columns, across)),
            ("y", x, _share_of(rows - 1 - row, rows, down)),
        ):
            given = spec["layout"].get(f"{axis}axis", {})
            named = given if axis == "y" or row == rows - 1 else {**given, "title": None}
            whole["layout"][f"{axis}axis{number}"] = {**named, "domain": domain, "anchor": of}
        head = {"text": text, "showarrow": False, "x": 0.5, "y": 1.0, "yanchor": "bottom", "yshift": 2}
        whole["layout"]["annotations"].append({**head, "xref": f"{x} domain", "yref": f"{y} domain"})
    whole["layout"] |= {"paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)"}
    whole["layout"] |= {"height": 60 + 240 * rows, "margin": {"l": 10, "r": 10, "t": 40, "b": 10}}
    return go.Figure(whole)


def _head(figure: go.Figure, title: str) -> str:
    """A panel's title, and what stands above its plot, as lines of one text: they can never cover each other."""
    strips = [note.text for note in figure.layout.annotations if note.name == STRIP]
    return "<br>".join([title, *strips])


def _share_of(place: int, count: int, gap: float) -> list[float]:
    """A panel's share of the length, with gaps between the panels."""
    size = (1 - gap * (count - 1)) / count
    start = place * (size + gap)
    return [max(0.0, start), min(1.0, start + size)]


def _moved(part: dict[str, Any], x: str, y: str) -> dict[str, Any]:
    """A shape or an annotation on a panel's own axes."""
    places = {"x": x, "y": y, "x domain": f"{x} domain", "y domain": f"{y} domain"}
    refs = {}
    for ref, axis in (("xref", x), ("yref", y)):
        given = part.get(ref, axis[0])
        refs[ref] = f"{axis} domain" if given == "paper" else places[given]
    return {**part, **refs}
