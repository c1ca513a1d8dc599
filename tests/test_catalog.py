"""Fetching a named collection: from a folder or over HTTP, verified, in place whole or not at all."""

from __future__ import annotations

import hashlib
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from engine.collections import download
from engine.collections.catalog import (
    COLLECTIONS,
    CollectionSource,
    collection_source,
    fetch_collection,
    fetched_folder,
)
from engine.collections.opening import open_collection
from engine.collections.reading import read_collection
from engine.collections.structures import Collection
from engine.errors import EngineError, FetchError, InputError, StoreError
from engine.storage.store import Store
from tests.builders import contents


class _Site:
    """A web site on this machine that serves a folder, and can be told to fail."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.fault, self.requests = folder, "", []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.requests.append(self.path)
                site.answer(self)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        file = self.folder / request.path.lstrip("/")
        fault = self.fault if len(self.requests) > 1 else ""  # the first file arrives, a later one fails
        if fault == "server error":
            return request.send_error(500)
        if fault == "no such file" or not file.is_file():
            return request.send_error(404)
        content = file.read_bytes()
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        if fault == "changed":
            content = bytes([content[0] ^ 1]) + content[1:]
        if fault in ("cut", "reset"):
            content = content[: len(content) // 2]
        request.wfile.write(content)
        if fault == "reset":
            request.wfile.flush()
            request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            request.connection.close()
        return None


def _source(folder: Path, url: str) -> CollectionSource:
    files = {
        file.name: (file.stat().st_size, hashlib.sha256(file.read_bytes()).hexdigest())
        for file in sorted(folder.glob("*.json"))
    }
    about = {"name": "tiny", "title": "Tiny", "licence": "CC0", "citation": "nobody"}
    return replace(COLLECTIONS["xquad-r"], url=url, files=files, **about)


@pytest.fixture
def site(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Site]:
    """The tiny collection in the catalog, on a site."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download, "_WAITS_SECONDS", (0.0, 0.0))
    site = _Site(tiny_folder)
    monkeypatch.setitem(COLLECTIONS, "tiny", _source(tiny_folder, site.url))
    thread = threading.Thread(target=site.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield site
    site.server.shutdown()
    site.server.server_close()
    thread.join()


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _fails(store: Store, kind: type[EngineError], source_folder: Path | None = None) -> str:
    """The message of a fetch that must fail and leave nothing."""
    with pytest.raises(kind) as caught:
        fetch_collection("tiny", store, source_folder)
    assert "\n" not in str(caught.value)
    assert _files(store.root) == []
    assert list((store.root / "collections").glob("*")) == []
    assert fetched_folder("tiny", store) is None
    return str(caught.value)


@pytest.mark.parametrize("from_folder", [True, False])
def test_a_fetched_collection_opens_by_its_name(
    store: Store, site: _Site, tiny_folder: Path, tiny_collection: Collection, from_folder: bool
):
    folder, new = fetch_collection("tiny", store, tiny_folder if from_folder else None)
    assert new
    assert folder == fetched_folder("tiny", store)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == {
        file.name: file.read_bytes() for file in tiny_folder.iterdir()
    }
    opened = open_collection("tiny", store)
    assert opened.name == "tiny"
    assert contents(opened) == contents(tiny_collection)
    assert len(site.requests) == (0 if from_folder else 3)


def test_the_entry_keeps_licence_source_and_citation(store: Store, site: _Site):
    fetch_collection("tiny", store)
    about = store.get("collections", collection_source("tiny").key)
    assert (about["name"], about["licence"], about["source"], about["citation"]) == ("tiny", "CC0", site.url, "nobody")


@pytest.mark.parametrize("from_folder", [True, False])
def test_a_second_fetch_does_nothing(store: Store, site: _Site, tiny_folder: Path, from_folder: bool):
    source_folder = tiny_folder if from_folder else None
    first, _ = fetch_collection("tiny", store, source_folder)
    before = {path: path.stat().st_mtime_ns for path in [store.root, *store.root.rglob("*")]}
    site.requests.clear()
    site.fault = "server error"
    assert fetch_collection("tiny", store, source_folder) == (first, False)
    assert {path: path.stat().st_mtime_ns for path in [store.root, *store.root.rglob("*")]} == before
    assert site.requests == []


def test_progress_counts_the_bytes_of_all_files(store: Store, site: _Site, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(download, "_CHUNK_BYTES", 500)
    notes = []
    fetch_collection("tiny", store, progress=lambda _stage, done, total: notes.append((done, total)))
    done = [done for done, _ in notes]
    total = sum(file.stat().st_size for file in site.folder.iterdir())
    assert {total for _, total in notes} == {total}
    assert done == sorted(done)
    assert done[-1] == total
    assert len(notes) > 6


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("changed", "SHA-256"),
        ("cut", "SHA-256"),
        ("reset", ""),
        ("server error", "cannot be downloaded (HTTP Error 500"),
        ("no such file", "cannot be downloaded (HTTP Error 404"),
    ],
)
def test_a_download_that_fails_leaves_nothing_and_can_be_repeated(store: Store, site: _Site, fault: str, reason: str):
    site.fault = fault
    message = _fails(store, FetchError)
    assert message.startswith(f"{site.url}/de.json: ")
    assert reason in message
    site.fault = ""
    assert fetch_collection("tiny", store)[1]


