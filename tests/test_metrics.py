"""engine.ranks.metrics against pytrec_eval, scikit-learn and slow loops."""

from __future__ import annotations

import logging

import numpy as np
import polars as pl
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from engine.collections.structures import Collection
from engine.errors import InputError
from engine.ranks import metrics
from engine.ranks.ranking import rank_collection
from engine.ranks.schema import RANKS
from tests import oracle

LANGUAGES = ("de", "en", "hi", "zh")
TREC_NAMES = {
    "map": "map",
    "mrr": "recip_rank",
    "hit@1": "success_1",
    "hit@5": "success_5",
    "hit@10": "success_10",
    "recall@1": "recall_1",
    "recall@10": "recall_10",
    "recall@100": "recall_100",
    "ndcg@10": "ndcg_cut_10",
    "map@10": "map_cut_10",
}


@pytest.fixture(scope="module")
def collection() -> Collection:
    return oracle.random_collection(np.random.default_rng(1), LANGUAGES, questions=12, candidates=40, most_relevant=4)


@pytest.fixture(scope="module")
def vectors(collection: Collection) -> tuple[np.ndarray, np.ndarray]:
    """Vectors in steps of 1/16, so that scores are exact in float32; a query leans to what is relevant to it."""
    rng = np.random.default_rng(2)
    queries, documents = (rng.standard_normal((len(part), 16)) for part in (collection.queries, collection.corpus))
    np.add.at(queries, collection.qrels.queries, 0.3 * documents[collection.qrels.documents])
    return tuple((np.round(16 * part) / 16).astype(np.float32) for part in (queries, documents))


@pytest.fixture(scope="module")
def ranks(collection: Collection, vectors: tuple[np.ndarray, np.ndarray]) -> pl.DataFrame:
    return rank_collection(*vectors, collection)[0]


def ranks_of(rows: list[tuple[str, str, str, int, int]]) -> pl.DataFrame:
    """A frame of ranks from question, query language, document language, rank in language, rank in pool."""
    whole = [(question, a, b, i, own, pool, 0.0) for i, (question, a, b, own, pool) in enumerate(rows)]
    return pl.DataFrame(whole, schema=RANKS, orient="row")


def judged_and_retrieved(
    collection: Collection, scores: np.ndarray, query_lang: str, doc_lang: str | None
) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, float]]]:
    """What pytrec_eval reads for one cell: judgements, and retrieved candidates of one language or of the whole pool.

    pytrec_eval breaks ties by document id, so it is given places instead of scores.
    """
    candidates = [i for i, code in enumerate(collection.corpus.languages) if doc_lang in (None, code)]
    judged: dict[str, dict[str, int]] = {}
    retrieved: dict[str, dict[str, float]] = {}
    for row, (code, question) in enumerate(
        zip(collection.queries.languages, collection.queries.questions, strict=True)
    ):
        if code == query_lang:
            relevant = collection.qrels.documents[collection.qrels.queries == row].tolist()
            judged[question] = {str(doc): 1 for doc in relevant if doc in candidates}
            places = oracle.ordered(scores[row].tolist(), candidates)
            retrieved[question] = {str(doc): float(len(places) - place) for place, doc in enumerate(places)}
    return judged, retrieved


@pytest.mark.parametrize("query_lang", LANGUAGES)
@pytest.mark.parametrize("doc_lang", [*LANGUAGES, None])
def test_every_metric_equals_that_of_trec_eval(collection, vectors, ranks, query_lang, doc_lang):
    judged, retrieved = judged_and_retrieved(collection, vectors[0] @ vectors[1].T, query_lang, doc_lang)
    measures = {"map", "recip_rank", "success.1,5,10", "recall.1,10,100", "ndcg_cut.10", "map_cut.10"}
    expected = pytrec_eval.RelevanceEvaluator(judged, measures).evaluate(retrieved)
    if doc_lang is None:
        ours, means = metrics.per_query(ranks, "multi", TREC_NAMES), metrics.by_query_language(ranks, TREC_NAMES)
    else:
        ours = metrics.per_query(ranks, "mono" if query_lang == doc_lang else "cross", TREC_NAMES)
        ours = ours.filter(pl.col("doc_lang") == doc_lang)
        means = metrics.by_pair(ranks, TREC_NAMES).filter(pl.col("doc_lang") == doc_lang)
    rows = ours.filter(pl.col("query_lang") == query_lang).to_dicts()
    mean = means.filter(pl.col("query_lang") == query_lang).to_dicts()[0]
    assert {row["question"] for row in rows} == set(expected)
    assert mean["queries"] == len(expected)
    for name, theirs in TREC_NAMES.items():
        values = [expected[row["question"]][theirs] for row in rows]
        assert [row[name] for row in rows] == pytest.approx(values, abs=1e-12)
        assert mean[name] == pytest.approx(np.mean(values), abs=1e-12)
    assert 0.05 < mean["map"] < 0.95, "the collection should be neither hopeless nor trivial"


