"""One evaluation: an encoder on a collection -> ranks, top and scores in the store; and the evaluations found there."""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from engine.collections.digest import collection_digest
from engine.collections.faults import UNANSWERED
from engine.collections.opening import open_collection
from engine.collections.splits import USUAL
from engine.collections.structures import Collection
from engine.encoders.encoder import Encoder, SentenceEncoder
from engine.encoders.towers import TwoTowers
from engine.errors import EngineError, InputError, StoreError
from engine.evaluation import shipped
from engine.evaluation.describe import describe
from engine.evaluation.manifest import EvaluationManifest, OpenedAs
from engine.evaluation.summary import as_json, summarise, summarise_ranks
from engine.progress import Progress, silent
from engine.ranks.ranking import rank_collection
from engine.ranks.schema import RANKS, TOP, read_frame
from engine.ranks.streamed import vectors_to_rank
from engine.storage.digest import digest
from engine.storage.store import SCHEMA_VERSION, Store

TOP_K = 100
FIGURES = "figures.json"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A stored evaluation.

    Attributes:
        key: Its key in the store.
        manifest: What it is of and how it was made.
        store: Where it is.
    """

    key: str
    manifest: EvaluationManifest
    store: Store

    def ranks(self) -> pl.DataFrame:
        """The frame of schema `RANKS`; scores are NaN where the evaluation comes with the project."""
        if self.manifest.packed is not None:
            return shipped.read_ranks(self.key, self.manifest, self.store)
        return read_frame(self.store.path("ranks", self.key) / "ranks.parquet", RANKS)

    def top(self) -> pl.DataFrame:
        """The frame of schema `TOP`; empty where an evaluation that comes with the project does not have it."""
        if self.manifest.packed is not None:
            return shipped.read_top(self.key, self.manifest, self.store)
        return read_frame(self.store.path("ranks", self.key) / "top.parquet", TOP)

    def asked_of_pool(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows of queries that the pool is asked with: where there are pictures, of pictures alone."""
        of = self.manifest.collection
        return frame.filter(pl.col("query_lang").is_in(of.asking)) if of.pictures else frame

    @property
    def has_top(self) -> bool:
        """Whether the first places are kept."""
        return self.manifest.packed is None or self.manifest.packed.places > 0

    def figures(self) -> dict[str, Any]:
        """What `as_json` gave when the evaluation was made, without reading the ranks; computed again if damaged."""
        if self.manifest.packed is not None:
            return shipped.read_scores(self.store.path("ranks", self.key))
        try:
            return self.store.read_object("ranks", self.key, FIGURES)
        except StoreError as error:
            logger.warning("%s; the scores were computed again from the ranks", error)
        content = _scores_file(as_json(self, summarise(self)))
        with contextlib.suppress(StoreError):  # a cache that cannot be written: they are computed again next time
            self.store.mend("ranks", self.key, FIGURES, content)
        scores: dict[str, Any] = json.loads(content)
        return scores

    def pairs(self) -> pl.DataFrame:
        """Frame of `metrics.by_pair`, as it was stored: what every heatmap of an evaluation shows."""
        return pl.DataFrame(self.figures()["pairs"])

    @property
    def languages(self) -> list[str]:
        """The collection's languages."""
        return list(self.manifest.collection.languages)

    @property
    def pool(self) -> int:
        """Candidates in the pool."""
        return self.manifest.collection.pool


