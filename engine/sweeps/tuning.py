"""Hyper-parameters of a head, chosen on held-out questions of the training collection, never on what is evaluated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from engine.collections.structures import SETTINGS, Collection, Queries
from engine.encoders.embedding import embed_collection
from engine.encoders.encoder import SentenceEncoder, unit_length
from engine.errors import InputError
from engine.progress import Progress, silent, unobserved
from engine.ranks import metrics
from engine.ranks.ranking import rank_collection
from engine.storage.store import Store
from engine.training.head import Examples, train_head
from engine.training.negatives import HardNegatives
from engine.training.recipe import DEFAULTS, Settings
from engine.training.train import make_recipe
from engine.training.training_set import TrainingSet, make_sampler

if TYPE_CHECKING:
    from numpy.typing import NDArray

HYPER_PARAMETERS = ("steps", "learning_rate", "temperature")


@dataclass(frozen=True, slots=True)
class Grid:
    """What is tried: every combination of the values.

    Attributes:
        steps: Optimiser steps.
        learning_rates: Of AdamW.
        temperatures: Of InfoNCE.
        alphas: Ratios that each combination is trained at; its score is their mean, so that all share the choice.
        hold_out: Share of the training questions that scores are measured on.
        seed: Of what is held out, and of training.
    """

    steps: tuple[int, ...] = (150, 300, 600, 1200)
    learning_rates: tuple[float, ...] = (1e-4, 3e-4, 1e-3)
    temperatures: tuple[float, ...] = (0.02, 0.05, 0.1)
    alphas: tuple[float, ...] = (0.0, 0.5, 1.0)
    hold_out: float = 0.2
    seed: int = 0

    def settings(self) -> list[Settings]:
        """The combinations, in the grid's order."""
        return [
            replace(DEFAULTS["head"], steps=steps, learning_rate=learning_rate, temperature=temperature)
            for steps, learning_rate, temperature in product(self.steps, self.learning_rates, self.temperatures)
        ]


def tune(
    encoder: SentenceEncoder, training: TrainingSet, store: Store, grid: Grid, *, progress: Progress = silent
) -> pl.DataFrame:
    """Train heads over a grid and score them on questions that were held out of training.

    Held-out questions are asked of all the collection's passages. Nothing of it is stored but vectors.

    Args:
        encoder: The base encoder.
        training: The training collection, without what leaks.
        store: Where vectors are kept.
        grid: What is tried.
        progress: Told the heads trained of all heads.

    Returns:
        `steps`, `learning_rate`, `temperature` (null for the untrained encoder), `mono_map`, `cross_map`, `multi_map`
        (means over the ratios), and `score`, the mean of the three; best first.

    Raises:
        InputError: If nothing is held out, or what is held out or the rest cannot fill a batch.
    """
    if not grid.hold_out:
        raise InputError("hold_out must be above 0 and below 1 to tune, got 0")
    bench = _Bench.prepare(encoder, training, store, grid)
    combinations = grid.settings()
    rows = [_row(None, [bench.scores(np.eye(bench.queries.shape[1], dtype=np.float32))])]
    for done, settings in enumerate(combinations):
        progress("tune", done, len(combinations))
        rows.append(_row(settings, [bench.scores(weight) for weight in bench.heads(settings, grid.alphas)]))
    progress("tune", len(combinations), len(combinations))
    return pl.DataFrame(rows, infer_schema_length=None).sort("score", descending=True, nulls_last=True)


def best(scores: pl.DataFrame) -> Settings:
    """The combination with the highest score; of equal ones the one with fewer steps.

    Args:
        scores: Frame of `tune`.

    Raises:
        InputError: If no combination has a score.
    """
    tried = scores.drop_nulls(["steps", "score"]).sort("score", "steps", descending=[True, False])
    if tried.is_empty():
        raise InputError("tune: no combination has a score; the held-out questions do not cover all settings")
    steps, learning_rate, temperature = tried.select(HYPER_PARAMETERS).row(0)
    return replace(DEFAULTS["head"], steps=steps, learning_rate=learning_rate, temperature=temperature)


@dataclass(frozen=True, slots=True, eq=False)
class _Bench:
    """What heads are trained and scored on."""

    encoder: SentenceEncoder
    kept: TrainingSet
    held_out: Collection
    queries: NDArray[np.float32]
    documents: NDArray[np.float32]
    whole: Queries
    seed: int

    @classmethod
    def prepare(cls, encoder: SentenceEncoder, training: TrainingSet, store: Store, grid: Grid) -> _Bench:
        kept, held_out = training.hold_out(grid.hold_out, grid.seed)
        queries, documents = embed_collection(encoder, training.collection, store)
        return cls(encoder, kept, held_out, queries, documents, training.collection.queries, grid.seed)

    def heads(self, settings: Settings, alphas: Sequence[float]) -> Iterator[NDArray[np.float32]]:
        """The weight of a head at each ratio."""
        collection = self.kept.collection
        negatives = HardNegatives(collection, settings.hard_negatives, self.seed)
        for alpha in alphas:
            recipe = make_recipe(self.encoder, self.kept, alpha=alpha, seed=self.seed, settings=settings)
            sampler = make_sampler(recipe, collection, settings.steps)
            examples = Examples(self._of(collection), self.documents, sampler, negatives)
            yield train_head(examples, None, recipe, silent, unobserved)[0]

    def scores(self, weight: NDArray[np.float32]) -> dict[str, float | None]:
        """Mean average precision of the held-out questions under a head, by setting."""
        queries, documents = (unit_length(part @ weight.T) for part in (self._of(self.held_out), self.documents))
        ranks, _ = rank_collection(queries, documents, self.held_out, top_k=1)
        settings = metrics.by_setting(
            metrics.by_pair(ranks, ["map"]),
            metrics.by_query_language(ranks, ["map"]),
            self.held_out.query_languages,
            ["map"],
            document_languages=self.held_out.document_languages,
        )
        return dict(settings.select("setting", "map").iter_rows())

    def _of(self, collection: Collection) -> NDArray[np.float32]:
        """Vectors of a part's queries."""
        vectors: NDArray[np.float32] = self.queries[collection.queries.rows_in(self.whole)]
        return vectors


def _row(settings: Settings | None, scores: Sequence[dict[str, float | None]]) -> dict[str, float | int | None]:
    """A row of the frame: hyper-parameters, and means over the ratios; null where a setting has no score."""
    row: dict[str, float | int | None] = {
        name: None if settings is None else getattr(settings, name) for name in HYPER_PARAMETERS
    }
    row |= {f"{setting}_map": _mean([score[setting] for score in scores]) for setting in SETTINGS}
    return {**row, "score": _mean([row[f"{setting}_map"] for setting in SETTINGS])}


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean; None if a value is missing."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None
