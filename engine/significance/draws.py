"""What resampling found of one system, and what follows from it without drawing again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

import numpy as np
import polars as pl

from engine.collections.structures import SETTINGS
from engine.errors import InputError

UTILITY_PARTS = (*SETTINGS, "bias")


@dataclass(frozen=True, slots=True, eq=False)
class Resampled:
    """Figures of one system (the mean over its seeds), or of a difference of two, and their joint draws.

    Attributes:
        rows: Which figures: `measure`, `setting`, `query_lang`, `doc_lang`, `queries` (how many are averaged) and
            `questions` (of how many). Both languages are null in the macro mean of a setting, `doc_lang` in the cells
            of multi, the setting too in a utility.
        estimate: float64 (rows,), on all questions; NaN where a cell that is needed has no query.
        draws: float64 (resamples, rows).
        without: float64 (questions, rows), each question left out: the jackknife.
        shares: float64 (questions, rows), what each question adds: their sum is the estimate.
        by_seed: For each system whose seeds are drawn, float64 (seeds, rows), the figures of each seed.
        evaluations: How many evaluations stand behind it.
        questions: Ids of the questions.
        seed: Of the draws.
    """

    rows: pl.DataFrame
    estimate: np.ndarray
    draws: np.ndarray
    without: np.ndarray
    shares: np.ndarray
    by_seed: tuple[np.ndarray, ...]
    evaluations: int
    questions: tuple[str, ...]
    seed: int

    def only(
        self, measure: str, setting: str | None = None, query_lang: str | None = None, doc_lang: str | None = None
    ) -> Resampled:
        """One figure alone: a setting's macro mean, or with languages a cell.

        Raises:
            InputError: If it is not among the rows.
        """
        wanted = (measure, setting, query_lang, doc_lang)
        keys = self.rows.select("measure", "setting", "query_lang", "doc_lang").rows()
        if wanted not in keys:
            measures = ", ".join(self.rows["measure"].unique(maintain_order=True))
            raise InputError(f"figure {wanted}: not there; measures are {measures}, the settings {', '.join(SETTINGS)}")
        return self.take([keys.index(wanted)])

    def take(self, at: Sequence[int]) -> Resampled:
        """Some of the rows, by position."""
        columns = list(at)
        return replace(
            self,
            rows=self.rows[columns],
            estimate=self.estimate[columns],
            draws=self.draws[:, columns],
            without=self.without[:, columns],
            shares=self.shares[:, columns],
            by_seed=tuple(seeds[:, columns] for seeds in self.by_seed),
        )

    def append(self, other: Resampled) -> Resampled:
        """These rows, then those of another of the same system and draws."""
        return replace(
            self,
            rows=pl.concat([self.rows, other.rows]),
            estimate=np.concatenate([self.estimate, other.estimate]),
            draws=np.concatenate([self.draws, other.draws], axis=1),
            without=np.concatenate([self.without, other.without], axis=1),
            shares=np.concatenate([self.shares, other.shares], axis=1),
            by_seed=tuple(np.concatenate(seeds, axis=1) for seeds in zip(self.by_seed, other.by_seed, strict=True)),
        )


def difference(one: Resampled, other: Resampled) -> Resampled:
    """One system minus the other, draw by draw: the pairing by question stays.

    Raises:
        InputError: If the two do not share rows and draws.
    """
    shared = one.questions == other.questions and one.rows.equals(other.rows)
    if not shared or one.draws.shape != other.draws.shape or one.seed != other.seed:
        raise InputError(
            "difference: the two systems do not share their draws; resample evaluations of one collection with the "
            "same metrics, seed and number of resamples"
        )
    return Resampled(
        one.rows,
        one.estimate - other.estimate,
        one.draws - other.draws,
        one.without - other.without,
        one.shares - other.shares,
        one.by_seed + other.by_seed,
        one.evaluations + other.evaluations,
        one.questions,
        one.seed,
    )


def checked_weights(weights: Mapping[str, float]) -> dict[str, float]:
    """The weights of a utility by `UTILITY_PARTS`, 0 where none is given.

    Raises:
        InputError: If one is negative or no number, or all are 0.
    """
    given = {part: float(weights.get(part, 0)) for part in UTILITY_PARTS}
    if not (all(0 <= weight < inf for weight in given.values()) and any(given.values())):
        raise InputError(f"utility weights must be numbers >= 0 with at least one > 0, got {given}")
    return given


def utility(resampled: Resampled, weights: Mapping[str, float]) -> Resampled:
    """Utility in points: the weighted mean of mAP by setting, and of 1 minus the bias.

    Args:
        resampled: Of a system, not of a difference; with the metric `map`, and with `bias` where that has a weight.
        weights: Not negative, by mono, cross, multi and bias, not all 0.

    Raises:
        InputError: If a weight is negative, all are 0, or a figure that has a weight is not there.
    """
    given = checked_weights(weights)
    total = sum(given.values())
    parts = [
        (weight / total, resampled.only(*(("bias", "multi") if part == "bias" else ("map", part))), part == "bias")
        for part, weight in given.items()
        if weight
    ]

    def mix(figures: Sequence[np.ndarray], one: float = 1.0) -> np.ndarray:
        weighed = zip(parts, figures, strict=True)
        terms = [weight * (one - values if is_bias else values) for (weight, _, is_bias), values in weighed]
        return np.asarray(100 * np.sum(terms, axis=0))

    of = [part for _, part, _ in parts]
    row = of[0].rows.with_columns(
        pl.lit("utility").alias("measure"),
        *(pl.lit(None, pl.String).alias(name) for name in ("setting", "query_lang", "doc_lang")),
        pl.lit(max(part.rows["queries"].item() for part in of), pl.Int64).alias("queries"),
        pl.lit(max(part.rows["questions"].item() for part in of), pl.Int64).alias("questions"),
    )
    return Resampled(
        row,
        mix([part.estimate for part in of]),
        mix([part.draws for part in of]),
        mix([part.without for part in of]),
        mix([part.shares for part in of], 1 / len(resampled.questions)),
        tuple(mix(seeds) for seeds in zip(*(part.by_seed for part in of), strict=True)),
        resampled.evaluations,
        resampled.questions,
        resampled.seed,
    )


def standard_error(resampled: Resampled) -> tuple[np.ndarray, np.ndarray]:
    """Standard errors in closed form, and their degrees of freedom.

    The variance is the jackknife's over the n questions that the figure rests on, (n - 1) / n times the sum of squares
    (Efron and Tibshirani 1993, eq. 11.5), which the bootstrap's tends to, plus the variance of the mean of the seeds
    where they are drawn; the degrees of freedom are Welch and Satterthwaite's.

    Returns:
        float64 (rows,), twice; the error is NaN where leaving out one question leaves a cell empty.
    """
    n = resampled.rows["questions"].to_numpy()
    deviations = resampled.without - resampled.without.mean(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        of_questions = (n - 1) / n * (deviations**2).sum(axis=0)
        of_seeds = [scores.var(axis=0, ddof=1) / len(scores) for scores in resampled.by_seed]
        variance = np.sum([of_questions, *of_seeds], axis=0)
        parts = [of_questions**2 / (n - 1)]
        parts += [part**2 / (len(scores) - 1) for part, scores in zip(of_seeds, resampled.by_seed, strict=True)]
        freedom = variance**2 / np.sum(parts, axis=0)
    return np.sqrt(variance), np.where(variance > 0, freedom, n - 1.0)
