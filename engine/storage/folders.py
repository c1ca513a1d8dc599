"""A folder that appears whole or not at all and takes the place of another in one step; claims on unfinished ones.

While a folder is made it stands hidden beside its place, and its process holds a lock on it. The lock ends with the
process, however it ends, so what no process holds was left over and can be removed.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import logging
import os
import re
import shutil
import uuid
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from engine.errors import EngineError, InputError

_MAKING, _REPLACED = "making", "replaced"
_OS_ERROR = re.compile(r"\(os error (\d+)\)")
_NOTHING_BYTES = 2**16
_SHOWN = 3  # of the files that are in the way
_THIS_FOLDER = -100  # AT_FDCWD of Linux
_EXCHANGE = 2  # RENAME_EXCHANGE of Linux

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def output(folder: Path, *, force: bool, known: Collection[str] = ()) -> Iterator[Path]:
    """Make a folder that a user asked for: yields a hidden one to fill; on a clean exit it takes its place.

    This is the one meaning of `--force`: the folder is replaced as a whole, provided that each file in it is written
    again or is known to be of an earlier run.

    Args:
        folder: Where it goes; folders above it are made.
        force: Whether what is there may be replaced.
        known: Files, relative to the folder, that an earlier run wrote.

    Raises:
        InputError: If the folder may not be replaced or cannot be written.
    """
    check_free(folder, force=force)
    outside, within = (disk_faults(folder, _cannot_write) for _ in range(2))  # within, the disk is still full
    with outside, making(folder, replace=True) as made, within:
        yield made
        _check_replaceable(folder, made, known)


def _cannot_write(fault: OSError, folder: Path) -> InputError:
    return InputError(f"{folder}: cannot be written ({fault.strerror or fault}); give another place")


@contextlib.contextmanager
def disk_faults(place: Path, told: Callable[[OSError, Path], EngineError]) -> Iterator[None]:
    """Tell where something cannot be written, by whatever error a library raises.

    Args:
        place: Where the write is to go.
        told: The error to raise, from what the system answered and the place.
    """
    try:
        yield
    except Exception as error:
        if (fault := _disk_fault(error, place)) is None:
            raise
        raise told(fault, place) from error


def _disk_fault(error: Exception, place: Path) -> OSError | None:
    """What the system answered to a write that failed; None for an error of another kind.

    Libraries tell it in their own ways: those written in Rust (safetensors, polars) within their message, numpy and
    torch not at all when the disk is full.

    Args:
        error: What was raised.
        place: Where the write was to go.
    """
    if isinstance(error, EngineError):
        return None
    number = error.errno if isinstance(error, OSError) else None
    if number is None and (told := _OS_ERROR.search(str(error))):
        number = int(told[1])
    if number is None and _is_full(place):
        number = errno.ENOSPC
    if number is None:
        return error if isinstance(error, OSError) else None
    return error if isinstance(error, OSError) and error.errno else OSError(number, os.strerror(number))


def _is_full(place: Path) -> bool:
    """Whether nothing more can be written where a file or folder is or would be."""
    there = next(folder for folder in (place, *place.absolute().parents) if folder.exists())
    return shutil.disk_usage(there).free < _NOTHING_BYTES


def check_free(folder: Path, *, force: bool) -> None:
    """Refuse a place for `output` that may not or cannot be written, before any work is done.

    Raises:
        InputError: If the folder holds files and `force` is not given, or it or one above it is a file.
    """
    with contextlib.suppress(OSError):
        _restore(folder.resolve())
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; give a folder that does not exist yet")
    place = next(parent for parent in folder.resolve().parents if parent.exists())
    if not place.is_dir():
        raise InputError(f"{folder}: {place} is a file; give a place in a folder")
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise InputError(f"{folder}: already exists; give another folder, or --force to replace it")


@contextlib.contextmanager
def making(folder: Path, *, replace: bool) -> Iterator[Path]:
    """Make a folder: yields a hidden one beside it to fill; on a clean exit it takes its place.

    Whenever the process ends, the old folder or the new one stands under the name, whole. Where the file system cannot
    exchange two folders in one step, the old one may have to wait for the next call to be put back.

    Args:
        folder: Its name; an empty folder gives way.
        replace: Whether a folder with files gives way too; else it is kept and the new one is dropped.

    Raises:
        OSError: If it cannot be written.
    """
    folder = folder.resolve()
    _restore(folder)
    for left in _hidden(folder, _MAKING):
        remove_abandoned(left)
    with claimed(_beside(folder, _MAKING)) as made:
        try:
            yield made
            _put(made, folder, replace=replace)
        finally:
            shutil.rmtree(made, ignore_errors=True)


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[Path]:
    """A folder, made if it is missing, that is not abandoned until this process leaves the context or ends."""
    descriptor = _claim(folder)
    try:
        yield folder
    finally:
        os.close(descriptor)


def is_abandoned(folder: Path) -> bool:
    """Whether it is certain that no process claims a folder."""
    with _sole(folder) as alone:
        return alone


def remove_abandoned(folder: Path) -> bool:
    """Remove a folder unless a process claims it, or may; returns whether it is gone."""
    with _sole(folder) as alone:
        if alone:
            shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


def _claim(folder: Path) -> int:
    """The descriptor of a shared lock on a folder."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # removed as abandoned before it was locked
            descriptor = os.open(folder, os.O_RDONLY)
            with contextlib.suppress(OSError):  # a file system without locks: nothing on it counts as abandoned
                fcntl.flock(descriptor, fcntl.LOCK_SH)
            if folder.exists() and os.path.samestat(os.fstat(descriptor), folder.stat()):
                return descriptor
            os.close(descriptor)


