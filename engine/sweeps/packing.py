"""A sweep's evaluations -> the entries that ship with the project, each packed against the evaluation nearest to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from engine.collections.structures import Collection
from engine.evaluation.evaluate import Evaluation, open_evaluated
from engine.evaluation.manifest import PackedAs
from engine.evaluation.packed import Ranks, as_ranks, top_docs
from engine.evaluation.shipped import Models, write_packed
from engine.training.recipe import Recipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

PLACES = 10
"""First places that are kept, of the evaluations that keep them: as many as the measures of bias look at."""


@dataclass(frozen=True, slots=True, eq=False)
class _Model:
    """An evaluation that others may be packed against."""

    key: str
    ranks: Ranks
    top: NDArray[np.int64]


def pack(members: Sequence[tuple[Recipe | None, Evaluation]], out: Path, place: int = 0) -> None:
    """Pack evaluations of one collection.

    Args:
        members: Each with its recipe; None for the untrained encoder.
        out: The folder of what ships; entries that are there already are left as they are.
        place: Of the sweep among those that ship: later ones are listed later.
    """
    models: list[_Model] = []
    starts = _starts(open_evaluated(members[0][1], members[0][1].store)) if members else ()
    for recipe, evaluation in sorted(members, key=lambda member: not _is_model(member[0])):
        ranks, top = evaluation.ranks(), evaluation.top()
        folder = out / "ranks" / evaluation.key
        if not folder.is_dir():
            packed = PackedAs(places=PLACES if _keeps_places(recipe, evaluation) else 0, starts=starts)
            _write(evaluation, (ranks, top), packed, models, (folder, place))
        if _is_model(recipe):
            models.append(_Model(evaluation.key, as_ranks(ranks), top_docs(top, PLACES)))


def _write(
    evaluation: Evaluation,
    frames: tuple[pl.DataFrame, pl.DataFrame],
    packed: PackedAs,
    models: list[_Model],
    at: tuple[Path, int],
) -> None:
    """Write one entry, packed against the model that is most like it."""
    ranks, top = frames
    own, of_top = as_ranks(ranks), None
    of_ranks = min(models, key=lambda model: _unlike(own, model.ranks), default=None)
    if packed.places:
        docs = top_docs(top, packed.places)
        of_top = max(models, key=lambda model: int((docs == model.top).sum()), default=None)
    keys = {"model": of_ranks.key if of_ranks else None, "top_model": of_top.key if of_top else None}
    changes = {
        "encoder": evaluation.manifest.encoder.model_copy(update={"folder": None}),
        "packed": packed.model_copy(update=keys),
        "top_k": packed.places,
        "seconds": 0.0,
    }
    manifest = evaluation.manifest.model_copy(update=changes)
    models_used = Models(of_ranks.ranks if of_ranks else None, of_top.top if of_top else None)
    write_packed(at[0], manifest, ranks, top, evaluation.figures(), models_used, at[1])


def _unlike(one: Ranks, other: Ranks) -> float:
    """How far two evaluations' ranks are apart: the mean factor between them, as a logarithm."""
    return float(np.abs(np.log(one.in_pool / other.in_pool)).mean())


def _starts(collection: Collection) -> tuple[int, ...]:
    """Position of each language's first candidate."""
    return tuple(collection.document_range(language)[0] for language in collection.document_languages)


def _is_model(recipe: Recipe | None) -> bool:
    """Whether an evaluation stands for its kind: the untrained encoder, and the middle of each kind's first seed."""
    return recipe is None or (recipe.seed == 0 and recipe.alpha in (None, 0.5) and recipe.strategy != "merge")


def _keeps_places(recipe: Recipe | None, evaluation: Evaluation) -> bool:
    """Whether an evaluation keeps its first places: one seed of each ratio, and what trains nothing at all.

    Of a share of the paragraphs, heads keep none: they stand beside all weights by their scores.
    """
    opened = evaluation.manifest.opened_as
    if recipe is None or (opened is not None and opened.every > 1):
        return recipe is None or recipe.method == "full"
    return recipe.seed == 0 and recipe.strategy in ("hybrid", "centred", "centred-transductive")
