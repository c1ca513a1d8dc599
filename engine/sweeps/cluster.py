"""Workers of a Dask cluster: tasks are sent, results stay in the cache that workers and this process share.

A task has a worker's process to itself: libraries keep random states and numbers of threads for the whole process, so
two recipes in one would not give the bytes that each gives alone.
"""

from __future__ import annotations

import contextlib
import logging
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import EngineError, InputError, TrainingError
from engine.progress import Progress
from engine.storage.digest import digest
from engine.storage.store import Store
from engine.sweeps.workers import Failure, Some

if TYPE_CHECKING:
    from distributed import Client, Future

LOCAL = "local"
_CONNECT_SECONDS = 10


class _NobodyWaits(BaseException):
    """Ends a task that was cancelled; nothing on the way takes it for a failure of its own."""


class Cluster:
    """A cluster that this process is connected with; `connected` makes it.

    Args:
        client: The connection.
        mark: A folder in the cache, by which a worker shows that it sees the same cache and can write there.
    """

    encode = True

    def __init__(self, client: Client, mark: Path) -> None:
        self._client, self._mark = client, mark

    @property
    def dashboard(self) -> str | None:
        """The address of the scheduler's dashboard; None if it has none."""
        with contextlib.suppress(KeyError):
            return str(self._client.dashboard_link)
        return None

    @property
    def size(self) -> int:
        """How many workers there are now."""
        return len(self._client.scheduler_info(n_workers=-1)["workers"])

    def check_workers(self) -> None:
        """Refuse workers that cannot be used; one that joins later is checked with its first task.

        Raises:
            InputError: If there is one.
        """
        found = self._client.run(_inspector(sources(), self._mark), on_error="return")
        refused = {worker: fault for worker, fault in found.items() if fault is not None}
        for worker, fault in refused.items():
            more = f" ({len(refused) - 1} more workers are refused)" if len(refused) > 1 else ""
            raise InputError(f"worker {worker}: {fault}{more}")

    def each(self, work: Callable[[Some, Progress], Failure | None], tasks: Sequence[Some]) -> Iterator[Failure | None]:
        """Do tasks, in any order; see `Workers`. A task whose worker is killed runs again on another one.

        Raises:
            InputError: If a worker that joined later cannot be used.
            TrainingError: If the scheduler is lost.
            EngineError: What `work` raises.
        """
        from distributed import as_completed

        futures = self._client.map(partial(_do, work, sources(), self._mark), tasks, key="recipe", pure=False)
        task_of = dict(zip(futures, tasks, strict=True))
        try:
            for future in as_completed(futures, loop=self._client.loop):
                yield _result(future, task_of[future])
        finally:  # on Ctrl-C too; the cluster's other work goes on
            self._client.cancel(futures)


@contextlib.contextmanager
def connected(scheduler: str, store: Store, jobs: int = 1) -> Iterator[Cluster]:
    """Connect with a cluster until the context ends, and leave it running.

    Args:
        scheduler: Its address, such as "tcp://host:8786"; "local" starts one on the loopback, which ends with this.
        store: The cache, which every worker must see under the same path.
        jobs: How many workers a local one has.

    Raises:
        InputError: If the scheduler cannot be reached, or a worker cannot be used.
    """
    try:
        from distributed.utils import silence_logging_cmgr
    except ImportError as error:
        raise InputError(
            "--scheduler needs Dask: pip install -c requirements.lock -r requirements-cluster.txt, here and on workers"
        ) from error
    with contextlib.ExitStack() as held:
        held.enter_context(silence_logging_cmgr(logging.CRITICAL))
        address = held.enter_context(_local(jobs)) if scheduler == LOCAL else scheduler
        client = held.enter_context(_client(address))
        name = f"cluster-{uuid.uuid4().hex}"
        held.callback(store.discard_partial, "runs", name)
        cluster = Cluster(client, held.enter_context(store.partial("runs", name)).absolute())
        cluster.check_workers()
        yield cluster


