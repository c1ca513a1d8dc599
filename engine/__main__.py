"""The command line, `python -m engine ...`: arguments in, engine calls, rich output. No logic of its own."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from engine.errors import EngineError
from engine.progress import Progress as Note
from engine.progress import unobserved

out = Console()
err = Console(stderr=True)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, like every other error, and where the arguments are listed."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}; see {self.prog} --help\n")


def main(arguments: list[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: What stands behind `python -m engine`; None takes the process's own.

    Returns:
        The exit status: 0, 2 for a mistake that the message explains, 130 when interrupted.
    """
    options = _parser().parse_args(arguments)
    handler = RichHandler(console=err, show_path=False, show_time=False)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    try:
        with _watched(options.run_key) as options.progress:
            options.command(options)
    except EngineError as error:
        if options.debug:
            raise
        err.print(f"[bold red]error:[/] {_plain(error)}", highlight=False, soft_wrap=True)
        return 2
    except KeyboardInterrupt:
        err.print("stopped; what was finished is kept, the same command goes on from there")
        return 130
    return 0


def _plain(error: Exception) -> str:
    """An error's text as one line that rich does not take for markup."""
    return " ".join(str(error).split()).replace("[", r"\[")


@contextmanager
def _watched(run: str | None) -> Iterator[Callable[[], AbstractContextManager[Note]]]:
    """How progress is shown: as bars for a person, or in the files of a background run."""
    if run is None:
        yield _progress
        return
    from engine.runs import running
    from engine.store import Store

    with running(Store(), run) as reporter:
        yield lambda: nullcontext(reporter)


