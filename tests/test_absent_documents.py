"""Relevant documents that are not in the corpus count as missed, exactly as in trec_eval."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import pytrec_eval

from engine import bias, exchange
from engine.collections.reading import read_collection
from engine.collections.splits import SplitChoice
from engine.collections.structures import Collection
from engine.errors import InputError
from engine.evaluation.evaluate import find_evaluation
from engine.evaluation.summary import summarise
from engine.ranks.metrics import by_pair, by_query_language
from engine.ranks.ranking import rank_collection
from engine.ranks.schema import UNKNOWN_LANGUAGE
from engine.significance import question_sums
from engine.storage.store import Store
from tests.builders import write_beir

MEASURES = {"map": "map", "ndcg@10": "ndcg_cut_10", "recall@10": "recall_10", "hit@1": "success_1"}
_JUDGED = [*(("q0", f"d{i}", 1) for i in (0, 5, 7)), ("q1", "d1", 1), ("q3", "d2", 1), ("q3", "d9", 1)]
_ABSENT = [("q0", "gone-1", 1), ("q0", "gone-2", 2), ("q2", "gone-1", 1), ("q3", "gone-3", 1), ("q1", "gone-4", 0)]


def _write(folder: Path, languages: str) -> Path:
    """Four queries, of which q2 has no relevant document in the corpus; documents in one or two languages."""
    documents = [{"_id": f"d{i}", "text": f"text {i}", "lang": languages.split()[i % 2]} for i in range(12)]
    queries = [{"_id": f"q{i}", "text": f"query {i}", "lang": "en"} for i in range(4)]
    return write_beir(folder, documents, queries, [*_JUDGED, *_ABSENT])


def _vectors(collection: Collection) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(1)
    return tuple(
        draw.normal(size=(len(part), 5)).astype(np.float32) for part in (collection.queries, collection.corpus)
    )


def _run(collection: Collection) -> dict[str, dict[str, float]]:
    queries, documents = _vectors(collection)
    ids = [text.replace("text ", "d") for text in collection.corpus.texts]
    return {
        question: dict(zip(ids, map(float, line), strict=True))
        for question, line in zip(collection.queries.questions, queries @ documents.T, strict=True)
    }


def _by_trec_eval(run: dict[str, dict[str, float]]) -> dict[str, float]:
    judged: dict[str, dict[str, int]] = {}
    for query, document, score in [*_JUDGED, *_ABSENT]:
        judged.setdefault(query, {})[document] = score
    binary = {query: {doc: min(score, 1) for doc, score in docs.items()} for query, docs in judged.items()}
    scores = pytrec_eval.RelevanceEvaluator(binary, {"map", "ndcg_cut_10", "recall_10", "success_1"}).evaluate(run)
    return {ours: float(np.mean([one[theirs] for one in scores.values()])) for ours, theirs in MEASURES.items()}


@pytest.mark.parametrize("languages", ["en en", "de en"])
def test_scores_in_the_pool_are_those_of_trec_eval(tmp_path: Path, languages: str) -> None:
    collection = read_collection(_write(tmp_path / "c", languages))
    ranks, _ = rank_collection(*_vectors(collection), collection)
    row = by_query_language(ranks, list(MEASURES)).row(0, named=True)
    assert row["queries"] == 4
    assert {name: row[name] for name in MEASURES} == pytest.approx(_by_trec_eval(_run(collection)), abs=1e-6)
    sums = question_sums(ranks, ["map"], languages=["en"], document_languages=sorted(set(languages.split())))
    column = sums.cells["setting"].to_list().index("multi")
    assert sums.sums[:, column].sum() / sums.counts[:, column].sum() == pytest.approx(row["map"])


def test_in_a_pair_they_count_where_their_language_is_certain(tmp_path: Path) -> None:
    one, two = (read_collection(_write(tmp_path / code[:2], code)) for code in ("en en", "de en"))
    row = by_pair(rank_collection(*_vectors(one), one)[0], list(MEASURES)).row(0, named=True)
    assert {name: row[name] for name in MEASURES} == pytest.approx(_by_trec_eval(_run(one)), abs=1e-6)
    ranks, _ = rank_collection(*_vectors(two), two)
    pairs = by_pair(ranks)
    assert UNKNOWN_LANGUAGE not in pairs["doc_lang"]
    assert pairs.equals(by_pair(ranks.filter(pl.col("doc") >= 0)))


def test_no_bias_is_measured_on_them(tmp_path: Path) -> None:
    collection = read_collection(_write(tmp_path / "c", "de en"))
    ranks, top = rank_collection(*_vectors(collection), collection)
    known, candidates = ranks.filter(pl.col("doc") >= 0), bias.candidates_of(collection)
    assert bias.rank_distance(ranks, 12).equals(bias.rank_distance(known, 12))
    assert bias.bias_sums(ranks, top, candidates).random.equals(bias.bias_sums(known, top, candidates).random)


def test_training_passes_over_them(tmp_path: Path) -> None:
    folder = _write(tmp_path / "c", "de en")
    collection = read_collection(folder, split=SplitChoice("test", "training"))
    assert collection.absent is None
    assert collection.queries.questions == ("q0", "q1", "q3")


def test_judgements_of_another_corpus_are_refused(tmp_path: Path) -> None:
    folder = _write(tmp_path / "c", "de en")
    (folder / "qrels" / "test.tsv").write_text("q0\tgone-1\t1\n")
    with pytest.raises(InputError, match="no relevant document is in the corpus"):
        read_collection(folder)


@pytest.mark.parametrize("own_judgements", [True, False])
def test_an_imported_run_is_scored_as_by_trec_eval(tmp_path: Path, store: Store, own_judgements: bool) -> None:
    folder = _write(tmp_path / "c", "de en")
    run = _run(read_collection(folder))
    lines = [f"{query} Q0 {doc} 1 {score!r} tag" for query, docs in run.items() for doc, score in docs.items()]
    (tmp_path / "mine.run").write_text("\n".join(lines) + "\n")
    if own_judgements:
        judged = [f"{query} 0 {doc} {score}" for query, doc, score in [*_JUDGED, *_ABSENT]]
        (tmp_path / "mine.qrels").write_text("\n".join(judged) + "\n")
    found = exchange.import_file(tmp_path / "mine.run", store, collection=str(folder))
    assert found.notes[0].startswith("4 of 10 relevant passages are not in the corpus")
    evaluation = find_evaluation(store, found.key)
    assert evaluation.manifest.collection.absent == 4
    row = summarise(evaluation).query_languages.row(0, named=True)
    expected = _by_trec_eval(run)
    assert {name: row[name] for name in MEASURES} == pytest.approx(expected, abs=1e-6)
    for kind in ("csv", "trec"):
        exchange.export_evaluation(evaluation, store, tmp_path / kind, (kind,))
    again = exchange.import_file(tmp_path / "csv" / "ranks.csv", store, collection=str(folder), name="again")
    assert summarise(find_evaluation(store, again.key)).query_languages["map"][0] == pytest.approx(expected["map"])
    assert (tmp_path / "trec" / "multi.qrels").read_text().count("not-in-the-corpus") == 4
