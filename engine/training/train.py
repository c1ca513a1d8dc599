"""Recipe -> checkpoint: an ordinary sentence-transformers folder in the store, with `recipe.json` and `training.json`.

What the methods share is here. The methods themselves are `head.py` (a linear head on cached vectors) and `full.py`
(all weights), for pictures with `towers.py` and `full_pictures.py`; what takes the language out of the vectors is
`adjusted.py`, what cannot be trained `checks.py`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.collections.contamination import MARKS, text_marks
from engine.collections.digest import collection_digest
from engine.collections.near_texts import write_near_texts
from engine.collections.pictures import PICTURE
from engine.collections.structures import Collection
from engine.encoders.adjustment import LanguageAdjustment
from engine.encoders.embedding import embed, embed_collection
from engine.encoders.encoder import SentenceEncoder
from engine.encoders.towers import AnyEncoder
from engine.errors import InputError, TrainingError
from engine.progress import Observer, Progress, silent, unobserved
from engine.storage.digest import digest
from engine.storage.store import Store
from engine.training import full, full_pictures, head, states, towers
from engine.training.adjusted import adjusted_by
from engine.training.captions import CaptionSampler
from engine.training.checkpoint import TRAINING, checkpoint_key, copy_model, write_checkpoint, write_recipe
from engine.training.checks import check_strategy, check_trainable
from engine.training.head import Examples
from engine.training.history import Course
from engine.training.model_card import CARD, card_of
from engine.training.negatives import HardNegatives
from engine.training.recipe import DEFAULTS, SHARES_OF_THEIR_OWN, Method, Recipe, Settings, check_alpha
from engine.training.sampler import HybridBatchSampler
from engine.training.training_set import TrainingSet, make_sampler
from engine.training.use import write_use


def make_recipe(
    encoder: AnyEncoder,
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
            is no integer from 0 to 2**32 - 1, or the encoder cannot be trained so.
    """
    if method not in DEFAULTS:
        raise InputError(f"method {method!r} is unknown; allowed are {', '.join(DEFAULTS)}")
    check_strategy(strategy, alpha)
    if type(seed) is not int or not 0 <= seed < 2**32:
        raise InputError(f"seed must be an integer from 0 to {2**32 - 1}, got {seed!r}")
    check_trainable(encoder, training.collection, method, strategy, settings or DEFAULTS[method])
    settings, collection = settings or DEFAULTS[method], training.collection
    if strategy in SHARES_OF_THEIR_OWN:
        settings = replace(settings, english_share=None)
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


