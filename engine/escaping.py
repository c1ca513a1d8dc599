"""Names are data: how a text is written into Markdown, figures and CSV so that nothing in it acts as markup there.

HTML is escaped by Jinja2, LaTeX by `report.render.latex`.
"""

from __future__ import annotations

import html
import re

import polars as pl
import polars.selectors as cs

_FORMULA = r"(['=+\-@\t\r])"


def markdown(text: str) -> str:
    """A text as one line of Markdown (CommonMark and GitHub's) that is shown letter by letter."""
    line = re.sub(r"([\\`*_\[\]$<>~|&])", r"\\\1", " ".join(text.split()))
    line = re.sub(r"^([-+=#])|(?<=\w)(:)(?=//)|(?<=\w)(@)(?=[\w.-]*\.\w)", lambda found: "\\" + found[0], line)
    line = re.sub(r"^(\d+)([.)])(?=\s|$)", r"\1\\\2", line)
    return re.sub(r"(www)\.", r"\1\\.", line, flags=re.IGNORECASE)


def markdown_code(text: str) -> str:
    """A text as code within a line of Markdown, whatever backticks it holds."""
    line = re.sub(r"\s", " ", text)
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    pad = " " if line.startswith(("`", " ")) or line.endswith(("`", " ")) else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def figure_text(text: str) -> str:
    """A text for a Plotly figure, which reads some HTML, formulas between $ and, in hovers, templates in %{}."""
    line = html.escape(" ".join(text.split()), quote=False)
    return line.replace("$", "&#36;").replace("%{", "%&#123;")


def csv_guarded(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with a ' before each text that a spreadsheet would take for a formula, or that begins with a '.

    Source: https://owasp.org/www-community/attacks/CSV_Injection. Numbers stay as they are.
    """
    return frame.with_columns(cs.string().str.replace(f"^{_FORMULA}", "'${1}"))


def csv_unguarded(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame as it was before `csv_guarded`."""
    return frame.with_columns(cs.string().str.replace(f"^'{_FORMULA}", "${1}"))
