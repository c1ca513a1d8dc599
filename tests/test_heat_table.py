"""A heatmap as an HTML table shows what the figure shows."""

from __future__ import annotations

import re

import polars as pl

from dashboard.heat_table import to_html
from engine.figures import pair_heatmap

PAIRS = pl.DataFrame(
    [("ar", "ar", 1.0, 5), ("ar", "en", 0.25, 5), ("en", "ar", 0.0, 5), ("en", "en", 0.5, 5)],
    schema=["query_lang", "doc_lang", "map", "queries"],
    orient="row",
)


def _cells(table: str, row: str) -> list[tuple[str, str]]:
    [line] = re.findall(rf'<tr><th scope="row">{row}</th>(.*?)</tr>', table, re.S)
    return re.findall(r"<td([^>]*)>(.*?)</td>", line, re.S)


def test_texts_means_and_the_same_language_cells_are_the_figures() -> None:
    table = to_html(pair_heatmap(PAIRS, "map", ["ar", "en"], compact=True), "Scores")
    (own, first), (other, second), (_, mean) = _cells(table, "ar")
    assert [float(first), float(second), float(mean)] == [1.0, 0.25, 0.25]
    assert "class=own" in own and "class=own" not in other
    assert [text for _, text in _cells(table, "mean")][:2] == ["0.00", "0.25"]
    assert re.findall(r'scope="col">(\w+)<', table) == ["ar", "en", "mean"]


def test_the_ends_of_the_scale_have_its_end_colours_and_the_middle_lies_between() -> None:
    table = to_html(pair_heatmap(PAIRS, "map", ["ar", "en"], compact=True), "Scores")
    cells = [cell for row in ("ar", "en") for cell in _cells(table, row)[:2]]
    colours = {float(text): re.search(r"rgb\((.*?)\)", attributes).group(1) for attributes, text in cells}
    assert colours == {  # the stops of the scale
        0.0: "247,251,255",
        0.25: "214,230,244",
        0.5: "171,207,230",
        1.0: "74,148,200",
    }


def test_a_pair_without_a_score_is_empty_and_transparent_and_names_are_no_markup() -> None:
    without = PAIRS.filter(pl.col("map") != 0.25)
    figure = pair_heatmap(without, "map", ["ar", "en"], compact=True)
    table = to_html(figure, "<b>")
    assert _cells(table, "ar")[1][1] == "" and "transparent" in _cells(table, "ar")[1][0]
    assert "<b>" not in table and "&lt;b&gt;" in table
