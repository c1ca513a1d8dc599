"""Ranks of shards on disk: bit for bit those in memory, whatever the shards, blocks and threads."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from engine.collections.structures import Collection
from engine.errors import InputError
from engine.ranks import products, ranking, tiling
from engine.storage.shards import Shards
from tests import oracle

LANGUAGES = ("ar", "de", "en")
DIMENSION = 48


def _problem(seed: int, queries: int = 90, candidates: int = 500) -> tuple[Collection, np.ndarray, np.ndarray]:
    """Vectors by chance; a third of the passages are repeated elsewhere in the corpus."""
    rng = np.random.default_rng(seed)
    collection = oracle.random_collection(rng, LANGUAGES, queries, candidates, 2)
    documents = rng.standard_normal((3 * candidates, DIMENSION)).astype(np.float32)
    copies = rng.choice(len(documents), candidates, replace=False)
    documents[copies] = documents[rng.choice(len(documents), candidates)]
    return collection, rng.standard_normal((3 * queries, DIMENSION)).astype(np.float32), documents


def _shards(folder: Path, documents: np.ndarray, cuts: list[int]) -> Shards:
    files = []
    for number, part in enumerate(np.split(documents, sorted(cuts))):
        files.append(folder / f"{number:03d}.npy")
        np.save(files[-1], part)
    return Shards(files)


@settings(deadline=None, max_examples=8)
@given(
    seed=st.integers(0, 3),
    cuts=st.lists(st.integers(0, 1500), max_size=6),
    block=st.integers(100, 1600),
    threads=st.integers(1, 3),
)
def test_shards_blocks_and_threads_change_no_bit(tmp_path_factory, seed, cuts, block, threads):
    collection, queries, documents = _problem(seed)
    whole = ranking.rank_collection(queries, documents, collection, top_k=50)
    shards = _shards(tmp_path_factory.mktemp("shards"), documents, cuts)
    small = patch.object(ranking, "BLOCK", block), patch.object(ranking, "ONE_BLOCK", 0)
    with small[0], small[1], patch.object(tiling, "THREADS", threads):
        streamed = ranking.rank_collection(queries, shards, collection, top_k=50)
    for ours, theirs in zip(streamed, whole, strict=True):
        assert_frame_equal(ours, theirs, check_exact=True)


def test_ties_across_shards_follow_the_position(tmp_path: Path) -> None:
    collection, queries, documents = _problem(7)
    queries, documents = np.round(queries), np.round(documents)  # whole numbers: scores are exact, and often equal
    shards = _shards(tmp_path, documents, [300, 301, 900])
    with patch.object(ranking, "BLOCK", 128), patch.object(ranking, "ONE_BLOCK", 0):
        ranks, top = ranking.rank_collection(queries, shards, collection, top_k=50)
    assert_frame_equal(ranks, oracle.ranks(queries @ documents.T, collection))
    assert_frame_equal(top, oracle.top(queries @ documents.T, collection, 50))


def test_where_blas_is_not_regular_sums_are_in_order(tmp_path: Path) -> None:
    collection, queries, documents = _problem(8, queries=4, candidates=60)
    expected = ranking.rank_collection(queries, documents, collection, top_k=20)
    with patch.object(products, "is_regular", lambda dimension: False):
        ranks, top = ranking.rank_collection(queries, documents, collection, top_k=20)
    assert_frame_equal(ranks, expected[0], check_exact=False, rel_tol=1e-5)
    assert_frame_equal(top, expected[1], check_exact=False, rel_tol=1e-5)


def test_a_product_does_not_depend_on_the_place_in_a_tile() -> None:
    rng = np.random.default_rng(0)
    queries = rng.standard_normal((products.TILE_QUERIES, 384)).astype(np.float32)
    candidates = rng.standard_normal((2 * products.TILE_CANDIDATES, 384)).astype(np.float32)
    order = rng.permutation(len(candidates))
    straight, mixed = (np.empty((len(queries), len(candidates)), np.float32) for _ in range(2))
    products.multiply(queries, candidates, straight)
    products.multiply(queries, candidates[order], mixed)
    np.testing.assert_array_equal(mixed, straight[:, order])


def test_rows_of_shards_are_those_of_the_array(tmp_path: Path) -> None:
    documents = np.arange(40, dtype=np.float32).reshape(20, 2)
    shards = _shards(tmp_path, documents, [3, 3, 11])
    assert shards.shape == (20, 2)
    rows = np.array([19, 0, 3, 11, 2])
    np.testing.assert_array_equal(shards.take(rows), documents[rows])
    out = np.empty((12, 2), np.float32)
    shards.read(2, out)
    np.testing.assert_array_equal(out, documents[2:14])


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("cut", "is no whole array of vectors"),
        ("missing", "No such file"),
        ("width", r"has shape \(5, 4\); expected \(rows, 3\)"),
        ("type", "holds float64; expected float32 or float16"),
    ],
)
def test_a_shard_with_a_fault_is_one_line(tmp_path: Path, fault: str, message: str) -> None:
    first, second = tmp_path / "0.npy", tmp_path / "1.npy"
    np.save(first, np.ones((5, 3), np.float32))
    np.save(second, np.ones((5, 4 if fault == "width" else 3), np.float64 if fault == "type" else np.float32))
    if fault == "cut":
        second.write_bytes(second.read_bytes()[:-8])
    if fault == "missing":
        second.unlink()
    with pytest.raises(InputError, match=message):
        Shards([first, second])


def test_a_number_that_is_not_finite_in_a_shard_is_refused(tmp_path: Path) -> None:
    collection, queries, documents = _problem(9, queries=4, candidates=60)
    documents[100, 3] = np.nan
    with pytest.raises(InputError, match="candidates' vectors hold NaN"):
        ranking.rank_collection(queries, _shards(tmp_path, documents, [90]), collection)
