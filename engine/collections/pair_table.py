"""Reader of tables of pairs, to train on: a row has a query, a passage that answers it, and perhaps some that do not.

Rows with one `question` are versions of it: what answers one answers all. Without `question`, rows with one query are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.collections.faults import LONE_SURROGATE, Faults, has_surrogate, qrels_of
from engine.collections.pictures import code_of_text
from engine.collections.rows import ENDINGS, table_rows
from engine.collections.structures import Collection, Corpus, Queries
from engine.errors import InputError

_STEMS = ("pairs", "train")
_QUERY, _PASSAGE, _NEGATIVE = ("query", "anchor"), ("passage", "positive"), "negative"

_Text = tuple[str, str]
"""A language and a text in it."""


def tables(place: Path) -> list[Path]:
    """The tables at a place: itself, or the files in a folder whose names begin with `pairs` or `train`, by name."""
    if place.is_file():
        return [place] if place.suffix in ENDINGS else []
    files = sorted(file for file in place.glob("*") if file.name.startswith(_STEMS) and file.suffix in ENDINGS)
    return [file for file in files if file.is_file()]


def read_pairs(files: Sequence[Path], name: str, faults: Faults, lang: str | None = None) -> Collection:
    """Read tables of pairs as one collection.

    A row has `query` and `passage` (or `anchor` and `positive`), `lang` (or `query_lang` and `passage_lang`), and
    perhaps `question` and columns whose names begin with `negative`. A passage is one candidate however often it
    occurs; negatives stand in its paragraph, where hard negatives are drawn from.

    Args:
        files: The tables.
        name: What to call the collection.
        faults: What to do about rows that cannot be used.
        lang: Language of texts whose row names none, as a tag.

    Raises:
        InputError: If a row cannot be used and such rows are not left out, or nothing is left.
    """
    table = _Table()
    for file in files:
        for place, row in table_rows(file, faults):
            if (pair := _pair(row, place, faults, lang)) is not None:
                table.add(pair, place, faults)
    if not table.relevant:
        left_out = ", ".join(f"{count} times {reason}" for reason, count in faults.skipped) or "there is none"
        raise InputError(f"{name}: no row can be used ({left_out}); expected query, passage and lang in each")
    return table.collection(name, faults)


@dataclass(frozen=True, slots=True)
class _Pair:
    """A row: texts with their languages."""

    question: str | None
    query: _Text
    passage: _Text
    negatives: tuple[str, ...]


@dataclass
class _Table:
    """What the rows come to.

    Attributes:
        queries: Question and language of each query, and its text.
        relevant: For each query, the passages that answer it.
        passages: Each passage and its number.
        negatives: Number of a passage, language and text of what does not answer its queries.
        numbered: The question of each query text whose rows name none.
    """

    queries: dict[tuple[str, str], str] = field(default_factory=dict)
    relevant: dict[tuple[str, str], dict[int, None]] = field(default_factory=dict)
    passages: dict[_Text, int] = field(default_factory=dict)
    negatives: dict[tuple[int, _Text], None] = field(default_factory=dict)
    numbered: dict[_Text, str] = field(default_factory=dict)

    def add(self, pair: _Pair, place: str, faults: Faults) -> None:
        """Add a row."""
        language, text = pair.query
        question = pair.question or self.numbered.setdefault(pair.query, f"#{len(self.numbered) + 1}")
        version = question, language
        if self.queries.setdefault(version, text) != text:
            faults.meet(place, "a question has two texts in one language", "give each its own `question`")
            return
        number = self.passages.setdefault(pair.passage, len(self.passages))
        self.relevant.setdefault(version, {})[number] = None
        for negative in pair.negatives:
            self.negatives[number, (pair.passage[0], negative)] = None

    def collection(self, name: str, faults: Faults) -> Collection:
        """The rows as a collection; a passage that answers a query is nobody's negative."""
        answers = [(number, passage) for passage, number in self.passages.items()]
        wrong = [one for one in self.negatives if one[1] not in self.passages]
        documents = sorted([*answers, *wrong], key=lambda one: one[1][0])  # stable
        row_of = {text: row for row, (_, text) in enumerate(documents) if text in self.passages}
        texts = list(self.passages)
        versions = sorted(self.queries, key=lambda version: version[1])
        return Collection(
            name=name,
            languages=tuple(sorted({language for _, language in versions} | {text[0] for _, text in documents})),
            queries=Queries(
                tuple(question for question, _ in versions),
                tuple(language for _, language in versions),
                tuple(self.queries[version] for version in versions),
            ),
            corpus=Corpus(
                tuple(str(number) for number, _ in documents),
                tuple(language for _, (language, _) in documents),
                tuple(text for _, (_, text) in documents),
            ),
            qrels=qrels_of([[row_of[texts[number]] for number in self.relevant[version]] for version in versions]),
            skipped=faults.skipped,
        )


def _pair(row: dict[str, Any], place: str, faults: Faults, lang: str | None) -> _Pair | None:
    """What a row says; None, and a fault, if it cannot be used."""
    query, passage = (_first(row, names) for names in (_QUERY, _PASSAGE))
    of_query, of_passage = (code_of_text(_first(row, (of, "lang")) or lang) for of in ("query_lang", "passage_lang"))
    negatives, question = list(_negatives(row)), row.get("question")
    if not isinstance(query, str) or not isinstance(passage, str):
        faults.meet(place, "a row lacks `query` or `passage`", "expected texts in both, or in `anchor` and `positive`")
    elif not query.strip() or not passage.strip():
        faults.meet(place, "a query or a passage is empty", "give its text")
    elif not isinstance(question, str | int | None) or not all(isinstance(text, str) for text in negatives):
        faults.meet(place, "a `question` or a `negative` is no text", "give a string, or leave it out")
    elif has_surrogate(query, passage, question, *negatives):
        faults.meet(place, LONE_SURROGATE, "write the whole character")
    elif of_query is None or of_passage is None:
        expected = "`lang` (or `query_lang` and `passage_lang`) must be tags of BCP 47 such as de, or give --lang"
        faults.meet(place, "a row has no known language", expected)
    else:
        kept = tuple(text for text in negatives if text.strip())
        name = None if question in (None, "") else str(question)
        return _Pair(name, (of_query, query), (of_passage, passage), kept)
    return None


def _first(row: dict[str, Any], names: Sequence[str]) -> Any:  # noqa: ANN401 - whatever stands there
    """The value of the first of these columns that has one."""
    return next((row[name] for name in names if row.get(name) not in (None, "")), None)


def _negatives(row: dict[str, Any]) -> Iterator[Any]:
    """What stands in columns whose names begin with `negative`, each a text or a list of texts."""
    for name, value in row.items():
        if str(name).startswith(_NEGATIVE) and value is not None:
            yield from value if isinstance(value, list) else [value]
