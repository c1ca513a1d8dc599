"""Heatmaps of language bias over pairs: the own language's advantage, lone passages, agreement of query languages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
import polars as pl

from engine.figures.grid import cells, frame_diagonal, grid_figure
from engine.figures.pairs import matrix
from engine.figures.style import DIVERGING, SEQUENTIAL, name_of, number, whole


def advantage_heatmap(advantages: pl.DataFrame, codes: Sequence[str]) -> go.Figure:
    """By how many doublings of the rank each language's passage stands before its translations; centred on 0.

    Args:
        advantages: Frame of `bias.advantage_matrix`.
        codes: Languages in order.
    """
    grid, counts = matrix(advantages, "advantage", codes), matrix(advantages, "queries", codes)
    hover = [
        [_advantage_hover(q, d, grid[i, j], counts[i, j]) for j, d in enumerate(codes)] for i, q in enumerate(codes)
    ]
    limit = max(1.0, float(np.nanmax(np.abs(grid)))) if np.isfinite(grid).any() else 1.0
    scale = {"colorscale": DIVERGING, "zmin": -limit, "zmax": limit}
    figure = grid_figure(
        grid, codes, codes, texts=cells(grid, "{:+.1f}"), hover=hover, scale=scale, title="doublings ahead"
    )
    frame_diagonal(figure, len(codes))
    return figure


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
    grid, counts = matrix(targets, "mrr", codes), matrix(targets, "queries", codes)
    hover = [
        [
            f"{name_of(q)} query, only the {name_of(d)} passage is relevant<br>mean reciprocal rank "
            f"{number(grid[i, j], '{:.3f}')}, {whole(counts[i, j])} queries"
            for j, d in enumerate(codes)
        ]
        for i, q in enumerate(codes)
    ]
    scale = {"colorscale": SEQUENTIAL, "zmin": 0, "zmax": 1}
    figure = grid_figure(
        grid, codes, codes, texts=cells(grid, "{:.2f}"), hover=hover, scale=scale, title="mean 1 / rank"
    )
    frame_diagonal(figure, len(codes))
    return figure


def agreement_heatmap(agreement: pl.DataFrame, codes: Sequence[str]) -> go.Figure:
    """Mean rank correlation between the versions of a question, for every two query languages.

    Args:
        agreement: Frame of `bias.agreement_matrix`.
        codes: Languages in order.
    """
    named = agreement.rename({"other_lang": "doc_lang"})
    grid, counts = matrix(named, "correlation", codes), matrix(named, "questions", codes)
    hover = [
        [
            f"{name_of(q)} and {name_of(d)} queries<br>correlation {number(grid[i, j], '{:.3f}')}, "
            f"{whole(counts[i, j])} questions"
            if q != d
            else name_of(q)
            for j, d in enumerate(codes)
        ]
        for i, q in enumerate(codes)
    ]
    top = float(np.nanmax(grid)) if np.isfinite(grid).any() else 1.0
    scale = {"colorscale": SEQUENTIAL, "zmin": 0, "zmax": max(top, 0.1)}
    figure = grid_figure(grid, codes, codes, texts=cells(grid, "{:.2f}"), hover=hover, scale=scale, title="correlation")
    return figure.update_layout(xaxis_title="query language", xaxis_zeroline=False, yaxis_zeroline=False)
