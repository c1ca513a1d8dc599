"""`reference build`: the sweeps that ship with the project, from fetched collections to files."""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.commands.console import out


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    reference = commands.add_parser("reference", help="build the results that ship with the project")
    actions = reference.add_subparsers(required=True, metavar="ACTION")
    build = actions.add_parser("build", help="choose hyper-parameters, run the sweeps, pack the results; hours")
    build.add_argument("--out", type=Path, metavar="DIR", help="default: engine/reference of this installation")
    build.add_argument("--jobs", type=int, default=1, help="recipes at the same time")
    build.set_defaults(command=_build)


def _build(options: argparse.Namespace) -> None:
    from engine.progress import unobserved
    from engine.storage.store import SHIPPED, Store
    from engine.sweeps.reference import build

    with options.progress() as progress:
        observe = getattr(progress, "observe", unobserved)
        lines = build(options.out or SHIPPED, Store(), jobs=options.jobs, progress=progress, observe=observe)
    for line in lines:
        out.print(line)
