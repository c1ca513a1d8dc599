"""engine.bias against slow loops, enumeration and simulation."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import bias
from engine.errors import InputError
from engine.ranks.ranking import rank_collection
from engine.ranks.schema import RANKS, TOP
from tests import oracle

LANGUAGES = ("de", "en", "th")


def ranks_of(found: dict[tuple[str, str], list[int]]) -> pl.DataFrame:
    """A frame of ranks from pool ranks by (query language, question); the i-th is in the i-th document language."""
    rows = [
        (question, code, f"l{i}", i, 1, rank, 0.0)
        for (code, question), places in found.items()
        for i, rank in enumerate(places)
    ]
    return pl.DataFrame(rows, schema=RANKS, orient="row")


def top_of(rows: list[tuple[str, str, int, str]]) -> pl.DataFrame:
    """A frame of first ones from question, query language, rank, document language."""
    whole = [(question, code, rank, 0, doc_lang, 0.0) for question, code, rank, doc_lang in rows]
    return pl.DataFrame(whole, schema=TOP, orient="row")


@settings(deadline=None, max_examples=60)
@given(
    found=st.dictionaries(
        st.tuples(st.sampled_from(LANGUAGES), st.sampled_from(["q1", "q2", "q3"])),
        st.lists(st.integers(1, 100), min_size=1, max_size=5, unique=True),
        min_size=1,
    )
)
def test_rank_distance_is_that_of_a_slow_loop(found):
    ranks = ranks_of(found)
    ours = bias.rank_distance(ranks, 100)
    assert dict(zip(ours["query_lang"], ours["rank_distance"], strict=True)) == pytest.approx(
        oracle.rank_distance(ranks)
    )
    assert ours["query_lang"].to_list() == sorted(ours["query_lang"])
    counts = {code: sum(len(v) > 1 for (lang, _), v in found.items() if lang == code) for code in ours["query_lang"]}
    assert dict(zip(ours["query_lang"], ours["queries"], strict=True)) == counts


def test_a_query_with_one_relevant_passage_has_no_distance():
    ours = bias.rank_distance(ranks_of({("en", "one"): [50], ("en", "two"): [3, 10, 5], ("de", "one"): [9]}), 100)
    assert ours.select("query_lang", "queries", "rank_distance", "median").rows() == [("en", 1, 7.0, 7.0)]


@pytest.mark.parametrize(("pool", "relevant"), [(2, 2), (7, 3), (9, 4), (10, 10)])
def test_the_random_distance_is_the_mean_over_all_rankings(pool, relevant):
    every = [chosen[-1] - chosen[0] for chosen in combinations(range(1, pool + 1), relevant)]
    ours = bias.rank_distance(ranks_of({("en", "q"): list(range(1, relevant + 1))}), pool)
    assert ours["random"].item() == pytest.approx(np.mean(every))


def test_the_random_distance_of_xquad_r_is_the_papers():
    ours = bias.rank_distance(ranks_of({("en", "q"): list(range(1, 12))}), 13_014)
    assert ours["random"].item() == pytest.approx(13_015 * 10 / 12)
    assert round(ours["random"].item()) == 10_846


def test_the_random_distance_averages_over_queries_with_unequal_numbers_of_relevant_passages():
    ours = bias.rank_distance(ranks_of({("en", "q1"): [1, 2], ("en", "q2"): [1, 2, 3, 4], ("en", "q3"): [1]}), 9)
    assert ours["random"].item() == pytest.approx((10 / 3 + 10 * 3 / 5) / 2)


def test_an_encoder_that_knows_nothing_has_the_random_distance():
    rng = np.random.default_rng(5)
    languages = [f"l{i}" for i in range(4)]
    candidates, questions = 50, 400
    queries = [("l0", f"q{i}") for i in range(questions)]
    documents = [code for code in languages for _ in range(candidates)]
    relevant = {
        (row, block * candidates + int(rng.integers(candidates))) for row in range(questions) for block in range(4)
    }
    collection = oracle.collection_of(languages, queries, documents, relevant)
    # A score of its own for every query and candidate, so that every ranking is as likely as any other.
    ranks, _ = rank_collection(
        np.eye(questions, dtype=np.float32), rng.standard_normal((4 * candidates, questions)), collection
    )
    ours = bias.rank_distance(ranks, 4 * candidates).row(0, named=True)
    distances = ranks.group_by("question").agg(pl.col("rank_in_pool").max() - pl.col("rank_in_pool").min())
    error = distances["rank_in_pool"].std() / questions**0.5
    assert ours["random"] == pytest.approx(201 * 3 / 5)
    assert abs(ours["rank_distance"] - ours["random"]) < 3 * error


def test_pool_ranks_are_means_and_medians_of_each_pair():
    rng = np.random.default_rng(6)
    collection = oracle.random_collection(rng, LANGUAGES, questions=6, candidates=20, most_relevant=3)
    ranks, _ = rank_collection(rng.standard_normal((18, 8)), rng.standard_normal((60, 8)), collection)
    ours = bias.pool_ranks(ranks)
    assert ours.height == 9
    assert ours.select("query_lang", "doc_lang").rows() == sorted(ours.select("query_lang", "doc_lang").rows())
    for row in ours.to_dicts():
        places = [
            other["rank_in_pool"]
            for other in ranks.to_dicts()
            if (other["query_lang"], other["doc_lang"]) == (row["query_lang"], row["doc_lang"])
        ]
        assert row["queries"] == 6
        assert row["mean_rank"] == pytest.approx(np.mean(places))
        assert row["median_rank"] == pytest.approx(np.median(places))
        assert row["mean_log2_rank"] == pytest.approx(np.mean(np.log2(places)))


def test_language_shares_sum_to_one_for_each_query_language_at_any_depth():
    rng = np.random.default_rng(7)
    collection = oracle.random_collection(rng, LANGUAGES, questions=5, candidates=30, most_relevant=1)
    _, top = rank_collection(rng.standard_normal((15, 4)), rng.standard_normal((90, 4)), collection, top_k=40)
    for k in (1, 7, 40, 1000):
        sums = bias.language_shares(top, k).group_by("query_lang").agg(pl.col("share").sum())
        assert sorted(sums["query_lang"]) == list(LANGUAGES)
        assert sums["share"].to_list() == pytest.approx([1, 1, 1])


def test_language_shares_count_the_first_k_only():
    top = top_of([("q", "en", 1, "en"), ("q", "en", 2, "en"), ("q", "en", 3, "de"), ("q", "en", 4, "th")])
    assert bias.language_shares(top, 2).rows() == [("en", "en", 1.0)]
    assert bias.language_shares(top, 4).rows() == [("en", "de", 0.25), ("en", "en", 0.5), ("en", "th", 0.25)]


def test_shares_of_whole_rankings_are_the_shares_of_the_pool():
    rng = np.random.default_rng(8)
    documents = ["de"] * 3 + ["en"] * 5
    collection = oracle.collection_of(["de", "en"], [("en", "q1"), ("en", "q2")], documents, set())
    _, top = rank_collection(rng.standard_normal((2, 4)), rng.standard_normal((8, 4)), collection, top_k=8)
    assert bias.language_shares(top, 8).rows() == [("en", "de", 3 / 8), ("en", "en", 5 / 8)]


def test_a_frame_of_another_kind_is_refused():
    ranks, top = ranks_of({("en", "q"): [1, 2]}), top_of([("q", "en", 1, "en")])
    for call in (
        lambda: bias.rank_distance(top, 10),
        lambda: bias.pool_ranks(top),
        lambda: bias.language_shares(ranks, 1),
    ):
        with pytest.raises(InputError, match="lacks the columns"):
            call()
