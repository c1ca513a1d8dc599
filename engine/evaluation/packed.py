"""Ranks in their most compact form: how evaluations that come with the project are kept.

A packed evaluation holds no scores, and no ids: its rows are those of a frame of judgements that all evaluations of the
collection share. Ranks are written as differences from another evaluation's, its model, in the order of the model's
ranks, so that numbers of one size stand together; the first places as positions in the model's. Both are exact.
"""

from __future__ import annotations

import lzma
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from engine.errors import InputError
from engine.ranks.schema import RANKS, TOP

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9, "lc": 4, "lp": 0, "pb": 0}]
_KEYS = ("query_lang", "question", "doc_lang", "doc")
_QUERY = ("query_lang", "question")
_LARGEST = 2**16 - 1


@dataclass(frozen=True, slots=True, eq=False)
class Ranks:
    """The ranks of one evaluation.

    Attributes:
        in_language: int64 (judgements,).
        in_pool: int64 (judgements,).
    """

    in_language: NDArray[np.int64]
    in_pool: NDArray[np.int64]


def judgements_of(ranks: pl.DataFrame) -> pl.DataFrame:
    """What evaluations of one collection share: the judged queries and passages, in the order of packed ranks."""
    return ranks.select(_KEYS).sort(_KEYS)


def as_ranks(ranks: pl.DataFrame) -> Ranks:
    """The ranks of a frame of schema `RANKS`, in the order of `judgements_of`."""
    ordered = ranks.sort(_KEYS)
    return Ranks(*(ordered[name].to_numpy().astype(np.int64) for name in ("rank_in_language", "rank_in_pool")))


def pack_ranks(ranks: pl.DataFrame, model: Ranks | None) -> bytes:
    """Pack a frame of schema `RANKS`.

    Args:
        ranks: The frame; its scores are not kept.
        model: Ranks of a like evaluation of the same collection; None if there is none.

    Raises:
        InputError: If a rank is above 65,535.
    """
    own = as_ranks(ranks)
    if max(int(column.max(initial=0)) for column in (own.in_language, own.in_pool)) > _LARGEST:
        raise InputError(f"ranks up to {_LARGEST} can be packed; this pool is larger")
    model = model or _nothing(len(own.in_pool))
    by_pool, by_language = own.in_pool - model.in_pool, own.in_language - model.in_language
    parts = [by_pool[_pool_order(model)], by_language[_language_order(model, by_pool)]]
    return lzma.compress(b"".join(_planes(_zigzag(part)) for part in parts), lzma.FORMAT_XZ, filters=_FILTERS)


def unpack_ranks(packed: bytes, model: Ranks | None) -> Ranks:
    """Undo `pack_ranks`, given the same model.

    Raises:
        InputError: If the bytes are not packed ranks, or not with this model.
    """
    raw = _decompressed(packed)
    rows = len(raw) // 8
    if len(raw) != 8 * rows or (model is not None and len(model.in_pool) != rows):
        raise InputError("packed ranks have the wrong length; install the project again")
    model = model or _nothing(rows)
    by_pool, by_language = np.empty(rows, np.int64), np.empty(rows, np.int64)
    by_pool[_pool_order(model)] = _unzigzag(_from_planes(raw[: 4 * rows]))
    by_language[_language_order(model, by_pool)] = _unzigzag(_from_planes(raw[4 * rows :]))
    return Ranks(by_language + model.in_language, by_pool + model.in_pool)


def ranks_frame(ranks: Ranks, judgements: pl.DataFrame) -> pl.DataFrame:
    """A frame of schema `RANKS` from unpacked ranks; scores are NaN.

    Args:
        ranks: What `unpack_ranks` gave.
        judgements: What `judgements_of` gave.
    """
    return judgements.with_columns(
        pl.Series("rank_in_language", ranks.in_language, pl.Int32),
        pl.Series("rank_in_pool", ranks.in_pool, pl.Int32),
        score=pl.lit(float("nan"), pl.Float32),
    ).select(pl.col(name).cast(kind) for name, kind in RANKS.items())


