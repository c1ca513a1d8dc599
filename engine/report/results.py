"""A report's tables of results: settings by ratio, language pairs, their differences, comparison with the paper."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from engine.collections.languages import language
from engine.published import SOURCES, paper_points
from engine.ranks.metrics import label
from engine.ranks.pairs import matrix
from engine.report.claims import in_list, signed
from engine.report.findings import Findings, column_of, name_of, quantity, settings_in_words, slug
from engine.report.tables import Cell, Table
from engine.significance import mark_uncertain
from engine.significance.bootstrap import LEAST_SEEDS
from engine.significance.intervals import TOO_WIDE
from engine.sweeps.prose import LEVEL
from engine.sweeps.uncertainty import System

_MANY = 8  # so many languages need both columns of a page
_WIDE = 12  # so many need smaller type too


def settings_table(found: Findings) -> Table:
    """The metric in every setting and rank distance, of every system."""
    ordered = _ordered(found)
    rows, numbers, rules = [], [], []
    alike = {len(members) for system, members in found.systems.items() if system.strategy != "untrained"} == {
        found.seeds
    }
    for place, system in enumerate(ordered):
        if place and system.strategy != ordered[place - 1].strategy:
            rules.append(place)
        seeds = len(found.systems[system])
        cells, values = [], {"strategy": system.strategy, "alpha": system.alpha, "seeds": seeds}
        for measure, setting in found.figures:
            cell, known = _setting_cell(found, system, measure, setting)
            cells.append(cell)
            column = column_of(measure, setting)
            values |= {f"{column}{end}": value for end, value in known.items()}
        count = () if alike else (Cell("" if system.strategy == "untrained" else str(seeds)),)
        rows.append((Cell(_row_name(system)), *count, *cells))
        numbers.append(values)
    name, evaluated_on = label(found.request.metric), found.systems[ordered[0]][0].manifest.collection
    questions = len(next(iter(found.draws.values())).questions)
    return Table(
        name="settings",
        title=f"{name} and rank distance by ratio",
        caption=f"{name} {settings_in_words(found.family)}, and rank "
        f"distance (lower is less biased), on {evaluated_on.name} by alpha, the share of monolingual batches; "
        f"{_means(found, alike)}, with 95 % intervals from {questions:,} questions{_seeds_note(found)}. Bold: the best "
        "of a column. "
        "†: cannot be told from the best (multiple comparisons with the best, 95 % confidence).",
        heads=("alpha", *(() if alike else ("seeds",)), *(quantity(*figure).name for figure in found.figures)),
        rows=tuple(rows),
        frame=pl.DataFrame(numbers, infer_schema_length=None),
        rules=tuple(rules),
        columns=1 if found.request.layout.width == "column" else 2,
        stacked=found.request.layout.width == "column",
    )


def _means(found: Findings, alike: bool) -> str:
    """Over how many seeds the table's means are."""
    if not alike:
        return "means over seeds"
    return "one seed each" if found.seeds == 1 else f"means over {found.seeds} seeds"


def _ordered(found: Findings) -> list[System]:
    """The systems in a table's order."""
    kinds = {"untrained": 0, "hybrid": 1, "merge": 2}
    return sorted(found.systems, key=lambda one: (kinds.get(one.strategy, 3), one.strategy, one.alpha or 0.0))


def _row_name(system: System) -> str:
    if system.strategy == "hybrid":
        return f"{system.alpha:g}"
    name = "merged" if system.strategy == "merge" else system.strategy
    return name if system.alpha is None else f"{name}, {system.alpha:g}"


def _setting_cell(
    found: Findings, system: System, measure: str, setting: str
) -> tuple[Cell, dict[str, float | bool | None]]:
    """What stands in a cell, and the numbers behind it."""
    macro = (pl.col("measure") == measure) & (pl.col("setting") == setting) & pl.col("query_lang").is_null()
    row = found.intervals[system].filter(macro).row(0, named=True)
    choice = found.all_choices[measure, setting].filter(pl.col("system") == name_of(system)).row(0, named=True)
    what, best = quantity(measure, setting), choice["difference"] is None
    ends = [what.write(row[end]).removeprefix("0") or "0" for end in ("low", "high") if row[end] is not None]
    note = f"[{', '.join(ends)}]" if ends else ""
    seeds = found.points.filter(pl.col("key").is_in([one.key for one in found.systems[system]]))
    column = column_of(measure, setting)
    known = {"": row["value"], "_low": row["low"], "_high": row["high"], "_sd": seeds[column].std()}
    known |= {"_best": best, "_candidate": choice["candidate"]}
    mark = "†" if choice["candidate"] and not best else ""
    return Cell(what.write(row["value"]), note, bold=best, mark=mark), known


