"""engine.bias.probes: against rankings of pools from which the passages really were taken out."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import polars as pl
import pytest

from engine import bias
from engine.bias.probes import one_target_gaps, own_removals
from tests import oracle
from tests.bias_builders import every_ranking, parallel, ranked

SHARED = {"questions": 6, "candidates": 8, "languages": ("de", "en", "hi"), "most_relevant": 2}


def judged(collection):
    """Relevant candidates by query."""
    found: dict[int, list[int]] = {}
    for query, doc in zip(collection.qrels.queries.tolist(), collection.qrels.documents.tolist(), strict=True):
        found.setdefault(query, []).append(doc)
    return found


def test_a_lone_passage_stands_where_it_does_in_the_pool_without_the_others():
    ranks, _, _, scores, collection = ranked(np.random.default_rng(1), skill=1.0, **SHARED)
    found = {}
    for row in bias.one_target_ranks(ranks).to_dicts():
        found.setdefault((row["question"], row["query_lang"]), []).append((row["doc_lang"], row["rank"]))
    for query, docs in judged(collection).items():
        expected = []
        for doc in docs:
            pool = [other for other in range(len(collection.corpus)) if other == doc or other not in docs]
            expected.append((collection.corpus.languages[doc], 1 + oracle.ordered(scores[query], pool).index(doc)))
        key = collection.queries.questions[query], collection.queries.languages[query]
        assert sorted(found[key]) == sorted(expected)


def test_one_target_is_the_mean_over_queries_of_each_pair():
    ranks, *_ = ranked(np.random.default_rng(2), skill=1.0, own=1.0, **SHARED)
    places = bias.one_target_ranks(ranks)
    for row in bias.one_target(ranks).to_dicts():
        held = [
            one["rank"]
            for one in places.to_dicts()
            if (one["query_lang"], one["doc_lang"]) == (row["query_lang"], row["doc_lang"])
        ]
        assert row["mrr"] == pytest.approx(np.mean(1 / np.array(held)))
        assert row["hit@1"] == pytest.approx(np.mean(np.array(held) == 1))
        assert row["queries"] == 6


def test_removals_are_the_average_precisions_of_pools_without_a_language_s_answers():
    ranks, _, _, scores, collection = ranked(np.random.default_rng(3), skill=1.0, own=1.0, **SHARED)
    found = {(row["question"], row["query_lang"]): row for row in bias.removals(ranks, 24).to_dicts()}
    assert len(found) == 18
    for query, docs in judged(collection).items():
        row = found[collection.queries.questions[query], collection.queries.languages[query]]

        def precision(without: str | None, query: int = query, docs: list[int] = docs) -> float:
            kept = [doc for doc in docs if collection.corpus.languages[doc] != without]
            pool = [doc for doc in range(len(collection.corpus)) if doc in kept or doc not in docs]
            order = oracle.ordered(scores[query], pool)
            return oracle.score("map", [1 + order.index(doc) for doc in kept])

        own = collection.queries.languages[query]
        others = [precision(code) for code in collection.languages if code != own]
        assert row["map"] == pytest.approx(precision(None))
        assert row["without_own"] == pytest.approx(precision(own))
        assert row["without_other"] == pytest.approx(np.mean(others))


@pytest.mark.parametrize("relevant", [[0, 2, 4], [0, 1, 2, 4], [0, 2, 3, 4], [1, 3]])
def test_a_random_ranking_has_the_expectation_that_stands_beside_the_value(relevant):
    ranks, _, _ = every_ranking(["de", "de", "en", "en", "hi", "hi"], relevant, "de")
    for frame in (one_target_gaps(ranks), own_removals(ranks, 6)):
        assert frame.height == 720
        assert frame["value"].mean() == pytest.approx(frame["random"].mean(), abs=1e-12)
    assert own_removals(ranks, 6)["value"].std() > 0


def test_the_expected_average_precision_is_the_mean_over_all_places():
    # Two languages with unequally many answers: each removal leaves another number, whose expectations are told apart.
    ranks = parallel({("q", "de"): {"de": 1, "en": 2, "hi": 3}}).vstack(
        parallel({("q", "de"): {"en": 4}}).with_columns(doc=pl.lit(9, pl.Int32))
    )

    def expected(pool: int, relevant: int) -> float:
        places = list(combinations(range(1, pool + 1), relevant))
        return sum(oracle.score("map", found) for found in places) / len(places)

    random = own_removals(ranks, 8)["random"].item()
    assert random == pytest.approx((expected(6, 2) + expected(7, 3)) / 2 - expected(7, 3))


def test_a_score_that_hangs_on_the_own_language_is_told():
    ranks = parallel({("q", code): {"de": 40, "en": 50, "hi": 60} | {code: 1} for code in ("de", "en", "hi")})
    assert (own_removals(ranks, 100)["value"] > 0.2).all()
    assert (one_target_gaps(ranks)["value"] > 0.9).all()


def test_a_query_without_an_answer_in_its_own_language_is_left_out():
    ranks = parallel({("q", "en"): {"de": 3, "hi": 4}, ("r", "en"): {"en": 5}, ("s", "en"): {"en": 5, "de": 9}})
    assert one_target_gaps(ranks)["question"].to_list() == ["s"]
    assert bias.removals(ranks, 20)["question"].to_list() == ["s"]
