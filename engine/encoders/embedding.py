"""Texts -> vectors through the store: each different text is encoded once, in shards that survive an interruption."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.collections.pictures import Picture
from engine.collections.structures import Collection, Role
from engine.encoders.adjustment import LanguageAdjustment
from engine.encoders.encoder import Encoder, SentenceEncoder, unit_length
from engine.encoders.towers import TwoTowers
from engine.errors import InputError, StoreError
from engine.progress import Progress, silent
from engine.storage.digest import digest
from engine.storage.store import SCHEMA_VERSION, Store

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHARD_TEXTS = 512
VECTORS = "vectors.npy"
SHIPPED = Path(__file__).resolve().parents[1] / "demo" / "vectors"
"""Vectors that come with the project, float16, under the keys that the store would give them."""


def embed_collection(
    encoder: Encoder, collection: Collection, store: Store, progress: Progress = silent
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Vectors of a collection's queries and candidates, adjusted by language where the encoder is.

    Args:
        encoder: What encodes.
        collection: Its queries and candidates.
        store: Where vectors are kept.
        progress: Told the characters encoded of all characters.

    Returns:
        float32 (queries, dimension) and (candidates, dimension), of unit length if the similarity is cosine.

    Raises:
        InputError: If the encoder gives vectors with NaN or infinite numbers, or its adjustment cannot be read.
        StoreError: If the cache cannot be written.
    """
    if isinstance(encoder, SentenceEncoder) and encoder.is_adjusted:
        return _adjusted(encoder, collection, store, progress)
    queries = embed(encoder, "query", collection.queries.texts, store, progress)
    return queries, embed(encoder, collection.document_role, collection.corpus.texts, store, progress)


