"""What commands share: the consoles, progress, and how names, numbers and files are taken from arguments."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from engine.collections.structures import Collection
from engine.errors import InputError
from engine.progress import Progress as Note

if TYPE_CHECKING:
    from engine.evaluation.manifest import CollectionPart
    from engine.training.training_set import TrainingSet

out = Console(markup=False)  # names are data: a folder may be called [bold]x[/]
err = Console(stderr=True, markup=False)

_MOST_SHOWN = 16


def one_line(error: Exception | str) -> str:
    """An error's text as one line."""
    return " ".join(str(error).split())


def warn(head: str, text: str, style: str = "bold red") -> None:
    """Print a line on standard error that begins with a coloured word.

    Args:
        head: The word, such as "error:".
        text: The rest of the line.
        style: Of the word, as rich names it.
    """
    err.print(Text.assemble((head, style), " ", text), soft_wrap=True)


@contextmanager
def watched(run: str | None) -> Iterator[Callable[[], AbstractContextManager[Note]]]:
    """How progress is shown: as bars for a person, or in the files of a background run."""
    if run is None:
        yield _bars
        return
    from engine.storage.job_process import running
    from engine.storage.store import Store

    with running(Store(), run) as reporter:
        yield lambda: nullcontext(reporter)


@contextmanager
def _bars() -> Iterator[Note]:
    """A progress bar per stage on standard error, with the time left."""
    columns = (TextColumn("{task.description:<18}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeRemainingColumn(elapsed_when_finished=True), console=err) as bars:
        tasks: dict[str, TaskID] = {}

        def note(stage: str, done: float, total: float) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield note


def check_writable(path: Path | None) -> None:
    """Refuse a place that cannot be written before the work is done, not after."""
    if path is not None and str(path) != "-" and (path.is_dir() or not path.absolute().parent.is_dir()):
        raise InputError(f"{path}: cannot be written; give a file in a folder that exists")


def write(path: Path, text: str) -> None:
    """Write a text file, or say why it cannot be written."""
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror}); give a file in a folder that exists"
        ) from error


def names(text: str) -> list[str]:
    """Names by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def numbers(kind: type) -> Callable[[str], list]:
    """A parser of numbers by commas."""

    def parse(text: str) -> list:
        try:
            return [kind(part) for part in text.split(",") if part.strip()]
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r}: numbers by commas are expected, such as 0,0.5,1") from error

    return parse


def say_split(what: str, collection: Collection) -> None:
    """Say which split of a collection was taken, where it has splits.

    Args:
        what: What it is taken for, such as "evaluated on".
        collection: The collection.
    """
    say_taken(what, collection.name, collection.split)


def say_taken(what: str, name: str, split: str | None) -> None:
    """As `say_split`, by the collection's name and split."""
    if split is not None:
        err.print(f"{what} {name}, split {split}", highlight=False, soft_wrap=True)


def add_keep_identical_ids(parser: argparse.ArgumentParser) -> None:
    """Add the option that lets a query retrieve the candidate of its own id."""
    parser.add_argument(
        "--keep-identical-ids",
        action="store_true",
        help="let a query retrieve the document of its own id; default: it is left out of its own ranking",
    )


def add_lang(parser: argparse.ArgumentParser, of: str) -> None:
    """Add the option that says in which language captions are whose metadata do not.

    Args:
        parser: The command's.
        of: Of which collection, such as "--train".
    """
    parser.add_argument(
        "--lang", metavar="L", help=f"of shards, embeddings or tables in {of}: language of texts that name none"
    )


def say_training(training: TrainingSet) -> None:
    """Say what a table of pairs comes to before it is trained on: what was left out, and how many of each language.

    Args:
        training: What is trained on.
    """
    collection = training.collection
    tell = partial(err.print, highlight=False, soft_wrap=True)
    if collection.skipped:
        tell(f"{collection.name}: left out: {', '.join(f'{count} times {why}' for why, count in collection.skipped)}")
    for what, codes in (("queries", collection.queries.languages), ("passages", collection.corpus.languages)):
        counts = Counter(codes)
        tell(f"{collection.name}: {len(codes):,} {what}: {_shown(counts.most_common())}")
    pairs = sorted(training.pair_counts().items(), key=lambda pair: -pair[1])
    tell(f"{collection.name}: questions by pair: {_shown([(f'{one} → {other}', n) for (one, other), n in pairs])}")


def _shown(counts: list[tuple[str, int]]) -> str:
    more = f", and {len(counts) - _MOST_SHOWN} more" if len(counts) > _MOST_SHOWN else ""
    return ", ".join(f"{name} {count:,}" for name, count in counts[:_MOST_SHOWN]) + more


def say_notes(collection: CollectionPart) -> None:
    """Say what a reader of an evaluation's scores should know of how its collection was read.

    Args:
        collection: The manifest's part on it.
    """
    from engine.evaluation.notes import reading_notes

    for note in reading_notes(collection):
        err.print(f"{collection.name}: {note}", highlight=False, soft_wrap=True)
