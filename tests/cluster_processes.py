"""A scheduler and workers of Dask as processes on the loopback, and tasks for them that import little."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.progress import Progress
from engine.sweeps.workers import Failure

ROOT = Path(__file__).resolve().parents[1]
DEADLINE = 90


def wait_until(reached: Callable[[], object]) -> None:
    """Wait for something that happens in other processes."""
    end = time.monotonic() + DEADLINE
    while not reached():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)


@dataclass
class Processes:
    """A scheduler and its workers, each a process."""

    folder: Path
    scheduler: subprocess.Popen
    workers: list[subprocess.Popen]

    @classmethod
    def start(cls, folder: Path) -> Processes:
        options = ("--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0")
        started = cls(folder, cls._run(folder, "scheduler", *options), [])
        wait_until((folder / "address.json").is_file)
        return started

    @classmethod
    def _run(cls, folder: Path, what: str, *options: str, cwd: Path = ROOT) -> subprocess.Popen:
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}"]
        command += ["--scheduler-file", str(folder / "address.json"), *options]
        with (folder / f"{what}.log").open("ab") as log:
            return subprocess.Popen(command, cwd=cwd, stdout=log, stderr=log)  # noqa: S603 - our own interpreter

    @property
    def address(self) -> str:
        return json.loads((self.folder / "address.json").read_text())["address"]

    def add_worker(self, cwd: Path = ROOT) -> subprocess.Popen:
        options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(self.folder))
        self.workers.append(self._run(self.folder, "worker", *options, cwd=cwd))
        return self.workers[-1]

    def end(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


@dataclass(frozen=True)
class Named:
    label: str


def never(task: Named, progress: Progress) -> Failure | None:
    raise ValueError("it was done")


def killing(task: Named, progress: Progress) -> Failure | None:
    if task.label == "killer":
        os.kill(os.getpid(), signal.SIGKILL)
    return Failure(task.label, "was done")


def waiting(task: Named, progress: Progress) -> Failure | None:
    """The second task waits until it is cancelled."""
    while task.label == "b":
        progress("wait", 0, 1)
        time.sleep(0.1)
    return None
