"""engine.ranks.ranking against a Python sort: ranks, ties, the first k, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from engine.collections.structures import Collection
from engine.errors import InputError
from engine.ranks import ranking, tiling
from tests import oracle

LANGUAGES = ("ar", "de", "en")
Problem = tuple[Collection, np.ndarray, np.ndarray]


@st.composite
def small_problems(draw: st.DrawFn) -> Problem:
    """A few queries and candidates with whole-numbered vectors: scores are exact and often equal.

    Languages may lack queries, candidates or judgements; a query may have none, or several in a language.
    """
    counts = st.lists(st.integers(0, 5), min_size=len(LANGUAGES), max_size=len(LANGUAGES)).filter(any)
    queries = [(code, f"q{i}") for code, n in zip(LANGUAGES, draw(counts), strict=True) for i in range(n)]
    documents = [code for code, n in zip(LANGUAGES, draw(counts), strict=True) for _ in range(n)]
    pair = st.tuples(st.integers(0, len(queries) - 1), st.integers(0, len(documents) - 1))
    relevant = draw(st.sets(pair, max_size=30))
    width = draw(st.integers(1, 3))

    def vectors(rows: int) -> np.ndarray:
        numbers = draw(st.lists(st.integers(-2, 2), min_size=rows * width, max_size=rows * width))
        return np.array(numbers, np.float32).reshape(rows, width)

    return (
        oracle.collection_of(LANGUAGES, queries, documents, relevant),
        vectors(len(queries)),
        vectors(len(documents)),
    )


def whole_numbers(rng: np.random.Generator, rows: int, width: int = 4, largest: int = 3) -> np.ndarray:
    """Vectors whose scores are exact in float32, so that ties are ties on every machine."""
    return rng.integers(-largest, largest + 1, (rows, width)).astype(np.float32)


def one_language_problem(rng: np.random.Generator, queries: int, candidates: int) -> Problem:
    collection = oracle.random_collection(rng, ["en"], queries, candidates, 2)
    return collection, whole_numbers(rng, queries), whole_numbers(rng, candidates)


def distinct_scores(rng: np.random.Generator, queries: int, candidates: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors whose scores are 0, 1, 2, ... in another order for each query, hence exact and without ties."""
    orders = np.array([rng.permutation(candidates) for _ in range(queries)])
    documents = np.concatenate([orders.T // 50, orders.T % 50], axis=1).astype(np.float32)
    return np.concatenate([50 * np.eye(queries), np.eye(queries)], axis=1).astype(np.float32), documents


@contextmanager
def small_blocks(block: int, threads: int) -> Iterator[None]:
    """Few candidates in a block, and so many threads; tiles stay whole."""
    with (
        patch.object(ranking, "BLOCK", block),
        patch.object(ranking, "ONE_BLOCK", 0),
        patch.object(tiling, "THREADS", threads),
    ):
        yield


def assert_ranked_as_by_sorting(problem: Problem, top_k: int) -> None:
    collection, queries, documents = problem
    ranks, top = ranking.rank_collection(queries, documents, collection, top_k=top_k)
    scores = queries @ documents.T
    assert_frame_equal(ranks, oracle.ranks(scores, collection))
    assert_frame_equal(top, oracle.top(scores, collection, top_k))


@settings(deadline=None, max_examples=150)
@given(problem=small_problems(), top_k=st.integers(1, 20), block=st.integers(1, 7), threads=st.integers(1, 4))
def test_ranks_and_top_are_those_of_a_stable_sort_whatever_the_blocks(problem, top_k, block, threads):
    with small_blocks(block, threads):
        assert_ranked_as_by_sorting(problem, top_k)


@settings(deadline=None, max_examples=80)
@given(problem=small_problems(), depth=st.integers(1, 20), block=st.integers(1, 7), threads=st.integers(1, 4))
def test_lists_by_language_and_pool_are_those_of_a_stable_sort(problem, depth, block, threads):
    collection, queries, documents = problem
    with small_blocks(block, threads):
        blocks = list(ranking.ranked_lists(queries, documents, collection, depth))
    scores = queries @ documents.T
    for code in (None, *sorted(set(collection.corpus.languages))):
        low, high = (0, len(documents)) if code is None else collection.document_range(code)
        only = np.full_like(scores, -np.inf)
        only[:, low:high] = scores[:, low:high]
        expected = oracle.top(only, collection, min(depth, high - low))
        assert_frame_equal(pl.concat([frame for of, frame in blocks if of == code]), expected)


@pytest.mark.parametrize("queries", [1, 255, 256, 257, 512, 513])
def test_queries_at_the_edges_of_a_tile_are_ranked_like_all_others(queries):
    assert_ranked_as_by_sorting(one_language_problem(np.random.default_rng(queries), queries, 40), top_k=10)


@pytest.mark.parametrize("candidates", [511, 512, 513, 1023, 1024, 1100, 1600])
@pytest.mark.parametrize("top_k", [1, 100, 511, 512, 513, 2000])
def test_the_first_k_of_a_large_pool_are_those_of_a_stable_sort(candidates, top_k):
    rng = np.random.default_rng(candidates + top_k)
    assert_ranked_as_by_sorting(one_language_problem(rng, 3, candidates), top_k)


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 10_000),
    candidates=st.integers(500, 1700),
    top_k=st.integers(1, 600),
    largest=st.integers(0, 30),
)
def test_ties_at_the_last_place_of_a_large_pool_follow_the_position(seed, candidates, top_k, largest):
    rng = np.random.default_rng(seed)
    queries, documents = whole_numbers(rng, 2, 2, largest), whole_numbers(rng, candidates, 2, largest)
    collection = oracle.random_collection(rng, ["en"], 2, candidates, 1)
    _, top = ranking.rank_collection(queries, documents, collection, top_k=top_k)
    assert_frame_equal(top, oracle.top(queries @ documents.T, collection, top_k))


