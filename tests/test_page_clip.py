"""The page of CLIP models: what went with multilingual pairs, and that it is observed, not an experiment."""

from __future__ import annotations

import pytest

from engine import published
from tests import pages


@pytest.mark.parametrize("pair", published.CLIP_PAIRS, ids=lambda pair: pair.name)
def test_each_pair_is_told_with_its_numbers_and_with_what_else_differs(store, pair):
    page = pages.open_page("clip", compared=pair.name)
    text = pages.text_of(page)
    frame = published.compare(pair, "crossmodal-3600", "text-to-image")
    english = frame.filter(language="en").row(0, named=True)
    assert f"{english['english']:.2f} → {english['multilingual']:.2f} in English" in text
    assert "35 other languages" in text
    assert "This is observed, not an experiment." in text
    assert pair.differs in text
    assert pair.same in text


def test_both_models_stand_among_all_others(store):
    page = pages.open_page("clip")
    traces = pages.chart(page, "plane")["data"]
    named = [trace["text"][0] for trace in traces if trace.get("text")]
    assert named == ["xlm-roberta-base-ViT-B-32 (laion5b_s13b_b90k)", "roberta-ViT-B-32 (laion2b_s12b_b32k)"]
    assert sum(len(pages.numbers(trace["x"])) for trace in traces if trace["mode"].startswith("markers")) == 123


def test_the_address_bar_holds_the_choice(store):
    page = pages.open_page("clip", set="XTD10 (11 languages)", direction="image finds caption", cut="Hit@5")
    text = pages.text_of(page)
    frame = published.compare(published.CLIP_PAIRS[0], "xtd10", "image-to-text", "hit@5")
    english = frame.filter(language="en").row(0, named=True)
    assert f"Hit@5 {english['english']:.2f} → {english['multilingual']:.2f} in English" in text
    assert "10 other languages" in text
    assert pages.chart(page, "languages")["layout"]["yaxis"]["title"]["text"] == "Hit@5"
