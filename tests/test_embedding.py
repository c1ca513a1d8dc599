"""Texts to vectors through the store: what is computed once, what is never confused, and what survives a mishap."""

from __future__ import annotations

import hashlib
import multiprocessing
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.collections.structures import Role
from engine.encoders import encoding
from engine.encoders.embedding import embed, embedding_key
from engine.encoders.encoder import SentenceEncoder, unit_length
from engine.encoders.encoding import VECTORS
from engine.errors import InputError, StoreError
from engine.storage.store import Store

TEXTS = [f"text number {i} " + "x" * (i % 7) for i in range(10)]


def vector(text: str, width: int = 8) -> np.ndarray:
    """A unit vector that depends on nothing but the text."""
    seed = int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8])
    return unit_length(np.random.default_rng(seed).normal(size=(1, width)).astype(np.float32))[0]


@dataclass
class FakeEncoder:
    """An encoder that notes what it is asked for; `before` is called before every encode."""

    name: str = "fake"
    fingerprint: str = "f1"
    prompts: Mapping[Role, str] = field(default_factory=lambda: {"query": "", "document": ""})
    max_length: int | None = None
    dtype: str = "float32"
    similarity: str = "cosine"
    before: Callable[[list[list[str]]], None] = lambda calls: None
    calls: list[list[str]] = field(default_factory=list)

    def encode(self, texts: Sequence[str], role: Role) -> np.ndarray:
        self.calls.append(list(texts))
        self.before(self.calls)
        prefix = f"{self.fingerprint}/{role}/{self.prompts[role]}/{self.max_length}/{self.dtype}/"
        return np.array([vector(prefix + text) for text in texts])

    def expected(self, texts: Sequence[str], role: Role) -> np.ndarray:
        return replace(self, calls=[], before=lambda calls: None).encode(texts, role)


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "SHARD_TEXTS", 4)


def entries(store: Store) -> list[str]:
    return [key for key, _ in store.entries("embeddings")]


def hidden(store: Store) -> list[str]:
    """Names of partial, temporary and set-aside folders."""
    return sorted(path.name for path in (store.root / "embeddings").glob(".*"))


def test_a_second_call_encodes_nothing_and_gives_the_same_vectors(store: Store) -> None:
    encoder = FakeEncoder()
    first = embed(encoder, "query", TEXTS, store)
    second = FakeEncoder()
    again = embed(second, "query", TEXTS, Store(store.root))
    assert second.calls == []
    assert again.dtype == first.dtype == np.float32
    np.testing.assert_array_equal(again, first)
    np.testing.assert_array_equal(first, encoder.expected(TEXTS, "query"))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text(max_size=6), min_size=1, max_size=30))
def test_rows_follow_the_texts_and_each_different_text_is_encoded_once(texts: list[str]) -> None:
    encoder = FakeEncoder()
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "SHARD_TEXTS", 4)
        vectors = embed(encoder, "document", texts, Store(Path(folder)))
    np.testing.assert_array_equal(vectors, encoder.expected(texts, "document"))
    encoded = [text for call in encoder.calls for text in call]
    assert sorted(encoded) == sorted(set(texts))


def test_texts_of_like_length_are_encoded_together(store: Store, small_shards: None) -> None:
    encoder = FakeEncoder()
    embed(encoder, "query", TEXTS, store)
    lengths = [len(text) for call in encoder.calls for text in call]
    assert lengths == sorted(lengths, reverse=True)


def test_the_entry_tells_what_it_is(store: Store) -> None:
    encoder = FakeEncoder(prompts={"query": "q ", "document": "d "}, max_length=9)
    embed(encoder, "document", TEXTS, store)
    about = store.manifest("embeddings", embedding_key(encoder, "document", TEXTS))
    told = {name: about[name] for name in ("encoder", "fingerprint", "role", "prompt", "max_length", "dtype", "shape")}
    assert told == {
        "encoder": "fake",
        "fingerprint": "f1",
        "role": "document",
        "prompt": "d ",
        "max_length": 9,
        "dtype": "float32",
        "shape": [10, 8],
    }


