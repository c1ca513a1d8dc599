"""Files from elsewhere: pipes, devices and decompression bombs are refused before they fill memory."""

from __future__ import annotations

import gzip
import os
import tracemalloc
from pathlib import Path

import pytest

from engine.errors import InputError
from engine.storage.files import FREE_BYTES, check_regular, check_unpacked, open_bytes


def test_a_regular_file_and_a_link_to_one_are_allowed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert check_regular(tmp_path / "link").read_text() == "x"


def test_what_is_no_regular_file_is_refused_by_its_kind(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gz")
    (tmp_path / "link").symlink_to("/dev/zero")
    for file, kind in (("pipe.gz", "pipe"), ("link", "device"), ("", "folder")):
        with pytest.raises(InputError, match=f"is a {kind}; give a regular file"):
            open_bytes(tmp_path / file)
    with pytest.raises(InputError, match="gone: cannot be read"):
        check_regular(tmp_path / "gone")


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_file_is_read_whole(tmp_path: Path, suffix: str) -> None:
    content = os.urandom(200_000)
    file = tmp_path / f"file{suffix}"
    file.write_bytes(gzip.compress(content) if suffix else content)
    with open_bytes(file) as opened:
        assert opened.read() == content


def test_a_bomb_is_refused_before_it_fills_memory(tmp_path: Path) -> None:
    file = tmp_path / "bomb.gz"
    with gzip.open(file, "wb", compresslevel=9) as packed:
        for _ in range(FREE_BYTES // 2**20 + 8):
            packed.write(bytes(2**20))
    tracemalloc.start()
    with open_bytes(file) as opened, pytest.raises(InputError, match=r"bomb\.gz: [\d,]+ bytes unpack to more than"):
        for _ in iter(lambda: opened.read(2**16), b""):
            pass
    assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    tracemalloc.stop()


def test_the_limit_is_a_multiple_of_the_size_beyond_what_is_free() -> None:
    check_unpacked("x", 1, FREE_BYTES)
    check_unpacked("x", FREE_BYTES, 200 * FREE_BYTES)
    with pytest.raises(InputError):
        check_unpacked("x", FREE_BYTES, 200 * FREE_BYTES + 1)
