"""Small collections made by hand, folders of them in the formats that the engine reads, and entries of a cache."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from engine.collections.captions import Item
from engine.collections.captions import picture_collection as captions_and_pictures
from engine.collections.pictures import PICTURE, Picture
from engine.collections.structures import Collection, Corpus, Qrels, Queries
from engine.evaluation.manifest import EvaluationManifest
from engine.storage.manifest import MANIFEST
from engine.storage.store import Store

_SENTENCES = {
    "ar": (
        (
            "تقف الطاحونة القديمة بجانب النهر.",
            "يطحن الخباز القمح هناك كل صباح.",
            "في الشتاء يتجمد الماء ولا تدور العجلة.",
        ),
        ("القطار الليلي يغادر المحطة عند العاشرة.", "تحمل السائقة مصباحًا أخضر.", "الرحلة إلى الساحل تدوم سبع ساعات."),
    ),
    "de": (
        (
            "Die alte Mühle steht am Fluss.",
            "Dort mahlt der Bäcker jeden Morgen Weizen.",
            "Im Winter friert das Wasser.",
        ),
        (
            "Der Nachtzug fährt um zehn ab.",
            "Die Lokführerin trägt eine grüne Lampe.",
            "Bis zur Küste sind es sieben Stunden.",
        ),
    ),
    "en": (
        (
            "The old mill stands by the river.",
            "The baker grinds wheat there every morning.",
            "In winter the water freezes.",
        ),
        (
            "The night train leaves at ten.",
            "The driver carries a green lamp.",
            "The journey to the coast takes seven hours.",
        ),
    ),
}
_QUESTIONS = {
    "ar": ("أين تقف الطاحونة؟", "ماذا يحدث للماء في الشتاء؟", "ما لون المصباح؟", "كم تدوم الرحلة إلى الساحل؟"),
    "de": (
        "Wo steht die Mühle?",
        "Was macht das Wasser im Winter?",
        "Welche Farbe hat die Lampe?",
        "Wie weit ist die Küste?",
    ),
    "en": (
        "Where does the mill stand?",
        "What does the water do?",
        "What colour is the lamp?",
        "How far is the coast?",
    ),
}
_ANSWERS = ((0, 0), (0, 2), (1, 1), (1, 2))  # paragraph and sentence that answers each question

Paragraph = tuple[Sequence[str], Sequence[tuple[str, str, int]]]
"""Sentences, and (question id, question, index of the sentence that answers it)."""


def tiny_collection() -> Collection:
    """3 languages, in each 2 paragraphs of 3 sentences and 4 questions: 12 queries, a pool of 18, 36 judgements."""
    languages = {
        code: [
            (
                _SENTENCES[code][paragraph],
                [
                    (f"q{i}", _QUESTIONS[code][i], sentence)
                    for i, (place, sentence) in enumerate(_ANSWERS)
                    if place == paragraph
                ],
            )
            for paragraph in range(2)
        ]
        for code in _SENTENCES
    }
    return parallel_collection("tiny", languages)


def parallel_collection(name: str, languages: Mapping[str, Sequence[Paragraph]]) -> Collection:
    """A collection of one article whose paragraphs are parallel; a question's answers in all languages are relevant."""
    questions, passages, answers = [], [], {}
    for code in sorted(languages):
        for number, (sentences, asked) in enumerate(languages[code]):
            for question, text, sentence in asked:
                questions.append((question, code, text))
                answers.setdefault(question, []).append(len(passages) + sentence)
            passages += [(f"0.{number}", code, text) for text in sentences]
    judged = [(row, answer) for row, (question, *_) in enumerate(questions) for answer in answers[question]]
    return Collection(
        name=name,
        languages=tuple(sorted(languages)),
        queries=Queries(*zip(*questions, strict=True)),
        corpus=Corpus(*zip(*passages, strict=True)),
        qrels=Qrels(*np.array(judged, np.int64).T),
    )


def contents(collection: Collection) -> tuple[object, ...]:
    """What a collection holds, without its name, in a form that can be compared."""
    qrels = list(zip(collection.qrels.queries.tolist(), collection.qrels.documents.tolist(), strict=True))
    return collection.languages, collection.queries, collection.corpus, qrels


def relevant_texts(collection: Collection) -> dict[tuple[str, str], set[tuple[str, str]]]:
    """The language and text of every relevant candidate, by a query's question and language."""
    found: dict[tuple[str, str], set[tuple[str, str]]] = {}
    queries, corpus = collection.queries, collection.corpus
    for row, document in zip(collection.qrels.queries, collection.qrels.documents, strict=True):
        key = queries.questions[row], queries.languages[row]
        found.setdefault(key, set()).add((corpus.languages[document], corpus.texts[document]))
    return found


