"""A report in Markdown: its tables, and the whole of it as one document."""

from __future__ import annotations

from engine.report.sections import Content
from engine.report.tables import Cell, Table


def as_markdown(table: Table) -> str:
    """A Markdown table with its title and caption."""
    rows = [[_markdown_cell(cell) for cell in row] for row in table.rows]
    heads = [head.replace("|", r"\|") for head in table.heads]
    lines = [f"| {' | '.join(row)} |" for row in [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]]
    return "\n".join([f"### {table.title}", "", *lines, "", table.caption, ""])


def as_document(content: Content) -> str:
    """Answer, tables, sources and commands as one Markdown file."""
    lines = [f"# {content.title}", "", content.question, "", content.answer[0], ""]
    lines += [f"- {text}" for text in content.answer[1:]]
    for section in content.sections:
        lines += ["", f"## {section.title}", ""]
        lines += [*(f"- {text}" for text in section.claims), ""] if section.claims else []
        lines += [f"{text}\n" for text in section.texts]
        lines += [as_markdown(table) for table in (*section.tables, *section.folded)]
        lines += [f"- **{one.name}** ({one.role}): {one.line}" for one in section.sources]
        lines += [f"- {name}: {value}" for name, value in section.facts.items()]
        lines += [f"```\n{text.rstrip()}\n```" for text in section.code]
    return "\n".join(lines) + "\n"


def _markdown_cell(cell: Cell) -> str:
    text = cell.text.replace("|", r"\|").replace("*", r"\*")
    text = f"**{text}**" if cell.bold else text
    mark = cell.mark.replace("*", r"\*")
    return f"{text}{mark} {cell.note}".strip()
