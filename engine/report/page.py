"""A report as one HTML file that needs nothing else: interactive figures, tables, sentences, sources."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from plotly.offline import get_plotlyjs
from plotly.utils import PlotlyJSONEncoder

from engine.collections.languages import language
from engine.report.content import Content, Section
from engine.report.examples import Example, Passage
from engine.report.picture import Picture
from engine.report.sources import Source
from engine.report.tables import as_html

_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
"""What a browser may load for the page: nothing from outside of it."""

_DRAW = """
for (const place of document.querySelectorAll(".plot")) {
  const figure = JSON.parse(document.getElementById(place.id + "-data").textContent);
  Plotly.newPlot(place, figure.data, figure.layout, {displayModeBar: false, responsive: true});
}
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details")) part.open = true;
  for (const place of document.querySelectorAll(".plot")) Plotly.Plots.resize(place);
});
"""


def as_page(content: Content) -> str:
    """The whole page; the same content gives the same bytes."""
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    sections = [_section(section) for section in content.sections]
    links = "".join(f'<a href="#{one.key}">{html.escape(one.title)}</a>' for one in content.sections)
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{html.escape(content.title)}</title>",
            f"<style>\n{style}</style>\n</head>\n<body>\n<main>",
            f'<h1>{html.escape(content.title)}</h1>\n<p class="lead">{as_inline(content.question)}</p>',
            f'<div class="answer">{_answer(content.answer)}</div>',
            f"<nav>{links}</nav>",
            *sections,
            "</main>",
            f"<script>{get_plotlyjs()}</script>" if content.pictures else "",
            f"<script>{_DRAW}</script>" if content.pictures else "",
            "</body>\n</html>\n",
        ]
    )


def as_inline(text: str) -> str:
    """A sentence with **bold** and `code` as HTML."""
    escaped = html.escape(text)
    escaped = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", escaped)
    return re.sub(r"`(.+?)`", r"<code>\1</code>", escaped)


def _answer(sentences: Sequence[str]) -> str:
    return f"<p>{as_inline(sentences[0])}</p>{_claims(sentences[1:])}"


def _claims(sentences: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{as_inline(text)}</li>' for text in sentences)}</ul>" if sentences else ""


def _section(section: Section) -> str:
    parts = [f'<section id="{section.key}"><h2>{html.escape(section.title)}</h2>']
    parts += [_claims(section.claims), *(f"<p>{as_inline(text)}</p>" for text in section.texts)]
    parts.append(_pictures(section.pictures))
    parts += [as_html(table) for table in section.tables]
    parts += [_folded(table.title, as_html(table)) for table in section.folded]
    parts += [_example(example) for example in section.examples]
    parts.append(_sources(section.sources))
    if section.facts:
        rows = "".join(f"<tr><th>{html.escape(k)}</th><td>{html.escape(v)}</td></tr>" for k, v in section.facts.items())
        parts.append(f'<div class="scroll"><table class="numbers">{rows}</table></div>')
    parts += [f"<pre>{html.escape(text)}</pre>" for text in section.code]
    return "\n".join([*(part for part in parts if part), "</section>"])


def _folded(title: str, inner: str) -> str:
    return f"<details><summary>{html.escape(title)}</summary>{inner}</details>"


def _pictures(pictures: Iterable[Picture]) -> str:
    """Figures, narrow ones two in a row."""
    drawn = [_picture(picture) for picture in pictures]
    return f'<div class="pair">{"".join(drawn)}</div>' if drawn else ""


def _picture(picture: Picture) -> str:
    figure = picture.figure
    spec = {"data": figure.data, "layout": {**figure.to_dict()["layout"], "autosize": True}}
    spec["layout"].pop("template", None)
    spec["layout"]["font"] = {"family": "system-ui, Segoe UI, Roboto, Noto Sans, sans-serif", "size": 13}
    # A closing tag within the data would end the script.
    data = json.dumps(spec, cls=PlotlyJSONEncoder, sort_keys=True, ensure_ascii=False).replace("</", "<\\/")
    name = f"figure-{picture.name}".replace(".", "-")
    wide = ' class="wide"' if picture.wide else ""
    return (
        f'<figure{wide}><div class="plot" id="{name}" style="height:{figure.layout.height or 400}px"></div>'
        f'<script type="application/json" id="{name}-data">{data}</script>'
        f"<figcaption>{html.escape(picture.caption)}</figcaption></figure>"
    )


def _example(example: Example) -> str:
    spoken = language(example.query_lang)
    english = f'<p class="lead" lang="en">{html.escape(example.english)}</p>' if example.english else ""
    sides = "".join(
        f'<div class="half-table"><h4>{html.escape(name)} (average precision {example.precision[name]:.2f})</h4>'
        f"{_passages(passages)}</div>"
        for name, passages in example.sides.items()
    )
    return (
        f'<div class="example"><h3>{html.escape(spoken.name)}: {html.escape(example.kind)}</h3>'
        f'<p class="question">{_in_language(example.query_lang, example.text)}</p>{english}{sides}'
        f"{_pictures([example.picture])}</div>"
    )


def _passages(passages: Sequence[Passage]) -> str:
    head = "<tr><th>rank</th><th>language</th><th>passage</th></tr>"
    return f'<table class="passages">{head}{"".join(_passage(one) for one in passages)}</table>'


def _passage(one: Passage) -> str:
    row, badge = {
        "answer": ("answered", "answer"),
        "translation": ("translated", "answer, translated"),
        "": ("", ""),
    }[one.mark]
    spoken = language(one.language)
    mark = f' <span class="badge" dir="ltr">{badge}</span>' if badge else ""
    return (
        f'<tr class="{row}"><td class="n">{one.rank:,}</td><td>{html.escape(spoken.name)}</td>'
        f'<td dir="{spoken.direction}">{_in_language(one.language, one.text)}{mark}</td></tr>'
    )


def _in_language(code: str, text: str) -> str:
    return f'<span lang="{code}" dir="{language(code).direction}">{html.escape(text)}</span>'


def _sources(sources: Sequence[Source]) -> str:
    if not sources:
        return ""
    rows = "".join(
        f"<tr><td><b>{html.escape(one.name)}</b></td><td>{html.escape(one.role)}</td>"
        f"<td>{_link(one)}</td><td>{html.escape(one.citation)}</td><td>{html.escape(one.note)}</td></tr>"
        for one in sources
    )
    head = "<tr><th>what</th><th>role</th><th>licence</th><th>cite</th><th>note</th></tr>"
    return f'<div class="scroll"><table class="passages">{head}{rows}</table></div>'


def _link(one: Source) -> str:
    return f'<a href="{html.escape(one.url)}">{html.escape(one.licence)}</a>' if one.url else html.escape(one.licence)
