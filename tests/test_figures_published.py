"""Figures of published results show the cells, rows and points that they were given."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from engine.figures import language_dumbbells, language_heatmap, model_plane, pair_heatmap
from engine.figures.published import PICKED, _get_dumbbells_info, _get_plane_info
from engine.figures.style import ACCENT

CODES = ["ar", "de", "en"]


def pair_frame() -> pl.DataFrame:
    rows = [(q, d, None, 0.1 * (3 * i + j + 1)) for i, q in enumerate(CODES) for j, d in enumerate(CODES)]
    schema = {"query_lang": pl.String, "doc_lang": pl.String, "queries": pl.Int64, "hit@1": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def marked(figure) -> list[tuple[float, float]]:
    """Centres (column, row) of the cells that are framed in red."""
    return [
        ((shape.x0 + shape.x1) / 2, (shape.y0 + shape.y1) / 2)
        for shape in figure.layout.shapes
        if shape.line.color == ACCENT
    ]


def test_low_cells_are_framed_and_unknown_ones_passed_over():
    low = pl.DataFrame({"query_lang": ["de", "fr"], "doc_lang": ["en", "de"]})
    figure = pair_heatmap(pair_frame(), "hit@1", CODES, low=low)
    assert marked(figure) == [(2, 1)]
    assert figure.data[0].z[1][2] == pytest.approx(0.6)
    assert not marked(pair_heatmap(pair_frame(), "hit@1", CODES))


def test_a_published_cells_hover_tells_no_number_of_queries():
    hover = pair_heatmap(pair_frame(), "hit@1", CODES).data[0].hovertext
    assert hover[1][2] == "German de → English en (cross-lingual)<br>R@1 0.600"


def scores(codes: list[str]) -> pl.DataFrame:
    rows = [("m", code, 0.5) for code in codes[1:]] + [("n", code, 0.25) for code in codes] + [("other", codes[0], 0.9)]
    return pl.DataFrame(rows, schema=["name", "language", "value"], orient="row")


def test_rows_are_models_and_columns_languages_with_gaps_left_empty():
    figure = language_heatmap(scores(["de", "en", "mean"]), ["n", "m"], ["de", "en", "mean"], "mAP")
    grid = figure.data[0]
    np.testing.assert_allclose(grid.z, [[0.25, 0.25, 0.25], [np.nan, 0.5, 0.5]])
    assert [list(row) for row in grid.text] == [["0.25"] * 3, ["", "0.50", "0.50"]]
    assert grid.hovertext[1][0] == "m<br>German de: mAP not known"
    assert grid.hovertext[0][2] == "n<br>mean: mAP 0.25"
    assert list(figure.layout.yaxis.ticktext) == ["n", "m"]
    assert list(figure.layout.xaxis.ticktext) == ["de", "en", "mean"]


@pytest.mark.parametrize(("columns", "text", "named"), [(13, "0.25", 13), (14, ".25", 14), (23, "", 23), (46, "", 23)])
def test_numbers_and_names_give_way_as_columns_grow(columns, text, named):
    codes = [f"c{i}" for i in range(columns)]
    figure = language_heatmap(scores(codes), ["n"], codes, "mAP")
    assert set(figure.data[0].text[0]) == {text}
    assert len(figure.layout.xaxis.ticktext) == named


def test_differences_are_coloured_around_zero():
    figure = language_heatmap(scores(["de", "en"]), ["n"], ["de", "en"], "points", limits=(-3, 3))
    assert (figure.data[0].zmin, figure.data[0].zmax) == (-3, 3)
    assert figure.data[0].colorscale[2][1] == "#f7f7f7"


def points() -> pl.DataFrame:
    rows = [
        ("org/a", 0.1, 0.2, "1", "x"),
        ("org/b", 0.3, 0.4, "2", "y"),
        ("c", 0.5, None, "1", "z"),
        ("d", 0.7, 0.1, "1", "w"),
    ]
    return pl.DataFrame(rows, schema=["model", "mono", "cross", "group", "about"], orient="row")


def drawn(figure, colour: str) -> list[tuple[float, float]]:
    return [
        (x, y)
        for trace in figure.data
        if trace.marker.color == colour and trace.x is not None
        for x, y in zip(trace.x, trace.y, strict=True)
        if x is not None
    ]


def test_picked_models_are_coloured_and_named_and_those_without_a_value_left_out():
    figure = model_plane(points(), ("mono", "within"), ("cross", "across"), ["org/b", "c"], groups=["1", "2"])
    assert drawn(figure, PICKED[0]) == [(0.3, 0.4)]
    assert drawn(figure, PICKED[1]) == []
    assert sorted(drawn(figure, "#8a8f98")) == [(0.1, 0.2), (0.7, 0.1)]
    [named] = [trace for trace in figure.data if trace.text is not None]
    assert list(named.text) == ["b"]
    assert named.marker.symbol == "diamond"
    assert [trace.name for trace in figure.data if trace.showlegend is None and trace.name] == ["1", "2"]
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("within", "across")


def test_the_diagonal_is_drawn_only_where_both_axes_are_alike():
    def lines(diagonal: bool) -> list[tuple[float, ...]]:
        figure = model_plane(points(), ("mono", "x"), ("cross", "y"), [], diagonal=diagonal)
        return [tuple(trace.x) for trace in figure.data if trace.mode == "lines"]

    assert lines(True) == [(0.1, 0.7)]
    assert lines(False) == []


def test_many_picked_models_are_named_in_the_legend():
    many = pl.DataFrame({"model": [f"m{i}" for i in range(6)], "x": range(6), "y": range(6), "about": [""] * 6})
    figure = model_plane(many, ("x", "x"), ("y", "y"), many["model"].to_list())
    assert not [trace for trace in figure.data if trace.text is not None]
    assert [trace.name for trace in figure.data if trace.name] == many["model"].to_list()
    assert figure.layout.showlegend


def test_no_model_makes_an_empty_plane():
    figure = model_plane(points().clear(), ("mono", "x"), ("cross", "y"), ["c"], diagonal=True)
    assert drawn(figure, PICKED[0]) == []


def test_dumbbells_begin_with_english_and_go_on_by_what_changed():
    compared = pl.DataFrame(
        {"language": ["de", "en", "zh"], "english": [0.3, 0.5, 0.0], "multilingual": [0.4, 0.49, 0.5]}
    ).with_columns(difference=pl.col("multilingual") - pl.col("english"))
    joints, low, high = language_dumbbells(compared, ("one", "two"), "R@1").data
    assert list(low.x) == ["English", "Chinese", "German"]
    assert list(low.y) == [0.5, 0.0, 0.3]
    assert list(high.y) == [0.49, 0.5, 0.4]
    assert (low.name, high.name) == ("one", "two")
    assert list(joints.y)[3:5] == [0.0, 0.5]
    assert list(high.customdata) == pytest.approx([-1.0, 50.0, 10.0])


def test_names_stand_towards_the_middle_above_and_below_in_turn() -> None:
    rows = [("a", 0.0, 0.9), ("org/b", 1.0, 0.8), ("c", 0.9, 0.7), ("d", 0.2, None), ("e", 0.1, 0.1)]
    frame = pl.DataFrame(rows, schema=["model", "x", "y"], orient="row").with_columns(group=pl.lit("1"))
    info = _get_plane_info(frame, "x", "y", ["c", "org/b", "a", "d"], ["1"])
    assert [(one.name, one.colour, one.place) for one in info.picked] == [
        ("c", PICKED[0], "top left"),
        ("b", PICKED[1], "bottom left"),
        ("a", PICKED[2], "top right"),
        ("d", PICKED[3], None),
    ]
    assert [one.points["model"].to_list() for one in info.others] == [["e"]]
    assert (info.named, info.ends) == (True, [0.0, 1.0])


def test_changes_are_the_second_model_minus_the_first_in_points() -> None:
    frame = pl.DataFrame({"language": ["de", "fr"], "english": [0.3, 0.5], "multilingual": [0.4, 0.8]})
    info = _get_dumbbells_info(frame.with_columns(difference=pl.col("multilingual") - pl.col("english")))
    assert (info.names, info.begins_with_english) == (["French", "German"], False)
    assert info.differences == pytest.approx([30.0, 10.0])
