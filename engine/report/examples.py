"""A few questions, and what two systems retrieve for them: those that differ most both ways, and one in the middle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from engine import figures
from engine.collections.languages import language
from engine.collections.structures import Collection
from engine.errors import EngineError
from engine.escaping import figure_text
from engine.evaluation.evaluate import Evaluation, open_evaluated
from engine.figures.publication import INCHES, POINTS, Layout, set_title_size
from engine.ranks import metrics
from engine.ranks.metrics import label
from engine.ranks.schema import in_corpus
from engine.report.findings import Findings, name_of
from engine.report.picture import Picture, list_height
from engine.report.wrapping import wrapped
from engine.storage.store import Store
from engine.sweeps.uncertainty import System

SHOWN = 5
"""How many passages of a side are shown."""

_RIGHT_TO_LEFT = "\u200f"  # without it, a full stop would stand on the wrong side


@dataclass(frozen=True, slots=True)
class Passage:
    """A retrieved passage.

    Attributes:
        rank: In the pool.
        language: Its language.
        score: Of the query.
        mark: "answer", "translation" (of the answer), or "".
        text: Its text.
    """

    rank: int
    language: str
    score: float
    mark: str
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A question and what both systems retrieve for it.

    Attributes:
        kind: Why it is shown.
        query_lang: The query's language.
        text: The query.
        english: The question's English version, or "".
        precision: Average precision in the pool, by system.
        sides: The first passages of the pool, by system.
        picture: Where the versions of the answer stand under the second system.
    """

    kind: str
    query_lang: str
    text: str
    english: str
    precision: dict[str, float]
    sides: dict[str, tuple[Passage, ...]]
    picture: Picture


def open_texts(evaluation: Evaluation, store: Store) -> Collection | None:
    """The collection that was evaluated on, if it can still be read and holds the same."""
    try:
        return open_evaluated(evaluation, store)
    except EngineError:
        return None


def examples(found: Findings, collection: Collection) -> list[Example]:
    """Questions where the featured ratio and the reference differ: two gains, a loss, and one in the middle.

    A system of several seeds is shown by its first.

    Args:
        found: What the report tells.
        collection: The texts.
    """
    before, after = _sides(found)
    if before == after:
        return []
    members = [(system, found.systems[system][0]) for system in (before, after)]
    scores = [metrics.per_query(one.ranks(), "multi", ["map"]) for _, one in members]
    both = scores[0].join(scores[1], on=["query_lang", "question"], suffix="_after")
    both = both.with_columns(change=pl.col("map_after") - pl.col("map")).sort("change", "query_lang", "question")
    return [
        _example(place, kind, row, members, collection, found) for place, (kind, row) in enumerate(_picked(both), 1)
    ]


def _sides(found: Findings) -> tuple[System, System]:
    if found.reference != found.featured:
        return found.reference, found.featured
    others = [System("hybrid", alpha) for alpha in found.chosen if System("hybrid", alpha) != found.featured]
    return found.featured, others[-1] if others else found.featured


def _picked(changes: pl.DataFrame) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows to show, each of another question and another language."""
    middle = changes.height // 2
    up, down = changes.reverse(), changes
    orders = (
        ("gains most", up),
        ("gains most in another language", up),
        ("loses most", down),
        ("in the middle", pl.concat([changes[middle:], changes[:middle]])),
    )
    questions, languages = set(), set()
    for kind, order in orders:
        if "loses" in kind and order["change"][0] >= 0:
            continue
        for row in order.iter_rows(named=True):
            if row["question"] not in questions and row["query_lang"] not in languages:
                questions.add(row["question"])
                languages.add(row["query_lang"])
                yield kind, row
                break


def _example(
    place: int,
    kind: str,
    row: dict[str, Any],
    members: list[tuple[System, Evaluation]],
    collection: Collection,
    found: Findings,
) -> Example:
    question, query_lang = row["question"], row["query_lang"]
    queries = collection.queries
    versions = {queries.languages[i]: queries.texts[i] for i, q in enumerate(queries.questions) if q == question}
    mine: pl.Expr = (pl.col("question") == pl.lit(question)) & (pl.col("query_lang") == pl.lit(query_lang))
    system, last = members[-1]
    seed = "" if len(found.systems[system]) == 1 else ", first seed"
    caption = (
        f"Ranks in the pool of the answer's versions for one {language(query_lang).name} question of "
        f"{found.family.collection}, {name_of(system)}{seed}; set off: the query's language."
    )
    picture = _picture(
        f"example-{place}",
        caption,
        in_corpus(last.ranks()).filter(mine),
        (query_lang, versions[query_lang]),
        found.request.layout,
    )
    return Example(
        kind=kind,
        query_lang=query_lang,
        text=versions[query_lang],
        english="" if query_lang == "en" else versions.get("en", ""),
        precision={name_of(members[0][0]): row["map"], name_of(members[1][0]): row["map_after"]},
        sides={name_of(one): _retrieved(evaluation, collection, mine, query_lang) for one, evaluation in members},
        picture=picture,
    )


def _retrieved(evaluation: Evaluation, collection: Collection, mine: pl.Expr, query_lang: str) -> tuple[Passage, ...]:
    relevant = set(in_corpus(evaluation.ranks()).filter(mine)["doc"])
    found = evaluation.top().filter(mine).sort("rank").head(SHOWN)
    return tuple(
        Passage(
            row["rank"],
            row["doc_lang"],
            row["score"],
            "" if row["doc"] not in relevant else "answer" if row["doc_lang"] == query_lang else "translation",
            collection.corpus.texts[row["doc"]],
        )
        for row in found.iter_rows(named=True)
    )


def introduction(found: Findings) -> str:
    """How the examples were chosen."""
    before, after = (name_of(one) for one in _sides(found))
    return (
        f"Chosen by rule from all queries: where {label('map')} in the pool rises most and falls most from {before} to "
        f"{after}, and the one in the middle of all changes, each of another question and language. The first are not "
        "typical; the last is. A system of several seeds is shown by its first."
    )


def _picture(name: str, caption: str, ranks: pl.DataFrame, asked: tuple[str, str], layout: Layout) -> Picture:
    """Where the versions of one answer stand, under the question as it was asked.

    Args:
        name: Of its files.
        caption: What it shows.
        ranks: Frame of schema `RANKS`, of one query.
        asked: The query's language and text.
        layout: The width that the text is broken for.
    """
    code, text = asked
    lines = wrapped(text, INCHES[layout.width] * 72 / POINTS[layout.width] - 1)
    if language(code).direction == "rtl":
        lines = [f"{_RIGHT_TO_LEFT}{line}{_RIGHT_TO_LEFT}" for line in lines]
    figure = figures.parallel_ranks(ranks, code)
    title: dict[str, Any] = {"text": "<br>".join(map(figure_text, lines))}
    title |= {"xref": "container", "x": 0.01, "xanchor": "left", "yref": "container", "y": 1, "yanchor": "top"}
    figure.update_layout(title=title, margin={"t": 14 + 20 * len(lines)})
    set_title_size(figure, 14)
    return Picture(name, "examples", caption, figure, list_height(ranks.height + len(lines) - 1))
