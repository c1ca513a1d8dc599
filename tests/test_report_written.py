"""What was written, opened again: PDF, SVG, PNG, LaTeX, data, and the page in a browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from PIL import Image

from engine.errors import InputError
from engine.evaluation.evaluate import evaluations
from engine.report import FORMATS, Request, Written, write, write_report
from engine.report.render import images
from engine.report.render.images import NEEDED
from engine.storage.store import Store
from engine.sweeps.results import Family, families
from tests.report_builders import NEEDS_BROWSER, chromium, faults_of, files_of, need, texts_of

PLAIN = ("html", "tex", "md", "csv", "parquet")


@pytest.fixture(scope="module")
def family(demo_store: Store) -> Family:
    [found] = families(list(evaluations(demo_store)))
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


def named(report: Written, suffix: str) -> list[Path]:
    return [report.folder / name for name in report.files if name.endswith(suffix)]


def test_every_format_is_there_and_listed(demo_report: Written) -> None:
    assert set(demo_report.files) == set(files_of(demo_report.folder))
    assert all(size > 0 for size in demo_report.files.values())
    images_ = images.browser() is not None
    kinds = {name.rpartition(".")[2] for name in demo_report.files}
    assert kinds == {*PLAIN, "json", "bib", *(("pdf", "svg", "png") if images_ else ())}
    assert {"report.html", "report.md", "run.json", "paper.tex", "references.bib"} <= set(demo_report.files)
    assert demo_report.notes == (() if images_ else (NEEDED,))


def test_the_zip_holds_the_folder(demo_report: Written) -> None:
    with zipfile.ZipFile(demo_report.zipped) as packed:
        assert set(packed.namelist()) == {f"report/{name}" for name in demo_report.files}


def test_the_same_inputs_give_the_same_bytes(
    family: Family, demo_store: Store, demo_report: Written, tmp_path: Path
) -> None:
    request = Request(alphas=(1.0,), formats=PLAIN)
    again = write_report(family, request, tmp_path / "again", demo_store)
    first, second = files_of(demo_report.folder), files_of(again.folder)
    for name in again.files:
        if name not in ("run.json", "report.html", "report.md", "paper.tex"):  # they tell which formats were asked for
            assert second[name] == first[name], name
    third = write_report(family, request, tmp_path / "third", demo_store)
    assert files_of(third.folder) == second


def test_run_json_tells_what_determined_the_numbers(demo_report: Written, family: Family) -> None:
    run = json.loads((demo_report.folder / "run.json").read_text(encoding="utf-8"))
    assert run["sweep"] == family.key
    assert {one["key"] for one in run["evaluations"]} == {family.base.key, *(e.key for _, e in family.evaluations)}
    trained = [one["recipe"] for one in run["evaluations"] if one["recipe"]]
    assert sorted((one["alpha"], one["seed"]) for one in trained) == [(a, s) for a in (0.0, 0.5, 1.0) for s in range(3)]
    assert run["collection"]["digest"] == family.base.manifest.collection.digest
    assert run["statistics"] == {"resamples": 2000, "flips": 10000, "seed": 0, "level": 0.95, "intervals": "bca"}
    assert set(run["report"]["formats"]) == set(FORMATS)
    assert not re.search(r"20\d\d-\d\d-\d\d|created|seconds", json.dumps(run))


def test_csv_and_parquet_of_a_table_agree(demo_report: Written) -> None:
    files = named(demo_report, ".csv")
    assert len(files) > 10
    for file in files:
        columns = pl.read_parquet(file.with_suffix(".parquet"))
        rows = pl.read_csv(file, schema=columns.schema)
        assert rows.equals(columns), file


@NEEDS_BROWSER
def test_pdf_pages_have_the_width_that_was_asked_for(demo_report: Written) -> None:
    files = named(demo_report, ".pdf")
    assert len(files) > 10
    for file in files:
        data = file.read_bytes()
        boxes = {tuple(map(float, box.split())) for box in re.findall(rb"/MediaBox\s*\[([^\]]+)\]", data)}
        assert len(boxes) == 1
        left, bottom, right, top = boxes.pop()
        assert (left, bottom) == (0, 0)
        assert right == pytest.approx(72 * 3.3, abs=0.75)
        assert 100 < top < 320
        assert data.count(b"/Type /Page\n") + data.count(b"/Type /Page/") <= 1
        assert b"/Subtype /Image" not in data  # drawn, not painted
        assert b"20000101000000" in data


@NEEDS_BROWSER
def test_pdf_pages_are_drawn_up_to_their_edges_and_not_over_them(demo_report: Written, tmp_path: Path) -> None:
    """Kaleido alone would shift a page by a tenth of an inch and cut its other end."""
    program = need("pdftoppm")
    for name in ("curves", "pairs-alpha-1", "bias-distance-untrained"):
        file = demo_report.folder / "figures" / f"{name}.pdf"
        subprocess.run([program, "-r", "150", "-png", "-singlefile", str(file), str(tmp_path / name)], check=True)  # noqa: S603
        page = Image.open(tmp_path / f"{name}.png").convert("L")
        painted = Image.open(file.with_suffix(".png")).convert("L").resize(page.size)
        for one in (page, painted):
            box = one.point(lambda level: 255 if level < 200 else 0).getbbox()
            assert box[0] < 0.06 * page.width
            assert box[2] > 0.9 * page.width
        boxes = [one.point(lambda level: 255 if level < 200 else 0).getbbox() for one in (page, painted)]
        assert boxes[0] == pytest.approx(boxes[1], abs=5)


@NEEDS_BROWSER
def test_text_in_pdf_can_be_searched(demo_report: Written) -> None:
    program = need("pdftotext")
    read = subprocess.run(  # noqa: S603
        [program, str(demo_report.folder / "figures" / "curves.pdf"), "-"], check=True, capture_output=True, text=True
    )
    for text in ("mono mAP", "rank distance", "alpha", "untrained"):
        assert text in read.stdout


@NEEDS_BROWSER
def test_png_has_300_dots_an_inch_and_says_so(demo_report: Written) -> None:
    for file in named(demo_report, ".png"):
        picture = Image.open(file)
        assert picture.width == 990  # 3.3 inches
        assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        picture.load()  # checks every chunk


@NEEDS_BROWSER
def test_svg_is_xml_with_its_text_as_text(demo_report: Written) -> None:
    for file in named(demo_report, ".svg"):
        root = ET.fromstring(file.read_bytes())  # noqa: S314 - our own file
        assert root.get("width") == "317"
        texts = ["".join(part.itertext()) for part in root.iter("{http://www.w3.org/2000/svg}text")]
        assert len(texts) > 8
        assert not list(root.iter("{http://www.w3.org/2000/svg}image"))
    curves = (demo_report.folder / "figures" / "curves.svg").read_text(encoding="utf-8")
    assert "Times New Roman" in curves


@NEEDS_BROWSER
def test_questions_in_other_scripts_are_drawn(demo_report: Written) -> None:
    drawn = "".join(file.read_text(encoding="utf-8") for file in named(demo_report, ".svg") if "example" in file.name)
    titles = re.findall(r'<text class="gtitle"[^>]*>(.*?)</text>', drawn, flags=re.DOTALL)
    assert len(titles) == len([file for file in named(demo_report, ".svg") if "example" in file.name])
    assert any(not re.sub(r"<[^>]*>", "", title).isascii() for title in titles)


@NEEDS_BROWSER
def test_no_text_of_a_figure_is_cut_off_overlaps_or_is_tiny(demo_report: Written, browser: Any) -> None:
    page = browser.new_page(viewport={"width": 700, "height": 700})
    faults = {file.name: faults_of(page, file.read_text(encoding="utf-8")) for file in named(demo_report, ".svg")}
    assert {name: found for name, found in faults.items() if found} == {}


@NEEDS_BROWSER
def test_the_type_of_figures_is_that_of_the_paper(demo_report: Written, browser: Any) -> None:
    page = browser.new_page()
    _, _, texts = texts_of(page, (demo_report.folder / "figures" / "curves.svg").read_text(encoding="utf-8"))
    assert {round(0.75 * text.size, 1) for text in texts} == {8.0}


def test_latex_names_every_table_and_figure_once(demo_report: Written) -> None:
    paper = (demo_report.folder / "paper.tex").read_text(encoding="utf-8")
    assert sorted(re.findall(r"\\input\{tables/(.+?)\}", paper)) == sorted(
        file.stem for file in named(demo_report, ".tex") if file.parent.name == "tables"
    )
    labels = re.findall(
        r"\\label\{(.+?)\}", "".join(file.read_text(encoding="utf-8") for file in named(demo_report, ".tex"))
    )
    assert len(labels) == len(set(labels))


def test_latex_compiles_without_a_line_that_is_too_wide(demo_report: Written, tmp_path: Path) -> None:
    program = need("pdflatex")
    shutil.copytree(demo_report.folder, tmp_path / "paper", ignore=shutil.ignore_patterns("*.html", "data"))
    done = subprocess.run(  # noqa: S603
        [program, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "paper.tex"],
        cwd=tmp_path / "paper",
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "paper" / "paper.pdf").stat().st_size > 10_000
    assert "Overfull" not in done.stdout
    assert "libxpdf" not in done.stdout  # a broken PDF


def test_markdown_tells_the_answer_the_tables_and_the_sources(demo_report: Written) -> None:
    text = (demo_report.folder / "report.md").read_text(encoding="utf-8")
    for part in (
        "# What the batch ratio does",
        "multi mAP",
        "### ",
        "CC0 1.0",
        "python -m engine sweep",
        "@misc{elmahdy",
    ):
        assert part in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) > 50


@NEEDS_BROWSER
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_opens_offline_and_is_readable(demo_report: Written, browser: Any, scheme: str) -> None:
    page = browser.new_page(viewport={"width": 1100, "height": 800}, color_scheme=scheme)
    asked, faults = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda said: said.type == "error" and faults.append(said.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto((demo_report.folder / "report.html").as_uri())
    page.wait_for_function(
        "document.querySelectorAll('.plot .main-svg').length >= document.querySelectorAll('.plot').length"
    )
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [page.url]
    assert faults == []
    assert page.locator(".plot").count() == len([name for name in demo_report.files if name.endswith(".svg")])
    assert page.evaluate("document.documentElement.scrollWidth") <= 1100
    ground, ink = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    assert _contrast(ground, ink) > 10
    for text in (".xtick text", ".y2tick text", ".gtitle, .xtitle", ".legendtext"):
        fill = page.evaluate("selector => getComputedStyle(document.querySelector(selector)).fill", text)
        assert _contrast(ground, fill) > 7, text
    assert page.locator('[dir="rtl"][lang="ar"]').count() > 0


@NEEDS_BROWSER
def test_the_page_is_printed_dark_on_white_whatever_the_screen_is(demo_report: Written, browser: Any) -> None:
    page = browser.new_page(color_scheme="dark")
    page.goto((demo_report.folder / "report.html").as_uri())
    page.emulate_media(media="print")
    ground, ink = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    assert (ground, ink) == ("rgb(255, 255, 255)", "rgb(0, 0, 0)")


def test_the_page_holds_recipes_licences_versions_and_commands(demo_report: Written) -> None:
    page = (demo_report.folder / "report.html").read_text(encoding="utf-8")
    inner = page.partition("<main>")[2].partition("</main>")[0]
    for part in (
        "Recipe of every checkpoint",
        "CC0 1.0",
        "polars",
        "python -m engine sweep",
        "@misc{elmahdy",
        "Zero-shot",
    ):
        assert part in inner
    assert page.count("<script>") == 2  # plotly.js once, and the drawing
    assert "Content-Security-Policy" in page
    for tag in ("table", "figure", "section", "ul", "details"):
        assert inner.count(f"<{tag}") == inner.count(f"</{tag}>"), tag


def _contrast(one: str, other: str) -> float:
    """Contrast of two colours after WCAG 2.1."""
    light, dark = sorted((_luminance(colour) for colour in (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.fixture
def without_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (images, write):
        monkeypatch.setattr(module, "browser", lambda: None)


@pytest.mark.usefixtures("without_browser")
def test_without_a_browser_the_rest_is_written_and_the_note_says_what_to_install(
    family: Family, demo_store: Store, tmp_path: Path
) -> None:
    request = Request(parts=("curves", "tables"), formats=("html", "pdf", "tex", "csv"))
    written = write_report(family, request, tmp_path / "report", demo_store)
    [note] = written.notes
    for word in ("Chrome or Chromium", "apt-get install chromium", "brew", "kaleido_get_chrome", "BROWSER_PATH"):
        assert word in note
    assert {"report.html", "tables/settings.tex", "tables/settings.csv", "data/points.csv"} <= set(written.files)
    assert not (written.folder / "figures").exists()


@pytest.mark.usefixtures("without_browser")
def test_images_alone_without_a_browser_are_refused_before_any_work(
    family: Family, demo_store: Store, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="format pdf, png: no Chrome or Chromium was found"):
        write_report(family, Request(formats=("pdf", "png")), tmp_path / "report", demo_store)
    assert list(tmp_path.iterdir()) == []


def test_a_browser_that_cannot_start_is_told(
    family: Family, demo_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    broken.chmod(0o755)
    monkeypatch.setattr(images.Chromium, "find_browser", lambda **_: str(broken))
    request = Request(parts=("curves",), formats=("html", "svg"))
    written = write_report(family, request, tmp_path / "report", demo_store)
    [note] = written.notes
    assert f"the browser {broken} cannot be used" in note
    assert "report.html" in written.files


@NEEDS_BROWSER
def test_an_interrupt_while_figures_are_drawn_leaves_nothing(family: Family, demo_store: Store, tmp_path: Path) -> None:
    def interrupted(stage: str, done: float, total: float) -> None:
        if stage == "draw figures" and done >= 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_report(
            family, Request(parts=("curves",), formats=("svg",)), tmp_path / "report", demo_store, progress=interrupted
        )
    assert list(tmp_path.iterdir()) == []


def test_progress_tells_what_is_done_of_all(family: Family, demo_store: Store, tmp_path: Path) -> None:
    told: dict[str, list[tuple[float, float]]] = {}

    def note(stage: str, done: float, total: float) -> None:
        told.setdefault(stage, []).append((done, total))

    request = Request(parts=("curves", "bias"), formats=("md",))
    write_report(family, request, tmp_path / "report", demo_store, progress=note)
    assert told["read ranks"] == [(done, 10) for done in range(11)]
    assert told["measure bias"][-1] == (told["measure bias"][-1][1],) * 2


def test_only_the_parts_and_formats_that_were_asked_for_are_written(
    family: Family, demo_store: Store, tmp_path: Path
) -> None:
    request = Request(alphas=(0.5,), parts=("difference", "tables"), formats=("csv",))
    written = write_report(family, request, tmp_path / "report", demo_store)
    assert set(written.files) == {
        "run.json",
        *(f"data/{name}.csv" for name in ("points", "cells", "choices", "differences")),
        *(
            f"tables/{name}.csv"
            for name in ("settings", "pairs-untrained", "pairs-alpha-0.5", "difference-alpha-0.5", "checkpoints")
        ),
    }
