"""Texts -> vectors through the store: each different text is encoded once, in shards that survive an interruption."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.collections.pictures import PICTURE, Picture
from engine.collections.structures import Collection, Role
from engine.encoders.adjustment import LanguageAdjustment
from engine.encoders.encoder import Encoder, SentenceEncoder, unit_length
from engine.encoders.encoding import VECTORS, encode_into, write_entry
from engine.encoders.given import ALIKE, SAMPLE, GivenRows
from engine.encoders.maps import Map, in_blocks, one_after_other, unchanged
from engine.encoders.shipped import is_shipped, shipped_vectors
from engine.encoders.towers import TwoTowers
from engine.errors import InputError, StoreError
from engine.progress import Progress, silent
from engine.storage.digest import digest
from engine.storage.store import SCHEMA_VERSION, Store

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
        InputError: If the encoder gives vectors with NaN or infinite numbers, its adjustment cannot be read, or the
            collection brings vectors along that are not the encoder's.
        StoreError: If the cache cannot be written.
    """
    if isinstance(encoder, SentenceEncoder) and encoder.is_adjusted:
        return _adjusted(encoder, collection, store, progress)
    if collection.given is not None:
        return _given(encoder, collection, store, progress)
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
    """Whether `embed_collection` finds all vectors without encoding any text, but a sample of given ones."""
    if collection.given is not None:
        return True
    if isinstance(encoder, SentenceEncoder) and encoder.is_adjusted:
        encoder = encoder.unadjusted()  # with a head behind the adjustment or without, the trunk's vectors are stored
    return is_embedded(encoder, "query", collection.queries.texts, store) and is_embedded(
        encoder, collection.document_role, collection.corpus.texts, store
    )


def given_rows(
    encoder: Encoder, collection: Collection, store: Store, progress: Progress = silent
) -> tuple[GivenRows, GivenRows]:
    """Vectors that a collection brings along, as an encoder's own; they stay in their files.

    They are used as they are where they are the encoder's, and with its head behind them where they are its trunk's.
    Captions of a sample, which are encoded, tell which of these they are nearest to: a head that was trained for a
    moment leaves them near to both. Vectors of pictures can only be held against the encoder's if there are pictures;
    they are taken to be of the same kind.

    Args:
        encoder: Whose vectors they are.
        collection: It brings vectors along.
        store: Where the sample's vectors are kept.
        progress: Told the characters encoded of all characters.

    Returns:
        Of captions, by row of the queries; and of pictures, by position in the corpus.

    Raises:
        InputError: If they are not the encoder's.
    """
    given = collection.given
    if given is None:
        raise InputError(f"collection {collection.name} brings no vectors along")
    spoken = np.flatnonzero([code != PICTURE for code in collection.queries.languages])
    rows = spoken[np.linspace(0, len(spoken) - 1, min(SAMPLE, len(spoken))).astype(int)]
    expected, sample = (
        unit_length(given.captions.take(given.queries[rows])),
        [collection.queries.texts[i] for i in rows],
    )
    text, picture = (encoder.text, encoder.picture) if isinstance(encoder, TwoTowers) else (encoder, encoder)
    alike, leads = [], []
    for (source, of_captions), (_, of_pictures) in zip(_sources(text), _sources(picture), strict=False):
        own = embed(source, "query", sample, store, progress)
        alike.append(float(np.median((own * expected).sum(axis=1))) if own.shape == expected.shape else 0.0)
        leads.append((of_captions, of_pictures))
    nearest = int(np.argmax(alike))
    if alike[nearest] < ALIKE:
        raise InputError(
            f"collection {collection.name}: its vectors ({expected.shape[1]} dimensions) are not those of "
            f"{encoder.name}; captions of a sample have a cosine of {alike[nearest]:.2f}, {ALIKE} is needed; give the "
            "encoder that made them"
        )
    of_captions, of_pictures = leads[nearest]
    captions = GivenRows(given.captions, given.queries, of_captions)
    return captions, GivenRows(given.pictures, given.documents, of_pictures)


