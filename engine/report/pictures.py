"""A report's figures of ratios and of language pairs: those of the pages, with a caption."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from engine import figures
from engine.figures.panels import panels
from engine.ranks.metrics import label
from engine.report.bias_pictures import bias_pictures
from engine.report.findings import Findings, column_of, detailed, name_of, quantity, settings_in_words, slug
from engine.report.picture import Picture, grid_height
from engine.report.results import uncertainty
from engine.significance import mark_uncertain
from engine.sweeps import results
from engine.sweeps.uncertainty import System


def pictures(found: Findings) -> list[Picture]:
    """All figures of the parts that were asked for, but those of examples."""
    parts = found.request.parts
    drawn: list[Picture] = []
    if "curves" in parts:
        drawn += [_curves(found)]
        both = {(found.request.metric, setting) for setting in ("mono", "multi")}
        drawn += [_trade_off(found)] if both <= set(found.figures) else []
    if "heatmaps" in parts:
        drawn += _heatmaps(found)
    if "difference" in parts:
        drawn += _differences(found)
    if "bias" in parts and found.has_distances:
        drawn += bias_pictures(found)
    return drawn


def _curves(found: Findings) -> Picture:
    base = {} if found.family.base is None else results.values(found.family.base)
    curves, names = [], []
    for measure, setting in found.figures:
        column = column_of(measure, setting)
        names.append(quantity(measure, setting).name)
        curves.append(
            figures.ratio_curve(
                found.points.filter(pl.col("alpha").is_not_null()),
                column,
                selection=found.choices[measure, setting],
                beside=figures.Beside(base.get(column)),
            )
        )
    narrow = found.request.layout.width == "column"
    merged = "; open diamonds: the checkpoints of alpha 0 and 1 merged at that weight" if _has_merges(found) else ""
    return Picture(
        "curves",
        "curves",
        f"{label(found.request.metric)} {settings_in_words(found.family)}, and rank distance (lower is less biased), "
        f"against alpha, the share of monolingual batches, on {found.family.collection}. Dots are seeds, lines their "
        f"means{merged}. Dotted: the untrained encoder, whose value stands above the plot; with an arrow, it lies "
        "outside. Dashed: the best ratio; bars: 95 % intervals of the paired difference from it, so that a ratio whose "
        "bar reaches the dashed line does not differ significantly from the best. Each axis spans its own values.",
        panels(curves, names, found.request.layout, columns=2 if narrow else 4, height=3.1 if narrow else 1.9),
        3.1 if narrow else 1.9,
        wide=True,
    )


def _has_merges(found: Findings) -> bool:
    return any(system.strategy == "merge" for system in found.systems)


def _trade_off(found: Findings) -> Picture:
    metric = found.request.metric
    names = (f"mono {label(metric)}", f"multi {label(metric)}")
    merged = "; diamonds: merged checkpoints" if _has_merges(found) else ""
    return Picture(
        "trade-off",
        "curves",
        f"{names[0]} against {names[1]} on {found.family.collection}, means over seeds, labelled with alpha{merged}; "
        "the colour is rank distance, the dotted line joins what nothing else beats in both.",
        figures.trade_off(found.points, f"mono_{metric}", f"multi_{metric}", names),
        2.7 if found.request.layout.width == "column" else 3.4,
    )


def _heatmaps(found: Findings) -> Iterator[Picture]:
    metric, compact = found.request.metric, found.request.layout.width == "column"
    for system in detailed(found):
        cells = found.intervals[system].filter((pl.col("measure") == metric) & pl.col("doc_lang").is_not_null())
        cells = mark_uncertain(cells)
        every_cell = cells["uncertain"].all()
        yield Picture(
            f"pairs-{slug(system)}",
            "heatmaps",
            f"{label(metric)} of every language pair on {found.family.collection}, {name_of(system)}: query language "
            "down, document language across. Framed: one language; grey: means over the others. "
            f"{uncertainty(every_cell)}",
            figures.pair_heatmap(
                found.pairs[system],
                metric,
                found.codes,
                intervals=cells.with_columns(uncertain=pl.col("uncertain") & (not every_cell)),
                compact=compact,
            ),
            grid_height(len(found.codes), found.request.layout),
        )


def _differences(found: Findings) -> Iterator[Picture]:
    metric, compact = found.request.metric, found.request.layout.width == "column"
    limit = max(
        (100 * abs(value) for tests in found.tests.values() for value in _pair_tests(tests, metric)["difference"]),
        default=1.0,
    )
    for alpha, tests in found.tests.items():
        system = System("hybrid", alpha)
        figure = figures.difference_heatmap(
            (found.pairs[system], found.pairs[found.reference]),
            metric,
            found.codes,
            limit=max(1.0, limit),
            tests=(_pair_tests(tests, metric), "p_holm"),
            compact=compact,
        )
        yield Picture(
            f"difference-{slug(system)}",
            "difference",
            f"{label(metric)} of every language pair on {found.family.collection}, {name_of(system)} minus "
            f"{name_of(found.reference)}, in points. Bold: told from 0 (paired test, Holm's correction at 5 %); pale: "
            "not told. The colours reach equally far in all figures of this kind.",
            figure,
            grid_height(len(found.codes), found.request.layout),
        )


def _pair_tests(tests: pl.DataFrame, metric: str) -> pl.DataFrame:
    return tests.filter(
        (pl.col("measure") == metric) & pl.col("doc_lang").is_not_null() & pl.col("difference").is_not_null()
    )
