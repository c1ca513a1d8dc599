"""The page of pictures, driven without a browser, on a small sweep; and pictures on other pages."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from engine.collections.pictures import PICTURE
from engine.evaluation.evaluate import evaluations
from engine.figures import name_of
from engine.figures.by_language import _get_languages_info
from engine.ranks.search import retrieve_again
from engine.storage.store import Store
from engine.sweeps.results import curve, families, points
from tests.pages import chart, chart_keys, htmls, numbers, open_page, opened, text_of


def test_the_page_answers_and_shows_directions(picture_cache: Store) -> None:
    page = open_page("pictures")
    text = text_of(page)
    assert "captions find their picture first most often at alpha = " in text
    assert [metric.label for metric in page.metric] == [
        "caption → picture R@1",
        "picture → caption R@1",
        "picture → pool mAP",
        "rank distance",
    ]
    assert {"curve-caption-picture_hit@1", "curve-picture-caption_hit@1", "curve-multi_map", "languages"} <= set(
        chart_keys(page)
    )


def test_tiles_and_curves_are_the_sweep_s_means(picture_cache: Store) -> None:
    page = open_page("pictures", alpha="1")
    family = families(list(evaluations(picture_cache)))[0]
    means = dict(curve(points(family), "caption-picture_hit@1").select("alpha", "mean").iter_rows())
    assert float(page.metric[0].value) == pytest.approx(means[1.0], abs=5e-4)
    drawn = [trace for trace in chart(page, "curve-caption-picture_hit@1")["data"] if trace.get("mode") == "lines"]
    assert any(
        list(numbers(trace["x"])) == [0, 0.5, 1] and numbers(trace["y"]) == pytest.approx(list(means.values()))
        for trace in drawn
    )


def test_the_english_share_chooses_the_sweep(picture_cache: Store) -> None:
    page = open_page("pictures")
    [slider] = page.get("select_slider")
    assert list(slider.options) == ["in proportion", "0.9"]
    page = slider.set_value("0.9").run()
    assert not page.exception
    family = next(one for one in families(list(evaluations(picture_cache))) if one.recipe.settings.english_share)
    mean = curve(points(family), "multi_map")["mean"].item()
    assert float(page.metric[2].value) == pytest.approx(mean, abs=5e-4)


def test_a_caption_shows_the_pictures_found_and_marks_its_own(picture_cache: Store) -> None:
    page = open_page("pictures")
    rows = [body for body in htmls(page) if "class='pictures'" in body]
    assert len(rows) == 2
    for body in rows:
        assert body.count("data:image/png;base64,") == 8
        assert body.count('class="answer"') <= 1


def test_a_picture_asks_too_and_is_shown(picture_cache: Store) -> None:
    page = open_page("pictures", query="picture")
    assert "data:image/png" in "".join(htmls(page))
    assert any("class='passages'" in body for body in htmls(page))


def test_the_explorer_does_not_offer_sweeps_over_pictures(picture_cache: Store, started) -> None:
    page = open_page("explorer")
    [collection] = [box for box in page.selectbox if box.label == "Collection"]
    assert collection.options == ["demo"]


def test_without_a_sweep_the_gallery_is_trained_in_the_background(store: Store, started) -> None:
    page = open_page("pictures")
    [command] = started
    assert command[:3] == ("sweep", "--encoder", "multilingual-e5-small+efficientnet-lite0")
    assert "gallery-train" in command
    assert "being trained on this machine right now" in text_of(page)


@pytest.mark.parametrize("language", ["ar", PICTURE])
def test_examples_show_pictures_as_pictures(picture_cache: Store, language: str) -> None:
    page = open_page("examples", query=name_of(language))
    assert "picture:" not in text_of(page)


def test_what_is_found_again_is_the_order_of_the_ranks(picture_cache: Store) -> None:
    from engine.encoders.resolve import open_encoder
    from engine.evaluation.evaluate import open_evaluated

    family = families(list(evaluations(picture_cache)))[0]
    evaluation = family.evaluations[0][1]
    collection = open_evaluated(evaluation, picture_cache)
    encoder = open_encoder(evaluation.manifest.opened_as.encoder, picture_cache)
    ranks = evaluation.ranks().filter((pl.col("query_lang") == "de") & (pl.col("doc_lang") == PICTURE))
    start, _ = collection.query_range("de")
    for row, (question, rank) in enumerate(ranks.sort("question").select("question", "rank_in_language").iter_rows()):
        query = start + collection.queries.questions[start : start + ranks.height].index(question)
        found = retrieve_again(encoder, collection, query, picture_cache, 10, PICTURE)
        [place] = [i for i, doc in enumerate(found["doc"], 1) if collection.corpus.passages[doc] == question]
        assert place == rank, row


def test_languages_are_in_the_order_of_the_first_system() -> None:
    scores = pl.DataFrame(
        {
            "system": ["a", "a", "b", "b"],
            "language": ["de", "ar", "de", "ar"],
            "value": [0.2, 0.5, 0.4, 0.1],
            "low": [0.1, 0.4, None, None],
            "high": [0.3, 0.7, None, None],
        }
    )
    info = _get_languages_info(scores, ["a", "b"])
    assert info.languages == ["Arabic", "German"]
    first, second = info.systems
    assert (first.places, first.values, first.lows, first.highs) == ([0.85, -0.15], [0.2, 0.5], [0.1, 0.4], [0.3, 0.7])
    assert (second.places, second.lows, second.highs) == ([1.15, 0.15], [0.4, 0.1], [0.4, 0.1])
    assert info.span[0] == 0
    assert info.span[1] > 0.7


def test_a_typed_caption_finds_pictures(picture_cache: Store) -> None:
    page = open_page("examples", ask="ar 13")
    [row] = [body for body in htmls(page) if "class='pictures'" in body]
    assert row.count("data:image/png") == 10
    assert "from the 10 pictures of held" in text_of(page)


@pytest.mark.parametrize("broken", [False, True])
def test_an_uploaded_picture_finds_captions_or_says_what_is_wrong(
    picture_cache: Store, tmp_path: Path, broken: bool
) -> None:
    from tests.picture_models import captions_folder

    content = (captions_folder(tmp_path / "own", [3]) / "p3.png").read_bytes()
    page = opened("examples")
    [uploader] = page.get("file_uploader")
    page = uploader.set_value(("own.png", content[:50] if broken else content, "image/png")).run()
    assert not page.exception
    if broken:
        assert "own.png: the picture is broken" in text_of(page)
        return
    assert "from the 30 captions of held" in text_of(page)
    first = next(body for body in htmls(page) if "class='passages'" in body)
    assert "picture:" not in first
    assert first.count('<tr class="other">') == 10


@pytest.mark.parametrize("section", ["overview", "own", "first", "documents", "distance", "probes", "agreement"])
def test_the_bias_page_measures_with_pictures_as_queries(picture_cache: Store, section: str) -> None:
    page = open_page("bias", section=section)
    assert "Does it favour some languages?" in text_of(page)


@pytest.mark.parametrize("name", ["pairs", "report"])
def test_other_pages_open_on_pictures(
    picture_cache: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "picture:" not in text_of(open_page(name))
