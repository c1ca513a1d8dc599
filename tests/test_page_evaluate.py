"""The page that fetches and evaluates: what a collection is stands there before it is fetched; runs are as chosen."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboard import cached
from engine.storage.store import Store
from tests.pages import open_page, options_of, sound, text_of

Started = list[tuple[str, ...]]


def test_size_licence_and_source_stand_beside_every_collection_before_it_is_fetched(store: Store) -> None:
    shown = text_of(open_page("evaluate"))
    for part in ("18 MB", "14 MB", "CC BY-SA 4.0", "CC BY-NC 4.0", "13,090 queries", "20,534 candidates", "LAReQA"):
        assert part in shown


def test_fetching_is_one_click_and_there_is_a_way_without_network(
    store: Store, started: Started, tmp_path: Path
) -> None:
    page = open_page("evaluate")
    page.button(key="fetch-xquad-r").click().run()
    assert options_of(started[0]).name == "xquad-r" and options_of(started[0]).source is None
    assert "python -m engine fetch mlqa-r --from DIR" in text_of(page)
    assert page.button(key="copy-mlqa-r").disabled
    sound(page.text_input(key="from-mlqa-r").set_value(str(tmp_path)).run())
    page.button(key="copy-mlqa-r").click().run()
    assert (options_of(started[1]).name, options_of(started[1]).source) == ("mlqa-r", tmp_path)


def test_what_is_fetched_is_said_to_be_and_comes_first(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cached, "fetched", lambda: ["xquad-r", "demo", "demo-train"])
    page = open_page("evaluate")
    assert "fetched and verified" in text_of(page)
    assert [button.key for button in page.button if str(button.key).startswith("fetch")] == ["fetch-mlqa-r"]
    assert page.selectbox(key="evaluate-collection").value == "xquad-r"


def test_a_part_of_a_collection_takes_a_part_of_the_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cached, "fetched", lambda: ["xquad-r", "demo", "demo-train"])
    page = open_page("evaluate")
    assert "About 26,104 texts" in text_of(page)
    sound(page.selectbox(key="evaluate-every").set_value(10).run())
    assert "About 2,610 texts" in text_of(page)


def test_an_evaluation_is_asked_for_as_chosen(store: Store, started: Started) -> None:
    page = open_page("evaluate")
    page.selectbox(key="evaluate-collection").set_value("demo-train")
    page.selectbox(key="evaluate-every").set_value(3)
    page.run()
    page.button(key="evaluate").click().run()
    asked = options_of(started[0])
    assert (asked.encoder, asked.collection, asked.every) == ("multilingual-e5-small", "demo-train", 3)


def test_a_trained_checkpoint_is_offered_by_name_and_asked_for_by_key(demo_cache: Store, started: Started) -> None:
    page = open_page("evaluate")
    name = "multilingual-e5-small, head on demo-train, alpha 0.5, seed 1"
    key = next(key for key, about in demo_cache.entries("checkpoints") if about["name"] == name)
    assert name in page.selectbox(key="evaluate-encoder").options
    page.selectbox(key="evaluate-encoder").set_value(key).run()
    page.button(key="evaluate").click().run()
    assert options_of(started[0]).encoder == key
