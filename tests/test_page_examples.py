"""The page of examples: the passages are those of the evaluation, in its order; typed questions are really searched."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Selectbox

from engine import evaluations
from engine.collections.languages import language
from engine.collections.opening import open_collection
from engine.collections.structures import Collection
from engine.evaluation.evaluate import Evaluation
from engine.storage.manifest import MANIFEST
from engine.storage.store import Store
from tests.pages import chart, chart_keys, copy_of, htmls, numbers, open_page, passages, sound, text_of

MERCURY = "planets-mercury-1"


@pytest.fixture
def untrained(demo_cache: Store) -> Evaluation:
    [found] = [one for one in evaluations(demo_cache) if one.manifest.recipe is None]
    return found


@pytest.fixture
def demo(demo_cache: Store) -> Collection:
    return open_collection("demo", demo_cache)


def _query(collection: Collection, question: str, code: str) -> str:
    rows = zip(collection.queries.questions, collection.queries.languages, collection.queries.texts, strict=True)
    return next(text for asked, language, text in rows if (asked, language) == (question, code))


def _answer(collection: Collection, question: str, code: str) -> str:
    """The sentence of a language that answers a question."""
    queries, corpus = collection.queries, collection.corpus
    for row, document in zip(collection.qrels.queries, collection.qrels.documents, strict=True):
        if queries.questions[row] == question and corpus.languages[document] == code:
            return corpus.texts[document]
    raise AssertionError(question)


def _top(one: Evaluation, question: str, code: str) -> pl.DataFrame:
    top = one.top()
    return top.filter((top["question"] == question) & (top["query_lang"] == code)).sort("rank")


def _picker(page: AppTest) -> Selectbox:
    [found] = [box for box in page.selectbox if box.label.startswith("Question")]
    return found


def _question(page: AppTest) -> str:
    return _picker(page).value


def test_without_an_evaluation_it_says_what_to_do(store: Store) -> None:
    page = open_page("examples")
    assert "Nothing is evaluated yet" in text_of(page)
    assert [link.proto.label for link in page.get("page_link")] == ["Fetch and evaluate"]


def test_passages_are_those_that_the_evaluation_ranked_first(untrained: Evaluation, demo: Collection) -> None:
    page = open_page("examples", checkpoint="multilingual-e5-small", query="English en")
    assert _question(page) == MERCURY
    assert _query(demo, MERCURY, "en") in text_of(page)
    [rows] = passages(page)
    expected = [demo.corpus.texts[row] for row in _top(untrained, MERCURY, "en")["doc"][:10]]
    assert [text for *_, text in rows[:10]] == expected
    assert _answer(demo, MERCURY, "en") in [text for *_, text in rows]
    assert any("mark answer" in html for html in htmls(page))


def test_where_the_answer_stands_is_said_and_shown_even_far_down(untrained: Evaluation, demo: Collection) -> None:
    far = untrained.ranks().filter(pl.col("query_lang") == "de").sort("rank_in_pool", "question").row(-1, named=True)
    name = language(far["doc_lang"]).name
    page = open_page(
        "examples",
        checkpoint="multilingual-e5-small",
        query="German de",
        document=f"{name} {far['doc_lang']}",
        question=far["question"],
    )
    assert far["rank_in_pool"] > 100
    sentence = (
        f"The answer in {name} stands at rank {far['rank_in_pool']:,} of the pool, {far['rank_in_language']:,} among"
    )
    assert sentence in text_of(page)
    mine = untrained.ranks().filter((pl.col("query_lang") == "de") & (pl.col("question") == far["question"]))
    apart = mine["rank_in_pool"].max() - mine["rank_in_pool"].min()
    assert f"its 11 versions are {apart:,} ranks apart" in text_of(page)
    [rows] = passages(page)
    assert rows[-1][2] == demo.corpus.texts[far["doc"]]


def test_a_document_language_narrows_the_passages(untrained: Evaluation, demo: Collection) -> None:
    page = open_page("examples", checkpoint="multilingual-e5-small", query="English en", document="Arabic ar")
    [rows] = passages(page)
    top = [demo.corpus.texts[row] for row in _top(untrained, MERCURY, "en").filter(pl.col("doc_lang") == "ar")["doc"]]
    missing = [] if _answer(demo, MERCURY, "ar") in top[:10] else [_answer(demo, MERCURY, "ar")]
    assert [text for *_, text in rows] == top[:10] + missing
    assert {(name, direction) for name, direction, _ in rows} == {("Arabic", "rtl")}


def test_arabic_is_set_from_right_to_left_and_everything_else_from_left_to_right(demo: Collection) -> None:
    page = open_page("examples", checkpoint="multilingual-e5-small", query="Arabic ar")
    question = _query(demo, MERCURY, "ar")
    assert any(f'<span lang="ar" dir="rtl">{question}</span>' in html for html in htmls(page))
    [rows] = passages(page)
    assert {(name == "Arabic", direction) for name, direction, _ in rows} == {(True, "rtl"), (False, "ltr")}


def test_all_versions_of_the_question_are_there(demo: Collection) -> None:
    page = open_page("examples", checkpoint="multilingual-e5-small", query="German de")
    assert all(_query(demo, MERCURY, code) in text_of(page) for code in demo.languages)


def test_orders_put_the_worst_the_best_and_the_most_biased_first(untrained: Evaluation) -> None:
    page = open_page("examples", checkpoint="multilingual-e5-small", query="Thai th", document="Greek el")
    ranks = untrained.ranks().filter((pl.col("query_lang") == "th") & (pl.col("doc_lang") == "el"))
    rank = dict(ranks.select("question", "rank_in_language").iter_rows())
    spread = untrained.ranks().filter(pl.col("query_lang") == "th").group_by("question")
    distance = dict(spread.agg(pl.col("rank_in_pool").max() - pl.col("rank_in_pool").min()).iter_rows())
    sound(page.selectbox(key="first").set_value("worst").run())
    assert rank[_question(page)] == max(rank.values())
    sound(page.selectbox(key="first").set_value("best").run())
    assert rank[_question(page)] == min(rank.values())
    sound(page.selectbox(key="first").set_value("most biased").run())
    assert distance[_question(page)] == max(distance.values())
    sound(page.selectbox(key="first").set_value("random").run())
    again = open_page("examples", query="Thai th", document="Greek el", first="random")
    assert _question(page) == _question(again)


def test_words_narrow_the_questions_and_none_fitting_is_said(demo_cache: Store) -> None:
    page = open_page("examples", query="English en", words="TELEPHONE")
    assert len(_picker(page).options) == 4  # as many English questions of the demo hold the word
    assert _question(page).startswith("communication-telephone")
    none = open_page("examples", query="English en", words="xylophone")
    assert "No question fits" in text_of(none) and not none.get("plotly_chart")


def test_the_plot_shows_where_each_of_the_eleven_versions_ended(untrained: Evaluation) -> None:
    page = open_page("examples", checkpoint="multilingual-e5-small", query="English en")
    mine = untrained.ranks().filter((pl.col("query_lang") == "en") & (pl.col("question") == MERCURY))
    [drawn] = [numbers(trace["x"]) for trace in chart(page, "parallel")["data"] if "text" in trace]
    assert sorted(drawn) == sorted(mine["rank_in_pool"]) and len(mine) == 11


def test_the_address_names_the_question_and_it_outlasts_another_language(demo: Collection) -> None:
    page = open_page("examples", query="English en", question="insects-ants-2")
    assert _question(page) == "insects-ants-2" == page.query_params["question"]
    sound(page.selectbox(key="query").set_value("ru").run())
    assert _question(page) == "insects-ants-2"
    assert _query(demo, "insects-ants-2", "ru") in text_of(page)
    sound(_picker(page).set_value("organs-liver-1").run())
    assert page.query_params["question"] == "organs-liver-1"
    sound(page.selectbox(key="query").set_value("zh").run())
    assert _query(demo, "organs-liver-1", "zh") in text_of(page)


def test_a_typed_question_is_searched_with_the_encoder_of_the_evaluation(demo: Collection) -> None:
    page = open_page(
        "examples", checkpoint="multilingual-e5-small", ask="Welches Insekt leuchtet nachts?", query="German de"
    )
    live, _ = passages(page)
    assert len(live) == 10
    assert {text for *_, text in live} <= set(demo.corpus.texts)
    passage = {demo.corpus.passages[demo.corpus.texts.index(text)] for *_, text in live[:3]}
    fireflies = next(row for row, text in enumerate(demo.corpus.texts) if "Luciferin" in text)
    assert demo.corpus.passages[fireflies] in passage
    assert "1,320 candidates" in text_of(page)
    sound(page.text_input(key="ask").set_value("<b onmouseover=alert(1)>planet</b>").run())
    assert len(passages(page)) == 2 and not any("<b onmouseover" in html for html in htmls(page))


def test_nonsense_in_the_address_does_no_harm(demo_cache: Store) -> None:
    page = open_page("examples", collection="x", checkpoint="y", query="Klingon", document="z", first="w", question="v")
    assert page.selectbox(key="query").value == "ar" and page.selectbox(key="document").value is None
    assert chart_keys(page) == ["parallel"]


def test_an_evaluation_without_texts_or_encoder_here_says_so(
    demo_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = copy_of(demo_store, tmp_path / "cache")
    monkeypatch.setenv("HYBRID_BATCH_CACHE", str(store.root))
    [untrained] = [one for one in evaluations(store) if one.manifest.recipe is None]
    manifest = store.path("ranks", untrained.key) / MANIFEST
    about = store.manifest("ranks", untrained.key)
    del about["opened_as"]["encoder"]
    manifest.unlink()  # it is a link to the other cache's
    manifest.write_text(json.dumps(about), encoding="utf-8")
    page = open_page("examples", checkpoint="multilingual-e5-small")
    assert passages(page) and not [field for field in page.text_input if field.key == "ask"]
    del about["opened_as"]
    manifest.write_text(json.dumps(about), encoding="utf-8")
    (store.root / "ranks" / "x").mkdir()  # so that the page looks again
    page = open_page("examples", checkpoint="multilingual-e5-small")
    assert "not on this machine" in text_of(page) and not passages(page)
