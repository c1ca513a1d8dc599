"""`evaluation.json`: what our exports put beside the files, which says of what they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from engine.collections.languages import is_tag
from engine.errors import InputError
from engine.exchange.files import read_json

SIDECAR = "evaluation.json"

_Check = tuple[str, Callable[[Any], bool]]
_COUNT: _Check = ("an integer >= 0", lambda value: type(value) is int and value >= 0)
_TEXT: _Check = ("a text", lambda value: isinstance(value, str))
_LANGUAGES: _Check = (
    "a list of language codes",
    lambda value: isinstance(value, list) and all(is_tag(str(code)) for code in value),
)
_COLLECTION: Mapping[str, _Check] = {
    "name": _TEXT,
    "digest": _TEXT,
    "languages": _LANGUAGES,
    "queries": _COUNT,
    "candidates": _COUNT,
    "skipped": ("an object", lambda value: isinstance(value, dict)),
}
_LATER = ("query_languages", "document_languages")  # exports of earlier versions have none
_OPENED: Mapping[str, _Check] = {
    "collection": _TEXT,
    "every": ("an integer >= 1", lambda value: type(value) is int and value >= 1),
    "skip_invalid": ("true or false", lambda value: isinstance(value, bool)),
}


def read_sidecar(file: Path) -> dict[str, Any]:
    """What our export says beside a file; nothing where the file is from elsewhere.

    Raises:
        InputError: If a field of our export is missing or has the wrong type.
    """
    beside = file.with_name(SIDECAR)
    content = read_json(beside) if beside.is_file() else {}
    collection = content.get("collection") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(collection, dict) or not {*_COLLECTION} <= {*collection}:
        return {}
    _check(collection, _COLLECTION, f"{beside}: collection")
    _check(
        collection, {name: _LANGUAGES for name in _LATER if collection.get(name) is not None}, f"{beside}: collection"
    )
    _check(content.get("encoder"), {"name": _TEXT}, f"{beside}: encoder")
    if content.get("opened_as") is not None:
        _check(content["opened_as"], _OPENED, f"{beside}: opened_as")
    return content


def _check(part: object, fields: Mapping[str, _Check], place: str) -> None:
    if not isinstance(part, dict):
        raise InputError(f"{place} must be an object, got {type(part).__name__}")
    for name, (expected, holds) in fields.items():
        if not holds(part.get(name)):
            raise InputError(f"{place}.{name} must be {expected}, got {type(part.get(name)).__name__}")