def test_equal_vectors_tie_wherever_they_stand():
    rng = np.random.default_rng(3)
    different = rng.standard_normal((40, 96)).astype(np.float32)
    which = rng.integers(0, len(different), 3 * 333)
    collection = oracle.random_collection(rng, LANGUAGES, 10, 333, 3)
    queries = rng.standard_normal((30, 96)).astype(np.float32)
    exact = queries.astype(np.float64) @ different.astype(np.float64).T
    assert np.diff(np.sort(exact, axis=1)).min() > 1e-4, "only equal vectors may tie here"
    ranks, top = ranking.rank_collection(queries, different[which], collection, top_k=200)
    assert_frame_equal(ranks.drop("score"), oracle.ranks(exact[:, which], collection).drop("score"))
    assert_frame_equal(top.drop("score"), oracle.top(exact[:, which], collection, 200).drop("score"))


def test_a_copy_before_the_relevant_passage_beats_it_and_a_copy_after_it_does_not():
    documents = np.array([[1, 0], [0, 1], [1, 0], [1, 0]], np.float32)
    collection = oracle.collection_of(["de", "en"], [("en", "q")], ["de", "en", "en", "en"], {(0, 2)})
    ranks, top = ranking.rank_collection(np.array([[1, 0]], np.float32), documents, collection)
    assert ranks.select("rank_in_language", "rank_in_pool").row(0) == (1, 2)
    assert top["doc"].to_list() == [0, 2, 3, 1]


def test_ranks_do_not_depend_on_how_many_first_ones_are_kept():
    collection, queries, documents = one_language_problem(np.random.default_rng(5), 20, 700)
    few, _ = ranking.rank_collection(queries, documents, collection, top_k=1)
    many, _ = ranking.rank_collection(queries, documents, collection, top_k=700)
    assert_frame_equal(few, many)


def test_a_pool_smaller_than_top_k_is_given_whole():
    collection, queries, documents = one_language_problem(np.random.default_rng(6), 4, 9)
    _, top = ranking.rank_collection(queries, documents, collection, top_k=100)
    assert top.group_by("question").agg(pl.col("doc").sort())["doc"].to_list() == [list(range(9))] * 4


def test_a_collection_without_judgements_has_a_top_and_no_ranks():
    collection = oracle.collection_of(["en"], [("en", "q")], ["en"] * 3, set())
    ranks, top = ranking.rank_collection(np.ones((1, 2), np.float32), np.ones((3, 2), np.float32), collection)
    assert (ranks.height, top["doc"].to_list()) == (0, [0, 1, 2])


def test_double_precision_and_strided_vectors_are_ranked_alike():
    collection, queries, documents = one_language_problem(np.random.default_rng(8), 6, 50)
    expected = ranking.rank_collection(queries, documents, collection)
    turned = ranking.rank_collection(queries.astype(np.float64), np.asfortranarray(documents), collection)
    for ours, theirs in zip(expected, turned, strict=True):
        assert_frame_equal(ours, theirs)


def test_progress_counts_the_candidates_up_to_all():
    collection, queries, documents = one_language_problem(np.random.default_rng(9), 10, 20)
    told = []
    with small_blocks(8, 1):
        ranking.rank_collection(queries, documents, collection, progress=lambda *step: told.append(step))
    assert told == [("rank", 8, 20), ("rank", 16, 20), ("rank", 20, 20)]


@pytest.mark.parametrize("candidates", [300, 900])
@pytest.mark.parametrize("k", [1, 10, 100])
def test_without_ties_the_first_k_are_those_of_faiss(candidates, k):
    rng = np.random.default_rng(k)
    queries, documents = distinct_scores(rng, 25, candidates)
    collection = oracle.random_collection(rng, ["en"], 25, candidates, 1)
    _, top = ranking.rank_collection(queries, documents, collection, top_k=k)
    positions, scores = ranking.search(queries, documents, k)
    assert top["doc"].to_list() == positions.reshape(-1).tolist()
    assert top["score"].to_list() == scores.reshape(-1).tolist()


