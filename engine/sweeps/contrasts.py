"""Differences that are kept with a sweep's answers, in words."""

from __future__ import annotations

import polars as pl

from engine.errors import InputError
from engine.sweeps import prose
from engine.sweeps.kept import Kept


def ends(answers: Kept, strategy: str = "alpha") -> str:
    """Alpha 1 against alpha 0 in every setting.

    Args:
        answers: Of the sweep.
        strategy: Of heads on adjusted vectors, such as "centred+hybrid"; "alpha" for mixed batches.

    Raises:
        InputError: If the answers do not hold the difference.
    """
    prefix = "alpha" if strategy == "alpha" else f"{strategy}, alpha"
    one, other = f"{prefix} = 1", f"{prefix} = 0"
    parts = [
        f"{setting} mAP {points(contrast(answers, one, other, 'map', setting))}"
        for setting in ("mono", "cross", "multi")
    ]
    distance = contrast(answers, one, other, "rank_distance", "multi")
    return f"Alpha 1 against alpha 0: {', '.join(parts)}, rank distance {_ranks(distance)}."


def contrast(answers: Kept, one: str, other: str, measure: str, setting: str) -> dict[str, float | None]:
    """One kept difference: `difference`, `low`, `high`, `p`."""
    rows = answers.contrasts.filter(
        (pl.col("one") == one)
        & (pl.col("other") == other)
        & (pl.col("measure") == measure)
        & (pl.col("setting") == setting)
    )
    if rows.height != 1:
        raise InputError(f"reference: {one} against {other} was not tested; build it again")
    return rows.select("difference", "low", "high", "p").row(0, named=True)


def points(difference: dict[str, float | None]) -> str:
    """A difference in points, with its interval and whether it is significant."""
    return _difference(difference, 100, "+.1f", " points")


def _ranks(difference: dict[str, float | None]) -> str:
    return _difference(difference, 1, "+.0f", "")


def _difference(difference: dict[str, float | None], scale: float, pattern: str, unit: str) -> str:
    value, low, high = (difference[name] for name in ("difference", "low", "high"))
    if value is None or low is None or high is None:
        return "unknown"
    told = prose.told_apart(difference["p"], low, high)
    text = f"{scale * value:{pattern}}{unit} ({scale * low:{pattern}} to {scale * high:{pattern}}"
    return f"{text})".replace("-", "−") if told else f"{text}; not significant)".replace("-", "−")
