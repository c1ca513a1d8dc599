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
    assert found.manifest.imported.missing > 0
    for name in ("pairs", "bias", "examples"):
        shown = text_of(open_page(name))
        assert "Imported from multi.run (TREC run)" in shown
        assert "at most 5 passages" in shown
        assert "lower bounds" in shown


def test_a_bad_file_is_told_and_the_others_are_imported(run, store) -> None:
    (run / "broken.run").write_text("q0-ar Q0 ar-0 1 0.5 x\nq0-ar Q0 ar-1 2\n")
    (run / "broken.qrels").write_text("q0-ar 0 ar-0 1\n")
    page = open_page("exchange")
    page.text_input(key="import-path").input(str(run)).run().button(key="import").click().run()
    assert len(page.error) == 1
    assert "broken.run:2: expected query, Q0, passage, rank, score, tag; got 'q0-ar Q0 ar-1 2'" in text_of(page)
    assert "Imported: their model on tiny" in text_of(page)
    assert len(list(evaluations(store))) == 1


def uploads(folder: Path, *names: str) -> list[tuple[str, bytes]]:
    """Files of a folder as the page gets them; each name may be followed by another one that it is given."""
    pairs = [name.split(" as ") for name in names]
    return [(pair[-1], (folder / pair[0]).read_bytes()) for pair in pairs]


def test_uploaded_files_that_belong_together_are_one_import(run, store) -> None:
    contents = uploads(run, "multi.run", "multi.qrels", "languages.tsv", "evaluation.json")
    outcome = data.bring(contents, None, "uploaded")
    assert outcome.faults == []
    assert [one.title for one in outcome.imported] == ["uploaded on tiny, 36 relevant passages"]
    assert outcome.notes == ["multi.run was read with multi.qrels and languages.tsv."]
    [fault] = data.bring([file for file in contents if file[0] != "languages.tsv"], None, None).faults
    assert fault.startswith("multi.run: a run alone names no languages")
    assert "--" not in fault


def test_what_a_file_is_comes_from_its_content(run, store) -> None:
    contents = uploads(run, "multi.run as run.tsv", "multi.qrels as run.qrels", "languages.tsv as map.txt")
    outcome = data.bring(contents, None, None)
    assert (len(outcome.imported), outcome.faults) == (1, [])
    contents = uploads(run, "multi.run as a.json", "multi.qrels as b.parquet", "languages.tsv as c.run")
    outcome = data.bring(contents, None, None)
    assert (len(outcome.imported), outcome.faults) == (1, [])


def test_the_same_upload_twice_is_one_entry_with_a_lasting_name(run, store) -> None:
    contents = uploads(run, "multi.run as mine.run", "multi.qrels as mine.qrels", "languages.tsv")
    [first], [second] = (data.bring(contents, None, None).imported for _ in range(2))
    assert (first.new, second.new, first.key) == (True, False, second.key)
    assert first.title == "their_model on uploaded collection, 36 relevant passages"
    assert len(list(evaluations(store))) == 1


def test_uploaded_judgements_are_used_with_a_collection_too(run, tiny_folder, store) -> None:
    lines = (run / "multi.qrels").read_text().splitlines()
    more = "\n".join([*lines, "q0-ar 0 ar-1 1"]).encode()
    contents = [*uploads(run, "multi.run as mine.run"), ("judgements.qrels", more)]
    outcome = data.bring(contents, str(tiny_folder), None)
    assert [one.title for one in outcome.imported] == ["their_model on tiny, 37 relevant passages"]
    assert outcome.notes == ["mine.run was read with judgements.qrels."]


def test_nothing_that_was_chosen_is_dropped_in_silence(run, tiny_folder, store) -> None:
    (run / "notes.txt").write_text("bring milk home\n")
    other = (run / "multi.run").read_bytes().splitlines(keepends=True)
    contents = [
        *uploads(run, "multi.run", "multi.qrels", "cross.qrels", "notes.txt", "multi.qrels as lost.qrels"),
        *uploads(run, "multi.qrels as lost too.qrels", "languages.tsv"),
        ("multi.run", b"".join(other[:-1])),
    ]
    outcome = data.bring(contents, str(tiny_folder), None)
    said = "\n".join([*outcome.faults, *outcome.notes, *(one.file for one in outcome.imported)])
    for name, _ in contents:
        assert name in said
    assert len(outcome.imported) == 2
    assert any(fault.startswith("notes.txt: is of no known kind; give a TREC run") for fault in outcome.faults)
    assert "milk" not in said


def test_an_archive_is_unpacked_and_a_dangerous_one_is_refused(run, store, tmp_path) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        for name in ("multi.run", "multi.qrels", "languages.tsv", "evaluation.json"):
            made.write(run / name, f"export/trec/{name}")
        for name, content in (("Good", subset("de", "deu-Latn")), ("STS", {"hf_subset": "x", "cosine_spearman": 0.5})):
            made.writestr(f"org__m/r1/{name}.json", json.dumps(new_layout(test=[content])))
    outcome = data.bring([("all.zip", archive.getvalue())], None, None)
    assert outcome.faults == []
    assert sorted(one.kind for one in outcome.imported) == ["evaluation", "result"]
    assert "Passed over: 1 results of other tasks than retrieval." in outcome.notes
    for name, content in (("../outside", b"x"), ("zeros", bytes(100 * 2**20))):
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
            made.writestr(name, content)
        [fault] = data.bring([("bad.zip", archive.getvalue())], None, None).faults
        assert fault.startswith("bad.zip: ")
    assert not (tmp_path / "outside").exists()


def test_an_upload_cannot_leave_its_folder(store, tmp_path) -> None:
    outside = tmp_path / "outside.json"
    outcome = data.bring([(f"../../..{outside}", b"{}")], None, None)
    assert "outside.json: names no task" in outcome.faults[0]
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
    assert "There is no frame top beside it" in text_of(open_page("pairs"))


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
