"""What holds at a ratio, for a baseline or for the untrained encoder: the two sides that the page compares."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
import streamlit as st

from dashboard import cached
from engine.sweeps import results
from engine.sweeps.uncertainty import UNTRAINED, System, systems

UNTRAINED_NAME = "the untrained encoder"


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """What holds at a ratio, or for the untrained encoder: one side of a comparison.

    Attributes:
        name: What to call it.
        values: Figures by the column names of `ratios.points`; empty where the ratio is outside the trained ones.
        pairs: Scores of every language pair, or None.
        interpolated: Whether it lies between trained ratios.
        key: The evaluation whose texts stand for it: the nearest trained ratio's, first seed.
        nearest: That ratio; None for the untrained encoder.
        system: What was measured at it; None where it is interpolated.
    """

    name: str
    values: dict[str, float]
    pairs: pl.DataFrame | None
    interpolated: bool
    key: str | None
    nearest: float | None
    system: System | None


def pick_reference(family: results.Family, points: pl.DataFrame) -> Side:
    """Pick what the chosen ratio is compared with: the untrained encoder or a trained ratio."""
    trained = results.curve(points, "multi_map")["alpha"].to_list()
    options = ([UNTRAINED_NAME] if family.base is not None else []) + [f"alpha = {alpha:g}" for alpha in trained]
    others = {system.label: system for system in systems(family) if system.alpha is None and system != UNTRAINED}
    name = st.selectbox("Compare with", [*options, *others], key="reference", bind="query-params", width=240)
    if name in others:
        return _without_ratio(others[name], points)
    if name == UNTRAINED_NAME:
        values = results.values(family.base)
        return Side(name, values, cached.pairs(family.base.key), False, family.base.key, None, UNTRAINED)
    return at(family, points, trained[options.index(name) - len(options) + len(trained)])


def _without_ratio(system: System, points: pl.DataFrame) -> Side:
    """What holds for a baseline: means over its seeds."""
    own = points.filter((pl.col("strategy") == system.strategy) & pl.col("alpha").is_null())
    values = {column: own[column].mean() for column in _score_columns(points) if not own[column].null_count()}
    keys = own["key"].to_list()
    return Side(system.label, values, results.mean_pairs(list(map(cached.pairs, keys))), False, keys[0], None, system)


def _score_columns(points: pl.DataFrame) -> list[str]:
    return [column for column in points.columns if column not in ("key", "strategy", "alpha", "seed")]


def at(family: results.Family, points: pl.DataFrame, alpha: float) -> Side:
    """What holds at a ratio: measured, or interpolated between the trained ratios next to it."""
    name = f"alpha = {alpha:g}"
    found = {column: results.at(results.curve(points, column), alpha) for column in _score_columns(points)}
    values = {column: value[0] for column, value in found.items() if value is not None}
    hybrid = points.filter((pl.col("strategy") == "hybrid") & pl.col("alpha").is_not_null())
    if hybrid.is_empty():
        return Side(name, {}, None, False, None, None, None)
    nearest = hybrid.sort((pl.col("alpha") - alpha).abs(), "seed").row(0, named=True)
    pairs = results.pairs_at(cached.mean_pairs(family.key), alpha)
    frame, interpolated = pairs if pairs is not None else (None, False)
    measured = abs(nearest["alpha"] - alpha) < 1e-9
    system = System("hybrid", nearest["alpha"]) if measured else None
    return Side(name, values, frame, interpolated, nearest["key"], nearest["alpha"], system)
