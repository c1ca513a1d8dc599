"""The dashboard in a real browser: what only shows there, such as drawing, clicks, live training and the network."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import pytest

from engine.collections.languages import language
from engine.storage import jobs
from engine.storage.store import Store
from tests.pages import APP, copy_of

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ("no-sandbox", "disable-gpu", "no-first-run", "disable-background-networking", "disable-component-update")
VIEW = {"width": 1366, "height": 768}
TRAINED = "multilingual-e5-small, head on demo-train, alpha 1, seed 2"
PATIENCE = 60_000  # milliseconds

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium or Chrome on this machine")


@dataclass(frozen=True)
class Site:
    """A running dashboard and the cache that it shows."""

    url: str
    store: Store

    def at(self, path: str = "", **query: str) -> str:
        return f"{self.url}/{path}?" + "&".join(f"{key}={quote(value)}" for key, value in query.items())


@pytest.fixture(scope="module")
def site(demo_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with _served(copy_of(demo_store, tmp_path_factory.mktemp("browser") / "cache")) as served:
        yield served


@contextmanager
def _served(store: Store) -> Iterator[Site]:
    """The dashboard as a fresh server on a cache."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {"server.port": port, "server.address": "127.0.0.1", "server.headless": "true"}
    server = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "streamlit", "run", str(APP), *(f"--{name}={value}" for name, value in options.items())],
        cwd=APP.parents[1],
        env={**os.environ, "HYBRID_BATCH_CACHE": str(store.root), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{url}/_stcore/health", server)
        yield Site(url, store)
    finally:
        server.terminate()
        server.wait(20)
        for run in jobs.all_runs(store):
            jobs.stop(store, run.key)


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(url, timeout=2).close()  # noqa: S310 - our own server
        except (urllib.error.URLError, OSError):
            assert server.poll() is None, "the dashboard did not start"
            time.sleep(0.2)
        else:
            return
    raise AssertionError("the dashboard does not answer")


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright.Browser]:
    with playwright.sync_playwright() as started:
        yield started.chromium.launch(executable_path=CHROMIUM, args=[f"--{flag}" for flag in FLAGS])


def test_a_page_s_own_address_on_a_fresh_server_is_that_page(browser: playwright.Browser, demo_store: Store) -> None:
    context = browser.new_context(viewport=VIEW)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    with _served(demo_store) as served:
        _open(page, served.at("bias"))
        assert page.locator("h1").inner_text() == "Does it favour some languages?"
        assert page.locator("[role=dialog]").count() == 0
    context.close()


@pytest.fixture
def tab(browser: playwright.Browser, site: Site) -> Iterator[playwright.Page]:
    """A tab in which no script may fail, nothing be missing, and no request leave the machine."""
    context = browser.new_context(viewport=VIEW)
    page = context.new_page()
    yield from _watched(page)
    context.close()


def _watched(page: playwright.Page) -> Iterator[playwright.Page]:
    page.set_default_timeout(PATIENCE)
    faults: list[str] = []
    asked: list[str] = []
    page.on("console", lambda said: said.type == "error" and faults.append(f"{said.text} {said.location.get('url')}"))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    yield page
    own = [fault for fault in faults if not re.search(r"/\w+/_stcore/(health|host-config)", fault)]
    assert not own  # streamlit looks for its server beside a page's address first: those two are no faults
    assert {urlsplit(url).hostname for url in asked if urlsplit(url).scheme not in ("data", "blob")} == {"127.0.0.1"}
    assert page.locator("[data-testid=stException]").count() == 0


def _settle(page: playwright.Page) -> None:
    """Wait until the page has been drawn and its script has come to rest."""
    page.wait_for_selector("h1")
    page.wait_for_selector("[data-test-script-state=notRunning]")
    page.wait_for_timeout(400)
    page.wait_for_selector("[data-test-script-state=notRunning]")


def _open(page: playwright.Page, address: str) -> None:
    page.goto(address)
    _settle(page)


def _metrics(page: playwright.Page) -> list[str]:
    return page.locator("[data-testid=stMetricValue]").all_inner_texts()


def _picked(page: playwright.Page, key: str) -> str:
    """What a selectbox shows."""
    return page.locator(f".st-key-{key} input").input_value()


def _is_too_wide(page: playwright.Page) -> bool:
    return page.evaluate(
        "[document.documentElement, document.querySelector('[data-testid=stMain]')]"
        ".some(part => part.scrollWidth > part.clientWidth)"
    )


def test_the_explorer_comes_up_fits_the_window_and_its_slider_moves_the_numbers(
    tab: playwright.Page, site: Site
) -> None:
    _open(tab, site.at())
    assert tab.locator(".js-plotly-plot").count() >= 6
    assert not _is_too_wide(tab)
    before = _metrics(tab)
    assert len(before) == 4
    tab.get_by_role("slider").first.focus()
    tab.keyboard.press("ArrowRight")
    tab.wait_for_function("document.querySelector('[data-testid=stMetricValue]').innerText.startsWith('≈')")
    _settle(tab)
    assert all(value.startswith("≈") for value in _metrics(tab)) and _metrics(tab) != before
    assert "alpha=0.55" in tab.url


