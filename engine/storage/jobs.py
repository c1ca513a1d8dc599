"""Commands of the engine as processes of their own: started, watched through files, stopped, resumed.

This is the side of whoever starts and watches; what the process itself does is in `job_process`.

A run is a folder `runs/<key>/`; the key is a digest of the command's arguments, so that starting the same command again
joins the one that is running, or resumes it. The process holds a lock on the folder for as long as it lives, which is
how others know that it lives; it leaves `status.json` for whoever watches, and `log.txt`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from engine.errors import InputError
from engine.storage.digest import digest
from engine.storage.store import Store, disk_error

State = Literal["running", "finished", "failed", "stopped"]

LOSSES = "losses.jsonl"

STOP = "stop"  # asks a process that has not come up yet to stop

_STARTING_SECONDS = 60  # how long a process may take from its start to its first sign of life
_INTERRUPTED = 130

_started: dict[tuple[Path, float], subprocess.Popen[bytes]] = {}
"""What this process has started, by folder and time: so that it sees at once if one ends before it came up."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run as its files tell.

    Attributes:
        key: Its key.
        title: What a person calls it.
        arguments: What stands behind `python -m engine`.
        state: "running", "finished", "failed" (the message says why), or "stopped" (by a person or from outside).
        stage: What it does, or did last.
        fraction: How much of the stage is done, 0 to 1.
        seconds_left: Estimate for the stage; None before there is one.
        overall: How far the whole is, where it has many parts, such as "recipe 3 of 15"; else empty.
        message: The error of a failed run.
        started: Unix time.
        updated: Unix time of the last sign of life.
        whole: How much of the whole is done, 0 to 1; None where the job has one part.
    """

    key: str
    title: str
    arguments: tuple[str, ...]
    state: State
    stage: str
    fraction: float
    seconds_left: float | None
    overall: str
    message: str
    started: float
    updated: float
    whole: float | None = None

    @property
    def done(self) -> float:
        """How much of the whole job is done, 0 to 1: of all its parts where it has several."""
        return min(1.0, self.fraction if self.whole is None else self.whole)


def start(arguments: Sequence[str], store: Store, title: str) -> Run:
    """Start a command in the background, or join it if it runs already.

    Args:
        arguments: What stands behind `python -m engine`.
        store: Whose cache the command uses.
        title: What a person calls it.

    Raises:
        StoreError: If the cache cannot be written.
    """
    key = digest("run", list(arguments))
    if not _is_running(store, key):
        try:
            _launch(run_folder(store, key), key, arguments, store, title)
        except OSError as error:
            raise disk_error(error, run_folder(store, key)) from error
    return read(store, key)


def _launch(folder: Path, key: str, arguments: Sequence[str], store: Store, title: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / STOP).unlink(missing_ok=True)
    now = time.time()
    write_json(folder / "run.json", {"title": title, "arguments": list(arguments), "started": now})
    write_json(folder / "status.json", {"state": "running", "stage": "start", "updated": now, "starting": True})
    with (folder / "log.txt").open("ab") as log:
        _started[folder, now] = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "engine", "--run", key, *arguments],
            cwd=Path(__file__).resolve().parents[2],
            env={**os.environ, "HYBRID_BATCH_CACHE": str(store.root.resolve())},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def read(store: Store, key: str) -> Run:
    """A run by its key.

    Raises:
        InputError: If there is none.
    """
    folder = run_folder(store, key)
    try:
        about, status = (_read_object(folder / name) for name in ("run.json", "status.json"))
        if status["state"] == "running" and not _alive(folder):
            status = _last_status(folder, about["started"])
        return _as_run(key, about, status)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"run {key}: there is none, or its files cannot be read ({error!r}); delete it") from error


def _last_status(folder: Path, started: float) -> dict[str, Any]:
    """The status of a run whose process does not hold its lock: it has ended, or has not come so far."""
    process = _started.get((folder, started))
    code = process.poll() if process else None
    status = _read_object(folder / "status.json")  # after all else, for it may have ended just now
    if status["state"] != "running":
        return status
    if code is None and status.get("starting") and time.time() - status["updated"] < _STARTING_SECONDS:
        return status
    if status.get("starting") and code is not None and code > 0 and code != _INTERRUPTED:
        return status | {"state": "failed", "message": _log_lines(folder, 1)}
    return status | {"state": "stopped"}


def _as_run(key: str, about: dict[str, Any], status: dict[str, Any]) -> Run:
    return Run(
        key=key,
        title=about["title"],
        arguments=tuple(about["arguments"]),
        state=status["state"],
        stage=status.get("stage", ""),
        fraction=float(status.get("fraction", 0.0)),
        seconds_left=status.get("seconds_left"),
        overall=status.get("overall", ""),
        whole=status.get("whole"),
        message=status.get("message", ""),
        started=about["started"],
        updated=status["updated"],
    )


def all_runs(store: Store) -> list[Run]:
    """Every run, newest first."""
    found = []
    for folder in (store.root / "runs").glob("*/run.json"):
        try:
            found.append(read(store, folder.parent.name))
        except InputError:
            continue
    return sorted(found, key=lambda run: -run.started)


def stop(store: Store, key: str) -> None:
    """Ask a run to stop: what it has finished is kept, and starting it again goes on from there."""
    folder = run_folder(store, key)
    with contextlib.suppress(OSError, ValueError, KeyError):  # it has gone
        if _read_object(folder / "status.json").get("starting"):
            (folder / STOP).touch()
        pid = _read_object(folder / "status.json")["pid"]  # again, for it may have come up meanwhile
        if _alive(folder):
            os.kill(pid, signal.SIGINT)


def delete(store: Store, key: str) -> None:
    """Forget a run's files; what it computed stays in the store.

    Raises:
        InputError: If it is running.
    """
    if _is_running(store, key):
        raise InputError(f"run {key[:8]}: it is running; stop it first")
    shutil.rmtree(run_folder(store, key), ignore_errors=True)


def losses(store: Store, key: str) -> list[dict[str, Any]]:
    """A training run's losses so far: `what` (the checkpoint), `step`, `loss`; of a step done again, the latest."""
    file = run_folder(store, key) / LOSSES
    found = {}
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []:
        with contextlib.suppress(ValueError, KeyError, TypeError):  # the process was killed while it wrote the line
            loss = json.loads(line)
            found[loss["what"], loss["step"]] = {name: loss[name] for name in ("what", "step", "loss")}
    return list(found.values())


def log_tail(store: Store, key: str, lines: int = 40) -> str:
    """The last lines of a run's log."""
    return _log_lines(run_folder(store, key), lines)


def _log_lines(folder: Path, lines: int) -> str:
    file = folder / "log.txt"
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    return "\n".join(text.splitlines()[-lines:])


def run_folder(store: Store, key: str) -> Path:
    """Where a run's files are."""
    return store.path("runs", key)


def _is_running(store: Store, key: str) -> bool:
    try:
        return read(store, key).state == "running"
    except InputError:
        return False


def _alive(folder: Path) -> bool:
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


def _read_object(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise ValueError(f"{path.name} holds no object")
    return found


def write_json(path: Path, value: object) -> None:
    """Write one of a run's JSON files whole."""
    temporary = path.with_name(f".{path.name}-{os.getpid()}")
    temporary.write_text(json.dumps(value), encoding="utf-8")
    temporary.replace(path)
