"""Running a sweep: recipes that differ in ratio, strategy and seed are trained and evaluated through the store.

Only what is missing is computed, so a sweep that was stopped resumes where it was. A recipe that fails is reported and
does not stop the others; a cache that cannot be written stops them all.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import polars as pl

from engine.collections.opening import open_collection
from engine.collections.pictures import PICTURE
from engine.collections.structures import Collection
from engine.encoders.embedding import embed_collection
from engine.encoders.resolve import open_encoder
from engine.encoders.towers import AnyEncoder
from engine.errors import EngineError, TrainingError, WriteError
from engine.evaluation.evaluate import Evaluation, evaluate, evaluation_key, find_evaluation
from engine.evaluation.manifest import OpenedAs
from engine.progress import WHOLE, Observer, Progress, silent, unobserved
from engine.storage.store import Store
from engine.sweeps.sweep import Sweep
from engine.sweeps.workers import Failure, Workers
from engine.training.checkpoint import checkpoint_key
from engine.training.merge import merge_checkpoints
from engine.training.recipe import Recipe
from engine.training.towers import tower_vectors
from engine.training.train import make_recipe, train
from engine.training.training_set import TrainingSet

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Shared:
    """A part of what all recipes share.

    Attributes:
        collection: Whose vectors and evaluation of the untrained encoder are made; None for the training vectors.
    """

    collection: str | None

    @property
    def label(self) -> str:
        return f"the untrained encoder on {self.collection}" if self.collection else "the training vectors"


@dataclass(frozen=True, slots=True, eq=False)
class _Opened:
    """A sweep's parts, opened: what a task needs, in this process or another."""

    sweep: Sweep
    store: Store
    encoder: AnyEncoder
    training: TrainingSet
    evaluations: dict[str, Collection]

    @classmethod
    def open(cls, sweep: Sweep, store: Store) -> _Opened:
        skip = sweep.skip_invalid
        evaluations = {
            name: open_collection(name, store, every=sweep.every, skip_invalid=skip, split=sweep.split)
            for name in sweep.evaluations
        }
        if sweep.keep_identical_ids:
            evaluations = {name: collection.with_identical_ids() for name, collection in evaluations.items()}
        training = open_collection(
            sweep.training, store, skip_invalid=skip, split=sweep.train_split, purpose="training"
        )
        apart = TrainingSet.without_leaks(training, list(evaluations.values()), allowed=sweep.allow_leaks)
        return cls(sweep, store, open_encoder(sweep.encoder, store, options=sweep.options), apart, evaluations)

    def compared(self, progress: Progress = silent) -> _Opened:
        """The same, with near copies of evaluated texts and pictures counted among those that are trained on."""
        return replace(self, training=self.training.compared(self.evaluations.values(), self.store, progress))

    def recipes(self) -> list[Recipe]:
        sweep = self.sweep
        return [
            make_recipe(
                self.encoder,
                self.training,
                method=sweep.method,
                strategy=kind.strategy,
                alpha=kind.alpha,
                seed=kind.seed,
                settings=sweep.settings_of(kind),
            )
            for kind in sweep.kinds()
        ]

    def shared(self) -> list[_Shared]:
        """What all recipes share."""
        parts = [_Shared(name) for name in self.evaluations]
        encoded = self.sweep.method == "head" and self.training.collection.given is None
        return [*parts, _Shared(None)] if encoded else parts

    def checkpoint(self, key: str) -> AnyEncoder:
        """A trained checkpoint, run as its base encoder; it keeps the dimensions that it was trained with."""
        return open_encoder(key, self.store, options=replace(self.sweep.options, truncate_dim=None))

    def merges(self) -> list[Recipe]:
        if not self.sweep.merges:
            return []
        hybrid = [recipe for recipe in self.recipes() if recipe.strategy == "hybrid"]
        return [replace(one, strategy="merge") for one in hybrid if one.alpha is not None and 0 < one.alpha < 1]


def run_sweep(
    sweep: Sweep,
    store: Store,
    *,
    workers: Workers | None = None,
    progress: Progress = silent,
    observe: Observer = unobserved,
) -> list[Failure]:
    """Train and evaluate all recipes of a sweep that the store does not have yet.

    Args:
        sweep: What is asked for.
        store: Where everything is kept.
        workers: Who runs the recipes; None runs them one after the other in this process.
        progress: Told the recipes done of all, as the stage "sweep"; and the stages within.
        observe: Told the losses (without workers only).

    Returns:
        The recipes that failed.

    Raises:
        InputError: If the encoder or a collection cannot be opened, or a worker cannot be used.
        TrainingError: If every recipe failed, or the workers were lost.
        WriteError: If the cache cannot be written, such as on a full disk; what is finished is kept.
    """
    opened = _Opened.open(sweep, store).compared(progress)
    for note in opened.training.notes():
        logger.warning("%s", note)
    trained, merged = opened.recipes(), opened.merges()
    total = len(trained) + len(merged) + 1
    progress(WHOLE, 0, total)
    elsewhere = partial(_run_elsewhere, uuid.uuid4().hex, sweep, store.root.absolute())
    if workers is not None and workers.encode:
        for lost in filter(None, workers.each(elsewhere, opened.shared())):
            raise TrainingError(f"sweep: {lost.label}: {lost.reason}")
    else:
        for part in opened.shared():
            _prepare(opened, part, progress)
    progress(WHOLE, 1, total)
    if workers is None:
        ended: Iterator[Failure | None] = (_run(opened, one, progress, observe) for one in [*trained, *merged])
    else:  # what is merged comes first
        ended = (end for recipes in (trained, merged) for end in workers.each(elsewhere, recipes))
    failures = []
    for done, failure in enumerate(ended, 2):
        failures += [failure] if failure else []
        progress(WHOLE, done, total)
    if len(failures) == len(trained) + len(merged):
        raise TrainingError(f"sweep: all {len(failures)} recipes failed; the first: {failures[0].reason}")
    return failures


