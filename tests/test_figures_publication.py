"""Figures for print: size, type, colours that are told apart in grey, and nothing cut off or on top of each other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl
import pytest
from plotly.colors import hex_to_rgb, sample_colorscale

from engine import figures
from engine.errors import InputError
from engine.evaluation.evaluate import evaluations
from engine.figures.cells import drawn_cells
from engine.figures.grid import CLICKABLE
from engine.figures.labels import label_places
from engine.figures.panels import panels
from engine.figures.publication import (
    FAMILIES,
    INCHES,
    LEAST_POINTS,
    POINTS,
    PRINT_ACCENT,
    PRINT_GREY,
    PRINT_INK,
    Layout,
    publication,
)
from engine.figures.style import ACCENT, DIVERGING, INK, SEQUENTIAL
from engine.ranks.pairs import matrix
from engine.report import Picture, Request, gather, pictures
from engine.report.render.images import Image, draw
from engine.storage.store import Store
from engine.sweeps.results import families, points
from tests.report_builders import NEEDS_BROWSER, chromium, faults_of, texts_of
from tests.test_languages import STORED

LAYOUTS = [Layout(width, font) for width in INCHES for font in FAMILIES]


def pairs(size: int, low: float = 0.2, high: float = 0.9) -> tuple[pl.DataFrame, list[str]]:
    """Scores by chance of every pair of some languages."""
    codes = STORED[:size]
    rng = np.random.default_rng(size)
    rows = [(q, d, 10, rng.uniform(low, high)) for q in codes for d in codes]
    return pl.DataFrame(rows, schema=["query_lang", "doc_lang", "queries", "map"], orient="row"), codes


def sizes(figure: go.Figure) -> set[float]:
    """All sizes of type that a figure names, in points."""
    found = set()

    def look(part: Any) -> None:
        if isinstance(part, dict):
            for key, value in part.items():
                if key.endswith("font") and "size" in value:
                    found.add(round(0.75 * value["size"], 1))
                look(value)
        elif isinstance(part, list | tuple):
            for one in part:
                look(one)

    look(figure.to_dict())
    return found


def grey(colour: str) -> float:
    """Lightness of a colour in grey, 0 to 100 (CIE L*)."""
    numbers = hex_to_rgb(colour) if colour.startswith("#") else [float(n) for n in re.findall(r"[\d.]+", colour)]
    linear = [((c / 255 + 0.055) / 1.055) ** 2.4 if c / 255 > 0.04045 else c / 255 / 12.92 for c in numbers]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return 116 * np.cbrt(luminance) - 16 if luminance > 0.008856 else 903.3 * luminance


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_a_figure_has_the_width_and_type_that_were_asked_for(layout: Layout) -> None:
    frame, codes = pairs(7)
    printed = publication(figures.pair_heatmap(frame, "map", codes), layout, height=2.5)
    assert printed.layout.width == round(96 * INCHES[layout.width])
    assert printed.layout.height == 240
    assert printed.layout.font.family == FAMILIES[layout.font]
    assert max(sizes(printed)) == POINTS[layout.width]
    assert min(sizes(printed)) >= LEAST_POINTS
    assert printed.layout.paper_bgcolor == "white"


def test_the_screen_figure_is_not_changed() -> None:
    frame, codes = pairs(5)
    figure = figures.pair_heatmap(frame, "map", codes)
    before = figure.to_json()
    publication(figure, Layout(), height=2)
    panels([figure], ["x"], Layout(), columns=1, height=2)
    assert figure.to_json() == before


@pytest.mark.parametrize("options", [{"width": "page"}, {"font": "comic"}])
def test_unknown_names_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(InputError, match="is unknown; allowed are"):
        Layout(**options)


def test_the_same_figure_is_printed_the_same_way() -> None:
    frame, codes = pairs(5)
    printed = [publication(figures.pair_heatmap(frame, "map", codes), Layout(), height=2).to_json() for _ in range(2)]
    assert printed[0] == printed[1]


def test_colours_of_print_are_apart_in_grey() -> None:
    assert grey(PRINT_INK) + 25 < grey(PRINT_ACCENT)
    figure = figures.share_bars(
        pl.DataFrame({"query_lang": ["ar", "de"], "doc_lang": ["ar", "de"], "share": [0.5, 0.2]}), {"ar": 0.5}, 10
    )
    text = publication(figure, Layout(), height=2).to_json()
    assert PRINT_INK in text
    assert INK not in text
    assert ACCENT not in text
    assert grey("#ffffff") - grey(PRINT_GREY) > 50  # grey text reads on white


def test_scores_grow_darker_in_grey_and_differences_both_ways() -> None:
    steps = np.linspace(0, 1, 21)
    scores = [grey(colour) for colour in sample_colorscale(SEQUENTIAL, steps)]
    assert all(np.diff(scores) < 0)
    both = [grey(colour) for colour in sample_colorscale(DIVERGING, steps)]
    assert all(np.diff(both[:11]) > 0)
    assert all(np.diff(both[10:]) < 0)


def test_heatmaps_are_rectangles_in_the_colours_of_their_scale() -> None:
    frame, codes = pairs(4)
    figure = figures.pair_heatmap(frame, "map", codes)
    printed = publication(figure, Layout(), height=2)
    assert not list(printed.select_traces({"type": "heatmap"}))
    cells = [shape for shape in printed.layout.shapes if shape.layer == "below"]
    assert len(cells) == 16
    grid = matrix(frame, "map", codes)
    for cell in cells:
        value = grid[round(cell.y0 + 0.5), round(cell.x0 + 0.5)]
        [expected] = sample_colorscale(SEQUENTIAL, [value])
        drawn, scale = (np.array([float(n) for n in re.findall(r"[\d.]+", c)]) for c in (cell.fillcolor, expected))
        assert drawn == pytest.approx(scale, abs=1)


def test_a_cell_without_a_value_stays_empty_and_values_beyond_the_scale_take_its_ends() -> None:
    heatmap = go.Heatmap(
        z=[[np.nan, 5.0], [-5.0, 0.5]], zmin=0, zmax=1, colorscale=["#000000", "#ffffff"], text=[["", "a"], ["b", "c"]]
    )
    shapes, traces = drawn_cells(heatmap, with_text=True)
    assert [shape["fillcolor"] for shape in shapes] == ["rgb(255,255,255)", "rgb(0,0,0)", "rgb(128,128,128)"]
    assert traces[-1]["text"] == ["a", "b", "c"]


def test_numbers_that_would_be_too_small_are_left_out_and_the_colours_explained() -> None:
    frame, codes = pairs(40)
    printed = publication(figures.pair_heatmap(frame, "map", codes, compact=True), Layout(), height=3)
    texts = [trace for trace in printed.data if trace.mode == "text" and len(trace.x) > 100]
    assert texts == []
    assert any(trace.marker.showscale for trace in printed.data)


def test_wide_numbers_make_smaller_type() -> None:
    frame, codes = pairs(11)
    reference = frame.with_columns(map=pl.col("map") - 0.25)
    figure = figures.difference_heatmap((frame, reference), "map", codes, compact=True)
    narrow, wide = (publication(figure, Layout(width), height=3) for width in ("column", "full"))
    [size] = {trace.textfont.size for trace in narrow.data if trace.mode == "text"}
    assert LEAST_POINTS <= 0.75 * size < POINTS["column"]
    assert {trace.textfont.size for trace in wide.data if trace.mode == "text"} == {POINTS["full"] / 0.75}


def test_panels_keep_every_trace_on_axes_of_its_own() -> None:
    frames = [
        pl.DataFrame({"strategy": "hybrid", "alpha": [0.0, 1.0], "seed": 0, "a": values})
        for values in ([1.0, 2.0], [7.0, 5.0])
    ]
    parts = [figures.ratio_curve(frame, "a", beside=figures.Beside(3.0)) for frame in frames]
    whole = panels(parts, ["one", "two"], Layout(), columns=2, height=2)
    for part, (x, y) in zip(parts, (("x", "y"), ("x2", "y2")), strict=True):
        own = [trace for trace in whole.data if trace.xaxis == x]
        assert len(own) == len(part.data)
        assert [trace.y for trace in own] == [trace.y for trace in go.Figure(json.loads(part.to_json())).data]
        assert {trace.yaxis for trace in own} == {y}
        number = x[1:]
        assert whole.layout[f"yaxis{number}"].range == part.layout.yaxis.range
    heads = {note.text: note.xref for note in whole.layout.annotations}
    assert heads == {"one<br>untrained 3.000 ↑": "x domain", "two<br>untrained 3.000 ↓": "x2 domain"}
    assert all("paper" not in (note.xref, note.yref) for note in whole.layout.annotations)
    assert {shape.xref for shape in whole.layout.shapes} <= {"x domain", "x2 domain"}
    domains = [whole.layout[axis].domain for axis in ("xaxis", "xaxis2")]
    assert domains[0][1] < domains[1][0]


def test_labels_keep_clear_of_points_and_of_each_other() -> None:
    x, y = [0.0, 0.03, 1.0], [0.0, 0.0, 1.0]
    places = label_places(x, y)
    assert places[2] == "top center"
    assert places[0] != "middle right"
    assert places[1] != "middle left"
    assert places[0] != places[1]
    assert label_places([1.0], [2.0]) == ["top center"]


@pytest.fixture(scope="module")
def drawn(demo_store: Store) -> list[Picture]:
    [family] = families(list(evaluations(demo_store)))
    request = Request(alphas=(1.0,), layout=Layout("full", "sans"))
    return pictures(gather(family, request))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@NEEDS_BROWSER
def test_no_text_is_cut_off_overlaps_or_is_tiny_in_a_full_width_figure(
    drawn: list[Picture], browser: Any, tmp_path: Path, demo_store: Store
) -> None:
    layout = Layout("full", "sans")
    [family] = families(list(evaluations(demo_store)))
    wide, codes = pairs(18, -0.9, 0.9)
    more = {
        "many": figures.pair_heatmap(wide, "map", codes),
        "curve": figures.ratio_curve(points(family), "multi_map", beside=figures.Beside(0.1)),
    }
    with_baseline = pl.concat(
        [points(family), points(family).head(1).with_columns(strategy=pl.lit("uniform"), alpha=None)]
    )
    columns = ("mono_map", "cross_map", "multi_map", "rank_distance")
    curves = [figures.ratio_curve(with_baseline, column, beside=figures.Beside(0.1)) for column in columns]
    more["panels"] = panels(curves, columns, layout, columns=2, height=4)
    printed = {picture.name: picture.printed(layout) for picture in drawn}
    printed |= {name: publication(figure, layout, height=4) for name, figure in more.items()}
    files = {name: tmp_path / f"{name}.svg" for name in printed}
    assert draw([Image(figure, files[name], layout) for name, figure in printed.items()]) == []
    page = browser.new_page(viewport={"width": 900, "height": 900})
    faults = {name: faults_of(page, file.read_text(encoding="utf-8")) for name, file in files.items()}
    assert {name: found for name, found in faults.items() if found} == {}
    _, _, texts = texts_of(page, files["curve"].read_text(encoding="utf-8"))
    assert {round(0.75 * text.size, 1) for text in texts} == {9.0}
    assert "Helvetica" in files["curve"].read_text(encoding="utf-8")


def test_what_only_serves_clicks_is_not_printed() -> None:
    frame, codes = pairs(4)
    figure = figures.pair_heatmap(frame, "map", codes)
    assert any(trace.name == CLICKABLE for trace in figure.data)
    assert not any(trace.name == CLICKABLE for trace in publication(figure, Layout(), height=2).data)
