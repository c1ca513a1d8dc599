"""A table of a report; its numbers as CSV and parquet.

What stands in a table is text that is ready to print; `frame` holds the numbers behind it.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace

import polars as pl
import polars.selectors as cs

from engine.errors import InputError
from engine.escaping import csv_guarded

DIGITS = 10
"""Significant digits of the numbers in CSV and parquet: sums in another order must not change a file."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A table's cell.

    Attributes:
        text: What stands in it.
        note: An interval or a deviation, set smaller behind or below it.
        bold: Whether it is the best.
        mark: A mark behind it that the caption explains.
    """

    text: str
    note: str = ""
    bold: bool = False
    mark: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A table.

    Attributes:
        name: Of its files.
        title: What it shows, in a few words.
        caption: What a reader must know, marks included.
        heads: Of the columns; the first column holds the rows' names.
        rows: Cells, as many a row as heads.
        rules: Rows before which a rule is drawn.
        frame: The numbers.
        columns: How wide it is set in LaTeX: 1 for one column of a page, 2 for both.
        stacked: Whether notes are set below their numbers, not behind them.
        small: Whether its type is set smaller, for many columns.
    """

    name: str
    title: str
    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    frame: pl.DataFrame
    rules: tuple[int, ...] = ()
    columns: int = 2
    stacked: bool = False
    small: bool = False

    def __post_init__(self) -> None:
        """Check that every row has all its cells."""
        for row in self.rows:
            if len(row) != len(self.heads):
                raise InputError(f"table {self.name}: a row has {len(row)} cells, the head has {len(self.heads)}")


def noted(table: Table, note: str) -> Table:
    """A table with a note at the end of its caption, if there is one."""
    return replace(table, caption=f"{table.caption} {note}") if note else table


def as_csv(frame: pl.DataFrame) -> str:
    """A frame as CSV; the same numbers give the same bytes.

    Texts are guarded against being run as formulas by a spreadsheet.
    """
    return csv_guarded(rounded(frame)).write_csv()


def as_parquet(frame: pl.DataFrame) -> bytes:
    """A frame as parquet; the same numbers give the same bytes."""
    buffer = io.BytesIO()
    rounded(frame).write_parquet(buffer, statistics=False)
    return buffer.getvalue()


def rounded(frame: pl.DataFrame) -> pl.DataFrame:
    """A frame with its numbers to `DIGITS` significant digits, and a column without any value as one of numbers."""
    return frame.with_columns(cs.by_dtype(pl.Null).cast(pl.Float64), cs.float().round_sig_figs(DIGITS))
