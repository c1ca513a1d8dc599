"""engine.significance.intervals against scipy's bootstrap on the same draws and on many others, and scipy's Wilson."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, bootstrap, norm

from engine.errors import InputError
from engine.significance import (
    Resampled,
    difference,
    intervals,
    mark_uncertain,
    question_sums,
    resample,
    standard_error,
    wilson,
)
from tests.significance_builders import POOL, macro_mean, ranks_by_chance, sums_of

N, SEED = 25, 11
METHODS = ("bca", "percentile")


def skewed(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores that lean to one side, and which queries there are, far fewer in one cell than in the other."""
    rng = np.random.default_rng(seed)
    scores = rng.exponential(size=(N, 1)) + 0.5 * rng.standard_normal((N, 3))
    return scores, np.arange(N)[:, None] < [N, N - 5, N // 2]


def scipys(
    statistic: Callable[[np.ndarray], float],
    method: str,
    *,
    level: float = 0.95,
    resamples: int = 400,
    seed: int = SEED,
) -> tuple[float, float]:
    """The interval by scipy, which draws the questions as we do where its generator has our seed."""
    found = bootstrap(
        (np.arange(N),),
        statistic,
        vectorized=False,
        n_resamples=resamples,
        method=method,
        confidence_level=level,
        rng=np.random.default_rng(seed),
    )
    return tuple(found.confidence_interval)


def ours(found: Resampled, method: str, level: float = 0.95) -> tuple[float, float]:
    return intervals(found, method=method, level=level).select("low", "high").row(0)


@pytest.mark.parametrize("level", [0.5, 0.95])
@pytest.mark.parametrize("method", METHODS)
def test_the_interval_of_a_macro_mean_of_unequal_cells_is_scipys_on_the_same_draws(method, level):
    scores, present = skewed(1)
    found = resample({"one": [sums_of(scores, present)]}, resamples=400, seed=SEED)["one"].only("map", "multi")
    expected = scipys(lambda chosen: macro_mean(scores, present, chosen), method, level=level)
    assert ours(found, method, level) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_the_interval_of_one_cell_of_hits_with_its_many_ties_is_scipys_on_the_same_draws(method):
    hits = (np.arange(N) % 3 == 0).astype(float)
    found = resample({"one": [sums_of(hits[:, None])]}, resamples=400, seed=SEED)["one"]
    expected = scipys(lambda chosen: hits[chosen].mean(), method)
    assert ours(found.only("map", "multi", "l000"), method) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_the_interval_of_a_difference_is_scipys_on_the_same_draws(method):
    (one, present), (other, _) = skewed(1), skewed(2)
    found = resample({"one": [sums_of(one, present)], "other": [sums_of(other, present)]}, resamples=400, seed=SEED)
    expected = scipys(
        lambda chosen: macro_mean(one, present, chosen) - macro_mean(other, present, chosen), method, level=0.9
    )
    paired = difference(found["one"], found["other"]).only("map", "multi")
    assert ours(paired, method, 0.9) == pytest.approx(expected, rel=1e-9)


def test_draws_that_tie_with_the_estimate_tie_in_spite_of_rounding():
    one, other = np.full((2, N, 1), 1 / 3)
    one[0] += 0.1
    found = resample({"one": [sums_of(one)], "other": [sums_of(other)], "apart": [sums_of(one - other)]}, resamples=400)
    tied = found["apart"].draws[:, 0] == found["apart"].estimate[0]
    assert 0.3 < tied.mean() < 0.45
    paired = difference(found["one"], found["other"])
    assert not np.array_equal(paired.draws[:, 0] == paired.estimate[0], tied)
    assert ours(paired.only("map", "multi"), "bca") == pytest.approx(
        ours(found["apart"].only("map", "multi"), "bca"), abs=1e-12
    )


@pytest.mark.parametrize("method", METHODS)
def test_the_interval_of_the_bias_a_ratio_of_means_is_scipys_on_the_same_draws(method):
    sums = question_sums(ranks_by_chance(np.random.default_rng(3), questions=N, held=0.8), ["map"], pool=POOL)
    distance, random = (sums.cells["measure"].to_numpy() == name for name in ("rank_distance", "random_distance"))

    def bias(chosen: np.ndarray) -> float:
        parts = [(sums.sums[:, which], sums.counts[:, which]) for which in (distance, random)]
        found, expected = (np.mean(scores[chosen].sum(axis=0) / counts[chosen].sum(axis=0)) for scores, counts in parts)
        return found / expected

    found = resample({"one": [sums]}, resamples=400, seed=SEED)["one"].only("bias", "multi")
    assert ours(found, method) == pytest.approx(scipys(bias, method), rel=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_many_draws_come_near_scipys_own(method):
    scores, present = skewed(5)
    found = resample({"one": [sums_of(scores, present)]}, resamples=20_000)["one"].only("map", "multi", "l001")
    values = scores[:, 1]
    expected = scipys(lambda chosen: values[chosen[chosen < N - 5]].mean(), method, resamples=20_000, seed=99)
    assert ours(found, method) == pytest.approx(expected, abs=0.08 * found.draws.std())


def test_bca_leans_with_the_scores_and_percentile_does_not_follow():
    scores, present = skewed(1)
    found = resample({"one": [sums_of(scores, present)]})["one"].only("map", "multi")
    (low, high), (plain_low, plain_high) = ours(found, "bca"), ours(found, "percentile")
    assert low > plain_low
    assert high > plain_high


def test_with_drawn_seeds_bca_spreads_its_acceleration_over_questions_and_seeds():
    scores, _ = skewed(1)
    shifts = np.random.default_rng(2).normal(0, 0.3, 3)
    found = resample({"one": [sums_of(scores + shift) for shift in shifts]}, seed=SEED)["one"].only("map", "multi")
    deviations = found.without.mean() - found.without[:, 0]
    variance = N / (N - 1) * standard_error(found)[0][0] ** 2
    acceleration = (deviations**3).sum() / variance**1.5 / 6
    shift = norm.ppf((found.draws < found.estimate).mean())
    ends = shift + norm.ppf([0.025, 0.975])
    levels = norm.cdf(shift + ends / (1 - acceleration * ends))
    assert ours(found, "bca") == pytest.approx(np.quantile(found.draws, levels), rel=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_intervals_widen_with_the_variance_of_the_seeds(method):
    scores, _ = skewed(1)
    widths = []
    for spread in (0.0, 0.1, 0.3, 1.0):
        sums = [sums_of(scores + spread * shift) for shift in (-1, 0.2, 0.8)]
        low, high = ours(resample({"one": sums})["one"].only("map", "multi"), method)
        widths.append(high - low)
    assert widths == sorted(widths)
    plain_low, plain_high = ours(resample({"one": [sums_of(scores)]})["one"].only("map", "multi"), method)
    assert widths[0] == pytest.approx(plain_high - plain_low)
    assert widths[-1] > 3 * widths[0]


@settings(deadline=None, max_examples=100)
@given(trials=st.integers(1, 2000), share=st.floats(0, 1), level=st.sampled_from([0.8, 0.95, 0.999]))
def test_wilson_is_scipys(trials, share, level):
    successes = round(share * trials)
    low, high = wilson(np.array([successes]), np.array([trials]), level)
    expected = binomtest(successes, trials).proportion_ci(level, method="wilson")
    assert (low[0], high[0]) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_of_no_trial_is_unknown():
    assert np.isnan(wilson(np.zeros(2), np.zeros(2))).all()


@pytest.mark.parametrize("method", METHODS)
def test_wilson_stands_beside_the_share_of_hits_in_one_cell_of_one_evaluation_alone(method):
    ranks = [
        ranks_by_chance(np.random.default_rng(1), questions=N, places=np.random.default_rng(seed)) for seed in (1, 2)
    ]
    one, other = (question_sums(frame, ["hit@1", "hit@10", "map"]) for frame in ranks)
    found = intervals(resample({"one": [one]}, resamples=50)["one"], method=method)
    told = found.filter(pl.col("wilson_low").is_not_null())
    assert told.equals(found.filter(pl.col("measure").is_in(["hit@1", "hit@10"]), pl.col("query_lang").is_not_null()))
    for row in told.to_dicts():
        expected = binomtest(round(row["value"] * row["queries"]), row["queries"]).proportion_ci(method="wilson")
        assert (row["wilson_low"], row["wilson_high"]) == pytest.approx((expected.low, expected.high))
    several = intervals(resample({"one": [one, other]}, resamples=50)["one"], method=method)
    assert several["wilson_low"].null_count() == found.height


def test_where_all_queries_hit_wilson_does_not_shrink_to_a_point():
    sums = question_sums(
        ranks_by_chance(np.random.default_rng(1), questions=N, held=1.0).with_columns(
            rank_in_pool=pl.lit(1, pl.Int32), rank_in_language=pl.lit(1, pl.Int32)
        ),
        ["hit@1"],
    )
    row = intervals(resample({"one": [sums]})["one"].only("hit@1", "mono", "de", "de")).row(0, named=True)
    assert (row["low"], row["value"], row["high"]) == (1, 1, 1)
    expected = binomtest(N, N).proportion_ci(method="wilson")
    assert (row["wilson_low"], row["wilson_high"]) == pytest.approx((expected.low, 1))
    assert expected.low < 0.9


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("held", [1, 3])
def test_too_few_questions_have_no_interval_in_their_cell_nor_in_the_setting(method, held):
    present = np.ones((40, 2), bool)
    present[held:, 1] = False
    found = intervals(resample({"one": [sums_of(skewed(1)[0][np.arange(40) % N, :2], present)]})["one"], method=method)
    assert found["low"].is_null().to_list() == found["high"].is_null().to_list() == [False, held == 1, held == 1]
    assert not found["value"].has_nulls()


@pytest.mark.parametrize("method", METHODS)
def test_where_every_second_draw_leaves_a_cell_empty_there_is_no_interval(method):
    found = resample({"one": [sums_of(np.arange(20.0)[:, None])]}, resamples=100)["one"]
    for empty, unknown in ((50, False), (51, True)):
        found.draws[:empty] = np.nan
        assert intervals(found, method=method)["low"].is_null().to_list() == [unknown, unknown]


@pytest.mark.parametrize("method", METHODS)
def test_one_question_has_values_and_no_intervals(method):
    found = intervals(resample({"one": [sums_of(np.ones((1, 2)))]})["one"], method=method)
    assert found["value"].to_list() == [1, 1, 1]
    assert found["low"].null_count() == found["high"].null_count() == 3


def test_cells_with_few_queries_are_marked_as_too_uncertain_to_read():
    rng = np.random.default_rng(6)
    present = np.arange(1200)[:, None] < [1200, 1200, 60]
    found = intervals(resample({"one": [sums_of(rng.random((1200, 3)), present)]})["one"])
    assert mark_uncertain(found)["uncertain"].to_list() == [False, False, True, False]
    assert mark_uncertain(found, 0.01)["uncertain"].all()
    assert not mark_uncertain(found, 0.5)["uncertain"].any()


def test_what_has_no_interval_is_uncertain():
    frame = pl.DataFrame({"low": [None, 0.5], "high": [None, 0.51]}, schema={"low": pl.Float64, "high": pl.Float64})
    assert mark_uncertain(frame)["uncertain"].to_list() == [True, False]


@pytest.mark.parametrize("threshold", [0, -0.1, float("nan")])
def test_a_threshold_that_is_no_width_is_refused(threshold):
    with pytest.raises(InputError, match="must be > 0"):
        mark_uncertain(pl.DataFrame({"low": [0.0], "high": [1.0]}), threshold)


@pytest.mark.parametrize("level", [0, 1, -0.5, 95, float("nan")])
def test_a_level_outside_0_to_1_is_refused(level):
    found = resample({"one": [sums_of(np.ones((3, 2)))]}, resamples=2)["one"]
    for call in (lambda: intervals(found, level=level), lambda: wilson(np.ones(1), np.ones(1), level)):
        with pytest.raises(InputError, match="must lie between 0 and 1"):
            call()


def test_an_unknown_method_is_refused():
    found = resample({"one": [sums_of(np.ones((3, 2)))]}, resamples=2)["one"]
    with pytest.raises(InputError, match="interval 'basic' is unknown; allowed are bca, percentile"):
        intervals(found, method="basic")
