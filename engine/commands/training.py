"""`train` and `sweep`: checkpoints at chosen ratios."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from engine.collections.pair_filter import name_or_path
from engine.commands.console import (
    add_keep_identical_ids,
    add_lang,
    err,
    names,
    numbers,
    one_line,
    out,
    say_notes,
    say_split,
    say_taken,
    say_training,
    warn,
)
from engine.commands.encoders import add_encoder, encoder_name, encoder_options
from engine.progress import unobserved

if TYPE_CHECKING:
    from engine.storage.store import Store
    from engine.sweeps.workers import Workers


def add(commands: argparse._SubParsersAction) -> None:
    """Add the commands to the parser."""
    train = commands.add_parser("train", help="train a checkpoint at one ratio")
    train.add_argument("--alpha", type=float, help="share of monolingual batches, 0 to 1")
    train.add_argument(
        "--strategy",
        default="hybrid",
        help="hybrid; a baseline without a ratio: x-x-mono, x-y, x-x, en-en; "
        "or one that takes the language out of the vectors: centred, lir-1 ...; see README",
    )
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--eval", type=names, default=[], metavar="C[,C]", help="leave out of training what is in these")
    _add_training(train)
    train.set_defaults(command=_train)

    sweep = commands.add_parser("sweep", help="train and evaluate ratios and seeds; what exists is not computed again")
    sweep.add_argument("--eval", type=names, required=True, metavar="C[,C]", help="collections to evaluate on")
    sweep.add_argument("--alphas", type=numbers(float), default=[0.0, 0.25, 0.5, 0.75, 1.0], metavar="A[,A]")
    sweep.add_argument(
        "--english-shares",
        type=numbers(_share),
        default=[],
        metavar="S[,S]",
        help="of collections of pictures: how often captions are English, 0 to 1, at every ratio; own: as often as "
        "the languages' own proportion says",
    )
    sweep.add_argument("--seeds", type=numbers(int), default=[0], metavar="N[,N]")
    sweep.add_argument(
        "--baselines",
        type=names,
        default=[],
        metavar="S[,S]",
        help="x-x, en-en, centred, lir-1 ... (also with -transductive, +hybrid)",
    )
    sweep.add_argument("--merge", action="store_true", help="also average the checkpoints of alpha 0 and 1")
    sweep.add_argument("--every", type=int, default=1, metavar="N", help="evaluate on every N-th paragraph only")
    add_keep_identical_ids(sweep)
    sweep.add_argument("--jobs", type=int, default=1, help="recipes at the same time, each in a process of its own")
    sweep.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="run them on a Dask cluster, such as tcp://host:8786; local: on one of --jobs workers here",
    )
    _add_training(sweep)
    sweep.set_defaults(command=_sweep)


def _train(options: argparse.Namespace) -> None:
    from rich.text import Text

    from engine.collections.opening import open_collection
    from engine.encoders.resolve import open_encoder
    from engine.storage.store import Store
    from engine.training.checkpoint import read_training
    from engine.training.train import make_recipe, train
    from engine.training.training_set import TrainingSet

    store = Store()
    encoder = open_encoder(encoder_name(options), store, options=encoder_options(options))
    skip = options.skip_invalid
    held_apart = [open_collection(name, store, skip_invalid=skip, split=options.split) for name in options.eval]
    name = name_or_path(options.train, options.lang)
    trained_on = open_collection(name, store, skip_invalid=skip, split=options.train_split, purpose="training")
    say_split("trained on", trained_on)
    training = TrainingSet.without_leaks(trained_on, held_apart, allowed=options.allow_leaks)
    with options.progress() as progress:
        training = training.compared(held_apart, store, progress)
    recipe = make_recipe(
        encoder,
        training,
        method=options.method,
        strategy=options.strategy,
        alpha=options.alpha,
        seed=options.seed,
        settings=_settings(options),
    )
    for note in training.notes():
        err.print(note, highlight=False, soft_wrap=True)
    if _is_table(name):
        say_training(training)
    with options.progress() as progress:
        key = train(
            recipe, encoder, training, store, progress=progress, observe=getattr(progress, "observe", unobserved)
        )
    result = read_training(store, key)
    loss = f", last loss {result['losses'][-1][1]:.4f}" if result["losses"] else ""
    out.print(Text.assemble((recipe.label, "bold"), f"  {result['seconds']:.1f} s{loss}"))
    out.print(f"checkpoint {key}: {store.path('checkpoints', key)}", soft_wrap=True)


def _is_table(training: str) -> bool:
    from engine.collections.pair_filter import PairFilter
    from engine.collections.pair_table import tables

    return bool(tables(Path(PairFilter.parse(training)[0])))


def _sweep(options: argparse.Namespace) -> None:
    from engine.collections.opening import open_collection
    from engine.storage.store import Store
    from engine.sweeps.run import run_sweep
    from engine.sweeps.sweep import Sweep
    from engine.training.training_set import TrainingSet

    sweep = Sweep(
        encoder=encoder_name(options),
        training=name_or_path(options.train, options.lang),
        evaluations=tuple(map(name_or_path, options.eval)),
        alphas=tuple(options.alphas),
        seeds=tuple(options.seeds),
        english_shares=tuple(options.english_shares),
        method=options.method,
        baselines=tuple(options.baselines),
        merges=options.merge,
        settings=_settings(options),
        every=options.every,
        skip_invalid=options.skip_invalid,
        keep_identical_ids=options.keep_identical_ids,
        allow_leaks=options.allow_leaks,
        split=options.split,
        train_split=options.train_split,
        options=encoder_options(options),
    )
    store = Store()
    if _is_table(sweep.training):  # counted as it came; what leaks into the evaluation is left out later
        skip, split = options.skip_invalid, options.train_split
        table = open_collection(sweep.training, store, skip_invalid=skip, split=split, purpose="training")
        say_training(TrainingSet(table))
    with _workers(options, store) as workers, options.progress() as progress:
        observe = getattr(progress, "observe", unobserved)
        failures = run_sweep(sweep, store, workers=workers, progress=progress, observe=observe)
    for failure in failures:
        warn("failed:", f"{failure.label}: {one_line(failure.reason)}")
    _print_sweep(sweep, store)


@contextmanager
def _workers(options: argparse.Namespace, store: Store) -> Iterator[Workers | None]:
    """Who runs the recipes; None for this process."""
    from engine.errors import InputError
    from engine.sweeps.cluster import LOCAL, connected
    from engine.sweeps.workers import side_by_side

    if options.scheduler is None:
        yield side_by_side(options.jobs)
        return
    if options.jobs != 1 and options.scheduler != LOCAL:
        raise InputError("--jobs: a scheduler elsewhere has its own workers; leave it out, or give --scheduler local")
    with connected(options.scheduler, store, options.jobs) as cluster:
        none_yet = "" if cluster.size else "; recipes wait until one joins"
        err.print(
            f"scheduler's dashboard: {cluster.dashboard or 'none'}; workers: {cluster.size}{none_yet}", soft_wrap=True
        )
        yield cluster


def _print_sweep(sweep: object, store: object) -> None:
    from rich.table import Table

    from engine.evaluation.notes import seen_in_words
    from engine.sweeps.run import as_table, evaluated

    evaluations = evaluated(sweep, store)
    for part in {one.manifest.collection.name: one.manifest.collection for _, _, one in evaluations}.values():
        say_taken("evaluated on", part.name, part.split)
        say_notes(part)
    seen = dict.fromkeys(seen_in_words(one.manifest) for _, _, one in evaluations)
    caption = "; ".join(["mAP", *filter(None, seen)])
    rows = as_table(evaluations)
    ratios = ["english_share"] if rows["english_share"].count() else []
    heads = ["collection", "strategy", *(["English share"] if ratios else []), "alpha", "seed"]
    table = Table(*heads, "mono", "cross", "multi", "rank distance", caption=caption)
    for row in rows.iter_rows(named=True):
        scores = ["-" if row[name] is None else f"{row[name]:.4f}" for name in ("mono_map", "cross_map", "multi_map")]
        numbers = ["" if row[name] is None else f"{row[name]:g}" for name in (*ratios, "alpha", "seed")]
        distance = "-" if row["rank_distance"] is None else f"{row['rank_distance']:.0f}"
        table.add_row(row["collection"], row["strategy"], *numbers, *scores, distance)
    out.print(table)


def _settings(options: argparse.Namespace) -> object:
    """The method's settings, with what was given in their place."""
    from dataclasses import fields, replace

    from engine.errors import InputError
    from engine.training.recipe import DEFAULTS, FULL_ONLY, Settings

    named = {field.name: getattr(options, field.name) for field in fields(Settings)}
    given = {name: value for name, value in named.items() if value is not None}
    idle = [f"--{name.replace('_', '-')}" for name in FULL_ONLY if name in given]
    if options.method == "head" and idle:
        raise InputError(f"{', '.join(idle)}: method head has no use for it; leave it out, or use --method full")
    return replace(DEFAULTS[options.method], **given)


