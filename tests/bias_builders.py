"""Frames of ranks and first ones that the tests of `engine.bias` share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations

import numpy as np
import polars as pl

from engine.collections.structures import Collection
from engine.ranks.schema import RANKS, TOP
from tests import oracle

LANGUAGES = ("ar", "de", "en", "hi")


def parallel(ranks: Mapping[tuple[str, str], Mapping[str, int]]) -> pl.DataFrame:
    """Ranks from pool ranks by document language, for each question and query language."""
    rows = [
        (question, query_lang, doc_lang, place, 1, rank, 0.0)
        for (question, query_lang), found in ranks.items()
        for place, (doc_lang, rank) in enumerate(found.items())
    ]
    return pl.DataFrame(rows, schema=RANKS, orient="row")


def every_ranking(
    documents: Sequence[str], relevant: Sequence[int], query_lang: str
) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, int]]:
    """Ranks, first ones and candidates of a pool: a question for each of its rankings: means are expectations.

    Args:
        documents: The language of each candidate.
        relevant: Which of them answer.
        query_lang: Of all queries.
    """
    ranks, top = [], []
    for number, order in enumerate(permutations(range(len(documents)))):
        question = f"q{number:05d}"
        for doc in relevant:
            ranks.append((question, query_lang, documents[doc], doc, 1, order.index(doc) + 1, 0.0))
        top += [(question, query_lang, place, doc, documents[doc], 0.0) for place, doc in enumerate(order, start=1)]
    candidates = {code: documents.count(code) for code in sorted(set(documents))}
    return pl.DataFrame(ranks, schema=RANKS, orient="row"), pl.DataFrame(top, schema=TOP, orient="row"), candidates


def ranked(
    rng: np.random.Generator,
    *,
    questions: int = 30,
    candidates: int = 25,
    own: float = 0.0,
    skill: float = 0.0,
    languages: Sequence[str] = LANGUAGES,
    most_relevant: int = 1,
    k: int = 10,
) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, int], np.ndarray, Collection]:
    """A collection ranked by made-up scores: normal noise, plus `own` in the query's language, `skill` if relevant.

    Returns:
        Ranks, the first k, candidates by language, scores (queries, candidates), and the collection.
    """
    collection = _collection(rng, languages, questions, candidates, most_relevant)
    scores = rng.standard_normal((len(collection.queries), len(collection.corpus)))
    scores += own * (collection.query_codes[:, None] == collection.document_codes[None])
    scores[collection.qrels.queries, collection.qrels.documents] += skill
    found = oracle.ranks(scores, collection), oracle.top(scores, collection, k)
    return *found, dict.fromkeys(languages, candidates), scores, collection


def _collection(
    rng: np.random.Generator, languages: Sequence[str], questions: int, candidates: int, most_relevant: int
) -> Collection:
    """Every question in every language; the same 1 to `most_relevant` passages of each language answer all versions."""
    relevant = set()
    for question in range(questions):
        for block in range(len(languages)):
            chosen = rng.choice(candidates, rng.integers(1, most_relevant + 1), replace=False)
            docs = (block * candidates + chosen).tolist()
            relevant |= {(version * questions + question, doc) for version in range(len(languages)) for doc in docs}
    queries = [(code, f"q{i}") for code in languages for i in range(questions)]
    return oracle.collection_of(languages, queries, [code for code in languages for _ in range(candidates)], relevant)
