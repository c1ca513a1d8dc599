"""In and out: files that a person brings or takes, and results by language pair that were brought."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

import engine
from dashboard.cached.evaluations import Listed, store
from engine import EngineError, exchange, published

NEED_TEXTS = ("trec", "beir")
"""Formats that cannot be written without the collection."""


def bring(
    contents: Mapping[str, bytes], collection: str | None, name: str | None
) -> tuple[list[exchange.Imported], list[str]]:
    """Import uploaded files, which may belong together.

    Args:
        contents: The files by name.
        collection: What was searched; None where the files tell it.
        name: What to call what was evaluated; None for what the files tell.

    Returns:
        What was imported, and why the others were not.
    """
    with tempfile.TemporaryDirectory() as folder:
        for file, content in contents.items():
            (Path(folder) / Path(file).name).write_bytes(content)
        found, faults = bring_from(folder, collection, name)
    return found, [fault.replace(f"{folder}/", "") for fault in faults]


def bring_from(path: str, collection: str | None, name: str | None) -> tuple[list[exchange.Imported], list[str]]:
    """Import a file of this machine, or all of a folder; as `bring`."""
    place = Path(path).expanduser()
    files = sorted(file for file in place.rglob("*") if file.is_file()) if place.is_dir() else [place]
    alone = exchange.companions(files) if len(files) > 1 else []
    found, faults = [], []
    for file in files:
        if file in alone:
            continue
        try:
            found.append(exchange.import_file(file, store(), collection=collection, name=name))
        except EngineError as error:
            faults.append(str(error))
    return found, faults


def formats_of(listed: Listed) -> list[str]:
    """The formats that an evaluation can be written in."""
    return [name for name in exchange.FORMATS if listed.about.get("opened_as") or name not in NEED_TEXTS]


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
