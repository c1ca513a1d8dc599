"""Recipe -> checkpoint: an ordinary sentence-transformers folder in the store, with `recipe.json` and `training.json`.

What the methods share is here: the training set without leaks, the batches, the checkpoint's folder. The methods
themselves are `head.py` (a linear head on cached vectors) and `full.py` (all weights).
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.collections.contamination import MARKS, Leak, remove_leaks, text_marks
from engine.collections.digest import collection_digest
from engine.collections.structures import Collection
from engine.encoders.embedding import embed
from engine.encoders.encoder import SentenceEncoder
from engine.errors import InputError, TrainingError
from engine.progress import Observer, Progress, silent, unobserved
from engine.storage.digest import digest
from engine.storage.store import SCHEMA_VERSION, Store
from engine.training import full, head
from engine.training.head import Course, HardNegatives
from engine.training.model_card import CARD, card_of
from engine.training.recipe import DEFAULTS, Method, Recipe, Settings, check_alpha
from engine.training.sampler import STRATEGIES, HybridBatchSampler, TrainingPairs
from engine.training.use import write_use

RECIPE, TRAINING = "recipe.json", "training.json"

logger = logging.getLogger(__name__)


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
        if not share or recipe.method != "full":
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
        InputError: If the method or the strategy is unknown, alpha is missing, superfluous or outside [0, 1], the seed
            is no whole number, too large or negative, or the encoder cuts texts elsewhere than its files say.
    """
    if method not in DEFAULTS:
        raise InputError(f"method {method!r} is unknown; allowed are {', '.join(DEFAULTS)}")
    if strategy not in STRATEGIES:
        raise InputError(f"strategy {strategy!r} is unknown; allowed are {', '.join(STRATEGIES)}")
    if strategy == "hybrid" and alpha is None:
        raise InputError("alpha is missing; the hybrid strategy needs a share of monolingual batches from 0 to 1")
    if strategy != "hybrid" and alpha is not None:
        raise InputError(f"alpha: {alpha} came, but strategy {strategy} has none; leave it out or use hybrid")
    if type(seed) is not int or not 0 <= seed < 2**32:
        raise InputError(f"seed: {seed!r} came, a whole number from 0 to {2**32 - 1} is allowed")
    if encoder.max_length is not None:
        raise InputError(f"encoder {encoder.name}: a max length came; open it without, and give it in the settings")
    if method == "full" and encoder.options.truncate_dim is not None:
        raise InputError("method full trains all dimensions; leave --truncate-dim out, and give it to `evaluate`")
    if encoder.similarity != "cosine":
        logger.warning("%s is made for %s; training, and the checkpoint, use cosine", encoder.name, encoder.similarity)
    settings, collection = settings or DEFAULTS[method], training.collection
    content = collection_digest(collection)
    return Recipe(
        encoder=encoder.fingerprint,
        prompts=dict(encoder.prompts),
        collection=digest(content, collection.corpus.passages, sorted(training.withheld))
        if settings.hard_negatives
        else content,
        method=method,
        strategy=strategy,
        alpha=None if alpha is None else check_alpha(alpha),
        seed=seed,
        settings=settings,
        encoder_name=encoder.name,
        collection_name=collection.name,
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
    run = _Run.prepare(recipe, encoder, training, store)
    if recipe.method == "head":
        run.train_head(progress, observe)
    else:
        run.train_full(progress, observe)
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
    """What is known of a checkpoint's training.

    Returns:
        `losses` and `held_out` (pairs of step and loss), `steps` done, `composition` (of the realised batches),
        `questions` trained on, `leaks`, and `seconds` (of the process that finished it).

    Raises:
        StoreError: If the file was damaged; training the recipe again makes it anew.
    """
    return store.read_object("checkpoints", key, TRAINING)


def write_recipe(folder: Path, recipe: Recipe) -> None:
    """Write `recipe.json` into a checkpoint's folder."""
    (folder / RECIPE).write_text(json.dumps(asdict(recipe), indent=1, ensure_ascii=False), encoding="utf-8")


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """A training run: what goes into it, and how its checkpoint is written."""

    recipe: Recipe
    encoder: SentenceEncoder
    store: Store
    training: TrainingSet
    held_out: tuple[Collection, HybridBatchSampler] | None
    sampler: HybridBatchSampler
    negatives: HardNegatives
    started: float

    @classmethod
    def prepare(cls, recipe: Recipe, encoder: SentenceEncoder, training: TrainingSet, store: Store) -> _Run:
        started, settings = time.monotonic(), recipe.settings
        kept, held_out = training.split(recipe)
        sampler = make_sampler(recipe, kept.collection, settings.steps * settings.accumulate)
        negatives = HardNegatives(training.collection, settings.hard_negatives, recipe.seed, training.withheld)
        return cls(recipe, encoder, store, kept, held_out, sampler, negatives, started)

    def train_head(self, progress: Progress, observe: Observer) -> None:
        collection = self.training.collection
        queries = embed(self.encoder, "query", collection.queries.texts, self.store, progress)
        documents = embed(self.encoder, "document", collection.corpus.texts, self.store, progress)
        weight, course = head.train_head(
            queries, documents, self.sampler, self.recipe, self.negatives, progress, observe
        )
        if self.encoder.whole is not self.encoder:  # the head drops the dimensions that are not kept
            whole = embed(self.encoder.whole, "query", collection.queries.texts[:1], self.store)
            weight = np.pad(weight, ((0, 0), (0, whole.shape[1] - weight.shape[1])))
        self._write(lambda folder: head.write_checkpoint(self.encoder.folder, folder, weight), course)

    def train_full(self, progress: Progress, observe: Observer) -> None:
        rows = full.batch_rows(self.training.collection, self.sampler, self.negatives)
        watched = full.batch_rows(*self.held_out, self.negatives) if self.held_out else None
        with self._states() as work:
            model, course = full.train_full(self.encoder, rows, watched, self.recipe, work, progress, observe)
            if full.is_main_process():
                self._write(lambda folder: model.save_pretrained(str(folder), create_model_card=False), course)
        full.wait_for_all()

    @contextmanager
    def _states(self) -> Iterator[Path]:
        """The folder of the states that an interrupted run goes on from, until the run is at its end."""
        key = checkpoint_key(self.recipe)
        with self.store.partial("checkpoints", key) as work, full.alone_in(work, self.recipe):
            try:
                yield work
            except (InputError, TrainingError):  # it would fail again
                self.store.discard_partial("checkpoints", key)
                raise
            if full.is_main_process():
                self.store.discard_partial("checkpoints", key)

    def _write(self, save: Callable[[Path], None], course: Course) -> None:
        about = {"name": self.recipe.label, "recipe": asdict(self.recipe)}
        with self.store.writing("checkpoints", checkpoint_key(self.recipe), about) as folder:
            save(folder)
            write_recipe(folder, self.recipe)
            write_use(folder, self.recipe.prompts)
            (folder / TRAINING).write_text(json.dumps(self._result(course)), encoding="utf-8")
            (folder / CARD).write_text(card_of(folder), encoding="utf-8")
            np.save(folder / MARKS, self._marks())

    def _result(self, course: Course) -> dict[str, Any]:
        return {
            "seconds": round(time.monotonic() - self.started, 3),
            "questions": len(set(self.training.collection.queries.questions)),
            "leaks": [leak.counts() for leak in self.training.leaks],
            **asdict(course),
            "composition": self.sampler.composition(course.steps * self.recipe.settings.accumulate),
        }

    def _marks(self) -> np.ndarray:
        """Marks of all that the checkpoint was trained on, and its base before it."""
        marks, before = text_marks(self.training.collection, self.negatives.texts()), self.encoder.folder / MARKS
        return np.union1d(marks, np.load(before)) if before.is_file() else marks
