"""Sums by question -> joint draws of all figures of several systems: the cluster bootstrap over questions.

A draw takes as many questions as there are, with replacement (Efron and Tibshirani 1993), and counts every query as
often as its question came. Macro means are then taken anew: queries -> cell -> setting. A draw in which some cell has
no query gives no mean for it, and none for its setting.

Seeds are the second level. A system of three or more also draws its seeds, apart from the questions and from other
systems, as crossed samples are (Owen, The pigeonhole bootstrap, 2007; mildly conservative). To draw m seeds from m
with replacement would not do: it understates the variance by (m - 1) / m and never leaves the range of the seeds, so
with three of them an interval could hold the truth in at most 75 % of cases. Instead the weights of the seeds are
normal deviates around 1 / m, scaled so that their mean follows Student's t with m - 1 degrees of freedom around the
mean of the seeds, which is exact where seeds vary normally. Of one or two seeds nothing is drawn: intervals and tests
then hold for these very checkpoints.
"""

from __future__ import annotations

import zlib
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np
import polars as pl

from engine.errors import InputError
from engine.significance.resampled import Resampled
from engine.significance.sums import RANDOM_DISTANCE, RANK_DISTANCE, QuestionSums

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
    members = {name: _members(sums) for name, sums in systems.items()}
    seed_weights = {name: _seed_weights(sums, resamples, seed) for name, sums in members.items()}
    counts, column = np.unique(first.counts, axis=1, return_inverse=True)
    draws = {name: np.empty((resamples, _rows(first, groups).height)) for name in systems}
    start = 0
    with np.errstate(invalid="ignore", divide="ignore"):
        for weights in _question_weights(len(first.questions), resamples, seed):
            block = slice(start, start := start + len(weights))
            drawn = (weights @ counts)[:, column]
            for name, sums in members.items():
                totals = sum(
                    of_seed[block, None] * (weights @ one)
                    for one, of_seed in zip(sums, seed_weights[name], strict=True)
                )
                draws[name][block] = _figures(totals / drawn, groups)
        return {name: _resampled(first, systems[name], members[name], draws[name], seed) for name in systems}


def _check(systems: Mapping[Hashable, Sequence[QuestionSums]], resamples: int) -> QuestionSums:
    """The first of all evaluations, if all are alike."""
    if resamples < 1:
        raise InputError(f"resamples: {resamples} came; at least 1 is needed, and {RESAMPLES} are usual")
    if not systems or not all(systems.values()):
        raise InputError("systems: one has no evaluation, or there is none; give at least one evaluation for each")
    every = [(name, one) for name, sums in systems.items() for one in sums]
    head, first = every[0]
    for name, one in every:
        if one.questions != first.questions or not np.array_equal(one.counts, first.counts):
            raise InputError(f"systems {head} and {name}: not evaluated on the same collection; compare within one")
        if not one.cells.equals(first.cells):
            raise InputError(
                f"systems {head} and {name}: their cells differ; give the same metrics, languages and pool"
            )
    return first


def _members(sums: Sequence[QuestionSums]) -> list[np.ndarray]:
    """The sums of each seed where seeds are drawn, else their mean."""
    arrays = [one.sums for one in sums]
    return arrays if len(arrays) >= LEAST_SEEDS else [sum(arrays) / len(arrays)]


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


def _resampled(
    first: QuestionSums, sums: Sequence[QuestionSums], members: list[np.ndarray], draws: np.ndarray, seed: int
) -> Resampled:
    groups = _groups(first.cells)
    mean, counts = sum(members) / len(members), first.counts
    total, count = mean.sum(axis=0), counts.sum(axis=0)
    random = None
    if (RANDOM_DISTANCE, "multi") in groups:
        columns = groups[RANDOM_DISTANCE, "multi"]
        random = (total / count)[columns]
        random = np.append(random, random.mean())
    by_seed = np.stack([_figures(one.sum(axis=0) / count, groups) for one in members])
    return Resampled(
        rows=_rows(first, groups),
        estimate=_figures(total / count, groups),
        draws=draws,
        without=_figures((total - mean) / (count - counts), groups),
        shares=_figures(mean / count, groups, random),
        by_seed=(by_seed,) if len(members) >= LEAST_SEEDS else (),
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


def _seed_weights(members: list[np.ndarray], resamples: int, seed: int) -> np.ndarray:
    """Weights of the seeds in each draw, float64 (seeds, resamples); they sum to 1.

    The stream is named by the sums themselves: it is a system's own, in whatever company and order it comes.
    """
    m = len(members)
    if m < LEAST_SEEDS:
        return np.ones((1, resamples))
    name = 0
    for one in members:
        name = zlib.crc32(np.ascontiguousarray(one), name)
    rng = np.random.default_rng([seed, name])
    deviates = rng.standard_normal((m, resamples))
    deviates -= deviates.mean(axis=0)
    return 1 / m + deviates / np.sqrt(m * rng.chisquare(m - 1, resamples))
