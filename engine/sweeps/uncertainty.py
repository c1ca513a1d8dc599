"""How sure the figures of stored evaluations are: `significance` applied to checkpoints, sweeps and their baselines.

A system is what a claim is about: a ratio (with all its seeds), a merge, a baseline, or the untrained encoder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import polars as pl

from engine.evaluation.evaluate import Evaluation
from engine.significance import QuestionSums, Resampled, by_direction, compare, question_sums, resample, select
from engine.sweeps import prose
from engine.sweeps.prose import Difference
from engine.sweeps.results import Family
from engine.training.adjusted import adjusted_by, is_head_on_adjusted, without_head


class System(NamedTuple):
    """A strategy and its ratio (None where it has none); "untrained" is the base encoder."""

    strategy: str
    alpha: float | None = None

    @property
    def label(self) -> str:
        """What to call it, such as "alpha = 0.5", "merged, alpha = 0.5" or "centred"."""
        if self.alpha is None:
            return self.strategy
        ratio = f"alpha = {self.alpha:g}"
        names = {"hybrid": ratio, "merge": f"merged, {ratio}"}
        return names.get(self.strategy, f"{self.strategy}, {ratio}")


UNTRAINED = System("untrained")

Value = TypeVar("Value")

Sums = Callable[[Evaluation, Sequence[str]], QuestionSums]


def evaluation_sums(evaluation: Evaluation, metrics: Sequence[str]) -> QuestionSums:
    """What every question adds to every cell of an evaluation, for metrics and for rank distance.

    Of a collection of pictures the cells are by direction; see `significance.by_direction`.
    """
    of = evaluation.manifest.collection
    asked, answering = of.query_languages or of.languages, of.document_languages or of.languages
    sums = question_sums(
        evaluation.ranks(), metrics, languages=asked, document_languages=answering, pool=evaluation.pool
    )
    return by_direction(sums) if of.pictures else sums


def systems(family: Family) -> dict[System, list[Evaluation]]:
    """A sweep's evaluations by system, one a seed; the untrained encoder first, then in the order of the ratios."""
    found = {} if family.base is None else {UNTRAINED: [family.base]}
    members = [(System(recipe.strategy, recipe.alpha), recipe.seed, one) for recipe, one in family.evaluations]
    for system, _, evaluation in sorted(members, key=lambda member: (member[0][0], member[0][1] or 0.0, member[1])):
        found.setdefault(system, []).append(evaluation)
    return found


def resample_family(family: Family, metrics: Sequence[str], *, sums: Sums = evaluation_sums) -> dict[System, Resampled]:
    """Joint draws of a sweep's systems, for intervals, comparisons and the choice of a ratio.

    Args:
        family: The sweep on one collection.
        metrics: Names of metrics; rank distance and bias are always there.
        sums: Where the sums of an evaluation come from, so that a caller can keep them.
    """
    return resample({name: [sums(one, metrics) for one in members] for name, members in systems(family).items()})


def resample_system(
    members: Sequence[Evaluation], metrics: Sequence[str], *, sums: Sums = evaluation_sums
) -> Resampled:
    """Draws of one system, the same whichever others it is compared with.

    Args:
        members: Its evaluations, one a seed.
        metrics: Names of metrics; rank distance and bias are always there.
        sums: Where the sums of an evaluation come from.
    """
    return resample({"": [sums(one, metrics) for one in members]})[""]


def ratios_of(systems: Mapping[System, Value], strategy: str = "hybrid") -> dict[float, Value]:
    """What is known of the systems of one strategy, by ratio, ascending."""
    return {
        system.alpha: value
        for system, value in systems.items()
        if system.strategy == strategy and system.alpha is not None
    }


def choose(found: Mapping[System, Resampled], measure: str, setting: str) -> pl.DataFrame:
    """Which ratio of the hybrid strategy is best in a macro mean; frame of `significance.select`."""
    return select({alpha: one.only(measure, setting) for alpha, one in ratios_of(found).items()})


