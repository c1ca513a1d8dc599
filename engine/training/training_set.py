"""What is trained on: a collection without its leaks, what is held out of it, and the batches drawn from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.collections.contamination import Leak, remove_leaks
from engine.collections.digest import collection_digest
from engine.collections.structures import Collection
from engine.errors import InputError
from engine.training.adjusted import adjusted_by
from engine.training.recipe import Recipe
from engine.training.sampler import HybridBatchSampler, TrainingPairs


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSet:
    """What is trained on.

    Attributes:
        collection: The training collection, without the questions that leak.
        leaks: What it shared with each collection that is evaluated on.
    """

    collection: Collection
    leaks: tuple[Leak, ...] = ()

    @classmethod
    def without_leaks(cls, training: Collection, evaluations: Sequence[Collection]) -> TrainingSet:
        """Leave out what the training collection shares with the evaluation collections, save with itself."""
        own = collection_digest(training)
        others = [evaluation for evaluation in evaluations if collection_digest(evaluation) != own]
        kept, leaks = remove_leaks(training, others)
        return cls(kept, tuple(leaks))

    @property
    def withheld(self) -> frozenset[str]:
        """Texts that must not be seen in training, in `leaks.plain` form."""
        return frozenset().union(*(leak.withheld for leak in self.leaks))

    def split(self, recipe: Recipe) -> tuple[TrainingSet, tuple[Collection, HybridBatchSampler] | None]:
        """Hold out a share of the questions, if the recipe asks for it, and no passage on both sides.

        Returns:
            What is trained on; and what is held out with its batches (None if nothing is).

        Raises:
            InputError: If what is held out cannot fill a batch.
        """
        share = recipe.settings.hold_out
        if not share:
            return self, None
        pairs = TrainingPairs.from_collection(self.collection)
        groups = pairs.passage_groups.max(axis=1)
        order = np.random.default_rng([recipe.seed, 2]).permutation(np.unique(groups))
        held = np.isin(groups, order[: round(share * len(order))])
        if held.all() or not held.any():
            raise InputError(f"hold_out: {share} of {len(order)} passages leaves nothing on one side; choose another")
        questions = {question for question, out in zip(pairs.questions, held, strict=True) if out}
        watched = self.collection.without_questions(set(pairs.questions) - questions)
        try:
            batches = make_sampler(recipe, watched, max(1, len(questions) // recipe.settings.batch_size))
        except InputError as error:
            raise InputError(f"hold_out: {share} of the passages cannot fill a batch ({error})") from error
        return TrainingSet(self.collection.without_questions(questions), self.leaks), (watched, batches)


def make_sampler(recipe: Recipe, collection: Collection, batches: int) -> HybridBatchSampler:
    """A recipe's batches from a collection.

    Raises:
        InputError: If batches of this size cannot be drawn from it.
    """
    settings = recipe.settings
    return HybridBatchSampler(
        TrainingPairs.from_collection(collection),
        strategy="hybrid" if adjusted_by(recipe.strategy) else recipe.strategy,
        alpha=0.5 if recipe.alpha is None else recipe.alpha,
        batch_size=settings.batch_size,
        batches=batches,
        seed=recipe.seed,
        tau=settings.tau,
    )
