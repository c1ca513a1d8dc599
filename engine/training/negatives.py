"""Hard negatives: further sentences of the positive's own paragraph."""

from __future__ import annotations

from collections.abc import Set

import numpy as np

from engine.collections.contamination import plain
from engine.collections.structures import Collection
from engine.errors import TrainingError
from engine.training.sampler import Batch


class HardNegatives:
    """Further sentences of the positive's own paragraph, in its language, that do not answer any question.

    Args:
        collection: The training collection; what answers a question of it is never given.
        count: How many per pair; a paragraph may hold fewer.
        seed: Of the choice.
        withheld: Texts that must not be seen in training, in `leaks.plain` form.
    """

    def __init__(self, collection: Collection, count: int, seed: int, withheld: Set[str] = frozenset()) -> None:
        self.count, self._seed = count, seed
        corpus = collection.corpus
        self._texts = corpus.texts
        answers = {plain(corpus.texts[doc]) for doc in collection.qrels.documents} if count else set()
        never = withheld | answers
        self._paragraph = list(zip(corpus.passages, corpus.languages, strict=True))
        self._others: dict[tuple[str, str], list[int]] = {}
        for doc, paragraph in enumerate(self._paragraph) if count else ():
            if plain(corpus.texts[doc]) not in never:
                self._others.setdefault(paragraph, []).append(doc)

    def by_pair(self, batch: Batch, step: int) -> np.ndarray:
        """Positions of each pair's hard negatives, int64 (pairs, count).

        A paragraph with fewer sentences gives some of them more than once; one with none gives another pair's.

        Raises:
            TrainingError: If no paragraph of the batch has a sentence to give.
        """
        rows = np.full((len(batch.documents), self.count), -1, np.int64)
        if not self.count:
            return rows
        draw = np.random.default_rng([self._seed, step, 1])
        for pair, doc in enumerate(batch.documents):
            if others := self._others.get(self._paragraph[doc]):
                rows[pair] = np.resize(draw.permutation(others), self.count)
        given = rows[rows[:, 0] >= 0]
        if not len(given):
            raise TrainingError("hard negatives: no paragraph has a sentence that answers no question; train without")
        rows[rows[:, 0] < 0] = given[draw.integers(len(given), size=len(rows) - len(given))]
        return rows

    def texts(self) -> list[str]:
        """All that may be given."""
        return [self._texts[doc] for others in self._others.values() for doc in others]

    def rows(self, batch: Batch, step: int) -> np.ndarray:
        """Positions of the batch's hard negatives, each once, int64 (n,)."""
        return np.unique(self.by_pair(batch, step))
