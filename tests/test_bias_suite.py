"""engine.bias.suite and sums: all measures, their intervals, what chance gives, and comparisons."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from engine import bias
from engine.bias.per_question import EFFECT
from engine.errors import InputError
from engine.significance import resample
from tests import oracle
from tests.bias_builders import LANGUAGES, every_ranking, parallel, ranked
from tests.significance_builders import ranks_by_chance


@pytest.fixture(scope="module")
def biased():
    return ranked(np.random.default_rng(1), own=1.0, skill=2.0, k=15)


@pytest.fixture(scope="module")
def found(biased):
    ranks, top, candidates, *_ = biased
    return bias.suite(ranks, top, candidates, resamples=400)


def value_of(frame: pl.DataFrame, measure: str, column: str = "value") -> float:
    return frame.filter(pl.col("measure") == measure)[column].item()


def macro(frame: pl.DataFrame, column: str = "value") -> float:
    """Mean of the means of the query languages."""
    return frame.group_by("query_lang").agg(pl.col(column).mean())[column].mean()


def test_there_is_one_row_for_each_measure_of_ranks_in_the_registry_s_order(found):
    assert found.measures["measure"].to_list() == list(bias.RANK_MEASURES)
    assert found.measures.null_count().sum_horizontal().item() == 0
    assert set(bias.MEASURES) - set(bias.RANK_MEASURES) == {"language_probe", "language_variance"}


def test_the_values_are_macro_means_of_the_measures(biased, found):
    ranks, top, candidates, *_ = biased
    slow = oracle.rank_distance(ranks)
    distance = sum(slow.values()) / len(slow)
    assert value_of(found.measures, "rank_distance") == pytest.approx(distance)
    assert value_of(found.measures, "bias") == pytest.approx(distance / (101 * 3 / 5))
    matrix = bias.advantage_matrix(ranks)
    own = matrix.filter(pl.col("query_lang") == pl.col("doc_lang"))["advantage"]
    assert value_of(found.measures, "own_advantage") == pytest.approx(own.mean())
    shares = bias.language_shares(top, 10).filter(pl.col("query_lang") == pl.col("doc_lang"))["share"]
    assert value_of(found.measures, "own_share") == pytest.approx(shares.mean())
    outcomes = bias.outcomes(ranks, top)
    for name in bias.OUTCOMES:
        assert value_of(found.measures, name) == pytest.approx(outcomes[name].mean())
    agreement = bias.agreement_matrix(top, sum(candidates.values()), 10)["correlation"]
    assert value_of(found.measures, "rank_correlation") == pytest.approx(agreement.mean())
    targets = bias.one_target(ranks)
    same = pl.col("query_lang") == pl.col("doc_lang")
    gap = targets.filter(same)["mrr"].mean() - targets.filter(~same)["mrr"].mean()
    assert value_of(found.measures, "one_target_gap") == pytest.approx(gap)
    removed = bias.removals(ranks, 100)
    removal = macro(removed, "without_other") - macro(removed, "without_own")
    assert value_of(found.measures, "own_removal") == pytest.approx(removal)
    assert value_of(found.measures, EFFECT) == pytest.approx(bias.document_effect(ranks).concordance)


def test_what_is_told_by_language_averages_to_the_whole(found):
    for measure in bias.RANK_MEASURES:
        part = found.query_languages.filter(pl.col("measure") == measure)
        if measure in ("bias", EFFECT):
            assert part.height == (0 if measure == EFFECT else 4)
            continue
        assert part["query_lang"].to_list() == list(LANGUAGES)
        assert part["value"].mean() == pytest.approx(value_of(found.measures, measure))
        assert part["random"].mean() == pytest.approx(value_of(found.measures, measure, "random"))
        assert part["queries"].to_list() == [30] * 4


def test_intervals_hold_the_values(found):
    for frame in (found.measures, found.query_languages, found.document_languages):
        assert ((frame["low"] <= frame["value"]) & (frame["value"] <= frame["high"])).all()
        assert (frame["low"] < frame["high"]).mean() > 0.9


def test_places_of_document_languages_are_those_of_the_test(biased, found):
    pushed = bias.pushed(biased[0])
    both = found.document_languages.join(pushed, on="doc_lang")
    assert both["value"].to_list() == pytest.approx(both["place"].to_list())
    assert both["questions"].to_list() == both["questions_right"].to_list() == [30] * 4


def test_the_concordance_without_a_question_is_that_of_the_ranks_without_it(biased):
    ranks, top, candidates, *_ = biased
    drawn = bias.headline(resample({"": [bias.bias_sums(ranks, top, candidates).sums]}, resamples=50)[""])
    place = drawn.rows["measure"].to_list().index(EFFECT)
    for number in (0, 7, 29):
        kept = ranks.filter(pl.col("question") != drawn.questions[number])
        assert drawn.without[number, place] == pytest.approx(bias.document_effect(kept).concordance)
    assert drawn.shares[:, place].sum() == pytest.approx(drawn.estimate[place])


def test_the_concordance_of_a_draw_is_that_of_the_questions_drawn(biased):
    ranks, top, candidates, *_ = biased
    drawn = bias.headline(resample({"": [bias.bias_sums(ranks, top, candidates).sums]}, resamples=3, seed=5)[""])
    place = drawn.rows["measure"].to_list().index(EFFECT)
    chosen = np.random.default_rng(5).integers(30, size=(3, 30))  # as the bootstrap draws
    for draw, questions in enumerate(chosen):
        copies = [
            ranks.filter(pl.col("question") == drawn.questions[question]).with_columns(question=pl.lit(f"copy {i}"))
            for i, question in enumerate(questions)
        ]
        assert drawn.draws[draw, place] == pytest.approx(bias.document_effect(pl.concat(copies)).concordance)


def test_the_concordance_of_seeds_is_that_of_their_mean_ranks_and_its_draws_are_not_biased(biased):
    _, _, candidates, _, collection = biased
    rng, sums = np.random.default_rng(6), []
    for _ in range(3):
        scores = rng.standard_normal((len(collection.queries), len(collection.corpus)))
        scores += rng.permutation([0.0, 0.5, 1.0, 1.5])[collection.document_codes]  # each seed its own order
        found = oracle.ranks(scores, collection), oracle.top(scores, collection, 10)
        sums.append(bias.bias_sums(*found, candidates))
    drawn = bias.headline(resample({"": [one.sums for one in sums]}, resamples=4000)[""])
    place = drawn.rows["measure"].to_list().index(EFFECT)
    single = [bias.headline(resample({"": [one.sums]}, resamples=1)[""]).estimate[place] for one in sums]
    assert drawn.estimate[place] < np.mean(single)
    assert np.median(drawn.draws[:, place]) == pytest.approx(drawn.estimate[place], rel=0.15)
    # linear in the seeds: their mean is the estimate
    assert drawn.by_seed[0][:, place].mean() == pytest.approx(drawn.estimate[place], rel=0.01)


def test_a_ranking_by_chance_scores_what_stands_beside_every_measure():
    values, randoms = [], []
    for seed in range(120):
        ranks, top, candidates, *_ = ranked(np.random.default_rng(seed), questions=6, candidates=6, k=10)
        sums = bias.bias_sums(ranks, top, candidates)
        drawn = bias.headline(resample({"": [sums.sums]}, resamples=1)[""])
        values.append(dict(zip(drawn.rows["measure"], drawn.estimate, strict=True)))
        randoms.append(dict(sums.random.filter(pl.col("query_lang").is_null()).select("measure", "random").iter_rows()))
    for measure in bias.RANK_MEASURES:
        found = np.array([value[measure] for value in values])
        error = found.std(ddof=1) / len(found) ** 0.5
        assert error > 0
        assert abs(found.mean() - randoms[0][measure]) < 3.5 * error, measure


def test_means_over_languages_do_not_depend_on_how_an_unknown_pool_is_shared_out():
    ranks, top, _, *_ = ranked(np.random.default_rng(2), questions=5)
    known = bias.bias_sums(ranks, top, {"ar": 10, "de": 50, "en": 30, "hi": 10}).random
    even = bias.bias_sums(ranks, top, bias.even_candidates(LANGUAGES, 100)).random
    macros = [dict(one.filter(pl.col("query_lang").is_null()).drop("query_lang").iter_rows()) for one in (known, even)]
    assert macros[0] == pytest.approx(macros[1])
    assert bias.even_candidates(("a", "b", "c"), 11) == {"a": 4, "b": 4, "c": 3}


def test_candidates_are_counted_by_language(tiny_collection):
    assert bias.candidates_of(tiny_collection) == {"ar": 6, "de": 6, "en": 6}


def test_incomplete_questions_and_several_relevant_passages_are_measured():
    rng = np.random.default_rng(3)
    ranks = ranks_by_chance(rng, questions=25)
    queries = ranks.select("question", "query_lang").unique().sort("question", "query_lang")
    top = queries.join(pl.DataFrame({"rank": range(1, 11)}), how="cross").with_columns(
        pl.col("rank").cast(pl.Int32),
        doc=pl.Series(rng.integers(500, size=10 * queries.height)).cast(pl.Int32),
        doc_lang=pl.lit("de"),
        score=pl.lit(0.0, pl.Float32),
    )
    found = bias.suite(ranks, top, dict.fromkeys(LANGUAGES, 125), resamples=100).measures
    assert found["value"].null_count() == 0
    assert value_of(found, EFFECT, "random") == pytest.approx(bias.document_effect(ranks).random)


def test_what_a_collection_does_not_allow_is_null():
    ranks, top, candidates = every_ranking(["de", "de", "de"], [0], "de")
    found = bias.suite(ranks, top, candidates, k=2, resamples=20).measures
    empty = {"rank_distance", "bias", "own_advantage", EFFECT, "rank_correlation", "one_target_gap", "own_removal"}
    assert set(found.filter(pl.col("value").is_null())["measure"]) == empty
    assert value_of(found, "own_share") == 1


def test_curves_hold_each_ratio_s_measures(biased, found):
    ranks, top, candidates, *_ = biased
    fair_ranks, fair_top, *_ = ranked(np.random.default_rng(9), skill=2.0, k=15)
    sums = bias.bias_sums(ranks, top, candidates)
    curves = bias.curves({1.0: [sums], 0.0: [bias.bias_sums(fair_ranks, fair_top, candidates)] * 2}, resamples=400)
    at = curves.filter(pl.col("alpha") == 1)
    assert at["measure"].to_list() == list(bias.RANK_MEASURES)
    assert_frame_equal(at.select(found.measures.columns), found.measures)
    assert curves.filter(pl.col("alpha") == 0)["seeds"].unique().to_list() == [2]
    assert curves["alpha"].to_list()[:2] == [0, 1]


def test_the_more_biased_of_two_is_told_whichever_way_a_measure_points(biased):
    ranks, top, candidates, _, collection = biased
    rng = np.random.default_rng(4)
    scores = rng.standard_normal((len(collection.queries), len(collection.corpus)))
    scores[collection.qrels.queries, collection.qrels.documents] += 4
    fair = bias.bias_sums(oracle.ranks(scores, collection), oracle.top(scores, collection, 5), candidates, k=5)
    found = bias.compare_systems([bias.bias_sums(ranks, top, candidates, k=5)], [fair], resamples=400)
    assert "first_right_own" not in found["measure"].to_list()
    told = found.filter(pl.col("p_holm") < 0.05)
    assert {"rank_distance", "own_advantage", "own_share", "rank_correlation", "one_target_gap"} <= set(told["measure"])
    assert told["more"].all()
    assert value_of(found, "rank_correlation", "difference") < 0 < value_of(found, "rank_distance", "difference")
    assert (found["one"] - found["other"]).to_list() == pytest.approx(found["difference"].to_list())
    assert (found["p"] <= found["p_holm"]).all()


def test_a_system_does_not_differ_from_itself(biased):
    ranks, top, candidates, *_ = biased
    sums = bias.bias_sums(ranks, top, candidates)
    found = bias.compare_systems([sums], [sums], resamples=50)
    assert found["difference"].unique().to_list() == [0]
    assert found["p_holm"].unique().to_list() == [1]


def test_two_systems_on_either_side_of_chance_are_not_ordered(biased):
    ranks, top, candidates, *_ = biased
    against, _, _, scores, collection = ranked(np.random.default_rng(1), own=-1.0, skill=2.0, k=15)
    other = bias.bias_sums(against, oracle.top(scores, collection, 15), candidates)
    found = bias.compare_systems([bias.bias_sums(ranks, top, candidates)], [other], resamples=50)
    assert found.filter(pl.col("measure") == "own_advantage")["more"].item() is None


def test_frames_that_do_not_fit_are_refused(biased):
    ranks, top, candidates, *_ = biased
    with pytest.raises(InputError, match="the frame is empty"):
        bias.suite(ranks.clear(), top, candidates)
    with pytest.raises(InputError, match=r"hold the languages ar; candidates are given for de, en, hi"):
        bias.suite(ranks, top, {code: 25 for code in LANGUAGES if code != "ar"})
    with pytest.raises(InputError, match="top holds 15 places for a query, but k is 16"):
        bias.suite(ranks, top, candidates, k=16)
    with pytest.raises(InputError, match="lacks the columns"):
        bias.suite(top, ranks, candidates)


def test_a_query_that_was_not_judged_does_not_count(biased):
    ranks, top, candidates, *_ = biased
    kept = ranks.filter(pl.col("question") != "q3")
    counts = bias.suite(kept, top, candidates, resamples=20).measures["questions"]
    assert counts.unique().to_list() == [29]


@pytest.mark.parametrize(
    ("measure", "value", "written"),
    [
        ("rank_distance", 1213.8, "1,214"),
        ("own_share", 0.7146, "71.5 %"),
        ("own_advantage", -0.5, "−0.50"),
        ("own_advantage", 0.0, "0"),
        ("bias", None, "–"),
    ],
)
def test_values_are_written_as_their_measure_asks(measure, value, written):
    assert bias.MEASURES[measure].write(value) == written


def test_every_measure_says_what_it_is_where_from_and_what_chance_gives():
    for name, measure in bias.MEASURES.items():
        assert measure.name == name
        assert measure.direction in bias.DIRECTIONS
        assert all((measure.label, measure.definition, measure.source, measure.random))


def test_per_query_peer_would_be_a_constant():
    from scipy.stats import kruskal

    ranks, *_ = ranked(np.random.default_rng(5), own=2.0, questions=8)
    by_query = ranks.group_by("question", "query_lang").agg("rank_in_pool")["rank_in_pool"]
    found = {round(float(kruskal(*([rank] for rank in places)).pvalue), 9) for places in by_query.to_list()}
    assert len(found) == 1


def test_perfect_equality_has_no_bias():
    same = parallel({(f"q{i}", code): {"de": 2, "en": 2, "hi": 2} for i in range(3) for code in ("de", "en", "hi")})
    assert bias.rank_distance(same, 9)["rank_distance"].unique().to_list() == [0]
    assert bias.advantages(same)["value"].unique().to_list() == [0]
    assert bias.document_effect(same).freedom == 0
