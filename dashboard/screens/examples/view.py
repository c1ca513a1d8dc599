"""Which questions the examples page offers, which one is chosen, and what was retrieved for it."""

from __future__ import annotations

import random

import polars as pl
import streamlit as st

from dashboard import cached, widgets
from engine import Collection
from engine.collections.languages import language
from engine.collections.pictures import PICTURE
from engine.ranks.schema import in_corpus

ORDERS = {"as in the collection": None, "worst": "score", "best": "score", "most biased": "distance", "random": None}
OFFERED = 200
SHOWN = 10
_VISITED = "examples-visited"  # the address bar chooses the question only when the page is opened


def find(
    one: cached.Listed, collection: Collection, query_lang: str, doc_lang: str | None, order: str, words: str
) -> pl.DataFrame:
    """The first questions in an order, of those whose text holds the words.

    Returns:
        `question`, `score`, `distance`, `label` (what the picker shows).
    """
    texts = texts_of(collection, query_lang)
    frame = cached.questions(one.key, query_lang, doc_lang)
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


def pick_question(asked: pl.DataFrame, order: str, pair: tuple[str, str | None]) -> str:
    """Pick one of the questions that `find` found; the address bar says which.

    In an order that depends on scores the first is offered anew for every pair; else the choice outlasts the pair.

    Args:
        asked: Frame of `find`.
        order: One of `ORDERS`.
        pair: Query language, and document language or None.
    """
    options = asked["question"].to_list()
    key = f"question-{order}" + (f"-{pair}" if ORDERS[order] else "")
    if _VISITED not in st.session_state and (wanted := st.query_params.get("question")) in options:
        st.session_state[key] = wanted
    question = st.selectbox(
        f"Question (the first {asked.height} that fit)",
        options,
        format_func=dict(zip(asked["question"], asked["label"], strict=True)).get,
        key=key,
    )
    st.session_state[_VISITED] = True
    st.query_params["question"] = question
    return question


def texts_of(collection: Collection, query_lang: str) -> dict[str, str]:
    """The texts of a language's queries by question; of pictures their captions in English, or the first language."""
    if query_lang == PICTURE:
        query_lang = "en" if "en" in collection.languages else collection.languages[0]
    start, end = collection.query_range(query_lang)
    return dict(zip(collection.queries.questions[start:end], collection.queries.texts[start:end], strict=True))


def row_of(collection: Collection, question: str, query_lang: str) -> int:
    """The row of a question's query in a language."""
    start, end = collection.query_range(query_lang)
    return start + collection.queries.questions[start:end].index(question)


def versions(collection: Collection, question: str) -> dict[str, str]:
    """A question's text by language."""
    queries = collection.queries
    return {queries.languages[i]: queries.texts[i] for i, q in enumerate(queries.questions) if q == question}


def ranks_of(one: cached.Listed, question: str, query_lang: str) -> pl.DataFrame:
    """Where a query's relevant passages stand, the first one first."""
    mine = (pl.col("question") == question) & (pl.col("query_lang") == query_lang)
    return in_corpus(cached.ranks(one.key)).filter(mine).sort("rank_in_pool")


def draw_first(
    one: cached.Listed, collection: Collection, question: str, query_lang: str, doc_lang: str | None, shown: int = SHOWN
) -> None:
    """Draw what is first for a question in the pool, or among a document language; pictures in a row."""
    if not _finds_pictures(one, doc_lang):
        widgets.passage_list(retrieved(one, collection, question, query_lang, doc_lang, shown))
        return
    query = row_of(collection, question, query_lang)
    found = cached.retrieve_again(one.key, query, shown, PICTURE)
    relevant = set(collection.qrels.documents[collection.qrels.queries == query].tolist())
    widgets.picture_row([(collection.corpus.texts[doc], doc in relevant) for doc in found["doc"]])


def heading(doc_lang: str | None) -> str:
    """What `draw_first` draws, as a heading."""
    if doc_lang is None:
        return "First of the pool"
    return "First pictures" if doc_lang == PICTURE else f"First {language(doc_lang).name} passages"


def source(one: cached.Listed, query_lang: str, doc_lang: str | None) -> str:
    """From where `draw_first` takes what it draws, in a sentence."""
    if _finds_pictures(one, doc_lang):
        return f"From all {one.manifest.collection.pictures:,} pictures; green: the one that is asked for."
    name = language(doc_lang or query_lang).name
    return (
        f"From the first {one.manifest.top_k} of the pool; the answer in {name} comes last if it is not among those "
        "shown."
    )


def _finds_pictures(one: cached.Listed, doc_lang: str | None) -> bool:
    """Whether pictures are asked for and can be searched."""
    return doc_lang == PICTURE and cached.can_search(one)


def retrieved(
    one: cached.Listed,
    collection: Collection,
    question: str,
    query_lang: str,
    doc_lang: str | None,
    shown: int = SHOWN,
) -> list[tuple[int, str, float, str, str]]:
    """The first passages for a question: (rank in the pool, language, score, mark, text).

    The answer in the document language (of the pool: in the query's own) comes last if it is not among them.
    """
    mine = (pl.col("question") == question) & (pl.col("query_lang") == query_lang)
    ranks = ranks_of(one, question, query_lang).rename({"rank_in_pool": "rank"})
    found = cached.top(one.key).filter(mine)
    if doc_lang is not None:
        found = found.filter(pl.col("doc_lang") == doc_lang)
    found = found.sort("rank").head(shown)
    answer = ranks.filter(
        (pl.col("doc_lang") == (doc_lang or query_lang)) & ~pl.col("doc").is_in(found["doc"].to_list())
    )
    columns, relevant = ["rank", "doc_lang", "score", "doc"], set(ranks["doc"])
    rows = [*found.select(columns).iter_rows(named=True), *answer.select(columns).iter_rows(named=True)]
    return [
        (
            row["rank"],
            row["doc_lang"],
            row["score"],
            _mark(row, relevant, query_lang),
            collection.corpus.texts[row["doc"]],
        )
        for row in rows
    ]


def verdict(ranks: pl.DataFrame, wanted: str) -> str:
    """Where the answer in one language stands, and how far its versions are apart, in a sentence.

    Args:
        ranks: Frame of `ranks_of`.
        wanted: The language.
    """
    parts = []
    for row in ranks.filter(pl.col("doc_lang") == wanted).head(1).iter_rows(named=True):
        name = language(wanted).name
        of_picture = ("The picture", "pictures")
        what, among = of_picture if wanted == PICTURE else (f"The answer in {name}", f"{name} passages")
        parts.append(
            f"{what} stands at rank **{row['rank_in_pool']:,}** of the pool, "
            f"**{row['rank_in_language']:,}** among the {among}"
        )
    if ranks.height > 1:
        first, last = ranks.row(0, named=True), ranks.row(-1, named=True)
        parts.append(
            f"its {ranks.height} versions are **{last['rank_in_pool'] - first['rank_in_pool']:,}** ranks apart, from "
            f"{language(first['doc_lang']).name} ({first['rank_in_pool']:,}) to {language(last['doc_lang']).name} "
            f"({last['rank_in_pool']:,})"
        )
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}." if text else f"No passage in {language(wanted).name} answers this question."


def _mark(row: dict[str, object], relevant: set[int], query_lang: str) -> str:
    if row["doc"] not in relevant:
        return ""
    return "answer" if row["doc_lang"] == query_lang else "translation"