def _adjusted(
    encoder: SentenceEncoder, collection: Collection, store: Store, progress: Progress
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Vectors without the adjustment and the head behind it; then the adjustment; then the head."""
    adjustment, trunk = LanguageAdjustment.load(encoder.folder), encoder.unadjusted()
    head = trunk.head() if adjustment.before_head else None
    queries, documents = embed_collection(head[0] if head else trunk, collection, store, progress)
    adjustment = adjustment.completed(documents, collection.corpus.languages)
    queries = adjustment.apply(queries, collection.queries.languages, "query")
    documents = adjustment.apply(documents, collection.corpus.languages, "document")
    if head is None:
        return queries, documents
    return unit_length(queries @ head[1].T), unit_length(documents @ head[1].T)


def is_collection_embedded(encoder: Encoder, collection: Collection, store: Store) -> bool:
    """Whether `embed_collection` finds all vectors without encoding any text."""
    if isinstance(encoder, SentenceEncoder) and encoder.is_adjusted:
        encoder = encoder.unadjusted()  # with a head behind the adjustment or without, the trunk's vectors are stored
    return is_embedded(encoder, "query", collection.queries.texts, store) and is_embedded(
        encoder, collection.document_role, collection.corpus.texts, store
    )


def embed(
    encoder: Encoder, role: Role, texts: Sequence[str], store: Store, progress: Progress = silent
) -> NDArray[np.float32]:
    """Vectors of texts and pictures, from the store where it has them, else computed and stored.

    Args:
        encoder: What encodes.
        role: Whether the texts are queries or documents.
        texts: The texts, in the order of the rows.
        store: Where vectors are kept.
        progress: Told the characters encoded of all characters.

    Returns:
        Vectors, float32 (texts, dimension), of unit length if the encoder's similarity is cosine.

    Raises:
        InputError: If the encoder gives vectors with NaN or infinite numbers.
        StoreError: If the cache cannot be written.
    """
    if _are_apart(encoder, texts):
        return _embed_apart(encoder, role, texts, store, progress)
    if (derived := _derived(encoder)) is not None:
        source, follow = derived
        return follow(embed(source, role, texts, store, progress))
    key = embedding_key(encoder, role, texts)
    if store.get("embeddings", key) is None:
        shipped = SHIPPED / f"{key}.npy"
        if shipped.is_file():
            _write_entry(store, key, encoder, role, unit_length(np.load(shipped).astype(np.float32)))
        else:
            _encode_into(store, key, encoder, role, texts, progress)
    file = store.path("embeddings", key) / VECTORS
    try:
        vectors: NDArray[np.float32] = np.load(file)
    except (OSError, ValueError) as error:
        raise StoreError(f"{file}: cannot be read ({error}); delete its folder and run again") from error
    return vectors


def is_embedded(encoder: Encoder, role: Role, texts: Sequence[str], store: Store) -> bool:
    """Whether `embed` finds these texts' vectors without encoding any."""
    if _are_apart(encoder, texts):
        pictures, others = _apart(texts)
        sources = (_tower(encoder, pictures), pictures), (_tower(encoder, others), others)
        return all(is_embedded(source, role, part, store) for source, part in sources if part)
    if (derived := _derived(encoder)) is not None:
        return is_embedded(derived[0], role, texts, store)
    key = embedding_key(encoder, role, texts)
    return store.get("embeddings", key) is not None or (SHIPPED / f"{key}.npy").is_file()


def embedding_key(encoder: Encoder, role: Role, texts: Sequence[str]) -> str:
    """The store's key of these texts' vectors; a picture's are the same for queries and documents."""
    if texts and isinstance(texts[0], Picture):
        return digest("pictures", SCHEMA_VERSION, encoder.fingerprint, encoder.dtype, list(texts))
    return digest(
        "embeddings",
        SCHEMA_VERSION,
        encoder.fingerprint,
        role,
        encoder.prompts[role],
        encoder.max_length,
        encoder.dtype,
        list(texts),
    )


def _are_apart(encoder: Encoder, texts: Sequence[str]) -> bool:
    """Whether pictures and texts are encoded in two calls: a model takes one kind at a time, and a tower one kind."""
    pictures = sum(isinstance(text, Picture) for text in texts)
    return isinstance(encoder, TwoTowers) or 0 < pictures < len(texts)


def _apart(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """Pictures, and texts."""
    return [text for text in texts if isinstance(text, Picture)], [t for t in texts if not isinstance(t, Picture)]


def _tower(encoder: Encoder, part: Sequence[str]) -> Encoder:
    """What encodes the pictures, or the texts."""
    if not isinstance(encoder, TwoTowers):
        return encoder
    return encoder.picture if part and isinstance(part[0], Picture) else encoder.text


def _embed_apart(
    encoder: Encoder, role: Role, texts: Sequence[str], store: Store, progress: Progress
) -> NDArray[np.float32]:
    """Vectors of pictures and of texts in the order of the rows; the shorter ones are filled up with zeros."""
    pictured = np.array([isinstance(text, Picture) for text in texts])
    parts = [
        (rows, embed(_tower(encoder, part), role, part, store, progress))
        for rows, part in zip((pictured, ~pictured), _apart(texts), strict=True)
        if part
    ]
    width = max((vectors.shape[1] for _, vectors in parts), default=0)
    whole = np.zeros((len(texts), width), np.float32)
    for rows, vectors in parts:
        whole[rows, : vectors.shape[1]] = vectors
    return whole


def _derived(encoder: Encoder) -> tuple[Encoder, Callable[[NDArray[np.float32]], NDArray[np.float32]]] | None:
    """An encoder whose vectors are stored in place of this one's, and how these follow from them; None for its own.

    All sizes of a model come from one entry, and all heads on one trunk.
    """
    if not isinstance(encoder, SentenceEncoder):
        return None
    if encoder.whole is not encoder:
        return encoder.whole, encoder.keep
    if (head := encoder.head()) is None:
        return None
    trunk, weight = head
    return trunk, lambda vectors: unit_length(vectors @ weight.T)


def _encode_into(
    store: Store, key: str, encoder: Encoder, role: Role, texts: Sequence[str], progress: Progress
) -> None:
    """Encode the different texts, longest first, shard by shard; then write all rows as one entry."""
    different = sorted(set(texts), key=lambda text: (-len(text), text))
    kind = {"query": "queries", "document": "passages"}[role]
    stage = f"encode {'pictures' if isinstance(different[0], Picture) else kind}"
    total, done = sum(map(len, different)), 0
    shards = []
    with store.partial("embeddings", key) as partial:
        for start in range(0, len(different), SHARD_TEXTS):
            part = different[start : start + SHARD_TEXTS]
            file = partial / f"{start:08d}.npy"
            vectors = _read_shard(file, len(part))
            if vectors is None:
                progress(stage, done, total)
                vectors = _in_range(encoder.encode(part, role), part, encoder)
                try:
                    store.write_array(file, vectors)
                except StoreError:
                    if store.get("embeddings", key) is None:
                        raise
                    return  # another process has finished the entry and cleared the shards away
            shards.append(vectors)
            done += sum(map(len, part))
        progress(stage, total, total)
        row = {text: i for i, text in enumerate(different)}
        _write_entry(store, key, encoder, role, np.concatenate(shards)[[row[text] for text in texts]])
        store.discard_partial("embeddings", key)


def _write_entry(store: Store, key: str, encoder: Encoder, role: Role, vectors: NDArray[np.float32]) -> None:
    about = {
        "encoder": encoder.name,
        "fingerprint": encoder.fingerprint,
        "role": role,
        "prompt": encoder.prompts[role],
        "max_length": encoder.max_length,
        "dtype": encoder.dtype,
        "shape": list(vectors.shape),
    }
    with store.writing("embeddings", key, about) as folder:
        store.write_array(folder / VECTORS, vectors)


def _read_shard(file: Path, rows: int) -> NDArray[np.float32] | None:
    """A shard of an earlier, interrupted run, or None if it is not there or not whole."""
    try:
        vectors = np.load(file)
    except (OSError, ValueError, EOFError):
        return None
    return vectors if vectors.ndim == 2 and len(vectors) == rows and np.isfinite(vectors).all() else None


def _in_range(vectors: NDArray[np.float32], texts: Sequence[str], encoder: Encoder) -> NDArray[np.float32]:
    """Return the vectors if each is finite.

    In float16 a vector of zeros counts too: where its length leaves the range, Normalize divides by infinity.
    """
    bad = ~np.isfinite(vectors).all(axis=1)
    half = encoder.dtype == "float16"
    if half:
        bad |= ~vectors.any(axis=1) & np.array([bool(text.strip()) for text in texts])
    if not bad.any():
        return vectors
    cause = (
        "the model's numbers exceed float16, which ends at 65504; run it with --dtype bfloat16 (GPU) or float32"
        if half
        else "its weights are damaged or its training diverged: fetch or train it again"
    )
    raise InputError(
        f"encoder {encoder.name}: {int(bad.sum())} of {len(vectors)} vectors hold NaN or infinite numbers; {cause}"
    )
