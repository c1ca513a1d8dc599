"""A collection's vectors as the ranking wants them: queries in memory, candidates on disk wherever they can be."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.collections.structures import Collection
from engine.encoders.embedding import are_in_one_file, embed, embed_collection, stored
from engine.encoders.encoder import Encoder
from engine.encoders.maps import in_blocks, unchanged
from engine.progress import Progress, silent
from engine.ranks.similarity import INNER_PRODUCTS, as_inner_products, documents_for, queries_for
from engine.ranks.vectors import Candidates, InMemory
from engine.storage.shards import Shards
from engine.storage.store import Store

if TYPE_CHECKING:
    from numpy.typing import NDArray


@contextmanager
def vectors_to_rank(
    encoder: Encoder, collection: Collection, store: Store, progress: Progress = silent
) -> Iterator[tuple[NDArray[np.float32], Candidates]]:
    """Vectors whose inner products rank a collection's candidates, bit for bit those of `embed_collection`.

    Vectors of candidates are read from the store's file. Those that are derived from others, as by a head, are written
    to shards that are removed at the end. In memory are candidates with a language adjustment, pictures, and vectors
    that a collection brings along.

    Args:
        encoder: What encodes.
        collection: Its queries and candidates.
        store: Where vectors are kept.
        progress: Told the characters encoded of all characters.

    Yields:
        Float32 (queries, dimension), and where the candidates' are read from.

    Raises:
        InputError: If vectors cannot be used.
        StoreError: If the cache cannot be written.
    """
    if not are_in_one_file(encoder, collection):
        queries, documents = embed_collection(encoder, collection, store, progress)
        queries, documents = as_inner_products(queries, documents, encoder.similarity)
        yield queries, InMemory(documents)
        return
    queries = queries_for(embed(encoder, "query", collection.queries.texts, store, progress), encoder.similarity)
    file, lead = stored(encoder, collection.document_role, collection.corpus.texts, store, progress)
    if lead is unchanged and encoder.similarity in INNER_PRODUCTS:
        yield queries, Shards([file])
        return
    name = f"ranked-{uuid.uuid4().hex}"
    try:
        with store.partial("embeddings", name) as folder:
            blocks = in_blocks(lead, np.load(file, mmap_mode="r"))
            yield queries, _shards(folder, (documents_for(block, encoder.similarity) for block in blocks), store)
    finally:
        store.discard_partial("embeddings", name)


def _shards(folder: Path, blocks: Iterator[NDArray[np.float32]], store: Store) -> Shards:
    files = []
    for number, block in enumerate(blocks):
        files.append(folder / f"{number:08d}.npy")
        store.write_array(files[-1], block)
    return Shards(files)
