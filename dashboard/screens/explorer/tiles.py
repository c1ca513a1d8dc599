"""The explorer's tiles: scores of the chosen ratio as numbers, and their differences from the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import polars as pl
import streamlit as st

from dashboard.cached import uncertainty
from dashboard.names import plain
from dashboard.screens.explorer.scores import RANK_DISTANCE, Score, scores_of
from dashboard.screens.explorer.sides import Side
from engine.sweeps import prose, results


def draw(family: results.Family, chosen: Side, reference: Side, metric: str) -> None:
    """The chosen ratio's scores as numbers, with their differences from the reference, tested if measured."""
    if not chosen.values:
        return
    tested = None
    if chosen.system and reference.system and chosen.system != reference.system:
        tested = uncertainty.comparison(family, metric, chosen.system, reference.system)
    scores = scores_of(family, metric)
    for place, score in zip(st.columns(len(scores)), scores, strict=True):
        tile = get_tile(chosen, reference, score, tested)
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


def get_tile(chosen: Side, reference: Side, score: Score, tested: pl.DataFrame | None) -> Tile | None:
    """What a tile shows; None if the chosen ratio has no such score.

    Args:
        chosen: The chosen ratio.
        reference: What it is compared with.
        score: Which score.
        tested: Frame of `significance.compare`, the chosen ratio minus the reference.
    """
    is_distance = score.measure == RANK_DISTANCE
    value, other = chosen.values.get(score.column), reference.values.get(score.column)
    if value is None:
        return None
    scale, unit, pattern = (1, "ranks", "+.0f") if is_distance else (100, "points", "+.1f")
    shown = f"{value:.0f}" if is_distance else f"{value:.3f}"
    significant, note = (True, "") if tested is None else _how_sure(tested, score, scale, pattern)
    return Tile(
        score.title,
        f"≈ {shown}" if chosen.interpolated else shown,
        None if other is None or other == value else f"{scale * (value - other):{pattern}} {unit}",
        "off" if not significant else "inverse" if is_distance else "normal",
        note,
    )


def _how_sure(tested: pl.DataFrame, score: Score, scale: float, pattern: str) -> tuple[bool, str]:
    """Whether a difference is significant; and its interval and test, in words."""
    of_score = (pl.col("measure") == score.measure) & (pl.col("setting") == score.setting)
    row = tested.filter(of_score & pl.col("query_lang").is_null()).row(0, named=True)
    if row["low"] is None or row["p"] is None:
        return False, "too few questions for an interval"
    significant = prose.told_apart(row["p"], row["low"], row["high"])
    ends = f"{scale * row['low']:{pattern}} to {scale * row['high']:{pattern}}".replace("-", "\u2212")
    return significant, f"95 %: {ends}, {prose.p_value(row['p'])}{'' if significant else ': not significant'}"
