"""The nouns of the engine as frozen dataclasses: a collection and its parts. numpy and the standard library only."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np

from engine.collections.given import Given
from engine.collections.pictures import PICTURE
from engine.errors import InputError

Role = Literal["query", "document"]
Setting = Literal["mono", "cross", "multi"]

SETTINGS: tuple[Setting, ...] = ("mono", "cross", "multi")


@dataclass(frozen=True, slots=True)
class Queries:
    """Questions in their versions: row i is one query.

    Attributes:
        questions: The question's id, shared by its versions in all languages.
        languages: The query's language code.
        texts: The query's text; a `Picture` in the language of pictures.
    """

    questions: tuple[str, ...]
    languages: tuple[str, ...]
    texts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.texts)

    def rows_in(self, whole: Queries) -> list[int]:
        """Each query's row in the queries that these are a part of."""
        rows = {version: row for row, version in enumerate(whole.versions())}
        return [rows[version] for version in self.versions()]

    def versions(self) -> list[tuple[str, str]]:
        """Question and language of each query; no two are the same in a collection."""
        return list(zip(self.questions, self.languages, strict=True))


@dataclass(frozen=True, slots=True)
class Corpus:
    """Candidate passages: row i is one candidate, and i is its position in the pool.

    Attributes:
        passages: Id of the paragraph that the candidate stands in; hard negatives come from the same one.
        languages: The candidate's language code.
        texts: The candidate's text; a `Picture` in the language of pictures.
    """

    passages: tuple[str, ...]
    languages: tuple[str, ...]
    texts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True, slots=True, eq=False)
