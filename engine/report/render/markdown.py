"""A report in Markdown: its tables, and the whole of it as one document."""

from __future__ import annotations

import re

from engine.escaping import markdown
from engine.report.sections import Content
from engine.report.tables import Cell, Table


def as_markdown(table: Table) -> str:
    """A Markdown table with its title and caption."""
    rows = [[_markdown_cell(cell) for cell in row] for row in table.rows]
    heads = [markdown(head) for head in table.heads]
    lines = [f"| {' | '.join(row)} |" for row in [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]]
    return "\n".join([f"### {markdown(table.title)}", "", *lines, "", markdown(table.caption), ""])


def as_document(content: Content) -> str:
    """Answer, tables, sources and commands as one Markdown file."""
    lines = [f"# {markdown(content.title)}", "", content.question, "", content.answer[0], ""]
    lines += [f"- {text}" for text in content.answer[1:]]
    for section in content.sections:
        lines += ["", f"## {markdown(section.title)}", ""]
        lines += [*(f"- {text}" for text in section.claims), ""] if section.claims else []
        lines += [f"{text}\n" for text in section.texts]
        lines += [as_markdown(table) for table in (*section.tables, *section.folded)]
        lines += [f"- **{markdown(one.name)}** ({one.role}): {markdown(one.line)}" for one in section.sources]
        lines += [f"- {markdown(name)}: {markdown(value)}" for name, value in section.facts.items()]
        lines += [_code_block(text.rstrip()) for text in section.code]
    return "\n".join(lines) + "\n"


def _markdown_cell(cell: Cell) -> str:
    text = markdown(cell.text)
    text = f"**{text}**" if cell.bold else text
    mark = cell.mark.replace("*", r"\*")
    return f"{text}{mark} {markdown(cell.note)}".strip()


def _code_block(text: str) -> str:
    """A block of code, fenced by more backticks than it holds."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}\n{text}\n{fence}"
