"""Draws -> intervals, and which of them are too wide to read."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import polars as pl
from scipy.special import ndtr, ndtri

from engine.errors import InputError
from engine.significance.draws import Resampled

Method = Literal["bca", "percentile"]
TOO_WIDE = 0.1
_ROUNDING = 1e-7
"""What share of the range of the draws two of them must be apart to be told from each other."""


def intervals(resampled: Resampled, *, method: Method = "bca", level: float = 0.95) -> pl.DataFrame:
    """Confidence intervals of all figures.

    Args:
        resampled: What resampling found.
        method: "percentile", the quantiles of the draws; or "bca", bias-corrected and accelerated ones (Efron 1987).
        level: The confidence level.

    Returns:
        The rows of `resampled` with `value`, `low` and `high`, and for the share of hits in one cell of one evaluation
        `wilson_low` and `wilson_high`, which do not shrink to a point where all queries hit or none; null where there
        are too few questions to say (in some cell, for a setting).

    Raises:
        InputError: If the method is unknown, or the level is not between 0 and 1.
    """
    low, high = bounds(resampled, method, level)
    rows = resampled.rows
    hits = rows["measure"].str.contains(r"^hit@") & rows["query_lang"].is_not_null()
    trials = np.where(hits & (resampled.evaluations == 1), rows["queries"], 0)
    wilson_low, wilson_high = wilson(resampled.estimate * trials, trials, level)
    values = {"value": resampled.estimate, "low": low, "high": high}
    values |= {"wilson_low": wilson_low, "wilson_high": wilson_high}
    return rows.with_columns(pl.Series(name, column).fill_nan(None) for name, column in values.items())


def bounds(resampled: Resampled, method: Method, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of the intervals, float64 (rows,).

    They are NaN where leaving out one question leaves a needed cell empty, or every second draw does.

    Raises:
        InputError: If the method is unknown, or the level is not between 0 and 1.
    """
    if method not in get_args(Method):
        raise InputError(f"interval {method!r} is unknown; allowed are {', '.join(get_args(Method))}")
    outer = np.array([(1 - checked_level(level)) / 2, (1 + level) / 2])
    ordered = np.sort(resampled.draws, axis=0)  # NaN goes last
    whole = np.count_nonzero(~np.isnan(ordered), axis=0)
    levels = np.repeat(outer[:, None], len(whole), axis=1)
    if method == "bca":
        levels = _bca_levels(resampled, ordered, whole, ndtri(outer))
    places = np.nan_to_num(levels) * np.maximum(whole - 1, 0)
    below = places.astype(int)
    above = np.minimum(below + 1, np.maximum(whole - 1, 0))
    first, second = np.take_along_axis(ordered, below, axis=0), np.take_along_axis(ordered, above, axis=0)
    low, high = np.where(first == second, first, first + (places - below) * (second - first))
    unknown = np.isnan(resampled.without).any(axis=0) | (whole < len(ordered) / 2)
    return np.where(unknown, np.nan, low), np.where(unknown, np.nan, high)


def _bca_levels(resampled: Resampled, ordered: np.ndarray, whole: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Which quantiles the ends are, (2, rows) (Efron and Tibshirani 1993, eqs. 14.10, 14.14 and 14.15).

    Of the draws that equal the estimate but for rounding (many, where two systems differ in few questions) half count
    as under it. The acceleration is the skewness of the jackknife's deviations. Drawn seeds add to the variance in its
    denominator and, taken to be symmetric, nothing to its numerator.
    """
    n = len(resampled.questions)
    estimate = resampled.estimate
    last = np.take_along_axis(ordered, np.maximum(whole - 1, 0)[None], axis=0)[0]
    rounding = _ROUNDING * (last - ordered[0])
    below, upto = (np.count_nonzero(ordered <= estimate + slack, axis=0) for slack in (-rounding, rounding))
    under = (below + upto) / 2
    least = 0.5 / np.maximum(whole, 1)
    bias = ndtri(np.clip(under / np.maximum(whole, 1), least, 1 - least))
    deviations = resampled.without.mean(axis=0) - resampled.without
    seeds = sum(figures.var(axis=0, ddof=1) / len(figures) for figures in resampled.by_seed)
    spread = (deviations**2).sum(axis=0) + seeds * n / max(n - 1, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        skewness = np.where(spread > 0, (deviations**3).sum(axis=0) / spread**1.5, 0.0)
    shifted = bias + normal[:, None]
    return np.asarray(ndtr(bias + shifted / (1 - skewness / 6 * shifted)))


def wilson(successes: np.ndarray, trials: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's score interval of a proportion (Wilson 1927), for independent trials: the queries of one cell.

    Args:
        successes: How many of the trials succeeded, any shape.
        trials: How many there were, the same shape.
        level: The confidence level.

    Returns:
        Both ends, float64 of the same shape; NaN where there is no trial.

    Raises:
        InputError: If the level is not between 0 and 1.
    """
    z = ndtri((1 + checked_level(level)) / 2)
    n = np.where(np.asarray(trials) > 0, trials, np.nan)
    share = successes / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return np.maximum(centre - reach, 0.0), np.minimum(centre + reach, 1.0)


def mark_uncertain(frame: pl.DataFrame, threshold: float = TOO_WIDE) -> pl.DataFrame:
    """Add a column `uncertain`: whether a cell is too uncertain to be read.

    Args:
        frame: With `low` and `high`, as `intervals` and `compare` give it.
        threshold: The widest interval that can be read, in the unit of the frame.

    Returns:
        The frame; `uncertain` is also true where there is no interval.

    Raises:
        InputError: If the threshold is not above 0.
    """
    if not threshold > 0:
        raise InputError(f"threshold (the width of an interval) must be > 0, got {threshold}")
    return frame.with_columns(uncertain=(pl.col("high") - pl.col("low") > threshold).fill_null(value=True))


def checked_level(level: float, what: str = "level") -> float:
    """The level, if it is one; `what` is what the error calls it.

    Raises:
        InputError: If it is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise InputError(f"{what} must lie between 0 and 1, such as 0.95, got {level}")
    return level
