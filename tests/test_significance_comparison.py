"""engine.significance.comparison against scipy's permutation test, slow loops, textbook formulas, and invariances."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, permutation_test, t, ttest_1samp, ttest_ind

from engine.errors import InputError
from engine.significance import (
    Resampled,
    benjamini_hochberg,
    compare,
    difference,
    holm,
    question_sums,
    randomisation_test,
    resample,
    smallest_detectable,
)
from tests.significance_builders import POOL, macro_mean, ranks_by_chance, sums_of

p_values = st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.01, 0.05, 1.0, float("nan")]), min_size=1, max_size=30)
scores = st.integers(0, 2**32).map(lambda seed: by_chance(seed, 9))


def by_chance(seed: int, questions: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores of two systems, and which queries there are: all of the first question, so that no cell is empty."""
    rng = np.random.default_rng(seed)
    one, other = rng.random((2, questions, 3)) + rng.random((2, questions, 1))
    present = rng.random((questions, 3)) < [1.0, 0.8, 0.5]
    present[:2] = True
    return one, other, present


def both(one: np.ndarray, other: np.ndarray, present: np.ndarray | None = None) -> tuple[Resampled, Resampled]:
    """Resamples two systems of one seed each."""
    found = resample({"one": [sums_of(one, present)], "other": [sums_of(other, present)]}, resamples=200)
    return found["one"], found["other"]


def macro_p(one: Resampled, other: Resampled, flips: int) -> float:
    return randomisation_test(difference(one, other).only("map", "multi").shares, flips=flips)[0]


def scipys(one: np.ndarray, other: np.ndarray, present: np.ndarray, resamples: float) -> float:
    """The p of swapping the two systems on whole questions, the macro means taken anew after each swap."""
    n = len(one)
    stacked, there = np.concatenate([one, other]), np.concatenate([present, present])

    def apart(first: np.ndarray, second: np.ndarray) -> float:
        return macro_mean(stacked, there, first) - macro_mean(stacked, there, second)

    rows = np.arange(n), np.arange(n, 2 * n)
    rng = np.random.default_rng(5)
    found = permutation_test(
        rows,
        apart,
        permutation_type="samples",
        vectorized=False,
        n_resamples=resamples,
        rng=rng,
        alternative="two-sided",
    )
    return found.pvalue


@pytest.mark.parametrize("seed", range(4))
def test_with_few_questions_the_test_is_scipys_exact_one_on_macro_means_of_unequal_cells(seed):
    one, other, present = by_chance(seed, 8)
    assert macro_p(*both(one, other, present), flips=256) == pytest.approx(scipys(one, other, present, np.inf))


def test_hits_with_their_many_ties_are_tested_exactly():
    rng = np.random.default_rng(0)
    one, other = rng.integers(2, size=(2, 10, 3)).astype(float)
    present = np.ones((10, 3), bool)
    assert macro_p(*both(one, other, present), flips=1024) == pytest.approx(scipys(one, other, present, np.inf))


def test_with_many_questions_the_drawn_flips_come_near_scipys():
    one, other, present = by_chance(1, 30)
    expected = scipys(one, other - 0.1, present, 4000)
    assert 0.02 < expected < 0.5
    noise = 4 * np.sqrt(expected * (1 - expected) * (1 / 4000 + 1 / 20_000))
    assert macro_p(*both(one, other - 0.1, present), flips=20_000) == pytest.approx(expected, abs=noise)


def test_one_flip_fewer_than_there_are_draws_them_and_counts_what_was_seen():
    differences = np.full((10, 1), 1.0)
    assert randomisation_test(differences, flips=1024)[0] == 2 / 1024
    drawn = randomisation_test(differences, flips=1023)[0]
    assert drawn != 2 / 1024
    assert (drawn * 1024) == pytest.approx(round(drawn * 1024))
    assert randomisation_test(np.full((200, 1), 1.0), flips=999)[0] == 1 / 1000


def test_the_flips_do_not_depend_on_how_many_are_held_at_once(monkeypatch):
    differences = np.random.default_rng(0).normal(size=(12, 5))
    expected = [randomisation_test(differences, flips=flips) for flips in (1000, 4096)]
    monkeypatch.setattr("engine.significance.comparison._BLOCK", 256 * 12)
    found = [randomisation_test(differences, flips=flips) for flips in (1000, 4096)]
    assert np.abs(found[0] - expected[0]).max() < 0.08
    assert np.array_equal(found[1], expected[1])


def holm_rejects(p: list[float], level: float) -> list[bool]:
    """Holm's procedure: from the smallest p on, until one is above level / (tests not yet rejected)."""
    rejected = [False] * len(p)
    for done, at in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        if p[at] > level / (len(p) - done):
            break
        rejected[at] = True
    return rejected


