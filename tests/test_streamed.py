"""Evaluation with candidates on disk: bit for bit what vectors in memory give, in memory that blocks bound."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from polars.testing import assert_frame_equal

from engine.collections.structures import Collection, Corpus, Qrels, Queries, Role
from engine.encoders import encoding, maps
from engine.encoders.embedding import embed, embed_collection
from engine.encoders.encoder import Options, SentenceEncoder, unit_length
from engine.errors import WriteError
from engine.evaluation.evaluate import evaluate
from engine.ranks import ranking
from engine.ranks.similarity import as_inner_products
from engine.ranks.streamed import vectors_to_rank
from engine.storage.store import Store
from engine.training.checkpoint import write_checkpoint
from tests.checkpoints import tiny_bert
from tests.training_builders import made_up_collection


@dataclass
class Chance:
    """An encoder whose vectors are by chance, of any width; the same for the same texts."""

    dimension: int
    name: str = "chance"
    fingerprint: str = "chance"
    prompts: Mapping[Role, str] = field(default_factory=lambda: {"query": "", "document": ""})
    max_length: int | None = None
    dtype: str = "float32"
    similarity: str = "cosine"

    def encode(self, texts: Sequence[str], role: Role) -> np.ndarray:
        seeds = [int(text.split()[0]) for text in texts]
        return unit_length(
            np.stack([np.random.default_rng(s).standard_normal(self.dimension, np.float32) for s in seeds])
        )


def numbered(candidates: int, queries: int = 4) -> Collection:
    """One language; every text is a number, and a third of the candidates occur twice."""
    different = [f"{number} " + "x" * (number % 5) for number in range(candidates - candidates // 3)]
    texts = (different + different[: candidates // 3])[::-1]
    return Collection(
        name="numbered",
        languages=("en",),
        queries=Queries(
            tuple(map(str, range(queries))), ("en",) * queries, tuple(f"{-n - 1 + 10**6}" for n in range(queries))
        ),
        corpus=Corpus(("",) * candidates, ("en",) * candidates, tuple(texts)),
        qrels=Qrels(np.arange(queries), np.arange(queries) * 3),
    )


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards and blocks that a small collection has many of."""
    monkeypatch.setattr(encoding, "SHARD_TEXTS", 64)
    monkeypatch.setattr(ranking, "BLOCK", 512)
    monkeypatch.setattr(ranking, "ONE_BLOCK", 0)
    monkeypatch.setattr(maps, "MAPPED_ROWS", 7)


def test_an_evaluation_never_holds_all_vectors(store: Store, small: None) -> None:
    encoder, collection = Chance(2048), numbered(6000)
    evaluate(Chance(2048, fingerprint="loaded before"), numbered(100), store)
    tracemalloc.start()
    evaluate(encoder, collection, store)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    vectors = 4 * 2048 * 6000
    assert peak < 0.45 * vectors, f"{peak / 2**20:.0f} MiB at the peak, all vectors have {vectors / 2**20:.0f}"


def test_the_stored_file_is_that_of_all_vectors_at_once(store: Store, small: None, tmp_path: Path) -> None:
    encoder, texts = Chance(16), numbered(300).corpus.texts
    vectors = embed(encoder, "document", texts, store)
    np.testing.assert_array_equal(vectors, encoder.encode(texts, "document"))
    np.save(tmp_path / "at-once.npy", encoder.encode(texts, "document"))
    [stored] = store.root.glob("embeddings/*/vectors.npy")
    assert stored.read_bytes() == (tmp_path / "at-once.npy").read_bytes()
    assert not list(store.root.glob("embeddings/.*"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An encoder, and checkpoints of it with a head."""
    root = tmp_path_factory.mktemp("encoders")
    found = {"bert": root / "bert", "head": root / "head", "euclidean": root / "euclidean"}
    tiny_bert(found["bert"], "ar", "de", "en", as_sentence_transformer=True)
    width = SentenceEncoder(found["bert"], "bert").encode(["x"], "query").shape[1]
    found["head"].mkdir()
    write_checkpoint(found["bert"], found["head"], np.random.default_rng(0).standard_normal((width, width), np.float32))
    tiny_bert(found["euclidean"], "ar", "de", "en", as_sentence_transformer=True)
    settings = found["euclidean"] / "config_sentence_transformers.json"
    settings.write_text('{"similarity_fn_name": "euclidean"}')
    return found


@pytest.mark.parametrize("options", [Options(), Options(truncate_dim=8)], ids=["whole", "truncated"])
@pytest.mark.parametrize("name", ["bert", "head", "euclidean"])
def test_ranks_are_those_of_vectors_in_memory(folders, store: Store, small: None, name: str, options: Options) -> None:
    encoder, collection = SentenceEncoder(folders[name], name, options=options), made_up_collection(9)
    expected = ranking.rank_collection(
        *as_inner_products(*embed_collection(encoder, collection, store), encoder.similarity), collection
    )
    with vectors_to_rank(encoder, collection, store) as vectors:
        found = ranking.rank_collection(*vectors, collection)
    for ours, theirs in zip(found, expected, strict=True):
        assert_frame_equal(ours, theirs, check_exact=True)
    assert not list(store.root.glob("embeddings/.*"))
    evaluation = evaluate(encoder, collection, store)
    assert_frame_equal(evaluation.ranks(), expected[0], check_exact=True)
    if name == "euclidean":
        assert encoder.similarity == "euclidean"


def test_a_disk_without_room_for_the_entry_is_told_before_it_is_written(store: Store, small: None) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    encoder, texts = Chance(16), numbered(300).corpus.texts
    with patch.object(encoding.os, "posix_fallocate", full), pytest.raises(WriteError, match="the disk is full"):
        embed(encoder, "document", texts, store)
    assert not list(store.root.glob("embeddings/[!.]*"))
    shards = len(list(store.root.glob("embeddings/.partial-*/*.npy")))
    assert shards == -(-200 // 64), "what is encoded is kept"
    with patch.object(Chance, "encode", lambda *_: pytest.fail("encoded again")):
        embed(encoder, "document", texts, store)
