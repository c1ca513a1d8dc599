"""A report's content -> its folder: figures, tables, data, pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from engine.errors import InputError
from engine.progress import Progress, silent
from engine.report import folder as folders
from engine.report.findings import gather
from engine.report.render.html import as_page
from engine.report.render.images import NEEDED, Image, browser, draw
from engine.report.render.latex import as_latex, as_paper
from engine.report.render.markdown import as_document, as_markdown
from engine.report.request import Request
from engine.report.sections import Content, compose
from engine.report.tables import as_csv, as_parquet
from engine.storage.folders import output
from engine.storage.store import Store
from engine.sweeps.results import Family


@dataclass(frozen=True, slots=True)
class Written:
    """What came of a report.

    Attributes:
        folder: Where it is.
        zipped: Its zip, if one was asked for.
        files: Its files, relative to the folder, and their sizes in bytes.
        notes: What could not be done, and what to do about it.
    """

    folder: Path
    zipped: Path | None
    files: dict[str, int]
    notes: tuple[str, ...]


def write_report(
    family: Family,
    request: Request,
    out: Path,
    store: Store,
    *,
    force: bool = False,
    zipped: bool = False,
    progress: Progress = silent,
) -> Written:
    """Write a report of a sweep.

    Args:
        family: The sweep on one collection.
        request: What is asked for.
        out: The folder to make.
        store: Where evaluations, checkpoints and texts are.
        force: Whether an earlier report may be replaced.
        zipped: Whether to pack it as well.
        progress: Told how far it is.

    Raises:
        InputError: If the place may not or cannot be written, a ratio is not trained, or only images are asked for and
            no browser is there to draw them.
    """
    folders.check_place(out, force=force, zipped=zipped)
    if set(request.formats) == set(request.images) and browser() is None:
        raise InputError(f"format {', '.join(request.formats)}: {NEEDED}")
    found = gather(family, request, progress=progress)
    content = compose(found, store, progress=progress)
    with output(out, force=force, known=folders.written_before(out)) as made:
        notes = [*content.notes, *_write(content, request, made, progress)]
        folders.write_run(made, content.run)
        files = {
            path.relative_to(made).as_posix(): path.stat().st_size for path in sorted(made.rglob("*")) if path.is_file()
        }
    return Written(out, folders.pack(out) if zipped else None, files, tuple(notes))


def _write(content: Content, request: Request, made: Path, progress: Progress) -> list[str]:
    """Fill the folder; returns what could not be done."""
    formats = request.formats
    if "html" in formats:
        _text(made / "report.html", as_page(content))
    if "md" in formats:
        _text(made / "report.md", as_document(content))
    _write_tables(content, request, made)
    for name, frame in content.data.items():
        _write_frame(made / "data" / name, frame, formats)
    if "tex" in formats:
        _text(made / "references.bib", content.bibtex)
        _text(made / "paper.tex", as_paper(content, request))
    if not request.images or not content.pictures:
        return []
    (made / "figures").mkdir()
    images = [
        Image(picture.printed(request.layout), made / "figures" / f"{picture.name}.{kind}", request.layout)
        for picture in content.pictures
        for kind in request.images
    ]
    faults = draw(images, progress)
    if not any((made / "figures").iterdir()):
        (made / "figures").rmdir()
    return faults


def _write_tables(content: Content, request: Request, made: Path) -> None:
    if "tables" not in request.parts:
        return
    for table in content.tables:
        place = made / "tables" / table.name
        if "tex" in request.formats:
            _text(place.with_name(f"{table.name}.tex"), as_latex(table))
        if "md" in request.formats:
            _text(place.with_name(f"{table.name}.md"), as_markdown(table))
        _write_frame(place, table.frame, request.formats)


def _write_frame(place: Path, frame: pl.DataFrame, formats: Sequence[str]) -> None:
    if "csv" in formats:
        _text(place.with_name(f"{place.name}.csv"), as_csv(frame))
    if "parquet" in formats:
        file = place.with_name(f"{place.name}.parquet")
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(as_parquet(frame))


def _text(file: Path, text: str) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8", newline="\n")
