"""The systems beside the ratios in one column of the points: one value each, or the range of a curve."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from engine.significance.selection import LOWER_IS_BETTER
from engine.sweeps.results import BETWEEN_THE_ENDS, beside_ratios, curve
from engine.training.adjusted import adjusted_by


@dataclass(frozen=True, slots=True)
class Level:
    """A system beside the ratios.

    Attributes:
        name: Its strategy; "untrained" for the base encoder.
        low, high: Its value twice, or the ends of its curve.
        is_named: Whether its name is written; a line without a name tells it when pointed at.
    """

    name: str
    low: float
    high: float
    is_named: bool

    def text(self, pattern: str) -> str:
        """Name and value."""
        ends = f"{self.low:{pattern}}" if self.low == self.high else f"{self.low:{pattern}} to {self.high:{pattern}}"
        return f"{self.name} {ends}"


def levels(points: pl.DataFrame, column: str, base: float | None) -> list[Level]:
    """What has no ratio, and heads on adjusted vectors, highest first; of the adjusted only the best is named.

    Args:
        points: Frame of `results.points`.
        column: Which of its columns.
        base: The untrained encoder's value.
    """
    means = beside_ratios(points, [column]).filter(pl.col("strategy") != "merge").drop_nulls(column)
    rows = means.group_by("strategy").agg(low=pl.col(column).min(), high=pl.col(column).max()).sort("strategy").rows()
    adjusted = {name: adjusted_by(name) for name, _, _ in rows}
    named = {name for name, one in adjusted.items() if one is None}
    rivals = [row for row in rows if (one := adjusted[row[0]]) is not None and not one.head]
    if rivals:
        lower = column in LOWER_IS_BETTER
        named.add(min(rivals, key=lambda row: row[1])[0] if lower else max(rivals, key=lambda row: row[2])[0])
    beside = [] if base is None else [Level("untrained", base, base, is_named=True)]
    beside += [Level(name, low, high, name in named) for name, low, high in rows]
    return sorted(beside, key=lambda level: -level.high)


def adjusted_curves(points: pl.DataFrame, column: str) -> dict[str, pl.DataFrame]:
    """Curves of the heads on adjusted vectors, frames of `results.curve` by strategy in the order of names."""
    heads = points.filter(pl.col("alpha").is_not_null() & ~pl.col("strategy").is_in(BETWEEN_THE_ENDS))
    curves = {strategy: curve(points, column, strategy) for strategy in sorted(set(heads["strategy"]))}
    return {strategy: frame for strategy, frame in curves.items() if frame.height}