def train(
    recipe: Recipe,
    encoder: AnyEncoder,
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
    if run.sampler is None:
        run.only_adjust(progress)
    elif recipe.method == "full":
        run.train_full(progress, observe)
    elif isinstance(run.sampler, CaptionSampler):
        run.train_maps(run.sampler, progress, observe)
    else:
        run.train_head(progress, observe)
    return key


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """A training run: what goes into it, and how its checkpoint is written. Without a sampler nothing is trained."""

    recipe: Recipe
    encoder: AnyEncoder
    store: Store
    whole: Collection
    training: TrainingSet
    held_out: tuple[Collection, HybridBatchSampler] | None
    sampler: HybridBatchSampler | CaptionSampler | None
    negatives: HardNegatives
    started: float

    @classmethod
    def prepare(cls, recipe: Recipe, encoder: AnyEncoder, training: TrainingSet, store: Store) -> _Run:
        started, settings, whole = time.monotonic(), recipe.settings, training.collection
        negatives = HardNegatives(whole, settings.hard_negatives, recipe.seed, training.withheld)
        if (adjusted := adjusted_by(recipe.strategy)) and not adjusted.head:
            return cls(recipe, encoder, store, whole, training, None, None, negatives, started)
        if PICTURE in whole.languages:
            captions = CaptionSampler(whole, recipe, settings.steps * settings.accumulate)
            return cls(recipe, encoder, store, whole, training, None, captions, negatives, started)
        kept, held_out = training.split(recipe)
        sampler = make_sampler(recipe, kept.collection, settings.steps * settings.accumulate)
        return cls(recipe, encoder, store, whole, kept, held_out, sampler, negatives, started)

    def only_adjust(self, progress: Progress) -> None:
        """Write the base encoder with its language adjustment."""
        *_, adjustment = self._vectors(progress)

        def save(folder: Path) -> None:
            copy_model(self.encoder.folder, folder)
            if adjustment is not None:
                adjustment.save(folder)

        self._write(save, Course([], [], 0))

    def train_maps(self, sampler: CaptionSampler, progress: Progress, observe: Observer) -> None:
        """Train the maps of both towers on captions and pictures."""
        vectors, start = self._vectors_and_maps(sampler, progress)
        maps, course = towers.train_maps(vectors, sampler, self.recipe, start, progress, observe)
        self._write(lambda folder: towers.write_towers(self.encoder, folder, maps), course)

    def _vectors_and_maps(self, sampler: CaptionSampler, progress: Progress) -> tuple[towers.Vectors, towers.Maps]:
        """Vectors of captions and pictures, and the maps that their training starts from."""
        vectors = towers.tower_vectors(self.encoder, self.training.collection, self.store, progress)
        locked = self.recipe.settings.lock_pictures
        return vectors, towers.starting_maps(self.encoder, vectors, sampler, locked=locked)

    def train_head(self, progress: Progress, observe: Observer) -> None:
        queries, documents, adjustment = self._vectors(progress)

        def examples(collection: Collection, sampler: HybridBatchSampler) -> Examples:
            own = queries[collection.queries.rows_in(self.whole.queries)]
            return Examples(own, documents, sampler, self.negatives)

        watched = examples(*self.held_out) if self.held_out else None
        training = examples(self.training.collection, _present(self.sampler))
        weight, course = head.train_head(training, watched, self.recipe, progress, observe)
        encoder = _single(self.encoder)
        if encoder.whole is not encoder:  # the head drops the dimensions that are not kept
            texts = self.whole.queries.texts[:1]
            dimension = embed(encoder.whole, "query", texts, self.store).shape[1]
            weight = np.pad(weight, ((0, 0), (0, dimension - weight.shape[1])))

        def save(folder: Path) -> None:
            write_checkpoint(self.encoder.folder, folder, weight)
            if adjustment is not None:
                adjustment.save(folder)

        self._write(save, course)

    def _vectors(self, progress: Progress) -> tuple[np.ndarray, np.ndarray, LanguageAdjustment | None]:
        """Vectors of the training queries and candidates; adjusted, if the strategy says so, and by what."""
        of = self.whole
        queries, documents = embed_collection(self.encoder, of, self.store, progress)
        adjusted = adjusted_by(self.recipe.strategy)
        if adjusted is None:
            return queries, documents, None
        adjustment = adjusted.estimate({"query": queries, "document": documents}, of)
        queries = adjustment.apply(queries, of.queries.languages, "query")
        return queries, adjustment.apply(documents, of.corpus.languages, "document"), adjustment

    def train_full(self, progress: Progress, observe: Observer) -> None:
        with self._states() as work:
            task, save = self._task(work, progress)
            course = full.train_full(task, self.recipe, work, progress, observe)
            if states.is_main_process():
                self._write(save, course)
        states.wait_for_all()

    def _task(self, work: Path, progress: Progress) -> tuple[full.Task, Callable[[Path], None]]:
        """What all weights are trained on, and how the model is saved."""
        collection, recipe = self.training.collection, self.recipe
        if isinstance(sampler := self.sampler, CaptionSampler):
            start = full_pictures.starting_folder(
                self.encoder, work, lambda: self._vectors_and_maps(sampler, progress)[1]
            )
            pictured = full_pictures.task_of_pictures(self.encoder, collection, sampler, recipe, start)
            return pictured, lambda folder: full_pictures.save(pictured.model, folder, recipe)
        rows = full.batch_rows(collection, _present(self.sampler), self.negatives)
        watched = full.batch_rows(*self.held_out, self.negatives) if self.held_out else None
        task = full.Task.of_texts(_single(self.encoder), rows, watched, recipe)
        return task, lambda folder: task.model.save_pretrained(str(folder), create_model_card=False)

    @contextmanager
    def _states(self) -> Iterator[Path]:
        """The folder of the states that an interrupted run goes on from, until the run is at its end."""
        key = checkpoint_key(self.recipe)
        with self.store.partial("checkpoints", key) as work, states.alone_in(work, self.recipe):
            try:
                yield work
            except (InputError, TrainingError):  # it would fail again
                self.store.discard_partial("checkpoints", key)
                raise
            if states.is_main_process():
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
            write_near_texts(folder, self.training.near_texts, self.encoder.folder)

    def _result(self, course: Course) -> dict[str, Any]:
        return {
            "seconds": round(time.monotonic() - self.started, 3),
            "questions": len(set(self.training.collection.queries.questions)),
            "leaks": [leak.counts() for leak in self.training.leaks],
            "near_copies": [copies.counts() for copies in self.training.near_copies],
            **asdict(course),
            "composition": self.sampler.composition(course.steps * self.recipe.settings.accumulate)
            if self.sampler
            else {"batches": {}, "pairs": [], "excluded": {}},
        }

    def _marks(self) -> np.ndarray:
        """Marks of all that the checkpoint was trained on, and its base before it."""
        marks, before = text_marks(self.training.collection, self.negatives.texts()), self.encoder.folder / MARKS
        return np.union1d(marks, np.load(before)) if before.is_file() else marks


def _single(encoder: AnyEncoder) -> SentenceEncoder:
    if not isinstance(encoder, SentenceEncoder):
        raise InputError(f"encoder {encoder.name}: two towers are trained on pictures with captions; give one encoder")
    return encoder


def _present(sampler: HybridBatchSampler | CaptionSampler | None) -> HybridBatchSampler:
    if not isinstance(sampler, HybridBatchSampler):
        raise InputError("a strategy without batches cannot be trained")
    return sampler
