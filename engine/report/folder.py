"""A folder that appears whole or not at all, and a zip of it."""

from __future__ import annotations

import contextlib
import json
import shutil
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path

from engine.errors import InputError

RUN = "run.json"
"""The file that makes a folder a report: what determined its numbers."""

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip knows


def check_free(folder: Path, *, force: bool, zipped: bool) -> None:
    """Refuse a place that may not or cannot be written, before any work is done.

    Args:
        folder: Where the report goes.
        force: Whether a report that is there may be replaced.
        zipped: Whether a zip goes beside it.

    Raises:
        InputError: If something is there that may not be replaced, or the place cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; give a folder that does not exist yet")
    if folder.is_dir() and any(folder.iterdir()):
        if not force:
            raise InputError(f"{folder}: exists already; give another folder, or --force to replace it")
        if not _is_report(folder):
            raise InputError(f"{folder}: holds something else than a report and is not replaced; give another folder")
    if zipped and zip_of(folder).exists() and not force:
        raise InputError(f"{zip_of(folder)}: exists already; give another folder, or --force to replace it")
    place = next(parent for parent in folder.absolute().parents if parent.exists())
    if not place.is_dir():
        raise InputError(f"{folder}: {place} is a file; give a place in a folder")


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[Path]:
    """Make a folder: yields a temporary one beside it to fill; on a clean exit it takes the place of the folder.

    Whatever happens, half a folder never stands under the name, and what stood there stays until the new one is whole.

    Args:
        folder: Its name; checked by `check_free`.

    Raises:
        InputError: If it cannot be written.
    """
    final = folder.absolute()
    sign = uuid.uuid4().hex[:8]
    temporary, old = (final.with_name(f".{kind}-{final.name}-{sign}") for kind in ("making", "replaced"))
    try:
        temporary.mkdir(parents=True)
        yield temporary
        _take_place(temporary, final, old)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror or error}); give another place") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if final.exists():
            shutil.rmtree(old, ignore_errors=True)


def _take_place(temporary: Path, final: Path, old: Path) -> None:
    try:
        if final.exists():
            final.rename(old)
        temporary.rename(final)
    except BaseException:  # an interrupt between the two, too
        if old.exists() and not final.exists():
            old.rename(final)
        raise


def zip_of(folder: Path) -> Path:
    """Where the zip of a folder goes: beside it."""
    return folder.with_name(f"{folder.name}.zip")


def pack(folder: Path) -> Path:
    """Write a zip of a folder beside it; the same files give the same bytes.

    Raises:
        InputError: If it cannot be written.
    """
    final = zip_of(folder)
    temporary = final.with_name(f".{final.name}-{uuid.uuid4().hex[:8]}")
    try:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as packed:
            for file in sorted(path for path in folder.rglob("*") if path.is_file()):
                info = zipfile.ZipInfo(f"{folder.name}/{file.relative_to(folder).as_posix()}", _EPOCH)
                info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                packed.writestr(info, file.read_bytes())
        temporary.replace(final)
    except OSError as error:
        raise InputError(f"{final}: cannot be written ({error.strerror or error}); give another place") from error
    finally:
        temporary.unlink(missing_ok=True)
    return final


def _is_report(folder: Path) -> bool:
    """Whether a folder was written as a report."""
    with contextlib.suppress(OSError, ValueError):
        return "report" in json.loads((folder / RUN).read_text(encoding="utf-8"))
    return False