def test_average_precision_equals_that_of_scikit_learn(collection, vectors, ranks):
    for row in metrics.per_query(ranks, "multi", ["map"]).to_dicts():
        judged, retrieved = judged_and_retrieved(collection, vectors[0] @ vectors[1].T, row["query_lang"], None)
        places = retrieved[row["question"]]
        relevant = [doc in judged[row["question"]] for doc in places]
        assert row["map"] == pytest.approx(average_precision_score(relevant, list(places.values())), abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(
    places=st.lists(st.sets(st.integers(1, 60), min_size=1, max_size=8), min_size=1, max_size=5),
    cut=st.integers(1, 12),
    shuffle=st.randoms(use_true_random=False),
)
def test_a_query_scores_as_a_slow_loop_says_whatever_the_order_of_the_rows(places, cut, shuffle):
    rows = [(f"q{i}", "en", "en", place, place) for i, found in enumerate(places) for place in found]
    shuffle.shuffle(rows)
    names = ["map", "mrr", *(f"{kind}@{cut}" for kind in ("hit", "recall", "ndcg", "map", "mrr"))]
    ours = metrics.per_query(ranks_of(rows), "multi", names)
    assert ours["question"].to_list() == sorted(f"q{i}" for i in range(len(places)))
    for row in ours.to_dicts():
        found = sorted(places[int(row["question"][1:])])
        assert row["relevant"] == len(found)
        assert [row[name] for name in names] == pytest.approx([oracle.score(name, found) for name in names])


def test_with_one_relevant_passage_average_precision_is_the_reciprocal_rank():
    rows = [(f"q{rank}", "en", "de", rank, 7 * rank) for rank in (1, 2, 3, 50)]
    scored = metrics.per_query(ranks_of(rows), "cross", ["map", "mrr"])
    assert scored["map"].to_list() == scored["mrr"].to_list() == [1, 1 / 2, 1 / 3, 1 / 50]


def test_in_the_pool_recall_at_1_is_bounded_where_hit_at_1_is_not():
    rows = [("q", "en", code, 1, place) for place, code in enumerate(LANGUAGES, start=1)]
    scored = metrics.by_query_language(ranks_of(rows), ["hit@1", "recall@1", "map", "ndcg@10"])
    assert scored.row(0) == ("en", 1, 1.0, 1 / len(LANGUAGES), 1.0, 1.0)


@pytest.mark.parametrize("metric", ["map", "hit@1", "ndcg@10", "recall@10", "mrr"])
def test_setting_means_are_macro_means_of_unequal_cells(metric):
    rng = np.random.default_rng(4)
    rows = [
        (f"q{i}", a, b, int(place), 30 * block + int(place))
        for a in LANGUAGES
        for block, b in enumerate(LANGUAGES)
        for i in range(rng.integers(1, 9))
        for place in 1 + rng.choice(30, rng.integers(1, 4), replace=False)
    ]
    ranks = ranks_of(rows)
    pairs, query_langs = metrics.by_pair(ranks, [metric]), metrics.by_query_language(ranks, [metric])
    ours = metrics.by_setting(pairs, query_langs, LANGUAGES, [metric])
    assert ours["setting"].to_list() == ["mono", "cross", "multi"]
    assert ours["cells"].to_list() == ours["expected"].to_list() == [4, 12, 4]
    expected = [oracle.macro_mean(ranks, setting, metric) for setting in ours["setting"]]
    assert ours[metric].to_list() == pytest.approx(expected)
    assert pairs[metric].mean() != pytest.approx(metrics.per_query(ranks, "cross", [metric])[metric].mean())


def test_pairs_are_sorted_and_counted_and_only_those_with_queries():
    rows = [("q1", "en", "de", 1, 1), ("q2", "en", "de", 4, 4), ("q1", "de", "de", 2, 2)]
    pairs = metrics.by_pair(ranks_of(rows), ["map"])
    assert pairs.rows() == [("de", "de", 1, 0.5), ("en", "de", 2, 0.625)]


@pytest.mark.parametrize(
    ("missing", "incomplete"),
    [(("de", "de"), {"mono"}), (("de", "zh"), {"cross"}), (("zh", None), {"mono", "cross", "multi"})],
)
def test_a_mean_over_incomplete_cells_is_null_and_warns(missing, incomplete, caplog):
    query_lang, doc_lang = missing
    rows = [("q", a, b, 1, place) for a in LANGUAGES for place, b in enumerate(LANGUAGES, start=1)]
    ranks = ranks_of([row for row in rows if row[1] != query_lang or doc_lang not in (None, row[2])])
    with caplog.at_level(logging.WARNING, logger="engine.ranks.metrics"):
        ours = metrics.by_setting(metrics.by_pair(ranks), metrics.by_query_language(ranks), LANGUAGES)
    empty = {row["setting"] for row in ours.to_dicts() if row["map"] is None}
    assert empty == incomplete
    assert {record.getMessage().partition(":")[0] for record in caplog.records} == incomplete
    for row in ours.to_dicts():
        if row["setting"] not in incomplete:
            assert row["map"] == pytest.approx(oracle.macro_mean(ranks, row["setting"], "map"))


def test_a_mean_over_more_cells_than_the_languages_have_is_null_and_warns(caplog):
    ranks = ranks_of([("q", a, b, 1, 1) for a in LANGUAGES for b in LANGUAGES])
    ours = metrics.by_setting(metrics.by_pair(ranks), metrics.by_query_language(ranks), LANGUAGES[:2])
    assert ours["map"].to_list() == [None] * 3
    assert len(caplog.records) == 3


def test_a_single_language_has_no_cross_mean_and_needs_no_warning(caplog):
    ranks = ranks_of([("q", "en", "en", 2, 2)])
    ours = metrics.by_setting(metrics.by_pair(ranks), metrics.by_query_language(ranks), ["en"])
    assert ours["map"].to_list() == [0.5, None, 0.5]
    assert caplog.records == []


def test_cells_are_expected_where_queries_and_documents_have_languages(caplog):
    ranks = ranks_of([("q", "en", "de", 1, 1), ("q", "en", "ru", 2, 4)])
    pairs, query_langs = metrics.by_pair(ranks, ["map"]), metrics.by_query_language(ranks, ["map"])
    ours = metrics.by_setting(pairs, query_langs, ["en"], ["map"], document_languages=["de", "ru"])
    assert ours.rows() == [("mono", 0, 0, None), ("cross", 2, 2, 0.75), ("multi", 1, 1, 0.75)]
    assert caplog.records == []
    more = metrics.by_setting(pairs, query_langs, ["de", "en"], ["map"], document_languages=["de", "ru"])
    assert more["expected"].to_list() == [1, 3, 2]
    assert more["map"].to_list() == [None] * 3


def test_no_ranks_give_empty_tables_and_null_means():
    empty = RANKS.to_frame()
    pairs, query_langs = metrics.by_pair(empty), metrics.by_query_language(empty)
    assert (pairs.height, query_langs.height) == (0, 0)
    assert metrics.by_setting(pairs, query_langs, LANGUAGES)["map"].null_count() == 3


@pytest.mark.parametrize(
    "metric", ["MAP", "map@", "mrr@0", "hit", "hit@0", "hit@-1", "recall@1.5", "ndcg@", "precision@5", ""]
)
def test_an_unknown_metric_is_refused_by_name(metric):
    with pytest.raises(InputError, match="allowed are map, mrr, hit@k") as caught:
        metrics.per_query(ranks_of([("q", "en", "en", 1, 1)]), "mono", [metric])
    assert repr(metric) in str(caught.value)


def test_an_unknown_setting_is_refused():
    with pytest.raises(InputError, match="setting 'all' is unknown; allowed are mono, cross, multi"):
        metrics.per_query(ranks_of([("q", "en", "en", 1, 1)]), "all")


def test_a_frame_that_is_not_one_of_ranks_is_refused():
    with pytest.raises(InputError, match="lacks the columns rank_in_pool"):
        metrics.by_pair(ranks_of([("q", "en", "en", 1, 1)]).drop("rank_in_pool"))


def test_the_success_at_1_of_papers_is_labelled_as_theirs_and_recall_is_not():
    assert [metrics.label(name) for name in ("map", "hit@1", "recall@1", "ndcg@10", "hit@5", "mrr")] == [
        "mAP",
        "R@1",
        "Recall@1",
        "nDCG@10",
        "Hit@5",
        "MRR",
    ]


def test_a_collection_that_is_not_crossed_expects_no_cross_pair() -> None:
    ranks = ranks_of([("q", code, code, 1, 1) for code in LANGUAGES])
    pairs, query_langs = metrics.by_pair(ranks), metrics.by_query_language(ranks)
    ours = metrics.by_setting(pairs, query_langs, LANGUAGES, ["map"])
    assert ours["expected"].to_list() == [4, 0, 4]
    assert ours["map"].is_null().to_list() == [False, True, False]
