"""`reference`: builds the sweeps that ship with the project, from fetched collections to files, and tells them."""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.commands.console import out


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    reference = commands.add_parser("reference", help="the results that ship with the project")
    actions = reference.add_subparsers(required=True, metavar="ACTION")
    build = actions.add_parser("build", help="choose hyper-parameters, run the sweeps, pack the results; hours")
    build.add_argument("--out", type=Path, metavar="DIR", help="default: engine/reference of this installation")
    build.add_argument("--only", choices=["full", "heads"], help="build one part; the rest stays as it is")
    build.add_argument("--jobs", type=int, default=1, help="recipes at the same time")
    build.set_defaults(command=_build)
    text = actions.add_parser("text", help="write the results that ship with the project as Markdown")
    text.set_defaults(command=_text)


def _build(options: argparse.Namespace) -> None:
    from engine.progress import unobserved
    from engine.storage.store import SHIPPED, Store
    from engine.sweeps.reference import PARTS, build

    with options.progress() as progress:
        observe = getattr(progress, "observe", unobserved)
        lines = build(
            options.out or SHIPPED,
            Store(),
            parts=[options.only] if options.only else PARTS,
            jobs=options.jobs,
            progress=progress,
            observe=observe,
        )
    for line in lines:
        out.print(line)


def _text(_: argparse.Namespace) -> None:
    from engine.evaluation.evaluate import evaluations
    from engine.storage.store import SHIPPED, Store
    from engine.sweeps.reference_text import result_section
    from engine.sweeps.results import families

    sweeps = families(list(evaluations(Store(SHIPPED))))
    out.print(result_section(sweeps), soft_wrap=True, highlight=False)
