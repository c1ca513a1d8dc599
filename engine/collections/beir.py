"""Reader of BEIR folders: `corpus.jsonl`, `queries.jsonl`, and judgements in `qrels/<split>.tsv`.

A relevant document that is not in the corpus can never be retrieved. It counts as missed, as in trec_eval, and is
counted in `Collection.absent`; in training it is passed over. A query that asks a question again in the same language,
in other words, stands as a question of its own, called by its `_id`.
"""

from __future__ import annotations

import math
from codecs import BOM_UTF8
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.collections.faults import LONE_SURROGATE, UNANSWERED, Faults, has_surrogate, json_rows, qrels_of
from engine.collections.languages import from_tag, is_tag
from engine.collections.splits import SplitChoice
from engine.collections.structures import Collection, Corpus, Queries
from engine.errors import InputError
from engine.storage.files import check_regular

CORPUS = "corpus.jsonl"
"""The file by which a BEIR folder is known."""

_FILES = (CORPUS, "queries.jsonl", "qrels")

_RESTATED = "restated"  # set in rows of queries that ask a question again in the same language

_Row = dict[str, Any]


@dataclass(frozen=True)
class _Parts:
    """Documents and queries in blocks of languages.

    Attributes:
        documents: Rows of the corpus.
        queries: Rows of the queries that have a relevant document.
        relevant: For each of the queries, the relevant rows of `documents`.
        absent: For each of the queries, how many relevant documents are not in the corpus.
        split: Which judgements were read.
    """

    documents: list[_Row]
    queries: list[_Row]
    relevant: list[list[int]]
    absent: list[int]
    split: str


def read_beir(folder: Path, name: str, faults: Faults, choice: SplitChoice) -> Collection:
    """Read a BEIR folder.

    Args:
        folder: It holds the corpus, the queries and the judgements.
        name: What to call the collection.
        faults: What to do about rows that cannot be used.
        choice: Which split to read.

    Raises:
        InputError: If a file is missing or has a fault, or there is no such split.
    """
    parts = _read_parts(folder, faults, choice)
    documents, queries = parts.documents, parts.queries
    return Collection(
        name=name,
        languages=tuple(sorted({row["lang"] for row in [*documents, *queries]})),
        queries=Queries(
            tuple(_id_of(row, "question") for row in queries),
            tuple(row["lang"] for row in queries),
            tuple(row["text"] for row in queries),
        ),
        corpus=Corpus(
            tuple(_id_of(row, "passage") for row in documents),
            tuple(row["lang"] for row in documents),
            tuple(f"{row['title']} {row['text']}".strip() if row.get("title") else row["text"] for row in documents),
        ),
        qrels=qrels_of(parts.relevant),
        skipped=faults.skipped,
        split=parts.split,
        own=_own_documents(parts),
        absent=np.array(parts.absent, np.int64) if any(parts.absent) else None,
        restated=frozenset(row["_id"] for row in queries if row.get(_RESTATED)),
    )


def beir_ids(
    folder: Path, *, skip_invalid: bool = False, split: str | None = None
) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """What a BEIR folder calls its queries and its documents.

    Args:
        folder: Any folder.
        skip_invalid: Leave rows with a fault out.
        split: Which judgements to read; None for the default of evaluation.

    Returns:
        The ids of the queries and of the candidates, in the order of what `read_collection` gives; None for a folder
        of another format.

    Raises:
        InputError: If a file has a fault.
    """
    if not (folder / CORPUS).exists():
        return None
    parts = _read_parts(folder, Faults(skip_invalid), SplitChoice(split))
    return tuple(row["_id"] for row in parts.queries), tuple(row["_id"] for row in parts.documents)


def _own_documents(parts: _Parts) -> np.ndarray | None:
    """For each query the document of the same `_id`, -1 where there is none; None if no id is shared.

    As `ignore_identical_ids` of BEIR's evaluation (https://github.com/beir-cellar/beir), but a document that is judged
    to answer its query stays: queries and documents are then numbered alike, and are not the same texts.
    """
    rows = {row["_id"]: i for i, row in enumerate(parts.documents)}
    own = np.array([rows.get(row["_id"], -1) for row in parts.queries], np.int64)
    own[[place in relevant for place, relevant in zip(own, parts.relevant, strict=True)]] = -1
    return own if (own >= 0).any() else None


