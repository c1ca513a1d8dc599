"""Reader of XQuAD-R folders: one SQuAD-like `<language>.json` per language, with sentence breaks in each paragraph.

What a file says twice must agree: an answer's text must be in the context at `answer_start` (in characters), and the
sentences must be the text between their breaks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from engine.collections.faults import LONE_SURROGATE, Faults, has_surrogate, parse_json, qrels_of
from engine.collections.languages import from_tag
from engine.collections.structures import Collection, Corpus, Queries
from engine.errors import InputError
from engine.storage.files import check_regular

_LEAST_SIMILAR = 0.9
"""How similar a sentence and the text between its breaks must be: in XQuAD-R itself two are shifted by mojibake."""


@dataclass
class _Rows:
    """Queries and candidates of one language while they are read; `answer` is a row of `documents`."""

    documents: list[tuple[str, str]] = field(default_factory=list)  # (passage, text)
    queries: list[tuple[str, str, int]] = field(default_factory=list)  # (question, text, answer)
    shape: list[tuple[str, frozenset[str]]] = field(default_factory=list)  # (paragraph, its questions)
    seen: set[str] = field(default_factory=set)  # questions


@dataclass(frozen=True)
class _Paragraph:
    """A paragraph while it is read.

    Attributes:
        content: Its JSON object.
        name: Its id, such as "0.1".
        context: Its text.
        place: File and path within it.
    """

    content: dict[str, Any]
    name: str
    context: str
    place: str


def read_xquad_r(folder: Path, name: str, faults: Faults) -> Collection:
    """Read an XQuAD-R folder.

    Args:
        folder: It holds one `<language>.json` per language.
        name: What to call the collection.
        faults: What to do about rows that cannot be used.

    Raises:
        InputError: If there is no such file, or a file has a fault.
    """
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


def _read_language(file: Path, faults: Faults) -> _Rows:
    try:
        content = parse_json(check_regular(file).read_bytes())
    except ValueError as error:
        raise InputError(f"{file}: not JSON ({error}); fetch the file again") from error
    articles = content.get("data") if isinstance(content, dict) else None
    if not isinstance(articles, list):
        raise InputError(f"{file}: has no list `data`; the SQuAD-like XQuAD-R format is expected")
    rows = _Rows()
    for a, article in enumerate(articles):
        for p, content in enumerate(_get(article, "paragraphs", list, f"{file}: data[{a}]")):
            place = f"{file}: data[{a}].paragraphs[{p}]"
            context = _get(content, "context", str, place)
            _read_paragraph(rows, _Paragraph(content, f"{a}.{p}", context, place), faults)
    return rows


def _read_paragraph(rows: _Rows, paragraph: _Paragraph, faults: Faults) -> None:
    first = len(rows.documents)
    spans = _read_sentences(rows, paragraph, faults)
    items = _get(paragraph.content, "qas", list, paragraph.place)
    questions = set()
    for i, item in enumerate(items):
        place = f"{paragraph.place}.qas[{i}]"
        question, text = _get(item, "id", str, place), _get(item, "question", str, place)
        questions.add(question)
        start = _answer_start(item, place)
        sentence = next((row for row, (begin, end) in enumerate(spans, first) if begin <= start < end), None)
        fault = _question_fault(question, text, rows.seen) or _answer_fault(item, paragraph.context, place)
        if fault is None and sentence is None:
            fault = "an answer is outside all sentences", "correct answers[0].answer_start"
        if fault is not None:
            faults.meet(place, *fault)
        elif sentence is not None:
            rows.seen.add(question)
            rows.queries.append((question, text, sentence))
    rows.shape.append((paragraph.name, frozenset(questions)))


def _read_sentences(rows: _Rows, paragraph: _Paragraph, faults: Faults) -> list[tuple[int, int]]:
    """Add a paragraph's sentences to the candidates; returns their [start, end) in the context."""
    breaks = _get(paragraph.content, "sentence_breaks", list, paragraph.place)
    sentences = paragraph.content.get("sentences")
    if sentences is not None and (not isinstance(sentences, list) or len(sentences) != len(breaks)):
        expected = f"expected a list of {len(breaks)}, one for each sentence break"
        faults.meet(f"{paragraph.place}.sentences", "the sentences do not match the sentence breaks", expected)
        return []
    spans = []
    for i, span in enumerate(breaks):
        fault = _sentence_fault(span, paragraph.context, sentences[i] if sentences else None)
        if fault is not None:
            faults.meet(f"{paragraph.place}.sentence_breaks[{i}]", *fault)
            continue
        spans.append((span[0], span[1]))
        text = sentences[i] if sentences else paragraph.context[span[0] : span[1]]
        rows.documents.append((paragraph.name, text))
    return spans


