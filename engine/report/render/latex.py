"""A report in LaTeX: tables with booktabs, and a document that holds every table and figure."""

from __future__ import annotations

import unicodedata

from engine.report.request import Request
from engine.report.sections import Content
from engine.report.tables import Cell, Table


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


def as_paper(content: Content, request: Request) -> str:
    """A LaTeX document that holds every table, and every figure that is there as PDF: to see them, and to copy from."""
    star = "*" if request.layout.width == "full" else ""
    body = [rf"\input{{tables/{table.name}}}" for table in content.tables] if "tables" in request.parts else []
    if "pdf" in request.formats:
        body += [
            rf"\begin{{figure{star}}}[t]\centering"
            rf"\IfFileExists{{figures/{picture.name}.pdf}}{{\includegraphics{{figures/{picture.name}.pdf}}}}{{}}"
            rf"\caption{{{escape(picture.caption)}}}\label{{fig:{picture.name}}}\end{{figure{star}}}"
            for picture in content.pictures
        ]
    text = "\n".join(line + (r"\clearpage" if place % 4 == 3 else "") for place, line in enumerate(body))
    return "\n".join(
        [
            r"\documentclass[10pt,twocolumn]{article}",
            r"\usepackage[T1]{fontenc}",
            r"\usepackage[utf8]{inputenc}",
            r"\usepackage[paper=letterpaper,textwidth=6.9in,columnsep=0.3in,textheight=9in]{geometry}",
            r"\usepackage{booktabs,graphicx}",
            r"\begin{document}",
            escape(content.title),
            text,
            r"\nocite{*}\bibliographystyle{plain}\bibliography{references}",
            r"\end{document}",
            "",
        ]
    )


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
