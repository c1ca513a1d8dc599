"""How fast the explorer answers the slider in headless Chromium: from the key press to what is redrawn, and at first.

    python -m tests.benchmarks.bench_slider                          a server of its own on the cache that is set
    python -m tests.benchmarks.bench_slider --url http://...:8501    a server that runs already
    python -m tests.benchmarks.bench_slider --steps 40 --query "collection=xquad-r"

A step is one press of an arrow key on the ratio slider. Times are taken in the browser from the press: until the
numbers have changed, until the heading of the heatmaps says the new ratio, until both heatmaps hold the new values,
and until the last change of the page, below the fold too. First view: from the request until the numbers, the curves
and the heatmaps stand, in a fresh tab; the first tab of a fresh server computes what later ones find in memory. The
load of the machine is printed, because it decides as much as the page does.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright
from rich.console import Console
from rich.table import Table

APP = Path(__file__).resolve().parents[2] / "dashboard" / "app.py"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
VIEW = {"width": 1366, "height": 768}
PATIENCE = 120_000  # milliseconds
QUIET = 1000  # milliseconds without any change, after which a step is over
PARTS = ("numbers", "heading", "heatmaps", "everything")

_TEXTS = """({
    numbers: [...document.querySelectorAll('[data-testid=stMetric]')].map(one => one.innerText).join(' '),
    heading: [...document.querySelectorAll('h3')].map(h => h.innerText).find(text => text.includes('alpha = ')),
    heatmap: document.querySelector('.st-key-at')?.textContent,
    difference: document.querySelector('.st-key-difference')?.textContent,
})"""

DRAWN = f"""() => Object.values({_TEXTS}).every(text => text?.match(/[0-9]/))
    && document.querySelectorAll('[data-testid=stMetricValue]').length == 4
    && document.querySelectorAll('[class*=st-key-curve-] .main-svg .xy').length >= 4"""

# Waits in the page itself, so that the times hold none of playwright's round trips. Rebuilt charts are empty for a
# while: a text counts as soon as it holds numbers and differs from what it was.
STEP = f"""quiet => new Promise(done => {{
    const texts = () => ({_TEXTS}), before = texts(), times = {{}};
    let start, last;
    const observer = new MutationObserver(() => {{
        if (start === undefined) return;
        last = performance.now() - start;
        for (const [part, text] of Object.entries(texts()))
            if (times[part] === undefined && text !== before[part] && text?.match(/[0-9]/)) times[part] = last;
    }});
    observer.observe(document.querySelector('[data-testid=stMain]'), {{subtree: true, childList: true,
        characterData: true, attributes: true}});
    const watch = setInterval(() => {{
        if (Object.keys(times).length < 4 || performance.now() - start - last < quiet) return;
        clearInterval(watch);
        observer.disconnect();
        done({{numbers: times.numbers, heading: times.heading, heatmaps: Math.max(times.heatmap, times.difference),
            everything: last}});
    }}, 50);
    const slider = document.querySelector('[data-testid=stSlider] input, [role=slider]');
    slider.focus();
    slider.addEventListener('keydown', () => {{ start = performance.now(); }}, {{once: true, capture: true}});
}})"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Drive the slider and print the table."""
    options = _parser().parse_args(arguments)
    console = Console()
    with _site(options.url) as url, sync_playwright() as started:
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        address = f"{url}/?{options.query}"
        views = [_first_view(browser, address) for _ in range(options.views)]
        steps = _steps(browser, address, options.steps)
        browser.close()
    console.print(table_of(steps))
    console.print("first view, s: " + ", ".join(f"{seconds:.2f}" for seconds in views))
    console.print(f"load of the last minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--url", help="a running dashboard; without it one is started on the cache that is set")
    parser.add_argument("--steps", type=int, default=20, help="key presses")
    parser.add_argument("--views", type=int, default=3, help="fresh tabs")
    parser.add_argument("--query", default="", help="the address bar's selection")
    return parser


@contextmanager
def _site(url: str | None) -> Iterator[str]:
    """A running dashboard's address; one of our own ends with the block."""
    if url:
        yield url.rstrip("/")
        return
    with server() as (address, _):
        yield address


@contextmanager
def server() -> Iterator[tuple[str, int]]:
    """A dashboard of our own on the cache that is set: its address and its process; it ends with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(APP), f"--server.port={port}", "--server.headless=true"]
    running = subprocess.Popen(command, cwd=APP.parents[1], stdout=subprocess.DEVNULL)  # noqa: S603 - our own module
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_for(f"{address}/_stcore/health")
        yield address, running.pid
    finally:
        running.terminate()
        running.wait(20)


def _wait_for(address: str) -> None:
    for _ in range(150):
        try:
            urllib.request.urlopen(address, timeout=2).close()  # noqa: S310 - our own server
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise TimeoutError(f"{address} does not answer")


def _first_view(browser: Browser, address: str) -> float:
    """Seconds from the request until numbers, curves and heatmaps stand, in a tab without anything stored."""
    page = browser.new_context(viewport=VIEW).new_page()
    start = time.perf_counter()
    page.goto(address)
    page.wait_for_function(DRAWN, timeout=PATIENCE)
    seconds = time.perf_counter() - start
    page.context.close()
    return seconds


def _steps(browser: Browser, address: str, count: int) -> np.ndarray:
    """Milliseconds of every step, (steps, parts)."""
    page = browser.new_context(viewport=VIEW).new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(address)
    page.wait_for_function(DRAWN)
    page.wait_for_selector("[data-test-script-state=notRunning]")
    page.wait_for_timeout(3000)
    rows = []
    for step in range(count):
        times = _step(page, "ArrowRight" if (step // 8) % 2 == 0 else "ArrowLeft")
        rows.append([times[part] for part in PARTS])
    page.context.close()
    return np.array(rows)


def _step(page: Page, key: str) -> dict[str, float]:
    page.evaluate(f"() => {{ window.step = ({STEP})({QUIET}); }}")
    page.keyboard.press(key)
    times: dict[str, float] = page.evaluate("window.step")
    return times


def table_of(steps: np.ndarray) -> Table:
    """Percentiles of the milliseconds of steps, (steps, parts)."""
    table = Table(title=f"{len(steps)} steps of the slider, ms from the key press")
    for column in ("until", "p50", "p95", "most"):
        table.add_column(column, justify="left" if column == "until" else "right")
    for part, times in zip(PARTS, steps.T, strict=True):
        values = (*np.percentile(times, [50, 95]), times.max())
        table.add_row(part, *(f"{value:.0f}" for value in values))
    return table


if __name__ == "__main__":
    sys.exit(main())