def evaluate(
    encoder: Encoder,
    collection: Collection,
    store: Store,
    *,
    top_k: int = TOP_K,
    index: str = "Flat",
    opened_as: OpenedAs | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Evaluate an encoder on a collection, or find the stored evaluation.

    Args:
        encoder: What is evaluated.
        collection: On what.
        store: Where vectors and ranks are kept.
        top_k: How many of the pool to keep for each query.
        index: FAISS index-factory string for the first k; "Flat" is exact.
        opened_as: How the collection and the encoder are opened again.
        progress: Told of each stage.

    Raises:
        InputError: If top_k is below 1, or vectors cannot be used.
        StoreError: If the cache cannot be written.
    """
    if top_k < 1:  # ranking says so too, but only when everything has been encoded
        raise InputError(f"top k must be an integer >= 1, got {top_k}")
    key = evaluation_key(encoder, collection, top_k, index)
    evaluation = _stored(store, key)
    if evaluation is None:
        started = time.monotonic()
        manifest = describe(encoder, collection, opened_as)  # first, for it may find a fault
        with vectors_to_rank(encoder, collection, store, progress) as vectors:
            ranks, top = rank_collection(*vectors, collection, top_k=top_k, index=index, progress=progress)
        seconds = time.monotonic() - started
        manifest = manifest.model_copy(update={"top_k": top_k, "index": index, "seconds": seconds})
        write_evaluation(key, manifest, ranks, top, store)
        evaluation = find_evaluation(store, key)
    return replace(evaluation, manifest=_renamed(evaluation.manifest, collection, encoder.name))


def _renamed(manifest: EvaluationManifest, collection: Collection, encoder: str) -> EvaluationManifest:
    """The manifest under today's names: the entry may have been made under others."""
    today = {"name": collection.name, "split": collection.split, "skipped": dict(collection.skipped)}
    names = {
        "collection": manifest.collection.model_copy(update=today),
        "encoder": manifest.encoder.model_copy(update={"name": encoder}),
    }
    return manifest.model_copy(update=names)


def write_evaluation(
    key: str,
    manifest: EvaluationManifest,
    ranks: pl.DataFrame,
    top: pl.DataFrame,
    store: Store,
    more: Mapping[str, pl.DataFrame] | None = None,
) -> None:
    """Make an evaluation's entry.

    Args:
        key: Its key.
        manifest: What it is of and how it was made.
        ranks: Frame of schema `RANKS`.
        top: Frame of schema `TOP`.
        store: Where it goes.
        more: Further frames to keep with it, by name.

    Raises:
        StoreError: If the cache cannot be written.
    """
    with store.writing("ranks", key, manifest.values()) as folder:
        for name, frame in {"ranks": ranks, "top": top, **(more or {})}.items():
            frame.write_parquet(folder / f"{name}.parquet")
        figures = as_json(Evaluation(key, manifest, store), summarise_ranks(ranks, manifest))
        (folder / FIGURES).write_bytes(_scores_file(figures))


def _scores_file(scores: dict[str, Any]) -> bytes:
    return json.dumps(scores, ensure_ascii=False).encode()


def evaluation_key(encoder: Encoder, collection: Collection, top_k: int = TOP_K, index: str = "Flat") -> str:
    """The store's key of an evaluation: what the encoder is, what the collection holds, and how the top is drawn.

    Two recipes may lead to equal weights; each has an evaluation of its own, so that neither is missing from its sweep.
    """
    recipe = encoder.recipe if isinstance(encoder, SentenceEncoder | TwoTowers) else None
    return digest(
        "ranks",
        SCHEMA_VERSION,
        encoder.fingerprint,
        dict(encoder.prompts),
        encoder.max_length,
        encoder.dtype,
        collection_digest(collection),
        top_k,
        index,
        *([] if recipe is None else [recipe]),
        *_reading(collection),
    )


def _reading(collection: Collection) -> list[object]:
    """What the manifest says of how a collection was read; nothing where it was read whole and as usual."""
    skipped = {reason: count for reason, count in collection.skipped if reason != UNANSWERED}
    usual = not skipped and collection.split in (None, USUAL["evaluation"][0])
    return [] if usual else [("read as", collection.split, skipped)]


def evaluations(store: Store) -> Iterator[Evaluation]:
    """All stored evaluations, oldest first."""
    for key, values in store.entries("ranks"):
        try:
            yield Evaluation(key, _read_manifest(values, key), store)
        except InputError as error:
            logger.warning("%s; it is not shown", error)


def find_evaluation(store: Store, key: str) -> Evaluation:
    """A stored evaluation by its key.

    Raises:
        InputError: If there is none, or it is broken (it is set aside then).
    """
    evaluation = _stored(store, key)
    if evaluation is None:
        raise InputError(f"evaluation {key} is not in the store, or it was broken and set aside; evaluate again")
    return evaluation


def _stored(store: Store, key: str) -> Evaluation | None:
    if (store.fault("ranks", key) or "").startswith(FIGURES):
        with contextlib.suppress(EngineError):  # more than the scores is damaged: the entry is set aside
            Evaluation(key, _read_manifest(store.manifest("ranks", key), key), store).figures()
    values = store.get("ranks", key)
    return None if values is None else Evaluation(key, _read_manifest(values, key), store)


def _read_manifest(values: dict[str, Any], key: str) -> EvaluationManifest:
    return EvaluationManifest.read(values, f"evaluation {key[:12]}")


def open_evaluated(evaluation: Evaluation, store: Store) -> Collection:
    """Read the collection that an evaluation was made on.

    Raises:
        InputError: If it is not at hand, cannot be read, or has changed since.
    """
    opened, name = evaluation.manifest.opened_as, evaluation.manifest.collection.name
    if opened is None:
        raise InputError(f"collection {name}: its texts did not come with the import")
    collection = open_collection(
        opened.collection, store, every=opened.every, skip_invalid=opened.skip_invalid, split=opened.split
    )
    collection = collection.with_identical_ids() if opened.keep_identical_ids else collection
    _check_unchanged(evaluation, collection)
    return collection


def _check_unchanged(evaluation: Evaluation, collection: Collection) -> None:
    """Check that a collection holds what an evaluation was made on.

    Raises:
        InputError: If it does not.
    """
    if collection_digest(collection) != evaluation.manifest.collection.digest:
        name = evaluation.manifest.collection.name
        raise InputError(f"collection {name} has changed since it was evaluated; evaluate it again to see its texts")
