"""Sweeps as points and curves: grouping, means, interpolation, the Pareto front, utility, against plain arithmetic."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from math import inf, nan

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.collections.structures import SETTINGS
from engine.errors import InputError
from engine.evaluation.evaluate import Evaluation, find_evaluation
from engine.ranks.metrics import METRICS
from engine.storage.store import Store
from engine.sweeps.results import at, curve, families, mean_pairs, pairs_at, pareto, points, values, with_utility
from engine.training.recipe import Recipe, Settings

PROMPTS = {"query": "q: ", "document": ""}
RECIPE = Recipe(
    "base", PROMPTS, "trained on", "head", alpha=0.5, settings=Settings(), encoder_name="e5", collection_name="mlqa-r"
)


def figures(value: float, distance: float | None = 40.0) -> dict:
    """Figures whose metrics are `value` and a bit more each; a random ranking has rank distances 100 and 300."""
    names = [(setting, metric) for setting in SETTINGS for metric in METRICS]
    settings = {setting: {} for setting in SETTINGS}
    for i, (setting, metric) in enumerate(names):
        settings[setting][metric] = value + i / 1000
    settings["multi"]["rank_distance"] = distance
    randoms = [100.0, None, 300.0] if distance else [None]
    return {"settings": settings, "query_langs": [{"random_rank_distance": random} for random in randoms]}


def stored(
    store: Store, key: str, recipe: Recipe | None, numbers: dict | None = None, on: str = "xquad-r", **encoder: object
) -> Evaluation:
    """An evaluation of a checkpoint (without a recipe: of the base encoder), as the store has it."""
    about = {
        "collection": {"name": on, "digest": f"digest of {on}"},
        "encoder": {"name": "any", "fingerprint": f"f{key}", "prompts": PROMPTS, "max_length": None} | encoder,
        "recipe": asdict(recipe) if recipe else None,
    }
    with store.writing("ranks", key, about) as folder:
        (folder / "figures.json").write_text(json.dumps(numbers or figures(0.5)), encoding="utf-8")
    return find_evaluation(store, key)


def members(family) -> list[str]:
    return [evaluation.key for _, evaluation in family.evaluations]


def test_recipes_that_differ_in_ratio_seed_and_strategy_are_one_family(store: Store) -> None:
    recipes = {
        "a": RECIPE,
        "b": replace(RECIPE, alpha=1.0),
        "c": replace(RECIPE, seed=1, encoder_name="renamed"),
        "d": replace(RECIPE, strategy="merge"),
        "e": replace(RECIPE, strategy="x-x", alpha=None),
        "other settings": replace(RECIPE, settings=Settings(steps=7)),
        "other method": replace(RECIPE, method="full"),
        "other training": replace(RECIPE, collection="another"),
        "other base": replace(RECIPE, encoder="another"),
        "other prompts": replace(RECIPE, prompts={"query": "", "document": ""}),
    }
    found = families([stored(store, key, recipe, prompts=recipe.prompts) for key, recipe in recipes.items()])
    assert [members(family) for family in found] == [["a", "b", "c", "d", "e"], *([key] for key in list(recipes)[5:])]
    assert len({family.key for family in found}) == len(found)
    assert (found[0].label, found[0].collection) == ("e5, head on mlqa-r", "xquad-r")
    assert all(family.base is None for family in found)


def test_every_collection_that_is_evaluated_on_has_a_family_of_its_own(store: Store) -> None:
    found = families([stored(store, key, RECIPE, on=key) for key in ("xquad-r", "mlqa-r")])
    assert [family.collection for family in found] == ["xquad-r", "mlqa-r"]
    assert found[0].key != found[1].key


def test_a_familys_key_is_the_same_when_more_is_trained(store: Store) -> None:
    first = stored(store, "a", RECIPE)
    [before] = families([first])
    [after] = families([stored(store, "b", replace(RECIPE, alpha=0.0)), first])
    assert before.key == after.key


def test_the_base_is_the_untrained_encoder_as_it_was_trained_from(store: Store) -> None:
    base = {"fingerprint": "base"}
    evaluations = [
        stored(store, "right", None, **base),
        stored(store, "other collection", None, on="mlqa-r", **base),
        stored(store, "other prompts", None, fingerprint="base", prompts={"query": "", "document": ""}),
        stored(store, "shorter", None, max_length=16, **base),
        stored(store, "other encoder", None, fingerprint="another"),
        stored(store, "a", RECIPE),
    ]
    for found in (families(evaluations), families(evaluations[::-1])):
        assert [family.base.key for family in found] == ["right"]


def test_the_base_may_have_been_trained_itself(store: Store) -> None:
    evaluations = [
        stored(store, "first", RECIPE, fingerprint="a checkpoint"),
        stored(store, "second", replace(RECIPE, encoder="a checkpoint")),
    ]
    first, second = families(evaluations)
    assert first.base is None
    assert second.base.key == "first"


def test_an_evaluation_under_other_conditions_is_no_point(store: Store) -> None:
    evaluations = [
        stored(store, "a", RECIPE),
        stored(store, "shorter", RECIPE, max_length=16),
        stored(store, "prompted", RECIPE, prompts={"query": "", "document": ""}),
    ]
    assert [members(family) for family in families(evaluations)] == [["a"]]


def test_a_checkpoint_that_was_evaluated_twice_counts_once(store: Store) -> None:
    evaluations = [stored(store, key, RECIPE) for key in ("top 100", "top 10")]
    [family] = families(evaluations)
    assert members(family) == ["top 10"]
    assert curve(points(family), "multi_map")["seeds"].to_list() == [1]


def test_a_recipe_of_another_version_is_left_out(store: Store) -> None:
    evaluation = stored(store, "a", RECIPE)
    assert evaluation.manifest.recipe is not None
    del evaluation.manifest.recipe["settings"]["tau"]
    assert len(families([evaluation])) == 1  # a setting that came later has its old value
    evaluation.manifest.recipe["settings"]["colour"] = "green"
    assert families([evaluation]) == []


def test_a_row_of_points_has_the_figures_of_its_evaluation(store: Store) -> None:
    evaluations = [
        stored(store, "b", replace(RECIPE, alpha=1.0), figures(0.4)),
        stored(store, "c", replace(RECIPE, seed=1), figures(0.3, None)),
        stored(store, "a", RECIPE, figures(0.2)),
        stored(store, "d", replace(RECIPE, strategy="x-x", alpha=None), figures(0.1)),
    ]
    found = points(families(evaluations)[0])
    assert found["key"].to_list() == ["a", "c", "b", "d"]
    assert found["alpha"].to_list() == [0.5, 0.5, 1.0, None]
    assert found["seed"].to_list() == [0, 1, 0, 0]
    assert found["mono_map"].to_list() == [0.2, 0.3, 0.4, 0.1]
    assert found["multi_recall@100"].to_list() == pytest.approx([v + 26 / 1000 for v in (0.2, 0.3, 0.4, 0.1)])
    assert found["rank_distance"].to_list() == [40.0, None, 40.0, 40.0]
    assert found["bias"].to_list() == [40 / 200, None, 40 / 200, 40 / 200]
    assert found.row(0, named=True) | values(evaluations[2]) == found.row(0, named=True)
    assert set(found.columns) == {"key", "strategy", "alpha", "seed", *values(evaluations[2])}


def table(rows: list[tuple[str, float | None, int, float | None]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["strategy", "alpha", "seed", "multi_map"], orient="row")


def test_a_curve_is_the_mean_and_deviation_over_seeds() -> None:
    drawn = np.random.default_rng(0).random((3, 4))
    rows = [("hybrid", alpha, seed, drawn[i, seed]) for i, alpha in enumerate((1.0, 0.0, 0.5)) for seed in range(4)]
    extra = [("merge", 0.5, 0, 9.0), ("x-x", None, 0, 9.0), ("hybrid", 0.25, 0, 0.7), ("hybrid", 0.75, 0, None)]
    found = curve(table(rows + extra), "multi_map")
    assert found["alpha"].to_list() == [0.0, 0.25, 0.5, 1.0]
    assert found["seeds"].to_list() == [4, 1, 4, 4]
    means, deviations = drawn.mean(axis=1)[[1, 2, 0]], drawn.std(axis=1, ddof=1)[[1, 2, 0]]
    assert found["mean"].to_list() == pytest.approx([means[0], 0.7, *means[1:]])
    assert found["sd"].drop_nulls().to_list() == pytest.approx(deviations)
    assert found["sd"].to_list()[1] is None
    assert curve(table(rows + extra), "multi_map", "merge")["mean"].to_list() == [9.0]
    assert curve(table(rows), "multi_map", "merge").is_empty()


CURVE = pl.DataFrame({"alpha": [0.0, 0.1, 0.5, 1.0], "mean": [1.0, 3.0, 2.0, 0.0]})


@given(st.floats(0, 1))
def test_between_trained_ratios_a_value_is_interpolated(alpha: float) -> None:
    value, interpolated = at(CURVE, alpha)
    assert value == pytest.approx(np.interp(alpha, CURVE["alpha"], CURVE["mean"]), abs=1e-7)
    assert interpolated == (min(abs(CURVE["alpha"] - alpha)) >= 1e-9)


def test_a_trained_ratio_is_a_measurement_and_beyond_the_ends_is_nothing() -> None:
    assert at(CURVE, 0.1) == at(CURVE, 0.1 + 1e-12) == (3.0, False)
    inner = CURVE.filter(pl.col("alpha").is_between(0.05, 0.6))
    assert at(inner, 0.05) is None
    assert at(inner, 0.7) is None
    assert at(CURVE.clear(), 0.5) is None


def pairs(*scores: float | None) -> pl.DataFrame:
    codes = [("de", "de"), ("de", "en"), ("en", "de"), ("en", "en")]
    rows = [(*pair, 10, score, None if score is None else 1 - score) for pair, score in zip(codes, scores, strict=True)]
    schema = {"query_lang": pl.String, "doc_lang": pl.String, "queries": pl.Int64, "map": pl.Float64, "mrr": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_pairs_are_averaged_and_interpolated_cell_by_cell() -> None:
    low, high = pairs(0.0, 0.2, 0.4, 0.6), pairs(1.0, 0.2, 0.0, None)
    mean = mean_pairs([low, pairs(0.2, 0.4, 0.4, 0.8)])
    assert mean.select("query_lang", "doc_lang", "queries").equals(low.select("query_lang", "doc_lang", "queries"))
    assert mean["map"].to_list() == pytest.approx([0.1, 0.3, 0.4, 0.7])
    assert mean["mrr"].to_list() == pytest.approx([0.9, 0.7, 0.6, 0.3])
    frames = {0.8: high, 0.0: low, 0.5: low}
    found, interpolated = pairs_at(frames, 0.6)
    assert interpolated
    assert found.columns == low.columns
    assert found["map"].to_list() == pytest.approx([1 / 3, 0.2, 0.8 / 3, None])
    assert found["mrr"].to_list() == pytest.approx([2 / 3, 0.8, 1 - 0.8 / 3, None])
    assert pairs_at(frames, 0.8) == (high, False)
    assert pairs_at(frames, 0.9) is None
    assert pairs_at({}, 0.5) is None


GRID = st.one_of(st.none(), st.integers(0, 4).map(float))


@settings(deadline=None)
@given(st.lists(st.tuples(GRID, GRID, GRID), max_size=12))
def test_the_front_is_what_no_other_row_beats(rows: list[tuple[float | None, ...]]) -> None:
    frame = pl.DataFrame(rows, schema=dict.fromkeys("abc", pl.Float64), orient="row")
    for columns in (["a"], ["a", "c"], ["a", "b", "c"]):
        expected = []
        for row in frame.select(columns).rows():
            beaten = None in row
            for other in frame.select(columns).rows():
                if None not in row and None not in other:
                    beaten |= all(o >= r for o, r in zip(other, row, strict=True)) and other != row
            expected.append(not beaten)
        found = pareto(frame, columns)
        assert (found.name, found.to_list()) == ("pareto", expected)


NUMBERS = pl.DataFrame({"mono_map": [0.8, 0.6], "cross_map": [0.5, 0.7], "multi_map": [0.3, 0.4], "bias": [0.2, None]})


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({"mono": 1}, [80.0, 60.0]),
        ({"mono": 3, "cross": 1}, [72.5, 62.5]),
        ({"bias": 2}, [80.0, None]),
        ({"multi": 1, "bias": 1}, [55.0, None]),
        ({"mono": 1, "cross": 1, "multi": 1, "bias": 1}, [60.0, None]),
        ({"mono": 0.1, "bias": 0}, [80.0, 60.0]),
    ],
)
def test_utility_is_the_weighted_mean_in_points(weights: dict[str, float], expected: list[float | None]) -> None:
    assert with_utility(NUMBERS, weights)["utility"].to_list() == pytest.approx(expected)


@pytest.mark.parametrize(
    "weights", [{}, {"mono": 0}, {"mono": -1, "cross": 2}, {"mono": nan}, {"mono": inf}, {"unknown": 1}], ids=str
)
def test_weights_that_cannot_be_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(InputError, match="utility weights must be numbers >= 0"):
        with_utility(NUMBERS, weights)