@contextmanager
def _progress() -> Iterator[Note]:
    """A progress bar per stage on standard error, with the time left."""
    columns = (TextColumn("{task.description:<18}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeRemainingColumn(elapsed_when_finished=True), console=err) as bars:
        tasks: dict[str, TaskID] = {}

        def note(stage: str, done: float, total: float) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield note


def _fetch(options: argparse.Namespace) -> None:
    from engine.catalog import COLLECTIONS, ENCODERS, fetch_collection
    from engine.errors import InputError
    from engine.library import open_encoder
    from engine.store import Store

    if options.name in ENCODERS:
        out.print(f"{options.name}: {open_encoder(options.name, Store()).folder}", soft_wrap=True)
        return
    if options.name not in COLLECTIONS:
        known = ", ".join([*COLLECTIONS, *ENCODERS])
        raise InputError(f"{options.name!r} is in no catalog; allowed are {known}")
    with options.progress() as progress:
        folder, new = fetch_collection(options.name, Store(), options.source, progress)
    source = COLLECTIONS[options.name]
    if new:
        out.print(f"{source.title}: {source.about}. Licence: {source.licence}, {source.licence_url}", soft_wrap=True)
        out.print(f"Cite: {source.citation}", soft_wrap=True)
    out.print(f"{'fetched and verified' if new else 'already there'}: {folder}", soft_wrap=True)


def _evaluate(options: argparse.Namespace) -> None:
    import json

    from engine.evaluation import as_json, evaluate, summarise
    from engine.library import open_collection, open_encoder
    from engine.store import Store

    _check_writable(options.json)
    store = Store()
    given = {"query": options.query_prompt, "document": options.document_prompt}
    prompts = {role: prompt for role, prompt in given.items() if prompt is not None}
    encoder = open_encoder(options.encoder, store, prompts=prompts, max_length=options.max_length)
    collection = open_collection(options.collection, store, every=options.every, skip_invalid=options.skip_invalid)
    for reason, count in collection.skipped:
        err.print(f"left out: {count} times {reason}")
    about = {
        "opened_as": {
            "collection": _name_or_path(options.collection),
            "every": options.every,
            "skip_invalid": options.skip_invalid,
            "encoder": _name_or_path(options.encoder),
        }
    }
    with options.progress() as progress:
        evaluation = evaluate(
            encoder, collection, store, top_k=options.top_k, index=options.index, about=about, progress=progress
        )
    summary = summarise(evaluation)
    if options.json:
        result = json.dumps(as_json(evaluation, summary), indent=1, ensure_ascii=False)
        if str(options.json) == "-":
            sys.stdout.write(result + "\n")
            return
        _write(options.json, result)
    _print_summary(evaluation, summary)


def _train(options: argparse.Namespace) -> None:
    from engine.library import open_collection, open_encoder
    from engine.store import Store
    from engine.training import TrainingSet, make_recipe, read_training, train

    store = Store()
    encoder = open_encoder(options.encoder, store)
    held_apart = [open_collection(name, store) for name in options.eval]
    training = TrainingSet.without_leaks(open_collection(options.train, store), held_apart)
    recipe = make_recipe(
        encoder,
        training,
        method=options.method,
        strategy=options.strategy,
        alpha=options.alpha,
        seed=options.seed,
        settings=_settings(options),
    )
    for leak in training.leaks:
        if leak.questions:
            err.print(f"left out of training: {len(leak.questions)} questions that stand in {leak.collection} too")
    with options.progress() as progress:
        key = train(
            recipe, encoder, training, store, progress=progress, observe=getattr(progress, "observe", unobserved)
        )
    result = read_training(store, key)
    out.print(f"[bold]{recipe.label}[/]  {result['seconds']:.1f} s, last loss {result['losses'][-1][1]:.4f}")
    out.print(f"checkpoint {key}: {store.path('checkpoints', key)}", soft_wrap=True)


def _sweep(options: argparse.Namespace) -> None:
    from engine.store import Store
    from engine.sweep import Sweep, run_sweep

    sweep = Sweep(
        encoder=_name_or_path(options.encoder),
        training=_name_or_path(options.train),
        evaluations=tuple(map(_name_or_path, options.eval)),
        alphas=tuple(options.alphas),
        seeds=tuple(options.seeds),
        method=options.method,
        baselines=tuple(options.baselines),
        merges=options.merge,
        settings=_settings(options),
        every=options.every,
    )
    store = Store()
    with options.progress() as progress:
        observe = getattr(progress, "observe", unobserved)
        failures = run_sweep(sweep, store, jobs=options.jobs, progress=progress, observe=observe)
    for failure in failures:
        err.print(f"[bold red]failed:[/] {failure.label}: {_plain(failure.reason)}", soft_wrap=True)
    _print_sweep(sweep, store)


def _print_sweep(sweep: object, store: object) -> None:
    from rich.table import Table

    from engine.sweep import results

    table = Table("collection", "strategy", "alpha", "seed", "mono", "cross", "multi", "rank distance", caption="mAP")
    for row in results(sweep, store).iter_rows(named=True):
        scores = ["-" if row[name] is None else f"{row[name]:.4f}" for name in ("mono_map", "cross_map", "multi_map")]
        alpha, seed = ("" if row[name] is None else f"{row[name]:g}" for name in ("alpha", "seed"))
        distance = "-" if row["rank_distance"] is None else f"{row['rank_distance']:.0f}"
        table.add_row(row["collection"], row["strategy"], alpha, seed, *scores, distance)
    out.print(table)


def _settings(options: argparse.Namespace) -> object:
    """The method's settings, with what was given in their place."""
    from dataclasses import fields, replace

    from engine.recipe import DEFAULTS, Settings

    given = {field.name: getattr(options, field.name) for field in fields(Settings)}
    return replace(DEFAULTS[options.method], **{name: value for name, value in given.items() if value is not None})


def _print_summary(evaluation: object, summary: object) -> None:
    from rich.table import Table

    from engine.metrics import label

    about = evaluation.about
    out.print(f"[bold]{about['encoder']['name']}[/] on [bold]{about['collection']['name']}[/]  ({evaluation.key[:8]})")
    names = ("map", "hit@1", "ndcg@10", "recall@10")
    table = Table("setting", "cells", *[label(name) for name in names])
    for row in summary.settings.iter_rows(named=True):
        values = ["-" if row[name] is None else f"{row[name]:.4f}" for name in names]
        table.add_row(row["setting"], f"{row['cells']} of {row['expected']}", *values)
    out.print(table)
    distance = summary.mean_rank_distance()
    if distance is not None:
        random = summary.rank_distance["random"].mean()
        out.print(f"rank distance {distance:.0f} (a random ranking: {random:.0f}; lower is less biased)")


def _doctor(options: argparse.Namespace) -> None:
    from rich.table import Table

    from engine.doctor import check

    table = Table("", "what", "state", "what to do")
    for finding in check():
        table.add_row("[green]ok[/]" if finding.good else "[yellow]![/]", finding.what, finding.state, finding.advice)
    out.print(table)


def _check_writable(path: Path | None) -> None:
    """Refuse a place that cannot be written before the work is done, not after."""
    from engine.errors import InputError

    if path is not None and str(path) != "-" and (path.is_dir() or not path.absolute().parent.is_dir()):
        raise InputError(f"{path}: cannot be written; give a file in a folder that exists")


def _write(path: Path, text: str) -> None:
    from engine.errors import InputError

    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror}); give a file in a folder that exists"
        ) from error


