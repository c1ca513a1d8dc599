"""Digests of values and of files: what keys are made of, and how a changed file is noticed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

_file_digests: dict[tuple[int, int, int, int], str] = {}


def digest(*values: object) -> str:
    """Digest typed values: equal values give equal digests, and no two different sequences run together.

    Args:
        *values: str, bytes, int, float, bool, None, numpy arrays, and lists, tuples or mappings of these.

    Returns:
        32 hexadecimal digits (the first half of a SHA-256).

    Raises:
        TypeError: If a value has no stable byte form.
    """
    state = hashlib.sha256()
    _feed(state, values)
    return state.hexdigest()[:32]


def is_digest(text: str) -> bool:
    """Whether a text has the form of what `digest` gives."""
    return re.fullmatch(r"[0-9a-f]{32}", text) is not None


def file_digest(path: Path) -> str:
    """SHA-256 of a file; an unchanged file (same inode, size and times) is read once per process."""
    stat = path.stat()
    key = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
    if key not in _file_digests:
        with path.open("rb") as file:
            _file_digests[key] = hashlib.file_digest(file, "sha256").hexdigest()
    return _file_digests[key]


def _feed(state: hashlib._Hash, value: object) -> None:
    """Add one value as: type tag, length, bytes."""
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            raise TypeError("digest: an array of objects has no stable byte form; give numbers, or a list")
        _feed(state, (str(value.dtype), value.shape))
        tag, payload = b"a", np.ascontiguousarray(value).tobytes()
    elif isinstance(value, Mapping):
        items = sorted(value.items(), key=lambda item: (str(item[0]), type(item[0]).__name__))
        state.update(b"m%d:" % len(items))
        return _feed_all(state, [part for item in items for part in item])
    elif isinstance(value, list | tuple):
        state.update(b"l%d:" % len(value))
        return _feed_all(state, value)
    else:
        tag, payload = _scalar_bytes(value)
    state.update(b"%b%d:" % (tag, len(payload)))
    state.update(payload)
    return None


def _feed_all(state: hashlib._Hash, values: list[Any] | tuple[Any, ...]) -> None:
    for value in values:
        _feed(state, value)


def _scalar_bytes(value: object) -> tuple[bytes, bytes]:
    match value:
        case None:
            return b"n", b""
        case bool():
            return b"b", b"1" if value else b"0"
        case str():
            return b"s", value.encode("utf-8", "surrogatepass")
        case bytes():
            return b"y", value
        case int():
            return b"i", str(value).encode()
        case float():
            return b"f", value.hex().encode()
    raise TypeError(f"digest: {type(value).__name__} has no stable byte form; give str, bytes, numbers or lists")