OTHERS = {
    "another checkpoint under the same name": ({"fingerprint": "f2"}, "query", TEXTS),
    "another prompt": ({"prompts": {"query": "ask: ", "document": ""}}, "query", TEXTS),
    "the other role": ({}, "document", TEXTS),
    "another max length": ({"max_length": 8}, "query", TEXTS),
    "another number type": ({"dtype": "float16"}, "query", TEXTS),
    "another text": ({}, "query", [*TEXTS[:-1], "another"]),
    "another order": ({}, "query", TEXTS[::-1]),
    "fewer texts": ({}, "query", TEXTS[:-1]),
    "two texts run together": ({}, "query", [TEXTS[0] + TEXTS[1], *TEXTS[2:], ""]),
}


@pytest.mark.parametrize(("changes", "role", "texts"), OTHERS.values(), ids=OTHERS)
def test_what_differs_is_never_confused(store: Store, changes: dict, role: Role, texts: list[str]) -> None:
    first, other = FakeEncoder(), FakeEncoder(**changes)
    embed(first, "query", TEXTS, store)
    np.testing.assert_array_equal(embed(other, role, texts, store), other.expected(texts, role))
    assert other.calls
    np.testing.assert_array_equal(embed(first, "query", TEXTS, store), first.expected(TEXTS, "query"))
    assert len(entries(store)) == 2


def test_the_same_checkpoint_under_another_name_is_found_again(store: Store) -> None:
    embed(FakeEncoder(name="one"), "query", TEXTS, store)
    renamed = FakeEncoder(name="two")
    embed(renamed, "query", TEXTS, store)
    assert renamed.calls == []


def test_an_unused_prompt_of_the_other_role_does_not_count(store: Store) -> None:
    embed(FakeEncoder(), "query", TEXTS, store)
    other = FakeEncoder(prompts={"query": "", "document": "passage: "})
    embed(other, "query", TEXTS, store)
    assert other.calls == []


