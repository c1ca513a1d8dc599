"""Sentences about results say no more than the numbers do."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sweeps.prose import (
    Difference,
    against_adjusted,
    best_ratio,
    cost_of_end,
    gain_of_training,
    in_words,
    recommendation,
    smallest_detectable,
)

finite = st.floats(-0.5, 0.5, allow_nan=False)


def choice(candidates: dict[float, bool], best: float, *, seeds_low: float | None = 0.4) -> pl.DataFrame:
    """A frame as `significance.select` gives it."""
    rows = [
        {
            "system": alpha,
            "value": 0.5 - 0.01 * (alpha != best),
            "low": seeds_low,
            "high": None if seeds_low is None else 0.6,
            "probability": 0.7 if alpha == best else 0.3 / max(1, len(candidates) - 1),
            "candidate": candidate,
            "difference": None if alpha == best else -0.01,
            "detectable": None if alpha == best else 0.02,
        }
        for alpha, candidate in candidates.items()
    ]
    return pl.DataFrame(rows, schema_overrides={"difference": pl.Float64, "detectable": pl.Float64, "low": pl.Float64})


def told(value: float = -0.018, reference: float = 0.5) -> Difference:
    spread = abs(value) / 2
    return Difference(value, value - spread, value + spread, 0.001, reference)


def not_told(value: float = -0.018, reference: float = 0.5) -> Difference:
    return Difference(value, value - 1, value + 1, 0.4, reference)


def test_the_best_ratio_is_named_with_its_value_and_interval() -> None:
    text = best_ratio("xquad-r", choice({0.0: False, 0.5: True, 1.0: False}, 0.5), 3)
    assert text == (
        "On **xquad-r**, **alpha = 0.5** scores highest in the pool of all languages: multi mAP **0.500** "
        "(95 % interval 0.400 to 0.600). Every other trained ratio is worse (70 % of the draws agree)."
    )


@given(st.lists(st.booleans(), min_size=4, max_size=4), st.integers(0, 4))
def test_a_ratio_that_may_be_the_best_is_never_called_worse(candidates: list[bool], place: int) -> None:
    alphas = [0.0, 0.25, 0.5, 0.75, 1.0]
    best = alphas[place]
    others = [alpha for alpha in alphas if alpha != best]
    near = [alpha for alpha, candidate in zip(others, candidates, strict=True) if candidate]
    text = best_ratio("c", choice({best: True, **dict(zip(others, candidates, strict=True))}, best), 3)
    if not near:
        assert "Every other trained ratio is worse" in text
    elif len(near) == 4:
        assert "worse" not in text
        assert "No other trained ratio differs significantly from it" in text
    else:
        verb = "does" if len(near) == 1 else "do"
        assert f"Alpha {in_words(near)} {verb} not differ significantly from it; the other ratios are worse" in text


def test_with_fewer_than_three_seeds_the_sentence_is_about_these_checkpoints_only() -> None:
    frame = choice({0.0: False, 1.0: True}, 1.0)
    assert "these checkpoints only" in best_ratio("c", frame, 1)
    assert "these checkpoints only" in best_ratio("c", frame, 2)
    assert "these checkpoints only" not in best_ratio("c", frame, 3)


def test_a_single_ratio_is_compared_with_nothing() -> None:
    assert "only trained ratio" in best_ratio("c", choice({0.5: True}, 0.5), 1)
    assert "only trained ratio" in recommendation(choice({0.5: True}, 0.5))


def test_an_unknown_interval_is_left_out() -> None:
    assert "interval" not in best_ratio("c", choice({0.5: True}, 0.5, seeds_low=None), 3)


@given(finite, finite, st.floats(0, 1), finite, finite, st.floats(0, 1))
def test_no_cost_is_claimed_that_the_test_does_not_support(
    value: float, reach: float, p: float, distance: float, distance_reach: float, distance_p: float
) -> None:
    score = Difference(value, value - abs(reach), value + abs(reach), p, 0.5)
    far = Difference(
        100 * distance,
        100 * (distance - abs(distance_reach)),
        100 * (distance + abs(distance_reach)),
        distance_p,
        200.0,
    )
    text = cost_of_end(1.0, 0.0, score, far)
    assert ("points" in text) == score.told
    assert ("more rank distance" in text or "less rank distance" in text) == far.told
    if not score.told:
        assert " costs " not in text
        assert " gains " not in text


@pytest.mark.parametrize(
    ("score", "distance", "expected"),
    [
        (
            told(-0.018),
            told(15.0, 100.0),
            "Alpha = 1 costs **1.8 points** (95 % interval 0.9 to 2.7) and has **15 % more rank distance** against 0.",
        ),
        (
            told(0.018),
            told(-15.0, 60.0),
            "Alpha = 1 gains **1.8 points** (95 % interval 0.9 to 2.7) and has **25 % less rank distance** against 0.",
        ),
        (
            told(-0.018),
            not_told(),
            "Alpha = 1 costs **1.8 points** (95 % interval 0.9 to 2.7) against 0. "
            "The difference in rank distance is not significant.",
        ),
        (
            not_told(),
            told(15.0, 100.0),
            "Alpha = 1 has **15 % more rank distance** against 0. The difference in multi mAP is not significant.",
        ),
        (
            not_told(),
            not_told(),
            "Alpha = 1 does not differ significantly from 0, neither in multi mAP nor in rank distance.",
        ),
    ],
)
def test_the_cost_of_an_end_by_value(score: Difference, distance: Difference, expected: str) -> None:
    assert cost_of_end(1.0, 0.0, score, distance) == expected


@pytest.mark.parametrize(
    ("difference", "expected"),
    [
        (told(0.2), "Training raised multi mAP by 20.0 points (95 % interval 10.0 to 30.0) (untrained: 0.300)."),
        (told(-0.2), "Training lowered multi mAP by 20.0 points (95 % interval 10.0 to 30.0) (untrained: 0.300)."),
        (not_told(0.2), "Training did not change multi mAP significantly (untrained: 0.300)."),
    ],
)
def test_the_gain_of_training_by_value(difference: Difference, expected: str) -> None:
    assert gain_of_training(0.3, difference) == expected


def test_a_difference_is_told_only_where_test_and_interval_agree() -> None:
    assert told().told
    assert not Difference(0.1, -0.01, 0.2, 0.01, 1.0).told
    assert not Difference(0.1, 0.05, 0.2, 0.06, 1.0).told
    assert not Difference(0.1, 0.05, 0.2, 0.05, 1.0).told
    assert not Difference(0.1, 0.0, 0.2, 0.01, 1.0).told
    assert not Difference(-0.1, -0.2, 0.0, 0.01, 1.0).told
    assert Difference(0.1, 0.05, 0.2, 0.049, 1.0).told
    assert not Difference(0.1, None, None, 0.01, 1.0).told
    assert not Difference(0.1, 0.05, 0.2, None, 1.0).told


def test_a_recommendation_says_how_clear_it_is() -> None:
    clear = recommendation(choice({0.0: True, 1.0: False}, 0.0))
    unclear = recommendation(choice({0.0: True, 0.5: True, 1.0: False}, 0.0))
    assert (
        clear
        == "**alpha = 0** comes out best, in 70 % of the draws: **clear**, no other ratio is likely to be as good."
    )
    assert unclear == (
        "**alpha = 0** comes out best, in 70 % of the draws: **not clear**. Alpha 0.5 could be as good; the test can "
        "detect a difference of 0.02 points."
    )


def test_a_baseline_is_held_against_the_best_ratio() -> None:
    multi, cross = Difference(0.05, 0.04, 0.06, 0.001, 0.475), Difference(-0.006, -0.008, -0.004, 0.001, 0.684)
    assert against_adjusted("centred-transductive", multi, cross) == (
        "Without any training, subtracting each language's mean vector (centred-transductive) scores **0.525** (5.0 "
        "points higher than the best ratio, 95 %: 4.0 to 6.0) in multi mAP, **0.678** (0.6 points lower than the best "
        "ratio, 95 %: 0.4 to 0.8) in cross mAP."
    )
    unsure = Difference(0.001, -0.001, 0.003, 0.4, 0.5)
    assert against_adjusted("lir-2", unsure, cross).startswith(
        "Without any training, projecting out each language's first directions (lir-2) scores **0.501** (not "
        "significantly different from the best ratio) in multi mAP"
    )


def test_the_smallest_detectable_difference_is_the_median_in_points_or_ranks() -> None:
    frame = choice({0.0: True, 0.5: True, 1.0: False}, 0.0)
    ranks = frame.with_columns(detectable=pl.Series([None, 30.0, 50.0]))
    text = smallest_detectable({"multi mAP": (frame, False), "rank distance": (ranks, True)})
    assert text.endswith("4 times in 5: multi mAP 2.0 points, rank distance 40.")
    assert smallest_detectable({"multi mAP": (frame.head(1), False)}) == ""
