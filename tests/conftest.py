"""Fixtures that all test modules share."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.store import Store
from engine.structures import Collection
from tests import builders

_SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An empty cache, which is also the one that the environment names."""
    monkeypatch.setenv("HYBRID_BATCH_CACHE", str(tmp_path / "cache"))
    return Store(tmp_path / "cache")


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
