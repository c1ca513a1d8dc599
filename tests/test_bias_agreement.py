"""engine.bias.agreement: Spearman's correlation of rankings that are known in part."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from engine import bias
from engine.bias.agreement import correlations
from engine.errors import InputError
from engine.ranks.schema import TOP
from tests.bias_builders import ranked


def lists(orders: dict[tuple[str, str], list[int]]) -> pl.DataFrame:
    """First ones from candidates in order, by question and query language."""
    rows = [
        (question, code, place, doc, "xx", 0.0)
        for (question, code), docs in orders.items()
        for place, doc in enumerate(docs, start=1)
    ]
    return pl.DataFrame(rows, schema=TOP, orient="row")


def whole(docs: list[int], pool: int) -> np.ndarray:
    """Ranks of all candidates, those behind the list tied."""
    return np.array([docs.index(doc) if doc in docs else len(docs) for doc in range(pool)])


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 12), pool=st.integers(2, 12))
def test_correlations_are_scipys_over_the_whole_pool(seed, k, pool):
    k, rng = min(k, pool), np.random.default_rng(seed)
    orders = {(f"q{i}", code): rng.permutation(pool)[:k].tolist() for i in range(2) for code in ("de", "en", "hi")}
    orders.pop(("q1", "hi"))
    found = correlations(lists(orders), pool, k)
    assert found.height == 3 * 2 + 2
    for question, one, other, value in found.rows():
        first, second = (whole(orders[question, code], pool) for code in (one, other))
        assert value == pytest.approx(spearmanr(first, second).statistic)


def test_the_mean_is_over_the_other_languages_then_over_queries():
    _, top, candidates, _, _ = ranked(np.random.default_rng(1), skill=3.0)
    pairs, found = correlations(top, 100, 10), bias.rank_correlations(top, 100, 10)
    assert found.height == 120
    for row in found.head(5).to_dicts():
        own = pairs.filter(question=row["question"], query_lang=row["query_lang"])
        assert own.height == len(candidates) - 1
        assert row["value"] == pytest.approx(own["value"].mean())


def test_two_independent_random_rankings_are_uncorrelated_on_average():
    every = list(permutations(range(5)))
    orders = {(f"q{i}", "de"): list(order[:2]) for i, order in enumerate(every)}
    orders |= {(f"q{i}", "en"): [3, 0] for i in range(len(every))}
    found = bias.rank_correlations(lists(orders), 5, 2)
    assert found["value"].std() > 0.1
    assert found["value"].mean() == pytest.approx(0, abs=1e-12)
    assert found["random"].unique().to_list() == [0]


def test_the_same_ranking_gives_one_the_reverse_minus_one_and_no_passage_in_common_less_than_nothing():
    def one(first: list[int], second: list[int], pool: int) -> float:
        return correlations(lists({("q", "de"): first, ("q", "en"): second}), pool, len(first))["value"][0]

    assert one([4, 2, 0], [4, 2, 0], 9) == pytest.approx(1)
    assert one([0, 1, 2, 3], [3, 2, 1, 0], 4) == pytest.approx(-1)
    assert -0.2 < one([0, 1], [2, 3], 100) < 0


def test_in_a_large_pool_it_comes_close_to_the_share_in_common():
    first, second = list(range(10)), [*range(3), *range(50, 57)]
    found = correlations(lists({("q", "de"): first, ("q", "en"): second}), 100_000, 10)
    assert found["value"].to_list() == pytest.approx([0.3, 0.3], abs=1e-3)


def test_the_matrix_is_the_same_both_ways_round():
    _, top, *_ = ranked(np.random.default_rng(2), skill=2.0)
    matrix = bias.agreement_matrix(top, 100, 10)
    value = {tuple(row[:2]): row[2:] for row in matrix.rows()}
    assert len(value) == 12
    for one, other in value:
        assert value[one, other] == pytest.approx(value[other, one])


def test_questions_in_one_language_have_no_correlation_and_too_few_places_are_refused():
    assert bias.rank_correlations(lists({("q", "de"): [0, 1], ("r", "en"): [0, 1]}), 9, 2).is_empty()
    with pytest.raises(InputError, match="top holds 2 places for a query, but k is 3"):
        bias.rank_correlations(lists({("q", "de"): [0, 1], ("q", "en"): [0, 1]}), 9, 3)
