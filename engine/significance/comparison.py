"""Two systems on the same questions: difference, interval, randomisation test, effect size, corrections."""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy.special import stdtr, stdtrit

from engine.errors import InputError
from engine.significance.draws import Resampled, difference, standard_error
from engine.significance.intervals import Method, bounds, checked_level

FLIPS = 10_000
POWER = 0.8
_BLOCK = 2_000_000
"""How many signs are held at once, at most; 8 bytes each."""


def compare(
    one: Resampled,
    other: Resampled,
    *,
    flips: int = FLIPS,
    seed: int = 0,
    method: Method = "bca",
    level: float = 0.95,
) -> pl.DataFrame:
    """Compare two systems, or two groups of seeds, on every cell and every setting.

    `p` is that of `randomisation_test`, which takes the checkpoints as given. Where seeds are drawn (see
    `engine.significance.bootstrap`), the claim is about more than these checkpoints, so that a t-test of the difference
    with the variance of questions and seeds (Welch's degrees of freedom) must agree: the larger of both is `p`.

    The corrections are over the cells of one measure and setting: the 110 pairs of cross on XQuAD-R, 42 on MLQA-R. The
    mean of a setting is a question of its own and is not corrected. The smallest p is 1 / (flips + 1): with fewer
    flips than 20 times the cells nothing could survive Holm's correction at 0.05.

    Args:
        one: A system.
        other: What it is compared with, such as the base; its figures are subtracted.
        flips: How many random sign flips the test makes.
        seed: Of the flips.
        method: Of the intervals.
        level: Of the intervals.

    Returns:
        `measure`, `setting`, `query_lang`, `doc_lang`, `queries`, `questions` as in `Resampled.rows`; `difference`,
        `low`, `high`; `p`, `p_holm` (controls the chance of one false alarm among the cells), `p_bh` (controls the
        expected share of false alarms among those that survive); `effect`, Cohen's d_z: mean over standard deviation
        of the questions' differences; `detectable`, the smallest difference that this collection would find. Null
        where it cannot be told: in a cell without queries, and `effect` where all questions differ alike.

    Raises:
        InputError: If the two do not share rows and draws, flips is below 1, or method or level is not allowed.
    """
    found = difference(one, other)
    low, high = bounds(found, method, level)
    columns = {
        "difference": found.estimate,
        "low": low,
        "high": high,
        "p": np.maximum(randomisation_test(found.shares, flips=flips, seed=seed), _seeds_test(found)),
        "effect": _effect(found),
        "detectable": smallest_detectable(found),
    }
    family = ["measure", "setting", pl.col("query_lang").is_null()]
    corrected = [
        pl.col("p").map_batches(lambda p: _series(holm(p.to_numpy()))).over(family).alias("p_holm"),
        pl.col("p").map_batches(lambda p: _series(benjamini_hochberg(p.to_numpy()))).over(family).alias("p_bh"),
    ]
    frame = found.rows.with_columns(_series(values).alias(name) for name, values in columns.items())
    last = ["effect", "detectable"]
    return frame.with_columns(corrected).select(pl.exclude(last), *last)


