"""Sentences and tiles of pages by value, on small made-up frames."""

from __future__ import annotations

from types import SimpleNamespace

import polars as pl
import pytest

from dashboard.screens.bias.curves import ends
from dashboard.screens.explorer.scores import Score, scores_of
from dashboard.screens.explorer.sides import Side
from dashboard.screens.explorer.tiles import get_tile


def bias_tests(*rows: tuple[str, bool | None, float, float | None, float | None, float | None]) -> pl.DataFrame:
    """Measure, whether the first is more biased, difference, its interval, and p."""
    return pl.DataFrame(
        [
            {"measure": name, "more": more, "one": 100.0 + difference, "other": 100.0, "difference": difference}
            | {"low": low, "high": high, "p": p, "p_holm": p}
            for name, more, difference, low, high, p in rows
        ],
        schema_overrides={
            "more": pl.Boolean,
            "low": pl.Float64,
            "high": pl.Float64,
            "p": pl.Float64,
            "p_holm": pl.Float64,
        },
    )


def test_the_ends_of_the_scale_are_told_apart_as_far_as_the_tests_go() -> None:
    tests = bias_tests(
        ("rank_distance", True, 20.0, 10.0, 30.0, 0.0004),
        ("own_share", True, 0.2, 0.1, 0.3, 0.049),
        ("own_advantage", False, -1.0, -2.0, -0.5, 0.01),
        ("document_effect", True, 0.1, -0.1, 0.3, 0.01),
        ("rank_correlation", False, -0.1, -0.2, -0.05, 0.05),
    )
    assert ends(tests, 0.25, 1.0) == (
        "Of 5 measures, **2** show alpha = 1 as more biased than alpha = 0.25, **1** as less biased, and 2 find "
        "no significant difference in bias (5 % level, Holm's correction). Rank distance: 100 against 120; difference "
        "20 (10 to 30), p < 0.001."
    )


def test_without_an_interval_no_end_is_more_biased() -> None:
    text = ends(bias_tests(("rank_distance", True, -3.0, None, None, None)), 0.0, 1.0)
    assert "**0** show alpha = 1 as more biased" in text
    assert "1 find no significant difference in bias" in text
    assert text.endswith("Rank distance: 100 against 97; difference −3.")


SCORES = {"multi_map": 0.5, "rank_distance": 300.0}


def side(scores: dict[str, float], *, interpolated: bool = False) -> Side:
    return Side("alpha = 1", scores, None, interpolated, None, None, None)


def compared(measure: str, difference: float, p: float | None, reach: float = 0.01) -> pl.DataFrame:
    row = {"measure": measure, "setting": "multi", "query_lang": None, "p": p}
    row |= {"low": None, "high": None} if p is None else {"low": difference - reach, "high": difference + reach}
    cell = row | {"query_lang": "ar", "low": -9.0, "high": 9.0, "p": 0.9}
    return pl.DataFrame([cell, row], infer_schema_length=None)


@pytest.mark.parametrize(
    ("measure", "other", "frame", "delta", "colour", "note"),
    [
        ("map", 0.45, None, "+5.0 points", "normal", ""),
        ("map", 0.45, compared("map", 0.05, 0.02), "+5.0 points", "normal", "95 %: +4.0 to +6.0, p = 0.020"),
        (
            "map",
            0.55,
            compared("map", -0.05, 0.05),
            "-5.0 points",
            "off",
            "95 %: −6.0 to −4.0, p = 0.050: not significant",
        ),
        ("map", 0.45, compared("map", 0.05, None), "+5.0 points", "off", "too few questions for an interval"),
        ("map", 0.5, None, None, "normal", ""),
        ("map", None, None, None, "normal", ""),
        ("rank_distance", 280.0, None, "+20 ranks", "inverse", ""),
        (
            "rank_distance",
            320.0,
            compared("rank_distance", -20.0, 0.001, 5.0),
            "-20 ranks",
            "inverse",
            "95 %: −25 to −15, p = 0.001",
        ),
        (
            "rank_distance",
            301.0,
            compared("rank_distance", -1.0, 0.4, 5.0),
            "-1 ranks",
            "off",
            "95 %: −6 to +4, p = 0.400: not significant",
        ),
    ],
)
def test_a_difference_is_green_where_it_is_better_and_grey_where_it_is_not_significant(
    measure: str, other: float | None, frame: pl.DataFrame | None, delta: str | None, colour: str, note: str
) -> None:
    column = measure if measure == "rank_distance" else f"multi_{measure}"
    reference = side({} if other is None else {column: other})
    tile = get_tile(side(SCORES), reference, Score(measure, "multi", "its title"), frame)
    assert tile is not None
    assert (tile.delta, tile.colour, tile.note) == (delta, colour, note)
    assert (tile.title, tile.value) == ("its title", "300" if measure == "rank_distance" else "0.500")


@pytest.mark.parametrize(
    ("pictures", "columns"),
    [
        (0, ["mono_map", "cross_map", "multi_map", "rank_distance"]),
        (3, ["caption-picture_map", "picture-caption_map", "multi_map", "rank_distance"]),
    ],
)
def test_a_sweep_over_pictures_shows_directions_in_place_of_settings(pictures: int, columns: list[str]) -> None:
    family = SimpleNamespace(has_pictures=pictures > 0)
    assert [score.column for score in scores_of(family, "map")] == columns


def test_interpolated_scores_are_marked_and_unknown_ones_have_no_tile() -> None:
    tile = get_tile(side(SCORES, interpolated=True), side({}), Score("map", "multi", "multi mAP"), None)
    assert tile is not None
    assert tile.value == "≈ 0.500"
    assert get_tile(side(SCORES), side(SCORES), Score("map", "mono", "mono mAP"), None) is None
