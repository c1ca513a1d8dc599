"""Readers of collections: an XQuAD-R folder (`<language>.json`) and a BEIR folder (corpus, queries, qrels).

Every fault names the file and the place. With `skip_invalid`, rows that cannot be used are left out and counted in
`Collection.skipped`; faults of a whole file still stop the reading.
"""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engine.collections.languages import from_tag, is_tag
from engine.collections.structures import Collection, Corpus, Qrels, Queries
from engine.errors import InputError

_BEIR_FILES = ("corpus.jsonl", "queries.jsonl", "qrels")


def read_collection(folder: Path, name: str | None = None, *, skip_invalid: bool = False) -> Collection:
    """Read a collection from a folder in either format.

    Args:
        folder: An XQuAD-R folder or a BEIR folder; which one is seen from its files.
        name: What to call it; by default the folder's name.
        skip_invalid: Leave unusable rows out and count them instead of raising.

    Raises:
        InputError: If the folder is missing, holds neither format, or a file has a fault.
    """
    folder, name = Path(folder), name or Path(folder).resolve().name
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give a folder with <language>.json files or a BEIR folder")
    read = _read_beir if (folder / _BEIR_FILES[0]).exists() else _read_xquad_r
    try:
        return read(folder, name, _Faults(skip_invalid))
    except OSError as error:
        raise InputError(
            f"{error.filename}: cannot be read ({error.strerror}); check it and its permissions"
        ) from error


@dataclass
class _Faults:
    """Raises at a fault, or counts it where the user asked to skip."""

    skip: bool
    counts: Counter[str] = field(default_factory=Counter)

    def meet(self, place: str, reason: str, expected: str) -> None:
        if not self.skip:
            raise InputError(f"{place}: {reason}; {expected}, or leave such rows out with --skip-invalid")
        self.counts[reason] += 1

    @property
    def skipped(self) -> tuple[tuple[str, int], ...]:
        return tuple(sorted(self.counts.items()))


@dataclass
class _Rows:
    """Queries and candidates of one language while they are read; `answer` is a row of `documents`."""

    documents: list[tuple[str, str]] = field(default_factory=list)  # (passage, text)
    queries: list[tuple[str, str, int]] = field(default_factory=list)  # (question, text, answer)
    shape: list[tuple[str, frozenset[str]]] = field(default_factory=list)  # (paragraph, its questions)


def _read_xquad_r(folder: Path, name: str, faults: _Faults) -> Collection:
    files = sorted(folder.glob("*.json"))
    if not files:
        raise InputError(f"{folder}: holds no <language>.json and no corpus.jsonl; fetch or copy the collection there")
    by_language: dict[str, Path] = {}
    for file in files:
        code = _language(file.stem, str(file))
        if code in by_language:
            other = by_language[code].name
            raise InputError(f"{file}: the language is {code}, which {other} has already; keep one file per language")
        by_language[code] = file
    rows = {code: _read_language(file, faults) for code, file in sorted(by_language.items())}
    parallel = len({tuple(language.shape) for language in rows.values()}) == 1
    return _assemble_parallel(name, rows, faults, parallel=parallel)


def _language(tag: str, place: str) -> str:
    try:
        return from_tag(tag)
    except InputError as error:
        raise InputError(f"{place}: {error}") from error


def _read_language(file: Path, faults: _Faults) -> _Rows:
    content = _load_json(file)
    articles = content.get("data") if isinstance(content, dict) else None
    if not isinstance(articles, list):
        raise InputError(f"{file}: has no list `data`; the SQuAD-like XQuAD-R format is expected")
    rows, seen = _Rows(), set()
    for a, article in enumerate(articles):
        for p, paragraph in enumerate(_get(article, "paragraphs", list, f"{file}: data[{a}]")):
            _read_paragraph(rows, seen, paragraph, f"{a}.{p}", f"{file}: data[{a}].paragraphs[{p}]", faults)
    return rows


