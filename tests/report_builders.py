"""What tests of reports share: frames as `significance` gives them, and texts of a figure as a browser sets them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest

from engine.report.render.images import browser

NEEDS_BROWSER = pytest.mark.skipif(browser() is None, reason="there is no Chromium or Chrome on this machine")
FLAGS = ("no-sandbox", "disable-gpu", "no-first-run", "disable-background-networking", "disable-component-update")

_TEXTS = """() => {
  const svg = document.querySelector("svg"), frame = svg.getBoundingClientRect();
  const seen = [...svg.querySelectorAll("text")].filter(text => text.textContent.trim());
  return [frame.width, frame.height, seen.map(text => {
    const box = text.getBoundingClientRect();
    return [text.textContent, box.left - frame.left, box.top - frame.top, box.right - frame.left,
            box.bottom - frame.top, parseFloat(getComputedStyle(text).fontSize)];
  })];
}"""


class Text(NamedTuple):
    """A text of a figure: where it stands, in pixels, and its size."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    size: float


@contextmanager
def chromium() -> Iterator[Any]:
    """A headless browser."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as started:
        yield started.chromium.launch(executable_path=browser(), args=[f"--{flag}" for flag in FLAGS])


def texts_of(page: Any, svg: str) -> tuple[float, float, list[Text]]:
    """Width and height of an SVG figure, and its texts as the browser sets them."""
    page.set_content(f'<body style="margin:0">{svg}</body>')
    width, height, texts = page.evaluate(_TEXTS)
    return width, height, [Text(*text) for text in texts]


def faults_of(page: Any, svg: str) -> list[str]:
    """Texts that are cut off, lie on each other, or are below 6 points."""
    width, height, texts = texts_of(page, svg)
    faults = [
        f"{one.text!r} is cut off"
        for one in texts
        if one.left < -0.5 or one.top < -0.5 or one.right > width + 0.5 or one.bottom > height + 0.5
    ]
    faults += [f"{one.text!r} has {0.75 * one.size:.1f} points" for one in texts if 0.75 * one.size < 5.95]
    for place, one in enumerate(texts):
        for other in texts[place + 1 :]:
            across = min(one.right, other.right) - max(one.left, other.left)
            down = min(one.bottom, other.bottom) - max(one.top, other.top)
            if across > 1 and down > 3:
                faults.append(f"{one.text!r} lies on {other.text!r}")
    return faults


def choice(
    values: Sequence[float], candidates: Sequence[bool], *, best: int = 0, alphas: Sequence[float] | None = None
) -> pl.DataFrame:
    """A frame of `significance.select` over ratios, with intervals of 0.01 both ways."""
    alphas = [place / max(len(values) - 1, 1) for place in range(len(values))] if alphas is None else alphas
    return pl.DataFrame(
        {
            "system": list(alphas),
            "value": list(values),
            "low": [value - 0.01 for value in values],
            "high": [value + 0.01 for value in values],
            "probability": [1 / len(values)] * len(values),
            "candidate": list(candidates),
            "difference": [None if place == best else value - values[best] for place, value in enumerate(values)],
            "detectable": [None if place == best else 0.02 for place in range(len(values))],
        }
    )


def need(program: str) -> str:
    """Path of a program, or skip the test."""
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed")
    return path


def files_of(folder: Path) -> dict[str, bytes]:
    """Contents of a folder's files by their names."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
