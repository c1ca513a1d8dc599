"""Evaluations that come with the project: read from, and written to, their packed form.

Beside the entries, `judgements/<collection digest>.parquet` holds what the evaluations of a collection share.
"""

from __future__ import annotations

import json
import lzma
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from engine.errors import InputError
from engine.evaluation.manifest import EvaluationManifest, PackedAs
from engine.evaluation.packed import (
    Ranks,
    judgements_of,
    pack_ranks,
    pack_top,
    ranks_frame,
    top_frame,
    unpack_ranks,
    unpack_top,
)
from engine.ranks.schema import TOP
from engine.storage.manifest import read_manifest, write_manifest
from engine.storage.store import Store

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_RANKS, _TOP, _SCORES = "ranks.xz", "top.xz", "scores.json.xz"
_DIGITS = 5
"""Significant digits of the scores that are kept."""


@dataclass(frozen=True, slots=True, eq=False)
class Models:
    """What an evaluation is packed against.

    Attributes:
        ranks: Ranks of a like evaluation; None for none.
        top: First places of a like evaluation, int64 (queries, places); None for none.
    """

    ranks: Ranks | None = None
    top: NDArray[np.int64] | None = None


NO_MODELS = Models()


def read_ranks(key: str, manifest: EvaluationManifest, store: Store) -> pl.DataFrame:
    """The frame of schema `RANKS` of a packed evaluation; scores are NaN.

    Raises:
        InputError: If a file is missing or damaged.
    """
    return ranks_frame(_ranks_at(store.path("ranks", key).parent, key), _judgements(key, manifest, store))


def read_top(key: str, manifest: EvaluationManifest, store: Store) -> pl.DataFrame:
    """The frame of schema `TOP` of a packed evaluation; empty if it was packed without; scores are NaN.

    Raises:
        InputError: If a file is missing or damaged.
    """
    packed = _packed(manifest)
    if not packed.places:
        return pl.DataFrame(schema=TOP)
    languages = manifest.collection.document_languages or manifest.collection.languages
    judgements = _judgements(key, manifest, store)
    docs = _top_at(store.path("ranks", key).parent, key, manifest.collection.queries)
    return top_frame(docs, judgements, lambda doc: languages[bisect_right(packed.starts, doc) - 1])


def read_scores(folder: Path) -> dict[str, Any]:
    """What `as_json` gave for a packed evaluation, to five significant digits.

    Raises:
        InputError: If the file is missing or damaged.
    """
    try:
        scores: dict[str, Any] = json.loads(lzma.decompress(_bytes(folder / _SCORES)))
    except (lzma.LZMAError, ValueError) as error:
        raise InputError(f"{folder / _SCORES}: cannot be read ({error}); install the project again") from error
    return scores


def write_packed(
    folder: Path,
    manifest: EvaluationManifest,
    ranks: pl.DataFrame,
    top: pl.DataFrame,
    scores: dict[str, Any],
    models: Models = NO_MODELS,
    place: int = 0,
) -> None:
    """Write an entry for the project: manifest, packed ranks, first places, scores, and its collection's judgements.

    Args:
        folder: `<root>/ranks/<key>`, which does not exist yet.
        manifest: With `packed`.
        ranks: Frame of schema `RANKS`.
        top: Frame of schema `TOP`.
        scores: What `as_json` gave.
        models: Of the evaluations that `manifest.packed` names.
        place: Of the entry among those that ship: later ones are listed later.

    Raises:
        InputError: If there is another evaluation's judgements under the collection's digest.
    """
    judgements, file = judgements_of(ranks), _judgements_file(folder.parent, manifest)
    if file.is_file():
        if not pl.read_parquet(file).equals(judgements):
            raise InputError(f"{file}: holds other judgements; remove the folder and build it again")
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        judgements.write_parquet(file, compression="zstd", compression_level=19, statistics=False)
    folder.mkdir(parents=True)
    packed = _packed(manifest)
    (folder / _RANKS).write_bytes(pack_ranks(ranks, models.ranks))
    if packed.places:
        (folder / _TOP).write_bytes(pack_top(top, packed.places, models.top))
    text = json.dumps(_rounded(scores), ensure_ascii=False, separators=(",", ":"))
    (folder / _SCORES).write_bytes(lzma.compress(text.encode(), preset=9))
    write_manifest(folder, {**manifest.values(), "created": float(place)}, indent=None)


@lru_cache(maxsize=8)
def _ranks_at(folder: Path, key: str) -> Ranks:
    packed, raw = _read_packed(folder / key), _bytes(folder / key / _RANKS)
    return unpack_ranks(raw, _ranks_at(folder, packed.model) if packed.model else None)


@lru_cache(maxsize=4)
def _top_at(folder: Path, key: str, queries: int) -> NDArray[np.int64]:
    packed, raw = _read_packed(folder / key), _bytes(folder / key / _TOP)
    model = _top_at(folder, packed.top_model, queries) if packed.top_model else None
    return unpack_top(raw, queries, packed.places, model)


@lru_cache(maxsize=4)
def _judgements_at(file: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(file)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{file}: cannot be read as parquet ({error}); install the project again") from error


def _judgements(key: str, manifest: EvaluationManifest, store: Store) -> pl.DataFrame:
    return _judgements_at(_judgements_file(store.path("ranks", key).parent, manifest))


def _judgements_file(folder: Path, manifest: EvaluationManifest) -> Path:
    return folder.parent / "judgements" / f"{manifest.collection.digest}.parquet"


def _read_packed(folder: Path) -> PackedAs:
    return _packed(EvaluationManifest.read(read_manifest(folder), f"evaluation {folder.name[:12]}"))


def _packed(manifest: EvaluationManifest) -> PackedAs:
    if manifest.packed is None:
        raise InputError("the evaluation is not packed")
    return manifest.packed


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror}); install the project again") from error


def _rounded(value: Any) -> Any:  # noqa: ANN401 - plain JSON values
    """The same values with fewer digits."""
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    return [_rounded(part) for part in value] if isinstance(value, list) else value
