"""A text that a person types -> the passages of a pool that an encoder finds for it."""

from __future__ import annotations

import polars as pl

from engine.collections.structures import Collection
from engine.encoders.embedding import embed
from engine.encoders.encoder import Encoder
from engine.errors import InputError
from engine.ranks.ranking import search
from engine.ranks.similarity import as_inner_products
from engine.storage.store import Store


def retrieve(encoder: Encoder, collection: Collection, text: str, store: Store, k: int = 10) -> pl.DataFrame:
    """Find the k best passages of the pool for a text.

    Args:
        encoder: What encodes the text; the passages' vectors come from the store.
        collection: Whose pool is searched.
        text: The query, in any language.
        store: Where the passages' vectors are kept.
        k: How many passages.

    Returns:
        `rank`, `doc`, `doc_lang`, `score`, best first.

    Raises:
        InputError: If the text is empty, or k is below 1.
    """
    if not text.strip():
        raise InputError("the query is empty; type a question")
    if k < 1:
        raise InputError(f"k: {k} came, a whole number from 1 is allowed")
    query = encoder.encode([text.strip()], "query")
    documents = embed(encoder, collection.document_role, collection.corpus.texts, store)
    docs, scores = search(*as_inner_products(query, documents, encoder.similarity), min(k, len(documents)))
    return pl.DataFrame(
        {
            "rank": range(1, docs.shape[1] + 1),
            "doc": docs[0],
            "doc_lang": [collection.corpus.languages[doc] for doc in docs[0]],
            "score": scores[0],
        }
    )