def _name_or_path(name: str) -> str:
    return str(Path(name).resolve()) if Path(name).is_dir() else name


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m engine", description="Hybrid Batch Lab on the command line.")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.add_argument("--run", dest="run_key", metavar="KEY", help=argparse.SUPPRESS)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    fetch = commands.add_parser("fetch", help="download or copy a named collection or encoder, and verify it")
    fetch.add_argument("name", help="xquad-r, mlqa-r, or an encoder's catalog name")
    fetch.add_argument("--from", dest="source", type=Path, metavar="DIR", help="copy from a folder, no network needed")
    fetch.set_defaults(command=_fetch)

    evaluate = commands.add_parser("evaluate", help="rank a collection with an encoder")
    evaluate.add_argument(
        "--encoder", default="multilingual-e5-small", help="catalog name, checkpoint, folder or Hub id"
    )
    evaluate.add_argument("--collection", required=True, help="catalog name or folder")
    evaluate.add_argument("--json", type=Path, metavar="FILE", help="write the figures here; - for standard output")
    evaluate.add_argument("--top-k", type=int, default=100, help="how many of the pool to keep for each query")
    evaluate.add_argument("--index", default="Flat", help="FAISS index-factory string for the top k; Flat is exact")
    evaluate.add_argument(
        "--every", type=int, default=1, metavar="N", help="only every N-th paragraph, for a quick look"
    )
    evaluate.add_argument("--max-length", type=int, metavar="TOKENS", help="cut texts here; default: the model's limit")
    evaluate.add_argument("--query-prompt", metavar="TEXT", help="in place of the model's own")
    evaluate.add_argument("--document-prompt", metavar="TEXT", help="in place of the model's own")
    evaluate.add_argument("--skip-invalid", action="store_true", help="leave unusable rows out, counted and reported")
    evaluate.set_defaults(command=_evaluate)

    train = commands.add_parser("train", help="train a checkpoint at one ratio")
    train.add_argument("--alpha", type=float, help="share of monolingual batches, 0 to 1")
    train.add_argument(
        "--strategy", default="hybrid", help="hybrid, or a baseline without a ratio: x-x-mono, x-y, x-x, en-en"
    )
    train.add_argument("--seed", type=int, default=0)
    train.add_argument(
        "--eval", type=_names, default=[], metavar="C[,C]", help="leave out of training what stands in these"
    )
    _add_training(train)
    train.set_defaults(command=_train)

    sweep = commands.add_parser("sweep", help="train and evaluate ratios and seeds; what exists is not computed again")
    sweep.add_argument("--eval", type=_names, required=True, metavar="C[,C]", help="collections to evaluate on")
    sweep.add_argument("--alphas", type=_numbers(float), default=[0.0, 0.25, 0.5, 0.75, 1.0], metavar="A[,A]")
    sweep.add_argument("--seeds", type=_numbers(int), default=[0], metavar="N[,N]")
    sweep.add_argument("--baselines", type=_names, default=[], metavar="S[,S]", help="x-x, en-en")
    sweep.add_argument("--merge", action="store_true", help="also average the checkpoints of alpha 0 and 1")
    sweep.add_argument("--every", type=int, default=1, metavar="N", help="evaluate on every N-th paragraph only")
    sweep.add_argument("--jobs", type=int, default=1, help="recipes at the same time")
    _add_training(sweep)
    sweep.set_defaults(command=_sweep)

    doctor = commands.add_parser("doctor", help="what is installed, fetched, cached, and what is missing")
    doctor.set_defaults(command=_doctor)
    for command in commands.choices.values():  # so that --debug may stand behind the command too
        command.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parser


def _add_training(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--encoder", default="multilingual-e5-small", help="catalog name, folder or Hub id")
    parser.add_argument("--train", required=True, metavar="C", help="training collection: catalog name or folder")
    parser.add_argument(
        "--method", choices=["head", "full"], default="head", help="head: seconds on a CPU; full: a GPU's work"
    )
    kinds = {"learning_rate": float, "weight_decay": float, "temperature": float, "tau": float, "warmup": float}
    for name in (
        *("steps", "batch_size", "learning_rate", "weight_decay", "temperature", "tau", "hard_negatives"),
        *("warmup", "max_length", "accumulate", "hold_out", "patience", "save_every"),
    ):
        kind = float if name == "hold_out" else kinds.get(name, int)
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, help="default: the method's")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _numbers(kind: type) -> Callable[[str], list]:
    def parse(text: str) -> list:
        try:
            return [kind(part) for part in text.split(",") if part.strip()]
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r}: numbers by commas are expected, such as 0,0.5,1") from error

    return parse


if __name__ == "__main__":
    sys.exit(main())
