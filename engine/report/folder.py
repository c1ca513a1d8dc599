"""The place of a report: whether it may be written there, which files an earlier one left, and a zip of it."""

from __future__ import annotations

import contextlib
import json
import uuid
import zipfile
from collections.abc import Mapping
from pathlib import Path

from engine.errors import InputError
from engine.storage.folders import check_free, files_in

RUN = "run.json"
"""The file that makes a folder a report: what determined its numbers."""

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip knows


def check_place(folder: Path, *, force: bool, zipped: bool) -> None:
    """Refuse a place that may not or cannot be written, before any work is done.

    Args:
        folder: Where the report goes.
        force: Whether an earlier report may be replaced.
        zipped: Whether a zip goes beside it.

    Raises:
        InputError: If something is there that may not be replaced, or the place cannot be written.
    """
    check_free(folder, force=force)
    if folder.is_dir() and any(folder.iterdir()) and _report(folder) is None:
        raise InputError(f"{folder}: holds something else than a report and is not replaced; give another folder")
    if zipped and zip_of(folder).exists() and not force:
        raise InputError(f"{zip_of(folder)}: already exists; give another folder, or --force to replace it")


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


def write_run(folder: Path, run: Mapping[str, object]) -> None:
    """Write what determined a report's numbers, last of all its files, and which files it has."""
    listed = {**run, "files": sorted({*files_in(folder), RUN})}
    text = json.dumps(listed, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    (folder / RUN).write_text(text, encoding="utf-8", newline="\n")


def written_before(folder: Path) -> list[str]:
    """The files of an earlier report in a folder, as it lists them."""
    files = (_report(folder) or {}).get("files")
    return [file for file in files if isinstance(file, str)] if isinstance(files, list) else []


def _report(folder: Path) -> dict[str, object] | None:
    """What a folder's report says of itself; None if it is not the folder of a report."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        run = json.loads((folder / RUN).read_text(encoding="utf-8"))
        return run if isinstance(run, dict) and "report" in run else None
    return None
