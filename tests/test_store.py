"""The cache: an entry is whole or not there, whoever fails; parts, links and names."""

from __future__ import annotations

import errno
import os
import signal
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from engine.errors import InputError, StoreError, WriteError
from engine.storage import folders
from engine.storage.manifest import MANIFEST
from engine.storage.store import Store, link_or_copy
from tests.builders import ENTRY, python_with_store, read_entry, write_entry

_ROOT = Path(__file__).resolve().parents[1]


def _hidden(store: Store) -> list[str]:
    return sorted(path.name for path in store.root.glob("*/.*"))


def test_what_was_written_is_read_back_with_its_manifest(store: Store):
    assert store.get("embeddings", "k") is None
    folder = write_entry(store)
    assert read_entry(folder) == ENTRY
    assert store.get("embeddings", "k")["name"] == "k"
    assert [key for key, _ in store.entries("embeddings")] == ["k"]
    assert _hidden(store) == []


def test_an_entry_is_not_there_until_it_is_whole(store: Store):
    with store.writing("embeddings", "k", {}) as folder:
        (folder / "x").write_bytes(b"1")
        assert store.get("embeddings", "k") is None
        assert list(store.entries("embeddings")) == []
    assert store.get("embeddings", "k") is not None


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(1)])
def test_an_exception_while_an_entry_is_made_leaves_nothing(store: Store, error: BaseException):
    with pytest.raises(type(error)), store.writing("embeddings", "k", {}) as folder:
        (folder / "x").write_bytes(b"1")
        raise error
    assert list((store.root / "embeddings").iterdir()) == []


def test_an_entry_that_exists_is_never_overwritten(store: Store):
    folder = write_entry(store)
    before = (folder / MANIFEST).read_bytes()
    write_entry(store, content={"other.bin": b"other"})
    assert read_entry(folder) == ENTRY
    assert (folder / MANIFEST).read_bytes() == before
    assert _hidden(store) == []


def test_a_manifest_that_is_no_json_value_leaves_nothing(store: Store):
    with pytest.raises(TypeError), store.writing("embeddings", "k", {"about": object()}):
        pass
    assert list((store.root / "embeddings").iterdir()) == []


@pytest.mark.parametrize(
    "moment",
    [
        "os.kill(os.getpid(), signal.SIGKILL)",
        "Path.write_text = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)",
        "Path.rename = os.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)",
    ],
    ids=["while it is filled", "before the manifest", "before the move"],
)
def test_a_process_that_is_killed_leaves_no_entry(store: Store, moment: str):
    code = f"with store.writing('embeddings', 'k', {{}}) as f:\n    (f / 'x').write_bytes(b'1')\n    {moment}\n"
    process = python_with_store(store, code)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, errors
    assert store.get("embeddings", "k") is None
    assert list(store.entries("embeddings")) == []
    (left,) = (store.root / "embeddings").glob(".*")
    assert store.leftovers() == [left]
    assert read_entry(write_entry(store)) == ENTRY
    assert store.leftovers() == []


def test_of_two_processes_that_make_the_same_entry_one_wins_and_the_entry_is_whole(store: Store):
    code = """
with store.writing("embeddings", "k", {"by": os.getpid()}) as folder:
    for name in ("a", "b"):
        (folder / name).write_text(str(os.getpid()))
    print("ready", flush=True)
    input()
"""
    processes = [python_with_store(store, code) for _ in range(2)]
    assert [process.stdout.readline() for process in processes] == ["ready\n", "ready\n"]
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    winner = store.get("embeddings", "k")["by"]
    assert winner in [process.pid for process in processes]
    assert read_entry(store.path("embeddings", "k")) == {"a": str(winner).encode(), "b": str(winner).encode()}
    assert _hidden(store) == []


# a full disk


def _full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("step", ["mkdir", "write_bytes", "write_text", "rename"])
def test_a_full_disk_is_one_line_and_harms_no_other_entry(store: Store, monkeypatch: pytest.MonkeyPatch, step: str):
    other = write_entry(store, "other")
    with monkeypatch.context() as patch:
        patch.setattr(Path, step, _full)
        with pytest.raises(StoreError) as caught:
            write_entry(store)
    message = str(caught.value)
    assert message.startswith(f"{store.path('embeddings', 'k')}: cannot be written, the disk is full; free space")
    assert "\n" not in message
    assert store.get("embeddings", "k") is None
    assert _hidden(store) == []
    assert read_entry(other) == ENTRY
    assert store.get("embeddings", "other") is not None


class LibraryError(Exception):
    """What safetensors and polars raise: no OSError."""


_NO_ROOM = LibraryError("Error while serializing: I/O error: No space left on device (os error 28)")


