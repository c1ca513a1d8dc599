"""Make the shipped vectors anew: `python -m engine.encoders.build_shipped`, after a change of texts or encoders."""

from __future__ import annotations

from collections.abc import Sequence

from engine.collections.catalog import SHIPPED
from engine.collections.gallery import GALLERY
from engine.collections.opening import open_collection
from engine.collections.pictures import Picture
from engine.collections.structures import Role
from engine.encoders import efficientnet
from engine.encoders.embedding import embedding_key
from engine.encoders.encoder import Encoder
from engine.encoders.resolve import DEFAULT_ENCODER, open_encoder
from engine.encoders.shipped import FOLDER, write_exact, write_rounded
from engine.storage.store import Store


def build() -> None:
    """Encode the demo and the gallery, both sides of each, with the default encoders and write the vectors.

    It takes a quarter of an hour on two CPU cores.
    """
    store = Store()
    encoder, of_pictures = open_encoder(DEFAULT_ENCODER, store), open_encoder(efficientnet.NAME, store)
    for name in ("vectors", "gallery"):
        (FOLDER / name).mkdir(exist_ok=True)
        for old in (FOLDER / name).glob("*.np?"):
            old.unlink()
    for name in SHIPPED:
        collection = open_collection(name, store)
        parts: dict[Role, tuple[str, ...]] = {"query": collection.queries.texts, "document": collection.corpus.texts}
        for role, texts in parts.items():
            write_exact(embedding_key(encoder, role, texts), encoder.encode(texts, role))
    for name in GALLERY:
        texts = open_collection(name, store).queries.texts
        _write(encoder, [text for text in texts if not isinstance(text, Picture)])
        _write(of_pictures, [text for text in texts if isinstance(text, Picture)])


def _write(encoder: Encoder, items: Sequence[str]) -> None:
    """Captions and pictures are queries and candidates alike, so one entry serves both."""
    write_rounded(embedding_key(encoder, "query", items), encoder.encode(items, "query"))


if __name__ == "__main__":
    build()
