"""Reader of MIRACL's official layout: topics and judgements in TSV, the corpus in shards of JSON lines, by language.

```
miracl-v1.0-sw/topics/topics.miracl-v1.0-sw-dev.tsv     query id, question
miracl-v1.0-sw/qrels/qrels.miracl-v1.0-sw-dev.tsv       query id, Q0, docid, 1 or 0
miracl-corpus-v1.0-sw/docs-0.jsonl.gz, ...              docid, title, text
```

Zhang et al. 2023, TACL, arXiv 2210.09984. Questions of different languages are not parallel, so an id stands for a
question of one language only. A judgement of 0 is a negative. A passage's text is its title, a space and its text, as
in Pyserini's dense baselines for MIRACL. The docid `39#0` is the first passage of article 39.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.collections.faults import LONE_SURROGATE, UNANSWERED, Faults, has_surrogate, parse_json, qrels_of
from engine.collections.languages import from_tag
from engine.collections.structures import Collection, Corpus, Queries
from engine.errors import InputError
from engine.storage.files import open_bytes

_MISSING_DOCUMENT = "a relevant document is not in the corpus"
_SHARD = re.compile(r"docs-(\d+)\.jsonl(\.gz)?")


@dataclass(frozen=True, slots=True)
class LanguageFiles:
    """Where a language's part of the collection is.

    Attributes:
        language: MIRACL's code of the language.
        corpus: The corpus's shards, in order.
        topics: The questions.
        qrels: The judgements.
    """

    language: str
    corpus: tuple[Path, ...]
    topics: Path
    qrels: Path


@dataclass(slots=True)
class _Rows:
    """Queries, candidates and relevant rows of all languages while they are read."""

    queries: list[tuple[str, str, str]]  # (question, language, text)
    documents: list[tuple[str, str, str]]  # (passage, language, text)
    relevant: list[list[int]]


def corpus_name(language: str) -> str:
    """Name of the folder that holds a language's corpus."""
    return f"miracl-corpus-v1.0-{language}"


def topics_name(language: str, split: str) -> str:
    """Path of a split's questions."""
    return f"miracl-v1.0-{language}/topics/topics.miracl-v1.0-{language}-{split}.tsv"


def qrels_name(language: str, split: str) -> str:
    """Path of a split's judgements."""
    return f"miracl-v1.0-{language}/qrels/qrels.miracl-v1.0-{language}-{split}.tsv"


def shards(folder: Path) -> tuple[Path, ...]:
    """The shards of a corpus in the order of their numbers.

    Raises:
        InputError: If there is none, or a number is missing or occurs twice.
    """
    numbered = sorted((int(match[1]), file) for file in folder.glob("docs-*") if (match := _SHARD.fullmatch(file.name)))
    if [number for number, _ in numbered] != list(range(len(numbered))) or not numbered:
        names = ", ".join(file.name for _, file in numbered) or "none"
        raise InputError(f"{folder}: expected the shards docs-0.jsonl.gz, docs-1.jsonl.gz, ..., found {names}")
    return tuple(file for _, file in numbered)


def read_miracl(name: str, parts: Sequence[LanguageFiles], split: str, faults: Faults) -> Collection:
    """Read a collection in MIRACL's layout.

    Args:
        name: What to call it.
        parts: The files of each language.
        split: Which split the files are of.
        faults: What to do about rows that cannot be used.

    Raises:
        InputError: If a file is missing, is cut short, or has a fault.
    """
    rows = _Rows([], [], [])
    codes = {part.language: from_tag(part.language) for part in parts}
    for part in sorted(parts, key=lambda part: codes[part.language]):
        _read_language(part, codes[part.language], rows, faults)
    return Collection(
        name=name,
        languages=tuple(sorted(codes.values())),
        queries=Queries(*_columns(rows.queries)),
        corpus=Corpus(*_columns(rows.documents)),
        qrels=qrels_of(rows.relevant),
        skipped=faults.skipped,
        split=split,
    )


