"""engine.significance.selection against slow loops and what it says of systems whose order is plain."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import InputError
from engine.significance import (
    Resampled,
    difference,
    intervals,
    question_sums,
    resample,
    select,
    smallest_detectable,
    standard_error,
    utility,
)
from tests.significance_builders import POOL, ranks_by_chance, sums_of

ALPHAS = (0.0, 0.25, 0.5, 1.0)


def sweep(seed: int, advantage: tuple[float, ...] = (0.0, 0.05, 0.07, -0.1), seeds: int = 1) -> dict[float, Resampled]:
    """Macro means of one figure at several ratios."""
    rng = np.random.default_rng(seed)
    shared = rng.random((30, 1))
    systems = {
        alpha: [sums_of(shared + gain + 0.3 * rng.standard_normal((30, 3))) for _ in range(seeds)]
        for alpha, gain in zip(ALPHAS, advantage, strict=True)
    }
    return {alpha: one.only("map", "multi") for alpha, one in resample(systems, resamples=300).items()}


def slow_probabilities(systems: Mapping[float, Resampled]) -> list[float]:
    wins = dict.fromkeys(systems, 0.0)
    draws = {name: one.draws[:, 0].tolist() for name, one in systems.items()}
    for line in zip(*draws.values(), strict=True):
        best = [name for name, value in zip(systems, line, strict=True) if value == max(line)]
        for name in best:
            wins[name] += 1 / len(best)
    return [count / 300 for count in wins.values()]


def slow_candidates(systems: Mapping[float, Resampled], level: float) -> list[bool]:
    """Multiple comparisons with the best: no other leads by more errors than leads vary by chance."""
    found = []
    for name, one in systems.items():
        against = [difference(other, one) for key, other in systems.items() if key != name]
        errors = [standard_error(each)[0][0] for each in against]
        largest = [
            max((each.draws[draw, 0] - each.estimate[0]) / error for each, error in zip(against, errors, strict=True))
            for draw in range(300)
        ]
        lead = max(each.estimate[0] / error for each, error in zip(against, errors, strict=True))
        found.append(lead <= max(0.0, np.quantile(largest, level)))
    return found


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32), level=st.sampled_from([0.5, 0.8, 0.95]), seeds=st.sampled_from([1, 3]))
def test_probabilities_and_candidates_are_those_of_slow_loops(seed, level, seeds):
    systems = sweep(seed, seeds=seeds)
    table = select(systems, level=level)
    assert table["system"].to_list() == list(ALPHAS)
    assert table["probability"].to_list() == pytest.approx(slow_probabilities(systems))
    assert table["probability"].sum() == pytest.approx(1)
    assert table["candidate"].to_list() == slow_candidates(systems, level)
    assert table["candidate"][table["value"].arg_max()]


def test_the_best_is_a_candidate_at_the_lowest_level():
    systems = sweep(2, (0.0, 0.0, 0.0, 0.0))
    table = select({alpha: systems[alpha] for alpha in (0.25, 0.5)}, level=0.001)
    assert table["candidate"].to_list() == [value == table["value"].max() for value in table["value"]]


@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_values_and_differences_to_the_best_have_their_intervals(method):
    systems = sweep(2)
    table = select(systems, method=method, level=0.9, power=0.7)
    best = table["system"][table["value"].arg_max()]
    for row in table.to_dicts():
        own = intervals(systems[row["system"]], method=method, level=0.9).row(0, named=True)
        assert [row[name] for name in ("value", "low", "high")] == [own[name] for name in ("value", "low", "high")]
        told = [row[name] for name in ("difference", "difference_low", "difference_high", "detectable")]
        if row["system"] == best:
            assert told == [None] * 4
            continue
        apart = difference(systems[row["system"]], systems[best])
        found = intervals(apart, method=method, level=0.9).row(0, named=True)
        detectable = smallest_detectable(apart, power=0.7, level=0.9)[0]
        assert told == [*(found[name] for name in ("value", "low", "high")), detectable]


def test_a_system_that_is_far_better_is_the_only_candidate():
    table = select(sweep(1, (0.0, 2.0, 0.0, 0.0)))
    assert table["candidate"].to_list() == [False, True, False, False]
    assert table["probability"].to_list() == [0, 1, 0, 0]
    assert (table["difference_high"].drop_nulls() < 0).all()


def test_systems_that_are_equal_share_the_probability():
    sums = sums_of(np.random.default_rng(1).random((30, 3)))
    found = resample({name: [sums] for name in "abc"}, resamples=50)
    table = select({name: one.only("map", "multi") for name, one in found.items()})
    assert table["probability"].to_list() == pytest.approx([1 / 3] * 3)
    assert table["candidate"].all()
    assert table["difference"].to_list() == [None, 0, 0]


def test_draws_that_tie_but_for_rounding_share_the_probability():
    scores = np.full((30, 3), 1 / 3)
    better = scores.copy()
    better[0] = 2 / 3
    moved = np.roll(better, 1, axis=0)  # the two differ in the first two questions alone
    found = resample({"one": [sums_of(better)], "other": [sums_of(moved)]}, resamples=400)
    draws = np.random.default_rng(0).integers(30, size=(400, 30))
    tied = ((draws == 0).sum(axis=1) == (draws == 1).sum(axis=1)).mean()
    won = ((draws == 0).sum(axis=1) > (draws == 1).sum(axis=1)).mean()
    probability = select({name: one.only("map", "multi") for name, one in found.items()})["probability"]
    assert probability.to_list() == pytest.approx([won + tied / 2, 1 - won - tied / 2])


def test_a_system_that_is_better_by_a_constant_leaves_no_doubt():
    scores = np.random.default_rng(1).integers(8, size=(30, 3)) / 8
    found = resample({"low": [sums_of(scores)], "high": [sums_of(scores + 0.125)]}, resamples=50)
    table = select({name: one.only("map", "multi") for name, one in found.items()})
    assert table["candidate"].to_list() == [False, True]
    assert table["detectable"][0] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("measure", ["rank_distance", "bias"])
def test_of_rank_distance_and_bias_the_lowest_is_best(measure):
    systems = {
        seed: [
            question_sums(
                ranks_by_chance(np.random.default_rng(1), questions=30, places=np.random.default_rng(seed)),
                ["map"],
                pool=POOL,
            )
        ]
        for seed in range(4)
    }
    found = {name: one.only(measure, "multi") for name, one in resample(systems, resamples=200).items()}
    table = select(found)
    best = table["value"].arg_min()
    assert table["difference"].null_count() == 1
    assert table["difference"][best] is None
    assert (table["difference"].drop_nulls() > 0).all()
    draws = np.column_stack([one.draws[:, 0] for one in found.values()])
    assert table["probability"].to_list() == pytest.approx((draws.argmin(axis=1)[:, None] == np.arange(4)).mean(axis=0))
    assert table["candidate"][best]


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**32), order=st.permutations(ALPHAS), factor=st.sampled_from([0.01, 100.0]))
def test_neither_the_order_of_the_systems_nor_the_unit_changes_the_choice(seed, order, factor):
    systems = sweep(seed)
    table = select(systems).sort("system")
    mixed = select({alpha: systems[alpha] for alpha in order})
    assert mixed["system"].to_list() == list(order)
    assert mixed.sort("system").equals(table)
    rng = np.random.default_rng(seed)
    scores = rng.random((4, 20, 2))
    plain, scaled = (
        select(
            {
                at: one.only("map", "multi")
                for at, one in resample(
                    {at: [sums_of(unit * part)] for at, part in enumerate(scores)}, resamples=100
                ).items()
            }
        )
        for unit in (1.0, factor)
    )
    assert plain.select("system", "probability", "candidate").equals(
        scaled.select("system", "probability", "candidate")
    )
    assert scaled["value"].to_list() == pytest.approx((factor * plain["value"]).to_list())


def test_draws_that_leave_a_cell_empty_do_not_count():
    present = np.ones((12, 2), bool)
    present[2:, 1] = False
    rng = np.random.default_rng(1)
    found = resample({name: [sums_of(rng.random((12, 2)), present)] for name in "ab"}, resamples=200)
    table = select({name: one.only("map", "multi") for name, one in found.items()})
    assert 0 < np.isnan(found["a"].draws[:, 2]).sum() < 100
    assert table["probability"].sum() == pytest.approx(1)


def test_with_one_question_nothing_is_known_but_the_values():
    found = resample({name: [sums_of(np.full((1, 2), value))] for name, value in (("a", 0.1), ("b", 0.2))})
    table = select({name: one.only("map", "multi") for name, one in found.items()})
    assert table["value"].to_list() == pytest.approx([0.1, 0.2])
    assert table["candidate"].all()
    assert table["low"].null_count() == 2
    assert table["detectable"].null_count() == 2


def test_one_system_is_the_best():
    table = select({"a": sweep(1)[0.5]})
    assert table.select("system", "probability", "candidate").row(0) == ("a", 1, True)


def test_ratios_may_be_whole_numbers_and_stand_beside_names():
    systems = sweep(1)
    assert select({0: systems[0.0], 0.5: systems[0.5]})["system"].to_list() == [0, 0.5]
    assert select({0.5: systems[0.5], "untrained": systems[0.0]})["system"].to_list() == ["0.5", "untrained"]


def test_a_utility_can_be_chosen_by():
    found = resample({seed: [sums_of(np.random.default_rng(seed).random((30, 3)))] for seed in range(3)})
    by_utility = select({name: utility(one, {"multi": 1}) for name, one in found.items()})
    by_map = select({name: one.only("map", "multi") for name, one in found.items()})
    assert by_utility["value"].to_list() == pytest.approx((100 * by_map["value"]).to_list())
    assert by_utility.select("probability", "candidate").equals(by_map.select("probability", "candidate"))


def test_choosing_from_nothing_is_refused():
    with pytest.raises(InputError, match="systems: there is none to choose from"):
        select({})


def test_more_than_one_figure_is_refused():
    found = resample({0.5: [sums_of(np.ones((4, 2)))]}, resamples=2)
    with pytest.raises(InputError, match=r"system 0\.5: has 3 figures; choose one with only\(\) or utility\(\)"):
        select(found)


def test_a_figure_that_is_missing_is_refused():
    present = np.ones((4, 2), bool)
    present[:, 1] = False
    found = resample({0.5: [sums_of(np.ones((4, 2)), present)]}, resamples=2)[0.5]
    with pytest.raises(InputError, match=r"system 0\.5: its figure is missing, since a cell has no query"):
        select({0.5: found.only("map", "multi")})


def test_systems_that_share_no_draws_are_refused():
    sums = [sums_of(np.random.default_rng(1).random((9, 2)))]
    one = resample({"a": sums})["a"].only("map", "multi")
    for options in ({"seed": 1}, {"resamples": 10}):
        with pytest.raises(InputError, match="do not share their draws"):
            select({"a": one, "b": resample({"b": sums}, **options)["b"].only("map", "multi")})
    with pytest.raises(InputError, match="do not share their draws"):
        select({"a": one, "b": resample({"a": sums})["a"].only("map", "multi", "l000")})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "basic"}, "interval 'basic' is unknown"),
        ({"level": 95}, "level must lie between 0 and 1, such as 0.95, got 95"),
        ({"power": 0}, "power must lie between 0 and 1, such as 0.95, got 0"),
    ],
)
def test_an_option_that_is_not_allowed_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        select(sweep(1), **options)
