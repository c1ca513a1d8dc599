"""Rows of a table file (jsonl, csv, tsv, parquet), one after the other, each with its place for errors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.collections.faults import Faults, json_rows
from engine.errors import InputError
from engine.storage.files import check_regular

ENDINGS = (".jsonl", ".csv", ".tsv", ".parquet")
"""Endings of the files that can be read."""


def table_rows(file: Path, faults: Faults) -> Iterator[tuple[str, dict[str, Any]]]:
    """The place of each row, file and line, and its fields by name.

    Args:
        file: A file with one of `ENDINGS`; csv and tsv have a line of names, and strings in all fields.
        faults: Met by lines of jsonl that are no object.

    Raises:
        InputError: If the file cannot be read.
    """
    if file.suffix == ".jsonl":
        yield from json_rows(file, faults)
        return
    import polars as pl

    try:
        check_regular(file)
        if file.suffix == ".parquet":
            frame = pl.read_parquet(file)
        else:
            frame = pl.read_csv(file, infer_schema=False, separator="\t" if file.suffix == ".tsv" else ",")
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{file}: cannot be read ({' '.join(str(error).split())[:160]}); write it again") from error
    for number, row in enumerate(frame.iter_rows(named=True), 2):
        yield f"{file}:{number}", row
