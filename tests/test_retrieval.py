"""A typed query's passages against a plain search."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.collections.structures import Collection
from engine.encoders.encoder import SentenceEncoder
from engine.errors import InputError
from engine.ranks.search import retrieve
from engine.storage.store import Store
from tests.checkpoints import tiny_bert


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> SentenceEncoder:
    folder: Path = tmp_path_factory.mktemp("retrieval") / "bert"
    prompts = {"query": "Wo ", "document": "Die "}
    return SentenceEncoder(tiny_bert(folder, as_sentence_transformer=True, prompts=prompts), "bert")


@pytest.mark.parametrize("text", ["Wo steht die Mühle?", "أين تقف الطاحونة؟", "  The old\n"])
def test_the_passages_are_those_of_a_plain_search(
    encoder, tiny_collection: Collection, store: Store, text: str
) -> None:
    found = retrieve(encoder, tiny_collection, text, store, k=5)
    documents = encoder.encode(tiny_collection.corpus.texts, "document")
    scores = documents @ encoder.encode([text.strip()], "query")[0]
    best = sorted(range(len(scores)), key=lambda doc: -scores[doc])[:5]
    assert found.columns == ["rank", "doc", "doc_lang", "score"]
    assert found["rank"].to_list() == [1, 2, 3, 4, 5]
    assert found["doc"].to_list() == best
    assert found["doc_lang"].to_list() == [tiny_collection.corpus.languages[doc] for doc in best]
    assert np.abs(found["score"].to_numpy() - scores[best]).max() < 1e-5


def test_more_than_the_pool_holds_is_the_pool(encoder, tiny_collection: Collection, store: Store) -> None:
    found = retrieve(encoder, tiny_collection, "Wo?", store, k=10_000)
    assert sorted(found["doc"].to_list()) == list(range(len(tiny_collection.corpus)))


def test_the_passages_are_encoded_once(encoder, tiny_collection: Collection, store: Store, monkeypatch) -> None:
    first = retrieve(encoder, tiny_collection, "Wo?", store)
    encode, roles = SentenceEncoder.encode, []

    def watched(self: SentenceEncoder, texts: list[str], role: str) -> np.ndarray:
        roles.append(role)
        return encode(self, texts, role)

    monkeypatch.setattr(SentenceEncoder, "encode", watched)
    assert retrieve(encoder, tiny_collection, "Wo?", store).equals(first)
    assert roles == ["query"]


@pytest.mark.parametrize("text", ["", "  ", "\n\t\u3000"])
def test_an_empty_query_is_refused(encoder, tiny_collection: Collection, store: Store, text: str) -> None:
    with pytest.raises(InputError, match="the query is empty; type a question"):
        retrieve(encoder, tiny_collection, text, store)


@pytest.mark.parametrize("k", [0, -3])
def test_fewer_than_one_passage_is_refused(encoder, tiny_collection: Collection, store: Store, k: int) -> None:
    with pytest.raises(InputError, match=rf"k must be an integer >= 1, got {k}"):
        retrieve(encoder, tiny_collection, "Wo?", store, k=k)
