"""The page of import and export, and what other pages show of what was imported."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import polars as pl
import pytest

from dashboard.cached import exchange as data
from dashboard.cached import published
from engine import exchange
from engine.encoders.resolve import open_encoder
from engine.evaluation.evaluate import evaluate, evaluations
from engine.published import IMPORTED
from engine.storage.store import Store
from engine.training.train import train
from tests.checkpoints import tiny_bert
from tests.exchange_builders import evaluated, new_layout, same_ranks, subset, write_result
from tests.pages import heatmap, open_page, text_of
from tests.training_builders import made_up_collection, recipe_for


@pytest.fixture(autouse=True)
def fresh(store: Store) -> None:
    """Nothing in streamlit's memory, and a cache of one's own."""
    import streamlit as st

    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def run(tiny_collection, tiny_folder, store, tmp_path) -> Path:
    """A TREC run of depth 5 from elsewhere, with all that belongs to it; nothing else is in the store."""
    evaluation = evaluated(tiny_collection, store, top_k=5, opened_as=str(tiny_folder), name="their model")
    exchange.export_evaluation(evaluation, store, tmp_path / "theirs", ["trec"])
    store.delete("ranks", evaluation.key)
    return tmp_path / "theirs"


def test_without_anything_the_page_says_so(store) -> None:
    page = open_page("exchange")
    assert "there is nothing to take out" in text_of(page)
    assert page.button(key="import").disabled


def test_a_run_on_this_machine_is_imported_and_shown_with_its_limits(run, store) -> None:
    page = open_page("exchange")
    page.text_input(key="import-path").input(str(run / "multi.run"))
    page.run().button(key="import").click().run()
    assert "Imported: their model on tiny, 36 relevant passages" in text_of(page)
    [found] = evaluations(store)
    assert found.about["imported"]["missing"] > 0
    for name in ("pairs", "bias", "examples"):
        shown = text_of(open_page(name))
        assert "Imported from multi.run (TREC run)" in shown
        assert "5 long at most" in shown
        assert "lower bounds" in shown


def test_a_bad_file_is_told_and_the_others_are_imported(run, store) -> None:
    (run / "broken.run").write_text("q0-ar Q0 ar-0 1\n")
    (run / "broken.qrels").write_text("q0-ar 0 ar-0 1\n")
    page = open_page("exchange")
    page.text_input(key="import-path").input(str(run)).run().button(key="import").click().run()
    [error] = page.error
    assert "broken.run:1: 'q0-ar Q0 ar-0 1' came; expected is query, Q0, passage, rank, score, tag" in error.value
    assert "Imported: their model on tiny" in text_of(page)
    assert len(list(evaluations(store))) == 1


def test_uploaded_files_that_belong_together_are_one_import(run, store) -> None:
    contents = {
        file.name: file.read_bytes() for file in run.iterdir() if file.name.startswith(("multi", "lang", "eval"))
    }
    found, faults = data.bring(contents, None, "uploaded")
    assert faults == []
    assert [one.title for one in found] == ["uploaded on tiny, 36 relevant passages"]
    del contents["languages.tsv"]
    [fault] = data.bring(contents, None, None)[1]
    assert fault.startswith("multi.run: a run alone tells no languages")


def test_an_upload_cannot_leave_its_folder(store, tmp_path) -> None:
    outside = tmp_path / "outside.json"
    _, faults = data.bring({f"../../..{outside}": b"{}"}, None, None)
    assert "outside.json: names no task" in faults[0]
    assert not outside.exists()


def test_an_imported_mteb_result_is_shown_as_a_heatmap(store, tmp_path) -> None:
    rows = [subset("zho-ara", "zho-Hans", "ara-Arab"), subset("ara-ara", "ara-Arab", "ara-Arab", shift=0.1)]
    exchange.import_file(write_result(tmp_path / "r", new_layout(test=rows)), store)
    page = open_page("exchange")
    values = heatmap(page, "imported")
    assert page.selectbox(key="result").value.startswith("org/m (imported")
    assert page.selectbox(key="result").value.endswith(" on MLQARetrieval")
    assert values[0][:2].tolist() == pytest.approx([0.6, 0.5])  # Arabic queries: on Arabic, on Chinese passages


def test_imported_results_stand_beside_the_shipped_ones_under_names_of_their_own(store, tmp_path) -> None:
    content = new_layout(test=[subset("zho-ara", "zho-Hans", "ara-Arab")])
    shipped = published.results("MLQARetrieval").height
    for version in ("1.18.0", "2.1.0"):
        file = write_result(tmp_path / version, content | {"mteb_version": version}, meta=("BAAI/bge-m3", "rev1"))
        exchange.import_file(file, store)
    results = published.results("MLQARetrieval")
    assert results.height == shipped + 2
    found = results.filter(pl.col("model").str.starts_with("BAAI/bge-m3 "))
    assert found["model"].n_unique() == 2
    assert found["model"].str.contains(IMPORTED, literal=True).all()
    assert found["ndcg@10"].to_list() == [0.625, 0.625]
    assert results.filter(pl.col("model") == "BAAI/bge-m3").height == 49
    open_page("published")


def test_an_evaluation_is_zipped_in_the_chosen_formats(tiny_collection, tiny_folder, store, tmp_path) -> None:
    evaluation = evaluated(tiny_collection, store, opened_as=str(tiny_folder))
    archive = zipfile.ZipFile(io.BytesIO(data.zipped(evaluation.key, ["trec", "csv"])))
    archive.extractall(tmp_path / "out")
    assert {name.split("/")[0] for name in archive.namelist()} == {"trec", "csv"}
    found = exchange.import_file(tmp_path / "out" / "csv" / "ranks.csv", store)
    assert same_ranks(evaluation, next(e for e in evaluations(store) if e.key == found.key))


def test_formats_that_need_the_texts_are_offered_where_they_are_there(tiny_collection, tiny_folder, store) -> None:
    evaluated(tiny_collection, store, name="without")
    page = open_page("exchange")
    assert page.button_group(key="export-formats").options == ["mteb", "parquet", "csv"]
    evaluated(tiny_collection, store, name="with", opened_as=str(tiny_folder))
    page = open_page("exchange")
    assert page.selectbox(key="export-evaluation").value == "with on tiny"
    assert page.button_group(key="export-formats").options == list(exchange.FORMATS)


def test_ranks_without_lists_or_texts_do_not_bring_a_page_down(tiny_collection, store, tmp_path) -> None:
    evaluation = evaluated(tiny_collection, store)
    file = tmp_path / "bare" / "ranks.parquet"
    file.parent.mkdir()
    evaluation.ranks().write_parquet(file)
    store.delete("ranks", evaluation.key)
    exchange.import_file(file, store)
    for name in ("pairs", "bias", "examples", "explorer", "evaluate", "exchange"):
        open_page(name)
    assert "No frame top came with it" in text_of(open_page("pairs"))


def test_a_checkpoint_is_written_into_a_folder(tiny_collection, store, tmp_path) -> None:
    base = tiny_bert(tmp_path / "base", as_sentence_transformer=True)
    key = train(*recipe_for(base, made_up_collection()), store)
    evaluate(open_encoder(key, store), tiny_collection, store)
    page = open_page("exchange")
    page.text_input(key="export-folder").input(str(tmp_path / "mine")).run()
    page.button(key="write-checkpoint").click().run()
    assert "files written to" in text_of(page)
    assert json.loads((tmp_path / "mine" / "recipe.json").read_text())["collection_name"] == "made up"
    assert "this checkpoint" in (tmp_path / "mine" / "README.md").read_text()
