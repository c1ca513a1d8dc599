"""Opening a collection by its name: one that was fetched, one that comes with the project, or a folder."""

from __future__ import annotations

from pathlib import Path

from engine.collections.catalog import COLLECTIONS, SHIPPED, fetched_folder, shipped_folder
from engine.collections.faults import Faults
from engine.collections.gallery import GALLERY, gallery
from engine.collections.miracl import read_miracl
from engine.collections.miracl_source import SPLITS, find_miracl, is_miracl
from engine.collections.pair_filter import PairFilter
from engine.collections.pair_table import tables
from engine.collections.picture_sets import PICTURE_SETS, read_picture_set
from engine.collections.reading import read_collection
from engine.collections.rows import ENDINGS
from engine.collections.splits import Purpose, SplitChoice
from engine.collections.structures import Collection
from engine.errors import InputError
from engine.storage.store import Store


def open_collection(
    name: str,
    store: Store,
    *,
    every: int = 1,
    skip_invalid: bool = False,
    split: str | None = None,
    purpose: Purpose = "evaluation",
) -> Collection:
    """Read a collection.

    Args:
        name: A catalog name that has been fetched (of MIRACL with its languages, `miracl:bn+sw`), a table of pairs, or
            a folder (of pairs from the web with a filter, `laion:languages=de+en:similarity=0.28`).
        store: Where fetched collections are.
        every: Keep every n-th paragraph only; 1 keeps all.
        skip_invalid: Leave unusable rows out and count them.
        split: Which judgements of a BEIR folder or of MIRACL are read; None for the usual ones.
        purpose: What for: evaluation reads test (else dev, validation), training reads train.

    Raises:
        InputError: If it is not fetched, is no folder, or cannot be read.
    """
    place, pairs = PairFilter.parse(name)
    if name in GALLERY:
        return gallery("gallery" if name == "gallery" else "gallery-train").every(every)
    choice = SplitChoice(split, purpose)
    if is_miracl(name):
        taken = choice.take(Path(name), SPLITS)
        return read_miracl(name, find_miracl(name, taken, store), taken, Faults(skip_invalid)).every(every)
    if place in PICTURE_SETS:
        for each in (pairs, choice):
            each.refuse(Path(name))
        return read_picture_set(place, store, Faults(skip_invalid)).every(every)
    folder = _folder_of(place, store)
    path = folder.resolve()
    own = path.stem if path.is_file() else path.name
    given = pairs.name(place if place in COLLECTIONS or place in SHIPPED else own)
    return read_collection(folder, given, skip_invalid=skip_invalid, split=choice, pairs=pairs).every(every)


def _folder_of(name: str, store: Store) -> Path:
    if name in COLLECTIONS:
        folder = fetched_folder(name, store)
        if folder is None:
            raise InputError(
                f"collection {name}: not fetched yet; run `python -m engine fetch {name}` "
                f"(without network: `python -m engine fetch {name} --from DIR`)"
            )
        return folder
    if name in SHIPPED:
        return shipped_folder(name)
    if not Path(name).is_dir() and not tables(Path(name)):
        known = [*SHIPPED, *GALLERY, *COLLECTIONS, *PICTURE_SETS]
        raise InputError(
            f"collection {name!r}: neither a folder nor one of {', '.join(known)}, nor a "
            f"table of pairs ({', '.join(ENDINGS)})"
        )
    return Path(name)
