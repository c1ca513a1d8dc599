"""Files and folders outside the cache: a file from elsewhere is checked before it is read.

A pipe or a device would never end, and a small packed file may unpack to more than memory holds.
"""

from __future__ import annotations

import gzip
import io
import stat
from pathlib import Path
from typing import IO, TYPE_CHECKING

from engine.errors import InputError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer as Buffer

_GZIP = b"\x1f\x8b"

FREE_BYTES = 64 * 2**20
"""What every packed file may unpack to."""

MOST_TIMES = 200
"""How many times its own size a packed file may unpack to beyond that: texts and tables reach 5 to 50, bombs 1,000."""


def check_regular(file: Path) -> Path:
    """Return the file if it is a regular one (or a link to one): no folder, pipe, device or socket.

    Raises:
        InputError: If it is not, or does not exist.
    """
    try:
        mode = file.stat().st_mode
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        raise InputError(f"{file}: cannot be read ({reason}); give an existing file") from error
    if not stat.S_ISREG(mode):
        raise InputError(f"{file}: is a {_kind(mode)}; give a regular file")
    return file


def check_unpacked(what: str, packed: int, unpacked: int) -> None:
    """Refuse what unpacks to far more than files of the kind do.

    Args:
        what: What to call it in the error.
        packed: Its bytes.
        unpacked: The bytes that it unpacks to, or has unpacked to so far.

    Raises:
        InputError: If they are above `FREE_BYTES` and `MOST_TIMES` the packed ones.
    """
    if unpacked > max(FREE_BYTES, MOST_TIMES * packed):
        raise InputError(
            f"{what}: {packed:,} bytes unpack to more than {max(FREE_BYTES, MOST_TIMES * packed):,}; "
            "unpack the file yourself if it is what you expect"
        )


def open_bytes(file: Path) -> IO[bytes]:
    """Open a regular file for reading bytes; what gzip packed is unpacked, and checked while it is read.

    Raises:
        InputError: If it is no regular file; while it is read, if it unpacks to too much.
        OSError: If it cannot be opened.
    """
    size = check_regular(file).stat().st_size
    opened = file.open("rb")
    packed = opened.read(len(_GZIP)) == _GZIP
    opened.seek(0)
    if not packed:
        return opened
    opened.close()
    return io.BufferedReader(_Unpacked(file, size))


class _Unpacked(io.RawIOBase):
    """A gzip file's content that counts what it gives."""

    def __init__(self, file: Path, packed: int) -> None:
        super().__init__()
        self._file, self._packed, self._unpacked = file, packed, 0
        self._content = gzip.GzipFile(file)

    def readable(self) -> bool:
        """It is for reading only."""
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill the buffer as far as there is content.

        Raises:
            InputError: If there has been too much.
        """
        count = self._content.readinto(buffer)
        self._unpacked += count
        check_unpacked(str(self._file), self._packed, self._unpacked)
        return count

    def close(self) -> None:
        """Close the file too."""
        self._content.close()
        super().close()


def _kind(mode: int) -> str:
    kinds = {"folder": stat.S_ISDIR, "pipe": stat.S_ISFIFO, "socket": stat.S_ISSOCK}
    return next((name for name, holds in kinds.items() if holds(mode)), "device")
