"""Which pairs stand in which batch: index batches for contrastive training with in-batch negatives.

Every other passage of a batch is taken for wrong, so a batch holds no question and no passage twice, in any language.
One draw per batch decides its kind: all pairs in one language, or every pair across two.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from engine.collections.groups import groups_by_question
from engine.collections.structures import Collection
from engine.errors import InputError

Kind = Literal["mono", "cross", "mixed"]

STRATEGIES = ("hybrid", "x-x-mono", "x-y", "x-x", "en-en")

_FIXED_ALPHAS = {"x-x-mono": 1.0, "x-y": 0.0, "en-en": 1.0}
_ENGLISH = "en"


@dataclass(frozen=True, slots=True, eq=False)
class TrainingPairs:
    """What can be drawn: a question's query and passage in each language, by row.

    Attributes:
        languages: Language codes, the second axis of the arrays.
        questions: Question ids, the first axis of the arrays.
        query_rows: Row in the collection's queries, int64 (questions, languages); -1 where there is none.
        document_rows: Pool position of the question's first relevant passage in the language, int64
            (questions, languages); -1 where there is none.
        passage_groups: Equal for passages that count as one: those that answer one question, and on through
            questions that share a passage; int64 (questions, languages), -1 where there is none.

    Raises:
        InputError: If the arrays differ in shape, or a question's passages are in several groups.
    """

    languages: tuple[str, ...]
    questions: tuple[str, ...]
    query_rows: np.ndarray
    document_rows: np.ndarray
    passage_groups: np.ndarray

    def __post_init__(self) -> None:
        """Check what keeps a passage from standing twice in a batch."""
        shape = (len(self.questions), len(self.languages))
        if not self.query_rows.shape == self.document_rows.shape == self.passage_groups.shape == shape:
            raise InputError(f"training pairs: every array must have shape {shape} (questions, languages)")
        exists = self.document_rows >= 0
        highest = self.passage_groups.max(axis=1, initial=-1, keepdims=True)
        if (exists & ((self.passage_groups != highest) | (highest < 0))).any():
            raise InputError("training pairs: all passages of a question must be in one group; use from_collection")

    @classmethod
    def from_collection(cls, collection: Collection) -> TrainingPairs:
        """Collect a collection's pairs; what is relevant to one version of a question is relevant to all."""
        queries, languages = collection.queries, collection.languages
        position = {question: i for i, question in enumerate(dict.fromkeys(queries.questions))}
        question_of = np.array([position[question] for question in queries.questions], np.int64)
        query_rows = np.full((len(position), len(languages)), -1, np.int64)
        query_rows[question_of, collection.query_codes] = np.arange(len(queries))

        judged, documents = question_of[collection.qrels.queries], collection.qrels.documents
        document_rows = np.full(query_rows.shape, len(collection.corpus), np.int64)
        np.minimum.at(document_rows, (judged, collection.document_codes[documents]), documents)
        document_rows[document_rows == len(collection.corpus)] = -1
        group_of = groups_by_question(judged, documents, len(collection.corpus))
        passage_groups = np.where(document_rows >= 0, group_of[document_rows], -1)
        return cls(languages, tuple(position), query_rows, document_rows, passage_groups)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Pairs that are trained on together; ``documents[i]`` answers ``queries[i]``.

    Attributes:
        queries: Rows of the collection's queries, int64 (size,).
        documents: Pool positions, int64 (size,).
        query_languages, document_languages: Indices into the languages, int64 (size,).
        kind: "mono" if all is in one language, "cross" if every pair's two languages differ; "mixed" (same-language
            pairs in any languages) only by the baseline x-x.
    """

    queries: np.ndarray
    documents: np.ndarray
    query_languages: np.ndarray
    document_languages: np.ndarray
    kind: Kind


class HybridBatchSampler:
    """A run's batches, each determined by the seed and its number alone, so that a run can resume at any of them.

    Monolingual batches draw a language with probability proportional to (questions in it) ** tau, among the languages
    that can fill a batch. Cross-lingual batches draw questions, then for each an ordered pair of languages among those
    that it exists in, with probability proportional to (questions in the pair) ** tau; x-x does so with same-language
    pairs. Every question that such a batch could hold has the same chance, size / questions. The exception is a passage
    with more than questions / size questions: it is in every batch, with one of its questions at random.

    Runs of one seed that differ only in alpha share draws: a monolingual batch stays the same at every higher alpha,
    a cross-lingual one at every lower alpha.

    Args:
        pairs: What can be drawn.
        strategy: One of `STRATEGIES`; x-x-mono is hybrid with alpha 1, x-y with alpha 0.
        alpha: Probability that a batch of hybrid is monolingual, 0 to 1; the other strategies have their own.
        batch_size: Pairs in a batch, from 2.
        batches: Batches in the run, from 1.
        seed: A whole number from 0.
        tau: 0 draws languages uniformly, 1 in proportion to their size; what is between, between.

    Raises:
        InputError: If a value is not allowed, or the pairs cannot fill a batch of this size without a passage twice.
    """

    def __init__(
        self,
        pairs: TrainingPairs,
        *,
        strategy: str = "hybrid",
        alpha: float = 0.5,
        batch_size: int = 100,
        batches: int,
        seed: int = 0,
        tau: float = 0.0,
    ) -> None:
        _check_values(strategy, alpha, batch_size, batches, seed, tau)
        self.pairs, self.strategy, self.batch_size = pairs, strategy, batch_size
        self.batches, self.seed, self.tau = batches, seed, tau
        self.alpha = None if strategy == "x-x" else _FIXED_ALPHAS.get(strategy, float(alpha))
        self._pools = self._make_pools()
        self._check_capacity()
        self._mono = [pool for pool in self._pools.get("mono", []) if pool.capacity >= batch_size]
        weights = np.array([len(pool.members) for pool in self._mono], float) ** tau
        self._shares = weights / weights.sum()

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[Batch]:
        return (self.batch(i) for i in range(self.batches))

    def batch(self, i: int) -> Batch:
        """Draw batch i, which depends on the seed and i only; InputError if the run has none."""
        if not 0 <= i < self.batches:
            raise InputError(f"batch must be from 0 to {self.batches - 1}, got {i}")
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(i,)))
        if self.alpha is None:
            kind, pool = "mixed", self._pools["mixed"][0]
        elif rng.random() < self.alpha:
            kind, pool = "mono", self._mono[rng.choice(len(self._mono), p=self._shares)]
        else:
            kind, pool = "cross", self._pools["cross"][0]
        questions, query_languages, document_languages = pool.draw(self.batch_size, rng)
        return Batch(
            queries=self.pairs.query_rows[questions, query_languages],
            documents=self.pairs.document_rows[questions, document_languages],
            query_languages=query_languages,
            document_languages=document_languages,
            kind=kind,
        )

    def composition(self, upto: int | None = None) -> dict[str, Any]:
        """What the first `upto` batches (by default all) are made of, drawn again and counted; ready for JSON.

        Returns:
            `batches`: kind -> number of batches; `pairs`: a row per ordered pair of languages that was drawn;
            `excluded`: language that cannot fill a monolingual batch, so is in none -> the largest that it could fill.
        """
        languages, mono = self.pairs.languages, self._pools.get("mono", [])
        kinds = dict.fromkeys(get_args(Kind), 0)
        counts = np.zeros((len(languages), len(languages)), np.int64)
        for i in range(self.batches if upto is None else upto):
            batch = self.batch(i)
            kinds[batch.kind] += 1
            np.add.at(counts, (batch.query_languages, batch.document_languages), 1)
        return {
            "batches": kinds,
            "pairs": [
                {"query_lang": languages[a], "doc_lang": languages[b], "pairs": int(counts[a, b])}
                for a, b in np.argwhere(counts)
            ],
            "excluded": {languages[p.cells[0, 0]]: p.capacity for p in mono if p.capacity < self.batch_size},
        }

    def _make_pools(self) -> dict[Kind, list[_Pool]]:
        """The pools that the strategy draws from: one per language for mono, one for cross or mixed."""
        codes = self.pairs.languages
        cells = np.indices((len(codes), len(codes))).reshape(2, -1).T
        same, across = cells[cells[:, 0] == cells[:, 1]], cells[cells[:, 0] != cells[:, 1]]
        if self.strategy == "en-en" and _ENGLISH not in codes:
            raise InputError(f"strategy en-en: the languages are {', '.join(codes)}, without en; choose another")
        if self.strategy == "en-en":
            same = same[[codes.index(_ENGLISH)]]
        if self.alpha is None:
            return {"mixed": [_Pool(self.pairs, same, self.tau)]}
        pools: dict[Kind, list[_Pool]] = {}
        if self.alpha > 0:
            pools["mono"] = [_Pool(self.pairs, cell[np.newaxis], self.tau) for cell in same]
        if self.alpha < 1:
            pools["cross"] = [_Pool(self.pairs, across, self.tau)]
            if not pools["cross"][0].capacity:
                raise InputError(
                    f"strategy {self.strategy}: no question exists in two languages (of {', '.join(codes)}); use a "
                    "parallel collection for cross-lingual batches, or strategy x-x-mono"
                )
        return pools

    def _check_capacity(self) -> None:
        largest, kind = min((max(pool.capacity for pool in pools), kind) for kind, pools in self._pools.items())
        if self.batch_size > largest:
            raise InputError(
                f"batch size must be at most {largest} with strategy {self.strategy}, got {self.batch_size}: no more "
                f"different passages can fill a {kind} batch; choose a smaller one, or a larger collection"
            )


class _Pool:
    """The questions that exist in some of the given pairs of languages, grouped by passage.

    Attributes:
        cells: The pairs of languages, int64 (cells, 2).
        members: Question indices, group after group, large groups first, int64 (members,).
        capacity: Number of groups, which is the largest batch.
    """

    def __init__(self, pairs: TrainingPairs, cells: np.ndarray, tau: float) -> None:
        exists = (pairs.query_rows[:, cells[:, 0]] >= 0) & (pairs.document_rows[:, cells[:, 1]] >= 0)
        questions = np.flatnonzero(exists.any(axis=1))
        groups = pairs.passage_groups.max(axis=1)[questions]
        _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
        order = np.lexsort((group, -sizes[group]))
        self.cells, self.members, self.capacity = cells, questions[order], len(sizes)
        self._sizes = np.sort(sizes)[::-1]
        self._starts = np.cumsum(self._sizes) - self._sizes
        in_cell = exists.sum(axis=0)
        weights = (in_cell / in_cell.max(initial=1)) ** tau
        patterns, pattern = np.unique(exists[self.members], axis=0, return_inverse=True)  # few: a table stays small
        self._bounds, self._pattern = np.cumsum(patterns * weights, axis=1), pattern.reshape(-1)

    def draw(self, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw questions of different groups, and a pair of languages for each; three int64 (size,)."""
        groups = self._draw_groups(size, rng)
        drawn = self._starts[groups] + rng.integers(self._sizes[groups])
        bounds = self._bounds[self._pattern[drawn]]
        points = rng.random((size, 1)) * bounds[:, -1:]
        cells = self.cells[(bounds <= points).sum(axis=1)]
        return self.members[drawn], cells[:, 0], cells[:, 1]

    def _draw_groups(self, size: int, rng: np.random.Generator) -> np.ndarray:
        """Draw different groups with chances in proportion to their sizes, so that all questions have the same.

        Systematic sampling (Madow 1949, Annals of Mathematical Statistics 20): the groups lie in random order on
        a line, each as long as its size, and are hit by equidistant points. A group longer than the distance is taken
        for certain, and the rest drawn from the others. Whole numbers throughout, so the chances are exact.
        """
        left = len(self.members) - self._starts[:size]
        certain = int(np.argmax(self._sizes[:size] * (size - np.arange(size)) <= left))
        others = certain + rng.permutation(self.capacity - certain)
        ends = np.cumsum(self._sizes[others])
        points = (rng.integers(ends[-1]) + ends[-1] * np.arange(size - certain)) // (size - certain)
        hit = others[np.searchsorted(ends, points, side="right")]
        return np.concatenate([np.arange(certain), hit])


def _check_values(strategy: str, alpha: float, batch_size: int, batches: int, seed: int, tau: float) -> None:
    if strategy not in STRATEGIES:
        raise InputError(f"strategy {strategy!r} is unknown; allowed are {', '.join(STRATEGIES)}")
    for what, share in (("alpha", alpha), ("tau", tau)):
        if not 0 <= share <= 1:  # also refuses NaN
            raise InputError(f"{what} must be a number from 0 to 1, got {share}")
    for what, number, least in (("batch size", batch_size, 2), ("batches", batches, 1), ("seed", seed, 0)):
        if number < least:
            raise InputError(f"{what} must be an integer >= {least}, got {number}")