def _read_paragraph(rows: _Rows, seen: set[str], paragraph: object, passage: str, place: str, faults: _Faults) -> None:
    context = _get(paragraph, "context", str, place)
    breaks = _get(paragraph, "sentence_breaks", list, place)
    sentences = paragraph.get("sentences")
    if not isinstance(sentences, list) or len(sentences) != len(breaks) or not all(map(_is_text, sentences)):
        sentences = None  # the list is a convenience of the format; the breaks are what counts
    first, spans = len(rows.documents), []
    for i, span in enumerate(breaks):
        if not _is_span(span, len(context)) or not context[span[0] : span[1]].strip():
            reason = "a sentence break is empty or outside the context"
            faults.meet(f"{place}.sentence_breaks[{i}]", reason, "expected [start, end) with text in it")
            continue
        spans.append((span[0], span[1]))
        rows.documents.append((passage, sentences[i] if sentences else context[span[0] : span[1]]))
    found = set()
    for i, item in enumerate(_get(paragraph, "qas", list, place)):
        at = f"{place}.qas[{i}]"
        question, text = _get(item, "id", str, at), _get(item, "question", str, at)
        found.add(question)
        answers = _get(item, "answers", list, at)
        start = _get(answers[0], "answer_start", int, f"{at}.answers[0]") if answers else -1
        holder = next((row for row, (begin, end) in enumerate(spans, first) if begin <= start < end), None)
        if question in seen:
            faults.meet(at, "a question id occurs twice", "give every question its own id")
        elif not text.strip():
            faults.meet(at, "a question is empty", "give its text")
        elif holder is None:
            faults.meet(at, "an answer stands outside all sentences", "correct answers[0].answer_start")
        else:
            seen.add(question)
            rows.queries.append((question, text, holder))
    rows.shape.append((passage, frozenset(found)))


def _assemble_parallel(name: str, rows: dict[str, _Rows], faults: _Faults, *, parallel: bool) -> Collection:
    """One block per language; a question's relevant passages are its answers in every language."""
    questions, query_texts, query_languages = [], [], []
    passages, texts, languages = [], [], []
    answers: dict[str, list[int]] = {}
    for code, language in rows.items():
        for question, _text, answer in language.queries:
            answers.setdefault(question, []).append(len(texts) + answer)
        for question, text, _answer in language.queries:
            questions.append(question)
            query_texts.append(text)
            query_languages.append(code)
        for passage, text in language.documents:
            passages.append(passage if parallel else f"{code}:{passage}")
            texts.append(text)
            languages.append(code)
    return Collection(
        name=name,
        languages=tuple(rows),
        queries=Queries(tuple(questions), tuple(query_languages), tuple(query_texts)),
        corpus=Corpus(tuple(passages), tuple(languages), tuple(texts)),
        qrels=_qrels([answers[question] for question in questions]),
        skipped=faults.skipped,
    )


def beir_ids(folder: Path, *, skip_invalid: bool = False) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """What a BEIR folder calls its queries and its documents.

    Returns:
        The ids of the queries and of the candidates, in the order of what `read_collection` gives; None for a folder
        of another format.

    Raises:
        InputError: If a file has a fault.
    """
    if not (folder / _BEIR_FILES[0]).exists():
        return None
    documents, queries, relevant = _beir_parts(folder, _Faults(skip_invalid))
    return tuple(row["_id"] for row in queries if row["_id"] in relevant), tuple(row["_id"] for row in documents)


def _read_beir(folder: Path, name: str, faults: _Faults) -> Collection:
    documents, queries, relevant = _beir_parts(folder, faults)
    judged = [row for row in queries if row["_id"] in relevant]
    if len(judged) < len(queries):
        faults.counts["a query has no relevant document"] += len(queries) - len(judged)
    return Collection(
        name=name,
        languages=tuple(sorted({row["lang"] for row in [*documents, *queries]})),
        queries=Queries(
            tuple(str(row.get("question") or row["_id"]) for row in judged),
            tuple(row["lang"] for row in judged),
            tuple(row["text"] for row in judged),
        ),
        corpus=Corpus(
            tuple(str(row.get("passage") or row["_id"]) for row in documents),
            tuple(row["lang"] for row in documents),
            tuple(f"{row['title']} {row['text']}".strip() if row.get("title") else row["text"] for row in documents),
        ),
        qrels=_qrels([relevant[row["_id"]] for row in judged]),
        skipped=faults.skipped,
    )


