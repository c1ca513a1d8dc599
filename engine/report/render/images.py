"""Figures -> PDF, SVG and PNG files, drawn by one Chrome or Chromium that is started once."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from threading import Thread

import kaleido
import PIL.Image
import plotly.graph_objects as go
from choreographer.browsers.chromium import Chromium
from choreographer.errors import BrowserClosedError, BrowserDepsError, BrowserFailedError, ChromeNotFoundError

from engine.figures.publication import INCHES, Layout
from engine.progress import Progress, silent

DOTS_PER_INCH = 300
NEEDED = (
    "no Chrome or Chromium was found, and PDF, SVG and PNG need one: install it (Debian and Ubuntu: `apt-get install "
    "chromium fonts-noto`; macOS: `brew install --cask google-chrome`; anywhere: `kaleido_get_chrome`, which downloads "
    "one), or name it in BROWSER_PATH"
)

_TABS = 2
_SECONDS = 90  # for one file
_PATIENCE_SECONDS = 2
_BROKEN = (BrowserClosedError, BrowserDepsError, BrowserFailedError, ChromeNotFoundError)
_PDF_TIME = re.compile(rb"(/(?:CreationDate|ModDate) \(D:)\d{14}")
_SVG_ID = re.compile(r'id="defs-([0-9a-f]{6,})"')


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """A file to draw: a printed figure, where to, and how."""

    figure: go.Figure
    file: Path
    layout: Layout


class _Page(kaleido.PageGenerator):  # type: ignore[misc]
    """The page that kaleido draws on, without its margin: it would push a PDF to the right and cut its other end."""

    header = kaleido.PageGenerator.header.replace("Kaleido-fier", "Hybrid Batch Lab").replace(
        '<style id="head-style"></style>',
        '<style>@page { margin: 0 } img { display: block }</style><style id="head-style"></style>',
    )


def browser() -> str | None:
    """Path of the browser that would draw, or None."""
    program: str | None = Chromium.find_browser(skip_local=False)
    return program


def draw(images: Sequence[Image], progress: Progress = silent) -> list[str]:
    """Draw files; the suffix of each says how.

    The drawing has a thread of its own, so that this one can be interrupted (kaleido does not end when it is cancelled)
    and may have an event loop that runs, as a notebook's.

    Args:
        images: What to draw.
        progress: Told the files drawn.

    Returns:
        What went wrong, a line each; empty if every file was drawn.
    """
    program = browser()
    if program is None:
        return [NEEDED]
    home = Path.home() if "snap" in program else None  # a snap sees no other temporary folder
    with TemporaryDirectory(prefix=".drawing-", dir=home, ignore_cleanup_errors=True) as work:
        drawing = _Drawing(images, Path(work))
        thread = Thread(target=drawing.run, daemon=True)
        progress("draw figures", 0, len(images))
        thread.start()
        try:
            while (done := drawing.done.get()) is not None:
                progress("draw figures", done, len(images))
        finally:
            drawing.stop()
            thread.join(_PATIENCE_SECONDS)  # one whose browser is gone may wait for ever
    for image in images:
        if image.file.is_file():
            _finish(image.file)
    return drawing.faults


class _Drawing:
    """One browser that draws files; `done` counts them, and gives None at the end. All that it keeps is in `work`."""

    def __init__(self, images: Sequence[Image], work: Path) -> None:
        self.faults: list[str] = []
        self.done: SimpleQueue[int | None] = SimpleQueue()
        self._images, self._work = images, work
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def run(self) -> None:
        """Draw all files; every error becomes a fault."""
        try:
            asyncio.run(self._draw())
        except _BROKEN as error:
            install = NEEDED.partition(": ")[2]
            self.faults.append(f"the browser {browser()} cannot be used ({_line(error)}); {install}")
        except (Exception, asyncio.CancelledError) as error:  # of a thread nobody else would see it
            self.faults.append(f"figures: {_line(error)}")
        finally:
            self.done.put(None)

    def stop(self) -> None:
        """End the browser, if it has not ended."""
        self._stopped = True
        if self._process is None or self._process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)  # choreographer's wrapper and the browser are a group
            else:
                self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE_SECONDS)

    async def _draw(self) -> None:
        count = 0
        page = self._work / "page.html"
        page.write_text(_Page(mathjax=False).generate_index(), encoding="utf-8")
        async with kaleido.Kaleido(_TABS, _SECONDS, page_generator=page, tmp_dir=str(self._work)) as drawing:
            self._process = drawing.subprocess
            if self._stopped:
                return

            async def one(image: Image) -> None:
                nonlocal count
                kind = image.file.suffix.lstrip(".")
                options = {"format": kind, "scale": _scale(image.layout) if kind == "png" else 1}
                wanted = {"fig": image.figure, "path": image.file, "opts": options}
                errors = await drawing.write_fig_from_object([wanted])
                self.faults.extend(f"{image.file.name}: {_line(error)}" for error in errors)
                count += 1
                self.done.put(count)

            await asyncio.gather(*(one(image) for image in self._images))


def _scale(layout: Layout) -> float:
    """PNG pixels for a CSS pixel; the width comes out as inches times dots, although CSS pixels are whole."""
    return (INCHES[layout.width] * DOTS_PER_INCH + 0.1) / layout.pixels


def _finish(file: Path) -> None:
    """Take the time out of a PDF and chance out of an SVG's ids, and write the resolution into a PNG."""
    if file.suffix == ".pdf":
        file.write_bytes(_PDF_TIME.sub(rb"\g<1>20000101000000", file.read_bytes()))
    if file.suffix == ".svg":
        text = file.read_text(encoding="utf-8")
        for drawn in set(_SVG_ID.findall(text)):
            text = text.replace(drawn, hashlib.sha256(file.stem.encode()).hexdigest()[: len(drawn)])
        file.write_text(text, encoding="utf-8")
    if file.suffix == ".png":
        _write_resolution(file)


def _write_resolution(file: Path) -> None:
    """Let a PNG say how many dots an inch has, so that it is set at its size."""
    with PIL.Image.open(file) as drawn:
        drawn.load()
        drawn.save(file, dpi=(DOTS_PER_INCH, DOTS_PER_INCH))


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
