"""Stored evaluations, their tables, and the texts behind them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl
import streamlit as st

import engine
from dashboard.notices import gathered
from engine import bias
from engine.collections.catalog import COLLECTIONS, SHIPPED, fetched_folder
from engine.encoders.encoder import Options
from engine.evaluation.manifest import EvaluationManifest, OpenedAs
from engine.ranks import metrics
from engine.ranks.schema import in_corpus
from engine.storage.digest import is_digest

TEXTS_PER_SECOND = 40  # of the default encoder on two CPU cores
_OF_COLLECTION = {"collection", "every", "skip_invalid", "keep_identical_ids", "split"}
FRAMES = 48  # frames kept in memory for switching back and forth


@dataclass(frozen=True, slots=True)
class Listed:
    """An evaluation as a list shows it."""

    key: str
    collection: str
    checkpoint: str
    manifest: EvaluationManifest


def store() -> engine.Store:
    """The cache that the dashboard looks at."""
    return engine.Store()


def evaluations() -> list[Listed]:
    """All stored evaluations, oldest first; equal names are told apart by their keys."""
    folder = store().root / "ranks"
    return _evaluations(str(folder), changed_at(folder))[0]


def unreadable() -> list[str]:
    """Why stored evaluations are not listed: those of a later version or with a damaged manifest, a line each."""
    folder = store().root / "ranks"
    return _evaluations(str(folder), changed_at(folder))[1]


@st.cache_resource(max_entries=4, show_spinner=False)
def _evaluations(folder: str, changed: int) -> tuple[list[Listed], list[str]]:
    with gathered() as faults:
        stored = list(engine.evaluations(store()))
    names = [(e.manifest.collection.name, e.manifest.encoder.name) for e in stored]
    listed = [
        Listed(e.key, name[0], name[1] if names.count(name) == 1 else f"{name[1]} ({e.key[:6]})", e.manifest)
        for e, name in zip(stored, names, strict=True)
    ]
    return listed, faults


@st.cache_resource(max_entries=FRAMES, show_spinner=False)
def summary(key: str) -> engine.Summary:
    """Scores and rank distance of an evaluation."""
    return engine.summarise(engine.find_evaluation(store(), key), ranks=ranks(key))


@st.cache_resource(max_entries=FRAMES, show_spinner=False)
def ranks(key: str) -> pl.DataFrame:
    """The ranks of an evaluation."""
    return engine.find_evaluation(store(), key).ranks()


@st.cache_resource(max_entries=8, show_spinner=False)
def top(key: str) -> pl.DataFrame:
    """The first k of the pool of an evaluation."""
    return engine.find_evaluation(store(), key).top()


@st.cache_resource(max_entries=FRAMES, show_spinner=False)
def ranks_of_pool(key: str) -> pl.DataFrame:
    """The ranks of the queries that the pool is asked with, which is where bias is measured."""
    return engine.find_evaluation(store(), key).asked_of_pool(ranks(key))


@st.cache_resource(max_entries=8, show_spinner=False)
def top_of_pool(key: str) -> pl.DataFrame:
    """The first k of the pool of these queries."""
    return engine.find_evaluation(store(), key).asked_of_pool(top(key))


@st.cache_resource(max_entries=FRAMES, show_spinner=False)
def shares(key: str, k: int) -> pl.DataFrame:
    """Share of each document language among the first k."""
    return bias.language_shares(top_of_pool(key), k)


@st.cache_resource(max_entries=FRAMES, show_spinner=False)
def pool_ranks(key: str) -> pl.DataFrame:
    """Pool ranks by query and document language."""
    return bias.pool_ranks(ranks_of_pool(key))


@st.cache_resource(max_entries=FRAMES, show_spinner=False)
def questions(key: str, query_lang: str, doc_lang: str | None) -> pl.DataFrame:
    """How every question of a query language fared: against one document language, or in the pool.

    Returns:
        `question`, `score` (average precision), `distance` (rank distance in the pool); in the collection's order.
    """
    own = ranks(key).filter(pl.col("query_lang") == query_lang)
    if doc_lang is None:
        scored = metrics.per_query(own, "multi", ["map"])
    else:
        setting = "mono" if doc_lang == query_lang else "cross"
        scored = metrics.per_query(own.filter(pl.col("doc_lang") == doc_lang), setting, ["map"])
    rank = pl.col("rank_in_pool")
    distance = in_corpus(own).group_by("question", maintain_order=True).agg(distance=rank.max() - rank.min())
    scored = scored.select("question", score="map")
    return distance.join(scored, on="question", how="inner", maintain_order="left").select(
        "question", "score", "distance"
    )


@st.cache_resource(max_entries=6, show_spinner="Reading the collection ...")
def _collection(key: str) -> engine.Collection:
    return engine.open_evaluated(engine.find_evaluation(store(), key), store())


def can_read(listed: Listed) -> bool:
    """Whether an evaluation's texts can be read here; those of an imported or shipped one may be elsewhere."""
    opened = listed.manifest.opened_as
    if opened is None:
        return False
    return listed.manifest.packed is None or opened.collection not in COLLECTIONS or is_fetched(opened.collection)