def _beir_parts(
    folder: Path, faults: _Faults
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, list[int]]]:
    """Documents and queries in blocks of languages, and for each query that has some the documents that answer it."""
    documents = _read_beir_rows(folder / "corpus.jsonl", faults)
    queries = _read_beir_rows(folder / "queries.jsonl", faults, version_of="question")
    documents.sort(key=lambda row: row["lang"])
    queries.sort(key=lambda row: row["lang"])
    ids = {row["_id"] for row in queries}, {row["_id"]: i for i, row in enumerate(documents)}
    return documents, queries, _read_beir_qrels(folder, *ids, faults)


def _read_beir_rows(file: Path, faults: _Faults, version_of: str = "_id") -> list[dict[str, Any]]:
    rows, seen = [], set()
    for place, row in _json_lines(file, faults):
        nested = row["metadata"].get("lang") if isinstance(row.get("metadata"), dict) else None
        tag = row.get("lang") or row.get("language") or nested
        language = from_tag(tag) if isinstance(tag, str) and is_tag(tag) else None
        version = (str(row.get(version_of) or row.get("_id")), language)
        if not isinstance(row.get("_id"), str) or not isinstance(row.get("text"), str):
            faults.meet(place, "a row lacks `_id` or `text`", "expected strings in both")
        elif row["_id"] in seen:
            faults.meet(place, "an _id occurs twice", "give every row its own _id")
        elif language is None:
            faults.meet(place, f"language {tag!r} is unknown", "`lang` must be a tag of BCP 47 such as de or pt-BR")
        elif not f"{row.get('title') or ''}{row['text']}".strip():
            faults.meet(place, "a text is empty", "give its text")
        elif version in seen:
            faults.meet(place, "a question occurs twice in one language", "expected one query for each")
        else:
            seen |= {row["_id"], version}
            rows.append({**row, "lang": language})
    return rows


def _read_beir_qrels(
    folder: Path, queries: set[str], documents: dict[str, int], faults: _Faults
) -> dict[str, list[int]]:
    files = sorted((folder / "qrels").glob("*.tsv"))
    chosen = next((file for file in files if file.stem == "test"), files[0] if files else None)
    if chosen is None:
        raise InputError(f"{folder / 'qrels'}: holds no <split>.tsv; expected query-id, corpus-id, score by tabs")
    relevant: dict[str, set[int]] = {}
    with chosen.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip() or (number == 1 and line.lstrip(BOM_UTF8).startswith(b"query-id\t")):
                continue
            place, row = f"{chosen}:{number}", _judgement(line)
            if row is None:
                faults.meet(place, "a line is not query-id, corpus-id, score", "expected three columns by tabs")
            elif row[0] not in queries or row[1] not in documents:
                faults.meet(place, "a judgement names an unknown query or document", "check both ids")
            elif row[2] > 0:
                relevant.setdefault(row[0], set()).add(documents[row[1]])
    return {query: sorted(found) for query, found in relevant.items()}


def _judgement(line: bytes) -> tuple[str, str, int] | None:
    try:
        query, document, score = line.decode("utf-8-sig").rstrip("\r\n").split("\t")[:3]
        return query, document, int(score)
    except ValueError:
        return None


def _json_lines(file: Path, faults: _Faults) -> Iterator[tuple[str, dict[str, Any]]]:
    if not file.is_file():
        raise InputError(f"{file}: no such file; a BEIR folder has {', '.join(_BEIR_FILES)}")
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            if isinstance(row, dict):
                yield f"{file}:{number}", row
            else:
                faults.meet(f"{file}:{number}", "a line is not a JSON object", "expected one object a line")


def _qrels(relevant: list[list[int]]) -> Qrels:
    queries = np.repeat(np.arange(len(relevant)), [len(found) for found in relevant])
    return Qrels(queries, np.array([row for found in relevant for row in sorted(found)], np.int64))


def _load_json(file: Path) -> object:
    try:
        return json.loads(file.read_bytes())
    except ValueError as error:
        raise InputError(f"{file}: not JSON ({error}); fetch the file again") from error


def _get(value: object, key: str, kind: type, place: str) -> Any:  # noqa: ANN401 - as typed as JSON is
    if not isinstance(value, dict) or not isinstance(value.get(key), kind):
        raise InputError(f"{place}: `{key}` is missing or no {kind.__name__}; the XQuAD-R format has it there")
    return value[key]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_span(span: object, length: int) -> bool:
    if not isinstance(span, list) or len(span) != 2 or not all(isinstance(bound, int) for bound in span):
        return False
    return 0 <= span[0] < span[1] <= length
