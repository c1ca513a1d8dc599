"""The folder of a long training run: one run at a time in it, the processes that share it, and its last whole state."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import TrainingError
from engine.training.recipe import Recipe


def is_main_process() -> bool:
    """Whether this process is the one of several (`accelerate launch`) that writes; a process on its own is."""
    return os.environ.get("RANK", "0") == "0"


def wait_for_all() -> None:
    """Let the processes that train together come to the same point."""
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.barrier()


@contextmanager
def alone_in(work: Path, recipe: Recipe) -> Iterator[None]:
    """Keep a run's folder to this process, and those that it trains together with.

    Raises:
        TrainingError: If another process trains the same recipe.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(work / "lock")
    try:
        if is_main_process():
            lock.acquire(timeout=0)
    except Timeout as error:
        raise TrainingError(f"{recipe.label}: another process is training it; wait for it, or stop it") from error
    try:
        yield
    finally:
        lock.release()


def last_state(work: Path) -> str | None:
    """The last whole state of an interrupted run; what was being written when it was killed is cleared away."""

    def step(state: Path) -> int:
        return int(state.name.rpartition("-")[2])

    for state in sorted(work.glob("checkpoint-*"), key=step, reverse=True):
        try:
            json.loads((state / "trainer_state.json").read_text(encoding="utf-8"))  # the trainer writes it last
        except (OSError, ValueError):
            if is_main_process():
                shutil.rmtree(state, ignore_errors=True)
        else:
            return str(state)
    return None
