"""`import` and `export` on the command line: what they print and leave, and that every mistake is one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from engine.collections.reading import read_collection
from engine.evaluation.evaluate import evaluations
from engine.storage.store import Store
from engine.training.train import train
from tests import builders
from tests.checkpoints import tiny_bert
from tests.command_line import Run, runner, the_error
from tests.exchange_builders import evaluated, new_layout, same_ranks, subset, write_result
from tests.training_builders import made_up_collection, recipe_for


@pytest.fixture
def run(store: Store, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch) -> Run:
    """Runs a command in the temporary folder; gives its status, standard output and error."""
    monkeypatch.chdir(tmp_path)

    return runner(capsys)


@pytest.fixture
def exported(run: Run, tiny_collection, tiny_folder, store) -> str:
    """The key of an evaluation that stands as all formats in `out`."""
    evaluation = evaluated(tiny_collection, store, opened_as=str(tiny_folder), name="by chance")
    status, out, _ = run("export", "--evaluation", evaluation.key[:8], "--out", "out")
    assert (status, out.split(",")[0]) == (0, "exported: 23 files")
    return evaluation.key


def test_what_is_exported_is_imported_again(run, exported, store) -> None:
    status, out, err = run("import", "out/trec/multi.run", "out/parquet/ranks.parquet", "out/csv/ranks.csv", "out/mteb")
    assert (status, err) == (0, "")
    assert sorted(line.partition("  (")[0] for line in out.splitlines()) == [
        "imported: by chance on tiny (test), 9 language pairs",
        *(["imported: by chance on tiny, 36 relevant passages"] * 3),
    ]
    found = {e.key: e for e in evaluations(store)}
    assert len(found) == 4
    assert all(same_ranks(found[exported], other) for other in found.values())
    assert run("import", "out/trec/multi.run")[1].startswith("already there: by chance on tiny")


def test_an_evaluation_is_named_by_encoder_and_collection(run, exported) -> None:
    names = ("--encoder", "by chance", "--collection", "tiny")
    assert run("export", *names, "--format", "csv", "--out", "table")[0] == 0
    assert sorted(file.name for file in Path("table").iterdir()) == [
        "evaluation.json",
        "pairs.csv",
        "ranks.csv",
        "settings.csv",
        "top.csv",
    ]
    assert "already exists" in the_error(run("export", *names, "--format", "csv", "--out", "table"))
    assert run("export", *names, "--format", "csv", "--out", "table", "--force")[0] == 0


def test_a_collection_alone_is_written_as_a_beir_folder(run, tiny_folder, tiny_collection) -> None:
    for more in ((), ("--format", "beir")):
        status, out, _ = run("export", "--collection", str(tiny_folder), *more, "--out", f"beir{len(more)}")
        assert (status, out.split(",")[0]) == (0, "exported: 3 files")
        assert builders.contents(read_collection(Path(f"beir{len(more)}"))) == builders.contents(tiny_collection)


def test_a_checkpoint_is_written_with_its_card(run, store, tmp_path) -> None:
    base = tiny_bert(tmp_path / "base", as_sentence_transformer=True)
    key = train(*recipe_for(base, made_up_collection()), store)
    status, out, _ = run("export", "--checkpoint", key, "--out", "mine")
    assert (status, out.startswith("exported: ")) == (0, True)
    header = Path("mine/README.md").read_text(encoding="utf-8").split("---")[1]
    assert "\nlicense: " in header
    assert json.loads(Path("mine/recipe.json").read_text())["alpha"] == 0.5


def test_options_of_an_import_reach_it(run, exported, tiny_folder, store) -> None:
    bare = Path("bare")
    bare.mkdir()
    (bare / "x.txt").write_bytes(Path("out/trec/multi.run").read_bytes())
    judged, named = ("--qrels", "out/trec/multi.qrels"), ("--languages", "out/trec/languages.tsv")
    assert run("import", "bare/x.txt", *judged, *named, "--collection", "label", "--name", "theirs")[0] == 0
    assert run("import", "bare/x.txt", "--collection", str(tiny_folder), "--name", "texts")[0] == 0
    found = {e.manifest.encoder.name: e for e in evaluations(store)}
    assert found["theirs"].manifest.collection.name == "label"
    assert found["theirs"].manifest.opened_as is None
    assert found["texts"].manifest.opened_as.collection == str(tiny_folder)


def test_notes_go_to_standard_error(run, exported) -> None:
    file = Path("out/csv/ranks.csv")
    alone = Path("alone.csv")
    alone.write_bytes(file.read_bytes())
    status, out, err = run("import", "alone.csv")
    assert (status, len(out.splitlines())) == (0, 1)
    assert [line.split(":")[0] for line in err.splitlines()] == [
        "The collection is not known",
        "There is no frame `top` beside it",
    ]


def test_of_several_files_the_good_ones_are_imported_and_the_bad_ones_told(run, exported, store, tmp_path) -> None:
    write_result(tmp_path / "r", new_layout(test=[subset("de", "deu-Latn")]), name="Good.json")
    write_result(tmp_path / "r", "[1]", name="Bad.json")
    status, out, err = run("import", "r", "out/trec/multi.run")
    assert status == 2
    assert [line.split(":")[0] for line in out.splitlines()] == ["imported", "imported"]
    first, last = err.splitlines()
    assert first == "not imported: r/Bad.json: must be the JSON object of an MTEB result, got a list"
    assert last == "error: 1 file was not imported; the lines above say why"
    assert len(list(store.entries("imports"))) == 1


def test_of_a_models_results_those_of_other_tasks_are_passed_over_in_one_line(run, store, tmp_path) -> None:
    other = {"hf_subset": "default", "languages": ["eng-Latn"], "accuracy": 0.8, "main_score": 0.8}
    for name in ("Banking77Classification", "AmazonPolarity"):
        write_result(tmp_path / "r", new_layout(test=[other]) | {"task_name": name}, name=f"{name}.json")
    status, out, err = run("import", "r")
    passed_over, message = err.splitlines()
    assert (status, out) == (2, "")
    assert passed_over == "Passed over: 2 results of other tasks than retrieval."
    assert message == (
        "error: nothing was imported; give a TREC run with judgements, a frame of ranks, or an MTEB result"
    )
    write_result(tmp_path / "r", new_layout(test=[subset("de", "deu-Latn")]), name="MLQARetrieval.json")
    status, out, err = run("import", "r")
    assert (status, out.startswith("imported: org/m on MLQARetrieval")) == (0, True)
    assert err == "Passed over: 2 results of other tasks than retrieval.\n"


def test_a_folder_of_several_kinds_and_its_zip_archive_are_imported_whole(run, exported, store, tmp_path) -> None:
    write_result(tmp_path / "out" / "results", new_layout(test=[subset("de", "deu-Latn")]), name="MLQARetrieval.json")
    shutil.rmtree("out/beir")
    shutil.make_archive("mine", "zip", "out")
    for path in ("out", "mine.zip"):
        status, out, err = run("import", path)
        states = ["imported" if path == "out" else "already there"] * 5
        assert (status, [line.split(":")[0] for line in out.splitlines()]) == (0, states)
        assert "multi.run was read with multi.qrels and languages.tsv." in err
        assert "Not needed: mono.run, cross.run" in err.replace("cross.run, mono.run", "mono.run, cross.run")
    assert len(list(evaluations(store))) == 4
    Path("notes.txt").write_text("remember the milk\n")
    shutil.make_archive("odd", "zip", ".", "notes.txt")
    assert the_error(run("import", "odd.zip")).startswith("odd/notes.txt: is of no known kind; give a TREC run")
    Path("cut.zip").write_bytes(Path("mine.zip").read_bytes()[:-100])
    assert the_error(run("import", "cut.zip")).startswith("cut.zip: cannot be unpacked")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["import", "gone.run"], "gone.run: no such file; give a TREC run with judgements, a frame of ranks, or"),
        (["import", "out/trec/cross.run"], "out/trec/cross.qrels:1: query 'q0-ar/de' is unknown; expected an id"),
        (["import", "out/trec/multi.run", "--qrels", "gone"], "gone: cannot be read"),
        (
            ["import", "out/trec/multi.run", "--collection", "nowhere"],
            "collection 'nowhere': neither a folder nor one of",
        ),
        (["export", "--out", "x"], "export: give exactly one of --checkpoint, --evaluation,"),
        (["export", "--encoder", "x", "--out", "x"], "export: --encoder needs --collection"),
        (
            ["export", "--evaluation", "abcdef", "--checkpoint", "abcdef", "--out", "x"],
            "export: give exactly one of",
        ),
        (["export", "--evaluation", "abcdef", "--out", "x"], "evaluation 'abcdef': none is stored"),
        (["export", "--checkpoint", "abcdef", "--out", "x"], "checkpoint 'abcdef': 0 are stored"),
        (["export", "--collection", "out/beir", "--format", "trec", "--out", "x"], "format 'trec': --collection alone"),
        (["export", "--checkpoint", "abcdef", "--format", "csv", "--out", "x"], "format 'csv': --checkpoint alone"),
        (
            ["export", "--encoder", "by chance", "--collection", "tiny", "--format", "xml", "--out", "x"],
            "format 'xml' is unknown",
        ),
    ],
)
def test_a_mistake_is_one_line(run, exported, arguments, message) -> None:
    assert the_error(run(*arguments)).startswith(message)
    assert not Path("x").exists()


def test_unusable_rows_of_what_was_searched_may_be_left_out(run, store, tiny_collection, tmp_path) -> None:
    documents, queries, judged = builders.beir_rows(tiny_collection)
    builders.write_beir(tmp_path / "odd", [*documents, {"_id": "empty", "text": " ", "lang": "de"}], queries, judged)
    lines = [f"{query} Q0 {document} 1 0.5 tag" for query, document, _ in judged[:1]]
    Path("theirs.run").write_text("\n".join(lines) + "\n", encoding="utf-8")
    line = ("import", "theirs.run", "--collection", "odd")
    assert "--skip-invalid" in the_error(run(*line))
    assert run(*line, "--skip-invalid")[0] == 0
    [imported] = evaluations(store)
    assert imported.manifest.opened_as.skip_invalid
    assert imported.manifest.collection.skipped == {"a text is empty": 1}


@pytest.mark.parametrize(
    "arguments", [("--encoder", "by chance", "--collection", "tiny", "--format", "csv"), ("--collection", "tiny")]
)
def test_a_depth_of_what_has_no_lists_is_refused(run, exported, arguments: tuple[str, ...]) -> None:
    assert "--depth is for TREC runs" in the_error(run("export", *arguments, "--depth", "5", "--out", "more"))
    assert not Path("more").exists()
