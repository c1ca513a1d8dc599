"""Exported runs: pytrec_eval finds the product's scores in them up to the cut, in every setting, topic by topic."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import pytrec_eval

from engine import exchange
from engine.collections.structures import Setting
from engine.encoders.encoder import SentenceEncoder
from engine.encoders.resolve import open_encoder
from engine.errors import InputError
from engine.evaluation.evaluate import Evaluation, evaluate, find_evaluation
from engine.evaluation.manifest import OpenedAs
from engine.ranks.metrics import per_query
from engine.storage.store import Store
from tests.checkpoints import tiny_bert
from tests.exchange_builders import QUERY, evaluated

SETTINGS: tuple[Setting, ...] = ("mono", "cross", "multi")
DEPTH = 4  # of lists of 6 passages a language and 18 in the pool
TOPIC_OF = {"multi": QUERY, "mono": [*QUERY, "doc_lang"], "cross": [*QUERY, "doc_lang"]}


@pytest.fixture
def evaluation(tiny_collection, tiny_folder: Path, store: Store, tmp_path: Path) -> Evaluation:
    """A tiny checkpoint on the tiny collection, with 2 of the pool kept for each query."""
    encoder = tiny_bert(tmp_path / "bert", as_sentence_transformer=True)
    opened = {"collection": str(tiny_folder), "every": 1, "skip_invalid": False, "encoder": str(encoder)}
    return evaluate(open_encoder(str(encoder), store), tiny_collection, store, top_k=2, opened_as=OpenedAs(**opened))


def trec_eval(folder: Path, setting: Setting, depth: int) -> dict[str, dict[str, float]]:
    """Scores of every judged topic of an exported setting; a topic that the run lacks has none."""
    qrels: dict[str, dict[str, int]] = {}
    run: dict[str, dict[str, float]] = {}
    for line in (folder / f"{setting}.qrels").read_text(encoding="utf-8").splitlines():
        topic, _, document, relevance = line.split()
        qrels.setdefault(topic, {})[document] = int(relevance)
    for line in (folder / f"{setting}.run").read_text(encoding="utf-8").splitlines():
        topic, _, document, _, score, _ = line.split()
        run.setdefault(topic, {})[document] = float(score)
    measures = {f"map_cut.{depth}", "success.1", f"recall.{depth}", f"ndcg_cut.{depth}"}
    assert run.keys() == qrels.keys(), "every judged topic has a list"
    return pytrec_eval.RelevanceEvaluator(qrels, measures).evaluate(run)


def ours(evaluation: Evaluation, setting: Setting, depth: int) -> dict[str, dict[str, float]]:
    """The product's scores up to a depth, by the topics of the export."""
    names = {"map": "map_cut", "recall": "recall", "ndcg": "ndcg_cut"}
    metrics = [*(f"{name}@{depth}" for name in names), "hit@1"]
    rows = per_query(evaluation.ranks(), setting, metrics).iter_rows(named=True)
    return {
        "/".join([f"{row['question']}-{row['query_lang']}", *([] if setting == "multi" else [row["doc_lang"]])]): {
            "success_1": row["hit@1"]
        }
        | {f"{theirs}_{depth}": row[f"{name}@{depth}"] for name, theirs in names.items()}
        for row in rows
    }


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("depth", [1, DEPTH, 100])
def test_trec_eval_gives_the_products_scores_up_to_the_depth(evaluation, store, tmp_path, setting, depth) -> None:
    exchange.export_evaluation(evaluation, store, tmp_path / "out", ["trec"], depth=depth)
    theirs, expected = trec_eval(tmp_path / "out", setting, depth), ours(evaluation, setting, depth)
    assert theirs.keys() == expected.keys()
    for topic, scores in expected.items():
        assert theirs[topic] == pytest.approx(scores, abs=1e-6), topic


def test_lists_by_language_hold_that_language_alone_and_as_much_as_there_is(evaluation, store, tmp_path) -> None:
    exchange.export_evaluation(evaluation, store, tmp_path / "out", ["trec"], depth=DEPTH)
    for setting, languages in (("mono", 1), ("cross", 2)):
        lines = [line.split() for line in (tmp_path / "out" / f"{setting}.run").read_text().splitlines()]
        assert len(lines) == 12 * languages * DEPTH
        assert all(row[0].partition("/")[2] == row[2].partition("-")[0] for row in lines)
        assert [int(row[3]) for row in lines] == [*range(1, DEPTH + 1)] * (12 * languages)


def test_without_a_depth_lists_are_as_long_as_those_the_evaluation_keeps(evaluation, store, tmp_path) -> None:
    exchange.export_evaluation(evaluation, store, tmp_path / "out", ["trec"])
    assert len((tmp_path / "out" / "multi.run").read_text().splitlines()) == 12 * 2
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["runs"] == {"depth": 2}
    with pytest.raises(InputError, match="depth must be an integer >= 1, got 0"):
        exchange.export_evaluation(evaluation, store, tmp_path / "other", ["trec"], depth=0)


def test_ranking_again_encodes_nothing(evaluation, store, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(SentenceEncoder, "encode", lambda *_: pytest.fail("a text was encoded"))
    exchange.export_evaluation(evaluation, store, tmp_path / "out", ["trec"])
    for key, _ in list(store.entries("embeddings")):
        store.delete("embeddings", key)
    exchange.export_evaluation(evaluation, store, tmp_path / "without", ["trec"])
    assert not (tmp_path / "without" / "cross.run").exists()


def test_where_vectors_are_missing_short_lists_by_language_are_left_out_and_this_is_said(
    tiny_collection, tiny_folder, store, tmp_path, caplog
) -> None:
    evaluation = evaluated(tiny_collection, store, top_k=5, opened_as=str(tiny_folder))
    exchange.export_evaluation(evaluation, store, tmp_path / "theirs", ["trec"])
    imported = find_evaluation(store, exchange.import_file(tmp_path / "theirs" / "multi.run", store).key)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        files = exchange.export_evaluation(imported, store, tmp_path / "out", ["trec"])
    assert not {"mono.run", "cross.run"} & {file.name for file in files}
    told = json.loads((tmp_path / "out" / "evaluation.json").read_text())["runs"]["left_out"]
    assert re.match(r"mono\.run and cross\.run are left out: the vectors of an imported run are not known, and", told)
    assert told in caplog.text


def test_an_encoder_that_has_changed_gives_no_lists_by_language(evaluation, store, tmp_path) -> None:
    other = tiny_bert(tmp_path / "other", as_sentence_transformer=True, seed=1)
    opened = evaluation.manifest.opened_as.model_copy(update={"encoder": str(other)})
    changed = replace(evaluation, manifest=evaluation.manifest.model_copy(update={"opened_as": opened}))
    exchange.export_evaluation(changed, store, tmp_path / "out", ["trec"])
    told = json.loads((tmp_path / "out" / "evaluation.json").read_text())["runs"]["left_out"]
    assert "it has changed since the evaluation" in told
    assert pl.read_csv(tmp_path / "out" / "multi.run", separator=" ", has_header=False).height == 24
