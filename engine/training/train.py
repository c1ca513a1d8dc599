"""Recipe -> checkpoint: an ordinary sentence-transformers folder in the store, with `recipe.json` and `training.json`.

What the methods share is here. The methods themselves are `head.py` (a linear head on cached vectors) and `full.py`
(all weights); what takes the language out of the vectors is `adjusted.py`.
"""

from __future__ import annotations

import json
import logging
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
from engine.training import full, head, towers
from engine.training.adjusted import NAMES as ADJUSTED
from engine.training.adjusted import adjusted_by
from engine.training.captions import CaptionSampler
from engine.training.checkpoint import TRAINING, checkpoint_key, copy_model, write_checkpoint, write_recipe
from engine.training.head import Examples
from engine.training.history import Course
from engine.training.model_card import CARD, card_of
from engine.training.negatives import HardNegatives
from engine.training.recipe import DEFAULTS, SHARES_OF_THEIR_OWN, Method, Recipe, Settings, check_alpha
from engine.training.sampler import STRATEGIES, HybridBatchSampler
from engine.training.training_set import TrainingSet, make_sampler
from engine.training.use import write_use

logger = logging.getLogger(__name__)


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
    _check_strategy(strategy, alpha)
    if type(seed) is not int or not 0 <= seed < 2**32:
        raise InputError(f"seed must be an integer from 0 to {2**32 - 1}, got {seed!r}")
    if encoder.max_length is not None:
        raise InputError(f"encoder {encoder.name} was opened with a max length; give it in the settings instead")
    if adjusted_by(strategy):
        _check_adjustable(encoder, method, strategy)
    if PICTURE in training.collection.languages:
        _check_pictures(method, strategy, settings or DEFAULTS[method])
    if encoder.is_adjusted:
        raise InputError(f"encoder {encoder.name} is adjusted by language; train the encoder that it was made from")
    if method == "full" and encoder.options.truncate_dim is not None:
        raise InputError("method full trains all dimensions; leave --truncate-dim out, and give it to `evaluate`")
    if encoder.similarity != "cosine":
        logger.warning("%s is made for %s; training, and the checkpoint, use cosine", encoder.name, encoder.similarity)
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


def _check_pictures(method: Method, strategy: str, settings: Settings) -> None:
    if method != "head" or adjusted_by(strategy) or settings.hard_negatives or settings.hold_out:
        raise InputError(
            "pictures are trained by the method head, without adjustment, hard negatives or hold-out; leave these out"
        )


def _check_strategy(strategy: str, alpha: float | None) -> None:
    adjusted = adjusted_by(strategy)
    if strategy not in STRATEGIES and adjusted is None:
        raise InputError(f"strategy {strategy!r} is unknown; allowed are {', '.join(STRATEGIES)}, {ADJUSTED}")
    has_ratio = strategy == "hybrid" or (adjusted is not None and adjusted.head)
    if has_ratio and alpha is None:
        raise InputError(f"strategy {strategy} needs alpha, the share of monolingual batches, from 0 to 1")
    if not has_ratio and alpha is not None:
        raise InputError(f"strategy {strategy} has no alpha, got {alpha}; leave it out or use hybrid")


def _check_adjustable(encoder: AnyEncoder, method: Method, strategy: str) -> None:
    if method != "head":
        raise InputError(f"strategy {strategy} works on finished vectors; use it with method head")
    if encoder.similarity != "cosine" or encoder.options.truncate_dim is not None:
        raise InputError(
            f"strategy {strategy} needs whole vectors that are compared by cosine; leave --truncate-dim out"
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
    elif isinstance(run.sampler, CaptionSampler):
        run.train_maps(run.sampler, progress, observe)
    elif recipe.method == "head":
        run.train_head(progress, observe)
    else:
        run.train_full(progress, observe)
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
            captions = CaptionSampler(whole, recipe, settings.steps)
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
        vectors = towers.tower_vectors(self.encoder, self.training.collection, self.store, progress)
        locked = self.recipe.settings.lock_pictures
        start = towers.starting_maps(self.encoder, vectors, sampler, locked=locked)
        maps, course = towers.train_maps(vectors, sampler, self.recipe, start, progress, observe)
        self._write(lambda folder: towers.write_towers(self.encoder, folder, maps), course)

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
        rows = full.batch_rows(self.training.collection, _present(self.sampler), self.negatives)
        watched = full.batch_rows(*self.held_out, self.negatives) if self.held_out else None
        with self._states() as work:
            model, course = full.train_full(_single(self.encoder), rows, watched, self.recipe, work, progress, observe)
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
