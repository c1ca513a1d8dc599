"""What goes wrong while a page is drawn, shown on the page: the engine's warnings, and its errors."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import streamlit as st

from dashboard.names import plain
from engine import EngineError

_SOURCES = ("engine.storage", "engine.evaluation", "dashboard")
_MOST = 5  # lines that a page shows

_here = threading.local()  # a page is drawn in a thread of its own


class _Collector(logging.Handler):
    """Keeps the warnings of the thread that `gathered` them."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a warning, once."""
        lines = getattr(_here, "lines", None)
        if lines is not None and (line := " ".join(record.getMessage().split())) not in lines:
            lines.append(line)


_collector = _Collector(logging.WARNING)


@contextmanager
def gathered() -> Iterator[list[str]]:
    """The warnings that come up within, as lines; they go to the log as well."""
    for source in _SOURCES:
        logging.getLogger(source).addHandler(_collector)  # a second time does nothing
    outer = getattr(_here, "lines", None)
    _here.lines = []
    try:
        yield _here.lines
    finally:
        _here.lines = outer


@contextmanager
def guarded(shown: Sequence[str] = ()) -> Iterator[None]:
    """Draw a page, or a fragment of one: an error of the engine or of files is one line; warnings are last.

    Args:
        shown: Warnings that stand on the page already.
    """
    with gathered() as lines:
        try:
            yield
        except EngineError as error:
            st.error(plain(str(error)), icon=":material/error:")
        except OSError as error:  # such as a folder that may not be read
            logging.getLogger("dashboard").exception("a page could not be drawn")
            st.error(plain(f"{error.filename or 'a file'}: {error.strerror or error}"), icon=":material/error:")
        finally:
            show([line for line in lines if line not in shown])


def show(lines: list[str]) -> None:
    """Draw the first lines, and how many more there are."""
    more = len(lines) - _MOST
    for line in [*lines[:_MOST], *([f"{more} more; python -m engine doctor lists them"] if more > 0 else [])]:
        st.warning(plain(line), icon=":material/warning:")
