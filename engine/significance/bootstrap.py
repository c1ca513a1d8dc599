"""Sums by question -> joint draws of all figures of several systems: the cluster bootstrap over questions.

A draw takes as many questions as there are, with replacement (Efron and Tibshirani 1993), and counts every query as
often as its question came. Macro means are then taken anew: queries -> cell -> setting. A draw in which some cell has
no query gives no mean for it, and none for its setting.

Seeds are the second level, for a system of three or more. To draw m seeds from m with replacement would not do: it
understates the variance by (m - 1) / m and never leaves the range of the seeds, so with three of them an interval could
hold the truth in at most 75 % of cases. Instead a draw of the seeds is a weighted sum of their figures, the weights
normal deviates, scaled so that the sum follows Student's t with m - 1 degrees of freedom, times the standard error of
the mean of the seeds; this is exact where seeds vary normally. It is added to the mean of the seeds on the drawn
questions, apart from the questions and from other systems. So the variance is that of `standard_error`; what seeds and
questions do together counts in both levels (in three of Owen's pigeonhole bootstrap, 2007, which draws the two at
once), and intervals are on the safe side. Of one or two seeds nothing is drawn: intervals and tests then hold for these
very checkpoints.
"""

from __future__ import annotations

import zlib
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np
import polars as pl

from engine.errors import InputError
from engine.significance.draws import Resampled
from engine.significance.per_question import RANDOM_DISTANCE, RANK_DISTANCE, QuestionSums

RESAMPLES = 2000
LEAST_SEEDS = 3
_BLOCK = 4_000_000
"""How many weights are held at once, at most; 8 bytes each."""

Name = TypeVar("Name", bound=Hashable)


def resample(
    systems: Mapping[Name, Sequence[QuestionSums]], *, resamples: int = RESAMPLES, seed: int = 0
) -> dict[Name, Resampled]:
    """Draw questions, the same for all systems, and seeds where a system has three or more.

    What is found in two calls with the same seed, resamples and collection may be compared: the draws are the same.

    Args:
        systems: The evaluations of each system, one per seed.
        resamples: How many draws.
        seed: Of the draws.

    Raises:
        InputError: If there is no system or a system has no evaluation, they are not of one collection or not of the
            same metrics, or resamples is below 1.
    """
    first = _check(systems, resamples)
    groups = _groups(first.cells)
    means = {name: np.mean([one.sums for one in sums], axis=0) for name, sums in systems.items()}
    counts, column = np.unique(first.counts, axis=1, return_inverse=True)
    draws = {name: np.empty((resamples, _rows(first, groups).height)) for name in systems}
    start = 0
    with np.errstate(invalid="ignore", divide="ignore"):
        for weights in _question_weights(len(first.questions), resamples, seed):
            block = slice(start, start := start + len(weights))
            drawn = (weights @ counts)[:, column]
            for name, mean in means.items():
                draws[name][block] = _figures(weights @ mean / drawn, groups)
        return {name: _resampled(sums, means[name], draws[name], seed) for name, sums in systems.items()}


def _check(systems: Mapping[Name, Sequence[QuestionSums]], resamples: int) -> QuestionSums:
    """The first of all evaluations, if all are alike."""
    if resamples < 1:
        raise InputError(f"resamples must be >= 1, got {resamples}; {RESAMPLES} is usual")
    if not systems or not all(systems.values()):
        raise InputError("systems: one has no evaluation, or there is none; give at least one evaluation for each")
    every = [(name, one) for name, sums in systems.items() for one in sums]
    head, first = every[0]
    judged = first.cells["measure"].to_numpy() == RANDOM_DISTANCE  # is the same for all systems
    for name, one in every:
        if not one.cells.equals(first.cells):
            raise InputError(
                f"systems {head} and {name}: their cells differ; give the same metrics, languages and pool"
            )
        alike = np.array_equal(one.counts, first.counts) and np.array_equal(one.sums[:, judged], first.sums[:, judged])
        if one.questions != first.questions or not alike:
            raise InputError(f"systems {head} and {name}: not evaluated on the same collection; compare within one")
    return first


def _groups(cells: pl.DataFrame) -> dict[tuple[str, str], np.ndarray]:
    """The columns of every measure and setting."""
    groups: dict[tuple[str, str], list[int]] = {}
    for at, key in enumerate(cells.select("measure", "setting").rows()):
        groups.setdefault(key, []).append(at)
    return {key: np.array(columns) for key, columns in groups.items()}


