"""Fixtures that all test modules share."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.collections.structures import Collection
from engine.storage import jobs
from engine.storage.store import Store
from tests import builders

if TYPE_CHECKING:
    from engine.report import Written

_SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An empty cache, which is also the one that the environment names."""
    monkeypatch.setenv("HYBRID_BATCH_CACHE", str(tmp_path / "cache"))
    return Store(tmp_path / "cache")


@pytest.fixture(autouse=True, scope="session")
def no_reference() -> Iterator[None]:
    """Tests see the evaluations that they make; those that come with the project only where a test asks for them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYBRID_BATCH_REFERENCE", "none")
        yield


@pytest.fixture(autouse=True)
def owned_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folders that paths typed on pages may lead into: those of the tests."""
    monkeypatch.setenv("HYBRID_BATCH_FOLDERS", str(tmp_path_factory.getbasetemp()))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real collections and reference figures that stands beside the repository."""
    if not _SHARED.is_dir():
        pytest.skip("../shared with the real collections is not there")
    return _SHARED


@pytest.fixture(scope="session")
def tiny_collection() -> Collection:
    """3 languages, in each 2 paragraphs of 3 sentences and 4 questions."""
    return builders.tiny_collection()


@pytest.fixture
def tiny_folder(tiny_collection: Collection, tmp_path: Path) -> Path:
    """The tiny collection as an XQuAD-R folder."""
    return builders.write_xquad_r(tmp_path / "tiny", tiny_collection)


@pytest.fixture(scope="session")
def demo_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A cache with the demo collection evaluated, and a sweep: alpha 0, 0.5 and 1, each with three seeds, few steps.

    Page tests read it by `demo_cache`; nobody writes into it.
    """
    from engine.collections.catalog import DEMO_SETTINGS
    from engine.sweeps.run import run_sweep
    from engine.sweeps.sweep import Sweep
    from engine.training.recipe import DEFAULTS

    store = Store(tmp_path_factory.mktemp("demo") / "cache")
    settings = replace(DEFAULTS["head"], **{**DEMO_SETTINGS, "steps": 20})
    sweep = Sweep("multilingual-e5-small", "demo-train", ("demo",), (0.0, 0.5, 1.0), (0, 1, 2), settings=settings)
    assert not run_sweep(sweep, store)
    yield store
    shutil.rmtree(store.root)  # half a gigabyte of weights


@pytest.fixture(scope="session")
def picture_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A cache with a small sweep over pictures; nobody writes into it."""
    from tests.picture_models import picture_sweep

    return picture_sweep(tmp_path_factory.mktemp("pictures"))


@pytest.fixture
def demo_cache(demo_store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The demo's cache as the one that the environment names, and nothing in streamlit's memory before and after."""
    yield from _as_cache(demo_store, monkeypatch)


@pytest.fixture
def picture_cache(picture_store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """As `demo_cache`, of the small sweep over pictures."""
    yield from _as_cache(picture_store, monkeypatch)


def _as_cache(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    import streamlit as st

    monkeypatch.setenv("HYBRID_BATCH_CACHE", str(store.root))
    st.cache_data.clear()
    st.cache_resource.clear()
    yield store
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture(scope="session")
def demo_report(demo_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """A report of the demo's sweep in all formats, at alpha = 1 in detail; nobody writes into it."""
    from engine.evaluation.evaluate import evaluations
    from engine.report import Request, write_report
    from engine.sweeps.results import families

    [family] = families(list(evaluations(demo_store)))
    return write_report(
        family, Request(alphas=(1.0,)), tmp_path_factory.mktemp("demo") / "report", demo_store, zipped=True
    )


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Commands that pages start in the background, as far as the test has come; none is really started."""
    found: list[tuple[str, ...]] = []

    def start(arguments: Sequence[str], store: Store, title: str) -> jobs.Run:
        found.append(tuple(arguments))
        now = time.time()
        return jobs.Run("k", title, tuple(arguments), "running", "start", 0.0, None, "", "", now, now)

    monkeypatch.setattr(jobs, "start", start)
    return found