@settings(deadline=None, max_examples=200)
@given(p=p_values, level=st.floats(0.001, 0.999))
def test_holms_p_is_below_a_level_where_the_procedure_rejects_at_that_level(p, level):
    found, p = holm(np.array(p)), np.array(p)
    assert np.array_equal(np.isnan(found), np.isnan(p))
    told = found[~np.isnan(p)]
    certain = np.abs(told - level) > 1e-9
    expected = np.array(holm_rejects(p[~np.isnan(p)].tolist(), level), bool)
    assert np.array_equal((told <= level)[certain], expected[certain])


@settings(deadline=None, max_examples=200)
@given(p=p_values)
def test_benjamini_and_hochbergs_p_is_that_of_the_step_up_procedure(p):
    p = np.array(p)
    tests = ~np.isnan(p)
    corrected = benjamini_hochberg(p)
    assert np.isnan(corrected[~tests]).all()
    ordered = sorted(p[tests])
    for value, adjusted in zip(p[tests], corrected[tests], strict=True):
        # the lowest level at which the test is rejected: that of the best step at or after its own
        steps = [at * len(ordered) / place for place, at in enumerate(ordered, start=1) if at >= value]
        assert adjusted == pytest.approx(min([1.0, *steps]), rel=1e-12)


def test_corrections_are_over_the_cells_of_one_measure_and_setting_and_leave_the_mean_alone():
    frames = [
        ranks_by_chance(np.random.default_rng(1), questions=40, places=np.random.default_rng(seed)) for seed in (1, 2)
    ]
    found = resample(
        {at: [question_sums(ranks, ["map", "hit@1"], pool=POOL)] for at, ranks in enumerate(frames)}, resamples=50
    )
    table = compare(found[0], found[1], flips=400)
    cells = table.filter(pl.col("query_lang").is_not_null())
    sizes = {}
    for (measure, setting), group in cells.group_by("measure", "setting"):
        sizes[measure, setting] = group.height
        np.testing.assert_allclose(group["p_holm"], holm(group["p"].to_numpy()))
        np.testing.assert_allclose(group["p_bh"], false_discovery_control(group["p"].to_numpy()))
    assert sizes["map", "cross"] == 12
    assert set(sizes.values()) == {4, 12}
    macro = table.filter(pl.col("query_lang").is_null())
    assert macro["p"].to_list() == macro["p_holm"].to_list() == macro["p_bh"].to_list()
    assert table["p"].to_list() != table["p_holm"].to_list()


def test_effect_and_detectable_difference_are_the_textbook_ones_in_a_cell_with_fewer_queries():
    one, other, present = by_chance(3, 60)
    table = compare(*both(one, other, present), flips=10)
    for cell, row in enumerate(table.head(3).to_dicts()):
        apart = (one - other)[present[:, cell], cell]
        n, spread = len(apart), apart.std(ddof=1)
        assert (row["queries"], row["questions"]) == (n, n)
        assert row["difference"] == pytest.approx(apart.mean())
        assert row["effect"] == pytest.approx(apart.mean() / spread)
        quantiles = t(n - 1).ppf(0.975) + t(n - 1).ppf(0.8)
        assert row["detectable"] == pytest.approx(quantiles * spread / np.sqrt(n), rel=2 / n)
    shares = [
        np.nansum(np.where(there, apart, 0) / present.sum(axis=0))
        for apart, there in zip(one - other, present, strict=True)
    ]
    assert table["effect"][3] == pytest.approx(np.mean(shares) / np.std(shares, ddof=1))


def test_more_power_or_confidence_takes_a_larger_difference():
    found = difference(*both(*by_chance(3, 60)))
    usual = smallest_detectable(found)
    assert (smallest_detectable(found, power=0.9) > usual).all()
    assert (smallest_detectable(found, level=0.99) > usual).all()


def seeds(shifts: list[float], seed: int, questions: int = 200) -> list:
    rng = np.random.default_rng(seed)
    return [sums_of(0.1 * rng.standard_normal((questions, 2)) + shift) for shift in shifts]


def test_where_seeds_are_drawn_they_must_agree_by_welchs_t():
    one, other = [0.0, 0.5, 1.0], [0.1, 0.7, 1.3]
    found = resample({"one": seeds(one, 1), "other": seeds(other, 2), "base": seeds([0.0], 3)}, resamples=50)
    few = randomisation_test(difference(found["one"], found["other"]).shares)
    assert (few < 0.001).all()
    expected = ttest_ind(one, other, equal_var=False).pvalue
    assert compare(found["one"], found["other"])["p"].to_list() == pytest.approx([expected] * 3, rel=0.05)
    against_base = compare(found["one"], found["base"])["p"].to_list()
    assert against_base == pytest.approx([ttest_1samp(one, 0).pvalue] * 3, rel=0.05)


