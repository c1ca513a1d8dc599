"""An encoder and a collection -> the manifest of their evaluation."""

from __future__ import annotations

import numpy as np

from engine.collections.contamination import MARKS, count_seen
from engine.collections.digest import collection_digest
from engine.collections.near_texts import read_near_texts
from engine.collections.pictures import PICTURE
from engine.collections.structures import Collection
from engine.encoders.encoder import Encoder, SentenceEncoder
from engine.encoders.towers import TwoTowers
from engine.evaluation.manifest import CollectionPart, EncoderPart, EvaluationManifest, OpenedAs, SeenInTraining


def describe(encoder: Encoder, collection: Collection, opened_as: OpenedAs | None) -> EvaluationManifest:
    """The manifest of an evaluation that is about to be made.

    Args:
        encoder: What is evaluated.
        collection: On what.
        opened_as: How the collection and the encoder are opened again.
    """
    trained = encoder if isinstance(encoder, SentenceEncoder | TwoTowers) else None
    return EvaluationManifest(
        collection=CollectionPart(
            name=collection.name,
            digest=collection_digest(collection),
            languages=collection.languages,
            query_languages=collection.query_languages,
            document_languages=collection.document_languages,
            queries=len(collection.queries),
            candidates=len(collection.corpus),
            skipped=dict(collection.skipped),
            identical_ids=collection.identical_ids,
            absent=0 if collection.absent is None else int(collection.absent.sum()),
            restatements=collection.restatements,
            split=collection.split,
            pictures=collection.corpus.languages.count(PICTURE),
            crossed=collection.crossed,
        ),
        encoder=EncoderPart(
            name=encoder.name,
            fingerprint=encoder.fingerprint,
            prompts=dict(encoder.prompts),
            max_length=encoder.max_length,
            dtype=encoder.dtype,
            similarity=encoder.similarity,
            truncate_dim=trained.truncate_dim if trained else None,
            folder=str(trained.folder) if trained else None,
        ),
        recipe=trained.recipe if trained else None,
        seen_in_training=_seen(encoder, collection),
        opened_as=opened_as,
    )


def _seen(encoder: Encoder, collection: Collection) -> SeenInTraining | None:
    """How many of the collection's texts the checkpoint was trained on; None for an encoder from elsewhere."""
    marks = encoder.folder / MARKS if isinstance(encoder, SentenceEncoder | TwoTowers) else None
    if marks is None or not marks.is_file():
        return None
    queries, passages = count_seen(np.load(marks), collection)
    known = {one["digest"]: one for one in read_near_texts(marks.parent)}
    near = known.get(collection_digest(collection), {})
    return SeenInTraining(
        queries=queries,
        passages=passages,
        near_queries=near.get("queries", 0),
        near_passages=near.get("passages", 0),
        threshold=near.get("threshold"),
    )
