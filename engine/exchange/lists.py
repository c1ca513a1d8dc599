"""The ranked lists of an evaluation: ranked again from its stored vectors, else what the evaluation itself kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from engine.collections.structures import Collection
from engine.encoders.embedding import embed_collection, is_collection_embedded
from engine.encoders.encoder import Options
from engine.encoders.resolve import open_encoder
from engine.errors import EngineError, InputError
from engine.evaluation.evaluate import Evaluation, open_evaluated
from engine.ranks.ranking import ranked_lists
from engine.ranks.similarity import as_inner_products
from engine.storage.store import Store

_QUERY = ["question", "query_lang"]


@dataclass(frozen=True, slots=True)
class Lists:
    """Ranked lists of passages, streamed.

    Attributes:
        depth: How many passages a list holds at most.
        blocks: A document language, or None for the pool, and a frame of schema `TOP` for some queries.
        missing: Why there are none by document language; None where there are.
    """

    depth: int
    blocks: Iterator[tuple[str | None, pl.DataFrame]]
    missing: str | None = None


def lists_of(evaluation: Evaluation, store: Store, depth: int | None = None) -> Lists:
    """The lists of an evaluation, of the pool and of every document language.

    The lists that an evaluation keeps are of the pool. What they hold of one document language is not the first k of
    that language, so those lists are ranked again.

    Args:
        evaluation: The evaluation.
        store: Where its vectors are.
        depth: How long a list is at most; None for the length that the evaluation keeps.

    Raises:
        InputError: If depth is below 1.
    """
    depth = evaluation.manifest.top_k if depth is None else depth
    if depth < 1:
        raise InputError(f"depth must be an integer >= 1, got {depth}")
    try:
        return Lists(depth, ranked_lists(*_vectors(evaluation, store), depth))
    except EngineError as error:
        return _kept(evaluation, depth, str(error))


def _vectors(evaluation: Evaluation, store: Store) -> tuple[np.ndarray, np.ndarray, Collection]:
    """The stored vectors of an evaluation's queries and candidates, and its collection.

    Raises:
        EngineError: If they are not in the store.
    """
    of, opened = evaluation.manifest.encoder, evaluation.manifest.opened_as
    name = opened.encoder if opened else None
    if name is None:
        raise InputError("the vectors of an imported run are not known")
    options = Options(truncate_dim=of.truncate_dim, dtype=None if of.dtype == "unknown" else of.dtype)
    encoder = open_encoder(name, store, prompts=of.prompts, max_length=of.max_length, options=options)
    if encoder.fingerprint != of.fingerprint:
        raise InputError(f"encoder {name}: it has changed since the evaluation; evaluate again")
    collection = open_evaluated(evaluation, store)
    if not is_collection_embedded(encoder, collection, store):
        raise InputError("the vectors are not in the store; evaluate again")
    queries, documents = embed_collection(encoder, collection, store)
    return *as_inner_products(queries, documents, encoder.similarity), collection


def _kept(evaluation: Evaluation, depth: int, why: str) -> Lists:
    """What the evaluation kept: lists of the pool, and by document language only if they hold the whole pool."""
    top = evaluation.top().sort("query_lang", "question", "rank")
    judged = evaluation.ranks().select(_QUERY).unique()
    lengths = judged.join(top.group_by(_QUERY).agg(pl.len()), on=_QUERY, how="left")["len"].fill_null(0)
    pool = (None, top.filter(pl.col("rank") <= depth))
    if (lengths < evaluation.pool).any():
        return Lists(depth, iter([pool]), f"{why}, and the kept lists do not hold the whole pool")
    ranked = top.with_columns(rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over(*_QUERY, "doc_lang"))
    ranked = ranked.filter(pl.col("rank") <= depth)
    return Lists(depth, iter([pool, *((code, frame) for (code,), frame in ranked.group_by("doc_lang"))]))
