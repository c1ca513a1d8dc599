"""Evaluations, collections and checkpoints -> folders in the field's formats. A folder appears whole or not at all."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from engine.collections.catalog import SHIPPED, published_as
from engine.errors import InputError
from engine.evaluation.evaluate import Evaluation, evaluations, find_evaluation
from engine.exchange.beir import write_beir
from engine.exchange.files import write_json
from engine.exchange.ids import Names, open_evaluated_with_ids, open_named
from engine.exchange.imported import stored_names
from engine.exchange.lists import lists_of
from engine.exchange.mteb import write_result
from engine.exchange.runs import write_trec
from engine.exchange.sidecar import SIDECAR
from engine.exchange.tables import write_tables
from engine.storage.folders import output
from engine.storage.manifest import MANIFEST
from engine.storage.store import Store
from engine.training.model_card import CARD, card_of

FORMATS = {
    "trec": "TREC runs and judgements for each setting, and the language map",
    "beir": "the collection as a BEIR folder",
    "mteb": "scores by language pair as an MTEB result",
    "parquet": "ranks, top, pairs and settings as parquet",
    "csv": "the same as CSV",
}
"""What an evaluation can be written as."""

_SHORTEST_KEY = 6

logger = logging.getLogger(__name__)


def find_stored(
    store: Store, *, key: str | None = None, encoder: str | None = None, collection: str | None = None
) -> Evaluation:
    """A stored evaluation by its key, or the first digits of it; or by its encoder and its collection.

    Raises:
        InputError: If there is none, or several.
    """
    if key is not None:
        found = [e for e in evaluations(store) if e.key.startswith(key) and len(key) >= _SHORTEST_KEY]
        asked = f"evaluation {key!r}"
    else:
        found = [
            e for e in evaluations(store) if encoder in _names(e, "encoder") and collection in _names(e, "collection")
        ]
        asked = f"evaluation of {encoder} on {collection}"
    if len(found) != 1:
        keys = ", ".join(f"{e.key[:8]} ({e.manifest.encoder.name} on {e.manifest.collection.name})" for e in found)
        what = f"{len(found)} are stored: {keys}; give one's key" if found else "none is stored; evaluate first"
        raise InputError(f"{asked}: {what}")
    return find_evaluation(store, found[0].key)


def export_evaluation(
    evaluation: Evaluation,
    store: Store,
    out: Path,
    formats: Sequence[str] = tuple(FORMATS),
    *,
    force: bool = False,
    depth: int | None = None,
) -> list[Path]:
    """Write an evaluation; of several formats each into a folder of its own, named as the format.

    Args:
        evaluation: The evaluation.
        store: Where its collection is.
        out: The folder to make.
        formats: Names in `FORMATS`.
        force: Replace what an earlier export of the same formats left.
        depth: How many passages a list of a run holds; None for as many as the evaluation keeps.

    Returns:
        The files.

    Raises:
        InputError: If a format is unknown, the folder already exists, or the collection is needed but not at hand.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise InputError(f"format {unknown[0] if unknown else ''!r} is unknown; allowed are {', '.join(FORMATS)}")
    write: dict[str, Callable[[Path], None]] = {
        "trec": lambda folder: _write_trec(evaluation, store, folder, depth),
        "beir": lambda folder: write_beir(*open_evaluated_with_ids(evaluation, store), folder),
        "mteb": lambda folder: write_result(evaluation, folder),
        "parquet": lambda folder: write_tables(evaluation, folder, "parquet"),
        "csv": lambda folder: write_tables(evaluation, folder, "csv"),
    }
    with output(out, force=force) as made:
        for name in formats:
            folder = made / name if len(formats) > 1 else made
            folder.mkdir(exist_ok=True)
            write[name](folder)
            if name in ("parquet", "csv"):
                write_json(folder / SIDECAR, _sidecar(evaluation))
    return _files(out)


def export_collection(
    name: str, store: Store, out: Path, *, force: bool = False, skip_invalid: bool = False
) -> list[Path]:
    """Write a collection as a BEIR folder.

    Args:
        name: Catalog name or folder.
        store: Where fetched collections are.
        out: The folder to make.
        force: Replace an earlier export.
        skip_invalid: Leave unusable rows out.

    Returns:
        The files.

    Raises:
        InputError: If the collection cannot be read, or the folder already exists.
    """
    with output(out, force=force) as made:
        write_beir(*open_named(name, store, skip_invalid=skip_invalid), made)
    return _files(out)


def export_checkpoint(key: str, store: Store, out: Path, *, force: bool = False) -> list[Path]:
    """Write a checkpoint as a folder of its own, with a model card that has the results known in the store.

    Args:
        key: Its key, or the first digits of it.
        store: Where it is.
        out: The folder to make.
        force: Replace an earlier export.

    Returns:
        The files.

    Raises:
        InputError: If there is no such checkpoint, or the folder already exists.
    """
    found = [
        stored for stored, _ in store.entries("checkpoints") if stored.startswith(key) and len(key) >= _SHORTEST_KEY
    ]
    if len(found) != 1 or store.get("checkpoints", found[0]) is None:
        raise InputError(f"checkpoint {key!r}: {len(found)} are stored; give the key that training printed")
    source = store.path("checkpoints", found[0])
    with output(out, force=force) as made:
        left_out = shutil.ignore_patterns(MANIFEST, CARD)
        shutil.copytree(source, made, ignore=left_out, dirs_exist_ok=True)
        (made / CARD).write_text(card_of(source, evaluations(store)), encoding="utf-8")
    return _files(out)


def identify(evaluation: Evaluation, store: Store) -> Names:
    """What an evaluation's queries and passages are called outside.

    Raises:
        InputError: If its collection is not at hand.
    """
    stored = stored_names(store.path("ranks", evaluation.key))
    return stored if stored is not None else open_evaluated_with_ids(evaluation, store)[1]


def _write_trec(evaluation: Evaluation, store: Store, folder: Path, depth: int | None) -> None:
    names, lists = identify(evaluation, store), lists_of(evaluation, store, depth)
    write_trec(evaluation, names, lists, folder)
    runs: dict[str, Any] = {"depth": lists.depth}
    if lists.missing:
        runs["left_out"] = f"mono.run and cross.run are left out: {lists.missing}"
        logger.warning("%s", runs["left_out"])
    write_json(folder / SIDECAR, _sidecar(evaluation) | {"runs": runs})


def _sidecar(evaluation: Evaluation) -> dict[str, Any]:
    """What tells an import of what the files are; paths of this machine stay here."""
    manifest, opened = evaluation.manifest, evaluation.manifest.opened_as
    sidecar = {
        "evaluation": evaluation.key,
        "collection": manifest.collection.model_dump(mode="json"),
        "encoder": manifest.encoder.model_dump(mode="json", exclude={"dtype", "folder"}),
        "recipe": manifest.recipe,
        "top_k": manifest.top_k,
        "index": manifest.index,
    }
    if opened and (published_as(opened.collection) or opened.collection in SHIPPED):
        sidecar["opened_as"] = opened.model_dump(mode="json")
    return sidecar


def _names(evaluation: Evaluation, part: str) -> set[str]:
    name, opened = getattr(evaluation.manifest, part).name, evaluation.manifest.opened_as
    return {name, getattr(opened, part, None) or ""}


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
