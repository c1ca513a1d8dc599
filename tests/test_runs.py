"""Runs in the background: joined, watched, stopped, killed, resumed, and told from their files, broken ones too."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.errors import InputError, StoreError
from engine.progress import WHOLE
from engine.storage import job_process, jobs
from engine.storage.digest import digest
from engine.storage.job_process import Reporter, running
from engine.storage.jobs import Run, all_runs, delete, log_tail, losses, read, start, stop
from engine.storage.store import Store

ROOT = Path(jobs.__file__).resolve().parents[2]
AS_A_RUN = """
import json, os, sys, time
sys.path.insert(0, os.getcwd())
from pathlib import Path
from engine.storage.job_process import running
from engine.storage.store import Store

_, _, _, _, key, what, *_ = sys.argv
print(json.dumps(sys.argv[2:]), flush=True)
if what == "mistake":
    sys.exit("error: no such argument; see --help")
if what == "slow":
    time.sleep(1)
store = Store()
with (store.root / "started").open("a") as file:
    file.write(f"{os.getpid()} ")
with running(store, key) as report:
    report("train", 3, 12)
    report.observe("a checkpoint", 3, 0.5)
    if what == "fail":
        raise ValueError("the disk\\n  is green")
    while what in ("wait", "slow"):
        time.sleep(0.02)
"""
"""What a run's process does here in place of a command: it goes on until it is stopped, if it is told to wait."""


@pytest.fixture
def launch(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Run]]:
    """Starts runs whose process is quick to come up."""
    script = tmp_path / "python"
    (tmp_path / "run.py").write_text(AS_A_RUN)
    ignoring = 'trap "" INT'  # as a shell hands it on to what it starts in the background
    script.write_text(f'#!/bin/sh\n{ignoring}\nexec "{sys.executable}" "{tmp_path / "run.py"}" "$@"\n')
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    started, real = [], subprocess.Popen

    def popen(*arguments: object, **options: object) -> subprocess.Popen:
        started.append(real(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", popen)
    yield lambda *arguments: start(arguments, store, f"to {arguments[0]}")
    for process in started:  # one may not have come so far as to tell its number
        process.kill()
        process.wait()


def pids(store: Store) -> list[int]:
    file = store.root / "started"
    return list(map(int, file.read_text().split())) if file.is_file() else []


def until(store: Store, key: str, true: Callable[[Run], bool]) -> Run:
    """Wait for a run to be as expected."""
    for _ in range(1000):
        if true(run := read(store, key)):
            return run
        time.sleep(0.02)
    return pytest.fail(f"it did not come to that: {run}")


def is_training(run: Run) -> bool:
    return run.stage == "train"


def test_a_run_is_started_watched_and_stopped(launch: Callable[..., Run], store: Store) -> None:
    before = time.time()
    run = launch("wait", "--for", "ever")
    assert (run.state, run.stage, run.fraction, run.message) == ("running", "start", 0.0, "")
    assert run.key == digest("run", ["wait", "--for", "ever"])
    assert (run.title, run.arguments) == ("to wait", ("wait", "--for", "ever"))
    assert before <= run.started <= run.updated <= time.time()
    run = until(store, run.key, is_training)
    assert (run.state, run.fraction) == ("running", 0.25)
    stop(store, run.key)
    assert until(store, run.key, lambda run: run.state != "running").state == "stopped"
    assert losses(store, run.key) == [{"what": "a checkpoint", "step": 3, "loss": 0.5}]
    log = until(store, run.key, lambda run: "\nKeyboardInterrupt" in log_tail(store, run.key, 1000))
    told = json.loads(log_tail(store, log.key, 1000).splitlines()[0])
    assert told == ["engine", "--run", run.key, "wait", "--for", "ever"]


def test_starting_it_again_joins_the_one_that_runs(launch: Callable[..., Run], store: Store, monkeypatch) -> None:
    monkeypatch.setattr(job_process, "_LOOK_SECONDS", 0.05)
    first = launch("wait")
    again = launch("wait")
    until(store, first.key, is_training)
    third = launch("wait")
    assert {(run.key, run.started, run.state) for run in (first, again, third)} == {
        (first.key, first.started, "running")
    }
    assert len(pids(store)) == 1
    with pytest.raises(InputError, match=f"run {first.key[:8]}: it is running already"), running(store, first.key):
        pytest.fail("two processes are the same run")
    assert read(store, first.key).state == "running"
    assert launch("wait", "too").key != first.key
    with pytest.raises(InputError, match="it is running; stop it first"):
        delete(store, first.key)
    assert read(store, first.key).state == "running"


def test_a_killed_process_counts_as_stopped_and_can_be_started_again(launch: Callable[..., Run], store: Store) -> None:
    first = until(store, launch("wait").key, is_training)
    os.kill(pids(store)[0], signal.SIGKILL)
    assert until(store, first.key, lambda run: run.state != "running").state == "stopped"
    status = json.loads((store.path("runs", first.key) / "status.json").read_text())
    assert status["state"] == "running"  # it could not say so itself
    again = launch("wait")
    assert (again.key, again.state, again.stage) == (first.key, "running", "start")
    assert again.started > first.started
    until(store, first.key, is_training)
    assert len(set(pids(store))) == 2
    assert losses(store, first.key) == [{"what": "a checkpoint", "step": 3, "loss": 0.5}]


def test_a_run_that_fails_leaves_its_message(launch: Callable[..., Run], store: Store) -> None:
    run = until(store, launch("fail").key, lambda run: run.state != "running")
    assert (run.state, run.message, run.seconds_left) == ("failed", "the disk is green", None)
    until(store, run.key, lambda run: "ValueError: the disk" in log_tail(store, run.key))


def test_a_run_that_ends_before_it_came_up_has_failed_at_once(launch: Callable[..., Run], store: Store) -> None:
    run = until(store, launch("mistake").key, lambda run: run.state != "running")
    assert (run.state, run.message) == ("failed", "error: no such argument; see --help")
    assert launch("mistake").state == "running"


def test_a_run_that_finishes_is_whole_and_may_run_again(launch: Callable[..., Run], store: Store) -> None:
    run = until(store, launch("finish").key, lambda run: run.state != "running")
    assert (run.state, run.fraction, run.stage) == ("finished", 1.0, "train")
    assert launch("finish").state == "running"
    until(store, run.key, lambda run: run.state == "finished")
    assert len(pids(store)) == 2


def test_a_run_can_be_stopped_before_it_has_come_up(launch: Callable[..., Run], store: Store) -> None:
    run = launch("slow")
    stop(store, run.key)
    assert until(store, run.key, lambda run: run.state != "running").state == "stopped"
    assert losses(store, run.key) == []
    launch("slow")
    until(store, run.key, is_training)


def test_the_process_gets_the_cache_of_the_store(launch: Callable[..., Run], store: Store, monkeypatch) -> None:
    monkeypatch.setenv("HYBRID_BATCH_CACHE", "/nowhere")
    run = launch("finish")
    until(store, run.key, lambda run: run.state == "finished")


@pytest.fixture
def folder(store: Store) -> Path:
    """The folder of a run that has not begun."""
    folder = store.path("runs", "k")
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"title": "t", "arguments": ["train"], "started": 5.0}))
    (folder / "status.json").write_text(json.dumps({"state": "running", "updated": 0.0}))
    return folder


