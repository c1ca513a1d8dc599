"""Figures of language bias: where passages of each language stand in the pool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
import polars as pl

from engine.bias.advantage import pool_rank_quantiles
from engine.bias.distance import random_distance
from engine.figures.style import ACCENT, GREY, INK, finish, name_of


def rank_distance_dots(rank_distance: pl.DataFrame) -> go.Figure:
    """Rank distance by query language, mean and median, beside what a random ranking gives; logarithmic axis.

    Args:
        rank_distance: Frame of `bias.rank_distance`.
    """
    info = _get_rank_distance_info(rank_distance)
    figure = go.Figure()
    for name, values, shares, style in (
        ("median", info.medians, info.median_shares, {"mode": "markers", "marker": _mark("line-ns-open", GREY)}),
        ("mean", info.means, info.mean_shares, {"mode": "markers+text", "marker": _mark("circle", INK)}),
    ):
        figure.add_scatter(
            x=values,
            y=info.names,
            text=[f"  {value:,.0f}" for value in values] if name == "mean" else None,
            textposition="middle right",
            name=name,
            customdata=list(zip(info.queries, shares, strict=True)),
            hovertemplate="%{y}: "
            + name
            + " %{x:,.0f} ranks, %{customdata[1]:.0f} % of random, %{customdata[0]:,} queries<extra></extra>",
            **style,
        )
    figure.add_vline(x=info.random, line={"dash": "dash", "color": ACCENT})
    text = f"random {info.random:,.0f}"
    figure.add_annotation(x=np.log10(info.random), y=1.0, yref="paper", yanchor="bottom", text=text, showarrow=False)
    figure.update_xaxes(type="log", title="ranks between the first and the last relevant passage", dtick=1)
    return finish(figure, height=90 + 30 * len(info.names), legend=True)


def _mark(symbol: str, colour: str) -> dict[str, object]:
    return {"symbol": symbol, "size": 11, "color": colour, "line": {"width": 2, "color": colour}}


@dataclass(frozen=True, slots=True)
class _RankDistanceInfo:
    """Rank distances by query language, from the bottom up: the largest first.

    Attributes:
        names: Of the languages.
        means, medians: In ranks.
        mean_shares, median_shares: The same in per cent of a random ranking's.
        queries: How many queries stand behind each.
        random: What a random ranking gives, mean over the languages.
    """

    names: list[str]
    means: list[float]
    medians: list[float]
    mean_shares: list[float]
    median_shares: list[float]
    queries: list[int]
    random: float


def _get_rank_distance_info(rank_distance: pl.DataFrame) -> _RankDistanceInfo:
    frame = rank_distance.sort("rank_distance", descending=True)
    return _RankDistanceInfo(
        [name_of(code) for code in frame["query_lang"]],
        frame["rank_distance"].to_list(),
        frame["median"].to_list(),
        (100 * frame["rank_distance"] / frame["random"]).to_list(),
        (100 * frame["median"] / frame["random"]).to_list(),
        frame["queries"].to_list(),
        random_distance(rank_distance),
    )


def pool_rank_boxes(ranks: pl.DataFrame, query_lang: str) -> go.Figure:
    """Pool ranks of the relevant passages by document language, for one query language; logarithmic axis.

    Args:
        ranks: Frame of schema `RANKS`.
        query_lang: The query language.
    """
    info = _get_boxes_info(ranks, query_lang)
    figure = go.Figure()
    for boxes, name, colour in (
        (info.own, "the query's language", ACCENT),
        (info.others, "other languages", INK),
    ):
        if boxes.height:
            figure.add_box(
                y=[name_of(code) for code in boxes["doc_lang"]],
                lowerfence=boxes["low"],
                q1=boxes["q1"],
                median=boxes["median"],
                q3=boxes["q3"],
                upperfence=boxes["high"],
                name=name,
                orientation="h",
                marker={"color": colour},
                width=0.6,
            )
    figure.update_yaxes(categoryorder="array", categoryarray=info.names)
    figure.update_xaxes(type="log", title="rank in the pool (whiskers: 5 % and 95 %)", dtick=1)
    return finish(figure, height=110 + 30 * len(info.names), legend=True)


@dataclass(frozen=True, slots=True)
class _BoxesInfo:
    """Boxes of one query language.

    Attributes:
        names: Of all document languages, from the bottom up: the highest median rank first.
        own: Quantiles of the query's own language.
        others: Quantiles of the other languages.
    """

    names: list[str]
    own: pl.DataFrame
    others: pl.DataFrame


def _get_boxes_info(ranks: pl.DataFrame, query_lang: str) -> _BoxesInfo:
    quantiles = pool_rank_quantiles(ranks.filter(pl.col("query_lang") == query_lang))
    boxes = quantiles.sort("median", "doc_lang", descending=[True, False])
    own = pl.col("doc_lang") == query_lang
    return _BoxesInfo([name_of(code) for code in boxes["doc_lang"]], boxes.filter(own), boxes.filter(~own))


def share_bars(shares: pl.DataFrame, fair: Mapping[str, float], k: int) -> go.Figure:
    """Share of the query's own language among the first k of the pool, beside the fair share.

    Args:
        shares: Frame of `bias.language_shares`.
        fair: Each language's share of the relevant passages, the share that a language-blind retriever would show.
        k: How many of the first were looked at.
    """
    info = _get_shares_info(shares, fair)
    figure = go.Figure()
    figure.add_bar(
        x=info.own,
        y=info.names,
        orientation="h",
        marker={"color": INK},
        name=f"own language in the top {k}",
        text=[f"{share:.0f} %" for share in info.own],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{x:.1f} % of the top " + str(k) + "<extra></extra>",
    )
    figure.add_scatter(
        x=info.fair,
        y=info.names,
        mode="markers",
        marker={"symbol": "line-ns-open", "size": 16, "color": ACCENT, "line": {"width": 3}},
        name="fair share",
        hovertemplate="%{y}: fair share %{x:.1f} %<extra></extra>",
    )
    figure.update_xaxes(title="per cent", range=[0, 108])
    return finish(figure, height=110 + 28 * len(info.names), legend=True)


@dataclass(frozen=True, slots=True)
class _SharesInfo:
    """Shares of the own language, from the bottom up: the smallest first.

    Attributes:
        names: Of the languages.
        own: Share of the query's own language, in per cent.
        fair: What a language-blind retriever would show, in per cent.
    """

    names: list[str]
    own: list[float]
    fair: list[float]


def _get_shares_info(shares: pl.DataFrame, fair: Mapping[str, float]) -> _SharesInfo:
    own = shares.filter(pl.col("query_lang") == pl.col("doc_lang")).sort("share")
    return _SharesInfo(
        [name_of(code) for code in own["query_lang"]],
        (100 * own["share"]).to_list(),
        [100 * fair.get(code, 0.0) for code in own["query_lang"]],
    )


def parallel_ranks(ranks: pl.DataFrame, query_lang: str) -> go.Figure:
    """Pool ranks of one query's relevant passages by language; logarithmic axis.

    Args:
        ranks: Frame of schema `RANKS`, of one query.
        query_lang: The query's language, which is set off.
    """
    info = _get_parallel_info(ranks, query_lang)
    figure = go.Figure(
        go.Scatter(
            x=info.ranks,
            y=info.names,
            mode="markers+text",
            marker={"size": 11, "color": [ACCENT if own else INK for own in info.own]},
            text=[f"{rank:,}" for rank in info.ranks],
            textposition="middle right",
            customdata=info.in_language,
            hovertemplate="%{y}: rank %{x:,} in the pool, %{customdata:,} in its language<extra></extra>",
            cliponaxis=False,
        )
    )
    figure.update_xaxes(
        type="log", title="rank in the pool", dtick=1, range=[-0.1, np.log10(max(info.ranks, default=1)) + 0.6]
    )
    return finish(figure, height=90 + 30 * len(info.names), legend=False)


@dataclass(frozen=True, slots=True)
class _ParallelInfo:
    """Ranks of one query's relevant passages, from the bottom up: the last first.

    Attributes:
        names: Of the passages' languages.
        ranks: In the pool.
        in_language: Ranks among the passages of the same language.
        own: Whether it is the query's language.
    """

    names: list[str]
    ranks: list[int]
    in_language: list[int]
    own: list[bool]


def _get_parallel_info(ranks: pl.DataFrame, query_lang: str) -> _ParallelInfo:
    frame = ranks.sort("rank_in_pool", descending=True)
    return _ParallelInfo(
        [name_of(code) for code in frame["doc_lang"]],
        frame["rank_in_pool"].to_list(),
        frame["rank_in_language"].to_list(),
        [code == query_lang for code in frame["doc_lang"]],
    )
