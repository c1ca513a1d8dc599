"""Sweeps over pictures: sums by direction, points, the English share, and what is said about them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from engine.bias import candidates_of, suite
from engine.collections.pictures import PICTURE, Picture
from engine.encoders.resolve import open_encoder
from engine.evaluation.evaluate import evaluations, open_evaluated
from engine.evaluation.summary import summarise
from engine.ranks.metrics import per_query
from engine.ranks.picture_scores import DIRECTIONS, by_direction
from engine.ranks.search import retrieve, retrieve_again
from engine.report import Request, write_report
from engine.significance import Resampled
from engine.storage.store import Store
from engine.sweeps import picture_answer
from engine.sweeps.results import Family, by_english_share, families, points
from engine.sweeps.uncertainty import UNTRAINED, System, evaluation_sums, resample_family, systems
from engine.training.model_card import card_of
from engine.training.recipe import Recipe


@pytest.fixture(scope="module")
def swept(picture_store: Store) -> list[Family]:
    return families(list(evaluations(picture_store)))


@pytest.fixture(scope="module")
def found(swept: list[Family]) -> dict[System, Resampled]:
    return resample_family(swept[0], ["map", "hit@1"])


def test_macro_means_of_directions_are_those_of_the_ranks(swept: list[Family], found) -> None:
    [evaluation] = systems(swept[0])[UNTRAINED]
    summary = summarise(evaluation)
    expected = by_direction(summary.pairs)
    for row in expected.iter_rows(named=True):
        for metric in ("map", "hit@1"):
            assert found[UNTRAINED].only(metric, row["direction"]).estimate[0] == pytest.approx(row[metric])
    assert found[UNTRAINED].only("map", "multi").estimate[0] == pytest.approx(summary.value("multi", "map"))
    assert found[UNTRAINED].only("rank_distance", "multi").estimate[0] == pytest.approx(summary.mean_rank_distance())


def test_sums_of_a_direction_are_a_plain_loop_over_the_queries(swept: list[Family]) -> None:
    [evaluation] = systems(swept[0])[UNTRAINED]
    sums = evaluation_sums(evaluation, ["hit@1"])
    scores = per_query(evaluation.ranks(), "cross", ["hit@1"])
    for row, question in enumerate(sums.questions):
        for column, (measure, setting, query_lang, doc_lang) in enumerate(sums.cells.iter_rows()):
            if measure != "hit@1" or setting == "multi":
                continue
            assert setting in DIRECTIONS
            values = scores.filter(
                (pl.col("question") == question)
                & (pl.col("query_lang") == query_lang)
                & (pl.col("doc_lang") == doc_lang)
            )["hit@1"]
            assert sums.sums[row, column] == pytest.approx(values.sum())
            assert sums.counts[row, column] == len(values)


def test_cells_are_of_directions_and_of_pictures_in_the_pool(swept: list[Family]) -> None:
    [evaluation] = systems(swept[0])[UNTRAINED]
    cells = evaluation_sums(evaluation, ["map"]).cells.filter(pl.col("measure") == "map")
    sizes = dict(cells.group_by("setting").len().iter_rows())
    assert sizes == {"caption-picture": 3, "picture-caption": 3, "caption-caption": 6, "multi": 1}
    assert cells.filter(pl.col("setting") == "multi")["query_lang"].to_list() == [PICTURE]
    groups = cells["setting"].rle().struct.field("value")
    assert groups.n_unique() == len(groups)  # cells of one setting stand together


def test_points_have_the_directions(swept: list[Family]) -> None:
    table = points(swept[0])
    for recipe, evaluation in swept[0].evaluations:
        row = table.filter(pl.col("key") == evaluation.key).row(0, named=True)
        expected = by_direction(summarise(evaluation).pairs).filter(pl.col("direction") == "caption-picture")
        assert row["caption-picture_hit@1"] == pytest.approx(expected["hit@1"].item())
        assert row["strategy"] == recipe.strategy


def test_sweeps_that_differ_in_the_english_share_alone_are_found(swept: list[Family]) -> None:
    proportional, mostly_english = swept
    for family in swept:
        assert by_english_share(family, swept) == {None: proportional, 0.9: mostly_english}


def test_the_answer_names_the_best_ratio_and_sets_the_baselines_beside_it(found) -> None:
    text = picture_answer.answer("held", found, 2, 10)
    assert text.startswith("On **held**, captions find their picture first most often at **alpha = ")
    assert "English captions only (en-en): R@1 **" in text
    assert "mAP of captions in the pool **" in text
    assert "A random ranking has R@1 0.100, the untrained encoder " in text


def test_a_report_tells_directions_and_leaves_examples_to_the_app(
    swept: list[Family], picture_store: Store, tmp_path: Path
) -> None:
    request = Request(formats=("md", "html"))
    written = write_report(swept[0], request, tmp_path / "report", picture_store)
    text = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    assert "captions find their picture first most often" in text
    assert (
        "| alpha | caption-picture mAP | picture-caption mAP | caption-caption mAP | multi mAP | rank distance |"
        in text
    )
    assert "Of the 12 cross-lingual pairs" in text
    assert "picture:" not in text
    assert any("page of pictures" in note for note in written.notes)


def test_bias_is_that_of_captions_that_pictures_find(swept: list[Family], picture_store: Store) -> None:
    [evaluation] = systems(swept[0])[UNTRAINED]
    collection = open_evaluated(evaluation, picture_store)
    candidates = candidates_of(collection)
    assert candidates == {"ar": 10, "de": 10, "en": 10, PICTURE: 0}
    ranks, top = (evaluation.asked_of_pool(frame) for frame in (evaluation.ranks(), evaluation.top()))
    assert set(ranks["query_lang"]) == {PICTURE}
    measures = dict(suite(ranks, top, candidates).measures.select("measure", "value").iter_rows())
    distances = [max(group["rank_in_pool"]) - min(group["rank_in_pool"]) for group in ranks.partition_by("question")]
    assert measures["rank_distance"] == pytest.approx(sum(distances) / len(distances))
    assert measures["own_share"] in (None, 0)  # a picture's language has no caption


def test_without_parallel_captions_nothing_is_said_of_rank_distance(found) -> None:
    def without_distance(one: Resampled) -> Resampled:
        missing = (one.rows["measure"] == "rank_distance").to_numpy()
        return replace(one, estimate=np.where(missing, np.nan, one.estimate))

    text = picture_answer.answer("web", {name: without_distance(one) for name, one in found.items()}, 2, 10)
    assert "rank distance" not in text
    assert " against " in text or " does not differ significantly from " in text


def test_a_model_card_of_pictures_speaks_of_captions_and_pictures(picture_store: Store) -> None:
    stored = list(evaluations(picture_store))
    [folder] = [
        folder
        for folder in (picture_store.root / "checkpoints").iterdir()
        if (recipe := Recipe.from_dict(json.loads((folder / "recipe.json").read_text()))).alpha == 0.5
        and (recipe.seed, recipe.settings.english_share) == (0, None)
    ]
    card = card_of(folder, stored)
    assert "An encoder of captions in many languages and of pictures" in card
    assert "| held | this checkpoint |" in card
    assert "caption-picture R@1" in card
    assert "12 pictures were trained on, in ar, de, en." in card
    assert "question" not in card.partition("## Citation")[0]


def test_the_code_of_the_card_gives_the_vectors_that_were_evaluated(picture_store: Store, tmp_path: Path) -> None:
    folder = next((picture_store.root / "checkpoints").iterdir())
    [code] = re.findall(r"```python\n(.*?)```", card_of(folder), re.DOTALL)
    Image.new("RGB", (32, 32), (120, 30, 200)).save(tmp_path / "dog.png")
    code = code.replace("PATH OR HUB ID OF THIS FOLDER", str(folder)).replace("dog.png", str(tmp_path / "dog.png"))
    made: dict[str, object] = {}
    exec(code, made)  # noqa: S102 - our own card
    encoder = open_encoder(folder.name, picture_store)
    expected = encoder.encode(["a dog's face", "ein Hundegesicht"], "query")
    assert np.abs(np.asarray(made["captions"]) - expected).max() < 1e-5
    assert np.abs(np.asarray(made["pictures"]) - encoder.encode([Picture(tmp_path / "dog.png")], "query")).max() < 1e-5


def test_a_picture_that_asks_finds_captions_alone(swept: list[Family], picture_store: Store) -> None:
    evaluation = swept[0].evaluations[0][1]
    collection = open_evaluated(evaluation, picture_store)
    encoder = open_encoder(evaluation.manifest.opened_as.encoder, picture_store)
    row, _ = collection.query_range(PICTURE)
    typed = retrieve(encoder, collection, collection.queries.texts[row], picture_store, 40)
    again = retrieve_again(encoder, collection, row, picture_store, 40)
    for found in (typed, again):
        assert found.height == 30
        assert set(found["doc_lang"]) == {"ar", "de", "en"}
    assert typed["doc"].to_list() == again["doc"].to_list()
    top = evaluation.top().filter(
        (pl.col("query_lang") == PICTURE) & (pl.col("question") == collection.queries.questions[row])
    )
    assert again["doc"].to_list()[: top.height] == top.sort("rank")["doc"].to_list()