def _figures(
    means: np.ndarray, groups: Mapping[tuple[str, str], np.ndarray], random: np.ndarray | None = None
) -> np.ndarray:
    """Means (..., cells) -> figures (..., rows): after the cells of each group their macro mean, and last the bias.

    The bias divides by the random ranking's distance in the same draw, or by `random`, where that is held fixed.
    """
    parts = {}
    for key, columns in groups.items():
        cells = means[..., columns]
        parts[key] = np.concatenate([cells, cells.mean(axis=-1, keepdims=True)], axis=-1)
    expected = parts.pop((RANDOM_DISTANCE, "multi"), None)
    if expected is not None:
        parts["bias", "multi"] = parts[RANK_DISTANCE, "multi"] / (expected if random is None else random)
    return np.concatenate(list(parts.values()), axis=-1)


def _rows(sums: QuestionSums, groups: Mapping[tuple[str, str], np.ndarray]) -> pl.DataFrame:
    """What the figures are, in their order."""
    parts = {}
    for (measure, setting), columns in groups.items():
        counts = sums.counts[:, columns]
        macro = {"measure": measure, "setting": setting, "query_lang": None, "doc_lang": None}
        rows = sums.cells[columns].vstack(pl.DataFrame([macro], schema=sums.cells.schema))
        queries = [*counts.sum(axis=0), counts.sum()]
        asked = [*np.count_nonzero(counts, axis=0), np.count_nonzero(counts.any(axis=1))]
        counted = (pl.Series("queries", queries), pl.Series("questions", asked))
        parts[measure, setting] = rows.with_columns(column.cast(pl.Int64) for column in counted)
    if parts.pop((RANDOM_DISTANCE, "multi"), None) is not None:
        parts["bias", "multi"] = parts[RANK_DISTANCE, "multi"].with_columns(measure=pl.lit("bias"))
    return pl.concat(parts.values())


def _resampled(sums: Sequence[QuestionSums], mean: np.ndarray, draws: np.ndarray, seed: int) -> Resampled:
    """A system from its evaluations, the mean of their sums, and its draws of questions, to which seeds are added."""
    first, groups = sums[0], _groups(sums[0].cells)
    counts = first.counts
    total, count = mean.sum(axis=0), counts.sum(axis=0)
    random = None
    if (RANDOM_DISTANCE, "multi") in groups:
        columns = groups[RANDOM_DISTANCE, "multi"]
        random = (total / count)[columns]
        random = np.append(random, random.mean())
    by_seed = np.stack([_figures(one.sums.sum(axis=0) / count, groups) for one in sums])
    if len(sums) >= LEAST_SEEDS:
        draws += _seed_weights([one.sums for one in sums], len(draws), seed) @ by_seed
    return Resampled(
        rows=_rows(first, groups),
        estimate=_figures(total / count, groups),
        draws=draws,
        without=_figures((total - mean) / (count - counts), groups),
        shares=_figures(mean / count, groups, random),
        by_seed=(by_seed,) if len(sums) >= LEAST_SEEDS else (),
        evaluations=len(sums),
        questions=first.questions,
        seed=seed,
    )


def _question_weights(questions: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each question comes in each draw, float64 (draws, questions), in blocks."""
    rng = np.random.default_rng(seed)
    block = max(1, _BLOCK // questions)
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        chosen = rng.integers(questions, size=(size, questions)) + questions * np.arange(size)[:, None]
        yield np.bincount(chosen.ravel(), minlength=size * questions).reshape(size, questions).astype(np.float64)


def _seed_weights(sums: list[np.ndarray], resamples: int, seed: int) -> np.ndarray:
    """How far the weight of each seed is from 1 / m in each draw, float64 (resamples, seeds); they sum to 0.

    The generator is seeded from the system's sums, so its draws do not depend on which other systems are compared or
    in which order.
    """
    m = len(sums)
    names = [zlib.crc32(np.ascontiguousarray(one).tobytes()) for one in sums]
    rng = np.random.default_rng([seed, *sorted(names)])
    deviates = rng.standard_normal((resamples, m))[:, np.argsort(np.argsort(names))]
    deviates -= deviates.mean(axis=1, keepdims=True)
    return deviates / np.sqrt(m * rng.chisquare(m - 1, (resamples, 1)))