def _seeds_note(found: Findings) -> str:
    if found.seeds >= LEAST_SEEDS:
        return " and from the seeds"
    few = "one seed" if found.seeds == 1 else f"{found.seeds} seeds"
    return f" ({few}: intervals and marks hold for these checkpoints, not for the ratios)"


def pairs_table(found: Findings, system: System) -> Table:
    """The metric of every language pair."""
    metric, codes, pairs = found.request.metric, found.codes, found.pairs[system]
    grid = matrix(pairs, metric, codes)
    wide = mark_uncertain(_cells(found.intervals[system], metric))
    all_unsure = wide["uncertain"].all()
    unsure = matrix(wide.with_columns(pl.col("uncertain").cast(pl.Float64)), "uncertain", codes) * (not all_unsure)
    rows = []
    for i, code in enumerate(codes):
        best = np.nanmax(grid[i]) if np.isfinite(grid[i]).any() else np.nan
        cells = [_score(grid[i, j], bold=grid[i, j] == best, unsure=unsure[i, j] == 1) for j in range(len(codes))]
        rows.append((Cell(code), *cells, _score(_mean_but(grid[i], i))))
    last = (Cell("mean"), *(_score(_mean_but(grid[:, j], j)) for j in range(len(codes))), Cell(""))
    numbers = pairs.select("query_lang", "doc_lang", "queries", metric).join(
        wide.select("query_lang", "doc_lang", "low", "high"), on=["query_lang", "doc_lang"], how="left"
    )
    counts = pairs["queries"].to_list()
    low, high = min(counts), max(counts)
    return Table(
        name=f"pairs-{slug(system)}",
        title=f"{label(metric)} of every language pair, {name_of(system)}",
        caption=f"{label(metric)} of every language pair on {found.family.collection}, {name_of(system)}: query "
        f"language down, document language across; last, the means over the other languages. Bold: the highest of a "
        f"row. {'Every cell is a mean over' if low == high else 'Cells are means over'} "
        f"{f'{low:,}' if low == high else f'{low:,} to {high:,}'} queries. {uncertainty(all_unsure)} {_legend(codes)}.",
        heads=("", *codes, "mean"),
        rows=(*rows, last),
        frame=numbers.sort("query_lang", "doc_lang"),
        rules=(len(codes),),
        columns=2 if len(codes) > _MANY else 1,
        small=len(codes) > _WIDE,
    )


def uncertainty(every_cell: bool) -> str:
    """What a caption says of cells that are too uncertain to be read closely."""
    if every_cell:
        return f"The 95 % interval of every cell is wider than {TOO_WIDE:g}: single cells say little."
    return f"In brackets: the 95 % interval is wider than {TOO_WIDE:g}."


def difference_table(found: Findings, alpha: float) -> Table:
    """How much every language pair changes against the reference, and whether that is told."""
    metric, codes, system = found.request.metric, found.codes, System("hybrid", alpha)
    tests = _cells(found.tests[alpha], metric)
    grid, p = matrix(tests, "difference", codes), matrix(tests, "p_holm", codes)
    rows = []
    for i, code in enumerate(codes):
        cells = [_points(grid[i, j], told=p[i, j] < LEVEL) for j in range(len(codes))]
        rows.append((Cell(code), *cells, _points(_mean_but(grid[i], i))))
    last = (Cell("mean"), *(_points(_mean_but(grid[:, j], j)) for j in range(len(codes))), Cell(""))
    columns = ["query_lang", "doc_lang", "queries", "difference", "low", "high", "p", "p_holm", "p_bh", "effect"]
    return Table(
        name=f"difference-{slug(system)}",
        title=f"{label(metric)} of every language pair, {name_of(system)} minus {name_of(found.reference)}",
        caption=f"{label(metric)} of every language pair on {found.family.collection}, {name_of(system)} minus "
        f"{name_of(found.reference)}, in points (hundredths): query language down, document language across; last, the "
        f"means over the other languages. *: told from 0 by a paired test with Holm's correction at 5 %, over the "
        f"pairs of one language and over those of two{_seeds_mark(found)}. {_legend(codes)}.",
        heads=("", *codes, "mean"),
        rows=(*rows, last),
        frame=tests.select(columns).sort("query_lang", "doc_lang"),
        rules=(len(codes),),
        columns=2 if len(codes) > _MANY - 2 else 1,
        small=len(codes) > _WIDE,
    )


