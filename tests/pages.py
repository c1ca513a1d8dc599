"""Opening a page of the dashboard without a browser, and reading what stands on it."""

from __future__ import annotations

import argparse
import base64
import html
import json
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from streamlit.testing.v1 import AppTest

from engine.commands import MODULES
from engine.storage.store import Store

APP = Path(__file__).resolve().parents[1] / "dashboard" / "app.py"
_TEXTS = ("title", "header", "subheader", "markdown", "caption", "info", "warning", "error", "success")


def open_page(name: str = "explorer", **query: str) -> AppTest:
    """A page as it is after its first run, without a traceback and without an error."""
    return sound(opened(name, **query))


def opened(name: str = "explorer", **query: str) -> AppTest:
    """A page as it is after its first run, whatever it shows.

    Args:
        name: Its file in `screens/`.
        **query: What stands in the address bar.
    """
    page = AppTest.from_file(APP, default_timeout=120)
    if name != "explorer":
        page.switch_page(f"screens/{name}/{name}.py")
    for key, value in query.items():
        page.query_params[key] = value
    return page.run()


def sound(page: AppTest) -> AppTest:
    """The page itself, when it shows no traceback and no error."""
    assert not page.exception, page.exception[0].value
    assert not page.error, page.error[0].value
    return page


def text_of(page: AppTest) -> str:
    """All prose, numbers and HTML of a page, without marks of Markdown and tags."""
    prose = [element.value for kind in _TEXTS for element in page.get(kind)]
    numbers = [f"{metric.label} {metric.value} {metric.delta}" for metric in page.metric]
    return "\n".join(
        [re.sub(r"[*`\\\u2060]", "", str(line)) for line in prose] + numbers + [_plain(h) for h in htmls(page)]
    )


def htmls(page: AppTest) -> list[str]:
    """Pieces of HTML on a page."""
    return [element.proto.body for element in page.get("html")]


def passages(page: AppTest) -> list[list[tuple[str, str, str]]]:
    """Tables of retrieved passages: (language, direction of the cell, text) a row."""
    rows = r'<td class="l"[^>]*>(.*?)</td>.*?<td dir="(\w+)"><span[^>]*>(.*?)</span>'
    return [
        [tuple(map(html.unescape, row)) for row in re.findall(rows, table)]
        for table in htmls(page)
        if "class='passages'" in table
    ]


def chart(page: AppTest, key: str) -> dict[str, Any]:
    """A Plotly figure of a page by its key, as JSON."""
    [found] = [element for element in page.get("plotly_chart") if element.key == key]
    return json.loads(found.proto.spec)


def chart_keys(page: AppTest) -> list[str]:
    """Keys of all Plotly figures of a page."""
    return [element.key for element in page.get("plotly_chart")]


def numbers(value: Any) -> np.ndarray:
    """An array of a Plotly figure's JSON as floats."""
    if isinstance(value, dict):
        array = np.frombuffer(base64.b64decode(value["bdata"]), value["dtype"]).astype(float)
        return array.reshape([int(n) for n in str(value["shape"]).split(",")]) if "shape" in value else array
    return np.array(value, float)


def heatmap(page: AppTest, key: str) -> np.ndarray:
    """The values of a heatmap, NaN where it has none."""
    [trace] = [trace for trace in chart(page, key)["data"] if trace["type"] == "heatmap"][:1]
    return numbers(trace["z"])


def cells(page: AppTest, key: str) -> np.ndarray:
    """The numbers of the explorer's heatmap "at" the chosen ratio, or of its "difference", which are HTML tables."""
    table = [body for body in htmls(page) if 'class="heat"' in body][("at", "difference").index(key)]
    rows = [re.findall(r"<td[^>]* title=[^>]*>(.*?)</td>", row) for row in table.split("<tr>")]
    texts = [[re.sub(r"<[^>]*>", "", text).replace("\u2212", "-") for text in row] for row in rows if row]
    return np.array(texts, float)


def options_of(command: Sequence[str]) -> argparse.Namespace:
    """A command's options as the engine would read them; fails where it would not."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    commands = parser.add_subparsers()
    for module in MODULES:
        module.add(commands)
    return parser.parse_args(command)


def copy_of(store: Store, folder: Path) -> Store:
    """A cache of one's own with the same entries; large files are links, so that it takes no space."""
    shutil.copytree(store.root, folder, copy_function=os.link)
    return Store(folder)


def _plain(piece: str) -> str:
    return html.unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", piece, flags=re.DOTALL))