def test_of_seeds_that_agree_the_larger_p_of_the_two_tests_counts():
    one, other, _ = by_chance(1, 40)
    found = resample({"one": [sums_of(one)] * 3, "other": [sums_of(other)] * 3}, resamples=50)
    of_t = [*ttest_1samp(one - other, 0).pvalue, ttest_1samp((one - other).mean(axis=1), 0).pvalue]
    of_flips = compare(*both(one, other))["p"].to_numpy()
    assert compare(found["one"], found["other"])["p"].to_list() == pytest.approx(np.maximum(of_t, of_flips))
    same = compare(found["one"], found["one"])
    assert same["p"].to_list() == [1.0] * 4
    assert same["effect"].null_count() == 4


def test_where_the_seeds_cannot_be_judged_there_is_no_p():
    present = np.ones((40, 2), bool)
    present[1:, 1] = False
    found = {
        name: [sums_of(np.random.default_rng(seed).random((40, 2)), present) for seed in range(at, at + 3)]
        for at, name in ((0, "one"), (3, "other"))
    }
    found = resample(found, resamples=50)
    assert compare(found["one"], found["other"])["p"].is_null().to_list() == [False, True, True]


def test_a_cell_without_queries_has_nulls_and_is_not_counted_among_the_tests():
    one, other, present = by_chance(1, 20)
    present[:, 1] = False
    table = compare(*both(one, other, present))
    assert table.select(pl.exclude("measure", "setting", "query_lang", "doc_lang").is_null()).row(1) == (
        False,
        False,
        *[True] * 8,
    )
    assert table["p_holm"].to_list()[:3:2] == pytest.approx(holm(table["p"].to_numpy()[[0, 2]]))


@settings(deadline=None, max_examples=25)
@given(scores=scores)
def test_swapping_the_systems_turns_the_difference_round_and_nothing_else(scores):
    one, other = both(*scores)
    there, back = compare(one, other), compare(other, one)
    for name in ("difference", "effect"):
        np.testing.assert_allclose(there[name], -back[name], rtol=1e-9)
    for name, mirrored in (("low", "high"), ("high", "low")):
        np.testing.assert_allclose(there[name], -back[mirrored], rtol=1e-9, atol=1e-12)
    for name in ("p", "p_holm", "p_bh", "detectable"):
        np.testing.assert_allclose(there[name], back[name], rtol=1e-9)


@settings(deadline=None, max_examples=25)
@given(scores=scores, constant=st.floats(-10, 10), factor=st.sampled_from([0.01, 3.0, 100.0]))
def test_a_constant_added_to_both_changes_nothing_and_points_scale_all_but_p_and_effect(scores, constant, factor):
    one, other, present = scores
    plain = compare(*both(one, other, present))
    moved = compare(*both(factor * (one + constant), factor * (other + constant), present))
    for name in ("difference", "low", "high", "detectable"):
        np.testing.assert_allclose(moved[name], factor * plain[name], rtol=1e-6, atol=1e-9 * factor)
    for name in ("p", "p_holm", "p_bh", "effect"):
        np.testing.assert_allclose(moved[name], plain[name], rtol=1e-6, atol=1e-9)


@settings(deadline=None, max_examples=25)
@given(scores=scores, seed=st.integers(0, 2**32))
def test_neither_the_order_of_the_questions_nor_that_of_the_cells_matters(scores, seed):
    rng = np.random.default_rng(seed)
    questions, cells = rng.permutation(9), rng.permutation(3)
    plain = compare(*both(*scores), method="percentile")
    mixed = compare(*both(*(part[questions] for part in scores)), method="percentile")
    for name in ("difference", "p", "p_holm", "p_bh", "effect", "detectable"):  # the exact test: 2 to the 9 flips
        np.testing.assert_allclose(mixed[name], plain[name], rtol=1e-9)
    moved = compare(*both(*(part[:, cells] for part in scores)), method="percentile")
    for name in ("difference", "low", "high", "p", "p_holm", "p_bh", "effect", "detectable"):
        np.testing.assert_allclose(moved[name], plain[name].to_numpy()[[*cells, 3]], rtol=1e-9, atol=1e-12)


def test_fewer_than_one_flip_is_refused():
    with pytest.raises(InputError, match="flips must be >= 1, got 0"):
        randomisation_test(np.ones((3, 1)), flips=0)


@pytest.mark.parametrize("name", ["power", "level"])
def test_a_chance_outside_0_to_1_is_refused(name):
    found = difference(*both(*by_chance(1, 9)))
    with pytest.raises(InputError, match=f"{name} must lie between 0 and 1, such as 0.95, got 80"):
        smallest_detectable(found, **{name: 80})


def test_comparing_systems_that_share_no_draws_is_refused():
    one, other, present = by_chance(1, 9)
    with pytest.raises(InputError, match="do not share their draws"):
        compare(both(one, other, present)[0], both(one, other)[1])
