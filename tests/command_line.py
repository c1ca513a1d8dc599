"""Commands in this process: their status and what they print, and the one line that a mistake leaves."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.__main__ import main

Run = Callable[..., tuple[int, str, str]]
"""Runs a command; gives its status, standard output and standard error."""


def runner(capsys: pytest.CaptureFixture[str], *first: str) -> Run:
    """A `Run` that puts the first arguments before those it is called with."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            status = main([*first, *arguments])
        except SystemExit as stop:
            status = stop.code
        return status, *capsys.readouterr()

    return run


def the_error(result: tuple[int, str, str]) -> str:
    """The one line that a refused command leaves; nothing else but the progress that was made until then."""
    status, out, err = result
    assert status == 2
    assert out == ""
    [line] = [line for line in err.splitlines() if line.strip() and " % " not in line]
    assert line.startswith("error: ")
    assert "Traceback" not in err
    return line.removeprefix("error: ")
