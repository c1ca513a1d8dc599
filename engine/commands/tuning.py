"""`tune`: a head's hyper-parameters, chosen on held-out questions of the training collection."""

from __future__ import annotations

import argparse

from engine.commands.console import numbers, out, say_split
from engine.commands.encoders import add_encoder, encoder_options


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    tune = commands.add_parser(
        "tune", help="choose steps, learning rate and temperature of a head on held-out training questions"
    )
    add_encoder(tune)
    tune.add_argument("--train", required=True, metavar="C", help="training collection: catalog name or folder")
    tune.add_argument("--train-split", metavar="S", help="split of a BEIR folder to train on; default: train")
    tune.add_argument("--skip-invalid", action="store_true", help="leave unusable rows of the collection out")
    for name, kind in (("steps", int), ("learning-rates", float), ("temperatures", float), ("alphas", float)):
        tune.add_argument(f"--{name}", type=numbers(kind), metavar="N[,N]")
    tune.add_argument("--hold-out", type=float, metavar="SHARE", help="share of the questions to score on; default 0.2")
    tune.add_argument("--seed", type=int)
    tune.set_defaults(command=_tune)


def _tune(options: argparse.Namespace) -> None:
    from rich.table import Table

    from engine.collections.opening import open_collection
    from engine.encoders.resolve import open_text_encoder
    from engine.storage.store import Store
    from engine.sweeps.tuning import Grid, best, tune
    from engine.training.training_set import TrainingSet

    store = Store()
    encoder = open_text_encoder(options.encoder, store, options=encoder_options(options))
    collection = open_collection(
        options.train, store, skip_invalid=options.skip_invalid, split=options.train_split, purpose="training"
    )
    say_split("tuned on", collection)
    usual = Grid()
    grid = Grid(
        steps=tuple(options.steps or usual.steps),
        learning_rates=tuple(options.learning_rates or usual.learning_rates),
        temperatures=tuple(options.temperatures or usual.temperatures),
        alphas=tuple(options.alphas or usual.alphas),
        hold_out=usual.hold_out if options.hold_out is None else options.hold_out,
        seed=usual.seed if options.seed is None else options.seed,
    )
    with options.progress() as progress:
        scores = tune(encoder, TrainingSet(collection), store, grid, progress=progress)
    table = Table("steps", "learning rate", "temperature", "mono", "cross", "multi", "mean", caption="held-out mAP")
    for row in scores.iter_rows():
        first = ["untrained", "", ""] if row[0] is None else [f"{value:g}" for value in row[:3]]
        table.add_row(*first, *("-" if score is None else f"{score:.4f}" for score in row[3:]))
    out.print(table)
    chosen = best(scores)
    out.print(
        f"best: --steps {chosen.steps} --learning-rate {chosen.learning_rate:g} --temperature {chosen.temperature:g}"
    )
