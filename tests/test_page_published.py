"""The page of published results: what is told, drawn and marked, with and without results of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import polars as pl
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from engine import published
from engine.ranks.schema import PUBLISHED_PAIRS
from engine.storage.store import Store
from tests import pages
from tests.exchange_builders import evaluated
from tests.oracle import random_collection

SMALL, M3 = "intfloat/multilingual-e5-small", "BAAI/bge-m3"


@pytest.fixture(autouse=True)
def empty(store: Store) -> Iterator[None]:
    """An empty cache, and nothing in streamlit's memory."""
    st.cache_resource.clear()
    yield
    st.cache_resource.clear()


def opened(task: str = "", **query: str) -> AppTest:
    named = {"task": published.TASKS[task].name} if task in published.TASKS else {"task": task} if task else {}
    return pages.open_page("published", **named, **query)


def pick(page: AppTest, task: str, *models: str) -> AppTest:
    return pages.sound(page.multiselect(key=f"models-{task}").set_value(list(models)).run())


def test_with_an_empty_cache_two_models_stand_side_by_side_with_their_difference():
    page = opened()
    assert {f"pairs-{SMALL}", f"pairs-{M3}", "difference", "plane-mono", "plane-mean"} == set(pages.chart_keys(page))
    shown = pages.heatmap(page, f"pairs-{M3}")
    assert shown.shape == (7, 7)
    # alphabetical by name: Arabic, Chinese, English, German, ...; German questions over Arabic passages
    assert shown[3, 0] == pytest.approx(0.56523)
    text = pages.text_of(page)
    assert "mteb 1.12.75, revision 5617a9f61b02" in text
    assert "those of MLQA-R sentences: another task" in text


def test_the_answer_names_what_was_picked_and_the_best():
    text = pages.text_of(opened())
    points = published.points(
        published.of_task(published.TASKS["MLQARetrieval"], published.shipped()), "hit@1", [("de", "ar")]
    )
    row = points.filter(model=M3).row(0, named=True)
    assert f"bge-m3 {row['mono']:.2f} within a language, {row['cross']:.2f} across" in text
    assert f"Best of 196: {points.sort('mean', nulls_last=True).drop_nulls()['model'][-1].rpartition('/')[2]}" in text


def test_the_pair_that_mteb_2_broke_is_marked_beside_the_heatmap_and_counted_by_version():
    page = opened()
    text = pages.text_of(page)
    assert "German → Arabic: R@1 0.002, where its row and column predict" in text
    assert "30 of 33 models measured with mteb 2.x (highest there: 0.002)" in text
    assert "0 of 163 models measured with mteb 1.x (highest there: 0.745)" in text
    frames = [shape["line"]["color"] for shape in pages.chart(page, f"pairs-{SMALL}")["layout"]["shapes"]]
    assert frames.count("#d1495b") == 1
    assert "#d1495b" not in str(pages.chart(page, f"pairs-{M3}")["layout"]["shapes"])
    difference = pages.heatmap(page, "difference")
    assert np.isnan(difference[3, 0])
    assert np.isnan(difference).sum() == 1


def test_faulty_pairs_can_be_counted_again():
    page = opened()
    before = pages.text_of(page)
    after = pages.text_of(pages.sound(page.toggle(key="leave-out").set_value(False).run()))
    assert "multilingual-e5-small 0.55 within a language, 0.41 across" in before
    assert "multilingual-e5-small 0.55 within a language, 0.40 across" in after
    assert "All means count it" in after


def test_without_a_model_of_mteb_2_the_fault_is_told_all_the_same():
    page = pick(opened(), "MLQARetrieval", M3)
    assert "pairs-" + M3 in pages.chart_keys(page)
    assert "difference" not in pages.chart_keys(page)
    assert "30 of 33" in pages.text_of(page)
    assert "where its row and column predict" not in pages.text_of(page).replace("what their row", "")


def test_four_models_stand_on_one_scale():
    models = [SMALL, M3, "sentence-transformers/LaBSE", "google/gemini-embedding-001"]
    page = pick(opened(), "MLQARetrieval", *models)
    scales = {(trace["zmin"], trace["zmax"]) for m in models for trace in pages.chart(page, f"pairs-{m}")["data"][:1]}
    assert scales == {(0.0, 1.0)}


def test_models_are_listed_by_name_and_coverage_and_what_is_picked_stays():
    page = opened()
    assert len(page.multiselect(key="models-MLQARetrieval").options) == 196
    page.slider(key="least-MLQARetrieval").set_value(10)
    assert len(pages.sound(page.run()).multiselect(key="models-MLQARetrieval").options) == 198
    page.text_input(key="name").set_value("LABSE")
    options = pages.sound(page.run()).multiselect(key="models-MLQARetrieval").options
    assert {SMALL, M3, "sentence-transformers/LaBSE"} <= set(options)
    assert len(options) < 10


