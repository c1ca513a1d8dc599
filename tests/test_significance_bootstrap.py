"""engine.significance: the draws against evaluating each of them anew, and what is made of them without drawing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
import pytest
from scipy.stats import kstest, spearmanr, t

from engine import bias
from engine.errors import InputError
from engine.ranks import metrics
from engine.significance import Resampled, bootstrap, difference, question_sums, resample, standard_error, utility
from engine.sweeps import results
from tests.significance_builders import LANGUAGES, POOL, drawn_questions, ranks_by_chance, sums_of

METRICS = ("map", "hit@1")
QUESTIONS, RESAMPLES, SEED = 30, 25, 7


@pytest.fixture(scope="module")
def ranks() -> pl.DataFrame:
    return ranks_by_chance(np.random.default_rng(1), questions=QUESTIONS, held=0.7)


@pytest.fixture(scope="module")
def found(ranks: pl.DataFrame) -> Resampled:
    sums = question_sums(ranks, METRICS, languages=LANGUAGES, pool=POOL)
    return resample({"one": [sums]}, resamples=RESAMPLES, seed=SEED)["one"]


def keys(found: Resampled) -> list[tuple[str | None, ...]]:
    return found.rows["measure", "setting", "query_lang", "doc_lang"].rows()


def figures(ranks: pl.DataFrame) -> dict[tuple[str | None, ...], float]:
    """All figures of ranks by the functions that an evaluation uses; a figure that cannot be told is missing."""
    pairs, query_languages = metrics.by_pair(ranks, METRICS), metrics.by_query_language(ranks, METRICS)
    values = {}
    for row in pairs.to_dicts() + query_languages.to_dicts():
        cell = row["query_lang"], row.get("doc_lang")
        setting = "multi" if cell[1] is None else "mono" if cell[0] == cell[1] else "cross"
        values |= {(metric, setting, *cell): row[metric] for metric in METRICS}
    for row in metrics.by_setting(pairs, query_languages, LANGUAGES, METRICS).to_dicts():
        values |= {(metric, row["setting"], None, None): row[metric] for metric in METRICS}
    distance = bias.rank_distance(ranks, POOL)
    for code, mean, random in distance.select("query_lang", "rank_distance", "random").rows():
        values["rank_distance", "multi", code, None] = mean
        values["bias", "multi", code, None] = mean / random
    if distance.height == len(LANGUAGES):
        values["rank_distance", "multi", None, None] = mean = distance["rank_distance"].mean()
        values["bias", "multi", None, None] = mean / distance["random"].mean()
    return {key: value for key, value in values.items() if value is not None}


def check(line: np.ndarray, found: Resampled, expected: Mapping[tuple[str | None, ...], float]) -> None:
    told = {key: value for key, value in zip(keys(found), line.tolist(), strict=True) if not np.isnan(value)}
    assert told == pytest.approx(expected, rel=1e-12)


def test_every_draw_is_what_an_evaluation_of_the_drawn_questions_gives(ranks, found):
    questions = ranks["question"].unique().sort()
    for line, chosen in zip(found.draws, drawn_questions(QUESTIONS, RESAMPLES, SEED), strict=True):
        copies = pl.DataFrame({"question": questions[chosen], "copy": [f"copy {i}" for i in range(QUESTIONS)]})
        drawn = copies.join(ranks, on="question").with_columns(question=pl.col("copy"))
        check(line, found, figures(drawn))


def test_leaving_a_question_out_is_evaluating_without_it(ranks, found):
    for question, line in zip(found.questions, found.without, strict=True):
        check(line, found, figures(ranks.filter(pl.col("question") != question)))


def test_what_the_questions_add_sums_to_the_estimate(ranks, found):
    check(found.estimate, found, figures(ranks))
    assert found.shares.sum(axis=0) == pytest.approx(found.estimate, rel=1e-12)


def test_a_figure_knows_how_many_queries_and_questions_it_rests_on(ranks, found):
    asked = ranks["question", "query_lang", "doc_lang"].unique()
    alone = asked.group_by("question").len().filter(pl.col("len") == 1).height
    assert alone > 0, "a question in one language is in no pair of cross"
    counts = {key: row for key, *row in zip(keys(found), *found.rows["queries", "questions"], strict=True)}
    cross = asked.filter(pl.col("query_lang") != pl.col("doc_lang"))
    assert counts["map", "cross", None, None] == [cross.height, QUESTIONS - alone]
    pair = cross.filter(query_lang="de", doc_lang="en").height
    assert counts["map", "cross", "de", "en"] == [pair, pair]
    queries = asked["question", "query_lang"].unique()
    assert counts["map", "multi", None, None] == [queries.height, QUESTIONS]
    assert counts["map", "multi", "de", None] == [queries.filter(query_lang="de").height] * 2


def test_a_draw_without_a_query_in_a_cell_has_no_mean_for_it_nor_for_its_setting():
    present = np.ones((6, 2), bool)
    present[1:, 1] = False
    found = resample({"one": [sums_of(np.ones((6, 2)), present)]}, resamples=60, seed=SEED)["one"]
    empty = (drawn_questions(6, 60, SEED) != 0).all(axis=1)
    assert 0 < empty.sum() < 60
    assert np.isnan(found.draws).tolist() == [[False, bool(missing), bool(missing)] for missing in empty]
    assert np.isnan(found.without).any(axis=0).tolist() == [False, True, True]


def test_the_draws_do_not_depend_on_how_many_are_held_at_once(ranks, found, monkeypatch):
    monkeypatch.setattr(bootstrap, "_BLOCK", 4 * QUESTIONS)
    sums = question_sums(ranks, METRICS, languages=LANGUAGES, pool=POOL)
    small = resample({"one": [sums]}, resamples=RESAMPLES, seed=SEED)["one"]
    np.testing.assert_allclose(small.draws, found.draws, rtol=1e-12)


def seeds_by_chance(count: int) -> list[pl.DataFrame]:
    """Ranks of several systems on one collection."""
    return [
        ranks_by_chance(np.random.default_rng(1), questions=QUESTIONS, places=np.random.default_rng(seed))
        for seed in range(count)
    ]


def three_seeds(seed: int, questions: int = 20) -> list:
    rng = np.random.default_rng(seed)
    return [sums_of(rng.random((questions, 3)) + rng.normal(0, 0.2)) for _ in range(3)]


def test_two_calls_with_one_seed_share_their_draws_in_whatever_company_and_order():
    one, other = three_seeds(1), three_seeds(2)
    alone = resample({"one": one}, seed=3)["one"]
    among = resample({"other": other, 5: other[:1], "one": one[::-1]}, seed=3)["one"]
    np.testing.assert_allclose(among.draws, alone.draws, rtol=1e-9)
    assert not np.allclose(resample({"one": one}, seed=4)["one"].draws, alone.draws)
    assert np.array_equal(difference(alone, resample({"again": one}, seed=3)["again"]).draws, 0 * alone.draws)


@pytest.mark.parametrize("count", [1, 2])
def test_of_one_or_two_seeds_nothing_is_drawn(count):
    sums = three_seeds(1)[:count]
    mean = sums_of(sum(one.sums for one in sums) / count)
    found, of_mean = resample({"found": sums, "mean": [mean]}).values()
    assert found.by_seed == ()
    assert (found.evaluations, of_mean.evaluations) == (count, 1)
    np.testing.assert_allclose(found.draws, of_mean.draws, rtol=1e-12)


@pytest.mark.parametrize("count", [3, 5])
def test_drawn_seeds_add_students_t_times_the_standard_error_of_their_mean(count):
    rng = np.random.default_rng(count)
    sums = [sums_of(rng.random((10, 3)) + rng.normal(0, 0.2, 3)) for _ in range(count)]
    mean = sums_of(sum(one.sums for one in sums) / count)
    found, of_mean = resample({"found": sums, "mean": [mean]}, resamples=4000).values()
    seeds = np.array([one.sums.mean(axis=0) for one in sums])
    seeds = np.column_stack([seeds, seeds.mean(axis=1)])
    assert found.by_seed[0] == pytest.approx(seeds)
    assert found.estimate == pytest.approx(seeds.mean(axis=0))
    added = found.draws - of_mean.draws
    for column, values in zip(added.T, seeds.T, strict=True):
        scale = values.std(ddof=1) / np.sqrt(count)
        assert kstest(column / scale, t(count - 1).cdf).pvalue > 0.01
    weights, *_ = np.linalg.lstsq((seeds - seeds.mean(axis=0)).T, added.T, rcond=None)
    np.testing.assert_allclose((seeds - seeds.mean(axis=0)).T @ weights, added.T, atol=1e-9)


def test_seeds_are_drawn_apart_from_questions_and_from_other_systems():
    one, other = three_seeds(1), three_seeds(2)
    mean = sums_of(sum(sums.sums for sums in one) / 3)
    of_other = sums_of(sum(sums.sums for sums in other) / 3)
    found = resample({"one": one, "mean": [mean], "other": other, "its": [of_other]}, resamples=4000)
    drawn = {name: resampled.draws[:, -1] for name, resampled in found.items()}
    seeds, seeds_of_other = drawn["one"] - drawn["mean"], drawn["other"] - drawn["its"]
    assert abs(spearmanr(seeds, drawn["mean"]).statistic) < 4 / np.sqrt(4000)
    assert abs(spearmanr(seeds, seeds_of_other).statistic) < 4 / np.sqrt(4000)


def test_the_standard_error_is_the_textbook_one_and_tends_to_that_of_the_draws():
    rng = np.random.default_rng(8)
    scores, present = rng.exponential(size=(400, 3)), rng.random((400, 3)) < [1.0, 0.6, 0.3]
    found = resample({"one": [sums_of(scores, present)]}, resamples=4000)["one"]
    error, freedom = standard_error(found)
    for cell in range(3):
        values = scores[present[:, cell], cell]
        scaled = values.std(ddof=1) / np.sqrt(len(values))
        assert error[cell] == pytest.approx(scaled, rel=2 / len(values))
        assert freedom[cell] == len(values) - 1
    np.testing.assert_allclose(error, found.draws.std(axis=0), rtol=0.05)


def test_seeds_add_to_the_standard_error_and_take_degrees_of_freedom():
    sums = three_seeds(5)
    mean = sums_of(sum(one.sums for one in sums) / 3)
    found, of_mean = resample({"found": sums, "mean": [mean]}, resamples=1).values()
    (error, freedom), (of_questions, _) = standard_error(found), standard_error(of_mean)
    of_seeds = found.by_seed[0].std(axis=0, ddof=1) / np.sqrt(3)
    assert error == pytest.approx(np.hypot(of_questions, of_seeds))
    assert freedom == pytest.approx(error**4 / (of_questions**4 / 19 + of_seeds**4 / 2))


def test_the_utility_is_that_of_the_ratios_in_the_estimate_and_in_every_draw():
    sums = [question_sums(seed, ["map"], pool=POOL) for seed in seeds_by_chance(3)]
    weights = {"mono": 1.0, "cross": 0.0, "multi": 2.5, "bias": 0.5}
    found = resample({"one": sums}, resamples=RESAMPLES)["one"]
    of = utility(found, weights)
    for part in ("estimate", "draws", "without"):
        columns = {
            f"{setting}_map": np.atleast_1d(getattr(found.only("map", setting), part)[..., 0])
            for setting in ("mono", "cross", "multi")
        }
        columns["bias"] = np.atleast_1d(getattr(found.only("bias", "multi"), part)[..., 0])
        expected = results.with_utility(pl.DataFrame(columns), weights)["utility"].to_numpy()
        np.testing.assert_allclose(np.ravel(getattr(of, part)), expected, rtol=1e-12)
    assert of.shares.sum(axis=0) == pytest.approx(of.estimate)
    assert of.by_seed[0].mean() == pytest.approx(of.estimate.item())
    assert of.rows.select("measure", "questions").row(0) == ("utility", QUESTIONS)


def test_a_utility_without_bias_needs_none(found):
    assert utility(found, {"multi": 3}).estimate == pytest.approx(100 * found.only("map", "multi").estimate)


def test_resampling_nothing_is_refused():
    for systems in ({}, {"one": []}, {"one": three_seeds(1), "two": []}):
        with pytest.raises(InputError, match="systems: one has no evaluation"):
            resample(systems)


def test_fewer_than_one_draw_is_refused():
    with pytest.raises(InputError, match="resamples must be >= 1, got 0"):
        resample({"one": three_seeds(1)}, resamples=0)


def test_systems_of_different_collections_are_refused():
    whole, holed = np.ones((20, 3), bool), np.ones((20, 3), bool)
    holed[0, 0] = False
    for other in (sums_of(np.ones((21, 3))), sums_of(np.ones((20, 3)), holed)):
        with pytest.raises(InputError, match="systems a and b: not evaluated on the same collection"):
            resample({"a": [sums_of(np.ones((20, 3)), whole)], "b": [other]})


def test_systems_of_pools_of_different_size_are_refused():
    ranks = ranks_by_chance(np.random.default_rng(1))
    with pytest.raises(InputError, match="systems a and b: not evaluated on the same collection"):
        resample({"a": [question_sums(ranks, pool=POOL)], "b": [question_sums(ranks, pool=POOL + 1)]})


def test_systems_with_different_cells_are_refused():
    ranks = ranks_by_chance(np.random.default_rng(1))
    with pytest.raises(InputError, match="systems 1 and 2: their cells differ"):
        resample({1: [question_sums(ranks, ["map"])], 2: [question_sums(ranks, METRICS)]})
    with pytest.raises(InputError, match="systems a and b: their cells differ"):
        resample({"a": three_seeds(1), "b": [sums_of(np.ones((20, 4)))]})


def test_a_figure_that_is_not_there_is_refused(found):
    with pytest.raises(InputError, match="measures are map, hit@1, rank_distance, bias, the settings mono, cross"):
        found.only("mrr", "multi")


def test_a_difference_of_systems_that_share_no_draws_is_refused(ranks, found):
    sums = [question_sums(ranks, METRICS, languages=LANGUAGES, pool=POOL)]
    for options in ({"seed": SEED + 1, "resamples": RESAMPLES}, {"seed": SEED, "resamples": RESAMPLES + 1}):
        with pytest.raises(InputError, match="do not share their draws"):
            difference(found, resample({"one": sums}, **options)["one"])
    with pytest.raises(InputError, match="do not share their draws"):
        difference(found, found.only("map", "multi"))


@pytest.mark.parametrize("weights", [{}, {"mono": 0}, {"mono": 1, "bias": -1}])
def test_weights_that_weigh_nothing_are_refused(found, weights):
    with pytest.raises(InputError, match="utility weights must be numbers"):
        utility(found, weights)


def test_a_utility_of_a_figure_that_is_not_there_is_refused(ranks):
    found = resample({"one": [question_sums(ranks, ["map"])]}, resamples=1)["one"]
    with pytest.raises(InputError, match="figure \\('bias', 'multi', None, None\\): not there"):
        utility(found, {"bias": 1})
