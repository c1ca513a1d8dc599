"""Damage in the cache is a line on the page, never a traceback, and what can be computed again is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import streamlit as st

from dashboard import cached, notices
from engine.collections.reading import read_collection
from engine.evaluation.evaluate import FIGURES, Evaluation
from engine.storage.store import Store
from tests import pages
from tests.builders import write_xquad_r
from tests.exchange_builders import evaluated
from tests.oracle import random_collection

PAGES = ("explorer", "pairs", "bias", "examples", "report", "published", "clip", "train", "evaluate", "exchange")


@pytest.fixture
def evaluation(store: Store, tmp_path: Path) -> Evaluation:
    st.cache_data.clear()
    st.cache_resource.clear()
    collection = random_collection(np.random.default_rng(1), ("de", "en"), 6, 12, 1)
    folder = write_xquad_r(tmp_path / "collection", collection)
    return evaluated(read_collection(folder), store, opened_as=str(folder))


def warnings(name: str) -> list[str]:
    return [element.value.replace("\\", "") for element in pages.open_page(name).warning]


@pytest.mark.parametrize("name", PAGES)
def test_an_evaluation_of_a_later_version_is_a_line_on_every_page(store: Store, evaluation: Evaluation, name: str):
    with store.writing("ranks", "later", evaluation.manifest.values() | {"version": 2}):
        pass
    with store.writing("ranks", "spoilt", {}) as folder:
        pass
    (store.path("ranks", "spoilt") / "manifest.json").write_text("{")
    for _ in range(2):  # from memory too
        lines = warnings(name)
        assert sum("its manifest has version 2" in line and line.endswith("it is not shown") for line in lines) == 1
        assert sum("spoilt" in line and "manifest cannot be read" in line for line in lines) == 1
    assert folder.name.startswith(".making-")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pairs": []}'])
def test_damaged_scores_are_a_line_and_the_page_is_whole(store: Store, evaluation: Evaluation, content: bytes):
    expected = pages.text_of(pages.open_page("pairs"))
    st.cache_resource.clear()
    (store.path("ranks", evaluation.key) / FIGURES).write_bytes(content)
    page = pages.open_page("pairs")
    assert [w.value.replace("\\", "").endswith("computed again from the ranks") for w in page.warning] == [True]
    assert pages.text_of(page).startswith(expected.strip())
    assert json.loads((store.path("ranks", evaluation.key) / FIGURES).read_bytes()) == evaluation.figures()


def test_damaged_training_is_a_line_and_the_other_checkpoints_are_shown(store: Store):
    st.cache_resource.clear()
    composition = {"batches": {"mono": 1, "cross": 1}, "pairs": [{"query_lang": "de", "doc_lang": "en", "pairs": 3}]}
    for key in ("good", "bad"):
        with store.writing("checkpoints", key, {"name": f"alpha {key}", "recipe": {"strategy": "hybrid"}}) as folder:
            (folder / "training.json").write_text(
                json.dumps({"composition": composition, "leaks": [], "questions": 3, "seconds": 1})
            )
    (store.path("checkpoints", "bad") / "training.json").write_text("{")
    with notices.gathered() as lines:
        assert list(cached.compositions()) == ["alpha good (good)"]
    assert lines == [
        "checkpoints/bad: training.json has changed since it was written; train the recipe again to have it"
    ]
    assert any("training.json has changed" in line for line in warnings("train"))


def test_many_lines_are_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(st, "warning", lambda text, icon: shown.append(text))
    notices.show([f"line {number}" for number in range(9)])
    assert [*shown[:2], shown[-1]] == ["line 0", "line 1", "4 more; python -m engine doctor lists them"]