@pytest.mark.parametrize("index", ["Flat", "IVF8,Flat", "HNSW32"])
def test_every_index_gives_true_scores_best_first_and_most_of_the_nearest(index):
    rng = np.random.default_rng(10)
    centres = 10 * rng.standard_normal((8, 16))
    documents = (centres[np.arange(400) % 8] + rng.standard_normal((400, 16))).astype(np.float32)
    queries = (centres[np.arange(24) % 8] + rng.standard_normal((24, 16))).astype(np.float32)
    positions, scores = ranking.search(queries, documents, 10, index)
    exact = queries @ documents.T
    assert positions.dtype == np.int32
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, np.take_along_axis(exact, positions, 1), rtol=1e-5)
    assert (np.diff(scores, axis=1) <= 0).all()
    nearest = np.argsort(-exact, axis=1)[:, :10]
    overlap = np.mean([len(set(a) & set(b)) for a, b in zip(positions.tolist(), nearest.tolist(), strict=True)])
    assert overlap >= (10 if index == "Flat" else 8)


@pytest.mark.parametrize("index", ["IVF4,Flat", "HNSW32"])
def test_another_index_changes_the_top_and_never_the_ranks(index):
    rng = np.random.default_rng(11)
    collection = oracle.random_collection(rng, LANGUAGES, 5, 100, 2)
    queries, documents = (rng.standard_normal((n, 8)).astype(np.float32) for n in (15, 300))
    exact, _ = ranking.rank_collection(queries, documents, collection, top_k=20)
    ranks, top = ranking.rank_collection(queries, documents, collection, top_k=20, index=index)
    assert_frame_equal(ranks, exact)
    positions, _ = ranking.search(queries, documents, 20, index)
    assert top["doc"].to_list() == positions[positions >= 0].tolist()


def test_places_that_an_approximate_index_cannot_fill_are_left_out():
    rng = np.random.default_rng(12)
    documents = np.repeat(np.eye(4, dtype=np.float32), 50, axis=0)
    documents += 0.01 * rng.standard_normal(documents.shape).astype(np.float32)
    queries = np.eye(4, dtype=np.float32)
    collection = oracle.random_collection(rng, ["en"], 4, 200, 1)
    positions, scores = ranking.search(queries, documents, 190, "IVF4,Flat")
    found = (positions >= 0).sum(axis=1)
    assert (found < 190).all()
    assert [row.argmin() for row in positions] == found.tolist(), "what was found stands first"
    _, top = ranking.rank_collection(queries, documents, collection, top_k=190, index="IVF4,Flat")
    assert top["rank"].to_list() == [place for count in found for place in range(1, count + 1)]
    assert top["score"].to_list() == scores[positions >= 0].tolist()


def refusal(queries: np.ndarray, documents: np.ndarray, collection: Collection, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        ranking.rank_collection(queries, documents, collection, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", ["queries", "candidates"])
def test_vectors_that_are_not_finite_are_refused(side, number):
    collection, queries, documents = one_language_problem(np.random.default_rng(13), 5, 20)
    (queries if side == "queries" else documents)[3, 1] = number
    assert f"{side}' vectors hold NaN" in refusal(queries, documents, collection)


@pytest.mark.parametrize(
    ("queries", "documents", "told"),
    [
        ((4, 3), (20, 3), "(4, 3); expected are 5 rows"),
        ((5, 3), (21, 3), "(21, 3); expected are 20 rows"),
        ((5,), (20, 3), "(5,)"),
        ((5, 3, 1), (20, 3), "(5, 3, 1)"),
        ((5, 3), (20, 4), "queries have 3 dimensions, candidates 4"),
    ],
)
def test_vectors_of_a_wrong_shape_are_refused(queries, documents, told):
    collection, _, _ = one_language_problem(np.random.default_rng(14), 5, 20)
    assert told in refusal(np.ones(queries, np.float32), np.ones(documents, np.float32), collection)


@pytest.mark.parametrize("top_k", [0, -1])
def test_a_top_of_fewer_than_one_is_refused(top_k):
    collection, queries, documents = one_language_problem(np.random.default_rng(15), 5, 20)
    assert str(top_k) in refusal(queries, documents, collection, top_k=top_k)


@pytest.mark.parametrize("index", ["Nonsense", "", "IVF9999,Flat", "PQ3"])
def test_an_index_that_cannot_be_built_is_refused_before_anything_is_ranked(index):
    collection, queries, documents = one_language_problem(np.random.default_rng(16), 5, 20)
    told = []
    message = refusal(queries, documents, collection, index=index, progress=lambda *step: told.append(step))
    assert repr(index) in message
    assert "'Flat'" in message
    assert told == []
