"""Files of others, read with the place of every fault; and folders of ours, which appear whole or not at all."""

from __future__ import annotations

import json
import re
import shutil
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import InputError
from engine.storage.files import check_regular, open_bytes

_SHOWN = 3  # of the files that are in the way
_WORD = re.compile(r"[^ \t\r\f\v]+")
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
_HALF = re.compile("[\\ud800-\\udbff](?![\\udc00-\\udfff])|(?<![\\ud800-\\udbff])[\\udc00-\\udfff]")


def numbered_lines(file: Path) -> Iterator[tuple[str, str]]:
    """A text file's lines that are not empty, each with its place, "file:number"; `.gz` is unpacked.

    Raises:
        InputError: If the file cannot be read as text in UTF-8.
    """
    number = 0
    try:
        with open_bytes(file) as lines:
            for number, line in enumerate(lines, 1):
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                if text.strip():
                    yield f"{file}:{number}", text
    except UnicodeDecodeError as error:
        raise InputError(f"{file}:{number}: not text in UTF-8; expected a text file") from error
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{file}: cannot be read ({_reason(error)}); give an existing file") from error


def words(line: str) -> list[str]:
    """A line's words between spaces and tabs, as trec_eval reads them: other white space may be part of an id."""
    return line.split() if line.isascii() else _WORD.findall(line)


def read_json(file: Path) -> object:
    """A JSON file's content.

    Raises:
        InputError: If it cannot be read, is no JSON, is nested too deeply, or holds half a surrogate pair.
    """
    try:
        content = check_regular(file).read_bytes()
        value = json.loads(content)
        json.dumps(value, ensure_ascii=False).encode()
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({_reason(error)}); give an existing file") from error
    except UnicodeEncodeError as error:
        line = _line_of_half(content.decode(json.detect_encoding(content), "surrogatepass"))
        raise InputError(f"{file}:{line}: half a surrogate pair is no character; write the text as UTF-8") from error
    except ValueError as error:
        raise InputError(f"{file}: not JSON ({error}); expected a result file") from error
    except RecursionError as error:
        raise InputError(f"{file}: nested too deeply; expected a result file") from error
    return value


def _line_of_half(text: str) -> int:
    """The first line of a JSON text that holds half a surrogate pair, as it is or escaped."""
    for number, line in enumerate(text.split("\n"), 1):
        if _HALF.search(_ESCAPED.sub(lambda escape: chr(int(escape[1], 16)), line.replace("\\\\", ""))):
            return number
    return 1


def _reason(error: Exception) -> str:
    """Why a file cannot be read, without quoting it."""
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__


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
        raise InputError(f"{folder}: already exists; give another folder, or allow to write over it (--force)")
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
        raise InputError(f"{folder}: holds files that would not be written again ({shown}); give another folder")
