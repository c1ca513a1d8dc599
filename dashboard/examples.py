"""Which questions the examples page offers, and what was retrieved for one."""

from __future__ import annotations

import random

import polars as pl

from dashboard import data
from engine import Collection

ORDERS = {"as in the collection": None, "worst": "score", "best": "score", "most biased": "distance", "random": None}
OFFERED = 200
SHOWN = 10


def find(
    one: data.Listed, collection: Collection, query_lang: str, doc_lang: str | None, order: str, words: str
) -> pl.DataFrame:
    """The first questions in an order, of those whose text holds the words.

    Returns:
        `question`, `score`, `distance`, `label` (what the picker shows).
    """
    start, end = collection.query_range(query_lang)
    texts = dict(zip(collection.queries.questions[start:end], collection.queries.texts[start:end], strict=True))
    frame = data.questions(one.key, query_lang, doc_lang)
    frame = frame.with_columns(text=pl.Series([texts.get(q, "") for q in frame["question"]], dtype=pl.String))
    if words.strip():
        frame = frame.filter(pl.col("text").str.to_lowercase().str.contains(words.strip().lower(), literal=True))
    if order == "random":
        rows = list(range(frame.height))
        random.Random(0).shuffle(rows)  # noqa: S311 - an order to browse in, the same at every visit
        frame = frame[rows]
    elif (column := ORDERS[order]) is not None:
        frame = frame.sort(column, "question", descending=[order != "worst", False])
    frame = frame.head(OFFERED)
    notes = pl.format("AP {}, {} ranks apart: {}", pl.col("score").round(2), "distance", "text")
    return frame.with_columns(label=notes).drop("text")


def versions(collection: Collection, question: str) -> dict[str, str]:
    """A question's text by language."""
    queries = collection.queries
    return {queries.languages[i]: queries.texts[i] for i, q in enumerate(queries.questions) if q == question}


def retrieved(
    one: data.Listed, collection: Collection, question: str, query_lang: str, doc_lang: str | None
) -> list[tuple[int, str, float, str, str]]:
    """The first passages for a question: (rank in the pool, language, score, mark, text)."""
    mine = (pl.col("question") == question) & (pl.col("query_lang") == query_lang)
    relevant = set(data.ranks(one.key).filter(mine)["doc"])
    found = data.top(one.key).filter(mine)
    if doc_lang is not None:
        found = found.filter(pl.col("doc_lang") == doc_lang)
    return [
        (
            row["rank"],
            row["doc_lang"],
            row["score"],
            _mark(row, relevant, query_lang),
            collection.corpus.texts[row["doc"]],
        )
        for row in found.head(SHOWN).iter_rows(named=True)
    ]


def _mark(row: dict[str, object], relevant: set[int], query_lang: str) -> str:
    if row["doc"] not in relevant:
        return ""
    return "answer" if row["doc_lang"] == query_lang else "translation"
