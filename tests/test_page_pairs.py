"""The page of language pairs: every cell is what was evaluated, and so are the means and the worst pair above it."""

from __future__ import annotations

import numpy as np
from scipy.stats import binomtest

from engine import evaluations
from engine.collections.languages import language
from engine.evaluation.evaluate import Evaluation
from engine.storage.store import Store
from tests.pages import chart, heatmap, open_page, sound, text_of

BY_NAME = ("ar", "zh", "en", "de", "el", "hi", "ru", "es", "th", "tr", "vi")


def _untrained(store: Store) -> Evaluation:
    [found] = [one for one in evaluations(store) if one.manifest.recipe is None]
    return found


def _grid(one: Evaluation, metric: str, codes: tuple[str, ...] = BY_NAME) -> np.ndarray:
    values = {(pair["query_lang"], pair["doc_lang"]): pair[metric] for pair in one.figures()["pairs"]}
    return np.array([[values[query, document] for document in codes] for query in codes])


def test_without_an_evaluation_it_says_what_to_do(store: Store) -> None:
    page = open_page("pairs")
    assert "Nothing is evaluated yet" in text_of(page)
    assert [link.proto.label for link in page.get("page_link")] == ["Fetch and evaluate"]


def test_every_cell_and_both_means_are_those_that_were_evaluated(demo_cache: Store) -> None:
    one = _untrained(demo_cache)
    page = open_page("pairs", checkpoint="multilingual-e5-small")
    grid = _grid(one, "hit@1")
    np.testing.assert_allclose(heatmap(page, "cells"), grid, atol=1e-9)
    settings = one.figures()["settings"]
    assert f"{settings['mono']['hit@1']:.2f}" in text_of(page) and f"{settings['cross']['hit@1']:.2f}" in text_of(page)
    off = np.where(np.eye(11, dtype=bool), np.inf, grid)
    worst = [
        f"{language(BY_NAME[query]).name} → {language(BY_NAME[document]).name}, {off.min():.2f}"
        for query, document in np.argwhere(off == off.min())
    ]
    assert any(one in text_of(page) for one in worst)
    assert "110 pairs" in text_of(page) and "96 queries" in text_of(page)


def test_metric_order_and_checkpoint_change_what_is_drawn(demo_cache: Store) -> None:
    page = open_page("pairs", checkpoint="multilingual-e5-small")
    sound(page.selectbox(key="metric").set_value("map").run())
    np.testing.assert_allclose(heatmap(page, "cells"), _grid(_untrained(demo_cache), "map"), atol=1e-9)
    sound(page.selectbox(key="order").set_value("score").run())
    by_score = heatmap(page, "cells")
    assert not np.allclose(by_score, _grid(_untrained(demo_cache), "map"))
    np.testing.assert_allclose(np.sort(by_score.ravel()), np.sort(_grid(_untrained(demo_cache), "map").ravel()))
    sound(page.selectbox(key="order").set_value("similarity").run())
    np.testing.assert_allclose(np.sort(heatmap(page, "cells").ravel()), np.sort(by_score.ravel()))
    sound(page.selectbox(key="order").set_value("name").run())
    trained = next(one for one in evaluations(demo_cache) if one.manifest.recipe is not None)
    sound(page.selectbox(key="checkpoint").set_value(trained.manifest.encoder.name).run())
    np.testing.assert_allclose(heatmap(page, "cells"), _grid(trained, "map"), atol=1e-9)


def test_a_hover_names_the_pair_its_value_and_its_number_of_queries(demo_cache: Store) -> None:
    page = open_page("pairs", checkpoint="multilingual-e5-small")
    [trace] = [trace for trace in chart(page, "cells")["data"] if trace["type"] == "heatmap"]
    value = _grid(_untrained(demo_cache), "hit@1")[2, 3]
    text = trace["hovertext"][2][3]
    assert all(part in text for part in ("English", "German", f"{value:.3f}", "96"))