def _sentence_fault(span: object, context: str, sentence: object) -> tuple[str, str] | None:
    """What is wrong with a sentence and what is expected; `sentence` is None where the file has only breaks."""
    bounds = _bounds(span, len(context))
    between = "" if bounds is None else context[bounds[0] : bounds[1]]
    if not between.strip():
        return "a sentence break is empty or outside the context", "expected [start, end) with text in it"
    if has_surrogate(between, sentence):
        return LONE_SURROGATE, "write the whole character"
    if sentence is not None and not (isinstance(sentence, str) and _agree(sentence, between)):
        return "a sentence is not the text between its breaks", "correct the sentence or the break"
    return None


def _agree(sentence: str, between: str) -> bool:
    return sentence == between or (
        bool(sentence.strip()) and SequenceMatcher(None, sentence, between, autojunk=False).ratio() >= _LEAST_SIMILAR
    )


def _question_fault(question: str, text: str, seen: set[str]) -> tuple[str, str] | None:
    if question in seen:
        return "a question id occurs twice", "give every question its own id"
    if not text.strip():
        return "a question is empty", "give its text"
    if has_surrogate(question, text):
        return LONE_SURROGATE, "write the whole character"
    return None


def _answer_fault(item: dict[str, Any], context: str, place: str) -> tuple[str, str] | None:
    """What is wrong with a question's first answer; files without the answer's text are taken at their word."""
    if not item["answers"] or item.get("is_impossible") is True:
        return "the question has no answer", "give the answer, or take the question out"
    answer, start = item["answers"][0], _answer_start(item, place)
    if answer.get("text") is None:
        return None
    text = _get(answer, "text", str, f"{place}.answers[0]")
    if start >= 0 and context.startswith(text, start):
        return None
    reason, unit = "an answer's text is not at its answer_start", _unit(context, text, start)
    if unit is None:
        return reason, "correct answers[0].answer_start, which counts characters of the context"
    return reason, f"answer_start counts {unit} here, but must count characters"


def _unit(context: str, text: str, start: int) -> str | None:
    """The unit in which the offset would be right, if it is one of those that other tools count in."""
    for unit, encoding, width in (("UTF-8 bytes", "utf-8", 1), ("UTF-16 units", "utf-16-le", 2)):
        whole, part = (value.encode(encoding, "surrogatepass") for value in (context, text))
        if text and start >= 0 and whole.startswith(part, start * width):
            return unit
    return None


def _answer_start(item: dict[str, Any], place: str) -> int:
    """Where the first answer starts; -1 where there is none."""
    answers = _get(item, "answers", list, place)
    start: int = _get(answers[0], "answer_start", int, f"{place}.answers[0]") if answers else -1
    return start


def _assemble_parallel(name: str, rows: dict[str, _Rows], faults: Faults, *, parallel: bool) -> Collection:
    """One block per language; a question's relevant passages are its answers in every language."""
    questions, query_texts, query_languages = [], [], []
    passages: list[str] = []
    texts: list[str] = []
    languages: list[str] = []
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
        qrels=qrels_of([answers[question] for question in questions]),
        skipped=faults.skipped,
    )


def _get(value: object, key: str, kind: type, place: str) -> Any:  # noqa: ANN401 - as typed as JSON is
    found = value.get(key) if isinstance(value, dict) else None
    if not isinstance(found, kind) or isinstance(found, bool):
        raise InputError(f"{place}: `{key}` is missing or no {kind.__name__}; the XQuAD-R format has it there")
    return found


def _bounds(span: object, length: int) -> tuple[int, int] | None:
    """The span's start and end if it is one within the context."""
    if not isinstance(span, list) or len(span) != 2 or not all(type(bound) is int for bound in span):
        return None
    return (span[0], span[1]) if 0 <= span[0] < span[1] <= length else None
