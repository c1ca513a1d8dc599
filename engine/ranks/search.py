"""One query -> what an encoder finds for it: a text that a person types, a picture, or a query of the collection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from engine.collections.pictures import PICTURE, Picture
from engine.collections.structures import Collection
from engine.encoders.embedding import embed, embed_collection
from engine.encoders.encoder import Encoder
from engine.errors import InputError
from engine.ranks.ranking import search
from engine.ranks.similarity import as_inner_products
from engine.storage.store import Store

if TYPE_CHECKING:
    from numpy.typing import NDArray


def retrieve(
    encoder: Encoder, collection: Collection, text: str, store: Store, k: int = 10, language: str | None = None
) -> pl.DataFrame:
    """Find the k best passages of the pool for a text or a picture.

    Args:
        encoder: What encodes the query; the passages' vectors come from the store.
        collection: Whose candidates are searched.
        text: The query, in any language, or a `Picture`.
        store: Where the passages' vectors are kept.
        k: How many passages.
        language: Search the candidates of this language only; None for all. A picture searches captions.

    Returns:
        `rank`, `doc`, `doc_lang`, `score`, best first.

    Raises:
        InputError: If the text is empty, k is below 1, or no candidate is in the language.
    """
    if not isinstance(text, Picture):
        text = text.strip()
    if not text:
        raise InputError("the query is empty; type a question")
    query = encoder.encode([text], "query")
    documents = embed(encoder, collection.document_role, collection.corpus.texts, store)
    padded = np.zeros((1, documents.shape[1]), np.float32)  # one tower's vectors may be shorter than the other's
    padded[:, : query.shape[1]] = query
    candidates = _candidates(collection, language, of_picture=isinstance(text, Picture))
    return _best(encoder, padded, documents, collection, candidates, k)


def retrieve_again(
    encoder: Encoder, collection: Collection, query: int, store: Store, k: int = 10, language: str | None = None
) -> pl.DataFrame:
    """Find the k best passages for a query of the collection, without itself; nothing is encoded anew.

    Args:
        encoder: What encoded the collection.
        collection: Whose candidates are searched.
        query: Row of the query.
        store: Where the vectors are kept.
        k: How many passages.
        language: Search the candidates of this language only; None for all.

    Returns:
        As `retrieve`.

    Raises:
        InputError: If k is below 1, or no candidate is in the language.
    """
    queries, documents = embed_collection(encoder, collection, store)
    of_picture = collection.queries.languages[query] == PICTURE
    candidates = _candidates(collection, language, of_picture=of_picture)
    if collection.own is not None:
        candidates = candidates[candidates != collection.own[query]]
    return _best(encoder, queries[query : query + 1], documents, collection, candidates, k)


def _candidates(collection: Collection, language: str | None, *, of_picture: bool) -> NDArray[np.int64]:
    """Positions of the candidates that are searched; a picture finds no pictures, as in the ranking."""
    codes = np.array(collection.corpus.languages)
    wanted = codes == language if language is not None else codes != PICTURE if of_picture else codes != ""
    if not wanted.any():
        raise InputError(f"language {language}: the collection has no candidate in it")
    return np.flatnonzero(wanted)


def _best(
    encoder: Encoder,
    query: NDArray[np.float32],
    documents: NDArray[np.float32],
    collection: Collection,
    candidates: NDArray[np.int64],
    k: int,
) -> pl.DataFrame:
    if k < 1:
        raise InputError(f"k must be an integer >= 1, got {k}")
    searched = documents if len(candidates) == len(documents) else documents[candidates]
    docs, scores = search(*as_inner_products(query, searched, encoder.similarity), min(k, len(candidates)))
    found = candidates[docs[0]]
    return pl.DataFrame(
        {
            "rank": range(1, len(found) + 1),
            "doc": found,
            "doc_lang": [collection.corpus.languages[doc] for doc in found],
            "score": scores[0],
        }
    )
