"""What queries and passages are called outside: the ids of runs, judgements and BEIR folders, and the language map.

The map is a table by tabs with the columns `kind` ("query" or "document"), `id`, `lang` and `question`. It names every
candidate of the pool, in the order that breaks ties; a query's `question` is the id that its versions in other
languages share, and its own id where there is none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

import polars as pl

from engine.collections.beir import beir_ids
from engine.collections.languages import from_tag
from engine.collections.opening import open_collection
from engine.collections.structures import Collection
from engine.errors import InputError
from engine.evaluation.evaluate import Evaluation, open_evaluated
from engine.evaluation.manifest import OpenedAs
from engine.exchange.files import numbered_lines
from engine.storage.digest import digest
from engine.storage.store import Store

MAP = "languages.tsv"
NOT_IN_CORPUS = "not-in-the-corpus"
"""Begins the ids that we give to relevant passages that are not in the corpus."""
_COLUMNS = ("kind", "id", "lang", "question")


@dataclass(frozen=True, slots=True, eq=False)
class Names:
    """The ids of a collection.

    Attributes:
        queries: `query_id`, `question`, `query_lang`.
        documents: `doc_id`, `doc` (position in the pool, Int32), `doc_lang`; in the pool's order.
    """

    queries: pl.DataFrame
    documents: pl.DataFrame

    @classmethod
    def of(
        cls,
        queries: Sequence[tuple[str, str, str]],
        documents: Sequence[tuple[str, str]],
    ) -> Names:
        """From rows of (query id, question, language) and of (document id, language) in the pool's order."""
        schema = {"query_id": pl.String, "question": pl.String, "query_lang": pl.String}
        asked = pl.DataFrame(queries, schema=schema, orient="row")
        pool = pl.DataFrame(documents, schema={"doc_id": pl.String, "doc_lang": pl.String}, orient="row")
        places = pl.int_range(pl.len(), dtype=pl.Int32).alias("doc")
        return cls(asked, pool.select("doc_id", places, "doc_lang"))

    @property
    def languages(self) -> list[str]:
        """All languages, sorted."""
        return sorted({*self.queries["query_lang"], *self.documents["doc_lang"]})

    def about(self, name: str) -> dict[str, object]:
        """What an evaluation's manifest says of a collection of which nothing but the ids is known."""
        ids = [*self.queries.iter_columns(), *self.documents.drop("doc").iter_columns()]
        return {
            "name": name,
            "digest": digest("names", 1, [column.to_list() for column in ids]),
            "languages": self.languages,
            "query_languages": sorted({*self.queries["query_lang"]}),
            "document_languages": sorted({*self.documents["doc_lang"]}),
            "queries": self.queries.height,
            "candidates": self.documents.height,
            "skipped": {},
        }


def query_id(question: str, language: str) -> str:
    """What a query is called outside: its question's id and its language, without white space."""
    return f"{one_word(question)}-{language}"


def document_id(language: str, position: int) -> str:
    """What a candidate is called outside: its language and its position in the pool."""
    return f"{language}-{position}"


def names_of(collection: Collection) -> Names:
    """The ids that we give to a collection's queries and candidates."""
    queries, languages = collection.queries, collection.corpus.languages
    rows = zip(queries.questions, queries.languages, strict=True)
    return Names.of(
        [(query_id(question, code), question, code) for question, code in rows],
        [(document_id(code, position), code) for position, code in enumerate(languages)],
    )


def open_named(
    name: str, store: Store, *, every: int = 1, skip_invalid: bool = False, split: str | None = None
) -> tuple[Collection, Names]:
    """Read a collection and the ids that it has outside: a BEIR folder's own, else those that we give.

    Raises:
        InputError: If it cannot be read.
    """
    opened = OpenedAs(collection=name, every=every, skip_invalid=skip_invalid, split=split)
    collection = open_collection(name, store, every=every, skip_invalid=skip_invalid, split=split)
    return collection, _names(collection, opened)


def _names(collection: Collection, opened: OpenedAs) -> Names:
    own = None
    if opened.every == 1:
        own = beir_ids(Path(opened.collection), skip_invalid=opened.skip_invalid, split=opened.split)
    if own is None:
        return names_of(collection)
    queries, corpus = collection.queries, collection.corpus
    return Names.of(
        list(zip(map(one_word, own[0]), queries.questions, queries.languages, strict=True)),
        list(zip(map(one_word, own[1]), corpus.languages, strict=True)),
    )


def open_evaluated_with_ids(evaluation: Evaluation, store: Store) -> tuple[Collection, Names]:
    """Read the collection of an evaluation, and its ids.

    Raises:
        InputError: If it is not at hand, or has changed since.
    """
    opened = evaluation.manifest.opened_as
    if opened is None:
        raise InputError(
            f"collection {evaluation.manifest.collection.name}: its texts did not come with the import, so trec and "
            "beir cannot be written; the other formats can"
        )
    collection = open_evaluated(evaluation, store)
    return collection, _names(collection, opened)


def write_map(names: Names, file: Path) -> None:
    """Write the language map."""
    queries = names.queries.select(
        pl.lit("query").alias("kind"),
        pl.col("query_id").alias("id"),
        pl.col("query_lang").alias("lang"),
        pl.col("question").map_elements(one_word, return_dtype=pl.String),
    )
    documents = names.documents.select(
        pl.lit("document").alias("kind"),
        pl.col("doc_id").alias("id"),
        pl.col("doc_lang").alias("lang"),
        pl.lit("").alias("question"),
    )
    pl.concat([queries, documents]).write_csv(file, separator="\t", quote_style="never")


def read_map(file: Path) -> Names:
    """Read a language map.

    Raises:
        InputError: If a line is no row of the map, a language is unknown, or an id or a question occurs twice.
    """
    queries: dict[str, tuple[str, str, str]] = {}
    documents: dict[str, tuple[str, str]] = {}
    versions = set()
    for place, line in numbered_lines(file):
        cells = line.split("\t")
        if tuple(cells[:3]) == _COLUMNS[:3]:
            continue
        if len(cells) not in (3, 4) or cells[0] not in ("query", "document") or not cells[1].strip():
            given = f"; got {line[:60]!r}" if queries or documents else ""
            raise InputError(f"{place}: expected {', '.join(_COLUMNS)} by tabs, kind is query or document{given}")
        kind, name, tag, question = (*cells, "")[:4]
        try:
            code = from_tag(tag.strip())
        except InputError as error:
            raise InputError(f"{place}: {error}") from error
        question = unquote(question.strip()) or name
        if name in (queries if kind == "query" else documents):
            raise InputError(f"{place}: {kind} {name!r} occurs twice; expected one line for each")
        if kind == "document":
            documents[name] = (name, code)
        elif (question, code) in versions:
            raise InputError(f"{place}: question {question!r} occurs twice in {code}; expected one query for each")
        else:
            queries[name] = (name, question, code)
            versions.add((question, code))
    if not queries or not documents:
        raise InputError(
            f"{file}: names no {'documents' if queries else 'queries'}; expected all queries and all documents"
        )
    return Names.of(list(queries.values()), sorted(documents.values(), key=lambda row: row[1]))


def one_word(text: str) -> str:
    """The text without white space, as URLs write it."""
    return re.sub(r"[\s%]", lambda found: quote(found[0]), text)
