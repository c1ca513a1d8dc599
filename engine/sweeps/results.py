"""What the ratio does: the evaluations of one sweep as points, and curves between them.

Between trained ratios a value is interpolated linearly from the means of its neighbours; it is never a measurement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from engine.collections.structures import SETTINGS
from engine.encoders.encoder import Options
from engine.errors import InputError
from engine.evaluation.evaluate import Evaluation
from engine.evaluation.manifest import OpenedAs
from engine.ranks.metrics import METRICS
from engine.ranks.picture_scores import DIRECTIONS
from engine.significance.draws import UTILITY_PARTS, checked_weights
from engine.storage.digest import digest
from engine.sweeps.english_shares import Members, family_key, key_in_proportion, with_shared_baselines
from engine.sweeps.sweep import Sweep
from engine.training.recipe import Recipe

BETWEEN_THE_ENDS = ("hybrid", "merge")
"""Strategies whose ratio leads from one end of the curve to the other: mixed batches, and merged checkpoints."""


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """The evaluations of one sweep on one collection: recipes that differ in ratio, strategy and seed alone.

    Attributes:
        key: Its key, the same at every visit.
        recipe: One of its recipes, for what they share.
        evaluations: Its evaluations, each with its recipe.
        base: The untrained encoder's evaluation on the same collection, if there is one.
    """

    key: str
    recipe: Recipe
    evaluations: tuple[tuple[Recipe, Evaluation], ...]
    base: Evaluation | None

    @property
    def label(self) -> str:
        """What to call it, such as "multilingual-e5-small, head on mlqa-r"."""
        return self.recipe.family_label

    @property
    def collection(self) -> str:
        """Name of the collection that is evaluated on."""
        return self.evaluations[0][1].manifest.collection.name

    @property
    def has_pictures(self) -> bool:
        """Whether the collection that is evaluated on has pictures."""
        return self.evaluations[0][1].manifest.collection.pictures > 0

    @property
    def settings(self) -> tuple[str, ...]:
        """The settings of its scores: mono, cross and multi; of pictures the directions, and multi."""
        return (*DIRECTIONS, "multi") if self.has_pictures else SETTINGS

    @property
    def opened_as(self) -> OpenedAs:
        """How its parts are opened again; names of the recipe stand in for what no sweep has written down."""
        opened = self.evaluations[0][1].manifest.opened_as or OpenedAs(collection=self.collection)
        known = {
            "base": opened.base or self.recipe.encoder_name,
            "training": opened.training or self.recipe.collection_name,
            "evaluations": opened.evaluations or (opened.collection,),
        }
        return opened.model_copy(update=known)

    def sweep(
        self,
        alphas: Sequence[float],
        seeds: Sequence[int],
        *,
        baselines: Sequence[str] = (),
        merges: bool = False,
    ) -> Sweep:
        """A sweep that adds to this one: the same encoder, collections, method and hyper-parameters."""
        opened = self.opened_as
        return Sweep(
            encoder=opened.base or "",
            training=opened.training or "",
            # With fewer collections to keep apart, other questions would be left out of training: another sweep.
            evaluations=opened.evaluations,
            alphas=tuple(alphas),
            seeds=tuple(seeds),
            method=self.recipe.method,
            baselines=tuple(baselines),
            merges=merges,
            settings=self.recipe.settings,
            every=opened.every,
            skip_invalid=opened.skip_invalid,
            keep_identical_ids=opened.keep_identical_ids,
            allow_leaks=opened.allow_leaks,
            split=opened.split,
            train_split=opened.train_split,
            options=Options(truncate_dim=opened.truncate_dim, dtype=opened.dtype),
        )


def families(evaluations: Sequence[Evaluation]) -> list[Family]:
    """Group evaluations into sweeps, the latest last.

    Evaluations with prompts or a length in place of the checkpoint's own stay out. Of several evaluations of one
    checkpoint (which differ in how the top was drawn) the latest counts, so that no seed counts twice.
    """
    groups: dict[str, Members] = {}
    bases = {}
    for evaluation in evaluations:
        encoder, on = evaluation.manifest.encoder, evaluation.manifest.collection.digest
        if encoder.max_length is not None:
            continue
        bases[encoder.fingerprint, digest(encoder.prompts), on] = evaluation
        try:
            recipe = Recipe.from_dict(evaluation.manifest.recipe or {})
        except InputError:
            continue  # trained by nobody here, or by another version: its evaluation still stands alone
        if encoder.prompts == recipe.prompts:
            members = groups.setdefault(family_key(recipe, evaluation), {})
            members[digest(recipe.determinants())] = recipe, evaluation
    groups = with_shared_baselines(groups)
    return [_family(key, tuple(members.values()), bases) for key, members in groups.items()]


def _family(
    key: str, members: tuple[tuple[Recipe, Evaluation], ...], bases: Mapping[tuple[str, str, str], Evaluation]
) -> Family:
    recipe, evaluation = members[0]
    on = evaluation.manifest.collection.digest
    return Family(key, recipe, members, bases.get((recipe.encoder, digest(recipe.prompts), on)))


def by_english_share(family: Family, others: Sequence[Family]) -> dict[float | None, Family]:
    """Sweeps that differ from one in the English share alone, by the share: None, in proportion, first, then ascending.

    Args:
        family: The sweep.
        others: Sweeps, which may hold it; of those with one share the latest counts.
    """
    key = key_in_proportion(*family.evaluations[0])
    found = {one.recipe.settings.english_share: one for one in others if key_in_proportion(*one.evaluations[0]) == key}
    found[family.recipe.settings.english_share] = family
    return dict(sorted(found.items(), key=lambda item: -1.0 if item[0] is None else item[0]))


def points(family: Family) -> pl.DataFrame:
    """One row per evaluation of a sweep.

    Returns:
        `key`, `strategy`, `alpha` (null for a baseline), `seed`, and a Float64 column for each of `mono_map`,
        `cross_map`, `multi_map` and so on, `rank_distance`, `bias` (rank distance as a share of what a random ranking
        gives); of a collection of pictures also `caption-picture_map` and so on; sorted by strategy, alpha, seed.
    """
    rows = [
        {
            "key": evaluation.key,
            "strategy": recipe.strategy,
            "alpha": recipe.alpha,
            "seed": recipe.seed,
            **values(evaluation),
        }
        for recipe, evaluation in family.evaluations
    ]
    schema = {"key": pl.String, "strategy": pl.String, "alpha": pl.Float64, "seed": pl.Int64}
    schema |= dict.fromkeys(_columns(family.has_pictures), pl.Float64)
    return pl.DataFrame(rows, schema=schema).sort("strategy", "alpha", "seed")


def values(evaluation: Evaluation) -> dict[str, float | None]:
    """An evaluation's figures under the column names of `points`."""
    figures = evaluation.figures()
    settings = figures["settings"]
    found = {f"{setting}_{metric}": settings[setting][metric] for setting in SETTINGS for metric in METRICS}
    distance = settings["multi"]["rank_distance"]
    randoms = [row["random_rank_distance"] for row in figures["query_langs"] if row["random_rank_distance"] is not None]
    bias = distance / (sum(randoms) / len(randoms)) if distance is not None and randoms else None
    for direction, scores in figures.get("pictures", {}).items():
        found |= {f"{direction}_{metric}": scores[metric] for metric in METRICS}
    return {**found, "rank_distance": distance, "bias": bias}


