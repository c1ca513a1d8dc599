"""An entry that was cut short, changed or lost its manifest is set aside, reported and made again."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import StoreError
from engine.storage.manifest import MANIFEST
from engine.storage.store import Store
from tests.builders import ENTRY, python_with_store, read_entry, write_entry


def _cut(folder: Path) -> None:
    (folder / "vectors.bin").write_bytes(ENTRY["vectors.bin"][:100])


def _flip(folder: Path) -> None:
    data = bytearray(ENTRY["vectors.bin"])
    data[100] ^= 1
    (folder / "vectors.bin").write_bytes(data)
    later = time.time_ns() + 10**9  # the clock of a file system may be coarser than this test is fast
    os.utime(folder / "vectors.bin", ns=(later, later))


def _manifest(change: Callable[[dict], object]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        (folder / MANIFEST).write_text(json.dumps(change(manifest)), encoding="utf-8")

    return damage


_DAMAGES = [
    (_cut, "vectors.bin has 100 bytes, not 256"),
    (_flip, "vectors.bin has changed"),
    (lambda folder: (folder / "sub" / "notes.txt").unlink(), "sub/notes.txt is missing"),
    (lambda folder: (folder / MANIFEST).unlink(), "no readable manifest"),
    (lambda folder: (folder / MANIFEST).write_bytes(b'{"files": {'), "no readable manifest"),
    (lambda folder: (folder / MANIFEST).write_bytes(b"\xff\xfe"), "no readable manifest"),
    (lambda folder: (folder / MANIFEST).write_bytes(b""), "no readable manifest"),
    (_manifest(lambda _: []), "no readable manifest"),
    (_manifest(lambda _: {"name": "k"}), "no readable manifest"),
    (_manifest(lambda manifest: {**manifest, "files": ["vectors.bin"]}), "no readable manifest"),
    (_manifest(lambda manifest: {**manifest, "files": {"vectors.bin": {"bytes": 256}}}), "no readable manifest"),
]


@pytest.mark.parametrize(("damage", "fault"), _DAMAGES)
def test_a_broken_entry_is_set_aside_with_a_warning_and_made_again(
    store: Store, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], object], fault: str
):
    write_entry(store, "other")
    folder = write_entry(store)
    damage(folder)
    damaged = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with caplog.at_level(logging.WARNING):
        assert store.get("embeddings", "k") is None
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert f"embeddings/k is broken ({fault})" in caplog.text
    (aside,) = store.leftovers()
    assert aside.name in caplog.text
    assert read_entry(write_entry(store)) == ENTRY
    assert store.get("embeddings", "k")["name"] == "k"
    assert {path.name: path.read_bytes() for path in aside.rglob("*") if path.is_file()} == damaged
    assert store.get("embeddings", "other") is not None
    assert sorted(key for key, _ in store.entries("embeddings")) == ["k", "other"]


def test_a_broken_entry_that_another_process_sets_aside_first_is_missing(store: Store, caplog, monkeypatch):
    folder = write_entry(store)

    def set_aside_elsewhere(*_: object) -> str:
        folder.rename(folder.with_name(".broken-k-1"))
        return "vectors.bin has changed"

    monkeypatch.setattr(store, "fault", set_aside_elsewhere)
    assert store.get("embeddings", "k") is None
    assert caplog.records == []


def test_a_byte_that_flips_on_disk_unseen_by_the_clock_is_found_by_the_next_process(store: Store):
    folder = write_entry(store)
    before = (folder / "vectors.bin").stat()
    _flip(folder)
    os.utime(folder / "vectors.bin", ns=(before.st_atime_ns, before.st_mtime_ns))
    output, errors = python_with_store(store, "print(store.get('embeddings', 'k'))").communicate(timeout=60)
    assert output == "None\n"
    assert "vectors.bin has changed" in errors


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2**14))
def test_whatever_bit_of_a_manifest_flips_the_files_it_vouches_for_are_whole(
    tmp_path_factory: pytest.TempPathFactory, bit: int
):
    store = Store(tmp_path_factory.mktemp("cache"))
    folder = write_entry(store)
    manifest = bytearray((folder / MANIFEST).read_bytes())
    place = bit % (len(manifest) * 8)
    manifest[place // 8] ^= 1 << place % 8
    (folder / MANIFEST).write_bytes(manifest)
    list(store.entries("embeddings"))
    if store.get("embeddings", "k") is None:
        folder = write_entry(store)
    assert read_entry(folder) == ENTRY


def test_a_changed_digit_in_a_manifest_sets_the_entry_aside(store: Store, caplog: pytest.LogCaptureFixture):
    with store.writing("ranks", "k", {"scores": {"mAP": 0.512, "of": (1, 2)}}):
        pass
    assert store.manifest("ranks", "k")["scores"] == {"mAP": 0.512, "of": [1, 2]}
    file = store.path("ranks", "k") / MANIFEST
    file.write_text(file.read_text(encoding="utf-8").replace("0.512", "0.812"), encoding="utf-8")
    with pytest.raises(StoreError, match="has changed since it was written") as caught:
        store.manifest("ranks", "k")
    assert "\n" not in str(caught.value)
    assert list(store.entries("ranks")) == []
    assert store.get("ranks", "k") is None
    assert "set aside" in caplog.text


def test_a_manifest_without_a_checksum_stays_readable(store: Store):
    folder = write_entry(store)
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    del manifest["checksum"]
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    assert store.get("embeddings", "k") == manifest


def test_an_entry_without_a_manifest_is_left_out_of_the_list_with_a_warning(store: Store, caplog):
    write_entry(store, "good")
    (write_entry(store, "bad") / MANIFEST).unlink()
    assert [key for key, _ in store.entries("embeddings")] == ["good"]
    assert "the entry's manifest cannot be read" in caplog.text


def test_the_manifest_of_an_entry_that_is_not_there_is_an_error_of_one_line(store: Store):
    with pytest.raises(StoreError) as caught:
        store.manifest("ranks", "nothing")
    assert "\n" not in str(caught.value)
    assert str(store.path("ranks", "nothing")) in str(caught.value)


def test_entries_come_oldest_first(store: Store, monkeypatch: pytest.MonkeyPatch):
    for created, key in ((30, "a"), (10, "b"), (20, "c")):
        monkeypatch.setattr(time, "time", lambda created=created: created)
        write_entry(store, key)
    assert [key for key, _ in store.entries("embeddings")] == ["b", "c", "a"]


def test_a_deleted_entry_is_gone_and_the_others_are_not(store: Store):
    write_entry(store, "k")
    write_entry(store, "other")
    store.delete("embeddings", "k")
    store.delete("embeddings", "k")
    assert [key for key, _ in store.entries("embeddings")] == ["other"]
    assert store.get("embeddings", "k") is None
