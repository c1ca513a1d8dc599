"""`doctor`: what is installed, fetched, cached, and what is missing."""

from __future__ import annotations

import argparse

from engine.commands.console import out


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser."""
    doctor = commands.add_parser("doctor", help="what is installed, fetched, cached, and what is missing")
    doctor.add_argument(
        "--clean",
        action="store_true",
        help="remove unfinished files that killed processes left in the cache; interrupted work then begins anew",
    )
    doctor.set_defaults(command=_doctor)


def _doctor(options: argparse.Namespace) -> None:
    from rich.table import Table
    from rich.text import Text

    from engine.commands.diagnosis import check, clean

    if options.clean:
        for line in clean():
            out.print(line, highlight=False, soft_wrap=True)
        return
    table = Table("", "what", "state", "what to do")
    for finding in check():
        mark = Text("ok", "green") if finding.good else Text("!", "yellow")
        table.add_row(mark, finding.what, finding.state, finding.advice)
    out.print(table)