@pytest.mark.parametrize(("fault", "requests"), [("server error", 3), ("reset", 3), ("no such file", 1)])
def test_only_a_fault_that_may_pass_is_tried_again(store: Store, site: _Site, fault: str, requests: int):
    site.fault = fault
    _fails(store, FetchError)
    assert site.requests.count("/de.json") == requests


@pytest.mark.parametrize("fault", ["server error", "reset", "timeout"])
def test_a_download_that_fails_twice_arrives_at_the_third_try(store: Store, site: _Site, monkeypatch, fault: str):
    waits, answer = [], site.answer
    monkeypatch.setattr(download, "_WAITS_SECONDS", (0.5, 1.5))
    monkeypatch.setattr(download, "_TIMEOUT_SECONDS", 1.5)
    monkeypatch.setattr(download.time, "sleep", waits.append)

    def failing_twice(request: BaseHTTPRequestHandler) -> None:
        site.fault = fault if site.requests.count("/de.json") < 3 else ""
        if site.fault == "timeout" and request.path == "/de.json":
            threading.Event().wait(2)
        else:
            answer(request)

    monkeypatch.setattr(site, "answer", failing_twice)
    assert fetch_collection("tiny", store)[1]
    assert waits == [0.5, 1.5]


def test_a_site_that_does_not_answer_is_named(store: Store, site: _Site, monkeypatch: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    monkeypatch.setitem(COLLECTIONS, "tiny", _source(site.folder, url))
    message = _fails(store, FetchError)
    assert message.startswith(f"{url}/ar.json: cannot be downloaded (")
    assert "--from DIR" in message


def test_a_site_that_stops_in_the_middle_is_given_up(store: Store, site: _Site, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(download, "_TIMEOUT_SECONDS", 0.2)
    go_on = threading.Event()
    monkeypatch.setattr(site, "answer", lambda _request: go_on.wait(10))
    message = _fails(store, FetchError)
    go_on.set()
    assert "timed out" in message


def test_a_folder_without_one_of_the_files_is_refused(store: Store, site: _Site, tiny_folder: Path):
    (tiny_folder / "en.json").unlink()
    message = _fails(store, FetchError, tiny_folder)
    assert message.startswith(f"{tiny_folder / 'en.json'}: no such file; ")
    assert site.requests == []


def test_a_folder_that_is_missing_is_named(store: Store, site: _Site, tmp_path: Path):
    assert str(tmp_path / "nowhere") in _fails(store, FetchError, tmp_path / "nowhere")


@pytest.mark.parametrize("change", [lambda content: content + b"\n", lambda content: content[:-1]])
def test_a_folder_with_another_version_of_a_file_is_refused(store: Store, site: _Site, tiny_folder: Path, change):
    expected = COLLECTIONS["tiny"].files["en.json"][1]
    changed = change((tiny_folder / "en.json").read_bytes())
    (tiny_folder / "en.json").write_bytes(changed)
    message = _fails(store, FetchError, tiny_folder)
    assert message.startswith(f"{tiny_folder}/en.json: SHA-256 is {hashlib.sha256(changed).hexdigest()[:12]}")
    assert expected[:12] in message


def test_a_cache_that_cannot_be_written_is_not_blamed_on_the_source(store: Store, site: _Site):
    store.root.write_text("a file where the cache should be")
    with pytest.raises(StoreError, match="HYBRID_BATCH_CACHE"):
        fetch_collection("tiny", store)
    assert site.requests == []


def test_a_fetched_file_that_was_damaged_is_fetched_again(store: Store, site: _Site, caplog: pytest.LogCaptureFixture):
    folder, _ = fetch_collection("tiny", store)
    whole = (folder / "de.json").read_bytes()
    (folder / "de.json").write_bytes(whole[:-9])
    assert fetched_folder("tiny", store) is None
    assert "is broken (data/de.json has" in caplog.text
    assert fetch_collection("tiny", store) == (folder, True)
    assert (folder / "de.json").read_bytes() == whole


def test_an_interrupted_fetch_leaves_nothing(store: Store, site: _Site):
    def interrupt(_stage: str, done: float, total: float) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_collection("tiny", store, progress=interrupt)
    assert _files(store.root) == []


def test_a_collection_that_is_not_fetched_yet_is_not_there(store: Store, site: _Site):
    assert fetched_folder("tiny", store) is None
    with pytest.raises(InputError, match=r"not fetched yet; run `python -m engine fetch tiny`"):
        open_collection("tiny", store)


def test_an_unknown_name_is_refused_with_the_names_that_are_known(store: Store):
    for ask in (
        collection_source,
        lambda name: fetch_collection(name, store),
        lambda name: fetched_folder(name, store),
    ):
        with pytest.raises(
            InputError, match=r"collection 'squad' is unknown; allowed are xquad-r, mlqa-r, or a folder"
        ):
            ask("squad")


def test_a_changed_file_list_is_another_entry(tiny_folder: Path):
    before = _source(tiny_folder, "http://one.invalid")
    assert _source(tiny_folder, "http://two.invalid").key == before.key
    (tiny_folder / "en.json").write_text("{}")
    assert _source(tiny_folder, "http://one.invalid").key != before.key


@pytest.mark.parametrize("name", ["xquad-r", "mlqa-r"])
def test_the_catalogs_sizes_and_digests_are_those_of_the_real_files(shared: Path, name: str):
    folder = shared / "data" / name
    files = {file.name: file.read_bytes() for file in folder.glob("*.json")}
    listed = dict(reversed(line.split()) for line in (folder / "SHA256SUMS").read_text().splitlines())
    for file, (size, sha) in collection_source(name).files.items():
        assert (size, sha) == (len(files[file]), listed[file])
        assert hashlib.sha256(files[file]).hexdigest() == sha
    assert collection_source(name).files.keys() == files.keys()


@pytest.mark.parametrize("name", ["xquad-r", "mlqa-r"])
def test_the_real_collections_are_fetched_from_a_folder(store: Store, shared: Path, name: str):
    folder, new = fetch_collection(name, store, shared / "data" / name)
    assert new
    collection = open_collection(name, store)
    assert contents(collection) == contents(read_collection(shared / "data" / name))
    assert len(collection.corpus) == collection_source(name).candidates
    assert fetch_collection(name, store, shared / "nowhere") == (folder, False)
