"""The ratio explorer: what it shows is what was evaluated; what is not trained is said to be interpolated."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from engine import evaluations
from engine.collections.opening import open_collection
from engine.encoders.resolve import open_encoder
from engine.evaluation.evaluate import evaluate
from engine.evaluation.manifest import OpenedAs
from engine.storage import jobs as background
from engine.storage.manifest import MANIFEST
from engine.storage.store import Store
from tests.pages import cells, chart, copy_of, numbers, open_page, options_of, passages, sound, text_of

Started = list[tuple[str, ...]]


def _figures(store: Store) -> dict[float | None, list[dict]]:
    """Stored figures of every evaluation by ratio; of the untrained encoder under None."""
    found: dict[float | None, list[dict]] = {}
    for one in evaluations(store):
        recipe = one.manifest.recipe
        found.setdefault(recipe and recipe["alpha"], []).append(one.figures())
    return found


def _mean(store: Store, alpha: float | None, setting: str, metric: str) -> float:
    return float(np.mean([figures["settings"][setting][metric] for figures in _figures(store)[alpha]]))


def _pair_grid(store: Store, alpha: float | None, metric: str) -> np.ndarray:
    """Means of the pairs over the seeds, languages by name; query languages down."""
    names = "ar zh en de el hi ru es th tr vi".split()  # noqa: SIM905 - in the order of their English names
    grids = []
    for figures in _figures(store)[alpha]:
        values = {(pair["query_lang"], pair["doc_lang"]): pair[metric] for pair in figures["pairs"]}
        grids.append([[values[query, document] for document in names] for query in names])
    return np.mean(grids, axis=0)


def test_on_a_fresh_machine_it_starts_the_demo_and_says_what_else_there_is(store: Store, started: Started) -> None:
    page = open_page()
    [command] = started
    assert command[0] == "sweep"
    asked = options_of(command)
    assert (asked.train, asked.eval) == ("demo-train", ["demo"])
    assert asked.alphas[:3] == [0, 0.5, 1] and len(asked.seeds) > 1
    assert asked.batch_size < 96  # of so many questions a language
    assert "demo" in text_of(page)
    links = [link.proto.label for link in page.get("page_link")]
    assert any("XQuAD-R" in label for label in links) and len(links) == 2
    assert not page.get("plotly_chart")


@pytest.mark.parametrize(("state", "said"), [("failed", "no space left"), ("stopped", "was stopped")])
def test_a_demo_run_that_failed_or_was_stopped_is_not_started_again_by_itself(
    store: Store, started: Started, monkeypatch: pytest.MonkeyPatch, state: str, said: str
) -> None:
    open_page()
    [command] = started
    ended = background.Run("k", "demo", command, state, "", 0.0, None, "", "no space left", 0.0, 0.0)
    monkeypatch.setattr(background, "all_runs", lambda _: [ended])
    page = open_page()
    assert len(started) == 1
    assert said in text_of(page)
    page.button(key="demo").click().run()
    assert started[1:] and set(started) == {command}


def test_the_numbers_are_the_means_over_seeds_of_what_was_evaluated(demo_cache: Store) -> None:
    page = open_page(alpha="0.5")
    shown = text_of(page)
    for setting in ("mono", "cross", "multi"):
        assert f"{_mean(demo_cache, 0.5, setting, 'map'):.3f}" in shown
        change = 100 * (_mean(demo_cache, 0.5, setting, "map") - _mean(demo_cache, None, setting, "map"))
        assert f"{change:+.1f} points" in shown
    assert f"{_mean(demo_cache, 0.5, 'multi', 'rank_distance'):.0f}" in shown
    np.testing.assert_allclose(cells(page, "at"), _pair_grid(demo_cache, 0.5, "map"), atol=0.0051)
    difference = _pair_grid(demo_cache, 0.5, "map") - _pair_grid(demo_cache, None, "map")
    np.testing.assert_allclose(cells(page, "difference"), 100 * difference, atol=0.051)
    best = max((0.0, 0.5, 1.0), key=lambda alpha: _mean(demo_cache, alpha, "multi", "map"))
    assert f"alpha = {best:g} scores highest" in shown
    assert f"{_mean(demo_cache, best, 'multi', 'map'):.3f}" in shown
    curve = chart(page, "curve-multi_map")["data"]
    [seen] = [values for trace in curve if (values := numbers(trace["y"])).size == 9]
    stored = [one["settings"]["multi"]["map"] for alpha in (0.0, 0.5, 1.0) for one in _figures(demo_cache)[alpha]]
    np.testing.assert_allclose(sorted(seen), sorted(stored), atol=1e-9)


RED, GREEN, GREY = range(3)  # of streamlit's metric


def test_a_difference_is_green_where_it_is_better_red_where_worse_and_grey_where_not_significant(
    demo_cache: Store,
) -> None:
    page = open_page(alpha="0", reference="alpha = 1")
    notes = [caption.value for caption in page.caption if "not significant" in caption.value or "p " in caption.value]
    assert len(page.metric) == len([note for note in notes if note.startswith("95 %: ")]) == 4
    for tile, note in zip(page.metric, notes, strict=False):
        better = tile.delta.startswith("-") == (tile.label == "rank distance")
        expected = GREY if "not significant" in note else GREEN if better else RED
        assert tile.proto.color == expected, (tile.label, tile.delta, note)


def test_slider_metric_and_reference_change_what_is_drawn(demo_cache: Store) -> None:
    page = open_page(alpha="0.5")
    before = cells(page, "at")
    sound(page.slider(key="alpha").set_value(0.0).run())
    assert f"{_mean(demo_cache, 0.0, 'multi', 'map'):.3f}" in text_of(page)
    assert not np.allclose(cells(page, "at"), before)
    sound(page.selectbox(key="score").set_value("hit@1").run())
    np.testing.assert_allclose(cells(page, "at"), _pair_grid(demo_cache, 0.0, "hit@1"), atol=0.0051)
    assert f"{_mean(demo_cache, 0.0, 'mono', 'hit@1'):.3f}" in text_of(page)
    sound(page.selectbox(key="reference").select("alpha = 1").run())
    difference = _pair_grid(demo_cache, 0.0, "hit@1") - _pair_grid(demo_cache, 1.0, "hit@1")
    np.testing.assert_allclose(cells(page, "difference"), 100 * difference, atol=0.051)


def test_between_trained_ratios_values_are_marked_as_interpolated_and_training_is_offered(
    demo_cache: Store, started: Started
) -> None:
    page = open_page(alpha="0.25")
    between = (_mean(demo_cache, 0.0, "multi", "map") + _mean(demo_cache, 0.5, "multi", "map")) / 2
    assert f"≈ {between:.3f}" in text_of(page)
    assert "interpolated" in text_of(page)
    middle = (_pair_grid(demo_cache, 0.0, "map") + _pair_grid(demo_cache, 0.5, "map")) / 2
    np.testing.assert_allclose(cells(page, "at"), middle, atol=0.0051)
    assert not started
    page.button(key="train-now").click().run()
    [command] = started
    asked = options_of(command)
    assert (asked.encoder, asked.train, asked.eval) == ("multilingual-e5-small", "demo-train", ["demo"])
    assert (asked.alphas, asked.seeds, asked.every) == ([0.25], [0, 1, 2], 1)
    assert (asked.steps, asked.batch_size, asked.method) == (20, 48, "head")


def test_evaluations_that_no_sweep_made_are_added_to_by_the_names_of_their_recipe(
    demo_store: Store, started: Started, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = copy_of(demo_store, tmp_path / "cache")
    monkeypatch.setenv("HYBRID_BATCH_CACHE", str(store.root))
    for key, about in list(store.entries("ranks")):
        manifest = store.path("ranks", key) / MANIFEST
        manifest.unlink()  # it is a link to the other cache's
        kept = {part: about["opened_as"][part] for part in ("collection", "every", "skip_invalid", "encoder")}
        manifest.write_text(json.dumps(about | {"opened_as": kept}), encoding="utf-8")
    open_page(alpha="0.75").button(key="train-now").click().run()
    asked = options_of(started[0])
    assert (asked.encoder, asked.train, asked.eval) == ("multilingual-e5-small", "demo-train", ["demo"])


def test_what_arrives_in_the_cache_shows_without_a_restart(store: Store, demo_store: Store, started: Started) -> None:
    page = open_page()
    assert not page.get("plotly_chart")
    shutil.copytree(demo_store.root, store.root, copy_function=os.link, dirs_exist_ok=True)
    sound(page.run())
    assert cells(page, "at").shape == (11, 11)
    assert open_page("pairs").selectbox(key="checkpoint").options[-1].startswith("multilingual-e5-small")


def test_at_a_trained_ratio_nothing_is_called_interpolated(demo_cache: Store) -> None:
    page = open_page(alpha="1")
    assert "interpolated" not in text_of(page).lower() and "≈" not in text_of(page)
    assert not [button for button in page.button if button.key == "train-now"]


def test_the_address_sets_the_selection_and_nonsense_in_it_does_no_harm(demo_cache: Store) -> None:
    page = open_page(alpha="1", score="R@1", reference="alpha = 0", query="German de")
    assert page.slider(key="alpha").value == 1.0
    assert page.selectbox(key="score").value == "hit@1"
    assert page.selectbox(key="reference").value == "alpha = 0"
    assert page.selectbox(key="query").value == "de"
    wild = open_page(
        alpha="7", score="nonsense", reference="alpha = 9", collection="nowhere", sweep="x", query="Klingon"
    )
    assert 0 <= wild.slider(key="alpha").value <= 1
    assert wild.selectbox(key="score").value == "map" and wild.selectbox(key="collection").value == "demo"
    assert cells(wild, "at").shape == (11, 11)


def test_weights_move_the_recommended_ratio_and_must_not_all_be_zero(demo_cache: Store) -> None:
    page = open_page(**{"weight-mono": "3", "weight-cross": "0", "weight-multi": "0"})
    best = max((0.0, 0.5, 1.0), key=lambda alpha: _mean(demo_cache, alpha, "mono", "map"))
    assert f"alpha = {best:g}" in text_of(page)
    utility = chart(page, "utility")["data"]
    assert utility
    sound(page.slider(key="weight-mono").set_value(0.0).run())
    assert "at least one weight" in text_of(page)


def test_the_example_shows_what_was_retrieved_on_both_sides_and_arabic_right_to_left(demo_cache: Store) -> None:
    page = open_page(alpha="0", query="Arabic ar")
    chosen, reference = passages(page)
    question = page.selectbox(key="changed-question").value
    collection = open_collection("demo", demo_cache)
    seed_0 = {
        one.manifest.recipe and one.manifest.recipe["alpha"]: one
        for one in evaluations(demo_cache)
        if not one.manifest.recipe or one.manifest.recipe["seed"] == 0
    }
    for rows, alpha in ((chosen, 0.0), (reference, None)):
        top = seed_0[alpha].top()
        mine = top.filter((top["question"] == question) & (top["query_lang"] == "ar")).sort("rank")
        expected = [collection.corpus.texts[document] for document in mine["doc"][:6]]
        assert [text for _, _, text in rows[:6]] == expected
        assert {direction for name, direction, _ in rows if name == "Arabic"} <= {"rtl"}
        assert {direction for name, direction, _ in rows if name != "Arabic"} <= {"ltr"}
    assert '<span lang="ar" dir="rtl">' in "".join(element.proto.body for element in page.get("html"))


def test_it_warns_when_checkpoints_are_shown_on_texts_that_they_were_trained_on(
    demo_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = copy_of(demo_store, tmp_path / "cache")
    monkeypatch.setenv("HYBRID_BATCH_CACHE", str(store.root))
    trained = open_collection("demo-train", store)
    for key, about in store.entries("checkpoints"):
        if about["recipe"]["seed"] == 0:
            opened = {"collection": "demo-train", "every": 1, "skip_invalid": False, "encoder": key}
            evaluate(open_encoder(key, store), trained, store, opened_as=OpenedAs(**opened))
    page = open_page(collection="demo-train")
    assert page.selectbox(key="collection").value == "demo-train"
    assert any("Not zero-shot" in warning.value for warning in page.warning)
    pairs = open_page("pairs", collection="demo-train")
    assert any("Not zero-shot" in warning.value for warning in pairs.warning)
    assert not open_page("pairs", collection="demo").warning
    assert not open_page(collection="demo").warning