@lru_cache
def sources() -> str:
    """A digest of the engine's modules: what tells one version from another, of a checkout too."""
    root = Path(__file__).resolve().parents[1]
    files = sorted(root.rglob("*.py"))
    return digest([(file.relative_to(root).as_posix(), file.read_bytes()) for file in files])[:12]


def fault_here(expected: str, mark: Path, threads: int) -> str | None:
    """Why this process cannot be a worker; None if it can.

    Args:
        expected: `sources()` of the process that asks.
        mark: Its folder in the cache.
        threads: How many tasks the worker runs at the same time.
    """
    if sources() != expected:
        return (
            f"runs another version of the engine ({sources()}, here {expected}); install the same one and start the "
            "worker again"
        )
    if threads != 1:
        return f"runs {threads} tasks in one process; start it with --nthreads 1, and --nworkers for more"
    try:
        (mark / uuid.uuid4().hex).touch()
    except FileNotFoundError:
        return f"cannot see the cache {mark.parents[1]}; mount it there under the same path"
    except OSError as error:
        return f"cannot write to the cache {mark.parents[1]} ({error.strerror})"
    return None


def _inspector(expected: str, mark: Path) -> Callable[..., str | None]:
    """`fault_here` as a function that is sent whole, for the worker may not have this module."""
    folder = str(mark)

    def inspect(dask_worker: Any) -> str | None:  # noqa: ANN401 - Dask's worker, known there only
        from pathlib import Path

        try:
            from engine.sweeps.cluster import fault_here
        except ImportError as error:
            return f"has no engine of this version ({error}); install the same one and start the worker again"
        fault: str | None = fault_here(expected, Path(folder), dask_worker.state.nthreads)
        return fault

    return inspect


def _do(work: Callable[[Some, Progress], Failure | None], expected: str, mark: Path, task: Some) -> Failure | None:
    """Do a task on a worker."""
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()
    if (fault := fault_here(expected, mark, worker.state.nthreads)) is not None:
        raise InputError(f"worker {worker.address}: {fault}")

    def note(stage: str, done: float, total: float) -> None:
        asked = worker.state.tasks.get(key)
        if asked is None or asked.state == "cancelled":
            raise _NobodyWaits

    return work(task, note)


def _result(future: Future, task: Some) -> Failure | None:
    from distributed import KilledWorker

    try:
        result: Failure | None = future.result()
    except EngineError:
        raise
    except KilledWorker as error:
        killed = error.allowed_failures + 1
        reason = f"{killed} workers were killed with it, perhaps for want of memory; give them more and run it again"
        return Failure(task.label, reason)
    except CancelledError as error:
        raise TrainingError(
            "sweep: the scheduler was lost; what is finished is kept: run the same command again"
        ) from error
    except Exception as error:
        what = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        raise TrainingError(f"sweep: the cluster could not run {task.label} ({what})") from error
    return result


@contextlib.contextmanager
def _client(address: str) -> Iterator[Client]:
    from distributed import Client

    try:
        if not address.strip():  # Dask would start a cluster of its own
            raise ValueError("no address")
        client = Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"scheduler {address!r}: cannot be reached; give the address that `dask scheduler` shows, such as "
            "tcp://host:8786, or local"
        ) from error
    with client:
        yield client


@contextlib.contextmanager
def _environment_kept() -> Iterator[None]:
    """Put the process's environment back at the end: Dask leaves what it sets for the workers that it starts."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


@contextlib.contextmanager
def _local(jobs: int) -> Iterator[str]:
    """The address of a scheduler on the loopback, with workers that share the processors."""
    import dask
    from distributed import LocalCluster

    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    with (
        _environment_kept(),
        dask.config.set({"distributed.nanny.pre-spawn-environ": dict.fromkeys(names, threads)}),
        LocalCluster(
            n_workers=jobs,
            threads_per_worker=1,
            memory_limit=0,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        ) as cluster,
    ):
        yield cluster.scheduler_address
