"""Sentences of a report: what they claim, and that they never claim what the test does not support."""

from __future__ import annotations

import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.report.claims import Quantity, against_chance, best_of, compared, over_pairs, signed
from engine.sweeps.prose import Difference, p_value
from tests.report_builders import choice

SCORE = Quantity("multi mAP")
DISTANCE = Quantity("rank distance", "ranks", lower_is_better=True)
CLAIMS = re.compile(r"\b(better|worse|best|higher|lower|more|less|fewer|gains?|loses?|costs?)\b")


def claims_of(sentence: str) -> list[str]:
    """Words that claim a direction, without the reminder of which way is better."""
    return CLAIMS.findall(sentence.replace("(lower is better)", ""))


def of(value: float, low: float | None, high: float | None, p: float | None) -> Difference:
    return Difference(value, low, high, p, 0.5)


def test_a_supported_difference_is_told_with_its_numbers() -> None:
    told = compared("alpha = 0.5", "the untrained encoder", SCORE, of(0.032, 0.025, 0.039, 0.0002), 3)
    assert told == (
        "**multi mAP**: alpha = 0.5 is better than the untrained encoder, +3.2 points (95 % interval +2.5 to +3.9, "
        "p < 0.001)."
    )


@pytest.mark.parametrize(
    ("quantity", "value", "verb"),
    [(SCORE, 0.03, "better"), (SCORE, -0.03, "worse"), (DISTANCE, 30.0, "worse"), (DISTANCE, -30.0, "better")],
)
def test_the_direction_is_that_of_the_quantity(quantity: Quantity, value: float, verb: str) -> None:
    told = compared("a", "b", quantity, of(value, 0.9 * value, 1.1 * value, 0.01), 3)
    assert claims_of(told) == [verb]


def test_an_unsupported_difference_is_not_told() -> None:
    for unsure in (of(0.03, -0.01, 0.07, 0.2), of(0.03, 0.001, 0.07, 0.06), of(0.03, -0.001, 0.07, 0.04)):
        told = compared("a", "b", SCORE, unsure, 5)
        assert "cannot be told apart" in told
        assert claims_of(told) == []


@pytest.mark.parametrize(("seeds", "words"), [(1, "With one seed"), (2, "With 2 seeds")])
def test_with_few_seeds_the_numbers_stand_for_the_checkpoints_alone(seeds: int, words: str) -> None:
    told = compared("a", "b", SCORE, of(0.03, 0.02, 0.04, 0.001), seeds)
    assert "+3.0 points" in told
    assert "for these checkpoints" in told
    assert f"{words} what others would give is unknown." in told
    assert claims_of(told) == []


def test_untrained_systems_need_no_seeds() -> None:
    assert claims_of(compared("a", "b", SCORE, of(0.03, 0.02, 0.04, 0.001), None)) == ["better"]


def test_without_an_interval_nothing_is_compared() -> None:
    told = compared("a", "b", SCORE, of(0.03, None, None, 0.001), 3)
    assert "cannot be compared" in told
    assert claims_of(told) == []


numbers = st.floats(-1, 1, allow_nan=False)


@given(numbers, st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.sampled_from([None, 1, 2, 3, 9]), st.booleans())
def test_no_direction_is_claimed_unless_test_and_interval_and_seeds_support_it(
    value: float, below: float, above: float, p: float, seeds: int | None, is_score: bool
) -> None:
    low, high = value - below, value + above
    quantity = SCORE if is_score else DISTANCE
    told = compared("a", "b", quantity, of(value, low, high, p), seeds)
    supported = p < 0.05 and (low > 0 or high < 0) and (seeds is None or seeds >= 3)
    verb = "better" if (value > 0) == is_score else "worse"
    assert claims_of(told) == ([verb] if supported else [])


def test_one_ratio_that_beats_all_others_is_the_best() -> None:
    told = best_of(SCORE, choice([0.5, 0.6, 0.4], [False, True, False], best=1), 3)
    assert told == (
        "**multi mAP**: alpha = 0.5 is best, 0.600 (95 % interval 0.590 to 0.610); every other ratio is worse by more "
        "than chance allows."
    )


