"""Ranks -> scores, in polars alone: per query, per language pair, per query language, per setting.

Metrics by name: `map` (average precision at full depth, no cut-off, as in LAReQA, arXiv 2004.05484), `mrr` (reciprocal
rank of the first relevant passage), `ndcg@k` (binary gains, discount 1 / log2(1 + rank), Järvelin and Kekäläinen
2002, as in trec_eval), `hit@k` (whether a relevant passage is among the first k; the mean is Success@k, and hit@1 is
what papers print as R@1), `recall@k` (relevant passages among the first k, of all relevant ones), `map@k` and `mrr@k`
(what stands below k counts nothing, as trec_eval's map_cut).

Averages are macro: queries -> pair or query language -> setting.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

import polars as pl

from engine.collections.pictures import PICTURE
from engine.collections.structures import SETTINGS, Setting
from engine.errors import InputError
from engine.ranks.schema import RANKS, UNKNOWN_LANGUAGE, check_frame

METRICS = ("map", "hit@1", "hit@5", "hit@10", "mrr", "ndcg@10", "recall@1", "recall@10", "recall@100")
LABELS = {"map": "mAP", "mrr": "MRR", "hit@1": "R@1"}
_KINDS = {"map": "mAP", "ndcg": "nDCG", "hit": "Hit", "recall": "Recall"}
_PAIR_KEYS = ["query_lang", "doc_lang", "question"]

logger = logging.getLogger(__name__)


def label(metric: str) -> str:
    """How a metric is written on pages and in figures."""
    kind, _, cut = metric.partition("@")
    return LABELS.get(metric, f"{_KINDS.get(kind, kind)}@{cut}")


def per_query(ranks: pl.DataFrame, setting: Setting, metrics: Sequence[str] = METRICS) -> pl.DataFrame:
    """Score every query in a setting.

    Args:
        ranks: Frame of schema `RANKS`.
        setting: "mono" and "cross" rank among the candidates of one language, "multi" in the pool of all.
        metrics: Names of metrics.

    Returns:
        One row per query and document language (in multi: per query): `question`, `query_lang`, `doc_lang` (not in
        multi), `relevant` (how many passages are), and a Float64 column per metric; sorted by the keys.

    Raises:
        InputError: If a metric or the setting is unknown, or the frame is not one of ranks.
    """
    ranks = check_frame(ranks, RANKS, "ranks")
    if setting not in SETTINGS:
        raise InputError(f"setting {setting!r} is unknown; allowed are {', '.join(SETTINGS)}")
    if setting == "multi":
        return _score(ranks, ["query_lang", "question"], "rank_in_pool", metrics)
    ranks = ranks.filter(pl.col("doc_lang") != UNKNOWN_LANGUAGE)
    same = pl.col("query_lang") == pl.col("doc_lang")
    return _score(ranks.filter(same if setting == "mono" else ~same), _PAIR_KEYS, "rank_in_language", metrics)


def by_pair(ranks: pl.DataFrame, metrics: Sequence[str] = METRICS) -> pl.DataFrame:
    """Mean score of every ordered language pair, mono pairs included.

    Returns:
        `query_lang`, `doc_lang`, `queries` (how many were averaged), and a Float64 column per metric; sorted.
    """
    known = check_frame(ranks, RANKS, "ranks").filter(pl.col("doc_lang") != UNKNOWN_LANGUAGE)
    queries = _score(known, _PAIR_KEYS, "rank_in_language", metrics)
    return _mean(queries, ["query_lang", "doc_lang"], metrics)


def by_query_language(ranks: pl.DataFrame, metrics: Sequence[str] = METRICS) -> pl.DataFrame:
    """Mean score of every query language in the pool (the multi setting).

    Returns:
        `query_lang`, `queries`, and a Float64 column per metric; sorted.
    """
    return _mean(per_query(ranks, "multi", metrics), ["query_lang"], metrics)


def by_setting(
    pairs: pl.DataFrame,
    query_languages: pl.DataFrame,
    languages: Sequence[str],
    metrics: Sequence[str] = METRICS,
    *,
    document_languages: Sequence[str] | None = None,
    asking: Sequence[str] | None = None,
) -> pl.DataFrame:
    """Macro means of the three settings.

    Args:
        pairs: What `by_pair` gave.
        query_languages: What `by_query_language` gave.
        languages: The collection's languages that have queries: which cells a complete mean needs.
        metrics: Names of metrics.
        document_languages: Its languages that have documents; the same ones if None.
        asking: Its languages that the pool is asked in; those with queries if None. Where pictures are among the
            languages, captions need not have others in their language: the mono mean is over those that have.

    Returns:
        Three rows, mono, cross and multi: `setting`, `cells` (pairs or query languages averaged), `expected` (how many
        can exist; no cross pair where no query has a relevant document in another language), and a Float64 column per
        metric, null where cells are missing.
    """
    same = pl.col("query_lang") == pl.col("doc_lang")
    documents = languages if document_languages is None else document_languages
    both = len({*languages} & {*documents})
    across = pairs.filter(~same)
    own = both if PICTURE not in documents else pairs.filter(same).height
    parts = {
        "mono": (pairs.filter(same), own),
        "cross": (across, len(languages) * len(documents) - both if across.height else 0),
        "multi": (query_languages, len(languages if asking is None else asking)),
    }
    rows = []
    for setting, (cells, expected) in parts.items():
        if cells.height != expected:
            logger.warning("%s: %d of %d cells have queries; their mean is left out", setting, cells.height, expected)
        complete = cells.height == expected and expected > 0
        means = {metric: cells[metric].mean() if complete else None for metric in metrics}
        rows.append({"setting": setting, "cells": cells.height, "expected": expected, **means})
    kinds = {"setting": pl.String, "cells": pl.Int64, "expected": pl.Int64} | dict.fromkeys(metrics, pl.Float64)
    return pl.DataFrame(rows, schema=kinds)


def _score(ranks: pl.DataFrame, keys: list[str], rank: str, metrics: Sequence[str]) -> pl.DataFrame:
    """Metrics of the rows with equal keys, sorted by the keys."""
    row = pl.int_range(pl.len())
    starts = pl.any_horizontal(pl.col(key).ne_missing(pl.col(key).shift()) for key in keys)
    place = row - pl.when(starts).then(row).forward_fill() + 1  # an int_range over the keys takes far longer
    return (
        ranks.select(*keys, rank=pl.when(pl.col("doc") < 0).then(float("inf")).otherwise(pl.col(rank).cast(pl.Float64)))
        .sort(*keys, "rank")
        .with_columns(place=place.cast(pl.Float64))
        .group_by(keys, maintain_order=True)
        .agg(pl.len().alias("relevant"), *[_expression(metric).alias(metric) for metric in metrics])
    )


def _mean(queries: pl.DataFrame, keys: list[str], metrics: Sequence[str]) -> pl.DataFrame:
    means = [pl.col(metric).mean() for metric in metrics]
    return queries.group_by(keys).agg(pl.len().cast(pl.Int64).alias("queries"), *means).sort(keys)


def _expression(metric: str) -> pl.Expr:
    """A metric over a query's relevant passages: `rank`, ascending, and `place` 1, 2, ... among them."""
    found = re.fullmatch(r"(map|mrr)|(map|mrr|hit|recall|ndcg)@([1-9]\d*)", metric)
    if found is None:
        allowed = "map, mrr, hit@k, recall@k, ndcg@k, map@k and mrr@k, k from 1"
        raise InputError(f"metric {metric!r} is unknown; allowed are {allowed}")
    whole, cut_kind, cut = found.groups()
    rank, place = pl.col("rank"), pl.col("place")
    if whole == "map":
        return (place / rank).mean()
    if whole == "mrr":
        return 1 / rank.min()
    within = rank <= int(cut)
    if cut_kind == "hit":
        return within.any().cast(pl.Float64)
    if cut_kind == "recall":
        return within.mean()
    if cut_kind == "map":
        return pl.when(within).then(place / rank).otherwise(0.0).mean()
    if cut_kind == "mrr":
        return pl.when(rank.min() <= int(cut)).then(1 / rank.min()).otherwise(0.0)
    gains = pl.when(within).then(1 / (1 + rank).log(2)).otherwise(0.0).sum()
    ideal = pl.when(place <= int(cut)).then(1 / (1 + place).log(2)).otherwise(0.0).sum()
    return gains / ideal
