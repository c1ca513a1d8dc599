"""What the figures of the explorer and of the pairs show, by value on small made-up frames."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from engine.figures.bias import pool_rank_boxes
from engine.figures.pairs import _get_difference_info, difference_heatmap
from engine.figures.ratios import _get_bars_info, _get_trade_off_info, ratio_curve, trade_off
from engine.figures.style import ACCENT, DIVERGING, INK, PALE_TEXT

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
    assert info.limit == pytest.approx(8.0)
    assert info.bold == [[None, None], [None, None]]


def test_significant_differences_alone_are_bold() -> None:
    info = _get_difference_info((OURS, THEIRS), "map", CODES, limit=5.0, tests=TESTS)
    assert info.bold == [[True, True], [False, None]]
    assert info.limit == 5.0
    assert info.hover[0][1] == (
        "Arabic ar → German de<br>mAP \u22128.0 points, 10 queries<br>"
        "95 % interval \u221212.0 to \u22124.0, p < 0.001 (Holm)"
    )


def test_the_difference_heatmap_draws_its_info() -> None:
    heat = difference_heatmap(OURS, THEIRS, "map", CODES, tests=TESTS).data[0]
    np.testing.assert_allclose(heat.z, [[5.0, -8.0], [0.0, np.nan]], atol=1e-9)
    assert list(heat.text[0]) == ["<b>+5.0</b>", "<b>\u22128.0</b>"]
    assert list(heat.text[1]) == [f'<span style="color:{PALE_TEXT}">0.0</span>', ""]
    assert (heat.zmin, heat.zmax) == (pytest.approx(-8.0), pytest.approx(8.0))
    assert [colour for _, colour in heat.colorscale] == DIVERGING  # red is worse, blue is better


def test_the_means_leave_the_diagonal_out() -> None:
    _, rows, columns, _ = difference_heatmap(OURS, THEIRS, "map", CODES).data
    assert (list(rows.text), list(columns.text)) == (["\u22128.0", "0.0"], ["0.0", "\u22128.0"])


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
        "mono": [0.1, 0.3, 0.5, 0.6, 0.4, 0.55],
        "multi": [0.8, 0.6, 0.5, 0.3, 0.2, 0.4],
        "rank_distance": [100.0, 200.0, 80.0, 60.0, 70.0, 90.0],
    }
)


def test_error_bars_reach_down_to_the_low_and_up_to_the_high_end() -> None:
    figure = ratio_curve(POINTS, "multi", "multi mAP", selection=SELECTION)
    bars = next(trace for trace in figure.data if trace.error_y.array is not None)
    assert list(bars.error_y.arrayminus) == pytest.approx([0.03, 0.02])
    assert list(bars.error_y.array) == pytest.approx([0.03, 0.04])


def test_the_front_joins_only_what_nothing_beats() -> None:
    info = _get_trade_off_info(POINTS, "mono", "multi")
    assert info.means.filter(pl.col("strategy") == "hybrid").rows() == [
        ("hybrid", 0.0, pytest.approx(0.2), pytest.approx(0.7), 150.0),
        ("hybrid", 0.5, 0.5, 0.5, 80.0),
        ("hybrid", 0.75, 0.4, 0.2, 70.0),
        ("hybrid", 1.0, 0.6, 0.3, 60.0),
    ]
    assert info.front["mono"].to_list() == pytest.approx([0.2, 0.5, 0.55, 0.6])
    front = trade_off(POINTS, "mono", "multi", ("mono", "multi"), alpha=0.5).data[-1]
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
