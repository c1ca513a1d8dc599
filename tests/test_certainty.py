"""Draws of a sweep's systems: which evaluations belong to which, and that its figures are those of the evaluations."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from engine import evaluations
from engine.significance import Resampled
from engine.storage.store import Store
from engine.sweeps.results import Family, curve, families, points
from engine.sweeps.uncertainty import UNTRAINED, System, answer, choose, difference, ratios_of, resample_family, systems


@pytest.fixture(scope="module")
def family(demo_store: Store) -> Family:
    return families(list(evaluations(demo_store)))[-1]


@pytest.fixture(scope="module")
def found(family: Family) -> dict[System, Resampled]:
    return resample_family(family, ["map", "hit@1"])


def test_a_ratio_is_a_system_with_all_its_seeds_and_the_untrained_encoder_is_one(family: Family) -> None:
    grouped = systems(family)
    assert list(grouped) == [UNTRAINED, *(System("hybrid", alpha) for alpha in (0.0, 0.5, 1.0))]
    seeds = {evaluation.key: recipe.seed for recipe, evaluation in family.evaluations}
    assert [seeds[one.key] for one in grouped["hybrid", 0.5]] == [0, 1, 2]
    assert grouped[UNTRAINED] == [family.base]


def test_the_figures_are_the_means_over_seeds_of_the_evaluations(
    family: Family, found: dict[System, Resampled]
) -> None:
    table = points(family)
    for column in ("mono_map", "cross_hit@1", "multi_map"):
        setting, _, metric = column.partition("_")
        means = dict(curve(table, column).select("alpha", "mean").iter_rows())
        drawn = {alpha: one.only(metric, setting).estimate[0] for alpha, one in ratios_of(found).items()}
        assert drawn == pytest.approx(means)
    distance = dict(curve(table, "rank_distance").select("alpha", "mean").iter_rows())
    assert {a: o.only("rank_distance", "multi").estimate[0] for a, o in ratios_of(found).items()} == pytest.approx(
        distance
    )


def test_sums_that_a_caller_keeps_are_asked_for_once_an_evaluation(family: Family) -> None:
    from engine.sweeps.uncertainty import evaluation_sums

    asked = []

    def kept(evaluation: object, metrics: object) -> object:
        asked.append(evaluation.key)
        return evaluation_sums(evaluation, metrics)

    resample_family(family, ["map"], sums=kept)
    assert sorted(asked) == sorted([family.base.key, *(one.key for _, one in family.evaluations)])


def test_a_difference_is_tested_and_knows_what_it_is_a_share_of(found: dict[System, Resampled]) -> None:
    ratios = ratios_of(found)
    one = difference(ratios[1.0], ratios[0.0], "map", "multi")
    means = [ratios[alpha].only("map", "multi").estimate[0] for alpha in (1.0, 0.0)]
    assert one.value == pytest.approx(means[0] - means[1])
    assert one.reference == pytest.approx(means[1])
    assert one.low <= one.value <= one.high
    same = difference(ratios[0.5], ratios[0.5], "map", "multi")
    assert same.value == 0
    assert not same.told


def test_the_answer_names_the_ratio_that_is_best_in_the_pool(found: dict[System, Resampled]) -> None:
    choice = choose(found, "map", "multi")
    best = choice.filter(pl.col("difference").is_null())["system"].item()
    values = {alpha: one.only("map", "multi").estimate[0] for alpha, one in ratios_of(found).items()}
    assert best == max(values, key=values.get)
    text = answer("demo", found, 3)
    assert f"**alpha = {best:g}** scores highest" in text
    base = found[UNTRAINED].only("map", "multi").estimate[0]
    assert f"(untrained: {base:.3f})" in text
    assert np.isclose(choice["probability"].sum(), 1)


def test_the_answer_does_without_what_is_not_there(found: dict[System, Resampled]) -> None:
    alone = {System("hybrid", 0.5): found[System("hybrid", 0.5)]}
    text = answer("demo", alone, 3)
    assert "only trained ratio" in text
    assert "untrained" not in text
    assert "Alpha =" not in text
