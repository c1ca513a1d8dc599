"""Reader of embedding folders as clip-retrieval writes them, in which LAION-5B was published.

`img_emb/img_emb_0.npy`, `text_emb/text_emb_0.npy` and `metadata/metadata_0.parquet`, and so on by number: in the same
row of the three stand a picture's vector, its caption's vector, and the caption with what else is known. Vectors stay
in their files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.collections.captions import Item, picture_collection
from engine.collections.faults import Faults
from engine.collections.given import Given
from engine.collections.pair_filter import (
    KNOWN_LANGUAGE,
    LANGUAGE,
    OUTSIDE,
    SCORES,
    UNKNOWN_LANGUAGE,
    PairFilter,
    usable_caption,
)
from engine.collections.pictures import PICTURE, UnseenPicture
from engine.collections.structures import Collection
from engine.errors import InputError
from engine.storage.digest import digest, file_digest
from engine.storage.files import check_regular
from engine.storage.shards import Shards

PICTURES = "img_emb"
"""Folder of the pictures' vectors, by which such a folder is known."""

BAD_VECTOR = "a vector is zero or has numbers that are not finite"

_CAPTION = "caption"
_BLOCK = 4096  # rows whose vectors are read at a time


@dataclass(frozen=True, slots=True)
class _Part:
    """The three files of one number, and the row that they begin with."""

    pictures: Path
    captions: Path
    metadata: Path
    first: int = 0


@dataclass(frozen=True, slots=True)
class _Pair:
    """A pair that is taken: its row, and its caption."""

    row: int
    language: str
    caption: str


def read_embeddings(folder: Path, name: str, faults: Faults, pairs: PairFilter) -> Collection:
    """Read captions and the places of their vectors and their pictures' vectors.

    Pictures with equal vectors are one picture.

    Args:
        folder: It holds the three folders.
        name: What to call the collection.
        faults: What to do about pairs that cannot be used.
        pairs: Which pairs are taken, and the language of captions that name none.

    Raises:
        InputError: If a file is missing or cannot be read, the files of a number do not have equally many rows, a pair
            cannot be used and such are not left out, or nothing is left.
    """
    parts = _parts(folder)
    captions, pictures = Shards([part.captions for part in parts]), Shards([part.pictures for part in parts])
    fingerprint = digest(*[file_digest(file) for part in parts for file in (part.captions, part.pictures)])

    def given(rows: np.ndarray) -> Given:
        return Given(captions, pictures, fingerprint, rows, rows)

    return picture_collection(name, _items(parts, captions, pictures, faults, pairs), faults, given=given)


def _parts(folder: Path) -> list[_Part]:
    """The files of every number in order."""
    numbers = [re.fullmatch(r"img_emb_(\d+)\.npy", file.name) for file in (folder / PICTURES).glob("*.npy")]
    found = sorted((int(number[1]), number[1]) for number in numbers if number)
    if not found:
        raise InputError(f"{folder / PICTURES}: holds no img_emb_0.npy; give a folder as clip-retrieval writes it")
    parts, first = [], 0
    for _, number in found:
        part = _Part(
            folder / PICTURES / f"img_emb_{number}.npy",
            folder / "text_emb" / f"text_emb_{number}.npy",
            folder / "metadata" / f"metadata_{number}.parquet",
            first,
        )
        if not part.captions.is_file():
            raise InputError(f"{part.captions}: no such file; captions must be embedded too (enable_text)")
        rows, others = Shards([part.pictures]).shape[0], Shards([part.captions]).shape[0]
        if rows != others:
            raise InputError(f"{part.captions}: has {others} rows, {part.pictures.name} has {rows}; fetch both again")
        parts.append(part)
        first += rows
    return parts


def _items(
    parts: Sequence[_Part], captions: Shards, pictures: Shards, faults: Faults, pairs: PairFilter
) -> Iterator[Item]:
    """Every caption that is taken, and before its first caption every picture."""
    subjects: dict[str, str] = {}
    for number, part in enumerate(parts):
        stop = parts[number + 1].first if number + 1 < len(parts) else captions.shape[0]
        taken = list(_taken(part, stop - part.first, faults, pairs))
        for start in range(0, len(taken), _BLOCK):
            block = taken[start : start + _BLOCK]
            rows = np.array([pair.row for pair in block], np.int64) + part.first
            shown = pictures.take(rows)
            usable = _are_usable(shown) & _are_usable(captions.take(rows))
            for pair, row, vector, fits in zip(block, rows.tolist(), shown, usable, strict=True):
                if not fits:
                    faults.meet(f"{part.pictures}, row {pair.row}", BAD_VECTOR, "embed it again")
                    continue
                picture = UnseenPicture(vector.tobytes(), part.pictures)
                subject = subjects.get(picture)
                if subject is None:
                    subject = subjects[picture] = str(row)
                    yield Item(subject, PICTURE, picture, row)
                yield Item(subject, pair.language, pair.caption, row)


def _are_usable(vectors: np.ndarray) -> np.ndarray:
    usable: np.ndarray = np.isfinite(vectors).all(axis=1) & vectors.any(axis=1)
    return usable


def _taken(part: _Part, rows: int, faults: Faults, pairs: PairFilter) -> Iterator[_Pair]:
    """The pairs of a part that are taken, by their metadata."""
    import polars as pl

    file = check_regular(part.metadata)
    try:
        known = pl.read_parquet_schema(file)
        if missing := [name for name in (_CAPTION, *pairs.fields) if name not in known]:
            raise InputError(f"{file}: has no column {missing[0]}; give a whole folder, or leave the filter by it out")
        frame = pl.read_parquet(file, columns=[name for name in (_CAPTION, LANGUAGE, *SCORES) if name in known])
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{file}: cannot be read ({' '.join(str(error).split())[:160]}); fetch it again") from error
    if frame.height != rows:
        raise InputError(f"{file}: has {frame.height} rows, {part.pictures.name} has {rows}; fetch both again")
    for number, row in enumerate(frame.iter_rows(named=True)):
        if not pairs.takes(row):
            faults.counts[OUTSIDE] += 1
            continue
        place, language = f"{file}, row {number}", pairs.language(row)
        if language is None:
            faults.meet(place, UNKNOWN_LANGUAGE, KNOWN_LANGUAGE)
        elif (caption := usable_caption(row[_CAPTION], place, faults)) is not None:
            yield _Pair(number, language, caption)
