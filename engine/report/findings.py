"""What a report tells, computed once: draws, choices, comparisons and means of a sweep's systems.

Tables, figures and sentences are made of this and nothing else, so that they cannot contradict each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from engine.errors import InputError
from engine.evaluation.evaluate import Evaluation
from engine.progress import Progress, silent
from engine.ranks import metrics
from engine.ranks.pairs import language_order
from engine.report.claims import Quantity
from engine.report.request import UNTRAINED, Request
from engine.significance import QuestionSums, Resampled, compare, holm, intervals, select
from engine.sweeps import results, uncertainty
from engine.sweeps.prose import Difference
from engine.sweeps.results import Family
from engine.sweeps.uncertainty import System


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """What is known of a sweep on a collection.

    Attributes:
        family: The sweep.
        request: What was asked for.
        systems: Its evaluations by system, one a seed.
        draws: What resampling found of each.
        intervals: `significance.intervals` of each.
        figures: Measure and setting of what is told of every system: the metric in each setting and rank distance, as
            far as the collection has them.
        choices: `significance.select` over the ratios, by these.
        all_choices: The same over all systems, `system` being their names.
        chosen: The ratios that are shown in detail.
        best: The best ratio by the request's metric, in the pool if the collection has it.
        reference: What they are compared with.
        tests: `significance.compare` of each chosen ratio with the reference; not of the reference itself.
        pairs: Scores of every language pair by system, averaged over seeds.
        points: `results.points` of the sweep.
        seeds: The fewest seeds that stand behind a ratio.
    """

    family: Family
    request: Request
    systems: dict[System, list[Evaluation]]
    draws: dict[System, Resampled]
    intervals: dict[System, pl.DataFrame]
    figures: list[tuple[str, str]]
    choices: dict[tuple[str, str], pl.DataFrame]
    all_choices: dict[tuple[str, str], pl.DataFrame]
    chosen: tuple[float, ...]
    best: float
    reference: System
    tests: dict[float, pl.DataFrame]
    pairs: dict[System, pl.DataFrame]
    points: pl.DataFrame
    seeds: int

    @property
    def has_distances(self) -> bool:
        """Whether queries have relevant passages in several languages, so that there is a bias to measure."""
        return ("rank_distance", "multi") in self.figures

    @property
    def has_examples(self) -> bool:
        """Whether examples are asked for and can be shown; those of pictures are shown in the app only."""
        return "examples" in self.request.parts and not self.family.has_pictures

    @property
    def featured(self) -> System:
        """The ratio that examples and remarks are of: the best, or the largest of those that were asked for."""
        return System("hybrid", self.best if self.best in self.chosen else self.chosen[-1])

    @property
    def codes(self) -> list[str]:
        """The collection's languages in the order of their names."""
        return language_order(next(iter(self.pairs.values())), self.request.metric, "name")

    def difference(self, one: System, other: System, measure: str, setting: str) -> Difference:
        """One system's macro mean minus another's, tested."""
        return uncertainty.difference(self.draws[one], self.draws[other], measure, setting)


def settings_in_words(family: Family) -> str:
    """What the scores of a sweep are of, for captions of tables and figures."""
    if family.has_pictures:
        return (
            "of captions that find their picture, pictures that find captions, captions that find captions in another "
            "language, and pictures that find captions in the pool of all languages (multi)"
        )
    return "within one language (mono), across two (cross) and in the pool of all (multi)"


def column_of(measure: str, setting: str) -> str:
    """The column of `ratios.points` that holds a figure."""
    return measure if measure == "rank_distance" else f"{setting}_{measure}"


def quantity(measure: str, setting: str) -> Quantity:
    """What to call a figure, and which way is better."""
    if measure == "rank_distance":
        return Quantity("rank distance", "ranks", lower_is_better=True)
    return Quantity(f"{setting} {metrics.label(measure)}")


def name_of(system: System) -> str:
    """What to call a system in a sentence."""
    if system.strategy == UNTRAINED:
        return "the untrained encoder"
    if system.strategy == "hybrid":
        return f"alpha = {system.alpha:g}"
    name = "merging" if system.strategy == "merge" else system.strategy
    return name if system.alpha is None else f"{name} at {system.alpha:g}"


def detailed(found: Findings) -> list[System]:
    """The systems that are shown in detail: the reference, then the chosen ratios."""
    ratios_ = [System("hybrid", alpha) for alpha in found.chosen]
    return [found.reference, *(one for one in ratios_ if one != found.reference)]


def slug(system: System) -> str:
    """A system as a part of a file's name."""
    if system.alpha is None:
        return system.strategy
    return f"{'alpha' if system.strategy == 'hybrid' else system.strategy}-{system.alpha:g}"