def is_fetched(name: str) -> bool:
    """Whether a collection of the catalog is on this machine."""
    return fetched_folder(name, store()) is not None


def can_search(listed: Listed) -> bool:
    """Whether an evaluation's encoder can be asked: not that of an imported one, nor a checkpoint that is not here."""
    opened = listed.manifest.opened_as
    if opened is None or opened.encoder is None:
        return False
    return not is_digest(opened.encoder) or store().path("checkpoints", opened.encoder).is_dir()


def has_top(listed: Listed) -> bool:
    """Whether an evaluation's first passages are kept; of those that come with the project some are not."""
    packed = listed.manifest.packed
    return packed is None or packed.places > 0


def collection_of(listed: Listed) -> engine.Collection:
    """The collection of an evaluation whose texts can be read.

    Raises:
        InputError: If it cannot be read, or has changed since it was evaluated.
    """
    same = next((one for one in evaluations() if _texts(one) == _texts(listed)), listed)
    return _collection(same.key)


def _texts(listed: Listed) -> tuple[str, OpenedAs | None]:
    """What names the texts of an evaluation: evaluations with the same are read once."""
    opened = listed.manifest.opened_as
    return listed.manifest.collection.digest, opened and OpenedAs(**opened.model_dump(include=_OF_COLLECTION))


@st.cache_resource(max_entries=2, show_spinner="Loading the encoder ...")
def encoder(
    name: str, query_prompt: str, document_prompt: str, max_length: int | None, size: int | None
) -> engine.Encoder:
    """An encoder, ready for typed queries; size is how many dimensions are kept, None for all."""
    prompts, options = {"query": query_prompt, "document": document_prompt}, Options(truncate_dim=size)
    return engine.open_encoder(name, store(), prompts=prompts, max_length=max_length, options=options)


def encoder_of(listed: Listed) -> engine.Encoder:
    """The encoder of an evaluation that `can_search`.

    Raises:
        InputError: If the evaluation is imported, or the encoder cannot be opened.
    """
    opened, of = listed.manifest.opened_as, listed.manifest.encoder
    if opened is None or opened.encoder is None:
        raise engine.InputError(f"{listed.checkpoint}: an imported run has no encoder")
    return encoder(opened.encoder, of.prompts["query"], of.prompts["document"], of.max_length, of.truncate_dim)


def retrieve(key: str, text: str, k: int, language: str | None = None) -> pl.DataFrame:
    """What an evaluation's encoder finds for a typed text or a picture, in its pool or among one language."""
    return _retrieve(key, text, text, k, language)


@st.cache_data(max_entries=64, show_spinner="Searching ...")
def _retrieve(key: str, text: str, _query: str, k: int, language: str | None) -> pl.DataFrame:
    listed = next(one for one in evaluations() if one.key == key)
    return engine.retrieve(encoder_of(listed), collection_of(listed), _query, store(), k, language)


@st.cache_data(max_entries=256, show_spinner=False)
def retrieve_again(key: str, query: int, k: int, language: str | None) -> pl.DataFrame:
    """What an evaluation's encoder finds among one language for a query of its collection, by the stored vectors."""
    listed = next(one for one in evaluations() if one.key == key)
    return engine.retrieve_again(encoder_of(listed), collection_of(listed), query, store(), k, language)


@st.cache_resource(max_entries=4 * FRAMES, show_spinner=False)
def pairs(key: str) -> pl.DataFrame:
    """Scores of every language pair of an evaluation, as they were stored with it."""
    return engine.find_evaluation(store(), key).pairs()


@st.cache_resource(max_entries=FRAMES, show_spinner=False)
def most_changed(key: str, other: str, query_lang: str, doc_lang: str | None = None) -> list[str]:
    """Questions whose average precision differs most between two evaluations, 100 of them.

    Args:
        key: Of one evaluation.
        other: Of the other.
        query_lang: Of the questions.
        doc_lang: Among whose passages they are asked; None for the pool.
    """
    one, two = (questions(k, query_lang, doc_lang).select("question", "score") for k in (key, other))
    change = (pl.col("score") - pl.col("score_other")).abs()
    both = one.join(two, on="question", suffix="_other").sort(change, "question", descending=[True, False])
    return both["question"].head(100).to_list()


def changed_at(folder: Path) -> int:
    """When a folder of the cache last got or lost an entry, in nanoseconds; 0 if there is none."""
    return folder.stat().st_mtime_ns if folder.is_dir() else 0


def fetched() -> list[str]:
    """Names of the catalog's collections that are on this machine, those that come with the project last."""
    return [*(name for name in COLLECTIONS if fetched_folder(name, store()) is not None), *SHIPPED]


def time_estimate(name: str, every: int) -> str:
    """How long the evaluation of a catalog collection takes here, in words."""
    source = COLLECTIONS[name]
    texts = (source.queries + source.candidates) // every
    minutes = texts / TEXTS_PER_SECOND / 60
    return (
        f"About {texts:,} texts to encode: {max(1, round(minutes))} minutes or so on two CPU cores with the default "
        "encoder, far less on a GPU. It can be stopped and resumed; what is encoded once is kept."
    )
