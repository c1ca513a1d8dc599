"""Who runs the tasks of a sweep beside this process: what every such crew offers, and processes of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

from engine.errors import TrainingError
from engine.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class Failure:
    """A task that could not be done, and why."""

    label: str
    reason: str


class Task(Protocol):
    """What is given to a worker; it must be picklable."""

    @property
    def label(self) -> str:
        """What to call it."""


Some = TypeVar("Some", bound=Task)


class Workers(Protocol):
    """Processes that run tasks side by side and share the cache."""

    @property
    def encode(self) -> bool:
        """Whether they encode too what the recipes share; else the process does that asks them."""

    def each(self, work: Callable[[Some, Progress], Failure | None], tasks: Sequence[Some]) -> Iterator[Failure | None]:
        """Do tasks, in any order.

        Args:
            work: What to do with a task and where to tell its progress; it must be picklable.
            tasks: The tasks.

        Yields:
            What `work` returns, as tasks end; a failure for a task that cost workers their lives.

        Raises:
            EngineError: If the workers are lost, or `work` raises one.
        """


@dataclass(frozen=True, slots=True)
class Processes:
    """Processes of this machine.

    Attributes:
        jobs: How many.
    """

    jobs: int
    encode = False

    def each(self, work: Callable[[Some, Progress], Failure | None], tasks: Sequence[Some]) -> Iterator[Failure | None]:
        """Do tasks, in any order; see `Workers`.

        Raises:
            TrainingError: If a process was killed.
            EngineError: What `work` raises.
        """
        from joblib import Parallel, delayed

        try:
            parallel = Parallel(n_jobs=self.jobs, return_as="generator_unordered")
            yield from parallel(delayed(work)(task, silent) for task in tasks)
        except BrokenExecutor as error:
            raise TrainingError(
                f"sweep: one of its {self.jobs} processes was killed, perhaps for want of memory; what is finished is "
                "kept: run it again with fewer jobs"
            ) from error


def side_by_side(jobs: int) -> Processes | None:
    """Processes for so many recipes at the same time; None for one, which this process runs itself."""
    return Processes(jobs) if jobs > 1 else None
