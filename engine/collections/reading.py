"""Reading a collection from a folder: the format is known from its files, and its own reader reads it.

Every fault names the file and the place. With `skip_invalid`, rows that cannot be used are left out and counted in
`Collection.skipped`; faults of a whole file still stop the reading.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from engine.collections.beir import CORPUS, read_beir
from engine.collections.captioned import captions_file, read_captioned
from engine.collections.embeddings import PICTURES, read_embeddings
from engine.collections.faults import Faults
from engine.collections.pair_filter import EVERY_PAIR, PairFilter
from engine.collections.pair_table import read_pairs, tables
from engine.collections.splits import SplitChoice
from engine.collections.structures import Collection
from engine.collections.webdataset import read_webdataset, shards
from engine.collections.xquad_r import read_xquad_r
from engine.errors import InputError

_USUAL = SplitChoice()


def read_collection(
    folder: Path,
    name: str | None = None,
    *,
    skip_invalid: bool = False,
    split: SplitChoice = _USUAL,
    pairs: PairFilter = EVERY_PAIR,
) -> Collection:
    """Read a collection from a folder.

    Args:
        folder: An XQuAD-R folder, a BEIR folder, captions beside pictures, webdataset shards, embeddings of
            clip-retrieval, or tables of pairs; which one is seen from its files. A table may be given as the file.
        name: What to call it; by default the folder's name.
        skip_invalid: Leave unusable rows out and count them instead of raising.
        split: Which judgements of a BEIR folder are read.
        pairs: Which pairs of shards or embeddings are taken; the language of a table that names none.

    Raises:
        InputError: If the folder is missing, holds none of these, a file has a fault, or a split or pairs are chosen
            where there is nothing to choose from.
    """
    folder, name = Path(folder), name or Path(folder).resolve().name
    if not folder.is_dir() and not tables(folder):
        raise InputError(
            f"{folder}: no such folder; give a folder with <language>.json files, a BEIR folder or a table of pairs"
        )
    try:
        if (folder / CORPUS).exists():
            pairs.refuse(folder)
            return read_beir(folder, name, Faults(skip_invalid), split)
        split.refuse(folder)
        if (folder / PICTURES).is_dir():
            return read_embeddings(folder, name, Faults(skip_invalid), pairs)
        if shards(folder):
            return read_webdataset(folder, name, Faults(skip_invalid), pairs)
        if files := tables(folder):
            replace(pairs, lang=None).refuse(folder)
            return read_pairs(files, name, Faults(skip_invalid), pairs.lang)
        pairs.refuse(folder)
        if captions_file(folder) is not None:
            return read_captioned(folder, name, Faults(skip_invalid))
        return read_xquad_r(folder, name, Faults(skip_invalid))
    except OSError as error:
        raise InputError(
            f"{error.filename}: cannot be read ({error.strerror}); check it and its permissions"
        ) from error