def _seeds_mark(found: Findings) -> str:
    if found.seeds >= LEAST_SEEDS:
        return ", which counts questions and seeds as chance"
    return f"; with {'one seed' if found.seeds == 1 else f'{found.seeds} seeds'} the marks hold for these checkpoints"


def paper_table(found: Findings) -> Table | None:
    """Our ratios beside what the hybrid-batch paper printed for the same collection; None if it printed nothing."""
    printed = _printed(found)
    if printed.is_empty():
        return None
    ours = [System("hybrid", alpha) for alpha in sorted(found.choices[found.figures[0]]["system"])]
    who = found.family.recipe
    frame = pl.concat([printed, *(_own_row(found, system) for system in ours)], how="diagonal")
    rows = []
    for row in frame.iter_rows(named=True):
        values = [
            Cell("–" if row[column_of(*figure)] is None else quantity(*figure).write(row[column_of(*figure)]))
            for figure in found.figures
        ]
        rows.append((Cell(row["model"]), Cell(f"{row['alpha']:g}"), *values))
    return Table(
        name="paper",
        title="Beside the published figures",
        caption=f"{label(found.request.metric)} and rank distance on {found.family.collection} as printed by "
        f"{SOURCES['hybrid-batch']}, above, and here, below ({who.encoder_name}, {who.method} on "
        f"{who.collection_name}). The paper trained other encoders, all of their weights, on other data: the shapes "
        "over alpha may be compared, the levels may not, and no test is possible.",
        heads=("model", "alpha", *(quantity(*figure).name for figure in found.figures)),
        rows=tuple(rows),
        frame=frame,
        rules=(printed.height,),
        columns=1 if found.request.layout.width == "column" else 2,
    )


def _printed(found: Findings) -> pl.DataFrame:
    """The paper's means by model and alpha, a column per figure."""
    columns = [column_of(*figure) for figure in found.figures]
    rows: dict[tuple[str, float], dict[str, float]] = {}
    for column in columns:
        for alpha, value, name in paper_points(found.family.collection, column):
            encoder = name.partition(",")[0].rpartition(" ")[0]  # without the strategy, which alpha stands for
            rows.setdefault((encoder, alpha), {})[column] = value
    schema = {"model": pl.String, "alpha": pl.Float64} | dict.fromkeys(columns, pl.Float64)
    listed = [{"model": model, "alpha": alpha, **values} for (model, alpha), values in rows.items()]
    return pl.DataFrame(listed, schema=schema).sort(pl.col("model") != "XLM-R", "model", "alpha")


def _own_row(found: Findings, system: System) -> pl.DataFrame:
    values = {column_of(*figure): float(found.draws[system].only(*figure).estimate[0]) for figure in found.figures}
    return pl.DataFrame([{"model": "here", "alpha": system.alpha, **values}])


def _cells(frame: pl.DataFrame, metric: str) -> pl.DataFrame:
    """Rows of the language pairs, of a frame of `intervals` or `compare`."""
    return frame.filter((pl.col("measure") == metric) & pl.col("doc_lang").is_not_null())


def _score(value: float, *, bold: bool = False, unsure: bool = False) -> Cell:
    if not np.isfinite(value):
        return Cell("")
    text = f"{value:.3f}".removeprefix("0")
    return Cell(f"({text})" if unsure else text, bold=bold)


def _points(value: float, *, told: bool = False) -> Cell:
    if not np.isfinite(value):
        return Cell("")
    return Cell(signed(100 * value, 1), mark="*" if told else "")


def _mean_but(values: np.ndarray, place: int) -> float:
    """Mean of a row or column without the pair of one language; NaN where one is missing."""
    return float(np.delete(values, place).mean()) if len(values) > 1 else float("nan")


def _legend(codes: Sequence[str]) -> str:
    return f"Languages: {in_list([f'{code} {language(code).name}' for code in codes])}"
