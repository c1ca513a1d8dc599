"""Sweeps on a Dask cluster: a scheduler and workers as processes on the loopback, some of which are killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from distributed import Client

from engine.errors import InputError, TrainingError
from engine.storage.store import Store
from engine.sweeps import cluster as module
from engine.sweeps.cluster import Cluster, connected, fault_here, sources
from engine.sweeps.run import run_sweep
from engine.sweeps.sweep import Sweep
from engine.sweeps.workers import Failure
from tests.builders import write_xquad_r
from tests.checkpoints import tiny_bert
from tests.cluster_processes import DEADLINE, Named, Processes, killing, never, wait_until, waiting
from tests.command_line import runner, the_error
from tests.training_builders import ROOT, SHORT, made_up_collection

FAST = replace(SHORT, steps=100, max_length=None)


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    started = Processes.start(tmp_path_factory.mktemp("dask"))
    for _ in range(2):
        started.add_worker()
    yield started
    started.end()


@pytest.fixture
def client(processes: Processes) -> Iterator[Client]:
    """A connection of the test's own, with two workers there."""
    with Client(processes.address, set_as_default=False) as client:
        while len(processes.workers) < 2 or len([one for one in processes.workers if one.poll() is None]) < 2:
            processes.add_worker()
        client.wait_for_workers(2, timeout=DEADLINE)
        yield client


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """Three recipes of a moment, and a merge."""
    root = tmp_path_factory.mktemp("swept")
    tiny_bert(root / "bert", "ar", "de", "en", as_sentence_transformer=True)
    for name, first in (("trained", 0), ("one", 100)):
        write_xquad_r(root / name, made_up_collection(4, ("de", "en"), first=first))
    names = (str(root / "bert"), str(root / "trained"), (str(root / "one"),))
    return Sweep(*names, (0.0, 0.5, 1.0), merges=True, settings=FAST)


def executing(client: Client) -> list[str]:
    """Addresses of the workers that run something."""

    def tasks(dask_worker: object) -> int:
        return len(dask_worker.state.executing)

    return [worker for worker, count in client.run(tasks).items() if count]


def content(root: Path) -> dict[str, object]:
    """What the files of a cache hold, by name, without when and in what time they were made."""
    found: dict[str, object] = {}
    for file in sorted(path for path in root.rglob("*") if path.is_file()):
        name = file.relative_to(root).as_posix()
        if name.partition("/")[2].startswith("."):  # what a killed process had begun
            continue
        found[name] = file.read_bytes()
        if file.name in ("manifest.json", "training.json"):
            values = json.loads(file.read_text(encoding="utf-8"))
            for of_time in ("created", "seconds", "checksum"):
                values.pop(of_time, None)
            values.get("files", {}).pop("training.json", None)
            found[name] = values
    return found


def test_killed_workers_cost_their_task_and_change_no_byte(
    client: Client, processes: Processes, sweep: Sweep, tmp_path: Path
) -> None:
    store = Store(tmp_path / "cache")
    run_sweep(sweep, store)
    expected = content(store.root)
    store.root.rename(tmp_path / "undisturbed")
    pids, killed, steps = client.run(os.getpid), [], []

    def kill_one_at_work(stage: str, done: float, total: float) -> None:
        steps.append((stage, done, total))
        if done == 2:
            wait_until(lambda: executing(client))
            killed.extend(executing(client)[:1])
            os.kill(pids[killed[0]], signal.SIGKILL)

    with connected(processes.address, store) as workers:
        assert run_sweep(sweep, store, workers=workers, progress=kill_one_at_work) == []
    [(_, lost)] = [event for event in client.get_events(killed[0]) if event[1]["action"] == "remove-worker"]
    assert lost["processing-tasks"], "it was killed in mid-task"
    assert not lost["expected"]
    assert steps == [("sweep", done, 5) for done in range(6)]
    found = content(store.root)
    assert found.keys() == expected.keys()
    assert len([name for name in found if name.endswith("ranks.parquet")]) == 5
    assert [name for name in found if found[name] != expected[name]] == []


