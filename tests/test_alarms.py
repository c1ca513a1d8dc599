"""engine.evaluation.checks: they ring at faults that are known, and are silent on data without."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.collections.structures import Collection, Corpus
from engine.errors import InputError
from engine.evaluation import checks
from engine.evaluation.manifest import CollectionPart, EncoderPart, EvaluationManifest
from engine.evaluation.notes import missing_cells
from tests.builders import manifest_of

MLQA = ("ar", "de", "en", "hi", "es", "vi", "zh")
MTEB_2 = np.array(
    [
        [0.47881, 0.00182, 0.35681, 0.39978, 0.42315, 0.35662, 0.31956],
        [0.33596, 0.55318, 0.49291, 0.43497, 0.50085, 0.43522, 0.31975],
        [0.30274, 0.54742, 0.60111, 0.44253, 0.53761, 0.39982, 0.28972],
        [0.38886, 0.52274, 0.49329, 0.53204, 0.51974, 0.42578, 0.38200],
        [0.37664, 0.55017, 0.54769, 0.48868, 0.58751, 0.47275, 0.35490],
        [0.30630, 0.46924, 0.41498, 0.40627, 0.46802, 0.51975, 0.32424],
        [0.29932, 0.39543, 0.26972, 0.34711, 0.36672, 0.32939, 0.55452],
    ]
)
"""MTEB's published result (embeddings-benchmark/results) of multilingual-e5-small on MLQARetrieval, test, with mteb
2.1.17: recall at 1 by query language (down) and document language. Arabic to German is broken."""


def cells(grid: np.ndarray, codes: tuple[str, ...] | None = None) -> pl.DataFrame:
    """A grid as a frame of pairs; NaN is a pair that is missing."""
    rows = codes or tuple(f"q{i}" for i in range(grid.shape[0]))
    columns = codes or tuple(f"d{j}" for j in range(grid.shape[1]))
    found = [(a, b, grid[i, j]) for i, a in enumerate(rows) for j, b in enumerate(columns) if not np.isnan(grid[i, j])]
    return pl.DataFrame(found, schema=["query_lang", "doc_lang", "score"], orient="row")


def test_the_broken_pair_of_mlqa_rings_and_no_other():
    found = checks.low_cells(cells(MTEB_2, MLQA), "score")
    assert found.select("query_lang", "doc_lang").rows() == [("ar", "de")]
    row = found.row(0, named=True)
    assert row["value"] == 0.00182
    assert 0.35 < row["expected"] < 0.6
    assert row["deviations"] < -8


def test_the_same_results_with_that_pair_mended_are_silent():
    mended = MTEB_2.copy()
    mended[0, 1] = 0.42
    assert checks.low_cells(cells(mended, MLQA), "score").is_empty()


def test_the_alarm_says_what_was_expected():
    row = checks.cell_alarms(cells(MTEB_2, MLQA), "score", "R@1").row(0, named=True)
    assert (row["kind"], row["place"], row["severity"]) == ("low cell", "ar-de", "severe")
    assert "R@1 0.002" in row["message"]
    assert "predict 0.4" in row["message"]


def test_two_broken_pairs_ring_the_worse_one_first():
    broken = MTEB_2.copy()
    broken[4, 6] = 0.05
    found = checks.low_cells(cells(broken, MLQA), "score")
    assert found.select("query_lang", "doc_lang").rows() == [("ar", "de"), ("es", "zh")]


@pytest.mark.parametrize(("size", "most"), [(4, 0.02), (5, 0.005), (7, 0.003), (11, 0.002)])
def test_additive_data_with_noise_ring_rarely_even_if_every_low_cell_mattered(size, most):
    rng, runs = np.random.default_rng(size), 300
    rung = 0
    for _ in range(runs):
        grid = 5 + rng.standard_normal((size, 1)) + rng.standard_normal((1, size)) + rng.standard_normal((size, size))
        rung += not checks.low_cells(cells(grid), "score", share=np.inf).is_empty()
    assert rung <= most * runs + 3 * (most * runs) ** 0.5


@settings(deadline=None, max_examples=60)
@given(
    rows=st.lists(st.floats(0, 0.2), min_size=4, max_size=9),
    columns=st.lists(st.floats(0, 0.2), min_size=4, max_size=9),
    seed=st.integers(0, 2**32 - 1),
)
def test_scores_that_scatter_as_those_of_1190_queries_are_silent(rows, columns, seed):
    chance = 0.3 + np.array(rows)[:, None] + np.array(columns)
    hits = np.random.default_rng(seed).binomial(1190, chance) / 1190
    assert checks.low_cells(cells(hits), "score").is_empty()


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(4, 9))
def test_a_cell_that_falls_to_nothing_rings_wherever_it_is(seed, size):
    rng = np.random.default_rng(seed)
    grid = 0.5 + 0.1 * rng.random((size, 1)) + 0.1 * rng.random((1, size)) + 0.01 * rng.standard_normal((size, size))
    i, j = rng.integers(size, size=2)
    grid[i, j] = 0.001
    assert checks.low_cells(cells(grid), "score").select("query_lang", "doc_lang").rows() == [(f"q{i}", f"d{j}")]


def test_a_high_cell_is_no_alarm_nor_is_a_low_one_that_keeps_half():
    grid = np.full((5, 5), 0.4) + 0.001 * np.random.default_rng(1).standard_normal((5, 5))
    grid[1, 2], grid[3, 3] = 0.9, 0.25
    assert checks.low_cells(cells(grid), "score").is_empty()


def with_one_cell(value: float, noise: float) -> pl.DataFrame:
    """A grid of 0.4 and noise with one cell of another value."""
    grid = np.full((6, 6), 0.4) + noise * np.random.default_rng(3).standard_normal((6, 6))
    grid[2, 4] = value
    return cells(grid)


def that_cell(frame: pl.DataFrame) -> dict[str, float]:
    """How far that cell lies below, without both conditions of an alarm."""
    every = checks.low_cells(frame, "score", threshold=0.0, share=np.inf)
    return every.row(by_predicate=(pl.col("query_lang") == "q2") & (pl.col("doc_lang") == "d4"), named=True)


def test_an_alarm_asks_for_less_than_half_of_what_is_expected():
    rings, shares = [], []
    for value in np.linspace(0.15, 0.25, 20):
        frame = with_one_cell(value, 0.005)
        assert that_cell(frame)["deviations"] < -6
        rings.append(checks.low_cells(frame, "score").height)
        shares.append(value / that_cell(frame)["expected"])
    assert rings == [int(share < 0.5) for share in shares]
    assert 4 < sum(rings) < 16


def test_an_alarm_asks_for_six_deviations():
    rings, deviations = [], []
    for value in np.linspace(0.0, 0.35, 40):
        frame = with_one_cell(value, 0.03)
        rings.append(checks.low_cells(frame, "score", share=np.inf).height)
        deviations.append(that_cell(frame)["deviations"])
    assert rings == [int(far < -6) for far in deviations]
    assert min(abs(far + 6) for far in deviations) < 0.5  # the step was met closely
    assert 8 < sum(rings) < 32


def test_four_languages_are_enough_and_three_are_not():
    for size, rows in ((4, 1), (3, 0)):
        grid = np.add.outer(np.arange(size), np.arange(size)) / 10 + 0.3
        grid[1, 1] = 0.0
        assert checks.low_cells(cells(grid), "score").height == rows


def test_exactly_additive_data_with_one_fault_ring():
    grid = np.add.outer(np.arange(5.0), np.arange(5.0)) / 10 + 0.3
    assert checks.low_cells(cells(grid), "score").is_empty()
    grid[2, 2] = 0.0
    assert checks.low_cells(cells(grid), "score").height == 1


def test_missing_pairs_do_not_hinder():
    grid = MTEB_2.copy()
    grid[[2, 3, 6], [5, 0, 6]] = np.nan
    assert checks.low_cells(cells(grid, MLQA), "score").select("query_lang", "doc_lang").rows() == [("ar", "de")]


def test_few_languages_tell_nothing():
    assert checks.low_cells(cells(MTEB_2[:3, :3], MLQA[:3]), "score").is_empty()
    assert checks.low_cells(cells(np.full((1, 1), 0.5)), "score").is_empty()


def test_a_frame_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match="lacks the columns map"):
        checks.low_cells(cells(MTEB_2), "map")
    twice = pl.concat([cells(MTEB_2), cells(MTEB_2)])
    with pytest.raises(InputError, match="a pair of languages has two rows"):
        checks.low_cells(twice, "score")


def with_texts(collection: Collection, changes: dict[int, str]) -> Collection:
    """The collection with other texts of some candidates."""
    texts = tuple(changes.get(row, text) for row, text in enumerate(collection.corpus.texts))
    return replace(collection, corpus=Corpus(collection.corpus.passages, collection.corpus.languages, texts))


def test_a_sound_collection_is_silent(tiny_collection):
    assert checks.collection_alarms(tiny_collection).is_empty()
    assert checks.collection_alarms(tiny_collection).schema == checks.ALARMS


def test_candidates_that_repeat_another_are_counted_by_language(tiny_collection):
    # Arabic candidates are rows 0 to 5; row 2 answers question q1, row 1 answers nothing.
    texts = tiny_collection.corpus.texts
    found = checks.collection_alarms(with_texts(tiny_collection, {3: texts[4], 9: f" {texts[7]} "}))
    assert found["kind"].to_list() == ["duplicate candidates"] * 2
    assert found["place"].to_list() == ["ar", "de"]
    assert found["message"][0].startswith("Arabic: 1 candidate repeats another's text")
    assert found["severity"].to_list() == ["note", "note"]


def test_judgements_whose_answer_also_stands_where_it_counts_as_wrong_are_counted(tiny_collection):
    texts = tiny_collection.corpus.texts
    unharmed = with_texts(tiny_collection, {3: texts[1]})
    harmed = with_texts(tiny_collection, {1: texts[2]})
    assert "affected" not in checks.collection_alarms(unharmed)["message"][0]
    judged = int((tiny_collection.qrels.documents == 2).sum())
    assert judged == 3
    assert f"{judged} judgements are affected" in checks.collection_alarms(harmed)["message"][0]


def test_a_text_in_two_languages_is_no_duplicate(tiny_collection):
    texts = tiny_collection.corpus.texts
    assert checks.collection_alarms(with_texts(tiny_collection, {0: texts[6]})).is_empty()


ALL = list(product(["de", "en"], repeat=2))


def pairs(counts: dict[tuple[str, str], int]) -> pl.DataFrame:
    rows = [(*pair, count) for pair, count in counts.items()]
    return pl.DataFrame(
        rows, schema={"query_lang": pl.String, "doc_lang": pl.String, "queries": pl.Int64}, orient="row"
    )


def test_pairs_without_queries_and_of_unequal_size_are_told():
    found = checks.pair_alarms(pairs({("de", "de"): 517, ("de", "en"): 161, ("en", "en"): 1148}), ALL)
    assert found["kind"].to_list() == ["missing pairs", "unequal pairs"]
    assert found["place"].to_list() == ["en-de", "de-en"]
    assert found["message"][0].startswith("1 of 4 pairs have no query (en-de)")
    assert "161 to 1,148 queries" in found["message"][1]
    assert found["severity"].to_list() == ["severe", "note"]


def test_pairs_of_like_size_are_silent_up_to_twice():
    equal = {(a, b): 100 for a in ("de", "en") for b in ("de", "en")}
    assert checks.pair_alarms(pairs(equal), ALL).is_empty()
    assert checks.pair_alarms(pairs(equal | {("de", "en"): 199}), ALL).is_empty()
    assert checks.pair_alarms(pairs(equal | {("de", "en"): 200}), ALL).height == 1


def test_only_five_missing_pairs_are_named():
    message = checks.pair_alarms(pairs({("a", "a"): 1}), list(product("abc", repeat=2)))["message"][0]
    assert message.startswith("8 of 9 pairs have no query (a-b, a-c, b-a, b-b, b-c and 3 more)")


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        ({"queries": 3, "passages": 1}, "3 queries and 1 answering passage"),
        ({"queries": 0, "passages": 1200}, "0 queries and 1,200 answering passages"),
    ],
)
def test_texts_seen_in_training_are_told(seen, told):
    found = checks.training_alarms(manifest_of(seen_in_training=seen))
    assert found["severity"].to_list() == ["severe"]
    assert told in found["message"][0]


@pytest.mark.parametrize("seen", [None, {"queries": 0, "passages": 0}])
def test_nothing_seen_in_training_is_silent(seen):
    assert checks.training_alarms(manifest_of(seen_in_training=seen)).is_empty()


def test_all_alarms_of_an_evaluation_stand_together_the_severe_ones_first(tiny_collection):
    texts = tiny_collection.corpus.texts
    table = cells(MTEB_2, MLQA).rename({"score": "map"}).with_columns(queries=pl.Series([100] * 48 + [500]))
    manifest = manifest_of(languages=tuple(MLQA), seen_in_training={"queries": 2, "passages": 0})
    found = checks.find(manifest, table, with_texts(tiny_collection, {3: texts[4]}))
    assert found["kind"].to_list() == ["seen in training", "low cell", "unequal pairs", "duplicate candidates"]
    assert found["severity"].to_list() == ["severe", "severe", "note", "note"]
    assert checks.find(manifest, table)["kind"].to_list()[-1] == "unequal pairs"


def test_pairs_that_cannot_exist_are_no_fault_and_told_in_a_sentence():
    part = CollectionPart(
        name="clir", digest="", languages=("de", "en", "ru"), query_languages=("en",), document_languages=("de", "ru")
    )
    manifest = EvaluationManifest(
        collection=part, encoder=EncoderPart(name="e", fingerprint="f", prompts={"query": "", "document": ""})
    )
    scored = pairs({("en", "de"): 5, ("en", "ru"): 5}).with_columns(map=pl.lit(0.5))
    assert checks.find(manifest, scored).is_empty()
    assert missing_cells(part) == (
        "Queries are in English, documents in German and Russian: there can be 0 mono pairs, 2 cross pairs and 1 query "
        "language in multi; means are over these, other cells cannot exist."
    )
    assert missing_cells(part.model_copy(update={"query_languages": ("de", "ru")})) == ""
