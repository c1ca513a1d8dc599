"""`train` and `sweep` on the command line: what they print, how a mistake reads, and their life in the background."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import pytest

from engine.encoders.encoder import SentenceEncoder
from engine.errors import TrainingError
from engine.evaluation.evaluate import evaluations, open_evaluated
from engine.storage import jobs
from engine.storage.store import Store
from engine.sweeps.run import results
from engine.sweeps.sweep import Sweep
from engine.training import checkpoint, head
from engine.training import train as training
from engine.training.checkpoint import read_training
from engine.training.recipe import DEFAULTS, FULL_ONLY, Recipe, Settings
from tests.builders import beir_rows, write_beir, write_xquad_r
from tests.checkpoints import tiny_bert
from tests.command_line import Run, runner, the_error
from tests.training_builders import made_up_collection

SHORT = ("--steps", "6", "--batch-size", "4", "--learning-rate", "0.05")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an encoder, a collection to train on, and one to evaluate on that shares a paragraph with it."""
    root = tmp_path_factory.mktemp("cli")
    tiny_bert(root / "bert", "ar", "de", "en", as_sentence_transformer=True)
    write_xquad_r(root / "trained", made_up_collection(5))
    write_xquad_r(root / "held", made_up_collection(4, first=4))
    return root


@pytest.fixture
def run(root: Path, store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in the folder; gives its status, standard output and error."""
    monkeypatch.chdir(root)
    monkeypatch.setenv("COLUMNS", "120")

    return runner(capsys)


@pytest.fixture
def train(run: Run) -> Run:
    return lambda *more: run("train", "--encoder", "bert", "--train", "trained", *SHORT, *more)


@pytest.fixture
def sweep(run: Run) -> Run:
    base = ("sweep", "--encoder", "bert", "--train", "trained", "--eval", "held", *SHORT)
    return lambda *more: run(*base, *more)


def asked(root: Path, **changes: object) -> Sweep:
    """The sweep that `sweep` asks for, where its arguments do not say otherwise."""
    settings = replace(DEFAULTS["head"], steps=6, batch_size=4, learning_rate=0.05)
    names = {"encoder": str(root / "bert"), "training": str(root / "trained"), "evaluations": (str(root / "held"),)}
    return Sweep(**{**names, "alphas": (0.0, 0.25, 0.5, 0.75, 1.0), "settings": settings, **changes})


def test_train_tells_what_it_made_and_where(train: Run, store: Store) -> None:
    status, out, err = train("--alpha", "0.5", "--seed", "3")
    [(key, about)] = store.entries("checkpoints")
    told = read_training(store, key)
    assert status == 0
    assert f"bert, head on trained, alpha 0.5, seed 3  {told['seconds']:.1f} s" in out
    assert f"last loss {told['losses'][-1][1]:.4f}" in out
    assert f"checkpoint {key}: {store.path('checkpoints', key)}" in out
    assert about["recipe"]["settings"]["steps"] == 6
    assert "left out" not in err
    assert train("--alpha", "0.5", "--seed", "3")[:2] == (0, out)


def test_train_leaves_out_and_tells_what_stands_in_an_evaluation_collection(train: Run, store: Store) -> None:
    status, _, err = train("--alpha", "0", "--eval", "held")
    [(key, _)] = store.entries("checkpoints")
    assert status == 0
    assert "left out of training: 2 questions that are in held too" in err
    assert read_training(store, key)["questions"] == 8


def test_train_and_sweep_warn_of_near_texts(run: Run, root: Path, tmp_path: Path, caplog) -> None:
    evaluated = made_up_collection(4, first=40)
    answer = made_up_collection(5).corpus.texts[0]
    texts = (f"{answer}!", *evaluated.corpus.texts[1:])
    write_xquad_r(tmp_path / "near", replace(evaluated, corpus=replace(evaluated.corpus, texts=texts)))
    names = ("--encoder", "bert", "--train", "trained", "--eval", str(tmp_path / "near"), *SHORT)
    told = (
        "near copies: 1 answering passage in training nearly repeats a text of near "
        f"(Jaccard similarity of character 5-grams at least 0.6), such as {answer!r} and '{answer}!'"
    )
    assert told in run("train", *names, "--alpha", "1")[2]
    status, out, _ = run("sweep", *names, "--alphas", "1")
    assert status == 0
    assert told in caplog.text
    assert "not zero-shot" not in out


def test_square_brackets_in_names_are_printed_as_they_are(run: Run, root: Path, caplog) -> None:
    for name in ("bert", "trained", "held"):
        shutil.copytree(root / name, root / f"[bold]{name}")
    names = ("--encoder", "[bold]bert", "--train", "[bold]trained", "--eval", "[bold]held")
    status, out, err = run("train", *names, "--alpha", "0.5", *SHORT)
    assert (status, out.splitlines()[0].split("  ")[0]) == (
        0,
        "[bold]bert, head on [bold]trained, alpha 0.5, seed 0",
    )
    assert "2 questions that are in [bold]held too" in err
    status, _, err = run("sweep", *names, "--alphas", "0,1", *SHORT, "--baselines", "lir-40")
    assert "left out of training: 2 questions that are in [bold]held too" in caplog.text
    assert "failed: [bold]bert, head on [bold]trained, lir-40, seed 0: " in err


GIVEN = Settings(7, 8, 0.5, 0.25, 0.125, 0.75, 1, 0.5, 64, 2, 0.4, 5, 9, 0.3, True, 0.2)


def as_option(name: str, value: object) -> list[str]:
    option = f"--{name.replace('_', '-')}"
    return [option] if value is True else [option, str(value)]


@pytest.mark.parametrize("method", ["head", "full"])
def test_every_setting_can_be_given_and_what_is_not_is_the_methods(run: Run, monkeypatch, method: str) -> None:
    found: list[Recipe] = []

    def catch(recipe: Recipe, *_: object, **__: object) -> None:
        found.append(recipe)
        raise TrainingError("caught")

    monkeypatch.setattr(training, "train", catch)
    base = ("train", "--encoder", "bert", "--train", "trained", "--method", method, "--alpha", "1")
    names = [field.name for field in fields(Settings) if method == "full" or field.name not in FULL_ONLY]
    wanted = replace(DEFAULTS[method], **{name: getattr(GIVEN, name) for name in names})
    given = [part for name in names for part in as_option(name, getattr(GIVEN, name))]
    for more in ([], given):
        assert the_error(run(*base, *more)) == "caught"
    assert [recipe.settings for recipe in found] == [DEFAULTS[method], wanted]
    assert all(getattr(GIVEN, name) != getattr(DEFAULTS[method], name) for name in names)
    assert {(recipe.method, recipe.alpha) for recipe in found} == {(method, 1.0)}


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--alpha", "1.5"], ["from 0 to 1, got 1.5"]),
        (["--alpha", "half"], ["--alpha", "'half'"]),
        ([], ["needs alpha"]),
        (["--strategy", "x-x", "--alpha", "0"], ["strategy x-x has no alpha"]),
        (["--strategy", "y-y"], ["strategy 'y-y' is unknown", "hybrid", "x-x-mono"]),
        (["--method", "half", "--alpha", "0"], ["--method", "'half'", "head"]),
        (["--alpha", "0", "--batch-size", "100"], ["batch size must be at most 10 with strategy hybrid, got 100"]),
        (["--alpha", "0", "--batch-size", "1"], ["batch_size must be an integer >= 2, got 1"]),
        (["--alpha", "0", "--steps", "0"], ["steps must be an integer >= 1, got 0"]),
        (["--alpha", "0", "--seed", "-1"], ["got -1"]),
        (["--alpha", "0", "--temperature", "0"], ["temperature must be a number above 0", "got 0.0"]),
        (["--alpha", "0", "--encoder", "nothing"], ["encoder 'nothing'"]),
        (["--alpha", "0", "--train", "nothing"], ["collection 'nothing'"]),
        (["--alpha", "0", "--train", "mlqa-r"], ["mlqa-r", "not fetched yet", "python -m engine fetch mlqa-r"]),
        (["--alpha", "0", "--eval", "nothing"], ["collection 'nothing'"]),
        (["--alpha", "0", "--eval", "trained,held", "--train", "held/.."], ["no <language>.json"]),
    ],
    ids=lambda value: " ".join(value) if value and value[0].startswith("--") else "",
)
def test_a_mistake_in_train_is_one_line(train: Run, store: Store, monkeypatch, arguments, parts: list[str]) -> None:
    monkeypatch.setattr(SentenceEncoder, "encode", lambda *_: pytest.fail("encoded before the mistake was told"))
    line = the_error(train(*arguments))
    for part in parts:
        assert part in line
    assert not list(store.root.glob("checkpoints/*"))


def test_a_loss_that_diverges_is_one_line_and_leaves_no_checkpoint(train: Run, store: Store) -> None:
    line = the_error(train("--alpha", "0", "--learning-rate", "1e29"))
    assert "the loss became nan" in line
    assert "Lower the learning rate" in line
    assert not list(store.entries("checkpoints"))


def table(out: str) -> list[list[str]]:
    """The cells of the printed table, row by row."""
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if line.startswith("│")]


def test_sweep_prints_every_checkpoint_with_its_scores(sweep: Run, root: Path, store: Store) -> None:
    more = ("--alphas", "0,1,0.5", "--seeds", "1,0", "--baselines", "en-en", "--merge", "--every", "2")
    status, out, err = sweep(*more)
    expected = results(
        asked(root, alphas=(0.0, 0.5, 1.0), seeds=(0, 1), baselines=("en-en",), merges=True, every=2), store
    )
    assert status == 0
    assert expected.height == 1 + 3 * 2 + 2 + 2
    rows = []
    for collection, strategy, alpha, seed, *scores, distance in expected.drop("english_share").rows():
        names = [collection, strategy, *("" if value is None else f"{value:g}" for value in (alpha, seed))]
        rows.append([*names, *(f"{score:.4f}" for score in scores), f"{distance:.0f}"])
    assert table(out) == rows
    assert "rank distance" in out
    assert "sweep" in err
    status, again, _ = sweep(*more)
    assert (status, again) == (0, out)
    assert {one.manifest.opened_as.collection for one in evaluations(store)} == {str(root / "held")}


def test_sweep_trains_five_ratios_unless_told_otherwise(sweep: Run, root: Path, store: Store) -> None:
    sweep()
    assert results(asked(root), store)["alpha"].to_list() == [None, 0.0, 0.25, 0.5, 0.75, 1.0]


def test_sweep_tells_what_failed_and_finishes_the_rest(sweep: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    original = head.train_head

    def fail(*arguments: object) -> object:
        if arguments[2].alpha == 0.5:
            raise TrainingError("it [red]failed[/] so")
        return original(*arguments)

    monkeypatch.setattr(head, "train_head", fail)
    status, out, err = sweep("--alphas", "0,0.5,1")
    assert status == 0
    assert "failed: bert, head on trained, alpha 0.5, seed 0: it [red]failed[/] so" in err
    assert [row[2] for row in table(out)] == ["", "0", "1"]
    line = the_error(sweep("--alphas", "0.5"))
    assert line == "sweep: all 1 recipes failed; the first: it [red]failed[/] so"


def test_sweep_that_is_stopped_says_that_it_goes_on_from_there(sweep: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    original, calls = checkpoint.write_checkpoint, []

    def stop(*arguments: object) -> None:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("engine.training.train.write_checkpoint", stop)
        status, out, err = sweep("--alphas", "0,0.5,1")
    assert (status, out) == (130, "")
    assert "the same command goes on from there" in err
    status, out, _ = sweep("--alphas", "0,0.5,1")
    assert status == 0
    assert len(table(out)) == 4


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--alphas", "0,two"], ["--alphas", "'0,two'", "numbers by commas"]),
        (["--alphas", "0,2"], ["from 0 to 1, got 2.0"]),
        (["--alphas", ","], ["at least one ratio or baseline"]),
        (["--seeds", "0.5"], ["--seeds", "'0.5'"]),
        (["--seeds", "-1"], ["got -1"]),
        (["--eval", ","], ["one collection to evaluate on"]),
        (["--eval", "held,nothing"], ["collection 'nothing'"]),
        (["--every", "0"], ["every must be an integer >= 1, got 0"]),
        (["--alphas", "0,0.5", "--merge"], ["merging needs the ratios 0 and 1"]),
        (["--baselines", "z-z"], ["strategy 'z-z' is unknown"]),
        (["--eval", "trained/../trained", "--train", "held", "--every", "9"], ["has no queries"]),
    ],
    ids=lambda value: " ".join(value) if value and value[0].startswith("--") else "",
)
def test_a_mistake_in_sweep_is_one_line(sweep: Run, store: Store, monkeypatch, arguments, parts: list[str]) -> None:
    monkeypatch.setattr(SentenceEncoder, "encode", lambda *_: pytest.fail("encoded before the mistake was told"))
    line = the_error(sweep(*arguments))
    for part in parts:
        assert part in line
    assert not list(store.root.glob("checkpoints/*"))


def prepared(store: Store, key: str) -> None:
    """The files that a run's starter leaves for its process."""
    folder = store.path("runs", key)
    folder.mkdir(parents=True)
    (folder / "run.json").write_text('{"title": "t", "arguments": ["train"], "started": 0}')


def test_as_a_run_it_leaves_its_losses_and_its_end(run: Run, store: Store) -> None:
    prepared(store, "k")
    command = ("--run", "k", "train", "--encoder", "bert", "--train", "trained", *SHORT, "--alpha", "0")
    status, _, err = run(*command, "--steps", "25")
    [(key, _)] = store.entries("checkpoints")
    found = jobs.read(store, "k")
    assert (status, found.state, found.stage, found.fraction) == (0, "finished", "train", 1.0)
    assert [[loss["step"], loss["loss"]] for loss in jobs.losses(store, "k")] == read_training(store, key)["losses"]
    assert {loss["what"] for loss in jobs.losses(store, "k")} == {"bert, head on trained, alpha 0, seed 0"}
    assert "%" not in err  # no bars in a log


def test_as_a_run_it_leaves_its_error(run: Run, store: Store) -> None:
    prepared(store, "k")
    command = ("--run", "k", "train", "--encoder", "bert", "--train", "nothing", "--alpha", "0")
    line = the_error(run(*command))
    found = jobs.read(store, "k")
    assert (found.state, found.message) == ("failed", line)


def test_a_sweep_in_the_background_is_killed_and_started_again_and_finishes(root: Path, store: Store) -> None:
    names = ("--encoder", str(root / "bert"), "--train", str(root / "trained"), "--eval", str(root / "held"))
    command = ["sweep", *names, *SHORT, "--steps", "300", "--alphas", "0,0.5,1", "--seeds", "0,1"]
    run = jobs.start(command, store, "a sweep")
    wait(lambda: any(recipe_of(one) for one in evaluations(store)) or jobs.read(store, run.key).state != "running")
    assert jobs.read(store, run.key).state == "running", jobs.log_tail(store, run.key)
    pid = int(re.search(r'"pid": (\d+)', (store.path("runs", run.key) / "status.json").read_text())[1])
    os.kill(pid, signal.SIGKILL)
    wait(lambda: jobs.read(store, run.key).state == "stopped")
    done = len(list(store.entries("checkpoints")))
    assert 1 <= done < 6
    assert all(store.fault("checkpoints", key) is None for key, _ in store.entries("checkpoints"))
    again = jobs.start(command, store, "a sweep")
    assert again.key == run.key
    wait(lambda: jobs.read(store, run.key).state != "running")
    found = jobs.read(store, run.key)
    assert found.state == "finished", jobs.log_tail(store, run.key)
    assert found.overall == "7 of 7 done"
    settings = replace(asked(root).settings, steps=300)
    assert results(asked(root, alphas=(0.0, 0.5, 1.0), seeds=(0, 1), settings=settings), store).height == 7
    steps = [(loss["what"], loss["step"]) for loss in jobs.losses(store, run.key)]
    assert len(steps) == len(set(steps)) == 6 * 30


def recipe_of(evaluation: object) -> object:
    return evaluation.manifest.recipe


def wait(true: Callable[[], bool]) -> None:
    for _ in range(1200):
        if true():
            return
        time.sleep(0.05)
    pytest.fail("it did not come to that")


@pytest.mark.parametrize("option", ["--warmup", "--max-length", "--accumulate"])
def test_a_setting_that_the_head_has_no_use_for_is_refused(train: Run, store: Store, option: str) -> None:
    value = "0.1" if option == "--warmup" else "16"
    line = the_error(train("--alpha", "0.5", option, value))
    assert option in line
    assert "--method full" in line
    assert list(store.entries("checkpoints")) == []


def test_a_failure_that_nobody_foresaw_is_one_line_too(train: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(*_: object, **__: object) -> None:
        raise RuntimeError("not enough memory:\nyou tried to allocate 10 TB")

    monkeypatch.setattr(training, "train", out_of_memory)
    status, out, err = train("--alpha", "0.5")
    assert status == 1
    assert out == ""
    assert err.strip() == (
        "error: RuntimeError: not enough memory: you tried to allocate 10 TB; run it again with --debug to see where"
    )
    with pytest.raises(RuntimeError):
        train("--alpha", "0.5", "--debug")


@pytest.mark.parametrize("command", ["train", "sweep", "export"])
def test_the_advice_to_skip_unusable_rows_can_be_followed(run: Run, root: Path, tmp_path: Path, command: str) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(root / "trained", broken)
    for file in broken.glob("*.json"):
        content = json.loads(file.read_text(encoding="utf-8"))
        content["data"][0]["paragraphs"][0]["qas"][0]["question"] = " "
        file.write_text(json.dumps(content), encoding="utf-8")
    lines = {
        "train": ["train", "--encoder", str(root / "bert"), "--train", str(broken), "--alpha", "0.5", *SHORT],
        "sweep": [
            "sweep",
            "--encoder",
            str(root / "bert"),
            "--train",
            str(broken),
            "--eval",
            str(root / "held"),
            "--alphas",
            "0",
            *SHORT,
        ],
        "export": ["export", "--collection", str(broken), "--out", str(tmp_path / "out")],
    }
    assert "--skip-invalid" in the_error(run(*lines[command]))
    assert run(*lines[command], "--skip-invalid")[0] == 0


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """A BEIR folder of 16 questions: the first half is judged in `train`, the second in `test`."""
    corpus, queries, judgements = beir_rows(made_up_collection(4))
    questions = sorted({row["question"] for row in queries})
    first = {row["_id"] for row in queries if row["question"] in questions[: len(questions) // 2]}
    for name in ("train", "test"):
        chosen = [row for row in judgements if (row[0] in first) == (name == "train")]
        folder = write_beir(tmp_path / "split", corpus, queries, chosen, split=name)
    return folder


def test_a_folder_is_trained_on_its_train_split(run: Run, root: Path, split: Path, store: Store) -> None:
    base = ("train", "--encoder", str(root / "bert"), "--train", str(split), "--alpha", "0.5", *SHORT)
    status, _, err = run(*base)
    assert status == 0
    assert "trained on split, split train" in err
    assert "trained on split, split test" in run(*base, "--train-split", "test")[2]
    assert len(list(store.entries("checkpoints"))) == 2
    assert "allowed are test, train (--train-split)" in the_error(run(*base, "--train-split", "dev"))


def test_a_folder_is_evaluated_on_its_test_split(run: Run, root: Path, split: Path, store: Store) -> None:
    base = ("evaluate", "--encoder", str(root / "bert"), "--collection", str(split))
    assert "evaluated on split, split test" in run(*base)[2]
    assert "evaluated on split, split train" in run(*base, "--split", "train")[2]
    manifests = [evaluation.manifest for evaluation in evaluations(store)]
    assert [manifest.collection.split for manifest in manifests] == ["test", "train"]
    assert [len(open_evaluated(evaluation, store).queries) for evaluation in evaluations(store)] == [
        manifest.collection.queries for manifest in manifests
    ]


def test_a_sweep_trains_on_one_split_and_evaluates_on_the_other(
    run: Run, root: Path, split: Path, store: Store
) -> None:
    line = ("sweep", "--encoder", str(root / "bert"), "--train", str(split), "--eval", str(split), "--alphas", "0")
    status, out, _ = run(*line, *SHORT)
    assert status == 0
    assert "not zero-shot" not in out
    assert [one.manifest.seen_in_training for one in evaluations(store)][1].queries == 0


def test_what_is_trained_on_is_evaluated_only_if_leaks_are_allowed_and_said(run: Run, root: Path, store: Store) -> None:
    base = ("--encoder", str(root / "bert"), "--train", str(root / "trained"), "--eval", str(root / "trained"))
    line = ("sweep", *base, "--alphas", "0", *SHORT)
    assert "give --allow-leaks" in the_error(run(*line))
    status, out, _ = run(*line, "--allow-leaks")
    assert status == 0
    assert "not zero-shot" in " ".join(out.split())
    made = list(evaluations(store))[1]
    assert made.manifest.opened_as.allow_leaks
    assert made.manifest.seen_in_training.queries == made.manifest.collection.queries