def _read_parts(folder: Path, faults: Faults, choice: SplitChoice) -> _Parts:
    documents = _read_rows(folder / CORPUS, faults)
    queries = _read_rows(folder / "queries.jsonl", faults, version_of="question")
    documents.sort(key=lambda row: str(row["lang"]))
    queries.sort(key=lambda row: str(row["lang"]))
    split = choice.take(folder / "qrels", [file.stem for file in (folder / "qrels").glob("*.tsv")])
    ids = {row["_id"] for row in queries}, {row["_id"]: i for i, row in enumerate(documents)}
    file = folder / "qrels" / f"{split}.tsv"
    relevant, absent = _read_qrels(file, *ids, faults)
    if absent and not relevant:
        raise InputError(f"{file}: no relevant document is in the corpus; check that the ids agree")
    if choice.purpose == "training":
        absent = {}
    judged = [row for row in queries if row["_id"] in relevant or row["_id"] in absent]
    if len(judged) < len(queries):
        faults.counts[UNANSWERED] += len(queries) - len(judged)
    names = [row["_id"] for row in judged]
    missed = [len(absent.get(name, ())) for name in names]
    return _Parts(documents, judged, [relevant.get(name, []) for name in names], missed, split)


def _read_rows(file: Path, faults: Faults, version_of: str = "_id") -> list[_Row]:
    rows: list[_Row] = []
    ids: set[str] = set()
    versions: set[tuple[str, str]] = set()
    for place, row in _json_lines(file, faults):
        nested = row["metadata"].get("lang") if isinstance(row.get("metadata"), dict) else None
        tag = row.get("lang") or row.get("language") or nested
        language = from_tag(tag) if isinstance(tag, str) and is_tag(tag) else ""
        fault, version, again = _row_fault(row), (_id_of(row, version_of), language), False
        if version in versions:
            version, again = (_id_of(row, "_id"), language), True
        if fault is not None:
            faults.meet(place, *fault)
        elif not language:
            faults.meet(place, f"language {tag!r} is unknown", "`lang` must be a tag of BCP 47 such as de or pt-BR")
        elif row["_id"] in ids:
            faults.meet(place, "an _id occurs twice", "give every row its own _id")
        elif version in versions:
            expected = "give every query an _id that is no other query's question"
            faults.meet(place, "a question occurs twice in one language", expected)
        else:
            ids.add(row["_id"])
            versions.add(version)
            rows.append({**row, "lang": language, _RESTATED: again} | ({"question": row["_id"]} if again else {}))
    return rows


def _row_fault(row: _Row) -> tuple[str, str] | None:
    """What is wrong with the fields of a row, and what is expected."""
    if not isinstance(row.get("_id"), str) or not isinstance(row.get("text"), str):
        return "a row lacks `_id` or `text`", "expected strings in both"
    if not isinstance(row.get("title"), str | None):
        return "a `title` is not a string", "give it as a string, or leave it out"
    if not all(isinstance(row.get(name), str | int | None) for name in ("question", "passage")):
        return "a `question` or `passage` is not a string", "give the id as a string"
    if has_surrogate(*(row.get(name) for name in ("_id", "text", "title", "question", "passage"))):
        return LONE_SURROGATE, "write the whole character"
    if not f"{row.get('title') or ''}{row['text']}".strip():
        return "a text is empty", "give its text"
    return None


def _id_of(row: _Row, field: str) -> str:
    """The id in a field that a row need not have; its own `_id` where it is missing or empty."""
    value = row.get(field)
    return str(row.get("_id")) if value is None or value == "" else str(value)


def _read_qrels(
    file: Path, queries: set[str], documents: dict[str, int], faults: Faults
) -> tuple[dict[str, list[int]], dict[str, set[str]]]:
    """The relevant rows of `documents`, and relevant ids not among them, by query id; scores above 0 are relevant."""
    relevant: dict[str, set[int]] = {}
    absent: dict[str, set[str]] = {}
    with check_regular(file).open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip() or (number == 1 and line.lstrip(BOM_UTF8).startswith(b"query-id\t")):
                continue
            place, row = f"{file}:{number}", _judgement(line)
            if row is None:
                expected = "expected three columns by tabs, the score a finite number"
                faults.meet(place, "a line is not query-id, corpus-id, score", expected)
            elif row[0] not in queries:
                faults.meet(place, "a judgement names an unknown query", "check the id")
            elif row[2] > 0 and row[1] not in documents:
                absent.setdefault(row[0], set()).add(row[1])
            elif row[2] > 0:
                relevant.setdefault(row[0], set()).add(documents[row[1]])
    return {query: sorted(rows) for query, rows in relevant.items()}, absent


def _judgement(line: bytes) -> tuple[str, str, float] | None:
    try:
        query, document, score = line.decode("utf-8-sig").rstrip("\r\n").split("\t")[:3]
        value = float(score)
    except ValueError:
        return None
    return (query, document, value) if math.isfinite(value) else None


def _json_lines(file: Path, faults: Faults) -> Iterator[tuple[str, _Row]]:
    if not file.exists():
        raise InputError(f"{file}: no such file; a BEIR folder has {', '.join(_FILES)}")
    return json_rows(file, faults)
