"""What a file from elsewhere is: its content says it, never its name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import islice
from pathlib import Path
from typing import Literal

import polars as pl

from engine.errors import InputError
from engine.exchange.files import read_json, words
from engine.ranks.schema import RANKS, TOP
from engine.storage.files import open_bytes

Kind = Literal["run", "qrels", "languages", "ranks", "top", "scores", "result", "meta", "sidecar", "zip"]

DESCRIPTIONS: Mapping[Kind, str] = {
    "run": "a TREC run",
    "qrels": "judgements",
    "languages": "a language map",
    "ranks": "a frame of ranks",
    "top": "the lists of an evaluation",
    "scores": "a table of scores",
    "result": "an MTEB result",
    "meta": "the description of a model",
    "sidecar": "the description of an export",
    "zip": "a zip archive",
}
"""How each kind is called in messages."""

EXPECTED = "a TREC run with judgements, a frame of ranks, or an MTEB result"

_START = 2**16  # bytes
_LINES = 5  # that are looked at
_COLUMNS = 3  # of a frame of ranks, that tell one from which others are missing


def kind_of(file: Path) -> Kind | None:
    """The kind of a file; None if it is of no known kind.

    Raises:
        InputError: If it is no regular file, or cannot be read.
    """
    try:
        with open_bytes(file) as opened:
            start = opened.read(_START)
        if start.startswith(b"PK\x03\x04"):
            return "zip"
        if start.startswith(b"PAR1"):
            return _of_columns(pl.read_parquet_schema(file))
    except (OSError, EOFError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise InputError(f"{file}: cannot be read ({type(error).__name__}); give an existing, whole file") from error
    text = start.decode("utf-8-sig", "ignore")
    if b"\0" in start or not text.strip():
        return None
    if text.lstrip()[0] in "{[":
        return _of_json(file)
    lines = [line for line in islice(text.splitlines(), _LINES) if line.strip()]
    kinds = (_of_columns(lines[0].split(",")), *map(_of_line, lines))
    return next((kind for kind in kinds if kind), None)


def _of_columns(columns: Collection[str]) -> Kind | None:
    names = {name.strip('"') for name in columns}
    if {*TOP} <= names and "rank_in_pool" not in names:
        return "top"
    if {"map", "hit@1"} <= names:
        return "scores"
    return "ranks" if len({*RANKS} & names) >= _COLUMNS else None


def _of_json(file: Path) -> Kind:
    """What JSON is no description is read as an MTEB result, which says what is wrong with it."""
    try:
        content = read_json(file)
    except InputError:
        return "result"
    keys = {*content} if isinstance(content, dict) else set()
    if {"collection", "encoder"} <= keys:
        return "sidecar"
    return "meta" if "name" in keys and not {"scores", "task_name", "mteb_dataset_name"} & keys else "result"


def _of_line(line: str) -> Kind | None:
    cells, parts = line.split("\t"), words(line)
    if cells[0] in ("kind", "query", "document") and len(cells) in (3, 4):
        return "languages"
    if parts[0] == "query-id" or len(parts) < 3:
        return "qrels" if parts[0] == "query-id" else None
    if parts[1] == "Q0" or (len(parts) == 6 and _is_number(parts[3]) and _is_number(parts[4])):
        return "run"
    return "qrels" if len(parts) in (3, 4) and _is_number(parts[-1]) else None


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
