"""Recipe -> checkpoint: an ordinary sentence-transformers folder in the store, with `recipe.json` and `training.json`.

What the methods share is here: the training set without leaks, the batches, the checkpoint's folder. The methods
themselves are `head.py` (a linear head on cached vectors) and `full.py` (all weights).
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine import full, head
from engine.embedding import embed
from engine.encoder import SentenceEncoder
from engine.errors import InputError
from engine.evaluation import collection_digest
from engine.leaks import MARKS, Leak, remove_leaks, text_marks
from engine.progress import Observer, Progress, silent, unobserved
from engine.recipe import DEFAULTS, Method, Recipe, Settings, check_alpha
from engine.sampler import HybridBatchSampler, TrainingPairs
from engine.store import SCHEMA_VERSION, Store, digest
from engine.structures import Collection

RECIPE, TRAINING = "recipe.json", "training.json"


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

    def split(self, recipe: Recipe) -> tuple[TrainingSet, tuple[Collection, HybridBatchSampler] | None]:
        """Hold out a share of the questions, if the recipe asks for it, and no passage on both sides.

        Returns:
            What is trained on; and what is held out with its batches (None if nothing is).

        Raises:
            InputError: If what is held out cannot fill a batch.
        """
        share = recipe.settings.hold_out
        if not share or recipe.method != "full":
            return self, None
        pairs = TrainingPairs.from_collection(self.collection)
        groups = pairs.passage_groups.max(axis=1)
        order = np.random.default_rng([recipe.seed, 2]).permutation(np.unique(groups))
        held = np.isin(groups, order[: round(share * len(order))])
        questions = {question for question, out in zip(pairs.questions, held, strict=True) if out}
        batches = max(1, len(questions) // recipe.settings.batch_size)
        watched = self.collection.without_questions(set(pairs.questions) - questions)
        trained_on = TrainingSet(self.collection.without_questions(questions), self.leaks)
        return trained_on, (watched, make_sampler(recipe, watched, batches))


def make_recipe(
    encoder: SentenceEncoder,
    training: TrainingSet,
    *,
    method: Method = "head",
    strategy: str = "hybrid",
    alpha: float | None = None,
    seed: int = 0,
    settings: Settings | None = None,
) -> Recipe:
    """Write down what determines a checkpoint.

    Args:
        encoder: The base encoder.
        training: What is trained on.
        method: "head" or "full".
        strategy: "hybrid", which needs an alpha, or a baseline, which has none.
        alpha: Probability that a batch is monolingual.
        seed: Of everything random.
        settings: Hyper-parameters; by default the method's.

    Raises:
        InputError: If the method or the strategy is unknown, or alpha is missing, superfluous or outside [0, 1].
    """
    if method not in DEFAULTS:
        raise InputError(f"method {method!r} is unknown; allowed are {', '.join(DEFAULTS)}")
    if strategy == "hybrid" and alpha is None:
        raise InputError("alpha is missing; the hybrid strategy needs a share of monolingual batches from 0 to 1")
    if strategy != "hybrid" and alpha is not None:
        raise InputError(f"alpha: {alpha} came, but strategy {strategy} has none; leave it out or use hybrid")
    return Recipe(
        encoder=encoder.fingerprint,
        prompts=dict(encoder.prompts),
        collection=collection_digest(training.collection),
        method=method,
        strategy=strategy,
        alpha=None if alpha is None else check_alpha(alpha),
        seed=seed,
        settings=settings or DEFAULTS[method],
        encoder_name=encoder.name,
        collection_name=training.collection.name,
    )


def checkpoint_key(recipe: Recipe) -> str:
    """The store's key of a recipe's checkpoint."""
    return digest("checkpoint", SCHEMA_VERSION, recipe.determinants())


def train(
    recipe: Recipe,
    encoder: SentenceEncoder,
    training: TrainingSet,
    store: Store,
    *,
    progress: Progress = silent,
    observe: Observer = unobserved,
) -> str:
    """Train a checkpoint, or find it in the store.

    Args:
        recipe: From `make_recipe`, of this encoder and this training set.
        encoder: The base encoder.
        training: What is trained on.
        store: Where vectors and checkpoints are kept.
        progress: Told the steps done of all steps.
        observe: Told the loss.

    Returns:
        The checkpoint's key.

    Raises:
        InputError: If batches of this size cannot be drawn.
        TrainingError: If the loss diverges; no checkpoint is left then.
        StoreError: If the cache cannot be written.
    """
    key = checkpoint_key(recipe)
    if store.get("checkpoints", key) is not None:
        return key
    training, held_out = training.split(recipe)
    sampler = make_sampler(recipe, training.collection, recipe.settings.steps * recipe.settings.accumulate)
    started = time.monotonic()
    about = {"name": recipe.label, "recipe": asdict(recipe)}
    if recipe.method == "head":
        collection = training.collection
        queries = embed(encoder, "query", collection.queries.texts, store, progress)
        documents = embed(encoder, "document", collection.corpus.texts, store, progress)
        weight, losses = head.train_head(queries, documents, sampler, recipe, collection, progress, observe)
        with store.writing("checkpoints", key, about) as folder:
            head.write_checkpoint(encoder.folder, folder, weight)
            _write_papers(folder, recipe, training, sampler, losses, time.monotonic() - started)
        return key
    work = store.partial("checkpoints", key)
    with store.writing("checkpoints", key, about) as folder:
        losses = full.train_full(
            encoder, training.collection, sampler, recipe, work, folder, progress, observe, held_out
        )
        _write_papers(folder, recipe, training, sampler, losses, time.monotonic() - started)
    store.discard_partial("checkpoints", key)
    return key


def make_sampler(recipe: Recipe, collection: Collection, batches: int) -> HybridBatchSampler:
    """A recipe's batches from a collection.

    Raises:
        InputError: If batches of this size cannot be drawn from it.
    """
    settings = recipe.settings
    return HybridBatchSampler(
        TrainingPairs.from_collection(collection),
        strategy=recipe.strategy,
        alpha=0.5 if recipe.alpha is None else recipe.alpha,
        batch_size=settings.batch_size,
        batches=batches,
        seed=recipe.seed,
        tau=settings.tau,
    )


def read_training(store: Store, key: str) -> dict[str, Any]:
    """What is known of a checkpoint's training: losses, realised batches, leaks, seconds."""
    return json.loads((store.path("checkpoints", key) / TRAINING).read_text(encoding="utf-8"))


def write_recipe(folder: Path, recipe: Recipe) -> None:
    """Write `recipe.json` into a checkpoint's folder."""
    (folder / RECIPE).write_text(json.dumps(asdict(recipe), indent=1, ensure_ascii=False), encoding="utf-8")


def _write_papers(
    folder: Path,
    recipe: Recipe,
    training: TrainingSet,
    sampler: HybridBatchSampler,
    losses: list[tuple[int, float]],
    seconds: float,
) -> None:
    write_recipe(folder, recipe)
    leaks = [
        {
            "collection": leak.collection,
            "questions_removed": len(leak.questions),
            "query_texts": leak.query_texts,
            "passage_texts": leak.passage_texts,
        }
        for leak in training.leaks
    ]
    result = {
        "seconds": round(seconds, 3),
        "questions": len(set(training.collection.queries.questions)),
        "leaks": leaks,
        "losses": losses,
        "composition": sampler.composition(),
    }
    (folder / TRAINING).write_text(json.dumps(result), encoding="utf-8")
    np.save(folder / MARKS, text_marks(training.collection))
