"""Heatmaps of language bias over pairs: median ranks, own language's advantage, lone passages, agreement."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
import polars as pl

from engine.figures.grid import GridInfo, cells, difference_info, frame_diagonal, grid_figure, hovers
from engine.figures.style import name_of, number, whole
from engine.ranks.pairs import matrix


def pool_rank_heatmap(pool_ranks: pl.DataFrame, codes: Sequence[str]) -> go.Figure:
    """Median pool rank of the relevant passages: query language down, document language across; logarithmic colour.

    Args:
        pool_ranks: Frame of `bias.pool_ranks`.
        codes: Languages in order.
    """
    info = _get_pool_rank_info(pool_ranks, codes)
    figure = grid_figure(info)
    ticks = list(range(int(np.ceil(info.limits[1])) + 1))
    figure.data[0].colorbar.update(tickvals=ticks, ticktext=[f"{10**tick:,}" for tick in ticks])
    frame_diagonal(figure, len(codes))
    return figure


def _get_pool_rank_info(pool_ranks: pl.DataFrame, codes: Sequence[str]) -> GridInfo:
    """The grid holds powers of 10, the texts ranks."""
    ranks, counts = matrix(pool_ranks, "median_rank", codes), matrix(pool_ranks, "queries", codes)
    powers = np.log10(ranks)
    hover = hovers(
        codes,
        ranks,
        counts,
        lambda q, d, rank, count: (
            f"{name_of(q)} query, {name_of(d)} passage<br>median rank {whole(rank)} of the pool, {whole(count)} queries"
        ),
    )
    limits = (0.0, max(1.0, float(np.nanmax(powers))))
    return GridInfo(powers, codes, codes, cells(ranks, "{:,.0f}"), hover, limits, "median rank")


def advantage_heatmap(advantages: pl.DataFrame, codes: Sequence[str]) -> go.Figure:
    """By how many doublings of the rank each language's passage stands before its translations; centred on 0.

    Args:
        advantages: Frame of `bias.advantage_matrix`.
        codes: Languages in order.
    """
    figure = grid_figure(_get_advantage_info(advantages, codes))
    frame_diagonal(figure, len(codes))
    return figure


def _get_advantage_info(advantages: pl.DataFrame, codes: Sequence[str]) -> GridInfo:
    grid, counts = matrix(advantages, "advantage", codes), matrix(advantages, "queries", codes)
    return difference_info(grid, codes, hovers(codes, grid, counts, _advantage_hover), "doublings ahead")


def _advantage_hover(query_lang: str, doc_lang: str, value: float, count: float) -> str:
    pair = f"{name_of(query_lang)} query, {name_of(doc_lang)} passage"
    if not np.isfinite(value):
        return f"{pair}<br>no query"
    times = f"{2 ** abs(value):,.1f} times {'before' if value >= 0 else 'behind'} its translations"
    return f"{pair}<br>{times} ({number(value, '{:+.2f}')} doublings)<br>{whole(count)} queries"


def target_heatmap(targets: pl.DataFrame, codes: Sequence[str]) -> go.Figure:
    """Mean reciprocal rank with one relevant passage in the pool, for every query and document language.

    Args:
        targets: Frame of `bias.one_target`.
        codes: Languages in order.
    """
    figure = grid_figure(_get_target_info(targets, codes))
    frame_diagonal(figure, len(codes))
    return figure


def _get_target_info(targets: pl.DataFrame, codes: Sequence[str]) -> GridInfo:
    grid, counts = matrix(targets, "mrr", codes), matrix(targets, "queries", codes)
    hover = hovers(
        codes,
        grid,
        counts,
        lambda q, d, value, count: (
            f"{name_of(q)} query, only the {name_of(d)} passage is relevant<br>mean reciprocal rank "
            f"{number(value, '{:.3f}')}, {whole(count)} queries"
        ),
    )
    return GridInfo(grid, codes, codes, cells(grid, "{:.2f}"), hover, (0.0, 1.0), "mean 1 / rank")


def agreement_heatmap(agreement: pl.DataFrame, codes: Sequence[str]) -> go.Figure:
    """Mean rank correlation between the versions of a question, for every two query languages.

    Args:
        agreement: Frame of `bias.agreement_matrix`.
        codes: Languages in order.
    """
    figure = grid_figure(_get_agreement_info(agreement, codes))
    return figure.update_layout(xaxis_title="query language", xaxis_zeroline=False, yaxis_zeroline=False)


def _get_agreement_info(agreement: pl.DataFrame, codes: Sequence[str]) -> GridInfo:
    named = agreement.rename({"other_lang": "doc_lang"})
    grid, counts = matrix(named, "correlation", codes), matrix(named, "questions", codes)

    def write(first: str, second: str, value: float, count: float) -> str:
        if first == second:
            return name_of(first)
        correlation = f"correlation {number(value, '{:.3f}')}, {whole(count)} questions"
        return f"{name_of(first)} and {name_of(second)} queries<br>{correlation}"

    top = float(np.nanmax(grid)) if np.isfinite(grid).any() else 1.0
    hover, limits = hovers(codes, grid, counts, write), (0.0, max(top, 0.1))
    return GridInfo(grid, codes, codes, cells(grid, "{:.2f}"), hover, limits, "correlation")