@pytest.mark.parametrize("task", [key for key in published.TASKS if key != "MLQARetrieval"])
def test_every_task_is_drawn(task):
    page = opened(task)
    assert pages.chart_keys(page)
    for setting in page.selectbox(key="setting").options if published.TASKS[task].shape == "settings" else []:
        pages.sound(page.selectbox(key="setting").set_value(setting).run())
        for measure in published.measures(task, setting):
            pages.sound(page.selectbox(key="measure").set_value(measure).run())
            assert "rows" in pages.chart_keys(page)


def test_around_english_each_model_has_three_rows():
    page = opened("BelebeleRetrieval")
    shown = pages.heatmap(page, f"rows-{M3}")
    assert shown.shape == (3, 122)
    assert np.isnan(shown).sum(axis=1).tolist() == [0, 1, 1]  # English to English stands in the first
    assert pages.heatmap(page, "difference").shape == (3, 122)


def test_the_papers_models_stand_by_language_with_their_printed_mean():
    page = opened("xquad-r", setting="multi")
    shown = pages.heatmap(page, "rows")
    assert shown.shape == (6, 12)
    np.testing.assert_allclose(shown[:, -1], [0.6791, 0.6817, 0.6517, 0.5934, 0.5927, 0.5479])
    assert "Evaluate a checkpoint on xquad-r, and it stands here too" in pages.text_of(page)


def test_a_checkpoint_of_ones_own_stands_where_the_task_is_the_same_and_nowhere_else(store):
    collection = random_collection(np.random.default_rng(3), ("de", "en", "zh"), 4, 9, 1)
    seen = {"queries": 3, "passages": 0}
    evaluated(collection, store, opened_as="xquad-r", name="mine", seen_in_training=seen)
    evaluated(collection, store, opened_as="xquad-r", name="half", seed=1)
    key = next(key for key, about in store.entries("ranks") if about["encoder"]["name"] == "mine")
    page = opened("xquad-r", setting="cross")
    assert "mine (yours)" in page.multiselect(key="models-xquad-r").options
    figures = pl.read_json(store.path("ranks", key) / "figures.json")["query_langs"][0].to_list()
    rows = list(pages.chart(page, "rows")["layout"]["yaxis"]["ticktext"])
    shown = pages.heatmap(page, "rows")[rows.index("mine (yours)")]
    chinese = next(row["cross_map"] for row in figures if row["query_lang"] == "zh")
    assert shown[1] == pytest.approx(chinese)  # Arabic, Chinese, ...
    assert np.isnan(shown[0])
    assert "mine: not zero-shot: 3 queries" in pages.text_of(page)
    for other in ("mlqa-r", "MLQARetrieval"):
        assert not [name for name in opened(other).multiselect(key=f"models-{other}").options if "yours" in name]


@pytest.mark.parametrize("partial", [{"every": 2}, {"skipped": {"empty": 1}}, {"missing": 3}])
def test_a_part_of_the_collection_is_not_the_same_task(store, partial):
    collection = random_collection(np.random.default_rng(3), ("de", "en"), 4, 9, 1)
    one = evaluated(collection, store, name="mine")
    about = one.manifest.values()
    about["opened_as"] = {"collection": "xquad-r", "every": partial.get("every", 1), "skip_invalid": False}
    about["collection"] = about["collection"] | {"skipped": partial.get("skipped", {})}
    about["imported"] = {"missing": partial.get("missing", 0), "source": "run", "kind": "TREC run", "notes": []}
    with store.writing("ranks", "f" * 32, about) as folder:
        for file in store.path("ranks", one.key).iterdir():
            if file.name != "manifest.json":
                (folder / file.name).write_bytes(file.read_bytes())
    options = opened("xquad-r").multiselect(key="models-xquad-r").options
    assert not [name for name in options if "yours" in name]


def test_an_imported_result_stands_beside_the_published_ones(store):
    pairs = product(("ar", "de", "en", "es", "hi", "vi", "zh"), repeat=2)
    rows = [("MLQARetrieval", "me/mine", "r7", "2.9.0", *pair, 0.5, 0.6, 0.7, 0.8) for pair in pairs]
    about = {"task": "MLQARetrieval", "model": "me/mine", "revision": "r7", "version": "2.9.0", "split": "test"}
    with store.writing("imports", "e" * 32, about) as folder:
        pl.DataFrame(rows, schema=PUBLISHED_PAIRS, orient="row").write_parquet(folder / "pairs.parquet")
    page = opened()
    assert (pages.heatmap(page, "pairs-me/mine (imported)") == 0.5).all()
    text = pages.text_of(page)
    assert "mine (imported) 0.50 within a language, 0.50 across" in text
    assert "30 of 34 models measured with mteb 2.x" in text
