"""Does what heads show hold when all weights are trained? Two sweeps on the same paragraphs, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from engine.sweeps.contrasts import contrast, ends
from engine.sweeps.kept import Kept
from engine.sweeps.prose import told_apart
from engine.sweeps.results import Family, curve, points, values


class Both(NamedTuple):
    """A sweep that trains all weights, and one of heads of the same encoder, training and evaluation collection."""

    full: Family
    heads: Family


def find(families: Sequence[Family]) -> Both | None:
    """The latest two such sweeps; None if there are none.

    Args:
        families: Among which.
    """
    heads = {_shared(family): family for family in families if family.recipe.method == "head"}
    found = [
        Both(one, heads[_shared(one)]) for one in families if one.recipe.method == "full" and _shared(one) in heads
    ]
    return found[-1] if found else None


def _shared(family: Family) -> tuple[str, str, str]:
    """What both sweeps share."""
    recipe = family.recipe
    return recipe.encoder, recipe.collection_name, family.evaluations[0][1].manifest.collection.digest


def table(both: Both, columns: Sequence[str]) -> pl.DataFrame:
    """Means over seeds of the ratios that both sweeps have.

    Args:
        both: The sweeps.
        columns: Columns of `results.points`.

    Returns:
        `what` ("untrained", "head, alpha 0.5" ...) and the columns.
    """
    frames = [(family.recipe.method, points(family)) for family in (both.heads, both.full)]
    alphas = [set(curve(frame, columns[0])["alpha"]) for _, frame in frames]
    rows = [{"what": "untrained", **values(both.heads.base)}] if both.heads.base is not None else []
    for method, frame in frames:
        means = {column: dict(curve(frame, column).select("alpha", "mean").iter_rows()) for column in columns}
        rows += [
            {"what": f"{method}, alpha {alpha:g}", **{column: means[column].get(alpha) for column in columns}}
            for alpha in sorted(set.intersection(*alphas))
        ]
    schema = {"what": pl.String, **dict.fromkeys(columns, pl.Float64)}
    return pl.DataFrame([{name: row[name] for name in schema} for row in rows], schema=schema)


FIGURES = {"mono mAP": ("map", "mono"), "cross mAP": ("map", "cross"), "multi mAP": ("map", "multi")}
FIGURES |= {"rank distance": ("rank_distance", "multi")}
"""In which the ends of the scale are compared, by name."""


def sentence(full: Kept, heads: Kept) -> str:
    """Whether the ends of the scale differ alike for all weights and for heads, and by how much."""
    alike = [name for name, figure in FIGURES.items() if _sign(full, figure) == _sign(heads, figure)]
    others = [name for name in FIGURES if name not in alike]
    verdict = f"What heads show of alpha 1 against alpha 0 {_verb(alike, others)}"
    return f"{verdict} All weights: {_lower(ends(full))} Heads there: {_lower(ends(heads))}"


def _verb(alike: list[str], others: list[str]) -> str:
    if not others:
        return "holds for all weights too."
    if not alike:
        return "does not hold for all weights."
    return f"holds for all weights in {' and '.join(alike)}; it does not in {' and '.join(others)}."


def _sign(answers: Kept, figure: tuple[str, str]) -> int:
    """Which way the ends differ: 1, -1, or 0 where the difference is not significant."""
    row = contrast(answers, "alpha = 1", "alpha = 0", *figure)
    value, low, high = (row[name] for name in ("difference", "low", "high"))
    if value is None or not told_apart(row["p"], low, high):
        return 0
    return 1 if value > 0 else -1


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
