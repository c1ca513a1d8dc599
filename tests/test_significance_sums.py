"""engine.significance.per_question: what it adds up gives back the means of engine.ranks.metrics and engine.bias."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import bias
from engine.errors import InputError
from engine.ranks import metrics
from engine.ranks.schema import RANKS
from engine.significance import QuestionSums, question_sums, resample
from tests import oracle
from tests.significance_builders import LANGUAGES, POOL, ranks_by_chance

METRICS = ("map", "hit@1", "recall@10", "ndcg@10", "mrr")
SETTINGS = ("mono", "cross", "multi")

random_ranks = st.builds(
    lambda seed, questions, held: ranks_by_chance(np.random.default_rng(seed), questions=questions, held=held),
    st.integers(0, 2**32),
    st.integers(1, 9),
    st.sampled_from([0.3, 0.6, 1.0]),
)


def means(sums: QuestionSums) -> dict[tuple[str | None, ...], tuple[float, float]]:
    """Mean and number of queries of every cell that has some."""
    totals, counts = sums.sums.sum(axis=0), sums.counts.sum(axis=0)
    rows = zip(sums.cells.rows(), totals, counts, strict=True)
    return {cell: (total / count, count) for cell, total, count in rows if count}


def macro_means(ranks: pl.DataFrame, languages: tuple[str, ...]) -> dict[tuple[str, str], float]:
    """What one draw-less resampling gives as the means of the settings, by measure and setting."""
    found = resample({"one": [question_sums(ranks, METRICS, languages=languages, pool=POOL)]}, resamples=1)["one"]
    macro = found.rows["query_lang"].is_null().to_numpy()
    return dict(zip(found.rows.filter(macro)["measure", "setting"].rows(), found.estimate[macro], strict=True))


@settings(deadline=None, max_examples=40)
@given(ranks=random_ranks)
def test_cells_have_the_means_and_queries_of_the_metrics(ranks):
    found = means(question_sums(ranks, METRICS, languages=LANGUAGES, pool=POOL))
    expected = {}
    for row in metrics.by_pair(ranks, METRICS).to_dicts():
        setting = "mono" if row["query_lang"] == row["doc_lang"] else "cross"
        for metric in METRICS:
            expected[metric, setting, row["query_lang"], row["doc_lang"]] = row[metric], row["queries"]
    for row in metrics.by_query_language(ranks, METRICS).to_dicts():
        for metric in METRICS:
            expected[metric, "multi", row["query_lang"], None] = row[metric], row["queries"]
    for row in bias.rank_distance(ranks, POOL).to_dicts():
        for measure, column in (("rank_distance", "rank_distance"), ("random_distance", "random")):
            expected[measure, "multi", row["query_lang"], None] = row[column], row["queries"]
    assert found.keys() == expected.keys()
    for cell, (mean, queries) in expected.items():
        assert found[cell] == (pytest.approx(mean, rel=1e-12), queries), cell


def test_cells_are_those_that_queries_and_documents_have():
    rows = [("q", "en", "de", 0, 1, 1, 0.0), ("q", "en", "ru", 1, 1, 2, 0.0)]
    ranks = pl.DataFrame(rows, schema=RANKS, orient="row")
    sums = question_sums(ranks, ["map"], languages=["en"], document_languages=["de", "ru"])
    cells = sums.cells.filter(pl.col("measure") == "map").select("setting", "query_lang", "doc_lang").rows()
    assert cells == [("cross", "en", "de"), ("cross", "en", "ru"), ("multi", "en", None)]
    macro = resample({"one": [sums]}, resamples=1)["one"]
    means = dict(zip(macro.rows["measure", "setting", "query_lang"].rows(), macro.estimate, strict=True))
    assert means["map", "cross", None] == 1.0


@settings(deadline=None, max_examples=30)
@given(ranks=random_ranks)
def test_settings_have_the_macro_means_of_the_metrics_and_none_where_a_cell_is_missing(ranks):
    found = macro_means(ranks, LANGUAGES)
    pairs, query_languages = metrics.by_pair(ranks, METRICS), metrics.by_query_language(ranks, METRICS)
    for row in metrics.by_setting(pairs, query_languages, LANGUAGES, METRICS).to_dicts():
        for metric in METRICS:
            expected = np.nan if row[metric] is None else row[metric]
            assert found[metric, row["setting"]] == pytest.approx(expected, rel=1e-12, nan_ok=True)
    distance = bias.rank_distance(ranks, POOL)
    whole = distance.height == len(LANGUAGES)
    expected = distance["rank_distance"].mean() if whole else np.nan
    assert found["rank_distance", "multi"] == pytest.approx(expected, rel=1e-12, nan_ok=True)
    share = expected / distance["random"].mean() if whole else np.nan
    assert found["bias", "multi"] == pytest.approx(share, rel=1e-12, nan_ok=True)


def test_unequal_cells_count_alike_in_a_macro_mean_as_in_slow_loops():
    ranks = ranks_by_chance(np.random.default_rng(4), questions=40, held=0.5)
    counts = metrics.by_pair(ranks)["queries"]
    assert counts.min() < counts.max() / 2
    found = macro_means(ranks, LANGUAGES)
    for setting in SETTINGS:
        for metric in METRICS:
            assert found[metric, setting] == pytest.approx(oracle.macro_mean(ranks, setting, metric), rel=1e-12)
    distances = oracle.rank_distance(ranks).values()
    assert found["rank_distance", "multi"] == pytest.approx(sum(distances) / len(distances), rel=1e-12)


def test_a_question_adds_its_scores_to_its_own_cells():
    rows = [("q1", "de", "de", 0, 1, 2, 0.0), ("q1", "de", "en", 1, 4, 7, 0.0), ("q2", "en", "en", 2, 2, 3, 0.0)]
    sums = question_sums(pl.DataFrame(rows, schema=RANKS, orient="row"), ["mrr"], pool=20)
    assert sums.questions == ("q1", "q2")
    added = {cell: (tuple(sums.sums[:, at]), tuple(sums.counts[:, at])) for at, cell in enumerate(sums.cells.rows())}
    assert added == {
        ("mrr", "mono", "de", "de"): ((1.0, 0.0), (1.0, 0.0)),
        ("mrr", "mono", "en", "en"): ((0.0, 0.5), (0.0, 1.0)),
        ("mrr", "cross", "de", "en"): ((0.25, 0.0), (1.0, 0.0)),
        ("mrr", "cross", "en", "de"): ((0.0, 0.0), (0.0, 0.0)),
        ("mrr", "multi", "de", None): ((0.5, 0.0), (1.0, 0.0)),
        ("mrr", "multi", "en", None): ((0.0, 1 / 3), (0.0, 1.0)),
        ("rank_distance", "multi", "de", None): ((5.0, 0.0), (1.0, 0.0)),
        ("rank_distance", "multi", "en", None): ((0.0, 0.0), (0.0, 0.0)),
        ("random_distance", "multi", "de", None): ((7.0, 0.0), (1.0, 0.0)),
        ("random_distance", "multi", "en", None): ((0.0, 0.0), (0.0, 0.0)),
    }


def test_without_a_pool_there_is_no_random_distance():
    sums = question_sums(ranks_by_chance(np.random.default_rng(0)), ["map"])
    assert sums.cells["measure"].unique(maintain_order=True).to_list() == ["map", "rank_distance"]


def test_the_random_distance_of_a_very_large_pool_is_that_of_the_bias():
    ranks = ranks_by_chance(np.random.default_rng(2), held=1.0)
    expected = bias.rank_distance(ranks, 2**31)
    found = means(question_sums(ranks, ["map"], pool=2**31))
    for code, random in expected.select("query_lang", "random").rows():
        assert found["random_distance", "multi", code, None][0] == pytest.approx(random, rel=1e-12)


def test_the_order_of_the_rows_does_not_matter():
    ranks = ranks_by_chance(np.random.default_rng(3))
    shuffled = ranks.sample(fraction=1, shuffle=True, seed=0)
    one, other = (question_sums(frame, METRICS, pool=POOL) for frame in (ranks, shuffled))
    assert one.questions == other.questions
    assert one.cells.equals(other.cells)
    assert np.array_equal(one.sums, other.sums)
    assert np.array_equal(one.counts, other.counts)


def test_cells_follow_the_order_of_the_languages_and_include_those_without_queries():
    ranks = ranks_by_chance(np.random.default_rng(3), languages=("de", "en"), held=1.0)
    sums = question_sums(ranks, ["map"], languages=("en", "xx", "de"))
    mono = sums.cells.filter(measure="map", setting="mono")
    assert mono["query_lang"].to_list() == ["en", "xx", "de"]
    assert sums.cells.filter(measure="map", setting="cross").height == 6
    empty = sums.cells.select(pl.any_horizontal(pl.col("query_lang", "doc_lang") == "xx").fill_null(value=False))
    assert not sums.counts[:, empty.to_series().to_numpy()].any()
    assert sums.counts[:, ~empty.to_series().to_numpy()].all()


def test_ranks_without_rows_are_refused():
    with pytest.raises(InputError, match="the frame is empty"):
        question_sums(pl.DataFrame(schema=RANKS))


def test_a_frame_that_is_not_of_ranks_is_refused():
    with pytest.raises(InputError, match="ranks: lacks the columns rank_in_pool"):
        question_sums(ranks_by_chance(np.random.default_rng(0)).drop("rank_in_pool"))


def test_a_language_that_is_not_listed_is_refused():
    with pytest.raises(InputError, match="hold the languages en, hi; listed are ar, de"):
        question_sums(ranks_by_chance(np.random.default_rng(0)), languages=("ar", "de"))


def test_an_unknown_metric_is_refused():
    with pytest.raises(InputError, match="metric 'accuracy' is unknown"):
        question_sums(ranks_by_chance(np.random.default_rng(0)), ["accuracy"])
