"""The cache on disk: content-addressed entries, written whole or not at all. Nothing else writes under `cache/`.

An entry is a folder `<kind>/<key>/` whose `manifest.json` lists every file with its size and SHA-256, and bears a
checksum of its own. It is made as a hidden folder beside its place and renamed when it is complete, so that a reader
never sees half an entry, a crash leaves only a hidden folder, and of two processes that make the same entry the first
one wins.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from platformdirs import user_cache_dir

from engine.errors import StoreError, WriteError
from engine.storage.digest import file_digest
from engine.storage.folders import claimed, disk_faults, is_abandoned, making, remove_abandoned
from engine.storage.manifest import MANIFEST, read_manifest, write_manifest

Kind = Literal["collections", "encoders", "embeddings", "checkpoints", "ranks", "imports", "runs"]

SCHEMA_VERSION = 1
SHIPPED = Path(__file__).resolve().parents[1] / "reference"
"""Entries that come with the project, `<kind>/<key>/` as in the cache; read where the cache has none of that key."""


_PARTIAL, _BROKEN = ".partial-", ".broken-"

logger = logging.getLogger(__name__)


def default_cache() -> Path:
    """The cache folder of this machine.

    Returns:
        What HYBRID_BATCH_CACHE names; else `cache/` of the checkout that the engine runs from; else, for an installed
        engine, the user's cache folder.
    """
    named = os.environ.get("HYBRID_BATCH_CACHE")
    if named:
        return Path(named)
    checkout = Path(__file__).resolve().parents[2]
    in_checkout = (checkout / "pyproject.toml").is_file()
    return checkout / "cache" if in_checkout else Path(user_cache_dir("hybrid-batch-lab", appauthor=False))


def shipped_entries() -> Path | None:
    """The folder of entries that come with the project; None if HYBRID_BATCH_REFERENCE is "none"."""
    return None if os.environ.get("HYBRID_BATCH_REFERENCE") == "none" else SHIPPED


class Store:
    """The cache folder, and behind it, read only, the entries that come with the project.

    Args:
        root: Where it is; None means `default_cache()`.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = Path(root) if root else default_cache()
        self._shipped = shipped_entries()

    def path(self, kind: Kind, key: str) -> Path:
        """Where an entry is, or would be."""
        own = self._own(kind, key)
        return self._shipped / kind / key if self._shipped and self.is_shipped(kind, key) else own

    def is_shipped(self, kind: Kind, key: str) -> bool:
        """Whether an entry comes with the project and the cache has none of its own."""
        if self._shipped is None or self._own(kind, key).is_dir():
            return False
        return (self._shipped / kind / key).is_dir()

    def _own(self, kind: Kind, key: str) -> Path:
        return self.root / kind / key

    def get(self, kind: Kind, key: str) -> dict[str, Any] | None:
        """Read and verify an entry's manifest.

        Returns:
            The manifest, or None if there is no such entry. A broken entry is set aside with a warning and counts
            as missing, so that the caller makes it anew.
        """
        folder = self.path(kind, key)
        if not folder.is_dir():
            return None
        fault = self.fault(kind, key)
        if fault is None:
            return self.manifest(kind, key)
        if self.is_shipped(kind, key):
            logger.warning("%s/%s, which comes with the project, is broken (%s): install it again", kind, key, fault)
            return None
        aside = folder.with_name(f"{_BROKEN}{key}-{time.time_ns()}")
        try:
            folder.rename(aside)
        except FileNotFoundError:
            pass  # another process was faster
        except OSError as error:
            logger.warning("%s/%s is broken (%s) and cannot be set aside (%s)", kind, key, fault, error.strerror)
        else:
            logger.warning("%s/%s is broken (%s): set aside as %s and made again", kind, key, fault, aside.name)
        return None

    def manifest(self, kind: Kind, key: str) -> dict[str, Any]:
        """Read an entry's manifest without verifying its files.

        Returns:
            The manifest without its checksum.

        Raises:
            StoreError: If there is none, it cannot be read, or it differs from its checksum. A manifest without a
                checksum is of an earlier version and is taken as it is.
        """
        return read_manifest(self.path(kind, key))

    def fault(self, kind: Kind, key: str) -> str | None:
        """What is wrong with an entry's files, or None if every file has its size and digest."""
        folder = self.path(kind, key)
        try:
            listed = self.manifest(kind, key)["files"]
            files = [(name, expected["bytes"], expected["sha256"]) for name, expected in listed.items()]
        except (StoreError, KeyError, TypeError, AttributeError):
            return "no readable manifest"
        for name, size, sha in files:
            file = folder / name
            if not file.is_file():
                return f"{name} is missing"
            if file.stat().st_size != size:
                return f"{name} has {file.stat().st_size} bytes, not {size}"
            if file_digest(file) != sha:
                return f"{name} has changed"
        return None

    def read_object(self, kind: Kind, key: str, name: str) -> dict[str, Any]:
        """Read a JSON file of an entry, if it is as it was written.

        Raises:
            StoreError: If it is missing, has changed, or holds no JSON object.
        """
        file = self.path(kind, key) / name
        try:
            expected = self.manifest(kind, key)["files"][name]["sha256"]
            if file_digest(file) != expected:
                raise StoreError(f"{kind}/{key}: {name} has changed since it was written")
            return dict(json.loads(file.read_bytes()))
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise StoreError(f"{kind}/{key}: {name} is missing or cannot be read") from error

    def mend(self, kind: Kind, key: str, name: str, content: bytes) -> None:
        """Write a damaged file of an entry again, if the content is what the manifest lists.

        Raises:
            StoreError: If the manifest or the cache cannot be used.
        """
        expected = self.manifest(kind, key).get("files", {}).get(name, {}).get("sha256")
        if hashlib.sha256(content).hexdigest() == expected:
            file = self.path(kind, key) / name
            temporary = file.with_name(f".{name}-{uuid.uuid4().hex[:8]}")
            with disk_faults(file, disk_error):
                temporary.write_bytes(content)
                temporary.replace(file)

    def entries(self, kind: Kind) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every entry's key and manifest, oldest first; unreadable ones are left out with a warning."""
        listed = []
        for key in self._keys(kind):
            try:
                listed.append((key, self.manifest(kind, key)))
            except StoreError as error:
                logger.warning("%s", error)
        yield from sorted(listed, key=lambda entry: entry[1].get("created", 0))

    def _keys(self, kind: Kind) -> list[str]:
        roots = [root / kind for root in (self.root, self._shipped) if root is not None]
        folders = [path for root in roots if root.is_dir() for path in root.iterdir()]
        return sorted({path.name for path in folders if not path.name.startswith(".") and path.is_dir()})

    @contextlib.contextmanager
    def writing(self, kind: Kind, key: str, about: Mapping[str, Any]) -> Iterator[Path]:
        """Make an entry: yields a hidden folder to fill; on a clean exit it becomes the entry.

        An entry that exists meanwhile (another process was faster) is kept, and this one is dropped.

        Args:
            kind: The kind of entry.
            key: Its key.
            about: What the manifest says beside the files; must be JSON.

        Raises:
            WriteError: If the disk is full or the cache cannot be written; nothing stored is touched.
        """
        final = self._own(kind, key)
        with disk_faults(final, disk_error), making(final, replace=False) as made, disk_faults(final, disk_error):
            yield made
            write_manifest(made, {"schema": SCHEMA_VERSION, **about})

    @contextlib.contextmanager
    def partial(self, kind: Kind, key: str) -> Iterator[Path]:
        """A folder for the resumable parts of an entry that is being made; it stays until `discard_partial`.

        Raises:
            WriteError: If the disk is full or the cache cannot be written.
        """
        folder = self.root / kind / f"{_PARTIAL}{key}"
        with disk_faults(folder, disk_error), claimed(folder):
            yield folder

    def discard_partial(self, kind: Kind, key: str) -> None:
        """Remove what `partial` kept."""
        shutil.rmtree(self.root / kind / f"{_PARTIAL}{key}", ignore_errors=True)

    def delete(self, kind: Kind, key: str) -> None:
        """Remove an entry, its manifest first, so that a half-removed one is never read."""
        folder = self._own(kind, key)
        (folder / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)

    def leftovers(self) -> list[Path]:
        """Hidden folders of processes that have ended, and entries that were set aside as broken."""
        set_aside = [path for path in sorted(self.root.glob("*/.*")) if self.is_set_aside(path)]
        return [*(path for path in self.unfinished() if is_abandoned(path)), *set_aside]

    def is_set_aside(self, path: Path) -> bool:
        """Whether a folder is a broken entry that was set aside."""
        return path.name.startswith(_BROKEN)

    def unfinished(self) -> list[Path]:
        """Hidden folders of entries that are being made, or were when their process was killed."""
        hidden = (path for path in sorted(self.root.glob("*/.*")) if path.is_dir())
        return [path for path in hidden if not self.is_set_aside(path)]

    def clean(self) -> tuple[list[Path], list[Path]]:
        """Remove the hidden folders that processes left when they were killed, with the parts to resume from.

        Returns:
            What was removed, and what was kept because a process uses it or may use it.
        """
        gone: dict[bool, list[Path]] = {True: [], False: []}
        for path in self.unfinished():
            gone[remove_abandoned(path)].append(path)
        return gone[True], gone[False]

    def write_array(self, path: Path, array: np.ndarray) -> None:
        """Write one .npy file whole or not at all.

        Raises:
            WriteError: If it cannot be written.
        """
        temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")
        try:
            with disk_faults(path, disk_error):
                with temporary.open("wb") as file:
                    np.save(file, array, allow_pickle=False)
                temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file (of a symbolic link: what it names) a second name; where there are no hard links, copy it.

    Raises:
        FileExistsError: If the target exists; a copy over it would change whatever it is linked to.
    """
    try:
        os.link(source.resolve(), target)
    except FileExistsError:
        raise
    except OSError:
        shutil.copy2(source, target)


def disk_error(error: OSError, path: Path) -> WriteError:
    """The error to raise when something in the cache cannot be written: one line that says what to do."""
    what = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else str(error)
    return WriteError(f"{path}: cannot be written, {what}; free space or set HYBRID_BATCH_CACHE to another folder")
