"""A table, and how it is written: LaTeX with booktabs, Markdown, HTML; its numbers as CSV and parquet.

What stands in a table is text that is ready to print; `frame` holds the numbers behind it.
"""

from __future__ import annotations

import html
import io
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
import polars.selectors as cs

from engine.errors import InputError

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


def as_latex(table: Table) -> str:
    """A LaTeX table that needs the package booktabs."""
    stacked, narrow = table.stacked, table.columns == 1
    note = _close_note if stacked or table.small else _note
    lines = []
    for place, row in enumerate(table.rows):
        lines += [r"\midrule"] if place in table.rules else []
        lines.append(" & ".join(_latex_cell(cell, "" if stacked else note(cell)) for cell in row) + r" \\")
        if stacked and any(cell.note for cell in row):
            notes = " & ".join(map(note, row))
            lines[-1] += "[-2pt]"
            lines.append(notes + r" \\")
    star = "*" if table.columns == 2 else ""
    size = r"\scriptsize" if table.small else r"\footnotesize" if narrow else r"\small"
    space = r"\setlength{\tabcolsep}{2.5pt}" if table.small else r"\setlength{\tabcolsep}{3pt}" if narrow else ""
    return "\n".join(
        [
            rf"\begin{{table{star}}}[t]",
            r"\centering",
            size + space,
            rf"\caption{{{escape(table.caption)}}}",
            rf"\label{{tab:{table.name}}}\medskip",
            rf"\begin{{tabular}}{{l{'r' * (len(table.heads) - 1)}}}",
            r"\toprule",
            " & ".join(_latex_head(head, stacked=narrow) for head in table.heads) + r" \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            rf"\end{{table{star}}}",
            "",
        ]
    )


def as_markdown(table: Table) -> str:
    """A Markdown table with its title and caption."""
    rows = [[_markdown_cell(cell) for cell in row] for row in table.rows]
    heads = [head.replace("|", r"\|") for head in table.heads]
    lines = [f"| {' | '.join(row)} |" for row in [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]]
    return "\n".join([f"### {table.title}", "", *lines, "", table.caption, ""])


def as_html(table: Table) -> str:
    """An HTML table with its caption."""
    head = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in table.heads)
    rows = "".join(
        f"<tr{' class=rule' if place in table.rules else ''}>"
        + f'<th scope="row">{_html_cell(row[0])}</th>'
        + "".join(f"<td>{_html_cell(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for place, row in enumerate(table.rows)
    )
    return (
        f'<div class="scroll"><table class="numbers"><caption>{html.escape(table.caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def as_csv(frame: pl.DataFrame) -> str:
    """A frame as CSV; the same numbers give the same bytes."""
    return rounded(frame).write_csv()


def as_parquet(frame: pl.DataFrame) -> bytes:
    """A frame as parquet; the same numbers give the same bytes."""
    buffer = io.BytesIO()
    rounded(frame).write_parquet(buffer, statistics=False)
    return buffer.getvalue()


def rounded(frame: pl.DataFrame) -> pl.DataFrame:
    """A frame with its numbers to `DIGITS` significant digits, and a column without any value as one of numbers."""
    return frame.with_columns(cs.by_dtype(pl.Null).cast(pl.Float64), cs.float().round_sig_figs(DIGITS))


def escape(text: str) -> str:
    """Text for LaTeX; a letter that pdfLaTeX cannot set is written as its code point."""
    return "".join(_SPECIAL.get(letter) or _letter(letter) for letter in text)


_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "[": "{[}",  # after a line break it would be an argument
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "−": r"$-$",
    "–": "--",
    "—": "---",
    "±": r"$\pm$",
    "×": r"$\times$",
    "→": r"$\to$",
    "≥": r"$\ge$",
    "≤": r"$\le$",
    "†": r"$^\dagger$",
    "α": r"$\alpha$",
    "…": r"\dots{}",
    "’": "'",
    "‘": "`",
    "\u00a0": "~",
    '"': "''",
}


def _letter(letter: str) -> str:
    if letter.isascii():
        return letter if letter.isprintable() else " "
    latin = unicodedata.name(letter, "").startswith("LATIN") and ord(letter) < 0x180
    return letter if latin else f"[U+{ord(letter):04X}]"


def _latex_head(head: str, *, stacked: bool) -> str:
    first, _, rest = escape(head).rpartition(" ")
    return rf"\shortstack[r]{{{first}\\{rest}}}" if stacked and first and rest else escape(head)


def _latex_cell(cell: Cell, note: str) -> str:
    text = escape(cell.text)
    text = rf"\textbf{{{text}}}" if cell.bold else text
    text += f"$^{{{_MARKS[cell.mark]}}}$" if cell.mark else ""
    return f"{text} {note}".strip()


def _note(cell: Cell) -> str:
    return rf"{{\scriptsize {escape(cell.note)}}}" if cell.note else ""


def _close_note(cell: Cell) -> str:
    """A note with less space in it, for where there is little."""
    return _note(cell).replace(", ", r",\hspace{1pt}")


_MARKS = {"†": r"\dagger", "*": "*"}


def _markdown_cell(cell: Cell) -> str:
    text = cell.text.replace("|", r"\|").replace("*", r"\*")
    text = f"**{text}**" if cell.bold else text
    mark = cell.mark.replace("*", r"\*")
    return f"{text}{mark} {cell.note}".strip()


def _html_cell(cell: Cell) -> str:
    text = html.escape(cell.text)
    text = f"<b>{text}</b>" if cell.bold else text
    mark = f"<sup>{html.escape(cell.mark)}</sup>" if cell.mark else ""
    note = f" <small>{html.escape(cell.note)}</small>" if cell.note else ""
    return f"{text}{mark}{note}"


def join(tables: Sequence[Table]) -> str:
    """Tables in Markdown, one under another."""
    return "\n".join(as_markdown(table) for table in tables)
