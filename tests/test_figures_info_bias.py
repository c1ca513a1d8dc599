"""What the figures of language bias and of published results show, by value on small made-up frames."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from engine.bias import pool_rank_quantiles
from engine.bias.distance import random_distance
from engine.figures.bias import (
    _get_boxes_info,
    _get_parallel_info,
    _get_rank_distance_info,
    _get_shares_info,
    parallel_ranks,
    rank_distance_dots,
    share_bars,
)
from engine.figures.bias_curves import _get_measure_curve_info, _LevelInfo
from engine.figures.bias_grids import (
    _get_advantage_info,
    _get_agreement_info,
    _get_pool_rank_info,
    _get_target_info,
    pool_rank_heatmap,
)
from engine.figures.bias_suite import _get_forest_info, _get_outcome_info, _get_places_info
from engine.figures.style import ACCENT, DIVERGING, GREY, INK, SEQUENTIAL

CODES = ["ar", "de"]
PAIRS = {"query_lang": ["ar", "ar", "de", "de"], "doc_lang": ["ar", "de", "ar", "de"], "queries": [5, 6, 7, 1200]}

DISTANCES = pl.DataFrame(
    {
        "query_lang": ["ar", "de"],
        "queries": [5, 1200],
        "rank_distance": [10.0, 50.0],
        "median": [4.0, 30.0],
        "random": [100.0, 200.0],
    }
)


def test_the_largest_rank_distance_is_first_beside_its_share_of_random() -> None:
    info = _get_rank_distance_info(DISTANCES)
    assert (info.names, info.means, info.medians) == (["German de", "Arabic ar"], [50.0, 10.0], [30.0, 4.0])
    assert (info.mean_shares, info.median_shares) == ([25.0, 10.0], [15.0, 4.0])
    assert (info.queries, info.random) == ([1200, 5], 150.0)
    assert np.isnan(random_distance(DISTANCES.clear()))


def test_rank_distances_are_drawn_as_they_are() -> None:
    median, mean = rank_distance_dots(DISTANCES).data
    assert (median.name, median.marker.color, list(median.x)) == ("median", GREY, [30.0, 4.0])
    assert (mean.name, mean.marker.color, list(mean.x)) == ("mean", INK, [50.0, 10.0])
    assert list(mean.text) == ["  50", "  10"]
    [line] = rank_distance_dots(DISTANCES).layout.shapes
    assert (line.x0, line.line.color) == (150.0, ACCENT)


RANKS = pl.DataFrame(
    {
        "query_lang": ["ar"] * 6 + ["de"],
        "doc_lang": ["ar"] * 3 + ["de"] * 3 + ["ar"],
        "rank_in_pool": [2, 4, 6, 10, 30, 80, 99],
        "rank_in_language": [1, 2, 3, 4, 5, 6, 7],
    }
)


def test_quantiles_of_pool_ranks_are_numpys() -> None:
    ranks = [place**2 for place in range(21)]  # each quantile is one of them, and no neighbour's
    frame = pl.DataFrame({"query_lang": "ar", "doc_lang": ["de"] * 21 + ["ar"], "rank_in_pool": [*ranks, 7]})
    own, other = pool_rank_quantiles(frame).rows(named=True)
    assert (own["doc_lang"], own["low"], own["median"], own["high"]) == ("ar", 7, 7, 7)
    expected = np.quantile(ranks, [0.05, 0.25, 0.5, 0.75, 0.95], method="nearest")
    assert [other[name] for name in ("low", "q1", "median", "q3", "high")] == expected.tolist()


def test_boxes_are_of_one_query_language_the_highest_median_first() -> None:
    info = _get_boxes_info(RANKS, "ar")
    assert info.names == ["German de", "Arabic ar"]
    assert (info.own["doc_lang"].to_list(), info.own["median"].to_list()) == (["ar"], [4.0])
    assert (info.others["doc_lang"].to_list(), info.others["median"].to_list()) == (["de"], [30.0])


SHARES = pl.DataFrame(
    {"query_lang": ["ar", "ar", "de", "de"], "doc_lang": ["ar", "de", "ar", "de"], "share": [0.5, 0.5, 0.8, 0.2]}
)


def test_the_smallest_own_share_is_first_beside_its_fair_share() -> None:
    info = _get_shares_info(SHARES, {"ar": 0.25})
    assert (info.names, info.own, info.fair) == (["German de", "Arabic ar"], [20.0, 50.0], [0.0, 25.0])
    bars, fair = share_bars(SHARES, {"ar": 0.25}, 10).data
    assert (list(bars.x), list(bars.text), bars.marker.color) == ([20.0, 50.0], ["20 %", "50 %"], INK)
    assert (list(fair.x), fair.marker.color, fair.name) == ([0.0, 25.0], ACCENT, "fair share")


def test_the_last_of_the_parallel_passages_is_first_and_the_own_language_stands_out() -> None:
    one_query = RANKS.filter(pl.col("rank_in_pool").is_in([4, 80]))
    info = _get_parallel_info(one_query, "ar")
    assert (info.names, info.ranks, info.in_language) == (["German de", "Arabic ar"], [80, 4], [6, 2])
    assert info.own == [False, True]
    assert list(parallel_ranks(one_query, "ar").data[0].marker.color) == [INK, ACCENT]


def test_median_ranks_are_coloured_by_powers_of_ten() -> None:
    frame = pl.DataFrame(PAIRS | {"median_rank": [1.0, 1000.0, 10.0, None]})
    info = _get_pool_rank_info(frame, CODES)
    np.testing.assert_allclose(info.grid, [[0.0, 3.0], [1.0, np.nan]])
    assert info.texts == [["1", "1,000"], ["10", ""]]
    assert (info.limits, info.colours) == ((0.0, 3.0), tuple(SEQUENTIAL))
    assert info.hover[0][1] == "Arabic ar query, German de passage<br>median rank 1,000 of the pool, 6 queries"
    assert list(pool_rank_heatmap(frame, CODES).data[0].colorbar.ticktext) == ["1", "10", "100", "1,000"]


def test_an_advantage_is_before_and_a_disadvantage_behind() -> None:
    info = _get_advantage_info(pl.DataFrame(PAIRS | {"advantage": [2.0, -3.0, 0.0, None]}), CODES)
    assert (info.limits, info.colours) == ((-3.0, 3.0), DIVERGING)
    assert info.texts == [["+2.0", "\u22123.0"], ["0.0", ""]]
    begin = "Arabic ar query, German de passage<br>"
    assert info.hover[0][1] == f"{begin}8.0 times behind its translations (\u22123.00 doublings)<br>6 queries"
    assert "4.0 times before its translations (+2.00 doublings)" in info.hover[0][0]
    assert info.hover[1][1] == "German de query, German de passage<br>no query"


def test_lone_passages_and_agreements_keep_their_places() -> None:
    info = _get_target_info(pl.DataFrame(PAIRS | {"mrr": [0.1, 0.2, 0.3, 0.4]}), CODES)
    assert (info.texts, info.limits) == ([["0.10", "0.20"], ["0.30", "0.40"]], (0.0, 1.0))
    assert info.hover[0][1] == (
        "Arabic ar query, only the German de passage is relevant<br>mean reciprocal rank 0.200, 6 queries"
    )
    frame = pl.DataFrame({"query_lang": ["ar", "de"], "other_lang": ["de", "ar"], "correlation": [0.4, 0.4]})
    info = _get_agreement_info(frame.with_columns(questions=pl.lit(9)), CODES)
    np.testing.assert_allclose(info.grid, [[np.nan, 0.4], [0.4, np.nan]])
    assert info.hover[0] == ["Arabic ar", "Arabic ar and German de queries<br>correlation 0.400, 9 questions"]
    assert info.limits == (0.0, 0.4)


def test_a_row_of_the_forest_says_which_way_is_less_biased() -> None:
    rows = [("own_share", 0.4, 0.3, 0.5, 0.25), ("rank_distance", 80.0, None, None, None)]
    frame = pl.DataFrame(rows, schema=["measure", "value", "low", "high", "random"], orient="row")
    share, distance = _get_forest_info(frame, 10)
    assert share.left.startswith("own language in the top 10<br>")
    assert "nearer to random is less biased" in share.left
    assert share.right.startswith("<b>40.0 %</b><br>")
    assert "30.0 % to 50.0 %" in share.right
    assert (share.value, share.interval, share.random) == (0.4, (0.3, 0.5), (0.25, "25.0 %"))
    assert share.axis == pytest.approx((-0.03, 1.03))
    assert "lower is less biased" in distance.left
    assert (distance.interval, distance.random, distance.axis) == ((80.0, 80.0), None, pytest.approx((-2.4, 82.4)))


def test_outcomes_are_in_per_cent_the_most_wrong_in_the_own_language_first() -> None:
    shares = {"first_right_own": [0.7, 0.1], "first_right_other": [0.2, 0.3]}
    shares |= {"first_wrong_own": [0.1, 0.4], "first_wrong_other": [0.0, 0.2]}
    info = _get_outcome_info(pl.DataFrame({"query_lang": CODES, "queries": [5, 9]} | shares))
    assert (info.names, info.queries) == (["German de", "Arabic ar"], [9, 5])
    assert info.shares["first_right_own"] == pytest.approx([10.0, 70.0])
    assert list(info.shares) == list(shares)


def test_a_language_is_pushed_down_or_put_first_only_if_the_test_says_so() -> None:
    codes, values = ["ar", "de", "en", "es"], [0.2, 0.8, 0.9, 0.5]
    places = pl.DataFrame({"doc_lang": codes, "questions": [9] * 4, "value": values}).with_columns(
        low=pl.col("value") - 0.1, high=pl.col("value") + 0.05
    )
    tests = {"doc_lang": codes, "p_holm": [0.049, 0.05, 0.01, None], "mean_rank": [1.2, 2.0, None, 1.5]}
    info = _get_places_info(places, pl.DataFrame(tests))
    assert info.names == ["English en", "German de", "Spanish es", "Arabic ar"]
    assert [[row.name for row in rows] for rows in (info.first, info.equal, info.down)] == [
        ["Arabic ar"],
        ["German de", "Spanish es"],
        ["English en"],
    ]
    [arabic] = info.first
    assert (arabic.place, arabic.low, arabic.high) == pytest.approx((20.0, 10.0, 25.0))
    assert arabic.hover == (
        "Arabic ar: 20 % of its translations before it (95 % interval 10 to 25), mean rank 1.2 among its translations"
        "<br>9 questions, p = 0.049 after Holm's correction"
    )


def test_what_has_no_ratio_is_within_the_axis_or_behind_its_end() -> None:
    frame = pl.DataFrame(
        {"alpha": [1.0, 0.0], "seeds": [3, 1], "measure": ["bias"] * 2, "value": [0.4, 0.2], "random": [1.0] * 2}
    ).with_columns(low=pl.Series([0.3, None]), high=pl.Series([0.6, None]))
    info = _get_measure_curve_info(frame, "bias", 0.25)
    assert (info.alphas, info.values, info.lows, info.highs) == ([0.0, 1.0], [0.2, 0.4], [0.2, 0.3], [0.2, 0.6])
    assert info.axis == pytest.approx((0.1, 0.7))
    assert info.untrained is not None
    assert (info.untrained.value, info.untrained.behind) == (0.25, "")
    assert info.random is not None
    assert (info.random.behind, info.random.text[-1]) == ("top", "↑")
    assert info.hover[0].endswith("1 seed")
    low = _get_measure_curve_info(frame, "bias", 0.05).untrained
    assert isinstance(low, _LevelInfo)
    assert (low.behind, low.text[-1]) == ("bottom", "↓")
