"""A report's tables of language bias: every measure of the systems that are shown, rank distance by query language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from engine.bias import MEASURES, TOP_K, BiasSums, bias_sums, candidates_of, headline
from engine.collections.languages import language
from engine.collections.structures import Collection
from engine.progress import Progress, silent
from engine.report.claims import against_chance
from engine.report.findings import Findings, detailed, name_of
from engine.report.tables import Cell, Table
from engine.significance import intervals, resample
from engine.sweeps.uncertainty import System

_SIDE_BY_SIDE = 3  # so many systems leave room for intervals behind their numbers

_WAYS = {"lower": "lower", "higher": "higher", "near": "near random", "neither": ""}


@dataclass(frozen=True, slots=True, eq=False)
class BiasFindings:
    """The bias measures of the systems that are shown: `measure`, `value`, `low`, `high` by system, and by chance."""

    measures: dict[System, pl.DataFrame]
    random: dict[str, float]
    k: int


def bias_findings(found: Findings, collection: Collection, progress: Progress = silent) -> BiasFindings:
    """All measures that ranks tell, with intervals.

    Args:
        found: What the report tells.
        collection: The collection, for the candidates of each language.
        progress: Told the evaluations measured.
    """
    candidates = candidates_of(collection)
    members = {system: found.systems[system] for system in detailed(found)}
    k = min(TOP_K, *(one.manifest.top_k for ones in members.values() for one in ones))
    total, done = sum(map(len, members.values())), 0
    sums: dict[System, list[BiasSums]] = {}
    for system, ones in members.items():
        sums[system] = []
        for one in ones:
            ranks, top = (one.asked_of_pool(frame) for frame in (one.ranks(), one.top()))
            sums[system].append(bias_sums(ranks, top, candidates, k=k))
            done += 1
            progress("measure bias", done, total)
    drawn = resample({system: [one.sums for one in ones] for system, ones in sums.items()})
    random = next(iter(sums.values()))[0].random.filter(pl.col("query_lang").is_null())
    known = {row["measure"]: row["random"] for row in random.iter_rows(named=True)}
    return BiasFindings({system: intervals(headline(one)) for system, one in drawn.items()}, known, k)


def measures_table(found: Findings, measured: BiasFindings) -> Table:
    """Every bias measure of the systems that are shown, beside a random ranking."""
    systems = list(measured.measures)
    rows, numbers = [], []
    present = [name for name in MEASURES if name in set(next(iter(measured.measures.values()))["measure"])]
    for name in present:
        measure, random = MEASURES[name], measured.random.get(name)
        cells = []
        for system in systems:
            row = measured.measures[system].filter(pl.col("measure") == name).row(0, named=True)
            ends = "" if row["low"] is None else f"[{measure.write(row['low'])}, {measure.write(row['high'])}]"
            cells.append(Cell(measure.write(row["value"]), ends))
            numbers.append(
                {"measure": name, "strategy": system.strategy, "alpha": system.alpha}
                | {end: row[end] for end in ("value", "low", "high")}
                | {"random": random, "queries": row["queries"]}
            )
        rows.append((Cell(measure.label), Cell(_WAYS[measure.direction]), *cells, Cell(measure.write(random))))
    return Table(
        name="bias",
        title="Measures of language bias",
        caption=f"Measures of language bias on {found.family.collection}, with 95 % intervals over questions"
        f"{' and seeds' if found.seeds > 2 else ''}, and what a language-blind random ranking gives; the first "
        f"{measured.k} places count where a measure looks at a top.",
        heads=("measure", "less biased", *(_short(system) for system in systems), "random"),
        rows=tuple(rows),
        frame=pl.DataFrame(numbers, infer_schema_length=None),
        stacked=len(systems) > _SIDE_BY_SIDE,
        small=True,
    )


def distance_table(found: Findings) -> Table:
    """Rank distance by query language, of the untrained encoder and of every ratio."""
    systems = [one for one in found.systems if one.strategy in ("untrained", "hybrid")]
    wanted = (pl.col("measure") == "rank_distance") & pl.col("query_lang").is_not_null()
    frames = [
        found.intervals[one]
        .filter(wanted)
        .select(
            "query_lang",
            pl.lit(one.strategy).alias("strategy"),
            pl.lit(one.alpha, pl.Float64).alias("alpha"),
            "queries",
            rank_distance="value",
            low="low",
            high="high",
        )
        for one in systems
    ]
    frame = pl.concat(frames)
    asked = found.systems[systems[0]][0].manifest.collection.asking
    by_language = {
        code: [part.filter(pl.col("query_lang") == code)["rank_distance"].item() for part in frames]
        for code in found.codes
        if code in asked
    }
    rows = [(Cell(f"{language(code).name} ({code})"), *_lowest_bold(values)) for code, values in by_language.items()]
    means = [float(found.draws[one].only("rank_distance", "multi").estimate[0]) for one in systems]
    return Table(
        name="rank-distance",
        title="Rank distance by query language",
        caption=f"Rank distance by query language on {found.family.collection}, the untrained encoder and every alpha, "
        "mean over seeds: ranks between the first and the last of a query's relevant passages in the pool of all "
        "languages, which are translations of each other. Bold: the lowest of a row; its lead is not tested here.",
        heads=("query language", *(_short(one).removeprefix("alpha ") for one in systems)),
        rows=(*rows, (Cell("mean"), *_lowest_bold(means))),
        frame=frame,
        rules=(len(rows),),
        columns=1,
    )


def chance_sentences(found: Findings, measured: BiasFindings) -> list[str]:
    """A ratio's share of the own language, and its advantage, beside chance."""
    system = found.featured
    told = []
    for name in ("own_share", "own_advantage"):
        row = measured.measures[system].filter(pl.col("measure") == name)
        if row.is_empty() or row["low"].item() is None:
            continue
        value, low, high = (row[end].item() for end in ("value", "low", "high"))
        random, measure = measured.random[name], MEASURES[name]
        label = measure.label.replace("top k", f"top {measured.k}")
        written = tuple(measure.write(number) for number in (value, low, high, random))
        told.append(f"At {name_of(system)}: {against_chance(label, written, (value, low, high), random)}")
    return told


def _short(system: System) -> str:
    return system.strategy if system.alpha is None else f"alpha {system.alpha:g}"


def _lowest_bold(values: Sequence[float | None]) -> list[Cell]:
    known = [value for value in values if value is not None]
    return [Cell("–") if value is None else Cell(f"{value:,.0f}", bold=value == min(known)) for value in values]