@pytest.mark.parametrize(
    ("error", "free"),
    [
        (_NO_ROOM, 10**12),
        (OSError("1000000 requested and 131056 written"), 0),  # numpy's
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"), 0),  # torch's
        (OSError(errno.EDQUOT, "Disk quota exceeded"), 10**12),
    ],
    ids=["rust", "numpy", "torch", "quota"],
)
def test_a_full_disk_is_told_the_same_way_whatever_library_wrote(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, free: int
):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(folders.shutil, "disk_usage", lambda _: usage(10**12, 0, free))
    told = r"k: cannot be written, the disk is full; free space or set HYBRID_BATCH"
    with pytest.raises(WriteError, match=told), store.writing("checkpoints", "k", {}):
        raise error
    with pytest.raises(WriteError, match="the disk is full"), store.partial("checkpoints", "k"):
        raise error
    told = r"out: cannot be written \((No space left on device|Disk quota exceeded)\)"
    with pytest.raises(InputError, match=told), folders.output(tmp_path / "out", force=False):
        raise error
    assert list((store.root / "checkpoints").iterdir()) == [store.root / "checkpoints" / ".partial-k"]


def test_an_error_of_another_kind_stays_what_it_is(store: Store):
    for error in (RuntimeError("shapes differ (os error)"), ValueError("28"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught, store.writing("ranks", "k", {}):
            raise error
        assert caught.value is error


def test_a_cache_that_is_no_folder_is_named(tmp_path: Path):
    (tmp_path / "cache").write_text("in the way")
    store = Store(tmp_path / "cache")
    with pytest.raises(StoreError, match="cannot be written"):
        write_entry(store)
    with pytest.raises(StoreError, match="cannot be written"), store.partial("embeddings", "k"):
        pass


# parts, arrays, links, names


def test_an_array_is_written_whole(store: Store, tmp_path: Path):
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    store.write_array(tmp_path / "a.npy", array)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), array)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]


def test_an_array_that_does_not_fit_on_the_disk_leaves_the_one_before(store: Store, tmp_path: Path, monkeypatch):
    def half(file, array: np.ndarray, **_: object) -> None:
        file.write(array.tobytes()[:4])
        _full()

    store.write_array(tmp_path / "a.npy", np.ones(3))
    monkeypatch.setattr(np, "save", half)
    with pytest.raises(StoreError, match="the disk is full"):
        store.write_array(tmp_path / "a.npy", np.zeros(3))
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), np.ones(3))
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]


def test_parts_outlive_the_process_until_they_are_discarded(store: Store):
    with store.partial("embeddings", "k") as parts:
        (parts / "0.npy").write_bytes(b"1")
    again = Store(store.root)
    with again.partial("embeddings", "k") as parts:
        assert (parts / "0.npy").read_bytes() == b"1"
    assert again.get("embeddings", "k") is None
    assert list(again.entries("embeddings")) == []
    again.discard_partial("embeddings", "k")
    again.discard_partial("embeddings", "k")
    assert _hidden(store) == []


def test_the_environment_names_the_cache_and_an_argument_overrides_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HYBRID_BATCH_CACHE", str(tmp_path / "elsewhere"))
    folder = write_entry(Store())
    assert folder == tmp_path / "elsewhere" / "embeddings" / "k"
    assert read_entry(folder) == ENTRY
    assert Store(tmp_path / "given").root == tmp_path / "given"
    monkeypatch.delenv("HYBRID_BATCH_CACHE")
    assert Store().root == _ROOT / "cache"


def test_making_a_store_writes_nothing(tmp_path: Path):
    store = Store(tmp_path / "cache")
    assert store.get("ranks", "k") is None
    assert list(store.entries("ranks")) == store.leftovers() == []
    assert list(tmp_path.iterdir()) == []


def test_a_second_name_is_the_same_file(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"1")
    link_or_copy(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").samefile(tmp_path / "a")


def test_where_there_are_no_links_a_second_name_is_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "a").write_bytes(b"1")
    link_or_copy(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"1"
    assert not (tmp_path / "b").samefile(tmp_path / "a")


def test_a_second_name_of_a_symbolic_link_is_that_of_its_file(tmp_path: Path):
    (tmp_path / "blobs").mkdir()
    (tmp_path / "copies").mkdir()
    (tmp_path / "blobs" / "a").write_bytes(b"1")
    (tmp_path / "blobs" / "link").symlink_to("a")
    link_or_copy(tmp_path / "blobs" / "link", tmp_path / "copies" / "b")
    assert not (tmp_path / "copies" / "b").is_symlink()
    assert (tmp_path / "copies" / "b").read_bytes() == b"1"


def test_a_name_that_is_taken_is_not_written_over(tmp_path: Path):
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    with pytest.raises(FileExistsError):
        link_or_copy(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "b"
