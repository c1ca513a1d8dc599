"""Files of others, read with the place of every fault; and folders of ours, which appear whole or not at all."""

from __future__ import annotations

import gzip
import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import InputError

_SHOWN = 3  # of the files that stand in the way


def numbered_lines(file: Path) -> Iterator[tuple[str, str]]:
    """A text file's lines that are not empty, each with its place, "file:number"; `.gz` is unpacked.

    Raises:
        InputError: If the file cannot be read as text in UTF-8.
    """
    opened = gzip.open if file.suffix == ".gz" else open
    number = 0
    try:
        with opened(file, "rb") as lines:
            for number, line in enumerate(lines, 1):
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                if text.strip():
                    yield f"{file}:{number}", text
    except UnicodeDecodeError as error:
        raise InputError(f"{file}:{number}: not text in UTF-8; expected is a text file") from error
    except (OSError, EOFError) as error:
        raise InputError(f"{file}: cannot be read ({error}); give a file that is there") from error


def read_json(file: Path) -> object:
    """A JSON file's content.

    Raises:
        InputError: If it cannot be read, or is no JSON.
    """
    try:
        return json.loads(file.read_bytes())
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror}); give a file that is there") from error
    except ValueError as error:
        raise InputError(f"{file}: not JSON ({error}); expected is a result file") from error


def write_json(file: Path, value: object) -> None:
    """Write a JSON file for people and programs."""
    file.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


@contextmanager
def making(folder: Path, *, force: bool) -> Iterator[Path]:
    """Make a folder: yields a hidden one beside it to fill; on a clean exit it takes its place.

    Args:
        folder: Where it shall be.
        force: Replace what is there, if it holds no file but those that are written again.

    Raises:
        InputError: If the folder stands already and may not be replaced, or its place cannot be written.
    """
    folder = folder.absolute()
    if folder.is_file() or not folder.parent.is_dir():
        raise InputError(f"{folder}: cannot be made; give a new folder in a folder that exists")
    there = folder.is_dir() and any(folder.iterdir())
    if there and not force:
        raise InputError(f"{folder}: stands already; give another folder, or write over it with --force")
    made, old = (folder.with_name(f".{what}-{folder.name}-{uuid.uuid4().hex[:8]}") for what in ("making", "old"))
    try:
        made.mkdir()
        yield made
        if there:
            _check_replaceable(folder, made)
            folder.rename(old)
        made.rename(folder)  # an empty folder gives way
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(old, ignore_errors=True)


def _check_replaceable(folder: Path, made: Path) -> None:
    new = {path.relative_to(made) for path in made.rglob("*")}
    others = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.relative_to(folder) not in new)
    if others:
        shown = ", ".join(others[:_SHOWN]) + (", ..." if len(others) > _SHOWN else "")
        raise InputError(f"{folder}: holds what would not be written again ({shown}); give another folder")
