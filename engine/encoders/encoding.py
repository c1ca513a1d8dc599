"""Encoding what the store lacks: each different text once, in shards that survive an interruption."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.collections.pictures import Picture
from engine.collections.structures import Role
from engine.encoders.encoder import Encoder
from engine.errors import InputError, StoreError
from engine.progress import Progress
from engine.storage.store import Store

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHARD_TEXTS = 512
VECTORS = "vectors.npy"


def encode_into(store: Store, key: str, encoder: Encoder, role: Role, texts: Sequence[str], progress: Progress) -> None:
    """Encode the different texts, longest first, shard by shard; then write all rows as one entry.

    Args:
        store: Where they go.
        key: The entry's key.
        encoder: What encodes.
        role: Whether the texts are queries or documents.
        texts: Texts, or pictures, in the order of the rows.
        progress: Told the characters encoded of all characters.

    Raises:
        InputError: If the encoder gives vectors with NaN or infinite numbers.
        StoreError: If the cache cannot be written.
    """
    different = sorted(set(texts), key=lambda text: (-len(text), text))
    place = {text: i for i, text in enumerate(different)}
    with store.partial("embeddings", key) as partial:
        try:
            shards = list(_shards(store, partial, encoder, role, different, progress))
            _join(store, key, encoder, role, shards, np.array([place[text] for text in texts]))
        except (StoreError, FileNotFoundError):
            if store.get("embeddings", key) is None:
                raise
            return  # another process has finished the entry and cleared the shards away
        store.discard_partial("embeddings", key)


def _shards(
    store: Store, folder: Path, encoder: Encoder, role: Role, different: Sequence[str], progress: Progress
) -> Iterator[Path]:
    """Encode texts that all differ, shard by shard, and give the shards' files."""
    kind = {"query": "queries", "document": "passages"}[role]
    stage = f"encode {'pictures' if isinstance(different[0], Picture) else kind}"
    total, done = sum(map(len, different)), 0
    for start in range(0, len(different), SHARD_TEXTS):
        part = different[start : start + SHARD_TEXTS]
        file = folder / f"{start:08d}.npy"
        if _read_shard(file, len(part)) is None:
            progress(stage, done, total)
            store.write_array(file, _in_range(encoder.encode(part, role), part, encoder))
        yield file
        done += sum(map(len, part))
    progress(stage, total, total)


def _join(
    store: Store, key: str, encoder: Encoder, role: Role, shards: Sequence[Path], rows: NDArray[np.int64]
) -> None:
    """Make the entry from its shards, one in memory at a time.

    Args:
        store: Where it goes.
        key: Its key.
        encoder: What has encoded.
        role: Whether the texts are queries or documents.
        shards: Files of vectors, which follow each other.
        rows: The row there of each row of the entry, int64 (texts,).
    """
    width = np.load(shards[0], mmap_mode="r").shape[1]
    order = np.argsort(rows, kind="stable")
    ascending = rows[order]
    with store.writing("embeddings", key, _about(encoder, role, (len(rows), width))) as folder:
        whole, start = folder / VECTORS, 0
        _allocate(whole, (len(rows), width))
        for shard in shards:
            vectors = np.load(shard)
            low, high = np.searchsorted(ascending, [start, start + len(vectors)])
            mapped = np.load(whole, mmap_mode="r+")  # mapped for a shard only: its pages would count as this process's
            mapped[order[low:high]] = vectors[ascending[low:high] - start]
            start += len(vectors)


def _allocate(file: Path, shape: tuple[int, int]) -> None:
    """Make a .npy file of float32 that has its room on the disk: on a full one this fails, and no later write does."""
    np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=shape)
    with file.open("r+b") as content:
        os.posix_fallocate(content.fileno(), 0, file.stat().st_size)


def write_entry(store: Store, key: str, encoder: Encoder, role: Role, vectors: NDArray[np.float32]) -> None:
    """Make the entry of an encoder's vectors, float32 (texts, dimension).

    Raises:
        StoreError: If the cache cannot be written.
    """
    with store.writing("embeddings", key, _about(encoder, role, vectors.shape)) as folder:
        store.write_array(folder / VECTORS, vectors)


def _about(encoder: Encoder, role: Role, shape: Sequence[int]) -> dict[str, object]:
    """What an entry's manifest says."""
    return {
        "encoder": encoder.name,
        "fingerprint": encoder.fingerprint,
        "role": role,
        "prompt": encoder.prompts[role],
        "max_length": encoder.max_length,
        "dtype": encoder.dtype,
        "shape": list(shape),
    }


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