def best_and_end(choice: pl.DataFrame) -> tuple[float, float]:
    """The best ratio, and the trained end of the scale, 0 or 1, that is farther from it; twice the best without one.

    Args:
        choice: Frame of `choose`.
    """
    best = choice.filter(pl.col("difference").is_null())["system"].item()
    ends = choice["system"].filter(choice["system"].is_in([0.0, 1.0])).to_list()
    return best, max(sorted(ends), key=lambda end: abs(end - best), default=best)


def difference(one: Resampled, other: Resampled, measure: str, setting: str) -> Difference:
    """One system's macro mean minus another's, tested."""
    first, second = one.only(measure, setting), other.only(measure, setting)
    row = compare(first, second).row(0, named=True)
    return Difference(row["difference"], row["low"], row["high"], row["p"], float(second.estimate[0]))


def answer(collection: str, found: dict[System, Resampled], seeds: int) -> str:
    """What a sweep says: the best ratio in the pool, what the other end of the scale costs, what training brought.

    Args:
        collection: What to call the collection, in Markdown.
        found: What `resample_family` gave, with mAP; the baselines among them are held against the best ratio.
        seeds: How many seeds stand behind a ratio.
    """
    ratios, choice = ratios_of(found), choose(found, "map", "multi")
    best, end = best_and_end(choice)
    told = [prose.best_ratio(collection, choice, seeds)]
    if end != best:
        score, distance = (
            difference(ratios[end], ratios[best], *figure) for figure in (("map", "multi"), ("rank_distance", "multi"))
        )
        told.append(prose.cost_of_end(end, best, score, distance))
    if UNTRAINED in found:
        base = found[UNTRAINED]
        gain = difference(ratios[best], base, "map", "multi")
        told.append(prose.gain_of_training(float(base.only("map", "multi").estimate[0]), gain))
    if (rival := best_adjusted(found)) is not None:
        multi, cross = (difference(found[rival], ratios[best], "map", setting) for setting in ("multi", "cross"))
        told.append(prose.against_adjusted(rival.strategy, multi, cross))
    return " ".join(told)


def contrasts(found: Mapping[System, Resampled]) -> pl.DataFrame:
    """What a reviewer would ask of a sweep, tested in the macro means.

    Everything beside the ratios against the best ratio (by multi mAP); the ends of each scale against each other; and
    heads on adjusted vectors against the same vectors without a head.

    Returns:
        `one`, `other` (labels of systems), and the columns of `significance.compare` of settings' macro means.
    """
    ratios = ratios_of(found)
    best = System("hybrid", max(ratios, key=lambda alpha: float(ratios[alpha].only("map", "multi").estimate[0])))
    asked = [(system, best) for system in found if system.strategy != "hybrid"]
    for strategy in dict.fromkeys(system.strategy for system in found if system.alpha is not None):
        asked.append((System(strategy, 1.0), System(strategy, 0.0)))
        if is_head_on_adjusted(strategy):
            asked += [(system, System(without_head(strategy))) for system in found if system.strategy == strategy]
    return pl.concat(
        compare(_macro(found[one]), _macro(found[other])).select(
            pl.lit(one.label).alias("one"), pl.lit(other.label).alias("other"), pl.all()
        )
        for one, other in asked
        if one in found and other in found
    )


def _macro(resampled: Resampled) -> Resampled:
    """The settings' macro means alone."""
    return resampled.take(resampled.rows.with_row_index().filter(pl.col("query_lang").is_null())["index"].to_list())


def best_adjusted(found: Mapping[System, Resampled]) -> System | None:
    """The system with the highest multi mAP of those that take the language out and train nothing; None without any."""
    rivals = [
        system
        for system in found
        if (adjusted := adjusted_by(system.strategy)) is not None and not adjusted.head and system.alpha is None
    ]
    return max(rivals, key=lambda system: float(found[system].only("map", "multi").estimate[0]), default=None)