def test_ratios_that_cannot_be_told_apart_are_named_with_those_that_are_worse() -> None:
    told = best_of(SCORE, choice([0.5, 0.6, 0.4], [True, True, False], best=1), 3)
    assert told == (
        "**multi mAP**: alpha 0 and 0.5 cannot be told apart (0.600 at 0.5); 1 is worse by more than chance allows."
    )


def test_where_no_ratio_can_be_told_apart_none_is_called_better() -> None:
    told = best_of(DISTANCE, choice([500.0, 400.0, 450.0], [True] * 3, best=1), 3)
    assert "the 3 ratios cannot be told apart, from 400 to 500" in told
    assert claims_of(told) == []


@pytest.mark.parametrize("seeds", [1, 2])
def test_with_few_seeds_no_ratio_is_called_the_best(seeds: int) -> None:
    told = best_of(SCORE, choice([0.5, 0.6, 0.4], [False, True, False], best=1), seeds)
    assert "of these checkpoints that of alpha = 0.5 has the highest, 0.600" in told
    assert "whether the ratio makes it so is unknown" in told
    assert claims_of(told) == []


def test_a_single_ratio_is_compared_with_nothing() -> None:
    assert claims_of(best_of(SCORE, choice([0.5], [True]), 3)) == []


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=8), st.integers(1, 5))
def test_only_ratios_that_left_the_set_of_candidates_are_called_worse(
    ratios: list[tuple[float, bool]], seeds: int
) -> None:
    values, candidates = [value for value, _ in ratios], [candidate for _, candidate in ratios]
    best = values.index(max(values))
    candidates[best] = True
    told = best_of(SCORE, choice(values, candidates, best=best), seeds)
    anything_left = not all(candidates) and seeds >= 3
    assert bool(claims_of(told)) == anything_left
    if anything_left and sum(candidates) > 1:
        left = told.partition("; ")[2]
        alphas = {float(number) for number in re.findall(r"\d(?:\.\d+)?", left)}
        assert alphas == {float(f"{place / (len(values) - 1):g}") for place, one in enumerate(candidates) if not one}


def pair_tests(differences: list[float], p: list[float | None]) -> pl.DataFrame:
    return pl.DataFrame(
        {"difference": differences, "p_holm": p}, schema={"difference": pl.Float64, "p_holm": pl.Float64}
    )


def test_pairs_are_counted_by_what_survives_the_correction() -> None:
    tests = pair_tests([0.1, 0.2, -0.1, 0.3, -0.2], [0.01, 0.2, 0.001, 0.04, None])
    told = over_pairs("a", "b", "cross mAP", tests, 3)
    assert told.startswith("Of the 4 cross-lingual pairs, a is better than b on 2, worse than b on 1 and not told from")
    few = over_pairs("a", "b", "cross mAP", tests, 1)
    assert "Of the 4 cross-lingual pairs, 3 differ between the checkpoints" in few
    assert claims_of(few) == []


def test_where_no_pair_survives_nothing_is_claimed() -> None:
    told = over_pairs("a", "b", "cross mAP", pair_tests([0.1, -0.2], [0.5, 0.06]), 3)
    assert "On none of the 2 cross-lingual pairs can a and b be told apart" in told
    assert claims_of(told) == []
    assert claims_of(over_pairs("a", "b", "cross mAP", pair_tests([0.1], [None]), 3)) == []


@pytest.mark.parametrize(
    ("interval", "random", "said"),
    [((0.3, 0.2, 0.4), 0.1, ["more"]), ((0.3, 0.2, 0.4), 0.5, ["less"]), ((0.3, 0.2, 0.4), 0.25, [])],
)
def test_a_measure_is_set_against_chance_by_its_interval(
    interval: tuple[float, float, float], random: float, said: list[str]
) -> None:
    assert claims_of(against_chance("share", ("30 %", "20 %", "40 %", "x"), interval, random)) == said


def test_numbers_are_written_with_true_signs() -> None:
    assert [signed(value, 1) for value in (1.25, -1.25, 0.04, -0.04, -1234.5)] == [
        "+1.2",
        "−1.2",
        "0.0",
        "0.0",
        "−1,234.5",
    ]
    assert (p_value(0.0004), p_value(0.0312)) == ("p < 0.001", "p = 0.031")