def curve(points: pl.DataFrame, column: str, strategy: str = "hybrid") -> pl.DataFrame:
    """Mean over seeds at every trained ratio.

    Returns:
        `alpha`, `mean`, `sd` (null with one seed), `seeds`; sorted by alpha.
    """
    kept = points.filter(
        (pl.col("strategy") == strategy) & pl.col("alpha").is_not_null() & pl.col(column).is_not_null()
    )
    value = pl.col(column)
    return kept.group_by("alpha").agg(mean=value.mean(), sd=value.std(), seeds=pl.len()).sort("alpha")


def beside_ratios(points: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """The systems that are not mixed batches, averaged over seeds.

    Args:
        points: Frame of `points`.
        columns: Which of its columns.

    Returns:
        `strategy`, `alpha`, `seeds`, and the columns; sorted by strategy and alpha.
    """
    others = points.filter(pl.col("strategy") != "hybrid")
    means = [pl.col(column).mean() for column in columns]
    return others.group_by("strategy", "alpha").agg(pl.len().alias("seeds"), *means).sort("strategy", "alpha")


def means_by_ratio(points: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Means over seeds of several columns, of mixed batches and of merged checkpoints.

    Returns:
        `strategy`, `alpha` and the columns; sorted by strategy and alpha.
    """
    kept = points.filter(pl.col("strategy").is_in(BETWEEN_THE_ENDS) & pl.col("alpha").is_not_null())
    return kept.group_by("strategy", "alpha").agg(pl.col(columns).mean()).sort("strategy", "alpha")


def at(curve: pl.DataFrame, alpha: float) -> tuple[float, bool] | None:
    """A curve's value at a ratio.

    Returns:
        The value, and whether it is interpolated; None outside the trained ratios.
    """
    below, above = _neighbours(curve["alpha"].to_list(), alpha)
    if below is None or above is None:
        return None
    means = dict(zip(curve["alpha"], curve["mean"], strict=True))
    if below == above:
        return means[below], False
    share = (alpha - below) / (above - below)
    return (1 - share) * means[below] + share * means[above], True


def pairs_at(pairs: Mapping[float, pl.DataFrame], alpha: float) -> tuple[pl.DataFrame, bool] | None:
    """Scores of every language pair at a ratio.

    Args:
        pairs: Frames of `metrics.by_pair` by ratio, already averaged over seeds.
        alpha: The ratio.

    Returns:
        The frame, and whether it is interpolated; None outside the trained ratios.
    """
    below, above = _neighbours(sorted(pairs), alpha)
    if below is None or above is None:
        return None
    if below == above:
        return pairs[below], False
    share = (alpha - below) / (above - below)
    keys = ["query_lang", "doc_lang", "queries"]
    both = pairs[below].join(pairs[above], on=keys, suffix="_above")
    metrics = [name for name in pairs[below].columns if name not in keys]
    mixed = [((1 - share) * pl.col(name) + share * pl.col(f"{name}_above")).alias(name) for name in metrics]
    return both.select(*keys, *mixed).sort("query_lang", "doc_lang"), True


def mean_pairs(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Average frames of `metrics.by_pair` of one collection, over seeds."""
    keys = ["query_lang", "doc_lang", "queries"]
    return pl.concat(frames).group_by(keys).agg(pl.all().mean()).sort("query_lang", "doc_lang")


def pareto(frame: pl.DataFrame, columns: Sequence[str]) -> pl.Series:
    """Which rows no other row beats: is as good in every column and better in one (higher is better), bool.

    A row with a missing value is none of them.
    """
    rows = frame.select(columns).to_numpy().astype(float)
    better = (rows[None] >= rows[:, None]).all(axis=2) & (rows[None] > rows[:, None]).any(axis=2)
    return pl.Series("pareto", ~better.any(axis=1) & ~np.isnan(rows).any(axis=1))


def with_utility(points: pl.DataFrame, weights: Mapping[str, float]) -> pl.DataFrame:
    """Add a column `utility` in points: weighted mean of mAP in each setting, and of 1 minus the bias.

    Args:
        points: Frame of `points`.
        weights: Not negative, by the names in `UTILITY_PARTS`, not all 0.

    Raises:
        InputError: If a weight is negative or no number, or all are 0.
    """
    given = checked_weights(weights)
    parts = {setting: pl.col(f"{setting}_map") for setting in SETTINGS} | {"bias": 1 - pl.col("bias")}
    total = sum((given[part] * parts[part] for part in UTILITY_PARTS if given[part]), pl.lit(0.0))
    return points.with_columns(utility=100 * total / sum(given.values()))


def _columns(has_pictures: bool) -> list[str]:
    settings = [*SETTINGS, *(DIRECTIONS if has_pictures else ())]
    return [f"{setting}_{metric}" for setting in settings for metric in METRICS] + ["rank_distance", "bias"]


def _neighbours(alphas: Sequence[float], alpha: float) -> tuple[float | None, float | None]:
    """The trained ratios next to a ratio on both sides; the ratio itself if it is trained."""
    near = next((trained for trained in alphas if abs(trained - alpha) < 1e-9), None)
    if near is not None:
        return near, near
    below = [trained for trained in alphas if trained < alpha]
    above = [trained for trained in alphas if trained > alpha]
    return (max(below) if below else None), (min(above) if above else None)
