"""Several systems -> which is best, how surely, and which could as well be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from engine.errors import InputError
from engine.significance.comparison import POWER, smallest_detectable
from engine.significance.intervals import Method, bounds, checked_level
from engine.significance.resampled import Resampled, difference, standard_error
from engine.significance.sums import RANK_DISTANCE

LOWER_IS_BETTER = (RANK_DISTANCE, "bias")


def select(
    systems: Mapping[float | str, Resampled], *, method: Method = "bca", level: float = 0.95, power: float = POWER
) -> pl.DataFrame:
    """Which of several systems, such as the trained ratios, is the best in one figure, and how sure that is.

    `probability` is the share of the joint draws in which a system is best; draws in which several are share it.

    `candidate` marks the set of systems that cannot be told from the best: multiple comparisons with the best (Hsu
    1984). A system leaves the set if some other beats it by more standard errors than the largest such lead reaches in
    `level` of the draws, centred on what was seen. So the set holds the truly best system with that confidence, however
    many were tried, which the intervals of `difference` to the one that came out best, one by one, do not promise.

    Args:
        systems: By name or ratio, one figure each: from `Resampled.only` or `utility`. Of rank distance and bias the
            lowest is best, else the highest.
        method: Of the intervals.
        level: Of the intervals and of the set.
        power: Of the smallest detectable difference.

    Returns:
        One row per system, in the order given: `system`, `value`, `low`, `high`, `probability`, `candidate`,
        `difference` to the best (the first of those in a tie), `difference_low`, `difference_high`, and `detectable`,
        the smallest difference to the best that this collection would find; these four are null for the best itself.

    Raises:
        InputError: If there is no system, one has more than one figure or none that is known, they do not share rows
            and draws, or method, level or power is not allowed.
    """
    names, found = list(systems), list(systems.values())
    for name, one in systems.items():
        if one.rows.height != 1:
            raise InputError(f"system {name}: has {one.rows.height} figures; choose one with only() or utility()")
        if not np.isfinite(one.estimate).all():
            raise InputError(f"system {name}: its figure is missing, since a cell has no query; choose another figure")
    if not found:
        raise InputError("systems: there is none to choose from; give at least one")
    checked_level(power)
    lower = found[0].rows["measure"].item() in LOWER_IS_BETTER
    values = np.array([one.estimate[0] for one in found])
    best = int(np.argmin(values) if lower else np.argmax(values))
    rows = [
        dict(
            zip(
                ("value", "low", "high"),
                (one.estimate[0], *(end[0] for end in bounds(one, method, level))),
                strict=True,
            )
        )
        | ({} if at == best else _to_best(difference(one, found[best]), method, level, power))
        for at, one in enumerate(found)
    ]
    columns = ("value", "low", "high", "difference", "difference_low", "difference_high", "detectable")
    frame = pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.Float64)).with_columns(pl.col(columns).fill_nan(None))
    probability, candidate = _probabilities(found, lower=lower), _candidates(found, level, lower=lower)
    given = pl.DataFrame({"system": names, "probability": probability, "candidate": candidate})
    order = ["system", "value", "low", "high", "probability", "candidate"]
    return given.hstack(frame).select(*order, pl.exclude(order))


def _to_best(found: Resampled, method: Method, level: float, power: float) -> dict[str, float]:
    low, high = bounds(found, method, level)
    return {
        "difference": found.estimate[0],
        "difference_low": low[0],
        "difference_high": high[0],
        "detectable": smallest_detectable(found, power=power, level=level)[0],
    }


def _probabilities(found: Sequence[Resampled], *, lower: bool) -> np.ndarray:
    """Share of the draws in which each is best, float64 (systems,)."""
    draws = _draws(found, lower=lower)
    first = draws == draws.max(axis=1, keepdims=True)
    return (first / first.sum(axis=1, keepdims=True)).mean(axis=0)


def _candidates(found: Sequence[Resampled], level: float, *, lower: bool) -> np.ndarray:
    """Which could be the best, bool (systems,)."""
    sign = -1 if lower else 1
    draws = _draws(found, lower=lower)
    values = np.array([sign * one.estimate[0] for one in found])
    kept = np.ones(len(found), bool)
    for at, one in enumerate(found):
        others = [k for k in range(len(found)) if k != at]
        errors = np.array([standard_error(difference(found[k], one))[0][0] for k in others])
        told = errors > 0  # of what never differs nothing leads
        if not told.any():
            kept[at] = bool(np.all(values[others] <= values[at]))
            continue
        leads = (values[others] - values[at])[told] / errors[told]
        drawn = ((draws[:, others] - draws[:, [at]])[:, told] / errors[told] - leads).max(axis=1)
        kept[at] = leads.max() <= max(np.quantile(drawn, level), 0.0)
    return kept


def _draws(found: Sequence[Resampled], *, lower: bool) -> np.ndarray:
    """Draws of all systems that are whole, the higher the better, float64 (draws, systems)."""
    draws = np.column_stack([one.draws[:, 0] for one in found])
    return (-1 if lower else 1) * draws[~np.isnan(draws).any(axis=1)]
