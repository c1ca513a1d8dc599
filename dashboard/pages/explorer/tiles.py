"""The explorer's tiles: scores of the chosen ratio as numbers, and their differences from the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import polars as pl
import streamlit as st

from dashboard.cached import uncertainty
from dashboard.names import plain
from dashboard.pages.explorer.view import Side
from engine.ranks.metrics import label
from engine.sweeps import prose, results


def draw(family: results.Family, chosen: Side, reference: Side, metric: str) -> None:
    """The chosen ratio's scores as numbers, with their differences from the reference, tested if measured."""
    if not chosen.values:
        return
    tested = None
    if chosen.system and reference.system and chosen.system != reference.system:
        tested = uncertainty.comparison(family, metric, chosen.system, reference.system)
    cells = [(metric, setting) for setting in ("mono", "cross", "multi")] + [("rank_distance", "multi")]
    for place, (measure, setting) in zip(st.columns(4), cells, strict=True):
        tile = get_tile(chosen, reference, measure, setting, tested)
        if tile is None:
            continue
        with place.container(border=True, height="stretch"):
            st.metric(
                tile.title,
                tile.value,
                tile.delta,
                delta_color=tile.colour,
                help=f"Difference from {plain(reference.name)}.",
            )
            if tile.note:
                st.caption(tile.note)


@dataclass(frozen=True, slots=True)
class Tile:
    """A score of the chosen ratio, as a tile shows it.

    Attributes:
        title: What it is.
        value: The score.
        delta: Its difference from the reference; None if there is none.
        colour: "normal" where more is better, "inverse" where less is, "off" where the test finds no difference.
        note: Interval and test of the difference; empty if it is not tested.
    """

    title: str
    value: str
    delta: str | None
    colour: Literal["normal", "inverse", "off"]
    note: str


def get_tile(chosen: Side, reference: Side, measure: str, setting: str, tested: pl.DataFrame | None) -> Tile | None:
    """What a tile shows; None if the chosen ratio has no such score.

    Args:
        chosen: The chosen ratio.
        reference: What it is compared with.
        measure: A metric, or "rank_distance".
        setting: "mono", "cross" or "multi".
        tested: Frame of `significance.compare`, the chosen ratio minus the reference.
    """
    is_distance = measure == "rank_distance"
    column = measure if is_distance else f"{setting}_{measure}"
    value, other = chosen.values.get(column), reference.values.get(column)
    if value is None:
        return None
    scale, unit, pattern = (1, "ranks", "+.0f") if is_distance else (100, "points", "+.1f")
    shown = f"{value:.0f}" if is_distance else f"{value:.3f}"
    significant, note = (True, "") if tested is None else _how_sure(tested, measure, setting, scale, pattern)
    return Tile(
        "rank distance" if is_distance else f"{setting} {label(measure)}",
        f"≈ {shown}" if chosen.interpolated else shown,
        None if other is None or other == value else f"{scale * (value - other):{pattern}} {unit}",
        "off" if not significant else "inverse" if is_distance else "normal",
        note,
    )


def _how_sure(tested: pl.DataFrame, measure: str, setting: str, scale: float, pattern: str) -> tuple[bool, str]:
    """Whether a difference is significant; and its interval and test, in words."""
    wanted = (pl.col("measure") == measure) & (pl.col("setting") == setting) & pl.col("query_lang").is_null()
    row = tested.filter(wanted).row(0, named=True)
    if row["low"] is None or row["p"] is None:
        return False, "too few questions for an interval"
    significant = prose.told_apart(row["p"], row["low"], row["high"])
    ends = f"{scale * row['low']:{pattern}} to {scale * row['high']:{pattern}}".replace("-", "\u2212")
    return significant, f"95 %: {ends}, {prose.p_value(row['p'])}{'' if significant else ': not significant'}"
