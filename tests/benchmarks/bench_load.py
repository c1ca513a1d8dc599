"""How the explorer holds up under load: sessions in headless Chromium that all move the slider for some minutes.

    python -m tests.benchmarks.bench_load                              20 sessions for two minutes
    python -m tests.benchmarks.bench_load --sessions 4 --minutes 1
    python -m tests.benchmarks.bench_load --sessions 1 --moves 200     200 moves in one session
    python -m tests.benchmarks.bench_load --query "collection=demo"

The server is our own, on the cache that is set. Printed are the times from the key press to what is redrawn, as
`bench_slider` takes them, the moves and errors, and the server's memory before the first session, after the first view
of each, and after the moves. Browsers and server share the machine: with more sessions than it has cores, the times are
those of the browsers too.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from playwright.async_api import Browser, Error, Page, async_playwright
from rich.console import Console

from tests.benchmarks.bench_slider import DRAWN, FLAGS, PARTS, PATIENCE, QUIET, STEP, VIEW, server, table_of


@dataclass
class Session:
    """What happened in a session: milliseconds of every move by part, and errors."""

    times: list[list[float]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Drive the sessions and print what they met."""
    options = _parser().parse_args(arguments)
    console = Console()
    with server() as (address, process):
        memory = {"before the first session": _memory(process)}
        sessions = asyncio.run(_drive(options, f"{address}/?{options.query}", process, memory))
        memory["after the moves"] = _memory(process)
    times = [row for one in sessions for row in one.times]
    errors = [error for one in sessions for error in one.errors]
    if times:
        console.print(table_of(np.array(times)))
    console.print(f"{len(sessions)} sessions, {len(times)} moves, {len(errors)} errors {errors[:3] or ''}")
    console.print("server memory, MiB: " + ", ".join(f"{when} {size:.0f}" for when, size in memory.items()))
    console.print(f"load of the last minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    return 1 if errors else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sessions", type=int, default=20, help="browser contexts that move the slider at once")
    parser.add_argument("--minutes", type=float, default=2.0, help="for how long")
    parser.add_argument("--moves", type=int, help="moves of each session, in place of a time")
    parser.add_argument("--query", default="", help="the address bar's selection")
    return parser


async def _drive(options: argparse.Namespace, address: str, process: int, memory: dict[str, float]) -> list[Session]:
    async with async_playwright() as started:
        browser = await started.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        sessions = [Session() for _ in range(options.sessions)]
        pages = await asyncio.gather(*(_open(browser, address, one) for one in sessions))
        memory["after the first views"] = _memory(process)
        end = time.monotonic() + 60 * options.minutes
        moved = (_move(page, one, options.moves, end) for page, one in zip(pages, sessions, strict=True) if page)
        await asyncio.gather(*moved)
        await browser.close()
    return sessions


async def _open(browser: Browser, address: str, session: Session) -> Page | None:
    """A session's page once it is drawn; None, and an error, if it never is."""
    page = await (await browser.new_context(viewport=VIEW)).new_page()
    page.set_default_timeout(PATIENCE)
    page.on("pageerror", lambda error: session.errors.append(str(error)))
    try:
        await page.goto(address)
        await page.wait_for_function(DRAWN)
    except Error as error:
        session.errors.append(error.message.partition("\n")[0])
        return None
    return page


async def _move(page: Page, session: Session, moves: int | None, end: float) -> None:
    """Move the slider from end to end and back, for some moves or until a time."""
    step = 0
    while (time.monotonic() < end) if moves is None else (step < moves):
        try:
            await page.evaluate(f"() => {{ window.step = ({STEP})({QUIET}); }}")
            await page.keyboard.press("ArrowRight" if (step // 8) % 2 == 0 else "ArrowLeft")
            times = await asyncio.wait_for(page.evaluate("window.step"), PATIENCE / 1000)
        except (Error, TimeoutError) as error:
            session.errors.append(f"move {step}: {type(error).__name__}")
            return
        session.times.append([times[part] for part in PARTS])
        step += 1
    if await page.locator("[data-testid=stException]").count():
        session.errors.append("a traceback on the page")


def _memory(process: int) -> float:
    """A process's resident memory in MiB, as Linux tells it; NaN elsewhere."""
    status = Path(f"/proc/{process}/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")), float("nan"))


if __name__ == "__main__":
    sys.exit(main())
