"""`import` and `export`: results from elsewhere, and ours in the field's formats."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from engine.commands.console import add_keep_identical_ids, err, names, one_line, out, warn

if TYPE_CHECKING:
    from engine.exchange import Outcome


def add(commands: argparse._SubParsersAction) -> None:
    """Add the commands to the parser."""
    bring = commands.add_parser("import", help="bring a TREC run, a frame of ranks or an MTEB result into the store")
    bring.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="run, frame of ranks, MTEB result, or a folder or zip archive with any of these; the content tells which",
    )
    bring.add_argument("--qrels", type=Path, metavar="FILE", help="a run's judgements; default: <run>.qrels beside it")
    bring.add_argument(
        "--languages",
        type=Path,
        metavar="FILE",
        help="a run's language map: kind (query or document), id, lang, question, by tabs; every candidate is in it",
    )
    bring.add_argument("--collection", help="what was searched; with --languages, only what to call it")
    bring.add_argument("--name", help="what to call what was evaluated; default: what the file says")
    bring.add_argument("--skip-invalid", action="store_true", help="leave unusable rows of the collection out")
    add_keep_identical_ids(bring)
    bring.set_defaults(command=_import)

    take = commands.add_parser("export", help="write an evaluation, a collection or a checkpoint for other tools")
    take.add_argument("--evaluation", metavar="KEY", help="the key, or its first digits")
    take.add_argument("--encoder", help="with --collection: which evaluation, by names")
    take.add_argument("--collection", help="alone: the collection itself, as a BEIR folder")
    take.add_argument("--checkpoint", metavar="KEY", help="a trained checkpoint with its model card, ready for the Hub")
    take.add_argument("--format", type=names, metavar="F[,F]", help="trec, beir, mteb, parquet, csv; default: all")
    take.add_argument(
        "--depth", type=int, metavar="N", help="passages in each list of a TREC run; default: what the evaluation keeps"
    )
    take.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder to make")
    take.add_argument("--skip-invalid", action="store_true", help="leave unusable rows of the collection out")
    take.add_argument("--force", action="store_true", help="replace an earlier export")
    take.set_defaults(command=_export)


def _import(options: argparse.Namespace) -> None:
    from engine.errors import InputError
    from engine.exchange import Options, Outcome, import_file, import_paths
    from engine.storage.store import Store

    store, outcome = Store(), Outcome()
    how: Options = {
        "collection": options.collection,
        "name": options.name,
        "skip_invalid": options.skip_invalid,
        "keep_identical_ids": options.keep_identical_ids,
    }
    if options.qrels or options.languages:
        for file in options.files:
            try:
                found = import_file(file, store, qrels=options.qrels, languages=options.languages, **how)
            except InputError as error:
                outcome.faults.append(str(error))
            else:
                outcome.imported.append(found)
    else:
        outcome = import_paths(options.files, store, **how)
    _say_outcome(outcome)


def _say_outcome(outcome: Outcome) -> None:
    from rich.text import Text

    from engine.errors import InputError
    from engine.exchange.kinds import EXPECTED

    if not outcome.imported and len(outcome.faults) == 1:
        raise InputError(outcome.faults[0])
    for found in outcome.imported:
        state = "imported" if found.new else "already there"
        title = f"{state}: ", (found.title, "bold"), f"  ({found.kind} {found.key[:8]})"
        out.print(Text.assemble(*title), soft_wrap=True)
        for note in found.notes:
            err.print(note, soft_wrap=True)
    for fault in outcome.faults:
        warn("not imported:", one_line(fault))
    for note in outcome.notes:
        err.print(note, soft_wrap=True)
    if outcome.faults:
        count = len(outcome.faults)
        files = "1 file was" if count == 1 else f"{count:,} files were"
        raise InputError(f"{files} not imported; the lines above say why")
    if not outcome.imported:
        raise InputError(f"nothing was imported; give {EXPECTED}")


def _export(options: argparse.Namespace) -> None:
    from engine.errors import InputError
    from engine.exchange import FORMATS, export_checkpoint, export_collection, export_evaluation, find_stored
    from engine.storage.store import Store

    store, chosen = Store(), _chosen(options)
    if chosen == "--checkpoint":
        files = export_checkpoint(options.checkpoint, store, options.out, force=options.force)
    elif chosen == "--collection":
        files = export_collection(
            options.collection, store, options.out, force=options.force, skip_invalid=options.skip_invalid
        )
    else:
        evaluation = find_stored(store, key=options.evaluation, encoder=options.encoder, collection=options.collection)
        formats = tuple(options.format or FORMATS)
        if options.depth is not None and "trec" not in formats:
            raise InputError(f"--depth is for TREC runs, got formats {', '.join(formats)}; leave it out or add trec")
        files = export_evaluation(evaluation, store, options.out, formats, force=options.force, depth=options.depth)
    size = sum(file.stat().st_size for file in files)
    out.print(f"exported: {len(files)} files, {size / 1e6:.1f} MB: {options.out}", soft_wrap=True)


def _chosen(options: argparse.Namespace) -> str:
    """What to export; refuses options that exclude each other."""
    from engine.errors import InputError

    if options.encoder and not options.collection:
        raise InputError("export: --encoder needs --collection; give both, or a key with --evaluation")
    given = {
        "--checkpoint": options.checkpoint,
        "--evaluation": options.evaluation,
        "--encoder with --collection": options.encoder,
        "--collection": options.collection and not options.encoder,
    }
    chosen = [name for name, value in given.items() if value]
    if options.depth is not None and chosen in (["--collection"], ["--checkpoint"]):
        raise InputError(f"--depth is for TREC runs of an evaluation; {chosen[0]} alone has none, leave it out")
    if len(chosen) != 1:
        raise InputError(f"export: give exactly one of {', '.join(given)}; got {' and '.join(chosen) or 'none'}")
    allowed = {"--checkpoint": [], "--collection": ["beir"]}.get(chosen[0])
    if allowed is not None and options.format not in (None, allowed):
        raise InputError(f"format {','.join(options.format)!r}: {chosen[0]} alone has one format; leave --format out")
    return chosen[0]