def gather(
    family: Family,
    request: Request,
    *,
    draws: Mapping[System, Resampled] | None = None,
    progress: Progress = silent,
) -> Findings:
    """Compute what a report of a sweep tells.

    Args:
        family: The sweep on one collection.
        request: What is asked for.
        draws: What resampling found, where it is known already; with mAP and the request's metric.
        progress: Told the evaluations read.

    Raises:
        InputError: If a ratio or the reference is not trained, or a needed figure is missing.
    """
    systems = uncertainty.systems(family)
    trained = sorted(uncertainty.ratios_of(systems))
    if not trained:
        raise InputError(f"sweep {family.key[:8]}: no ratio of the hybrid strategy is evaluated; train some first")
    asked, reference = (
        _asked(request.alphas, trained),
        _reference(request.reference, trained, uncertainty.UNTRAINED in systems),
    )
    found = dict(draws) if draws is not None else _resampled(family, request.metric, progress)
    by_ratio = uncertainty.ratios_of(found)
    figures = _known(found, request.metric, family.settings)
    choices = {figure: uncertainty.choose(found, *figure) for figure in figures}
    by_score = choices[(request.metric, "multi") if (request.metric, "multi") in choices else figures[0]]
    best = by_score.filter(pl.col("difference").is_null())["system"].item()
    chosen = asked or tuple(sorted({trained[0], best, trained[-1]}))
    tests = {
        alpha: compare(by_ratio[alpha], found[reference]) for alpha in chosen if System("hybrid", alpha) != reference
    }
    return Findings(
        family=family,
        request=request,
        systems=systems,
        draws=found,
        intervals={system: intervals(one) for system, one in found.items()},
        figures=figures,
        choices=choices,
        all_choices={figure: _over_all(found, *figure) for figure in figures},
        chosen=chosen,
        best=best,
        reference=reference,
        tests=tests,
        pairs={system: results.mean_pairs([one.pairs() for one in members]) for system, members in systems.items()},
        points=results.points(family),
        seeds=min(len(members) for system, members in systems.items() if system.strategy == "hybrid"),
    )


def corrected(differences: Sequence[Difference]) -> list[Difference]:
    """Differences whose p values bear Holm's correction over all of them."""
    known = pl.Series([one.p for one in differences], dtype=pl.Float64)
    p = holm(known.to_numpy())
    return [
        Difference(one.value, one.low, one.high, None if one.p is None else float(after), one.reference)
        for one, after in zip(differences, p, strict=True)
    ]


def _resampled(family: Family, metric: str, progress: Progress) -> dict[System, Resampled]:
    total = len(family.evaluations) + (family.base is not None)
    done = 0

    def sums(evaluation: Evaluation, wanted: Sequence[str]) -> QuestionSums:
        nonlocal done
        one = uncertainty.evaluation_sums(evaluation, wanted)
        done += 1
        progress("read ranks", done, total)
        return one

    progress("read ranks", 0, total)
    needed = ["map", *(["hit@1"] if family.has_pictures else []), metric]
    return uncertainty.resample_family(family, tuple(dict.fromkeys(needed)), sums=sums)


def _known(found: Mapping[System, Resampled], metric: str, settings: Sequence[str]) -> list[tuple[str, str]]:
    """The figures that every system has: a setting with a pair without queries has no mean.

    Raises:
        InputError: If there is none.
    """
    asked: list[tuple[str, str]] = [*((metric, setting) for setting in settings), ("rank_distance", "multi")]
    missing = set()
    for one in found.values():
        macro = one.rows.with_columns(known=np.isfinite(one.estimate)).filter(pl.col("query_lang").is_null(), "known")
        missing |= set(asked) - set(macro.select("measure", "setting").rows())
    figures = [figure for figure in asked if figure not in missing]
    if not [measure for measure, _ in figures if measure == metric]:
        raise InputError(f"metric {metric}: the collection has queries for no complete setting, so there is no mean")
    return figures


def _asked(asked: Sequence[float] | None, trained: Sequence[float]) -> tuple[float, ...]:
    """The ratios that were asked for, ascending; none if none was."""
    near = {alpha: _trained(alpha, trained) for alpha in asked or ()}
    missing = [f"{alpha:g}" for alpha, ratio in near.items() if ratio is None]
    if missing:
        raise InputError(f"alphas {', '.join(missing)} are not trained in this sweep; trained are {_listed(trained)}")
    return tuple(sorted({ratio for ratio in near.values() if ratio is not None}))


def _reference(asked: str | float | None, trained: Sequence[float], has_base: bool) -> System:
    """What is compared with, by default the untrained encoder, or else the smallest ratio."""
    if asked is None:
        return uncertainty.UNTRAINED if has_base else System("hybrid", trained[0])
    if asked == UNTRAINED:
        if not has_base:
            raise InputError("reference 'untrained': the untrained encoder is not evaluated on this collection")
        return uncertainty.UNTRAINED
    near = _trained(asked, trained)
    if near is None:
        raise InputError(f"reference {asked}: not trained in this sweep; allowed are {UNTRAINED}, {_listed(trained)}")
    return System("hybrid", near)


def _trained(asked: str | float, trained: Sequence[float]) -> float | None:
    """The trained ratio that was asked for; None if there is none, or it is no number."""
    try:
        return next((one for one in trained if abs(one - float(asked)) < 1e-9), None)
    except ValueError:
        return None


def _listed(alphas: Sequence[float]) -> str:
    return ", ".join(f"{one:g}" for one in alphas)


def _over_all(found: Mapping[System, Resampled], measure: str, setting: str) -> pl.DataFrame:
    return select({name_of(system): one.only(measure, setting) for system, one in found.items()})
