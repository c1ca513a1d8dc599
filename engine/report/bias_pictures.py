"""A report's figures of language bias."""

from __future__ import annotations

import polars as pl

from engine import bias, figures
from engine.collections.languages import language
from engine.evaluation.evaluate import Evaluation
from engine.ranks.schema import in_corpus
from engine.report.findings import Findings, detailed, name_of, slug
from engine.report.picture import Picture, grid_height, list_height
from engine.sweeps.uncertainty import System


def bias_pictures(found: Findings) -> list[Picture]:
    """Figures of the systems that are shown in detail, those of one kind together."""
    kinds = zip(*(_bias(found, system) for system in detailed(found)), strict=True)
    return [picture for kind in kinds for picture in kind if picture is not None]


def _bias(found: Findings, system: System) -> list[Picture | None]:
    """Where passages of each language stand, all seeds together; boxes for one ratio alone."""
    members, where = found.systems[system], f"on {found.family.collection}, {name_of(system)}"
    asked = [one.asked_of_pool(one.ranks()) for one in members]
    ranks = pl.concat(map(in_corpus, asked))
    distances = pl.concat(bias.rank_distance(one, members[0].pool) for one in asked)
    distances = distances.group_by("query_lang", "queries").agg(pl.all().mean()).sort("query_lang")
    lines = list_height(len(found.codes))
    distance = Picture(
        f"bias-distance-{slug(system)}",
        "bias",
        f"Rank distance by query language {where}: ranks between the first and the last of a query's relevant "
        "passages, which are translations of each other, mean and median over queries; dashed: what a random ranking "
        "gives.",
        figures.rank_distance_dots(distances),
        lines,
    )
    medians = figures.pool_rank_heatmap(bias.pool_ranks(ranks), found.codes)
    if found.request.layout.width == "column":
        medians.update_yaxes(ticktext=found.codes)
    median = Picture(
        f"bias-ranks-{slug(system)}",
        "bias",
        f"Median rank of the relevant passages in the pool {where}: query language down, document language across.",
        medians,
        grid_height(len(found.codes), found.request.layout),
    )
    boxes = None
    if system == found.featured:
        worst = distances.sort("rank_distance", "query_lang", descending=[True, False])["query_lang"][0]
        boxes = Picture(
            f"bias-boxes-{slug(system)}",
            "bias",
            f"Ranks of the relevant passages in the pool for {language(worst).name} queries, the language with the "
            f"largest rank distance, by document language {where}: quartiles, and 5 % and 95 % as whiskers.",
            figures.pool_rank_boxes(ranks, worst),
            lines,
        )
    return [distance, _shares(found, system, lines), median, boxes]


def _shares(found: Findings, system: System, lines: float) -> Picture:
    members = found.systems[system]
    k = min(bias.TOP_K, *(one.manifest.top_k for one in members))
    shares = pl.concat(bias.language_shares(one.asked_of_pool(one.top()), k) for one in members)
    shares = shares.group_by("query_lang", "doc_lang").agg(pl.col("share").sum() / len(members))
    return Picture(
        f"bias-shares-{slug(system)}",
        "bias",
        f"Share of the query's own language among the first {k} of the pool on {found.family.collection}, "
        f"{name_of(system)}; marks: the language's share of the relevant passages.",
        figures.share_bars(shares.sort("query_lang", "doc_lang"), _fair(members[0]), k),
        lines,
    )


def _fair(evaluation: Evaluation) -> dict[str, float]:
    relevant = in_corpus(evaluation.asked_of_pool(evaluation.ranks()))["doc_lang"].value_counts(normalize=True)
    return dict(zip(relevant["doc_lang"], relevant["proportion"], strict=True))
