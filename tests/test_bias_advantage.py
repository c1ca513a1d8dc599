"""engine.bias.advantage: against slow loops, made-up effects and all rankings of a small pool."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import bias
from engine.bias.advantage import own_advantages, own_shares
from engine.errors import InputError
from tests.bias_builders import LANGUAGES, every_ranking, parallel, ranked
from tests.significance_builders import ranks_by_chance


def slow_advantages(ranks: pl.DataFrame) -> dict[tuple[str, str, str], float]:
    """Mean log2 rank of the other languages minus that of one, by question, query language and document language."""
    found: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row in ranks.to_dicts():
        of_query = found.setdefault((row["question"], row["query_lang"]), {})
        of_query.setdefault(row["doc_lang"], []).append(math.log2(row["rank_in_pool"]))
    advantages = {}
    for (question, query_lang), of_query in found.items():
        means = {code: sum(values) / len(values) for code, values in of_query.items()}
        for code, mean in means.items():
            others = [value for other, value in means.items() if other != code]
            if others:
                advantages[question, query_lang, code] = sum(others) / len(others) - mean
    return advantages


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_advantages_are_those_of_a_slow_loop(seed):
    ranks = ranks_by_chance(np.random.default_rng(seed))
    expected = slow_advantages(ranks)
    found = {tuple(row[:3]): row[3] for row in bias.advantages(ranks).rows()}
    assert found == pytest.approx(expected)
    own = {tuple(row[:2]): row[2] for row in own_advantages(ranks).rows()}
    assert own == pytest.approx({key[:2]: value for key, value in expected.items() if key[1] == key[2]})


def test_what_favours_a_document_language_for_all_queries_cancels_out_of_the_own_advantage():
    own, documents, queries = 2, {"ar": 3, "de": 0, "en": 1, "hi": 5}, {"ar": 1, "de": 4, "en": 2, "hi": 0}
    ranks = parallel(
        {
            ("q", query): {doc: 2 ** (own * (doc != query) + documents[doc] + queries[query]) for doc in LANGUAGES}
            for query in LANGUAGES
        }
    )
    by_query = own_advantages(ranks)["value"]
    assert by_query.n_unique() > 1
    assert by_query.mean() == pytest.approx(own)


def test_the_matrix_holds_the_means_and_its_diagonal_the_own_advantages():
    ranks, *_ = ranked(np.random.default_rng(1), own=1.0)
    matrix = bias.advantage_matrix(ranks)
    slow = slow_advantages(ranks)
    for row in matrix.to_dicts():
        values = [value for key, value in slow.items() if key[1:] == (row["query_lang"], row["doc_lang"])]
        assert row["queries"] == len(values) == 30
        assert row["advantage"] == pytest.approx(sum(values) / len(values))
    diagonal = matrix.filter(pl.col("query_lang") == pl.col("doc_lang"))["advantage"]
    assert diagonal.mean() == pytest.approx(own_advantages(ranks)["value"].mean())
    assert diagonal.min() > 0


def test_a_ranking_that_puts_the_own_language_first_has_the_advantage_that_follows_from_the_ranks():
    ranks = parallel({("q", "en"): {"en": 1, "de": 8, "ar": 32}, ("q", "de"): {"en": 8, "de": 1, "ar": 32}})
    assert own_advantages(ranks)["value"].to_list() == [4.0, 4.0]


def test_a_query_with_passages_in_one_language_has_no_advantage():
    ranks = parallel({("q", "en"): {"en": 3}, ("r", "en"): {"de": 3, "hi": 4}})
    assert bias.advantages(ranks)["question"].unique().to_list() == ["r"]
    assert own_advantages(ranks).is_empty()


@pytest.mark.parametrize("relevant", [[0, 2, 3], [0, 1, 3], [1, 2, 4]])
def test_a_random_ranking_has_the_expectation_that_stands_beside_the_value(relevant):
    ranks, top, candidates = every_ranking(["de", "de", "en", "en", "hi"], relevant, "de")
    for frame in (own_advantages(ranks), own_shares(top, candidates, 2), own_shares(top, candidates, 4)):
        assert frame.height == 120
        assert frame["value"].std() > 0
        assert frame["value"].mean() == pytest.approx(frame["random"].mean(), abs=1e-12)


def test_own_shares_are_those_of_a_slow_loop():
    _, top, candidates, _, _ = ranked(np.random.default_rng(2), own=0.7)
    found = {tuple(row[:2]): row[2] for row in own_shares(top, candidates, 7).rows()}
    expected: dict[tuple[str, str], float] = {}
    for row in top.filter(pl.col("rank") <= 7).to_dicts():
        key = row["question"], row["query_lang"]
        expected[key] = expected.get(key, 0) + (row["doc_lang"] == row["query_lang"]) / 7
    assert found == pytest.approx(expected)


def test_own_shares_average_to_the_shares_by_language():
    _, top, candidates, _, _ = ranked(np.random.default_rng(3), own=0.7)
    shares = bias.language_shares(top, 5).filter(pl.col("query_lang") == pl.col("doc_lang"))
    means = own_shares(top, candidates, 5).group_by("query_lang").agg(pl.col("value").mean()).sort("query_lang")
    assert means["value"].to_list() == pytest.approx(shares["share"].to_list())


def test_more_places_than_are_kept_are_refused_unless_the_pool_has_no_more():
    _, top, candidates = every_ranking(["de", "en", "hi"], [0, 1], "de")
    assert own_shares(top, candidates, 50)["value"].unique().to_list() == pytest.approx([1 / 3])
    with pytest.raises(InputError, match="top holds 2 places for a query, but k is 3"):
        own_shares(top.filter(pl.col("rank") < 3), candidates, 3)
    with pytest.raises(InputError, match="k must be an integer >= 1, got 0"):
        own_shares(top, candidates, 0)
