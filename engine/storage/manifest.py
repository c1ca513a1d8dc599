"""An entry's `manifest.json`: written last, with the size and SHA-256 of every file and a checksum of its own."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.errors import StoreError
from engine.storage.digest import file_digest

MANIFEST = "manifest.json"
_CHECKSUM = "checksum"


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read an entry's manifest without verifying its files.

    Returns:
        The manifest without its checksum.

    Raises:
        StoreError: If there is none, it cannot be read, or it differs from its checksum. A manifest without a
            checksum is of an earlier version and is taken as it is.
    """
    file = folder / MANIFEST
    try:
        manifest = dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise StoreError(f"{file}: the entry's manifest cannot be read ({error}); delete the folder") from error
    if _CHECKSUM in manifest and manifest.pop(_CHECKSUM) != _checksum(manifest):
        raise StoreError(f"{file}: the manifest has changed since it was written; delete the folder")
    return manifest


def write_manifest(folder: Path, about: Mapping[str, Any], *, indent: int | None = 1) -> None:
    """Write a folder's `manifest.json`: what it is about, the size and digest of each of its files, its checksum.

    Args:
        folder: The folder.
        about: What the manifest says beside the files; must be JSON.
        indent: Of the JSON; None for one line.
    """
    files = {
        str(path.relative_to(folder)): {"bytes": path.stat().st_size, "sha256": file_digest(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }
    manifest = {"created": time.time(), **about, "files": files}
    manifest[_CHECKSUM] = _checksum(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=indent, ensure_ascii=False), encoding="utf-8")


def _checksum(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of the manifest as JSON reads it back, whatever the order of its keys."""
    as_read = json.loads(json.dumps(manifest))
    return hashlib.sha256(json.dumps(as_read, sort_keys=True).encode()).hexdigest()