def pack_top(top: pl.DataFrame, places: int, model: NDArray[np.int64] | None) -> bytes:
    """Pack the first places of a frame of schema `TOP`.

    Args:
        top: The frame; every query has as many places.
        places: How many of them are kept.
        model: First places of a like evaluation, int64 (queries, places); None if there is none.
    """
    docs = top_docs(top, places)
    if model is None:
        return lzma.compress(_planes(docs.ravel()), lzma.FORMAT_XZ, filters=_FILTERS)
    same = docs[:, :, None] == model[:, None, :]
    place = np.where(same.any(axis=2), same.argmax(axis=2), places).astype(np.uint8)
    raw = place.tobytes() + _planes(docs[place == places])
    return lzma.compress(raw, lzma.FORMAT_XZ, filters=_FILTERS)


def unpack_top(packed: bytes, queries: int, places: int, model: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """Undo `pack_top`: positions in the pool, int64 (queries, places).

    Raises:
        InputError: If the bytes are not packed places, or not with this model.
    """
    raw, cells = _decompressed(packed), queries * places
    try:
        if model is None:
            return _from_planes(raw).reshape(queries, places)
        place = np.frombuffer(raw[:cells], np.uint8).reshape(queries, places)
        docs = np.take_along_axis(model, np.minimum(place, places - 1).astype(np.int64), axis=1)
        docs[place == places] = _from_planes(raw[cells:])
    except ValueError as error:
        raise InputError("packed first places have the wrong length; install the project again") from error
    return docs


def top_docs(top: pl.DataFrame, places: int) -> NDArray[np.int64]:
    """The first places of a frame of schema `TOP`, int64 (queries, places), queries by language and question."""
    first = top.filter(pl.col("rank") <= places).sort(*_QUERY, "rank")
    docs: NDArray[np.int64] = first["doc"].to_numpy().astype(np.int64).reshape(-1, places)
    return docs


def top_frame(docs: NDArray[np.int64], judgements: pl.DataFrame, language_of: Callable[[int], str]) -> pl.DataFrame:
    """A frame of schema `TOP` from unpacked places; scores are NaN.

    Args:
        docs: What `unpack_top` gave.
        judgements: What `judgements_of` gave.
        language_of: The language of a position in the pool.
    """
    queries = judgements.select(_QUERY).unique(maintain_order=True)
    count, places = docs.shape
    rows = np.repeat(np.arange(count), places)
    languages = {int(doc): language_of(int(doc)) for doc in np.unique(docs)}
    return (
        queries[rows]
        .with_columns(
            pl.Series("rank", np.tile(np.arange(1, places + 1), count), pl.Int32),
            pl.Series("doc", docs.ravel(), pl.Int32),
            pl.Series("doc_lang", [languages[doc] for doc in docs.ravel().tolist()]),
            score=pl.lit(float("nan"), pl.Float32),
        )
        .select(list(TOP))
    )


def _nothing(rows: int) -> Ranks:
    """The model of ranks that have none."""
    return Ranks(*(np.zeros(rows, np.int64),) * 2)


def _pool_order(model: Ranks) -> NDArray[np.intp]:
    return np.lexsort((model.in_language, model.in_pool))


def _language_order(model: Ranks, by_pool: NDArray[np.int64]) -> NDArray[np.intp]:
    """Ranks in a language vary with the model's, and with how far the rank in the pool is from the model's."""
    return np.lexsort((by_pool, model.in_language))


def _zigzag(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.where(numbers >= 0, 2 * numbers, -2 * numbers - 1)


def _unzigzag(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.where(numbers % 2 == 0, numbers // 2, -(numbers + 1) // 2)


def _planes(numbers: NDArray[np.int64]) -> bytes:
    """Numbers below 2 ** 32 as four bytes each: all lowest bytes first, then all second ones, and so on."""
    return np.ascontiguousarray(numbers.astype("<u4").view(np.uint8).reshape(-1, 4).T).tobytes()


def _from_planes(raw: bytes) -> NDArray[np.int64]:
    """Undo `_planes`.

    Raises:
        ValueError: If the bytes do not make up whole numbers.
    """
    planes = np.frombuffer(raw, np.uint8).reshape(4, -1)
    return np.ascontiguousarray(planes.T).view("<u4").ravel().astype(np.int64)


def _decompressed(packed: bytes) -> bytes:
    try:
        return lzma.decompress(packed)
    except lzma.LZMAError as error:
        raise InputError(f"packed ranks cannot be read ({error}); install the project again") from error
