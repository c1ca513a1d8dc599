"""Frames of language pairs as matrices: places, order and means."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ranks.pairs import cross_means, language_order, matrix


def pair_frame(codes: list[str], values: list[list[float | None]]) -> pl.DataFrame:
    rows = [(q, d, value) for q, row in zip(codes, values, strict=True) for d, value in zip(codes, row, strict=True)]
    return pl.DataFrame(rows, schema={"query_lang": pl.String, "doc_lang": pl.String, "map": pl.Float64}, orient="row")


def test_rows_are_query_languages_and_columns_document_languages() -> None:
    frame = pair_frame(["ar", "de"], [[0.1, 0.2], [None, 0.4]])
    np.testing.assert_array_equal(matrix(frame, "map", ["de", "ar"]), [[0.4, np.nan], [0.2, 0.1]])
    np.testing.assert_array_equal(matrix(frame.head(1), "map", ["ar", "de"]), [[0.1, np.nan], [np.nan, np.nan]])


def test_languages_are_ordered_by_name_score_or_similarity() -> None:
    codes = ["ar", "de", "en", "zh"]  # Arabic, German, English, Chinese
    near, far = 0.9, 0.1
    grid = [[near, far, near, far], [far, 0.8, far, 0.8], [near, far, near, far], [far, 0.8, far, 0.8]]
    frame = pair_frame(codes, grid)
    assert language_order(frame, "map", "name") == ["ar", "zh", "en", "de"]
    assert language_order(frame, "map", "score") == ["ar", "en", "zh", "de"]
    order = language_order(frame, "map", "similarity")
    assert {frozenset(order[:2]), frozenset(order[2:])} == {frozenset({"ar", "en"}), frozenset({"de", "zh"})}
    assert language_order(
        frame.filter(pl.col("query_lang").is_in(["ar", "de"]) & (pl.col("doc_lang") == "ar")), "map", "score"
    ) == ["ar", "de"]


def test_an_order_is_found_with_unknown_pairs() -> None:
    frame = pair_frame(["ar", "de", "en"], [[0.5, None, 0.1], [0.4, 0.9, 0.9], [None, 0.9, 0.9]])
    assert sorted(language_order(frame, "map", "similarity")) == ["ar", "de", "en"]


@given(st.lists(st.lists(st.floats(0, 1) | st.just(np.nan), min_size=4, max_size=4), min_size=4, max_size=4))
def test_cross_means_leave_the_diagonal_and_the_unknown_out(values: list[list[float]]) -> None:
    rows, columns = cross_means(np.array(values))
    for i in range(4):
        for mean, others in (
            (rows[i], [values[i][j] for j in range(4) if j != i]),
            (columns[i], [values[j][i] for j in range(4) if j != i]),
        ):
            known = [value for value in others if not np.isnan(value)]
            if known:
                assert mean == pytest.approx(sum(known) / len(known))
            else:
                assert np.isnan(mean)