def write_xquad_r(folder: Path, collection: Collection, *, sentences: bool = True) -> Path:
    """Write a collection as an XQuAD-R folder.

    Args:
        folder: Made if need be.
        collection: Its passages are called `article.paragraph`.
        sentences: Whether the files have the list `sentences` beside the sentence breaks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for code in collection.languages:
        content = json.dumps({"data": _articles(collection, code, sentences)}, ensure_ascii=False)
        (folder / f"{code}.json").write_text(content, encoding="utf-8")
    return folder


def _articles(collection: Collection, code: str, sentences: bool) -> list[dict[str, Any]]:
    paragraphs: dict[str, list[int]] = {}
    for row in range(*collection.document_range(code)):
        paragraphs.setdefault(collection.corpus.passages[row], []).append(row)
    return [
        {"paragraphs": [_paragraph(collection, code, paragraphs[passage], sentences) for passage in passages]}
        for _, passages in groupby(paragraphs, lambda passage: passage.partition(".")[0])
    ]


def _paragraph(collection: Collection, code: str, rows: list[int], sentences: bool) -> dict[str, Any]:
    texts = [collection.corpus.texts[row] for row in rows]
    starts = np.cumsum([0, *(len(text) + 1 for text in texts)]).tolist()
    queries = range(*collection.query_range(code))
    judged = zip(collection.qrels.queries.tolist(), collection.qrels.documents.tolist(), strict=True)
    asked = [
        {
            "id": collection.queries.questions[query],
            "question": collection.queries.texts[query],
            "answers": [{"answer_start": starts[rows.index(document)] + len(collection.corpus.texts[document]) // 2}],
        }
        for query, document in judged
        if query in queries and document in rows
    ]
    breaks = [[start, start + len(text)] for start, text in zip(starts, texts, strict=False)]
    paragraph = {"context": " ".join(texts), "sentence_breaks": breaks, "qas": asked}
    return {**paragraph, "sentences": texts} if sentences else paragraph


def write_beir(
    folder: Path,
    corpus: Iterable[Mapping[str, object]],
    queries: Iterable[Mapping[str, object]],
    qrels: Iterable[tuple[object, ...]],
    *,
    split: str = "test",
) -> Path:
    """Write rows as a BEIR folder; a row of `qrels` is (query id, document id, score)."""
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    for name, rows in (("corpus", corpus), ("queries", queries)):
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    lines = "".join("\t".join(map(str, row)) + "\n" for row in [("query-id", "corpus-id", "score"), *qrels])
    (folder / "qrels" / f"{split}.tsv").write_text(lines, encoding="utf-8")
    return folder


def beir_rows(collection: Collection) -> tuple[list[dict[str, str]], list[dict[str, str]], list[tuple[str, str, int]]]:
    """A collection's corpus, queries and qrels as the rows of a BEIR folder."""
    corpus, queries = collection.corpus, collection.queries
    documents = [
        {"_id": f"d{row}", "title": "", "text": text, "lang": language, "passage": passage}
        for row, (passage, language, text) in enumerate(
            zip(corpus.passages, corpus.languages, corpus.texts, strict=True)
        )
    ]
    asked = [
        {"_id": f"{question}-{language}", "question": question, "text": text, "lang": language}
        for question, language, text in zip(queries.questions, queries.languages, queries.texts, strict=True)
    ]
    judged = zip(collection.qrels.queries.tolist(), collection.qrels.documents.tolist(), strict=True)
    return documents, asked, [(asked[query]["_id"], documents[document]["_id"], 1) for query, document in judged]


ENTRY = {"vectors.bin": bytes(range(256)), "sub/notes.txt": "größer".encode()}
"""The files of an entry that tests write."""


def write_entry(store: Store, key: str = "k", content: Mapping[str, bytes] = ENTRY) -> Path:
    """Make an entry of the kind `embeddings`, named as its key."""
    with store.writing("embeddings", key, {"name": key}) as folder:
        for name, data in content.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(data)
    return store.path("embeddings", key)


def read_entry(folder: Path) -> dict[str, bytes]:
    """The files of an entry but its manifest."""
    files = [file for file in folder.rglob("*") if file.is_file() and file.name != MANIFEST]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def python_with_store(store: Store, code: str) -> subprocess.Popen[str]:
    """Start another process that has `store`, `Path`, `os` and `signal` at hand and runs the code."""
    imports = "import os, signal\nfrom pathlib import Path\nfrom engine.storage.store import Store\n"
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", f"{imports}store = Store({str(store.root)!r})\n{code}"],
        cwd=Path(__file__).resolve().parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def manifest_of(
    *, languages: tuple[str, ...] = ("de", "en"), seen_in_training: dict[str, int] | None = None, **parts: Any
) -> EvaluationManifest:
    """The manifest of an evaluation that was never made.

    Args:
        languages: Of its collection.
        seen_in_training: What the checkpoint has seen.
        **parts: Further fields.
    """
    return EvaluationManifest.model_validate(
        {
            "collection": {"name": "demo", "digest": "d", "languages": languages},
            "encoder": {"name": "any", "fingerprint": "f", "prompts": {"query": "", "document": ""}},
            "seen_in_training": seen_in_training,
            **parts,
        }
    )


def picture_collection(
    folder: Path, captions: Mapping[str, int], count: int, more: Sequence[tuple[str, str, str]] = ()
) -> Collection:
    """A collection of single-coloured pictures, written into the folder, and captions.

    Args:
        folder: An existing folder.
        captions: How many captions a picture has, by language.
        count: Pictures.
        more: Further captions: picture, language, text.
    """
    items = []
    for number in range(count):
        file = folder / f"p{number}.png"
        Image.new("RGB", (8, 8), (number * 37 % 256, number * 91 % 256, 200)).save(file)
        items.append(Item(f"p{number}", PICTURE, Picture(file)))
        for code, times in captions.items():
            items += [Item(f"p{number}", code, f"picture {number} in {code}, {i}") for i in range(times)]
    return captions_and_pictures("pictures", [*items, *(Item(*caption) for caption in more)])
