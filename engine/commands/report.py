"""`report`: figures and tables of a sweep for a paper, and a page that opens offline."""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.commands.console import names, numbers, out, warn


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser."""
    report = commands.add_parser("report", help="figures and tables of a sweep for a paper, and a page of its own")
    report.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder to make")
    report.add_argument("--sweep", metavar="KEY", help="the sweep's key, or how it begins; default: the latest")
    report.add_argument("--collection", metavar="C", help="the latest sweep that was evaluated on it")
    report.add_argument("--metric", default="map", help="map, hit@1, ndcg@10 ...")
    report.add_argument(
        "--alphas", type=numbers(float), metavar="A[,A]", help="ratios in detail; default: both ends and the best"
    )
    report.add_argument("--reference", metavar="R", help="what they are compared with: untrained, or a ratio")
    report.add_argument(
        "--include", type=names, metavar="P[,P]", help="curves,heatmaps,difference,bias,examples,tables; default: all"
    )
    report.add_argument(
        "--format", type=names, metavar="F[,F]", help="html,pdf,svg,png,tex,md,csv,parquet; default: all"
    )
    report.add_argument("--width", default="column", help="of printed figures: column (3.3 in) or full (6.9 in)")
    report.add_argument("--font", default="serif", help="of printed figures: serif or sans")
    report.add_argument("--zip", action="store_true", help="pack it as DIR.zip too")
    report.add_argument("--force", action="store_true", help="replace an earlier report")
    report.set_defaults(command=_report)


def _report(options: argparse.Namespace) -> None:
    from rich.text import Text

    from engine.evaluation.evaluate import evaluations
    from engine.figures.publication import Layout
    from engine.report import FORMATS, PARTS, Request, find_family, write_report
    from engine.storage.store import Store
    from engine.sweeps.results import families

    store = Store()
    request = Request(
        metric=options.metric,
        alphas=None if options.alphas is None else tuple(options.alphas),
        reference=options.reference,
        parts=PARTS if options.include is None else tuple(options.include),
        formats=FORMATS if options.format is None else tuple(options.format),
        layout=Layout(options.width, options.font),
    )
    family = find_family(families(list(evaluations(store))), options.sweep, options.collection)
    with options.progress() as progress:
        written = write_report(
            family,
            request,
            options.out,
            store,
            force=options.force,
            zipped=options.zip,
            progress=progress,
        )
    for note in written.notes:
        warn("left out:", note, "bold yellow")
    size = sum(written.files.values()) / 1e6
    names = (family.label, "bold"), " on ", (family.collection, "bold")
    out.print(Text.assemble(*names, f", sweep {family.key[:8]}"), soft_wrap=True)
    out.print(f"{len(written.files)} files, {size:.1f} MB: {written.folder}", soft_wrap=True)
    if written.zipped:
        out.print(f"packed: {written.zipped}", soft_wrap=True)
