"""What the figures of the explorer and of the pairs show, by value on small made-up frames."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from engine.figures.bias import pool_rank_boxes
from engine.figures.losses import _get_loss_info, loss_curves
from engine.figures.pairs import (
    _get_counts_info,
    _get_difference_info,
    _get_pair_info,
    difference_heatmap,
    pair_heatmap,
)
from engine.figures.ratios import Beside, _get_bars_info, _get_curve_info, ratio_curve
from engine.figures.style import ACCENT, DIVERGING, GREY, INK, PALE_TEXT, SEQUENTIAL
from engine.figures.trade_off import _get_trade_off_info, trade_off

CODES = ["ar", "de"]


def pair_frame(*scores: float | None) -> pl.DataFrame:
    """Scores of ar-ar, ar-de, de-ar and de-de."""
    keys = {"query_lang": ["ar", "ar", "de", "de"], "doc_lang": ["ar", "de", "ar", "de"]}
    return pl.DataFrame(keys | {"map": scores, "queries": [10] * 4}, schema_overrides={"map": pl.Float64})


OURS, THEIRS = pair_frame(0.50, 0.40, 0.30, None), pair_frame(0.45, 0.48, 0.30, 0.20)
TESTS = THEIRS.select("query_lang", "doc_lang").with_columns(
    low=pl.Series([0.01, -0.12, -0.04, None]),
    high=pl.Series([0.09, -0.04, 0.04, None]),
    p_holm=pl.Series([0.049, 0.0004, 0.05, None]),
)


def test_a_difference_is_ours_minus_theirs_in_points() -> None:
    info = _get_difference_info((OURS, THEIRS), "map", CODES)
    np.testing.assert_allclose(info.grid, [[5.0, -8.0], [0.0, np.nan]], atol=1e-9)
    assert info.texts == [["+5.0", "\u22128.0"], ["0.0", ""]]
    assert info.limits == pytest.approx((-8.0, 8.0))
    assert info.bold == [[None, None], [None, None]]
    assert info.colours == DIVERGING  # red is worse, blue is better


def test_significant_differences_alone_are_bold() -> None:
    info = _get_difference_info((OURS, THEIRS), "map", CODES, tests=(TESTS, "p_holm"))
    assert info.bold == [[True, True], [False, None]]
    assert info.hover[0][1] == (
        "Arabic ar → German de<br>mAP \u22128.0 points, 10 queries<br>"
        "95 % interval \u221212.0 to \u22124.0, p < 0.001 (Holm)"
    )


def test_the_difference_heatmap_draws_its_info() -> None:
    heat = difference_heatmap((OURS, THEIRS), "map", CODES, tests=(TESTS, "p_holm")).data[0]
    np.testing.assert_allclose(heat.z, [[5.0, -8.0], [0.0, np.nan]], atol=1e-9)
    assert list(heat.text[0]) == ["<b>+5.0</b>", "<b>\u22128.0</b>"]
    assert list(heat.text[1]) == [f'<span style="color:{PALE_TEXT}">0.0</span>', ""]
    assert (heat.zmin, heat.zmax) == (pytest.approx(-8.0), pytest.approx(8.0))
    assert [colour for _, colour in heat.colorscale] == DIVERGING  # red is worse, blue is better


def test_the_means_leave_the_diagonal_out() -> None:
    _, rows, columns, _ = difference_heatmap((OURS, THEIRS), "map", CODES).data
    assert (list(rows.text), list(columns.text)) == (["\u22128.0", "0.0"], ["0.0", "\u22128.0"])


def test_uncertain_scores_are_in_brackets_and_low_cells_framed() -> None:
    intervals = THEIRS.select("query_lang", "doc_lang").with_columns(
        low=pl.Series([0.4, 0.3, None, 0.1]),
        high=pl.Series([0.6, 0.5, None, 0.9]),
        uncertain=pl.Series([False, True, True, True]),
    )
    low = pl.DataFrame({"query_lang": ["ar", "fr"], "doc_lang": ["de", "de"]})
    info = _get_pair_info(OURS, "map", CODES, intervals=intervals, low=low)
    np.testing.assert_allclose(info.grid, [[0.5, 0.4], [0.3, np.nan]])
    assert info.texts == [["0.50", "(0.40)"], ["0.30", ""]]
    assert (info.framed, info.limits, tuple(info.colours)) == (((0, 1),), (0.0, 1.0), tuple(SEQUENTIAL))
    assert (
        info.hover[0][0]
        == "Arabic ar → Arabic ar (same language)<br>mAP 0.500, 10 queries<br>95 % interval 0.400 to 0.600"
    )
    assert info.hover[0][1].endswith("95 % interval 0.300 to 0.500 (wide: read with care)")
    assert info.hover[1][0] == "German de → Arabic ar (cross-lingual)<br>mAP 0.300, 10 queries"
    assert _get_pair_info(OURS, "map", CODES, compact=True).texts == [[".50", ".40"], [".30", ""]]


def test_the_red_frame_stands_around_its_cell() -> None:
    low = pl.DataFrame({"query_lang": ["ar"], "doc_lang": ["de"]})
    [frame] = [shape for shape in pair_heatmap(OURS, "map", CODES, low=low).layout.shapes if shape.line.color == ACCENT]
    assert (frame.x0, frame.x1, frame.y0, frame.y1) == (0.5, 1.5, -0.5, 0.5)  # German across, Arabic down


def test_numbers_of_queries_are_whole() -> None:
    info = _get_counts_info(OURS.with_columns(queries=pl.Series([5, 1200, 7, None])), CODES)
    assert (info.texts, info.limits) == ([["5", "1200"], ["7", ""]], (0.0, 1200.0))
    assert info.hover[0][1] == "Arabic ar → German de<br>1,200 queries"
    assert info.hover[1][1] == "German de → German de<br>no queries"


SELECTION = pl.DataFrame(
    {
        "system": [0.0, 0.5, 1.0],
        "value": [0.60, 0.58, 0.50],
        "difference": [None, -0.02, -0.10],
        "difference_low": [None, -0.05, -0.12],
        "difference_high": [None, 0.01, -0.06],
    }
)


def test_bars_span_the_interval_of_the_difference_from_the_best() -> None:
    info = _get_bars_info(SELECTION)
    assert info is not None
    assert info.best == pytest.approx(0.60)
    assert (info.alphas, info.values) == ([0.5, 1.0], [0.58, 0.50])
    assert info.lows == pytest.approx([0.55, 0.48])
    assert info.highs == pytest.approx([0.61, 0.54])
    assert _get_bars_info(SELECTION.head(1)) is None


POINTS = pl.DataFrame(
    {
        "strategy": ["hybrid"] * 5 + ["merge"],
        "alpha": [0.0, 0.0, 0.5, 1.0, 0.75, 0.5],
        "seed": [0, 1, 0, 0, 0, 0],
        "mono_map": [0.1, 0.3, 0.5, 0.6, 0.4, 0.55],
        "multi_map": [0.8, 0.6, 0.5, 0.3, 0.2, 0.4],
        "rank_distance": [100.0, 200.0, 80.0, 60.0, 70.0, 90.0],
    }
)


def test_error_bars_reach_down_to_the_low_and_up_to_the_high_end() -> None:
    figure = ratio_curve(POINTS, "multi_map", selection=SELECTION)
    bars = next(trace for trace in figure.data if trace.error_y.array is not None)
    assert list(bars.error_y.arrayminus) == pytest.approx([0.03, 0.02])
    assert list(bars.error_y.array) == pytest.approx([0.03, 0.04])


WITH_BASELINES = pl.concat(
    [
        POINTS,
        pl.DataFrame(
            {
                "strategy": ["x-x", "x-x"],
                "alpha": [None, None],
                "seed": [0, 1],
                "mono_map": [0.2, 0.2],
                "multi_map": [0.4, 0.6],
                "rank_distance": [400.0, 600.0],
            },
            schema_overrides={"alpha": pl.Float64},
        ),
    ]
)


def test_a_curve_is_made_of_seeds_means_and_merged_checkpoints() -> None:
    info = _get_curve_info(WITH_BASELINES, "multi_map", None, Beside())
    assert info.name == "multi mAP"
    assert info.seeds.rows() == [(0.0, 0, 0.8), (0.0, 1, 0.6), (0.5, 0, 0.5), (1.0, 0, 0.3), (0.75, 0, 0.2)]
    assert info.means.rows() == [(0.0, pytest.approx(0.7)), (0.5, 0.5), (0.75, 0.2), (1.0, 0.3)]
    assert info.merged.rows() == [(0.5, 0.4)]
    assert info.span == pytest.approx((0.2 - 0.18 * 0.6, 0.8 + 0.18 * 0.6))
    assert info.bars is None
    assert _get_curve_info(POINTS, "rank_distance", None, Beside()).name == "rank distance"


def test_what_has_no_ratio_is_named_above_the_plot_the_highest_first() -> None:
    info = _get_curve_info(WITH_BASELINES, "multi_map", None, Beside(0.05))
    assert (info.lines, info.strip) == ([(0.5, "x-x 0.500")], ["x-x 0.500", "untrained 0.050 ↓"])
    info = _get_curve_info(WITH_BASELINES, "rank_distance", None, Beside(150.0))
    assert (info.lines, info.strip) == ([(150.0, "untrained 150")], ["x-x 500 ↑", "untrained 150"])
    assert _get_curve_info(POINTS, "multi_map", None, Beside()).strip == []


ADJUSTED = pl.DataFrame(
    {
        "strategy": ["centred", "lir-3", "centred+hybrid", "centred+hybrid", "lir-3+hybrid", "lir-3+hybrid"],
        "alpha": [None, None, 0.0, 1.0, 0.0, 1.0],
        "seed": [0] * 6,
        "mono_map": [0.5] * 6,
        "multi_map": [0.4, 0.35, 0.7, 0.6, 0.1, 0.65],
        "rank_distance": [90.0] * 6,
    },
    schema_overrides={"alpha": pl.Float64},
)


def test_only_the_best_of_adjusted_vectors_is_named() -> None:
    info = _get_curve_info(pl.concat([POINTS, ADJUSTED]), "multi_map", None, Beside())
    assert info.lines == [(0.4, "centred 0.400"), (0.35, "lir-3 0.350")]
    assert info.strip == ["centred 0.400"]  # the curve of the best head is drawn
    assert {name: line["mean"].to_list() for name, line in info.adjusted.items()} == {
        "centred+hybrid": [0.7, 0.6],
        "lir-3+hybrid": [0.1, 0.65],
    }
    low = ADJUSTED.with_columns(multi_map=pl.col("multi_map") - 1)
    info = _get_curve_info(pl.concat([POINTS, low]), "multi_map", None, Beside())
    assert info.strip == ["centred -0.600 ↓"]
    assert info.adjusted == {}
    assert list(_get_curve_info(pl.concat([POINTS, low]), "multi_map", None, Beside(adjusted=True)).adjusted) == [
        "centred+hybrid",
        "lir-3+hybrid",
    ]


def test_published_points_are_joined_by_model_in_the_order_of_alpha_and_widen_the_axis() -> None:
    published = [(1.0, 0.9, "A alpha 1"), (0.0, 1.2, "A alpha 0"), (0.5, 0.7, "B alpha 0.5")]
    info = _get_curve_info(POINTS, "multi_map", None, Beside(references=published))
    assert {model: [point[0] for point in points] for model, points in info.references.items()} == {
        "A": [0.0, 1.0],
        "B": [0.5],
    }
    assert info.span[1] == pytest.approx(1.2 + 0.18 * 1.0)
    assert _get_curve_info(POINTS, "multi_map", SELECTION.with_columns(difference_high=1.0), Beside()).span[1] > 1.6


@pytest.mark.parametrize(("alpha", "column"), [(0.5, "multi_map"), (0.0, "rank_distance")])
def test_no_text_of_a_curve_stands_where_the_band_of_the_chosen_ratio_is(alpha: float, column: str) -> None:
    figure = ratio_curve(WITH_BASELINES, column, beside=Beside(0.45), alpha=alpha)
    [note] = figure.layout.annotations
    assert (note.yref, note.y, note.yanchor) == ("paper", 1, "bottom")  # above the plot, in which the band ends
    assert figure.layout.margin.t >= 15 * (note.text.count("<br>") + 1)
    [band] = [shape for shape in figure.layout.shapes if shape.line.width == 6]
    assert (band.x0, band.x1, band.layer) == (alpha, alpha, "below")
    assert (band.y0, band.y1, band.yref) == (0, 1, "y domain")
    assert not [trace for trace in figure.data if trace.text is not None]


def test_lines_without_a_ratio_are_drawn_where_they_are() -> None:
    figure = ratio_curve(WITH_BASELINES, "multi_map", beside=Beside(0.45))
    assert [shape.y0 for shape in figure.layout.shapes if shape.line.color == GREY] == [0.5, 0.45]


def test_the_seeds_of_a_ratio_share_a_colour_and_a_place_in_the_legend() -> None:
    labels = ["head, alpha 1, seed 0", "head, alpha 0, seed 1", "head, alpha 0, seed 0"]
    frame = pl.DataFrame({"what": labels * 2, "step": [0] * 3 + [10] * 3, "loss": [3.0, 2.0, 1.0, 0.3, 0.2, 0.1]})
    info = _get_loss_info(frame)
    assert [(line.name, line.seed, line.place, line.is_first) for line in info] == [
        ("alpha 0", "0", 0.0, True),
        ("alpha 0", "1", 0.0, False),
        ("alpha 1", "0", 1.0, True),
    ]
    assert (info[0].steps, info[0].losses) == ([0, 10], [1.0, 0.1])
    first, second, other = loss_curves(frame).data
    assert first.line.color == second.line.color != other.line.color


def test_the_front_joins_only_what_nothing_beats() -> None:
    info = _get_trade_off_info(POINTS, "mono_map", "multi_map")
    assert info.means.filter(pl.col("strategy") == "hybrid").rows() == [
        ("hybrid", 0.0, pytest.approx(0.2), pytest.approx(0.7), 150.0),
        ("hybrid", 0.5, 0.5, 0.5, 80.0),
        ("hybrid", 0.75, 0.4, 0.2, 70.0),
        ("hybrid", 1.0, 0.6, 0.3, 60.0),
    ]
    assert info.front["mono_map"].to_list() == pytest.approx([0.2, 0.5, 0.55, 0.6])
    front = trade_off(POINTS, "mono_map", "multi_map", ("mono", "multi"), alpha=0.5).data[-1]
    assert list(front.x) == pytest.approx([0.2, 0.5, 0.55, 0.6])
    assert list(front.y) == pytest.approx([0.7, 0.5, 0.4, 0.3])


def test_the_box_of_the_query_language_stands_out_and_the_highest_median_is_first() -> None:
    ranks = pl.DataFrame(
        {"query_lang": ["ar"] * 3 + ["de"], "doc_lang": ["ar", "de", "de", "ar"], "rank_in_pool": [2, 10, 30, 99]}
    )
    figure = pool_rank_boxes(ranks, "ar")
    assert [(box.y, box.marker.color, list(box.median)) for box in figure.data] == [
        (("Arabic ar",), ACCENT, [2.0]),
        (("German de",), INK, [20.0]),
    ]
    assert figure.layout.yaxis.categoryarray == ("German de", "Arabic ar")


def test_differences_of_many_languages_in_half_a_page_have_no_decimals() -> None:
    codes = ["ar", "de", "el", "en", "es", "fa", "fr", "hi", "ja", "ko", "pt", "ru", "th"]
    rows = [(q, d, 10, 0.5 if q < d else 0.45) for q in codes for d in codes]
    frame = pl.DataFrame(rows, schema=["query_lang", "doc_lang", "queries", "map"], orient="row")
    flat = frame.with_columns(map=0.462)

    def texts(languages: list[str]) -> list[str]:
        return list(difference_heatmap((frame, flat), "map", languages, compact=True).data[0].text[0][:2])

    assert texts(codes) == ["−1", "+4"]
    some = codes[:12]
    kept = pl.col("query_lang").is_in(some) & pl.col("doc_lang").is_in(some)
    frame, flat = frame.filter(kept), flat.filter(kept)
    assert texts(some) == ["−1.2", "+3.8"]