def test_a_start_without_a_sign_of_life_is_over_after_a_while(store: Store, folder: Path) -> None:
    for age, state in ((1, "running"), (100, "stopped")):
        status = {"state": "running", "starting": True, "updated": time.time() - age}
        (folder / "status.json").write_text(json.dumps(status))
        assert read(store, "k").state == state


class Ended:
    """A process that has ended with a code."""

    def __init__(self, code: int) -> None:
        self._code = code

    def poll(self) -> int:
        return self._code


@pytest.mark.parametrize(("code", "state"), [(130, "stopped"), (-9, "stopped"), (1, "failed"), (2, "failed")])
def test_a_process_that_ended_before_it_began_was_stopped_if_it_was_interrupted(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch, code: int, state: str
) -> None:
    status = {"state": "running", "starting": True, "updated": time.time()}
    (folder / "status.json").write_text(json.dumps(status))
    (folder / "log.txt").write_text("first\nlast\n")
    monkeypatch.setitem(jobs._started, (folder, 5.0), Ended(code))
    run = read(store, "k")
    assert (run.state, run.message) == (state, "last" if state == "failed" else "")


@pytest.mark.parametrize(
    ("error", "state", "message"),
    [
        (KeyboardInterrupt(), "stopped", ""),
        (InputError("a\n mistake"), "failed", "a mistake"),
        (ValueError(), "failed", "ValueError"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_the_end_of_a_run_is_left_behind(store: Store, folder: Path, error, state: str, message: str) -> None:
    with pytest.raises(type(error)), running(store, "k") as report:
        report("train", 1, 2)
        assert read(store, "k").state == "running"
        raise error
    run = read(store, "k")
    assert (run.state, run.message, run.fraction, run.seconds_left) == (state, message, 0.5, None)
    assert json.loads((folder / "status.json").read_text())["state"] == state


def test_progress_is_told_with_the_time_left(store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    with running(store, "k") as report:

        def told(stage: str, done: float, total: float, seconds: float = 10) -> tuple:
            clock[0] += seconds
            report(stage, done, total)
            run = read(store, "k")
            return run.stage, run.fraction, run.seconds_left, run.overall

        assert told(WHOLE, 0, 4) == ("start", 0.0, None, "0 of 4 done")
        assert told("train", 0, 100) == ("train", 0.0, None, "0 of 4 done")
        assert told("train", 20, 100) == ("train", 0.2, 40.0, "0 of 4 done")
        assert told("train", 30, 100, 0) == ("train", 0.2, 40.0, "0 of 4 done")  # not written so soon
        assert told("train", 100, 100, 0)[:3] == ("train", 1.0, 0.0)
        assert told(WHOLE, 1, 4) == ("train", 1.0, 0.0, "1 of 4 done, about 90 s left")
        assert told("train", 10, 100) == ("train", 0.1, None, "1 of 4 done, about 90 s left")  # the next checkpoint
        assert told("train", 20, 100) == ("train", 0.2, 80.0, "1 of 4 done, about 90 s left")
        assert told(WHOLE, 2, 4, 200)[3] == "2 of 4 done, about 4 min left"
        assert (read(store, "k").done, read(store, "k").fraction) == (0.5, 0.2)
        assert told("rank", 0, 0)[:3] == ("rank", 1.0, None)
        assert told(WHOLE, 4, 4)[3] == "4 of 4 done"
        assert read(store, "k").updated == clock[0]


def test_the_loss_of_a_step_that_is_done_again_counts_once_with_its_latest_value(store: Store, folder: Path) -> None:
    report = Reporter(folder)
    for what, step, loss in [("a", 10, 3.0), ("a", 20, 2.0), ("b", 10, 5.0), ("a", 20, 1.0), ("a", 30, 0.5)]:
        report.observe(what, step, loss)
    assert losses(store, "k") == [
        {"what": "a", "step": 10, "loss": 3.0},
        {"what": "a", "step": 20, "loss": 1.0},
        {"what": "b", "step": 10, "loss": 5.0},
        {"what": "a", "step": 30, "loss": 0.5},
    ]


@pytest.mark.parametrize(
    "torn", ['{"what": "a", "st', '{"what": "a", "step": 20}', '{"what": "{a}', "", "null", "[1]", "\udcff".join("ab")]
)
def test_a_line_that_was_half_written_is_left_out_and_nothing_else(store: Store, folder: Path, torn: str) -> None:
    report, file = Reporter(folder), folder / jobs.LOSSES
    assert losses(store, "k") == []
    report.observe("größer", 10, 3.0)
    file.write_bytes(file.read_bytes() + torn.encode("utf-8", "surrogateescape"))
    assert losses(store, "k") == [{"what": "größer", "step": 10, "loss": 3.0}]
    report.observe("a", 30, 1.0)  # the resumed process writes on
    report.observe("a", 40, 0.5)
    found = losses(store, "k")
    assert (found[0]["step"], found[-1]) == (10, {"what": "a", "step": 40, "loss": 0.5})
    assert len(found) in (2, 3)


@pytest.mark.parametrize("name", ["run.json", "status.json"])
@pytest.mark.parametrize("content", ["", '{"state": "runn', "{}", "[]", "null", '"running"', "\udcff", None], ids=str)
def test_a_run_whose_files_are_broken_is_told_and_not_listed(store: Store, folder: Path, name: str, content) -> None:
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match="run k: there is none, or its files cannot be read"):
        read(store, "k")
    assert all_runs(store) == []
    stop(store, "k")
    delete(store, "k")
    assert not folder.exists()


def test_runs_are_listed_newest_first(store: Store) -> None:
    assert all_runs(store) == []
    for key, started in (("a", 2.0), ("b", 3.0), ("c", 1.0)):
        folder = store.path("runs", key)
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps({"title": key, "arguments": [], "started": started}))
        (folder / "status.json").write_text(json.dumps({"state": "finished", "updated": started}))
    assert [run.title for run in all_runs(store)] == ["b", "a", "c"]
    delete(store, "b")
    assert [run.title for run in all_runs(store)] == ["a", "c"]
    with pytest.raises(InputError, match="run b: there is none"):
        read(store, "b")
    delete(store, "b")  # it is gone already


def test_the_tail_of_a_log(store: Store, folder: Path) -> None:
    assert log_tail(store, "k") == ""
    (folder / "log.txt").write_bytes(b"one\ntwo\nthr\xffee\n")
    assert log_tail(store, "k", 2) == "two\nthr\ufffdee"


def test_a_cache_that_cannot_be_written_starts_nothing_and_is_one_line(store: Store):
    store.root.mkdir(parents=True, exist_ok=True)
    (store.root / "runs").write_bytes(b"")  # no folder can be made under a file, whoever asks
    with pytest.raises(StoreError, match="cannot be written") as caught:
        start(["train"], store, "a title")
    assert "\n" not in str(caught.value)
