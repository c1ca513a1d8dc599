"""Answers about a sweep that were computed before and are kept: what its page shows first, without drawing anew.

They hold for exactly the evaluations that they were computed from; a sweep with one more gets none of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import polars.selectors as cs

from engine.errors import InputError
from engine.escaping import markdown
from engine.significance import Resampled, compare, select, utility
from engine.storage.digest import digest
from engine.storage.store import shipped_entries
from engine.sweeps.results import Family
from engine.sweeps.uncertainty import UNTRAINED, System, answer, choose, contrasts, ratios_of

MEASURES = ("map", "hit@1")
"""Metrics that answers are kept for, beside rank distance."""
WEIGHTS = {"mono": 1.0, "cross": 1.0, "multi": 1.0, "bias": 0.0}
"""Weights of the utility that is kept: those that the explorer begins with."""

_ANSWER = "answer.json"
_FRAMES = ("selections", "comparisons", "contrasts")


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """Answers about one sweep.

    Attributes:
        answer: What the sweep says, in words.
        selections: Frames of `significance.select` over the ratios, under each other: `measure`, `setting` ("utility"
            and null for the utility with `WEIGHTS`), then theirs.
        comparisons: Frames of `significance.compare` of every ratio with the untrained encoder, under each other:
            `alpha`, then theirs.
        contrasts: `uncertainty.contrasts`.
    """

    answer: str
    selections: pl.DataFrame
    comparisons: pl.DataFrame
    contrasts: pl.DataFrame

    def selection(self, measure: str, setting: str | None) -> pl.DataFrame | None:
        """Which ratio is best in a figure; None if that is not kept."""
        rows = self.selections.filter((pl.col("measure") == measure) & pl.col("setting").eq_missing(setting))
        return None if rows.is_empty() else rows.drop("measure", "setting")

    def comparison(self, one: System, other: System, metric: str) -> pl.DataFrame | None:
        """A ratio minus the untrained encoder on every cell; None if that is not kept."""
        if one.strategy != "hybrid" or other != UNTRAINED or metric not in MEASURES:
            return None
        rows = self.comparisons.filter(pl.col("alpha") == one.alpha)
        return None if rows.is_empty() else rows.drop("alpha")


def compute(family: Family, found: dict[System, Resampled], seeds: int) -> Kept:
    """Compute what is kept.

    Args:
        family: The sweep.
        found: What `resample_family` gave, with `MEASURES`.
        seeds: How many seeds stand behind a ratio.
    """
    figures = [(measure, setting) for measure in MEASURES for setting in ("mono", "cross", "multi")]
    figures += [("rank_distance", "multi"), ("bias", "multi")]
    ratios = ratios_of(found)
    selections = [_named(choose(found, *figure), *figure) for figure in figures]
    useful = select({alpha: utility(one, WEIGHTS) for alpha, one in ratios.items()})
    compared = [
        compare(one, found[UNTRAINED]).with_columns(alpha=pl.lit(alpha)).select("alpha", pl.all().exclude("alpha"))
        for alpha, one in ratios.items()
    ]
    return Kept(
        answer(markdown(family.collection), found, seeds),
        pl.concat([*selections, _named(useful, "utility", None)]),
        pl.concat(compared),
        contrasts(found),
    )


def write(kept: Kept, family: Family, folder: Path) -> None:
    """Write a sweep's answers into `<folder>/<sweep's key>/`."""
    place = folder / family.key
    place.mkdir(parents=True)
    text = json.dumps({"of": state(family), "answer": kept.answer}, ensure_ascii=False)
    (place / _ANSWER).write_text(text, encoding="utf-8")
    rounded = kept.comparisons.with_columns((cs.float() - cs.by_name("alpha")).cast(pl.Float32))  # half of all bytes
    for name in _FRAMES:
        frame = rounded if name == "comparisons" else getattr(kept, name)
        frame.write_parquet(place / f"{name}.parquet", compression="zstd", compression_level=19, statistics=False)


def read(family: Family) -> Kept | None:
    """The answers that come with the project for exactly these evaluations; None if there are none.

    Raises:
        InputError: If they cannot be read.
    """
    root = shipped_entries()
    place = root / "answers" / family.key if root else None
    if place is None or not place.is_dir():
        return None
    try:
        values = json.loads((place / _ANSWER).read_text(encoding="utf-8"))
        if values["of"] != state(family):
            return None
        frames = (
            pl.read_parquet(place / f"{name}.parquet").with_columns(cs.float().cast(pl.Float64)) for name in _FRAMES
        )
        return Kept(values["answer"], *frames)
    except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{place}: cannot be read ({error}); install the project again") from error


def state(family: Family) -> str:
    """A digest of the evaluations that a sweep consists of."""
    return digest("sweep", sorted(_keys(family)))


def _keys(family: Family) -> Iterable[str]:
    members = [family.base] if family.base else []
    return (one.key for one in [*members, *(evaluation for _, evaluation in family.evaluations)])


def _named(choice: pl.DataFrame, measure: str, setting: str | None) -> pl.DataFrame:
    named = choice.with_columns(measure=pl.lit(measure), setting=pl.lit(setting, pl.String))
    return named.select("measure", "setting", *choice.columns)
