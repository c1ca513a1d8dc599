"""A report as one HTML file that needs nothing else: interactive figures, tables, sentences, sources.

The templates escape every text that is put into them; what may stand as HTML is marked here, and nowhere else.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TypedDict

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs
from plotly.utils import PlotlyJSONEncoder

from engine.collections.languages import language
from engine.report.picture import Picture
from engine.report.sections import Content
from engine.report.tables import Table

_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
"""What a browser may load for the page: nothing from outside of it."""

_FONTS = {"family": "system-ui, Segoe UI, Roboto, Noto Sans, sans-serif", "size": 13}

_INLINE = re.compile(r"\\(?P<escaped>[!-/:-@\[-`{-~])|\*\*(?P<bold>(?:\\.|[^\\])+?)\*\*|`(?P<code>[^`]+)`|.", re.DOTALL)
"""Pieces of a sentence in Markdown."""

_MARKS = {
    "": {"row": "", "badge": ""},
    "answer": {"row": "answered", "badge": "answer"},
    "translation": {"row": "translated", "badge": "answer, translated"},
}
"""How a retrieved passage is shown, by its mark."""


class _Plot(TypedDict):
    """A figure for the page: the id of its place, its height in pixels, and its data as JSON."""

    id: str
    height: int
    data: Markup


def as_page(content: Content) -> str:
    """The whole page; the same content gives the same bytes."""
    plotly = Markup(get_plotlyjs())  # noqa: S704 - the library's own script
    page = _environment().get_template("page.html.j2")
    return page.render(content=content, policy=_POLICY, marks=_MARKS, plotly=plotly)


def as_html(table: Table) -> str:
    """A table with its caption as HTML."""
    macros = vars(_environment().get_template("table.html.j2").make_module())
    return str(macros["draw"](table))


def as_inline(text: str) -> Markup:
    """A sentence in Markdown with **bold** and `code` as HTML; everything else in it is text, as are its escapes."""
    parts = []
    for found in _INLINE.finditer(text):
        if found["bold"]:
            parts.append(Markup("<b>{}</b>").format(as_inline(found["bold"])))
        elif found["code"]:
            parts.append(Markup("<code>{}</code>").format(found["code"]))
        else:
            parts.append(escape(found["escaped"] or found[0]))
    return Markup("").join(parts)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("engine.report.render"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "inline": as_inline,
        "plot": _plot,
        "direction": lambda code: language(code).direction,
        "language_name": lambda code: language(code).name,
    }
    return environment


def _plot(picture: Picture) -> _Plot:
    figure = picture.figure
    layout = {**figure.to_dict()["layout"], "autosize": True, "font": _FONTS}
    layout.pop("template", None)
    data = json.dumps(
        {"data": figure.data, "layout": layout}, cls=PlotlyJSONEncoder, sort_keys=True, ensure_ascii=False
    )
    return {
        "id": f"figure-{picture.name}".replace(".", "-"),
        "height": figure.layout.height or 400,
        "data": Markup(data.replace("</", "<\\/")),  # noqa: S704 - a closing tag within it would end the script
    }
