"""Slow, obviously right reference implementations, and hand-built collections to try them on. Used by tests only."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import polars as pl

from engine.collections.structures import Collection, Corpus, Qrels, Queries
from engine.ranks.schema import RANKS, TOP

Row = tuple[str, str, str, int, int, int, float]
"""One row of a frame of ranks."""


def collection_of(
    languages: Sequence[str],
    queries: Sequence[tuple[str, str]],
    documents: Sequence[str],
    relevant: set[tuple[int, int]],
) -> Collection:
    """A collection without meaningful texts.

    Args:
        languages: In the order of the blocks.
        queries: Language and question id of each query, one block per language.
        documents: Language of each candidate, one block per language.
        relevant: Judgements: row of the query, position of the candidate.
    """
    judged = np.array(sorted(relevant), np.int64).reshape(-1, 2)
    return Collection(
        name="by hand",
        languages=tuple(languages),
        queries=Queries(
            questions=tuple(question for _, question in queries),
            languages=tuple(language for language, _ in queries),
            texts=tuple(f"query {i}" for i in range(len(queries))),
        ),
        corpus=Corpus(
            passages=tuple(f"paragraph {i}" for i in range(len(documents))),
            languages=tuple(documents),
            texts=tuple(f"passage {i}" for i in range(len(documents))),
        ),
        qrels=Qrels(judged[:, 0], judged[:, 1]),
    )


def random_collection(
    rng: np.random.Generator, languages: Sequence[str], questions: int, candidates: int, most_relevant: int
) -> Collection:
    """Every question in every language, with 1 to `most_relevant` relevant passages in each document language."""
    queries = [(code, f"q{i}") for code in languages for i in range(questions)]
    documents = [code for code in languages for _ in range(candidates)]
    relevant = set()
    for row in range(len(queries)):
        for block in range(len(languages)):
            count = rng.integers(1, most_relevant + 1)
            chosen = block * candidates + rng.choice(candidates, count, replace=False)
            relevant |= {(row, int(position)) for position in chosen}
    return collection_of(languages, queries, documents, relevant)


def ordered(scores: Sequence[float], candidates: Sequence[int]) -> list[int]:
    """Candidates, best first; equal scores by position: the tie rule."""
    return sorted(candidates, key=lambda position: (-scores[position], position))


def ranks(scores: np.ndarray, collection: Collection) -> pl.DataFrame:
    """The frame of ranks from a whole score matrix (queries, candidates)."""
    rows: list[Row] = []
    languages = collection.corpus.languages
    for query, doc in zip(collection.qrels.queries.tolist(), collection.qrels.documents.tolist(), strict=True):
        line = scores[query].tolist()
        own = [position for position, code in enumerate(languages) if code == languages[doc]]
        in_language = 1 + ordered(line, own).index(doc)
        in_pool = 1 + ordered(line, range(len(languages))).index(doc)
        question, code = collection.queries.questions[query], collection.queries.languages[query]
        rows.append((question, code, languages[doc], doc, in_language, in_pool, line[doc]))
    return pl.DataFrame(rows, schema=RANKS, orient="row")


def top(scores: np.ndarray, collection: Collection, k: int) -> pl.DataFrame:
    """The frame of the first k of the pool from a whole score matrix (queries, candidates)."""
    rows = []
    languages = collection.corpus.languages
    for query in range(len(collection.queries)):
        line = scores[query].tolist()
        question, code = collection.queries.questions[query], collection.queries.languages[query]
        for place, doc in enumerate(ordered(line, range(len(languages)))[:k], start=1):
            rows.append((question, code, place, doc, languages[doc], line[doc]))
    return pl.DataFrame(rows, schema=TOP, orient="row")


def score(metric: str, found: Sequence[int]) -> float:
    """A metric from the ranks of all of a query's relevant passages, counted from 1."""
    found = sorted(found)
    kind, _, cut = metric.partition("@")
    k = int(cut or found[-1])
    if kind == "map":
        return sum(sum(other <= rank for other in found) / rank for rank in found if rank <= k) / len(found)
    if kind == "mrr":
        return 1 / found[0] if found[0] <= k else 0.0
    if kind == "hit":
        return float(found[0] <= k)
    if kind == "recall":
        return sum(rank <= k for rank in found) / len(found)
    gain = sum(1 / math.log2(1 + rank) for rank in found if rank <= k)
    return gain / sum(1 / math.log2(1 + place) for place in range(1, min(k, len(found)) + 1))


def found_ranks(frame: pl.DataFrame, setting: str) -> dict[tuple[str, ...], list[int]]:
    """Ranks of the relevant passages by (query language, document language, question); in multi, without the middle."""
    found: dict[tuple[str, ...], list[int]] = {}
    for row in frame.to_dicts():
        query_lang, doc_lang, question = row["query_lang"], row["doc_lang"], row["question"]
        if setting == "multi":
            found.setdefault((query_lang, question), []).append(row["rank_in_pool"])
        elif (query_lang == doc_lang) == (setting == "mono"):
            found.setdefault((query_lang, doc_lang, question), []).append(row["rank_in_language"])
    return found


def cell_means(frame: pl.DataFrame, setting: str, metric: str) -> dict[tuple[str, ...], float]:
    """A metric's mean over the queries of each pair, in multi of each query language."""
    cells: dict[tuple[str, ...], list[float]] = {}
    for key, found in found_ranks(frame, setting).items():
        cells.setdefault(key[:-1], []).append(score(metric, found))
    return {key: sum(values) / len(values) for key, values in cells.items()}


def macro_mean(frame: pl.DataFrame, setting: str, metric: str) -> float:
    """The mean of the means of the cells: each pair or query language counts the same, however many queries it has."""
    cells = cell_means(frame, setting, metric)
    return sum(cells.values()) / len(cells)


def rank_distance(frame: pl.DataFrame) -> dict[str, float]:
    """Mean distance between a query's best and worst relevant passage in the pool, by query language.

    Queries whose relevant passages are all in one language have none.
    """
    languages: dict[tuple[str, str], set[str]] = {}
    for row in frame.to_dicts():
        languages.setdefault((row["query_lang"], row["question"]), set()).add(row["doc_lang"])
    distances: dict[str, list[int]] = {}
    for (query_lang, question), found in found_ranks(frame, "multi").items():
        if len(languages[query_lang, question]) > 1:
            distances.setdefault(query_lang, []).append(max(found) - min(found))
    return {code: sum(values) / len(values) for code, values in distances.items()}
