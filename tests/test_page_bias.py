"""The page of language bias: every section shows what the engine measures, and warnings stand above the numbers."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from engine import bias, evaluations
from engine.collections.opening import open_collection
from engine.evaluation import checks
from engine.evaluation.evaluate import Evaluation
from engine.storage.store import Store
from engine.sweeps import results
from tests.pages import chart, chart_keys, heatmap, numbers, open_page, text_of

BY_NAME = ("ar", "zh", "en", "de", "el", "hi", "ru", "es", "th", "tr", "vi")
UNTRAINED = {"checkpoint": "multilingual-e5-small"}


def _untrained(store: Store) -> Evaluation:
    [found] = [one for one in evaluations(store) if one.manifest.recipe is None]
    return found


def _candidates(store: Store) -> dict[str, int]:
    return bias.candidates_of(open_collection("demo", store))


def _grid(frame: pl.DataFrame, column: str, other: str = "doc_lang") -> np.ndarray:
    values = {(row["query_lang"], row[other]): row[column] for row in frame.to_dicts()}
    return np.array([[values.get((one, two), np.nan) for two in BY_NAME] for one in BY_NAME])


def test_without_an_evaluation_it_says_what_to_do(store: Store) -> None:
    page = open_page("bias")
    assert "Nothing is evaluated yet" in text_of(page)
    assert [link.proto.label for link in page.get("page_link")] == ["Fetch and evaluate"]


def test_its_first_sentence_and_picture_are_the_suite_s(demo_cache: Store) -> None:
    one = _untrained(demo_cache)
    found = bias.suite(one.ranks(), one.top(), _candidates(demo_cache)).measures
    page = open_page("bias", **UNTRAINED)
    value = {row["measure"]: row for row in found.to_dicts()}
    for name in ("rank_distance", "own_share"):
        row, write = value[name], bias.MEASURES[name].write
        assert f"{write(row['value'])} ({write(row['low'])} to {write(row['high'])})" in text_of(page)
        assert write(row["random"]) in text_of(page)
    dots = [numbers(trace["x"])[0] for trace in chart(page, "suite")["data"][2::3]]
    judged = [row["value"] for name, row in value.items() if bias.MEASURES[name].direction != "neither"]
    np.testing.assert_allclose(dots, judged)


def test_numbers_and_definitions_are_at_hand(demo_cache: Store) -> None:
    page = open_page("bias", **UNTRAINED)
    table = page.dataframe[0].value
    assert list(table["measure"]) == [bias.MEASURES[name].label for name in bias.RANK_MEASURES]
    assert set(table["less biased"]) == set(bias.DIRECTIONS.values())
    text = text_of(page)
    assert all(bias.MEASURES[name].source in text for name in bias.RANK_MEASURES)
    assert "PEER" in text


def test_the_own_language_s_section_holds_its_matrix_and_shares(demo_cache: Store) -> None:
    one = _untrained(demo_cache)
    page = open_page("bias", section="Own language", **UNTRAINED)
    matrix = bias.advantage_matrix(one.ranks())
    np.testing.assert_allclose(heatmap(page, "advantage"), _grid(matrix, "advantage"))
    own = matrix.filter(pl.col("query_lang") == pl.col("doc_lang"))["advantage"].mean()
    assert f"{2**own:,.0f} times further up" in text_of(page)
    fair = sorted(numbers(chart(page, "shares")["data"][1]["x"]))
    counts = _candidates(demo_cache)
    np.testing.assert_allclose(fair, sorted(100 * count / sum(counts.values()) for count in counts.values()))


def test_the_first_results_section_stacks_to_a_hundred(demo_cache: Store) -> None:
    page = open_page("bias", section="First result", **UNTRAINED)
    bars = chart(page, "outcomes")["data"]
    np.testing.assert_allclose(sum(numbers(bar["x"]) for bar in bars), np.full(11, 100.0))
    one = _untrained(demo_cache)
    hits = one.figures()["settings"]["multi"]["hit@1"]
    assert f"right for {100 * hits:.1f} %" in text_of(page)


def test_the_section_of_document_languages_names_those_that_the_test_tells_apart(demo_cache: Store) -> None:
    one = _untrained(demo_cache)
    effect, pushed = bias.document_effect(one.ranks()), bias.pushed(one.ranks())
    page = open_page("bias", section="Pushed down", **UNTRAINED)
    assert f"χ² = {effect.statistic:,.0f}" in text_of(page)
    behind = pushed.filter((pl.col("p_holm") < 0.05) & (pl.col("place") > 0.5))
    [red] = [trace for trace in chart(page, "documents")["data"] if trace["name"] == "pushed down"]
    np.testing.assert_allclose(sorted(numbers(red["x"])), sorted(100 * behind["place"]))


def test_the_section_of_rank_distance_keeps_its_three_figures(demo_cache: Store) -> None:
    page = open_page("bias", section="Rank distance", **UNTRAINED)
    assert chart_keys(page) == ["distance", "boxes", "median_ranks"]
    one = _untrained(demo_cache)
    np.testing.assert_allclose(10 ** heatmap(page, "median_ranks"), _grid(bias.pool_ranks(one.ranks()), "median_rank"))


def test_the_section_of_removed_answers_holds_both_probes(demo_cache: Store) -> None:
    one = _untrained(demo_cache)
    page = open_page("bias", section="Answers removed", **UNTRAINED)
    np.testing.assert_allclose(heatmap(page, "targets"), _grid(bias.one_target(one.ranks()), "mrr"))
    table = page.dataframe[0].value
    removed = bias.removals(one.ranks(), one.pool)
    assert table["without_own"].iloc[-1] == pytest.approx(removed["without_own"].mean())
    assert table["map"].iloc[-1] == pytest.approx(one.figures()["settings"]["multi"]["map"])


def test_the_section_of_agreement_holds_the_correlations(demo_cache: Store) -> None:
    one = _untrained(demo_cache)
    page = open_page("bias", section="Agreement", **UNTRAINED)
    matrix = bias.agreement_matrix(one.top(), one.pool, 10)
    np.testing.assert_allclose(heatmap(page, "agreement"), _grid(matrix, "correlation", "other_lang"))


def test_the_section_of_vectors_reads_the_language_from_those_in_the_store(demo_cache: Store) -> None:
    page = open_page("bias", section="Vectors", **UNTRAINED)
    assert "reads the language of an unseen passage" in text_of(page)
    passages = _untrained(demo_cache).ranks()["doc"].n_unique()
    assert sum(len(numbers(trace["x"])) for trace in chart(page, "map")["data"]) == passages
    assert heatmap(page, "means").shape == (11, 11)


def test_the_section_of_the_ratio_holds_every_measure_s_curve_and_tests_its_ends(demo_cache: Store) -> None:
    [family] = results.families(list(evaluations(demo_cache)))
    candidates = _candidates(demo_cache)
    systems: dict[float, list[bias.BiasSums]] = {}
    for recipe, one in family.evaluations:
        systems.setdefault(recipe.alpha, []).append(bias.bias_sums(one.ranks(), one.top(), candidates))
    curves = bias.curves(systems)
    page = open_page("bias", section="Against alpha", **UNTRAINED)
    judged = [name for name in bias.RANK_MEASURES if bias.MEASURES[name].direction != "neither"]
    assert chart_keys(page) == [f"curve-{name}" for name in judged]
    for name in judged:
        line = chart(page, f"curve-{name}")["data"][0]
        expected = curves.filter(pl.col("measure") == name)
        np.testing.assert_allclose(numbers(line["x"]), expected["alpha"])
        np.testing.assert_allclose(numbers(line["y"]), expected["value"])
    tests = bias.compare_systems(systems[1.0], systems[0.0])
    distance = tests.filter(pl.col("measure") == "rank_distance").row(0, named=True)
    assert f"Rank distance: {distance['other']:,.0f} against {distance['one']:,.0f}" in text_of(page)
    assert f"Of {len(judged)} measures" in text_of(page)


def test_severe_alarms_are_warnings_and_notes_wait_to_be_opened(demo_cache: Store, monkeypatch) -> None:
    rows = [
        ("low cell", "ar-de", "arabic → German is low", "severe"),
        ("duplicate candidates", "ar", "one repeats", "note"),
        ("duplicate candidates", "de", "two repeat", "note"),
    ]
    found = pl.DataFrame(rows, schema=checks.ALARMS, orient="row")
    monkeypatch.setattr(checks, "find", lambda about, pairs, collection: found)
    page = open_page("bias", **UNTRAINED)
    assert [warning.value for warning in page.warning] == ["Arabic → German is low."]
    [expander] = [one for one in page.expander if "notes" in one.label]
    assert expander.label == "2 notes on the data"
    assert expander.markdown[0].value == "- One repeats.\n- Two repeat."


def test_data_without_fault_raises_no_alarm(demo_cache: Store) -> None:
    page = open_page("bias", **UNTRAINED)
    assert not page.warning
    assert not [one for one in page.expander if "note" in one.label.lower()]