def test_two_checkpoints_are_compared_by_the_difference_of_every_cell(demo_cache: Store) -> None:
    one = _untrained(demo_cache)
    other = next(found for found in evaluations(demo_cache) if found.manifest.recipe is not None)
    page = open_page("pairs", checkpoint="multilingual-e5-small", compare=other.manifest.encoder.name)
    points = heatmap(page, "cells")
    expected = 100 * (_grid(one, "hit@1") - _grid(other, "hit@1"))
    np.testing.assert_allclose(points, expected, atol=1e-6)
    means = one.figures()["settings"]["cross"]["hit@1"] - other.figures()["settings"]["cross"]["hit@1"]
    assert f"{100 * means:+.1f} points" in text_of(page)


def test_nonsense_in_the_address_does_no_harm(demo_cache: Store) -> None:
    page = open_page("pairs", collection="nowhere", checkpoint="x", metric="y", order="z", compare="w", correction="v")
    assert page.selectbox(key="metric").value == "hit@1" and page.selectbox(key="order").value == "name"
    assert heatmap(page, "cells").shape == (11, 11)


def test_an_evaluation_can_be_led_to_by_its_key(demo_cache: Store) -> None:
    one = list(evaluations(demo_cache))[-1]
    page = open_page("pairs", evaluation=one.key)
    assert page.selectbox(key="checkpoint").value == one.manifest.encoder.name
    assert "evaluation" not in page.query_params
    assert page.selectbox(key="metric").value == "hit@1"
    assert heatmap(open_page("pairs", evaluation="nonsense"), "cells").shape == (11, 11)


def test_where_the_numbers_come_from_can_be_read(demo_cache: Store) -> None:
    one = _untrained(demo_cache)
    page = open_page("pairs", checkpoint="multilingual-e5-small")
    sources = " ".join(element.value for element in page.sidebar.markdown)
    assert one.key[:12] in sources and one.manifest.encoder.fingerprint[:12] in sources
    assert "1,056 queries" in sources and "1,320 candidates" in sources and "query: " in sources


def test_the_hover_tells_the_interval_of_a_cell_and_brackets_mark_those_too_wide_to_read(demo_cache: Store) -> None:
    page = open_page("pairs", checkpoint="multilingual-e5-small")
    [trace] = [trace for trace in chart(page, "cells")["data"] if trace["type"] == "heatmap"]
    hits = round(96 * _grid(_untrained(demo_cache), "hit@1")[0, 1])
    interval = binomtest(hits, 96).proportion_ci(method="wilson")
    assert f"95 % interval {interval.low:.3f} to {interval.high:.3f}" in trace["hovertext"][0][1]
    assert interval.high - interval.low > 0.1  # as 96 queries must give
    assert trace["text"][0][1].startswith("(")
    assert "In brackets" in text_of(page)


def test_a_pair_can_be_picked_by_name_instead_of_a_click(demo_cache: Store) -> None:
    page = open_page("pairs", checkpoint="multilingual-e5-small")
    page.selectbox(key="pair-query").set_value("th").run()
    page.selectbox(key="pair-document").set_value("ar").run()
    sound(page.button(key="pair-examples").click().run())
    assert page.title[0].value == "What does it retrieve?"
    assert (page.selectbox(key="query").value, page.selectbox(key="document").value) == ("th", "ar")
    assert page.selectbox(key="checkpoint").value == "multilingual-e5-small"


def test_only_differences_that_survive_the_chosen_correction_are_bold(demo_cache: Store) -> None:
    other = next(found for found in evaluations(demo_cache) if found.manifest.recipe is not None)
    page = open_page("pairs", checkpoint="multilingual-e5-small", compare=other.manifest.encoder.name)
    bold = {}
    for correction in ("p_holm", "p"):
        page.segmented_control(key="correction").set_value(correction)
        sound(page.run())
        [trace] = [trace for trace in chart(page, "cells")["data"] if trace["type"] == "heatmap"]
        bold[correction] = sum(text.startswith("<b>") for row in trace["text"] for text in row)
    assert bold["p_holm"] < bold["p"] < 121
