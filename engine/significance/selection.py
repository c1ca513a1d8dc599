"""Several systems -> which is best, how surely, and which could as well be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
import polars.selectors as cs

from engine.errors import InputError
from engine.significance.comparison import POWER, smallest_detectable
from engine.significance.draws import Resampled, difference, standard_error
from engine.significance.intervals import Method, bounds
from engine.significance.per_question import RANK_DISTANCE

LOWER_IS_BETTER = (RANK_DISTANCE, "bias")
_ROUNDING = 1e-9


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
        One row per system, in the order given: `system` (text, if names and ratios are mixed), `value`, `low`, `high`,
        `probability`, `candidate`, `difference` to the best (the first of those in a tie), `difference_low`,
        `difference_high`, and `detectable`, the smallest difference to the best that this collection would find; these
        four are null for the best itself.

    Raises:
        InputError: If there is no system, one has more than one figure or none that is known, they do not share rows
            and draws, or method, level or power is not allowed.
    """
    found = _checked(systems)
    sign = -1 if found[0].rows["measure"].item() in LOWER_IS_BETTER else 1
    best = int(np.argmax([sign * one.estimate[0] for one in found]))
    rows = [_value(one, method, level) for one in found]
    leads = [
        {} if at == best else _to_best(difference(one, found[best]), method, level, power)
        for at, one in enumerate(found)
    ]
    draws = sign * np.column_stack([one.draws[:, 0] for one in found])
    draws = draws[~np.isnan(draws).any(axis=1)]  # a draw may leave a cell empty
    candidate = [
        _may_be_best(one, found[:at] + found[at + 1 :], draws[:, at], np.delete(draws, at, axis=1), sign, level)
        for at, one in enumerate(found)
    ]
    columns = ["difference", "difference_low", "difference_high", "detectable"]
    frame = pl.DataFrame({"system": list(systems)}, strict=False).hstack(pl.DataFrame(rows))
    frame = frame.with_columns(probability=_probabilities(draws), candidate=pl.Series(candidate))
    frame = frame.hstack(pl.DataFrame(leads, schema=dict.fromkeys(columns, pl.Float64)))
    return frame.with_columns(cs.float().exclude("system").fill_nan(None))


def _checked(systems: Mapping[float | str, Resampled]) -> list[Resampled]:
    """The systems, if each has one figure."""
    if not systems:
        raise InputError("systems: there is none to choose from; give at least one")
    for name, one in systems.items():
        if one.rows.height != 1:
            raise InputError(f"system {name}: has {one.rows.height} figures; choose one with only() or utility()")
        if not np.isfinite(one.estimate).all():
            raise InputError(f"system {name}: its figure is missing, since a cell has no query; choose another figure")
    return list(systems.values())


def _value(one: Resampled, method: Method, level: float) -> dict[str, float]:
    low, high = bounds(one, method, level)
    return {"value": one.estimate[0], "low": low[0], "high": high[0]}


def _to_best(found: Resampled, method: Method, level: float, power: float) -> dict[str, float]:
    low, high = bounds(found, method, level)
    return {
        "difference": found.estimate[0],
        "difference_low": low[0],
        "difference_high": high[0],
        "detectable": smallest_detectable(found, power=power, level=level)[0],
    }


def _probabilities(draws: np.ndarray) -> np.ndarray:
    """Share of the draws (draws, systems) in which each is best; NaN if there is none."""
    if not len(draws):
        return np.full(draws.shape[1], np.nan)
    first = np.isclose(draws, draws.max(axis=1, keepdims=True), rtol=_ROUNDING, atol=0)
    return np.asarray((first / first.sum(axis=1, keepdims=True)).mean(axis=0))


def _may_be_best(
    one: Resampled, others: Sequence[Resampled], own: np.ndarray, theirs: np.ndarray, sign: int, level: float
) -> bool:
    """Whether no other system leads one by more than chance allows; own draws (draws,), theirs (draws, others)."""
    errors = np.array([standard_error(difference(other, one))[0][0] for other in others])
    leads = np.array([sign * (other.estimate[0] - one.estimate[0]) for other in others])
    if ((errors == 0) & (leads > 0)).any():
        return False
    told = errors > 0
    if not told.any() or not len(own):
        return True
    drawn = ((theirs - own[:, None] - leads)[:, told] / errors[told]).max(axis=1)
    return bool((leads[told] / errors[told]).max() <= max(np.quantile(drawn, level), 0.0))
