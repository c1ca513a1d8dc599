"""In and out: files that a person brings or takes, and results by language pair that were brought."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import polars as pl

import engine
from dashboard.cached.evaluations import Listed, store
from engine import EngineError, exchange, published

NEED_TEXTS = ("trec", "beir")
"""Formats that cannot be written without the collection."""


_UPLOADED = "uploaded collection"  # what a collection is called of which only uploaded files tell


def bring(contents: Sequence[tuple[str, bytes]], collection: str | None, name: str | None) -> exchange.Outcome:
    """Import uploaded files, which may belong together; zip archives are unpacked.

    Args:
        contents: The files, name and content; two may have one name.
        collection: What was searched; None where the files say it.
        name: What to call what was evaluated; None for what the files say.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / _UPLOADED
        folder.mkdir()
        faults = []
        for file, content in dict.fromkeys(contents):
            place = _free(folder / (Path(file).name or "file"))
            place.write_bytes(content)
            if exchange.is_archive(place):
                try:
                    exchange.unpack(place, folder / place.stem / _UPLOADED)
                except EngineError as error:
                    faults.append(str(error))
                place.unlink()
        outcome = exchange.import_together(_files(folder), store(), collection=collection, name=name)
        shown = [line.replace(f"{folder}/", "") for line in [*faults, *outcome.faults]]
    return exchange.Outcome(outcome.imported, shown, outcome.notes)


def bring_from(path: str, collection: str | None, name: str | None) -> exchange.Outcome:
    """Import a file of this machine with what belongs to it, or all of a folder or a zip archive; as `bring`."""
    return exchange.import_paths([Path(path).expanduser()], store(), collection=collection, name=name)


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if not file.is_dir())


def _free(place: Path) -> Path:
    """The place, or one with a number in its name if it is taken."""
    numbered = (place.with_name(f"{place.stem} ({number}){place.suffix}") for number in range(2, 10**6))
    return place if not place.exists() else next(other for other in numbered if not other.exists())


def formats_of(listed: Listed) -> list[str]:
    """The formats that an evaluation can be written in."""
    return [name for name in exchange.FORMATS if listed.manifest.opened_as or name not in NEED_TEXTS]


def zipped(key: str, formats: Sequence[str]) -> bytes:
    """An evaluation's export as a zip archive."""
    archive = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "export"
        files = exchange.export_evaluation(engine.find_evaluation(store(), key), store(), out, formats)
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
            for file in files:
                made.write(file, file.relative_to(out))
    return archive.getvalue()


def write_checkpoint(key: str, folder: str) -> int:
    """Write a checkpoint with its card into a folder of this machine; gives how many files it has."""
    return len(exchange.export_checkpoint(key, store(), Path(folder).expanduser()))


def imported() -> dict[str, pl.DataFrame]:
    """Results that were imported, in the shape of `metrics.by_pair`, by what to call them; the latest first."""
    frames = published.imported(store()).partition_by("task", "model", maintain_order=True)
    return {
        f"{frame['model'][0]} on {frame['task'][0]}": frame.with_columns(queries=pl.lit(None, pl.Int64))
        for frame in reversed(frames)
    }