def test_the_command_shows_the_dashboard_and_leaves_the_cluster(
    client: Client, processes: Processes, sweep: Sweep, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = runner(capsys)(*one_recipe(sweep, steps=4), "--scheduler", processes.address)
    assert status == 0, err
    assert "scheduler's dashboard: http://127.0.0.1:" in err
    assert "workers: 2" in err
    assert "hybrid" in out
    assert not list((store.root / "runs").glob("*"))
    assert len(client.scheduler_info()["workers"]) == 2


def one_recipe(sweep: Sweep, steps: int) -> list[str]:
    return replace(sweep, alphas=(0.5,), merges=False, settings=replace(FAST, steps=steps)).to_arguments()


def test_an_interrupt_cancels_what_was_asked_for(
    client: Client, processes: Processes, sweep: Sweep, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "engine", *one_recipe(sweep, steps=10**6), "--scheduler", processes.address]
    cache = {**os.environ, "HYBRID_BATCH_CACHE": str(tmp_path)}
    asked = subprocess.Popen(command, cwd=ROOT, env=cache, stderr=subprocess.PIPE, text=True)  # noqa: S603
    wait_until(lambda: len(list(tmp_path.glob("embeddings/[!.]*"))) == 4 and executing(client))
    asked.send_signal(signal.SIGINT)
    _, err = asked.communicate(timeout=DEADLINE)
    assert asked.returncode == 130
    assert "stopped; what was finished is kept" in err
    assert "Traceback" not in err
    wait_until(lambda: not executing(client))
    assert not client.processing() or not any(client.processing().values())
    assert len(client.scheduler_info()["workers"]) == 2
    assert not list(tmp_path.glob("*/.making-*")), "what had been begun is gone"
    assert not list(tmp_path.glob("runs/.*"))


def test_a_scheduler_that_cannot_be_reached_is_one_line(
    sweep: Sweep, store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CONNECT_SECONDS", 0.5)
    run = runner(capsys, *one_recipe(sweep, steps=4))
    for address in ("tcp://127.0.0.1:9", "udp://x:1", "tcp://no-such-host.invalid:8786", ""):
        assert the_error(run("--scheduler", address)).startswith(f"scheduler '{address}': cannot be reached")
    assert "--jobs: a scheduler elsewhere" in the_error(run("--scheduler", "tcp://127.0.0.1:9", "--jobs", "2"))
    assert not list(store.root.glob("*/*"))


def test_without_dask_it_says_what_to_install(
    sweep: Sweep, store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed.utils", None)
    error = the_error(runner(capsys)(*one_recipe(sweep, steps=4), "--scheduler", "local"))
    assert error.startswith("--scheduler needs Dask: pip install -c requirements.lock -r requirements-cluster.txt")


def test_workers_of_another_version_are_refused(
    client: Client, processes: Processes, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = sources()
    monkeypatch.setattr(module, "sources", lambda: "another")
    with pytest.raises(InputError, match=rf"worker tcp://.* another version of the engine \({ours}, here another\)"):
        connected(processes.address, store).__enter__()
    assert not list(store.root.glob("*/*"))


def test_workers_that_do_not_see_the_cache_are_refused_at_once_or_with_their_first_task(
    client: Client, tmp_path: Path
) -> None:
    elsewhere = Cluster(client, tmp_path / "cache" / "runs" / "mark")
    refused = rf"worker tcp://.*: cannot see the cache {tmp_path / 'cache'}; mount it there under the same path"
    with pytest.raises(InputError, match=rf"{refused} \(1 more workers are refused\)"):
        elsewhere.check_workers()
    with pytest.raises(InputError, match=refused):
        list(elsewhere.each(never, [Named("a task")]))


def test_what_else_a_worker_can_lack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = tmp_path / "runs" / "mark"
    mark.mkdir(parents=True)
    assert fault_here(sources(), mark, 1) is None
    assert "4 tasks in one process; start it with --nthreads 1" in fault_here(sources(), mark, 4)

    def read_only(self: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "touch", read_only)
    assert fault_here(sources(), mark, 1) == f"cannot write to the cache {tmp_path} (Permission denied)"


def test_a_task_that_kills_its_workers_is_a_failure_and_a_lost_scheduler_is_one_line(
    sweep: Sweep, tmp_path: Path
) -> None:
    small = Processes.start(tmp_path)
    try:
        small.add_worker(cwd=tmp_path)
        with Client(small.address, set_as_default=False) as client:
            client.wait_for_workers(1, timeout=DEADLINE)
            with pytest.raises(InputError, match=r"has no engine of this version \(No module named 'engine'\)"):
                Cluster(client, tmp_path).check_workers()
        small.workers.pop().kill()
        for _ in range(4):
            small.add_worker()
        with connected(small.address, Store(tmp_path / "cache")) as workers:
            [failure] = workers.each(killing, [Named("killer")])
            assert failure.reason.startswith("4 workers were killed with it, perhaps for want of memory")
            small.add_worker()
            assert list(workers.each(killing, [Named("other")])) == [Failure("other", "was done")]
            ends = workers.each(waiting, [Named("a"), Named("b")])
            assert next(ends) is None
            small.scheduler.kill()
            with pytest.raises(TrainingError, match="the scheduler was lost; what is finished is kept"):
                list(ends)
    finally:
        small.end()


def test_a_local_cluster_gives_the_same(sweep: Sweep, tmp_path: Path) -> None:
    store, few = Store(tmp_path / "cache"), replace(sweep, alphas=(1.0,), merges=False)
    assert run_sweep(few, store) == []
    expected = content(store.root)
    shutil.rmtree(store.root)
    environment = dict(os.environ)
    with connected("local", store) as workers:
        assert workers.size == 1
        assert run_sweep(few, store, workers=workers) == []
    assert content(store.root) == expected
    assert dict(os.environ) == environment  # what the workers were given does not stay here