class Qrels:
    """Relevance judgements, binary: document ``documents[i]`` answers query ``queries[i]``.

    Attributes:
        queries: Row in `Queries`, int64 (n,), ascending.
        documents: Row in `Corpus`, int64 (n,), ascending within a query.
    """

    queries: np.ndarray
    documents: np.ndarray

    def __len__(self) -> int:
        return len(self.queries)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Collection:
    """Languages, queries, candidates and judgements.

    Queries and candidates stand in blocks, one per language, in the order of `languages`.

    Attributes:
        name: What the collection is called in tables and on pages.
        languages: Language codes, in the order of the blocks.
        queries: All queries.
        corpus: All candidates: the pool.
        qrels: Which candidates answer which queries, across all languages.
        skipped: Rows that could not be used and were left out, by reason.
        split: Which of its splits was read; None where it has none.
        own: Where queries are candidates too: the position of each query itself, which it never retrieves, -1 where
            it is none; int64 (queries,). None where queries and candidates are of two kinds.
        absent: How many relevant documents of each query are not in the corpus and so are missed, as trec_eval counts
            them; int64 (queries,). None where none is.
        given: Vectors that it brings along; None where an encoder makes them.
        restated: Ids of questions that are asked elsewhere too, in the same language and other words.

    Raises:
        InputError: If the parts do not fit together.
    """

    name: str
    languages: tuple[str, ...]
    queries: Queries
    corpus: Corpus
    qrels: Qrels
    skipped: tuple[tuple[str, int], ...] = ()
    split: str | None = None
    own: np.ndarray | None = None
    absent: np.ndarray | None = None
    given: Given | None = None
    restated: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        for what, part in (("queries", self.queries), ("candidates", self.corpus)):
            if not len(part):
                raise InputError(f"collection {self.name}: it has no {what}; check that its files are complete")
            if _block_order(part.languages) != tuple(code for code in self.languages if code in set(part.languages)):
                raise InputError(f"collection {self.name}: {what} must be in one block per language, in order")
            if len({len(getattr(part, column.name)) for column in fields(part)}) != 1:
                raise InputError(
                    f"collection {self.name}: the columns of its {what} differ in length; give one value a row"
                )
        if len(set(self.queries.versions())) != len(self.queries):
            raise InputError(f"collection {self.name}: a question id occurs twice in one language")
        rows, documents = self.qrels.queries, self.qrels.documents
        if len(rows) != len(documents):
            raise InputError(f"collection {self.name}: {len(rows)} judged queries, {len(documents)} judged candidates")
        if not (_are_rows(rows, len(self.queries)) and _are_rows(documents, len(self.corpus))):
            raise InputError(f"collection {self.name}: a judgement names a query or a candidate that does not exist")
        keys = rows.astype(np.int64) * len(self.corpus) + documents
        if (np.diff(keys) <= 0).any():
            raise InputError(f"collection {self.name}: judgements must ascend by query and candidate, each once")
        if self.own is not None and len(self.own) != len(self.queries):
            raise InputError(f"collection {self.name}: {len(self.own)} own positions for {len(self.queries)} queries")

    @property
    def document_role(self) -> Role:
        """As what candidates are encoded: as queries where they are the same items, which is a symmetric task."""
        return "document" if self.own is None else "query"

    def document_range(self, language: str) -> tuple[int, int]:
        """First and one-past-last position in the pool of a language's candidates (0, 0 if it has none)."""
        return _block_range(self.corpus.languages, language)

    def query_range(self, language: str) -> tuple[int, int]:
        """First and one-past-last row of a language's queries (0, 0 if it has none)."""
        return _block_range(self.queries.languages, language)

    @property
    def query_languages(self) -> tuple[str, ...]:
        """Languages that have queries, in the order of `languages`."""
        return _block_order(self.queries.languages)

    @property
    def document_languages(self) -> tuple[str, ...]:
        """Languages that have candidates, in the order of `languages`."""
        return _block_order(self.corpus.languages)

    @property
    def query_codes(self) -> np.ndarray:
        """Each query's language as an index into `languages`, int64 (queries,)."""
        return _codes(self.queries.languages, self.languages)

    @property
    def document_codes(self) -> np.ndarray:
        """Each candidate's language as an index into `languages`, int64 (candidates,)."""
        return _codes(self.corpus.languages, self.languages)

    @property
    def crossed(self) -> bool:
        """Whether a query has a relevant candidate in another language than its own."""
        return bool((self.query_codes[self.qrels.queries] != self.document_codes[self.qrels.documents]).any())

    def every(self, step: int) -> Collection:
        """Keep every step-th paragraph (the step-th, the 2 step-th, ...), its sentences and its questions.

        Args:
            step: 1 keeps all; 3 keeps a third.

        Raises:
            InputError: If the step is below 1, or the paragraphs are not parallel in all languages, so that
                leaving some out would separate a question's versions.
        """
        if step < 1:
            raise InputError(f"every must be an integer >= 1, got {step}; 3 keeps a third of the paragraphs")
        if step == 1:
            return self
        order = list(dict.fromkeys(self.corpus.passages))
        in_languages: dict[str, set[str]] = {}
        for passage, language in zip(self.corpus.passages, self.corpus.languages, strict=True):
            in_languages.setdefault(passage, set()).add(language)
        if any(len(found) != len(self.languages) for found in in_languages.values()):
            raise InputError(f"every: the paragraphs of {self.name} are not parallel in all languages; use it whole")
        kept = set(order[step - 1 :: step])
        documents = np.array([passage in kept for passage in self.corpus.passages])
        return self.restrict(documents, name=f"{self.name}/{step}")

    def restrict(self, documents: np.ndarray, name: str) -> Collection:
        """Keep the chosen candidates, and the queries that still have one that answers them.

        Args:
            documents: Which candidates stay, bool (candidates,).
            name: The name of the smaller collection.
        """
        queries = np.zeros(len(self.queries), bool)
        queries[self.qrels.queries[documents[self.qrels.documents]]] = True
        return self._keep(queries, documents, name)

    def without_questions(self, questions: Set[str]) -> Collection:
        """Leave questions out in all their languages; every candidate stays."""
        queries = np.array([question not in questions for question in self.queries.questions])
        return self._keep(queries, np.ones(len(self.corpus), bool), self.name)

    def with_identical_ids(self) -> Collection:
        """Let queries retrieve the candidates of their own id; captions and pictures never retrieve themselves."""
        return self if PICTURE in self.corpus.languages else replace(self, own=None)

    @property
    def identical_ids(self) -> int:
        """How many queries stand in the corpus under their own id and are left out of their own ranking."""
        return 0 if self.own is None or PICTURE in self.corpus.languages else int((self.own >= 0).sum())

    @property
    def restatements(self) -> int:
        """How many queries ask a question again in the same language; each counts as a question of its own."""
        return sum(question in self.restated for question in self.queries.questions)

    def _keep(self, queries: np.ndarray, documents: np.ndarray, name: str) -> Collection:
        judged = queries[self.qrels.queries] & documents[self.qrels.documents]
        query_rows, document_rows = np.cumsum(queries) - 1, np.cumsum(documents) - 1
        own = None if self.own is None else self.own[queries]
        if own is not None:
            own = np.where((own >= 0) & documents[own], document_rows[own], -1)
        return replace(
            self,
            name=name,
            queries=Queries(*_select(queries, self.queries.questions, self.queries.languages, self.queries.texts)),
            corpus=Corpus(*_select(documents, self.corpus.passages, self.corpus.languages, self.corpus.texts)),
            qrels=Qrels(query_rows[self.qrels.queries[judged]], document_rows[self.qrels.documents[judged]]),
            own=own,
            absent=None if self.absent is None else self.absent[queries],
            given=None if self.given is None else self.given.keep(queries, documents),
        )


def _select(mask: np.ndarray, *columns: tuple[str, ...]) -> list[tuple[str, ...]]:
    rows = np.flatnonzero(mask)
    return [tuple(column[i] for i in rows) for column in columns]


def _block_order(languages: tuple[str, ...]) -> tuple[str, ...]:
    starts = [code for i, code in enumerate(languages) if i == 0 or languages[i - 1] != code]
    return tuple(starts)


def _block_range(languages: tuple[str, ...], language: str) -> tuple[int, int]:
    if language not in languages:
        return 0, 0
    start = languages.index(language)
    return start, start + languages.count(language)


def _are_rows(positions: np.ndarray, count: int) -> bool:
    return bool(((positions >= 0) & (positions < count)).all())


def _codes(languages: tuple[str, ...], order: tuple[str, ...]) -> np.ndarray:
    position = {code: i for i, code in enumerate(order)}
    return np.array([position[code] for code in languages], np.int64)