def _sources(encoder: Encoder) -> Iterator[tuple[Encoder, Map]]:
    """The encoder and those that its vectors are derived from, each with what leads from theirs to the encoder's."""
    lead: Map = unchanged
    yield encoder, lead
    while (derived := _derived(encoder)) is not None:
        encoder, follow = derived
        lead = partial(one_after_other, follow, lead)
        yield encoder, lead


def _given(
    encoder: Encoder, collection: Collection, store: Store, progress: Progress
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """All vectors that a collection brings along, as `embed_collection` gives them; one array where both are one."""
    captions, pictures = given_rows(encoder, collection, store, progress)

    def side(languages: Sequence[str], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        pictured = np.array([code == PICTURE for code in languages])
        kinds = ((pictures, pictured), (captions, ~pictured))
        return _together(len(rows), [(of, source.of(rows[of])) for source, of in kinds])

    queries = side(collection.queries.languages, captions.rows)
    if collection.queries.languages == collection.corpus.languages and np.array_equal(captions.rows, pictures.rows):
        return queries, queries
    return queries, side(collection.corpus.languages, pictures.rows)


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
        Vectors, float32 (texts, dimension), of unit length if the encoder's similarity is cosine; to be read only, for
        they may be mapped from the store's file.

    Raises:
        InputError: If the encoder gives vectors with NaN or infinite numbers.
        StoreError: If the cache cannot be written.
    """
    if _are_apart(encoder, texts):
        return _embed_apart(encoder, role, texts, store, progress)
    file, lead = stored(encoder, role, texts, store, progress)
    try:
        vectors: NDArray[np.float32] = np.load(file, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise StoreError(f"{file}: cannot be read ({error}); delete its folder and run again") from error
    return vectors if lead is unchanged else np.concatenate(list(in_blocks(lead, vectors)))


def stored(
    encoder: Encoder, role: Role, texts: Sequence[str], store: Store, progress: Progress = silent
) -> tuple[Path, Map]:
    """The file of these texts' vectors, which are computed if the store lacks them, and what leads to the encoder's.

    The file holds the vectors of what the encoder's are derived from; `in_blocks` gives the encoder's own. Arguments
    and errors are those of `embed`; texts and pictures must not stand together.
    """
    if (derived := _derived(encoder)) is not None:
        source, follow = derived
        file, lead = stored(source, role, texts, store, progress)
        return file, follow if lead is unchanged else partial(one_after_other, lead, follow)
    key = embedding_key(encoder, role, texts)
    if store.get("embeddings", key) is None:
        shipped = shipped_vectors(key)
        if shipped is not None:
            write_entry(store, key, encoder, role, unit_length(shipped))
        else:
            encode_into(store, key, encoder, role, texts, progress)
    return store.path("embeddings", key) / VECTORS, unchanged


def are_in_one_file(encoder: Encoder, collection: Collection) -> bool:
    """Whether `stored` gives the vectors of a collection's candidates."""
    adjusted = isinstance(encoder, SentenceEncoder) and encoder.is_adjusted
    return not adjusted and collection.given is None and not _are_apart(encoder, collection.corpus.texts)


def is_embedded(encoder: Encoder, role: Role, texts: Sequence[str], store: Store) -> bool:
    """Whether `embed` finds these texts' vectors without encoding any."""
    if _are_apart(encoder, texts):
        pictures, others = _apart(texts)
        sources = (_tower(encoder, pictures), pictures), (_tower(encoder, others), others)
        return all(is_embedded(source, role, part, store) for source, part in sources if part)
    if (derived := _derived(encoder)) is not None:
        return is_embedded(derived[0], role, texts, store)
    key = embedding_key(encoder, role, texts)
    return store.get("embeddings", key) is not None or is_shipped(key)


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
    return _together(len(texts), parts)


def _together(count: int, parts: Sequence[tuple[NDArray[np.bool_], NDArray[np.float32]]]) -> NDArray[np.float32]:
    """Vectors in the order of the rows that each part says are its own."""
    whole = np.zeros((count, max((vectors.shape[1] for _, vectors in parts), default=0)), np.float32)
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
