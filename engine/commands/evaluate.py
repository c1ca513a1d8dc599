"""`evaluate`: rank a collection with an encoder."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from engine.collections.pair_filter import name_or_path
from engine.commands.console import (
    add_keep_identical_ids,
    add_lang,
    check_writable,
    names,
    out,
    say_notes,
    say_split,
    write,
)
from engine.commands.encoders import add_encoder, encoder_name, encoder_options

if TYPE_CHECKING:
    from engine.evaluation.evaluate import Evaluation
    from engine.evaluation.summary import Summary


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser."""
    evaluate = commands.add_parser("evaluate", help="rank a collection with an encoder")
    add_encoder(evaluate)
    evaluate.add_argument("--collection", required=True, help="catalog name or folder")
    evaluate.add_argument("--languages", type=names, metavar="L[,L]", help="of miracl: which languages, such as sw,bn")
    evaluate.add_argument("--json", type=Path, metavar="FILE", help="write the figures here; - for standard output")
    evaluate.add_argument("--top-k", type=int, default=100, help="how many of the pool to keep for each query")
    evaluate.add_argument("--index", default="Flat", help="FAISS index-factory string for the top k; Flat is exact")
    evaluate.add_argument(
        "--every", type=int, default=1, metavar="N", help="only every N-th paragraph, for a quick look"
    )
    evaluate.add_argument("--max-length", type=int, metavar="TOKENS", help="cut texts here; default: the model's limit")
    evaluate.add_argument("--query-prompt", metavar="TEXT", help="in place of the model's own")
    evaluate.add_argument("--document-prompt", metavar="TEXT", help="in place of the model's own")
    evaluate.add_argument("--split", metavar="S", help="split of a BEIR folder; default: test, dev or validation")
    evaluate.add_argument("--skip-invalid", action="store_true", help="leave unusable rows out, counted and reported")
    add_lang(evaluate, "--collection")
    add_keep_identical_ids(evaluate)
    evaluate.set_defaults(command=_evaluate)


def _evaluate(options: argparse.Namespace) -> None:
    import json

    from engine.collections.opening import open_collection
    from engine.encoders.resolve import open_encoder
    from engine.evaluation.evaluate import evaluate
    from engine.evaluation.manifest import OpenedAs
    from engine.evaluation.summary import as_json, summarise
    from engine.storage.store import Store

    check_writable(options.json)
    store = Store()
    given = {"query": options.query_prompt, "document": options.document_prompt}
    prompts = {role: prompt for role, prompt in given.items() if prompt is not None}
    how = encoder_options(options)
    encoder = open_encoder(encoder_name(options), store, prompts=prompts, max_length=options.max_length, options=how)
    name = _collection_name(options)
    collection = open_collection(
        name, store, every=options.every, skip_invalid=options.skip_invalid, split=options.split
    )
    collection = collection.with_identical_ids() if options.keep_identical_ids else collection
    say_split("evaluated on", collection)
    opened_as = OpenedAs(
        collection=name,
        every=options.every,
        skip_invalid=options.skip_invalid,
        keep_identical_ids=options.keep_identical_ids,
        split=options.split,
        encoder=encoder_name(options),
    )
    with options.progress() as progress:
        evaluation = evaluate(
            encoder,
            collection,
            store,
            top_k=options.top_k,
            index=options.index,
            opened_as=opened_as,
            progress=progress,
        )
    say_notes(evaluation.manifest.collection)
    summary = summarise(evaluation)
    if options.json:
        result = json.dumps(as_json(evaluation, summary), indent=1, ensure_ascii=False)
        if str(options.json) == "-":
            sys.stdout.write(result + "\n")
            return
        write(options.json, result)
    _print_summary(evaluation, summary)


def _collection_name(options: argparse.Namespace) -> str:
    """The collection's name, with the languages of MIRACL or the filter of pairs in it."""
    from engine.collections.miracl_source import NAME, miracl_name
    from engine.errors import InputError

    if options.collection == NAME:
        return miracl_name(options.languages or [])
    if options.languages:
        raise InputError(f"--languages is for the collection {NAME}; {options.collection} is evaluated whole")
    return name_or_path(options.collection, options.lang)


def _print_summary(evaluation: Evaluation, summary: Summary) -> None:
    from rich.table import Table
    from rich.text import Text

    from engine.evaluation.notes import missing_cells, near_in_words, seen_in_words
    from engine.ranks.metrics import label

    manifest = evaluation.manifest
    names = (manifest.encoder.name, "bold"), " on ", (manifest.collection.name, "bold")
    out.print(Text.assemble(*names, f"  ({evaluation.key[:8]})"))
    metrics = ("map", "hit@1", "ndcg@10", "recall@10", "recall@100")
    table = Table("setting", "cells", *[label(name) for name in metrics])
    for row in summary.settings.iter_rows(named=True):
        values = ["-" if row[name] is None else f"{row[name]:.4f}" for name in metrics]
        table.add_row(row["setting"], f"{row['cells']} of {row['expected']}", *values)
    out.print(table)
    absent = [row["setting"] for row in summary.settings.iter_rows(named=True) if not row["expected"]]
    if not manifest.collection.crossed:
        out.print(manifest.collection.not_crossed, soft_wrap=True)
    elif absent:
        out.print(f"no mean of {', '.join(absent)}: the languages of queries and of documents have no such pair")
    if cells := missing_cells(manifest.collection):
        out.print(cells, soft_wrap=True)
    for note in filter(None, (seen_in_words(manifest), near_in_words(manifest))):
        out.print(note, soft_wrap=True)
    distance = summary.mean_rank_distance()
    if distance is not None:
        random = summary.rank_distance["random"].mean()
        out.print(f"rank distance {distance:.0f} (a random ranking: {random:.0f}; lower is less biased)")