def _share(text: str) -> float | None:
    """An English share; None for "own"."""
    from engine.sweeps.sweep import OWN_SHARE

    return None if text.strip() == OWN_SHARE else float(text)


def _add_training(parser: argparse.ArgumentParser) -> None:
    add_encoder(parser)
    parser.add_argument("--train", required=True, metavar="C", help="training collection: catalog name or folder")
    parser.add_argument("--skip-invalid", action="store_true", help="leave unusable rows of collections out")
    parser.add_argument(
        "--allow-leaks", action="store_true", help="train on texts that are evaluated on too; no longer zero-shot"
    )
    add_lang(parser, "--train")
    parser.add_argument("--train-split", metavar="S", help="split of a BEIR folder to train on; default: train")
    parser.add_argument("--split", metavar="S", help="split to evaluate on; default: test, dev or validation")
    parser.add_argument(
        "--method", choices=["head", "full"], default="head", help="head: seconds on a CPU; full: a GPU's work"
    )
    kinds = {"learning_rate": float, "weight_decay": float, "temperature": float, "tau": float, "warmup": float}
    kinds |= {"english_share": float, "caption_pairs": float}
    for name in (
        *("steps", "batch_size", "learning_rate", "weight_decay", "temperature", "tau", "hard_negatives"),
        *("warmup", "max_length", "accumulate", "hold_out", "patience", "save_every", "english_share"),
        "caption_pairs",
    ):
        kind = float if name == "hold_out" else kinds.get(name, int)
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, help="default: the method's")
    parser.add_argument(
        "--lock-pictures", action="store_true", default=None, help="of pictures: train the text side alone (LiT)"
    )
