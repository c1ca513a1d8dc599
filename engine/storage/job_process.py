"""The process of a background run: it holds the run's lock, reports its progress, and leaves its end behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from engine.errors import InputError
from engine.progress import WHOLE
from engine.storage.jobs import LOSSES, STOP, State, run_folder, write_json
from engine.storage.store import Store

_STATUS_EVERY_SECONDS = 0.3
_LOOK_SECONDS = 2  # who looks whether a process lives holds its lock for a moment


@contextlib.contextmanager
def running(store: Store, key: str) -> Iterator[Reporter]:
    """Be the process of a run: hold its lock, report its progress, and leave its end behind.

    Raises:
        InputError: If another process is this run already.
    """
    folder = run_folder(store, key)
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=_LOOK_SECONDS)
    except Timeout as error:
        raise InputError(f"run {key[:8]}: it is running already") from error
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a starter in the background hands on that it ignores it
    reporter = Reporter(folder)
    try:
        if (folder / STOP).exists():
            raise KeyboardInterrupt
        yield reporter
    except KeyboardInterrupt:
        reporter.end("stopped")
        raise
    except Exception as error:
        reporter.end("failed", " ".join(str(error).split()) or type(error).__name__)
        raise
    else:
        reporter.end("finished")
    finally:
        lock.release()


class Reporter:
    """A `Progress` that writes `status.json`."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._written = folder, 0.0
        self._begun: dict[str, tuple[float, float, float]] = {}
        self._status: dict[str, Any] = {"state": "running", "stage": "start", "pid": os.getpid()}
        self._save()

    def __call__(self, stage: str, done: float, total: float) -> None:
        """Take note of a step."""
        now = time.time()
        begun, first, last = self._begun.get(stage, (now, done, done))
        if done < last:  # the stage begins again with the next checkpoint
            begun, first = now, done
        self._begun[stage] = begun, first, done
        rate = (done - first) / (now - begun) if now > begun else 0.0
        left = (total - done) / rate if rate > 0 else None
        new = stage not in (WHOLE, self._status["stage"])
        if stage == WHOLE:
            in_words = f", {_in_words(left)} left" if left else ""
            self._status |= {"overall": f"{done:.0f} of {total:.0f} done{in_words}", "whole": done / total}
        else:
            self._status |= {"stage": stage, "fraction": done / total if total else 1.0, "seconds_left": left}
        if new or now - self._written > _STATUS_EVERY_SECONDS or done >= total:
            self._save()

    def observe(self, what: str, step: int, loss: float) -> None:
        """Add a loss to `losses.jsonl`."""
        with contextlib.suppress(OSError), (self._folder / LOSSES).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"what": what, "step": step, "loss": loss}) + "\n")

    def end(self, state: State, message: str = "") -> None:
        """Leave how it ended."""
        self._status |= {"state": state, "message": message, "seconds_left": None}
        if state == "finished":
            self._status["fraction"] = 1.0
        self._save()

    def _save(self) -> None:
        self._written = time.time()
        with contextlib.suppress(OSError):  # on a full disk the work itself says so
            write_json(self._folder / "status.json", self._status | {"updated": self._written})


def _in_words(seconds: float) -> str:
    return f"about {seconds / 60:.0f} min" if seconds > 90 else f"about {max(1, round(seconds))} s"
