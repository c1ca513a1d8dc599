"""The command line, `python -m engine ...`: the parser, and how a command ends."""

from __future__ import annotations

import argparse
import errno
import logging
import sys
from typing import NoReturn

from rich.logging import RichHandler

from engine.commands import MODULES
from engine.commands.console import err, one_line, warn, watched
from engine.errors import EngineError


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, like every other error, and where the arguments are listed."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}; see {self.prog} --help\n")


def main(arguments: list[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: What stands behind `python -m engine`; None takes the process's own.

    Returns:
        The exit status: 0, 1 for a failure that nobody foresaw, 2 for a mistake that the message explains, 130 when
        interrupted.
    """
    options = _parser().parse_args(arguments)
    handler = RichHandler(console=err, show_path=False, show_time=False)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    try:
        with watched(options.run_key) as options.progress:
            options.command(options)
    except EngineError as error:
        if options.debug:
            raise
        warn("error:", one_line(error))
        return 2
    except Exception as error:
        if options.debug:
            raise
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            warn("error:", f"{one_line(error)}; free space and run it again")
            return 2
        warn("error:", f"{type(error).__name__}: {one_line(error)}; run it again with --debug to see where")
        return 1
    except KeyboardInterrupt:
        err.print("stopped; what was finished is kept, the same command goes on from there")
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m engine", description="Hybrid Batch Lab on the command line.")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.add_argument("--run", dest="run_key", metavar="KEY", help=argparse.SUPPRESS)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in MODULES:
        module.add(commands)
    for command in commands.choices.values():  # so that --debug may stand behind the command too
        command.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