def randomisation_test(differences: np.ndarray, *, flips: int = FLIPS, seed: int = 0) -> np.ndarray:
    """Two-sided paired randomisation test: were the systems alike, each question's difference could have either sign.

    All that a question adds, in all languages and settings, flips together. With few questions (2 to their number at
    most `flips`) all flips are made and p is exact; else flips are drawn, and the one that was seen is counted among
    them (Phipson and Smyth 2010), so that p is never 0.

    Args:
        differences: float64 (questions, figures), what each question adds to the difference.
        flips: How many flips to draw.
        seed: Of the flips.

    Returns:
        p, float64 (figures,); NaN where a difference is.

    Raises:
        InputError: If flips is below 1.
    """
    if flips < 1:
        raise InputError(f"flips must be >= 1, got {flips}; {FLIPS} is usual")
    questions = len(differences)
    exact = 2**questions <= flips
    total = 2**questions if exact else flips
    rounding = 1e-12 * np.abs(differences).sum(axis=0)
    seen = np.abs(differences.sum(axis=0)) - rounding
    rng = np.random.default_rng(seed)
    extreme = np.zeros(differences.shape[1])
    block = max(1, _BLOCK // max(questions, 1))
    for start in range(0, total, block):
        size = min(block, total - start)
        if exact:
            heads = (np.arange(start, start + size)[:, None] >> np.arange(questions)) & 1
        else:
            heads = rng.integers(2, size=(size, questions), dtype=np.int8)
        extreme += np.count_nonzero(np.abs((2.0 * heads - 1.0) @ differences) >= seen, axis=0)
    p = extreme / total if exact else (extreme + 1) / (total + 1)
    return np.where(np.isnan(seen), np.nan, p)


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's step-down correction (1979): controls the family-wise error, whatever the dependence.

    Args:
        p: float64 (tests,); NaN is no test.

    Returns:
        Corrected p, float64 (tests,), NaN where there is no test.
    """
    order, m = np.argsort(p), np.count_nonzero(~np.isnan(p))
    found = np.full(len(p), np.nan)
    steps = p[order[:m]] * np.arange(m, 0, -1)
    found[order[:m]] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return found


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """Benjamini and Hochberg's step-up correction (1995): controls the false discovery rate.

    That is proved for independent tests and for those that depend positively (Benjamini and Yekutieli 2001). Two-sided
    tests of pairs that share questions are not quite among them; simulation finds the rate controlled there too.

    Args:
        p: float64 (tests,); NaN is no test.

    Returns:
        Corrected p, float64 (tests,), NaN where there is no test.
    """
    from scipy.stats import false_discovery_control  # takes half a second to import

    tested = ~np.isnan(p)
    corrected = np.full(len(p), np.nan)
    if tested.any():
        corrected[tested] = false_discovery_control(p[tested])
    return corrected


def smallest_detectable(found: Resampled, *, power: float = POWER, level: float = 0.95) -> np.ndarray:
    """The smallest true difference that a two-sided test at 1 - `level` would find with a chance of `power`.

    The sum of two quantiles of Student's t, times the standard error of the paired difference (Bloom, Minimum
    detectable effects, 1995). A difference that is not significant says "none worth knowing" where this is small, and
    "too few questions" where it is large.

    Args:
        found: A `difference`.
        power: The chance.
        level: The confidence level.

    Returns:
        float64 (rows,).

    Raises:
        InputError: If power or level is not between 0 and 1.
    """
    error, freedom = standard_error(found)
    tails = stdtrit(freedom, (1 + checked_level(level)) / 2) + stdtrit(freedom, checked_level(power, "power"))
    return np.asarray(tails * error)


def _seeds_test(found: Resampled) -> np.ndarray:
    """A t-test over questions and seeds; 0 where no seeds are drawn or nothing varies, so that it does not object."""
    if not found.by_seed:
        return np.zeros(len(found.estimate))
    error, freedom = standard_error(found)
    t = np.abs(found.estimate) / np.where(error == 0, np.nan, error)
    return np.where(error == 0, 0.0, 2 * stdtr(freedom, -t))


def _effect(found: Resampled) -> np.ndarray:
    """Cohen's d_z over the questions that the figure rests on; the others add 0 to its sums."""
    n = found.rows["questions"].to_numpy()
    total, squares = found.shares.sum(axis=0), (found.shares**2).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = squares - total**2 / n
        varies = spread > 1e-12 * squares
        return np.where(varies, total / n / np.sqrt(np.where(varies, spread, np.nan) / (n - 1)), np.nan)


def _series(values: np.ndarray) -> pl.Series:
    return pl.Series(values, dtype=pl.Float64).fill_nan(None)