def _prepare(opened: _Opened, part: _Shared, progress: Progress) -> None:
    """Encode what all recipes share, and evaluate the untrained encoder, which training is held against."""
    if part.collection is None:
        collection = opened.training.collection
        embed = tower_vectors if PICTURE in collection.languages else embed_collection
        embed(opened.encoder, collection, opened.store, progress)
        return
    collection = opened.evaluations[part.collection]
    opened_as = _opened_as(opened.sweep, part.collection, opened.sweep.encoder)
    evaluate(opened.encoder, collection, opened.store, opened_as=opened_as, progress=progress)


def _run_elsewhere(run: str, sweep: Sweep, root: Path, task: _Shared | Recipe, progress: Progress) -> Failure | None:
    """Do a part of a sweep in a process that has nothing of it yet."""
    opened = _open_once(run, sweep, root)
    if isinstance(task, Recipe):
        return _run(opened, task, progress, unobserved)
    _prepare(opened, task, progress)
    return None


@lru_cache(maxsize=1)
def _open_once(run: str, sweep: Sweep, root: Path) -> _Opened:
    """A sweep's parts, opened once by each process of a run; processes live on, so the next run opens them anew."""
    return _Opened.open(sweep, Store(root)).compared()


def _run(opened: _Opened, recipe: Recipe, progress: Progress, observe: Observer) -> Failure | None:
    """Make one checkpoint and evaluate it on every collection."""
    store = opened.store
    try:
        if recipe.strategy == "merge" and recipe.alpha is not None:
            key = merge_checkpoints(recipe, recipe.alpha, store)
        else:
            key = train(recipe, opened.encoder, opened.training, store, progress=progress, observe=observe)
        checkpoint = opened.checkpoint(key)
        for name, collection in opened.evaluations.items():
            evaluate(checkpoint, collection, store, opened_as=_opened_as(opened.sweep, name, key), progress=progress)
    except WriteError:
        raise
    except EngineError as error:
        return Failure(recipe.label, str(error))
    except Exception as error:  # a library's own failure, of whatever kind, must not stop the other recipes
        return Failure(recipe.label, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
    return None


def _opened_as(sweep: Sweep, collection: str, encoder: str) -> OpenedAs:
    return OpenedAs(
        collection=collection,
        every=sweep.every,
        skip_invalid=sweep.skip_invalid,
        keep_identical_ids=sweep.keep_identical_ids,
        allow_leaks=sweep.allow_leaks,
        split=sweep.split,
        train_split=sweep.train_split,
        encoder=encoder,
        base=sweep.encoder,
        training=sweep.training,
        evaluations=sweep.evaluations,
        truncate_dim=sweep.options.truncate_dim,
        dtype=sweep.options.dtype,
    )


def results(sweep: Sweep, store: Store) -> pl.DataFrame:
    """What the store has of a sweep, the untrained encoder first; see `as_table`."""
    return as_table(evaluated(sweep, store))


def evaluated(sweep: Sweep, store: Store) -> list[tuple[str, Recipe | None, Evaluation]]:
    """The collection, recipe (None for the untrained encoder) and evaluation of all that the store has of a sweep."""
    opened = _Opened.open(sweep, store)
    encoders: list[tuple[Recipe | None, AnyEncoder]] = [(None, opened.encoder)]
    for made in [*opened.recipes(), *opened.merges()]:
        if store.get("checkpoints", checkpoint_key(made)) is not None:
            encoders.append((made, opened.checkpoint(checkpoint_key(made))))
    keys = [
        (collection.name, recipe, evaluation_key(encoder, collection))
        for collection in opened.evaluations.values()
        for recipe, encoder in encoders
    ]
    return [(name, recipe, find_evaluation(store, key)) for name, recipe, key in keys if store.get("ranks", key)]


def as_table(evaluations: Sequence[tuple[str, Recipe | None, Evaluation]]) -> pl.DataFrame:
    """The mean scores of what `evaluated` gave.

    Returns:
        `collection`, `strategy` ("untrained" for the base encoder), `english_share` (null for the languages' own
        proportion, and for texts), `alpha`, `seed`, `mono_map`, `cross_map`, `multi_map`, `rank_distance`; sorted by
        collection, strategy, English share, alpha and seed.
    """
    rows = [_row(name, recipe, evaluation.figures()["settings"]) for name, recipe, evaluation in evaluations]
    numbers = ("english_share", "alpha", "seed", "mono_map", "cross_map", "multi_map", "rank_distance")
    schema = {"collection": pl.String, "strategy": pl.String} | dict.fromkeys(numbers, pl.Float64)
    trained = pl.col("strategy") != "untrained"
    return pl.DataFrame(rows, schema=schema).sort("collection", trained, "strategy", "english_share", "alpha", "seed")


def _row(collection: str, recipe: Recipe | None, settings: dict[str, dict[str, float]]) -> dict[str, object]:
    scores = {f"{setting}_map": settings[setting]["map"] for setting in ("mono", "cross", "multi")}
    return {
        "collection": collection,
        "strategy": recipe.strategy if recipe else "untrained",
        "english_share": recipe.settings.english_share if recipe else None,
        "alpha": recipe.alpha if recipe else None,
        "seed": recipe.seed if recipe else None,
        **scores,
        "rank_distance": settings["multi"]["rank_distance"],
    }
