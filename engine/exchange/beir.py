"""A collection as a BEIR folder: `corpus.jsonl`, `queries.jsonl` with `lang` and `question`, `qrels/test.tsv`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from engine.collections.structures import Collection
from engine.exchange.ids import Names


def write_beir(collection: Collection, names: Names, folder: Path) -> None:
    """Write a collection so that `read_collection` gives the same contents.

    Args:
        collection: The collection.
        names: Its ids.
        folder: An existing, empty folder.
    """
    queries, corpus = collection.queries, collection.corpus
    asked, documents = names.queries["query_id"].to_list(), names.documents["doc_id"].to_list()
    _write_lines(
        folder / "corpus.jsonl",
        (
            {"_id": name, "title": "", "text": text, "lang": language, "passage": passage}
            for name, text, language, passage in zip(
                documents, corpus.texts, corpus.languages, corpus.passages, strict=True
            )
        ),
    )
    _write_lines(
        folder / "queries.jsonl",
        (
            {"_id": name, "text": text, "lang": language, "question": question}
            for name, text, language, question in zip(
                asked, queries.texts, queries.languages, queries.questions, strict=True
            )
        ),
    )
    judged = zip(collection.qrels.queries.tolist(), collection.qrels.documents.tolist(), strict=True)
    lines = ["query-id\tcorpus-id\tscore", *(f"{asked[query]}\t{documents[document]}\t1" for query, document in judged)]
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_lines(file: Path, rows: Iterable[Mapping[str, str]]) -> None:
    with file.open("w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