def test_the_slider_moves_the_mark_on_the_curves_and_rebuilds_none_of_them(tab: playwright.Page, site: Site) -> None:
    _open(tab, site.at(alpha="0.5"))
    curves = tab.locator("[class*=st-key-curve-]")
    tab.wait_for_function("document.querySelectorAll('[class*=st-key-curve-] .main-svg .xy').length >= 4")
    curves.evaluate_all("places => places.forEach(place => place.querySelector('.js-plotly-plot').kept = true)")
    tab.get_by_role("slider").first.focus()
    tab.keyboard.press("ArrowRight")
    tab.wait_for_selector("h3:has-text('alpha = 0.55')")
    _settle(tab)
    marks = curves.evaluate_all(
        """places => places.map(place => {
        const plot = place.querySelector('.js-plotly-plot'), {xaxis} = plot._fullLayout;
        const at = plot.getBoundingClientRect().x - place.getBoundingClientRect().x + xaxis._offset + xaxis.d2p(0.55);
        return [plot.kept, at - parseFloat(getComputedStyle(place, '::before').left) - 3];
    })"""
    )
    assert all(kept is True and abs(distance) < 0.6 for kept, distance in marks), marks


def test_a_ratio_is_trained_from_the_page_and_its_point_arrives_without_a_reload(
    tab: playwright.Page, site: Site
) -> None:
    _open(tab, site.at(alpha="0.25"))
    tab.evaluate("window.sameTab = true")
    assert all(value.startswith("≈") for value in _metrics(tab))
    known = len(list(site.store.entries("ranks")))
    tab.get_by_role("button", name="Train alpha = 0.25 now").click()
    tab.wait_for_function(
        "![...document.querySelectorAll('[data-testid=stMetricValue]')].some(one => one.innerText.startsWith('≈'))",
        timeout=2 * PATIENCE,
    )
    tab.wait_for_function("!document.querySelector('[data-testid=stProgress]')")
    _settle(tab)
    assert len(list(site.store.entries("ranks"))) == known + 3  # as many seeds as the other ratios have
    assert tab.get_by_role("button", name="Train alpha = 0.25 now").count() == 0
    assert tab.evaluate("window.sameTab") is True
    [run] = jobs.all_runs(site.store)
    assert run.state == "finished"


def test_a_click_on_a_cell_leads_to_the_examples_of_its_pair(tab: playwright.Page, site: Site) -> None:
    _open(tab, site.at("pairs", metric="mAP", checkpoint=TRAINED))
    assert not _is_too_wide(tab)
    plot = tab.locator(".st-key-cells .js-plotly-plot")
    plot.scroll_into_view_if_needed()
    place = plot.evaluate(
        """(plot, pair) => {
        for (const trace of plot._fullData) {
            const index = (trace.customdata || []).findIndex(one => String(one) == String(pair));
            if (index < 0 || trace.type != 'scatter') continue;
            const {xaxis, yaxis} = plot._fullLayout, box = plot.getBoundingClientRect();
            const right = xaxis._offset + xaxis.d2p(trace.x[index]), down = yaxis._offset + yaxis.d2p(trace.y[index]);
            return [box.x + right, box.y + down];
        }
    }""",
        ["th", "ar"],
    )
    tab.mouse.move(*place)
    tab.mouse.click(*place)
    tab.wait_for_url("**/examples?*")
    _settle(tab)
    assert _picked(tab, "query") == "Thai th"
    assert _picked(tab, "document") == "Arabic ar"
    assert _picked(tab, "checkpoint") == TRAINED
    assert not _is_too_wide(tab)


def test_arabic_is_set_from_right_to_left(tab: playwright.Page, site: Site) -> None:
    _open(tab, site.at("examples", query=f"{language('ar').name} ar"))
    cells = tab.locator(".passages td:last-child").evaluate_all(
        "cells => cells.map(cell => [cell.querySelector('span').lang, getComputedStyle(cell).direction])"
    )
    assert len(cells) == 10 and ["ar", "rtl"] in cells
    assert all((direction == "rtl") == (code == "ar") for code, direction in cells)


def test_a_link_restores_the_selection_in_another_tab(tab: playwright.Page, site: Site) -> None:
    _open(tab, site.at(alpha="1", score="R@1", reference="alpha = 0"))
    assert tab.get_by_role("slider").first.input_value() == "1"
    assert _picked(tab, "score") == "R@1"
    assert _picked(tab, "reference") == "alpha = 0"
    assert tab.get_by_text("mono R@1").count() >= 1


def test_dark_mode_is_dark_and_readable(browser: playwright.Browser, site: Site) -> None:
    context = browser.new_context(viewport=VIEW, color_scheme="dark")
    for page in _watched(context.new_page()):
        _open(page, site.at("pairs"))
        colours = page.evaluate(
            "[['[data-testid=stApp]', 'backgroundColor'], ['h1', 'color']]"
            ".map(([part, kind]) => getComputedStyle(document.querySelector(part))[kind])"
        )
        ground, text = (sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in colours)
        assert ground < 150 and text > 500
    context.close()
