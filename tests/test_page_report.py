"""The report page: what is previewed is what is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dashboard.cached import report as data
from engine.evaluation.evaluate import evaluations
from engine.figures.publication import Layout
from engine.report import Request, Written, gather, pictures
from engine.storage import jobs
from engine.storage.store import Store
from engine.sweeps.results import families
from tests.pages import chart, htmls, open_page, options_of, sound, text_of

Started = list[tuple[str, ...]]


@pytest.fixture(autouse=True)
def elsewhere(demo_cache: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The demo's cache, and a working folder of one's own."""
    monkeypatch.chdir(tmp_path)
    return demo_cache


def test_the_preview_is_the_printed_figure(demo_cache: Store) -> None:
    page = open_page("report")
    page.segmented_control(key="report-part").set_value("heatmaps")
    sound(page.run())
    page.selectbox(key="report-preview").set_value("pairs-alpha-1")
    sound(page.run())
    [family] = families(list(evaluations(demo_cache)))
    request = Request(alphas=(1.0,), parts=("heatmaps",))
    [printed] = [one for one in pictures(gather(family, request)) if one.name == "pairs-alpha-1"]
    shown = chart(page, "report-figure")
    expected = json.loads(printed.printed(Layout()).to_json())
    assert shown["layout"]["width"] == 317
    assert shown["data"] == expected["data"]
    assert shown["layout"]["shapes"] == expected["layout"]["shapes"]
    assert "At its size in print, 3.3 inches wide." in text_of(page)


def test_width_and_font_change_the_preview() -> None:
    page = open_page("report")
    page.segmented_control(key="report-width").set_value("full")
    page.segmented_control(key="report-font").set_value("sans")
    sound(page.run())
    layout = chart(page, "report-figure")["layout"]
    assert layout["width"] == 662
    assert layout["font"]["family"].startswith("Helvetica")


def test_tables_are_previewed_too() -> None:
    page = open_page("report")
    page.segmented_control(key="report-part").set_value("tables")
    sound(page.run())
    assert page.selectbox(key="report-preview").options[0] == "settings"
    assert any("multi mAP" in piece and "<table" in piece for piece in htmls(page))


@pytest.mark.parametrize("part", ["difference", "bias", "examples"])
def test_every_part_has_a_preview(part: str) -> None:
    page = open_page("report")
    page.segmented_control(key="report-part").set_value(part)
    sound(page.run())
    assert chart(page, "report-figure")["data"]


def test_the_button_starts_the_command_with_what_was_chosen(started: Started, tmp_path: Path) -> None:
    page = open_page("report")
    page.selectbox(key="report-metric").set_value("hit@1")
    page.multiselect(key="report-alphas").set_value([0.5])
    page.selectbox(key="report-reference").set_value(1.0)
    sound(page.run())
    sound(page.button(key="report").click().run())
    [command] = started
    options = options_of(command)
    assert (options.metric, options.alphas, options.reference) == ("hit@1", [0.5], "1")
    assert (options.zip, options.force) == (True, False)
    assert options.out.parent == tmp_path / "reports"
    assert options.include is None
    assert options.format is None


def test_a_folder_that_is_there_is_replaced_only_when_asked(started: Started, tmp_path: Path) -> None:
    taken = tmp_path / "mine"
    taken.mkdir()
    (taken / "file").write_text("x", encoding="utf-8")
    page = open_page("report")
    page.text_input(key="report-folder").input(str(taken))
    sound(page.run())
    assert page.button(key="report").disabled
    page.checkbox(key="report-force").check()
    sound(page.run())
    sound(page.button(key="report").click().run())
    assert options_of(started[0]).force


def test_nothing_chosen_is_said() -> None:
    page = open_page("report")
    page.multiselect(key="report-alphas").set_value([])
    sound(page.run())
    assert "Choose at least one part, one ratio and one format." in text_of(page)
    assert not [button for button in page.button if button.key == "report"]


def test_what_was_written_from_here_can_be_downloaded(demo_report: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ("report", "--out", str(demo_report.folder), "--zip")
    gone = ("report", "--out", str(demo_report.folder.with_name("gone")), "--zip")
    done = [
        jobs.Run(key, "a report", one, "finished", "", 1.0, None, "", "", 0.0, 0.0)
        for key, one in (("a", arguments), ("b", gone))
    ]
    monkeypatch.setattr(jobs, "all_runs", lambda store: done)
    assert data.written() == [demo_report.zipped]
    page = open_page("report")
    [button] = page.get("download_button")
    assert button.proto.label.startswith("report.zip (")
    assert str(demo_report.folder) in text_of(page)