def _read_language(part: LanguageFiles, code: str, rows: _Rows, faults: Faults) -> None:
    topics = _read_topics(part.topics, faults)
    places: dict[str, int] = {}
    for docid, text in _read_corpus(part.corpus, faults):
        if docid in places:
            faults.meet(str(part.corpus[0].parent), f"docid {docid!r} occurs twice", "expected each docid once")
            continue
        places[docid] = len(rows.documents)
        rows.documents.append((f"{code}/{docid.partition('#')[0]}", code, text))
    relevant = _read_qrels(part.qrels, topics, places, faults)
    for query, text in topics.items():
        if query in relevant:
            rows.queries.append((f"{code}/{query}", code, text))
            rows.relevant.append(sorted(relevant[query]))
    if idle := len(topics) - len(relevant):
        faults.counts[UNANSWERED] += idle


def _read_topics(file: Path, faults: Faults) -> dict[str, str]:
    topics: dict[str, str] = {}
    for place, cells in _table(file):
        if len(cells) != 2 or not all(cell.strip() for cell in cells):
            faults.meet(place, f"a line has {len(cells)} columns", "expected query id and question by a tab")
        elif cells[0] in topics:
            faults.meet(place, f"query {cells[0]!r} occurs twice", "expected one question for each id")
        else:
            topics[cells[0]] = cells[1]
    return topics


def _read_qrels(file: Path, topics: dict[str, str], places: dict[str, int], faults: Faults) -> dict[str, set[int]]:
    """Positions of the relevant passages by query."""
    relevant: dict[str, set[int]] = {}
    for place, cells in _table(file):
        if len(cells) != 4 or cells[3].strip() not in ("0", "1"):
            faults.meet(place, "a line is no judgement", "expected query id, Q0, docid, and 1 or 0 by tabs")
        elif cells[0] not in topics:
            faults.meet(place, f"a judgement names the unknown query {cells[0]!r}", "check the id")
        elif cells[3].strip() == "1" and cells[2] not in places:
            faults.counts[_MISSING_DOCUMENT] += 1
        elif cells[3].strip() == "1":
            relevant.setdefault(cells[0], set()).add(places[cells[2]])
    return relevant


def _table(file: Path) -> Iterator[tuple[str, list[str]]]:
    """Place and cells of every line of a TSV file that is not empty."""
    for place, line in _lines(file):
        try:
            yield place, line.decode("utf-8-sig").rstrip("\r\n").split("\t")
        except UnicodeDecodeError as error:
            raise InputError(f"{place}: is not UTF-8; fetch the file again") from error


def _read_corpus(files: Sequence[Path], faults: Faults) -> Iterator[tuple[str, str]]:
    """Docid and text of every passage."""
    for file in files:
        for place, line in _lines(file):
            try:
                row = parse_json(line)
            except ValueError:
                row = None
            cells = [row.get(field) for field in ("docid", "title", "text")] if isinstance(row, dict) else []
            docid, title, text = (cell if isinstance(cell, str) else None for cell in cells or [None] * 3)
            if docid is None or text is None:
                faults.meet(place, "a line is no passage", "expected an object with docid, title and text")
            elif has_surrogate(docid, title, text):
                faults.meet(place, LONE_SURROGATE, "write the whole character")
            elif not (joined := f"{title or ''} {text}".strip()):
                faults.meet(place, "a text is empty", "give its text")
            else:
                yield docid, joined


def _lines(file: Path) -> Iterator[tuple[str, bytes]]:
    """Place and bytes of every line that is not empty, unpacked if need be."""
    try:
        with open_bytes(file) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield f"{file}:{number}", line
    except EOFError as error:
        raise InputError(f"{file}: the shard is cut short; fetch it again") from error


def _columns(rows: Sequence[tuple[str, str, str]]) -> tuple[tuple[str, ...], ...]:
    return tuple(zip(*rows, strict=True)) if rows else ((), (), ())