@pytest.mark.parametrize("mishap", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_encode_goes_on_where_it_stopped(store: Store, small_shards: None, mishap: type) -> None:
    def stop(calls: list[list[str]]) -> None:
        if len(calls) == 2:
            raise mishap

    stopped = FakeEncoder(before=stop)
    with pytest.raises(mishap):
        embed(stopped, "query", TEXTS, store)
    assert entries(store) == []
    second = FakeEncoder()
    vectors = embed(second, "query", TEXTS, store)
    assert second.calls[0] == stopped.calls[1]
    assert len(second.calls) == 2
    np.testing.assert_array_equal(vectors, second.expected(TEXTS, "query"))
    assert hidden(store) == []


def test_a_shard_cut_short_is_encoded_again(store: Store, small_shards: None) -> None:
    def stop(calls: list[list[str]]) -> None:
        if len(calls) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed(FakeEncoder(before=stop), "query", TEXTS, store)
    shards = sorted((store.root / "embeddings").glob(".partial-*/*.npy"))
    assert len(shards) == 2
    shards[0].write_bytes(shards[0].read_bytes()[:-5])
    second = FakeEncoder()
    np.testing.assert_array_equal(embed(second, "query", TEXTS, store), second.expected(TEXTS, "query"))
    assert len(second.calls) == 2


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_vectors_that_are_no_numbers_are_counted_and_nothing_is_stored(store: Store, bad: float) -> None:
    class Diverged(FakeEncoder):
        def encode(self, texts: Sequence[str], role: Role) -> np.ndarray:
            vectors = super().encode(texts, role)
            vectors[1:4, 0] = bad
            return vectors

    with pytest.raises(InputError, match="encoder fake: 3 of 10 vectors hold NaN or infinite numbers") as error:
        embed(Diverged(), "query", TEXTS, store)
    assert "\n" not in str(error.value)
    assert entries(store) == []
    assert list(store.root.rglob("*.npy")) == []
    repaired = FakeEncoder()
    np.testing.assert_array_equal(embed(repaired, "query", TEXTS, store), repaired.expected(TEXTS, "query"))


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-7])


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        (VECTORS, cut),
        (VECTORS, Path.unlink),
        (VECTORS, lambda file: file.write_bytes(bytes(len(file.read_bytes()) + 1))),
        ("manifest.json", cut),
        ("manifest.json", Path.unlink),
    ],
    ids=["cut", "missing", "overwritten", "manifest cut", "manifest missing"],
)
def test_a_broken_entry_is_set_aside_and_made_again(
    store: Store, name: str, spoil: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    encoder, untouched = FakeEncoder(), FakeEncoder(fingerprint="f2")
    embed(encoder, "query", TEXTS, store)
    embed(untouched, "query", TEXTS, store)
    key = embedding_key(encoder, "query", TEXTS)
    spoil(store.path("embeddings", key) / name)
    np.testing.assert_array_equal(embed(encoder, "query", TEXTS, store), encoder.expected(TEXTS, "query"))
    assert len(encoder.calls) == 2
    assert f"embeddings/{key} is broken" in caplog.text
    assert [path.startswith(f".broken-{key}-") for path in hidden(store)] == [True]
    embed(untouched, "query", TEXTS, store)
    assert len(untouched.calls) == 1


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the cache should be", encoding="utf-8")
    with pytest.raises(StoreError, match="set HYBRID_BATCH_CACHE") as error:
        embed(FakeEncoder(), "query", TEXTS, Store(tmp_path / "cache"))
    assert "\n" not in str(error.value)


def test_progress_counts_the_characters_up_to_all_of_them(store: Store, small_shards: None) -> None:
    told = []
    embed(FakeEncoder(), "document", [*TEXTS, *TEXTS], store, lambda *step: told.append(step))
    total = sum(map(len, TEXTS))
    assert {stage for stage, _, _ in told} == {"encode passages"}
    assert {all_ for _, _, all_ in told} == {total}
    done = [step[1] for step in told]
    assert done == sorted(done)
    assert done[0] == 0
    assert done[-1] == total


def test_an_entry_that_another_process_finishes_meanwhile_is_no_mishap(store: Store, small_shards: None) -> None:
    other = FakeEncoder()

    def finish_elsewhere(calls: list[list[str]]) -> None:
        if len(calls) == 2:
            embed(other, "query", TEXTS, Store(store.root))

    slow = FakeEncoder(before=finish_elsewhere)
    np.testing.assert_array_equal(embed(slow, "query", TEXTS, store), other.expected(TEXTS, "query"))
    assert len(other.calls) == 2  # the first shard was there already
    assert len(entries(store)) == 1
    assert hidden(store) == []


def embed_in_process(root: Path, start: multiprocessing.Barrier, answers: multiprocessing.Queue) -> None:
    encoding.SHARD_TEXTS = 4
    start.wait(timeout=60)
    texts = TEXTS * 3 + [f"more {i}" for i in range(60)]
    answers.put(embed(FakeEncoder(), "query", texts, Store(root)).tobytes())


def test_two_processes_may_make_the_same_entry_at_once(store: Store) -> None:
    context = multiprocessing.get_context("spawn")
    start, answers = context.Barrier(2), context.Queue()
    processes = [context.Process(target=embed_in_process, args=(store.root, start, answers)) for _ in range(2)]
    for process in processes:
        process.start()
    found = [answers.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(timeout=60)
    texts = TEXTS * 3 + [f"more {i}" for i in range(60)]
    assert found == [FakeEncoder().expected(texts, "query").tobytes()] * 2
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(entries(store)) == 1
    assert store.fault("embeddings", entries(store)[0]) is None
    assert hidden(store) == []


def test_a_second_head_on_the_same_trunk_encodes_nothing(store: Store, tmp_path: Path, monkeypatch) -> None:
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense

    from tests.checkpoints import WIDTH, tiny_bert

    folders = []
    for i in range(2):
        torch.manual_seed(i)
        head = Dense(WIDTH, 8, bias=False, activation_function=None)
        folders.append(tiny_bert(tmp_path / str(i), as_sentence_transformer=True, more=[head]))
    expected = [unit_length(SentenceTransformer(str(folder), device="cpu").encode(TEXTS)) for folder in folders]
    np.testing.assert_allclose(embed(SentenceEncoder(folders[0], "a"), "query", TEXTS, store), expected[0], atol=1e-5)

    def refuse(*_: object) -> None:
        pytest.fail("the trunk's vectors are in the store")

    monkeypatch.setattr(SentenceEncoder, "encode", refuse)
    np.testing.assert_allclose(embed(SentenceEncoder(folders[1], "b"), "query", TEXTS, store), expected[1], atol=1e-5)
    assert np.abs(expected[0] - expected[1]).max() > 0.1
