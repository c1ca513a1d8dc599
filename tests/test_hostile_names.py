"""Names are data, wherever they are shown: on every page, and in every file of a report."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import polars as pl
import pytest
import streamlit
from hypothesis import HealthCheck, example, given, settings

from dashboard.cached import exchange as cached_exchange
from engine import exchange
from engine.evaluation.evaluate import evaluations
from engine.report import Request, write_report
from engine.storage.store import Store
from engine.sweeps.results import families
from tests import hostile, pages
from tests.hostile import MARK, NAMES, WORST, name_of

PAGES = ("explorer", "pairs", "bias", "examples", "report", "published", "train", "evaluate", "exchange")
FEW = settings(
    deadline=None,
    max_examples=2,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
WORST_NAME = name_of(*WORST)


def spaces(text: str) -> str:
    """A text as it is compared: without white space and joiners; a model's name may hold no slash."""
    return "".join(text.replace("\u2060", "").replace("/", "-").split())


def check_shown(shown: hostile._Tags, name: str, where: object) -> None:
    """The name stands there letter by letter, and nothing else than our own marks."""
    assert spaces(name) in spaces(shown.text), (where, shown.text)
    assert not shown.tags & {"img", "script", "a", "i", "h1"}, (where, shown.tags)
    assert "onerror" not in shown.attributes, where


@pytest.mark.slow
@FEW
@given(name=NAMES)
@example(name=WORST_NAME)
def test_a_name_is_text_on_every_page(tmp_path_factory: pytest.TempPathFactory, monkeypatch, name: str) -> None:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("HYBRID_BATCH_CACHE", str(folder / "cache"))
    monkeypatch.chdir(folder)
    streamlit.cache_data.clear()
    streamlit.cache_resource.clear()
    hostile.fill(Store(folder / "cache"), folder, name)
    for page_name in PAGES:
        page = pages.opened(page_name, **({"task": f"{name}, test (imported)"} if page_name == "published" else {}))
        assert not page.exception, page.exception[0].value
        told = [text for text in hostile.markdown_of(page) if MARK in text]
        assert told or page_name == "exchange", page_name
        for text in told:
            check_shown(hostile.shown_in_markdown(text, streamlit=True), name, (page_name, text))
        for text in pages.htmls(page):
            assert "onerror" not in hostile.read_html(text).attributes
        for key in pages.chart_keys(page):
            check_figure(pages.chart(page, key), (page_name, key))


def test_what_an_import_says_is_text(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    brought = exchange.Imported("file", "result", "k", WORST_NAME, (WORST_NAME,), new=True)
    outcome = exchange.Outcome([brought], [WORST_NAME], [WORST_NAME])
    monkeypatch.setattr(cached_exchange, "bring_from", lambda *_: outcome)
    page = pages.opened("exchange")
    page.text_input(key="import-path").input(str(tmp_path)).run()
    page.button(key="import").click().run()
    assert not page.exception
    for kind in ("success", "error", "info"):
        text = next(element.value for element in page.get(kind) if MARK in element.value)
        check_shown(hostile.shown_in_markdown(text, streamlit=True), WORST_NAME, kind)


def check_figure(value: object, where: object, field: str = "") -> None:
    """No text of a figure that bears a name has a tag, a formula or a template."""
    if isinstance(value, dict):
        for key, part in value.items():
            check_figure(part, where, key)
    elif isinstance(value, list):
        for part in value:
            check_figure(part, where, field)
    elif isinstance(value, str) and MARK in value and field not in ("legendgroup", "hovertemplate"):
        assert not re.search(r"<(?!br>)|\$|%\{y\}", value), (where, field, value)
    elif isinstance(value, str) and MARK in value and field == "hovertemplate":
        assert not re.search(r"<img|<b>x|\$x", value), (where, value)


@pytest.mark.slow
@FEW
@given(name=NAMES)
@example(name=WORST_NAME)
def test_a_name_is_text_in_every_file_of_a_report(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    folder = tmp_path_factory.mktemp("report")
    store = Store(folder / "cache")
    hostile.fill(store, folder, name)
    [family] = families(list(evaluations(store)))
    request = Request(alphas=(1.0,), formats=("html", "md", "tex", "csv", "parquet"))
    write_report(family, request, folder / "out", store)
    files = [file for file in (folder / "out").rglob("*") if file.is_file()]
    readers = {".html": check_html, ".md": check_markdown, ".tex": check_latex, ".csv": check_csv}
    for file in files:
        if file.suffix in readers:
            readers[file.suffix](file, name)
    run = json.loads((folder / "out" / "run.json").read_text(encoding="utf-8"))
    assert run["collection"]["name"] == name


def check_html(file: Path, name: str) -> None:
    text = file.read_text(encoding="utf-8")
    body = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    shown = hostile.read_html(body)
    assert spaces(name) in spaces(shown.text)
    assert not shown.tags & {"img", "i"}
    assert "onerror" not in shown.attributes
    assert not re.search(r"<img src=x|<b>x</b>|\$x\^2\$.*katex", body)


def check_markdown(file: Path, name: str) -> None:
    text = re.sub(r"^(`{3,}).*?^\1$", "", file.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    shown = hostile.shown_in_markdown(text)
    if MARK in text:
        assert spaces(name) in spaces(shown.text), file
    assert not shown.tags & {"img", "a", "script", "i", "del"}, (file, shown.tags)
    for line in text.splitlines():
        assert not re.search(r"(?<!\\)\$x", line) and not re.search(r"(?<!\\)(http:|www\.)", line), line


def check_latex(file: Path, name: str) -> None:
    """Every brace is closed, and no command, formula or comment of the name's own is left."""
    text = file.read_text(encoding="utf-8")
    bare = re.sub(r"\\[{}&%$#_]", "", text)
    assert bare.count("{") == bare.count("}"), file
    assert not re.search(r"\\input\{x|(?<!\\)\$x", re.sub(r"\$[<>]\$", "", text)), file
    assert all("%" not in line for line in bare.splitlines()), file


def check_csv(file: Path, name: str) -> None:
    rows = list(csv.reader(io.StringIO(file.read_text(encoding="utf-8"))))
    numbers = re.compile(r"[-+]?(\d+\.?\d*(e[-+]?\d+)?|inf|nan)", re.IGNORECASE)
    for cell in (cell for row in rows for cell in row):
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r")) or numbers.fullmatch(cell.lower()), (file, cell)
    frame = pl.read_parquet(file.with_suffix(".parquet"))
    assert [len(row) for row in rows] == [frame.width] * (frame.height + 1)
