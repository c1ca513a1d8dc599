"""engine.figures of language bias: what they show is what the frames hold."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import polars as pl
import pytest

from engine import bias, figures
from engine.bias.language_probe import identity
from engine.figures.bias_suite import OUTCOME_STYLE
from engine.figures.style import ACCENT, GREY, INK
from engine.ranks.schema import RANKS
from tests.bias_builders import LANGUAGES, ranked
from tests.test_languages import XM3600


@pytest.fixture(scope="module")
def frames():
    ranks, top, candidates, *_ = ranked(np.random.default_rng(1), own=1.0, skill=2.0)
    return ranks, top, bias.suite(ranks, top, candidates, resamples=200)


def texts(figure: go.Figure) -> list[str]:
    return [annotation.text for annotation in figure.layout.annotations]


def trace(figure: go.Figure, name: str) -> go.Scatter:
    [found] = [one for one in figure.data if one.name == name]
    return found


def test_the_forest_has_a_row_for_each_measure_that_judges(frames):
    _, _, found = frames
    figure = figures.measure_forest(found.measures, 10)
    judged = [row for row in found.measures.to_dicts() if bias.MEASURES[row["measure"]].direction != "neither"]
    assert len(figure.data) == 3 * len(judged)
    for place, row in enumerate(judged):
        interval, random, value = figure.data[3 * place : 3 * place + 3]
        assert list(interval.x) == [row["low"], row["high"]]
        assert list(random.x) == [row["random"]]
        assert list(value.x) == [row["value"]]
        axis = figure.layout[value.xaxis.replace("x", "xaxis")].range
        assert axis[0] < min(row["low"], row["random"])
        assert max(row["high"], row["random"]) < axis[1]
    written = " ".join(texts(figure))
    assert "own language in the top 10" in written
    assert "first result right" not in written
    assert bias.MEASURES["bias"].write(found.measures["value"][1]) in written


def test_the_forest_of_nothing_is_empty_and_one_without_intervals_has_points(frames):
    _, _, found = frames
    nothing = found.measures.with_columns(value=pl.lit(None, pl.Float64))
    assert len(figures.measure_forest(nothing, 10).data) == 0
    bare = found.measures.head(1).with_columns(low=pl.lit(None, pl.Float64), high=pl.lit(None, pl.Float64))
    assert list(figures.measure_forest(bare, 10).data[0].x) == [bare["value"][0]] * 2


def test_outcomes_are_stacked_to_a_hundred(frames):
    ranks, top, _ = frames
    outcomes = bias.outcomes(ranks, top)
    figure = figures.outcome_bars(outcomes)
    assert figure.layout.barmode == "stack"
    assert sum(np.array(bar.x) for bar in figure.data) == pytest.approx([100] * 4)
    assert [bar.marker.color for bar in figure.data] == [colour for _, colour in OUTCOME_STYLE.values()]
    for bar, name in zip(figure.data, bias.OUTCOMES, strict=True):
        assert sorted(bar.x) == pytest.approx(sorted(100 * outcomes[name]))


def test_the_advantage_is_centred_on_0_with_queries_down(frames):
    ranks, *_ = frames
    matrix = bias.advantage_matrix(ranks)
    figure = figures.advantage_heatmap(matrix, list(LANGUAGES))
    heat = figure.data[0]
    assert heat.zmin == -heat.zmax
    assert heat.zmax >= np.abs(matrix["advantage"]).max()
    cell = matrix.filter(query_lang="de", doc_lang="hi")["advantage"].item()
    assert heat.z[1][3] == pytest.approx(cell)
    times = f"{2 ** abs(cell):,.1f} times {'before' if cell > 0 else 'behind'}"
    assert times in heat.hovertext[1][3]


def test_languages_are_coloured_by_what_the_test_says(frames):
    places = pl.DataFrame(
        {"doc_lang": ["ar", "de", "en"], "questions": [9, 9, 9], "value": [0.2, 0.45, 0.8]}
    ).with_columns(low=pl.col("value") - 0.1, high=pl.col("value") + 0.05)
    pushed = pl.DataFrame({"doc_lang": ["en", "de", "ar"], "p_holm": [0.01, 0.4, 0.02], "mean_rank": [2.6, None, 1.4]})
    figure = figures.document_places(places, pushed)
    for name, code, colour in (("put first", "ar", INK), ("pushed down", "en", ACCENT)):
        assert trace(figure, name).y == (f"{ {'ar': 'Arabic', 'en': 'English'}[code] } {code}",)
        assert trace(figure, name).marker.color == colour
    undecided = trace(figure, "not significantly different from equal treatment")
    assert (undecided.y, undecided.marker.color) == (("German de",), GREY)
    assert list(undecided.x) == [45]
    assert list(undecided.error_x.arrayminus) == pytest.approx([10])
    assert list(undecided.error_x.array) == pytest.approx([5])


def curves(values: list[float], random: float) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "alpha": [1.0, 0.0, 0.5],
            "seeds": [3, 1, 3],
            "measure": ["own_share"] * 3,
            "value": values,
            "low": [value - 0.02 for value in values],
            "high": [value + 0.01 for value in values],
            "random": [random] * 3,
        }
    )


def test_a_curve_goes_along_the_ratio_with_its_intervals():
    figure = figures.measure_curve(curves([0.6, 0.5, 0.55], 0.1), "own_share", base=0.7)
    line = figure.data[0]
    assert list(line.x) == [0, 0.5, 1]
    assert list(line.y) == [0.5, 0.55, 0.6]
    assert list(line.error_y.arrayminus) == pytest.approx([0.02] * 3)
    assert "alpha 0: 50.0 %" in line.hovertext[0]
    assert line.hovertext[0].endswith("1 seed")
    assert texts(figure) == ["untrained 70.0 % ↑", "random 10.0 % ↓"]


def test_a_reference_within_the_axis_is_a_line():
    figure = figures.measure_curve(curves([0.6, 0.5, 0.55], 0.56), "own_share")
    assert [shape.y0 for shape in figure.layout.shapes] == [0.56]
    assert texts(figure) == ["random 56.0 %"]


def test_heatmaps_of_lone_passages_and_of_agreement_hold_their_frames(frames):
    ranks, top, _ = frames
    targets = bias.one_target(ranks)
    heat = figures.target_heatmap(targets, list(LANGUAGES)).data[0]
    assert heat.z[2][0] == pytest.approx(targets.filter(query_lang="en", doc_lang="ar")["mrr"].item())
    assert (heat.zmin, heat.zmax) == (0, 1)
    agreement = bias.agreement_matrix(top, 100, 10)
    heat = figures.agreement_heatmap(agreement, list(LANGUAGES)).data[0]
    assert heat.z[2][0] == pytest.approx(agreement.filter(query_lang="en", other_lang="ar")["correlation"].item())
    assert np.isnan(heat.z[1][1])


@pytest.fixture(scope="module")
def held():
    rows = [(f"q{i}", "en", code, 4 * i + place, 1, 1, 0.0) for i in range(25) for place, code in enumerate(LANGUAGES)]
    ranks = pl.DataFrame(rows, schema=RANKS, orient="row")
    return identity(np.random.default_rng(2).standard_normal((100, 8)), ranks, folds=2)


def test_the_map_shows_every_passage_once_in_its_language(held):
    figure = figures.language_map(held.points, held.explained)
    shown = [(point[0], point[1]) for one in figure.data for point in one.customdata]
    assert sorted(shown) == sorted(held.points.select("doc", "doc_lang").rows())
    assert len({(one.marker.color, one.marker.symbol) for one in figure.data}) == 4
    assert sorted(texts(figure)) == [f"<b>{code}</b>" for code in LANGUAGES]


def test_chosen_passages_are_joined_and_always_drawn(held):
    chosen = held.points["doc"].to_list()[-3:]
    figure = figures.language_map(held.points, held.explained, chosen=chosen, most=10)
    drawn = [point[0] for one in figure.data if one.customdata is not None for point in one.customdata]
    assert set(chosen) <= set(drawn)
    assert len(drawn) <= held.points.height
    lines, rings = figure.data[-2:]
    assert list(rings.x) == pytest.approx(held.points.filter(pl.col("doc").is_in(chosen))["x"].to_list())
    assert len(lines.x) == 9
    assert [x for x in lines.x if x is not None][0::2] == pytest.approx(list(rings.x))


def test_languages_beyond_the_colours_differ_in_symbol():
    points = pl.DataFrame(
        {
            "doc": range(20),
            "doc_lang": XM3600[:20],
            "group": [0] * 20,
            "x": np.arange(20.0),
            "y": np.arange(20.0),
        }
    )
    figure = figures.language_map(points, (0.1, 0.05))
    assert len({(one.marker.color, one.marker.symbol) for one in figure.data}) == 20


def test_the_distances_of_languages_are_symmetric(held):
    heat = figures.distance_heatmap(held.distances, list(LANGUAGES)).data[0]
    grid = np.array(heat.z, float)
    assert np.isnan(np.diag(grid)).all()
    assert np.nan_to_num(grid) == pytest.approx(np.nan_to_num(grid.T))
