"""What is trained on: a collection without its leaks, what is held out of it, and the batches drawn from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.collections.contamination import Leak, remove_leaks
from engine.collections.near_copies import NearCopies, near_copies
from engine.collections.near_texts import NearTexts, find_near_texts
from engine.collections.pictures import PICTURE
from engine.collections.structures import Collection
from engine.errors import InputError
from engine.progress import Progress, silent
from engine.storage.store import Store
from engine.training.adjusted import adjusted_by
from engine.training.recipe import OF_PICTURES, Recipe
from engine.training.sampler import HybridBatchSampler, TrainingPairs


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSet:
    """What is trained on.

    Attributes:
        collection: The training collection, without the questions that leak.
        leaks: What it shared with each collection that is evaluated on.
        near_copies: Pictures of it that look like some of a collection that is evaluated on.
        near_texts: Texts of it that nearly repeat some of a collection that is evaluated on.
    """

    collection: Collection
    leaks: tuple[Leak, ...] = ()
    near_copies: tuple[NearCopies, ...] = ()
    near_texts: tuple[NearTexts, ...] = ()

    @classmethod
    def without_leaks(
        cls, training: Collection, evaluations: Sequence[Collection], *, allowed: bool = False
    ) -> TrainingSet:
        """Leave out what the training collection shares with the evaluation collections.

        Args:
            training: The training collection.
            evaluations: What is evaluated on.
            allowed: Train on shared texts all the same; what was seen then stands in every evaluation's manifest.

        Raises:
            TrainingError: If nothing would be left to train on.
        """
        if allowed:
            return cls(training)
        kept, leaks = remove_leaks(training, evaluations)
        return cls(kept, tuple(leaks))

    def compared(self, evaluations: Iterable[Collection], store: Store, progress: Progress = silent) -> TrainingSet:
        """Look for near copies of evaluated texts and pictures among those that are trained on; they stay.

        Args:
            evaluations: What is evaluated on.
            store: Where the pictures' hashes are kept.
            progress: Told the pictures hashed of all.
        """
        others = list(evaluations)
        found = (near_copies(self.collection, evaluation, store, progress) for evaluation in others)
        pictures = tuple(copies for copies in found if copies and copies.pictures)
        texts = tuple(find_near_texts(self.collection, evaluation) for evaluation in others)
        return replace(self, near_copies=pictures, near_texts=texts)

    def notes(self) -> list[str]:
        """What a reader of the scores should know of it, a sentence each: what was left out, and near copies."""
        removed = [
            f"left out of training: {_questions(len(leak.questions))} in {leak.collection} too"
            for leak in self.leaks
            if leak.questions
        ]
        texts = [found.sentence() for found in self.near_texts if found.example]
        return [*removed, *texts, *(copies.sentence() for copies in self.near_copies)]

    def pair_counts(self) -> dict[tuple[str, str], int]:
        """How many questions can be drawn in each query language and passage language, where there is one."""
        pairs = TrainingPairs.from_collection(self.collection)
        asked, answered = (np.asarray(rows >= 0, np.int64) for rows in (pairs.query_rows, pairs.document_rows))
        counts = asked.T @ answered
        codes = pairs.languages
        return {(codes[a], codes[b]): int(counts[a, b]) for a, b in np.argwhere(counts)}

    @property
    def withheld(self) -> frozenset[str]:
        """Texts that must not be seen in training, in `leaks.plain` form."""
        return frozenset().union(*(leak.withheld for leak in self.leaks))

    def hold_out(self, share: float, seed: int) -> tuple[TrainingSet, Collection]:
        """Hold out a share of the questions, and no passage on both sides.

        Args:
            share: Above 0 and below 1, of the passages that answer a question.
            seed: Of the choice.

        Returns:
            What is trained on; and the collection with the questions that are held out. Both keep every candidate.

        Raises:
            InputError: If nothing is left on one side.
        """
        pairs = TrainingPairs.from_collection(self.collection)
        groups = pairs.passage_groups.max(axis=1)
        order = np.random.default_rng([seed, 2]).permutation(np.unique(groups))
        held = np.isin(groups, order[: round(share * len(order))])
        if held.all() or not held.any():
            raise InputError(f"hold_out: {share} of {len(order)} passages leaves nothing on one side; choose another")
        questions = {question for question, out in zip(pairs.questions, held, strict=True) if out}
        watched = self.collection.without_questions(set(pairs.questions) - questions)
        return replace(self, collection=self.collection.without_questions(questions)), watched

    def split(self, recipe: Recipe) -> tuple[TrainingSet, tuple[Collection, HybridBatchSampler] | None]:
        """Hold out what the recipe asks for.

        Returns:
            What is trained on; and what is held out with its batches (None if nothing is).

        Raises:
            InputError: If what is held out cannot fill a batch.
        """
        share = recipe.settings.hold_out
        if not share:
            return self, None
        kept, watched = self.hold_out(share, recipe.seed)
        count = len(set(watched.queries.questions))
        try:
            batches = make_sampler(recipe, watched, max(1, count // recipe.settings.batch_size))
        except InputError as error:
            raise InputError(f"hold_out: {share} of the passages cannot fill a batch ({error})") from error
        return kept, (watched, batches)


def _questions(count: int) -> str:
    return "1 question that is" if count == 1 else f"{count:,} questions that are"


def make_sampler(recipe: Recipe, collection: Collection, batches: int) -> HybridBatchSampler:
    """A recipe's batches from a collection.

    Raises:
        InputError: If batches of this size cannot be drawn from it.
    """
    settings = recipe.settings
    if PICTURE in collection.languages:
        raise InputError(f"{collection.name} has pictures; their batches are drawn by CaptionSampler")
    for name, usual in OF_PICTURES.items():
        if getattr(settings, name) != usual:
            what = name.replace("_", " ")
            raise InputError(f"{what}: {collection.name} has no pictures with captions; leave it out")
    return HybridBatchSampler(
        TrainingPairs.from_collection(collection),
        strategy="hybrid" if adjusted_by(recipe.strategy) else recipe.strategy,
        alpha=0.5 if recipe.alpha is None else recipe.alpha,
        batch_size=settings.batch_size,
        batches=batches,
        seed=recipe.seed,
        tau=settings.tau,
    )
