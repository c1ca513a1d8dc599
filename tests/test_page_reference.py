"""Every page on a fresh machine: an empty cache, and the results that came with the project."""

from __future__ import annotations

import time
from collections.abc import Iterator

import polars as pl
import pytest
import streamlit as st

from engine.evaluation.evaluate import evaluations
from engine.storage.store import SHIPPED, Store
from engine.sweeps import kept
from engine.sweeps.losses import FILE, losses
from engine.sweeps.results import families
from tests.pages import APP, chart, chart_keys, open_page, text_of

PAGES = ("explorer", "pairs", "bias", "examples", "report", "published", "clip", "train", "evaluate", "exchange")
FIRST_VIEW_SECONDS = 30
"""Far above what it takes: a page that drew questions anew, or trained, would take minutes."""


@pytest.fixture(autouse=True)
def fresh(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("HYBRID_BATCH_REFERENCE")
    monkeypatch.setenv("HYBRID_BATCH_FOLDERS", str(APP.parents[1]))  # a report is written beside the project
    st.cache_data.clear()
    st.cache_resource.clear()
    yield
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.mark.parametrize("name", PAGES)
def test_every_page_opens_and_trains_nothing(name: str, started) -> None:
    open_page(name)
    assert started == []


def test_the_explorer_opens_on_the_reference_and_answers_at_once(started, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.sweeps.uncertainty.resample_system", lambda *_, **__: pytest.fail("drawn anew"))
    began = time.monotonic()
    page = open_page()
    assert time.monotonic() - began < FIRST_VIEW_SECONDS
    main = families(list(evaluations(Store(SHIPPED))))[-1]
    assert page.selectbox(key="collection").value == main.collection == "xquad-r"
    answer = kept.read(main).answer.replace("*", "")
    assert answer in text_of(page)
    assert "Without any training" in answer
    assert "Fetch xquad-r to read its texts" in text_of(page)


def test_the_demo_is_one_choice_away_and_trains_itself(started) -> None:
    page = open_page()
    page.selectbox(key="collection").set_value("demo").run()
    [command] = started
    assert command[0] == "sweep"
    assert "demo-train" in command


def test_a_baseline_can_be_compared_with(started) -> None:
    page = open_page(reference="centred-transductive")
    assert page.selectbox(key="reference").value == "centred-transductive"
    assert not page.exception


def test_the_loss_of_every_shipped_ratio_is_drawn(started) -> None:
    page = open_page()
    assert "losses" not in chart_keys(page)  # drawn when it is asked for
    page.session_state["losses-open"] = True
    drawn = {trace["name"] for trace in chart(page.run(), "losses")["data"]}
    assert {f"alpha {alpha:g}" for alpha in (0, 0.5, 1)} <= {name.rpartition(", ")[2] for name in drawn}


def test_losses_that_ship_are_those_of_the_checkpoints(store: Store) -> None:
    main = families(list(evaluations(Store(SHIPPED))))[-1]
    curves = losses(main, store)
    recipes = [recipe for recipe, _ in main.evaluations if recipe.strategy == "hybrid"]
    assert set(curves["what"]) == {recipe.label for recipe in recipes}
    shipped = pl.read_parquet(SHIPPED / FILE)
    [recipe] = [one for one in recipes if (one.alpha, one.seed) == (0.5, 2)]
    rows = shipped.filter((pl.col("training") == "mlqa-r") & (pl.col("strategy") == "hybrid"))
    rows = rows.filter((pl.col("alpha") == 0.5) & (pl.col("seed") == 2))
    assert curves.filter(pl.col("what") == recipe.label)["loss"].to_list() == rows["loss"].to_list()


def test_the_explorer_says_whether_it_holds_for_all_weights(started) -> None:
    page = open_page()
    assert "What heads show of alpha 1 against alpha 0 holds for all weights in multi mAP" in text_of(page)