@contextlib.contextmanager
def _sole(folder: Path) -> Iterator[bool]:
    """Whether this process holds a folder that no other claims; it does until the context ends."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        alone = True
    except OSError:
        alone = False
    try:
        yield alone
    finally:
        os.close(descriptor)


def _put(made: Path, folder: Path, *, replace: bool) -> None:
    """Give a folder its place; afterwards `made` is what was there, or gone."""
    try:
        made.rename(folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        if not replace:
            logger.info("%s was made by another process meanwhile; that one is kept", folder)
        elif not _exchange(made, folder):
            _replace_in_two_steps(made, folder)


def _exchange(made: Path, folder: Path) -> bool:
    """Exchange two folders in one step; False where the system or the file system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    names = (_THIS_FOLDER, os.fsencode(made), _THIS_FOLDER, os.fsencode(folder))
    return rename is not None and rename(*names, _EXCHANGE) == 0


def _replace_in_two_steps(made: Path, folder: Path) -> None:
    old = _beside(folder, _REPLACED)
    try:
        folder.rename(old)
        made.rename(folder)
    finally:
        _restore(folder)


def _restore(folder: Path) -> None:
    """Put back a folder that was moved away for another which never came; remove it if the other came."""
    for old in _hidden(folder, _REPLACED):
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.rename(folder)


def _beside(folder: Path, kind: str) -> Path:
    return folder.with_name(f".{kind}-{folder.name}-{uuid.uuid4().hex[:8]}")


def _hidden(folder: Path, kind: str) -> list[Path]:
    """What `_beside` has named."""
    name = re.compile(rf"\.{kind}-{re.escape(folder.name)}-[0-9a-f]{{8}}")
    return [path for path in folder.parent.iterdir() if name.fullmatch(path.name)] if folder.parent.is_dir() else []


def _check_replaceable(folder: Path, made: Path, known: Collection[str]) -> None:
    others = sorted(files_in(folder) - files_in(made) - {*known})
    if others:
        shown = ", ".join(others[:_SHOWN]) + (", ..." if len(others) > _SHOWN else "")
        raise InputError(f"{folder}: holds files that would not be written again ({shown}); give another folder")


def files_in(folder: Path) -> set[str]:
    """Every file in a folder, at any depth, relative to it."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()}
