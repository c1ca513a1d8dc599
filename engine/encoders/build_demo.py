"""Make the shipped vectors anew: `python -m engine.encoders.build_demo`, after a change of texts or encoder."""

from __future__ import annotations

import numpy as np

from engine.collections.catalog import SHIPPED as COLLECTIONS
from engine.collections.opening import open_collection
from engine.collections.structures import Role
from engine.encoders.embedding import SHIPPED as FOLDER
from engine.encoders.embedding import embedding_key
from engine.encoders.resolve import DEFAULT_ENCODER, open_encoder
from engine.storage.store import Store


def build() -> None:
    """Encode both demo collections with the default encoder and write the vectors as float16, one file per key."""
    store = Store()
    encoder = open_encoder(DEFAULT_ENCODER, store)
    for old in FOLDER.glob("*.npy"):
        old.unlink()
    FOLDER.mkdir(exist_ok=True)
    for name in COLLECTIONS:
        collection = open_collection(name, store)
        parts: dict[Role, tuple[str, ...]] = {"query": collection.queries.texts, "document": collection.corpus.texts}
        for role, texts in parts.items():
            vectors = encoder.encode(texts, role).astype(np.float16)
            np.save(FOLDER / f"{embedding_key(encoder, role, texts)}.npy", vectors)


if __name__ == "__main__":
    build()
