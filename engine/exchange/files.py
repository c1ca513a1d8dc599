"""Files of others, read with the place of every fault."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from engine.errors import InputError
from engine.storage.files import check_regular, open_bytes

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
