"""A query that stands in the corpus under its own id is left out of its own ranking, as in BEIR's evaluation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pytrec_eval

from engine import exchange
from engine.__main__ import main
from engine.collections.beir import beir_ids
from engine.collections.digest import collection_digest
from engine.collections.reading import read_collection
from engine.collections.structures import Collection
from engine.evaluation.evaluate import find_evaluation, open_evaluated
from engine.ranks.metrics import by_query_language
from engine.ranks.ranking import rank_collection, ranked_lists
from engine.storage.store import Store
from tests.builders import write_beir

_LETTERS = "abcdefgh"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight queries that are documents too, each answered by two of eight other documents."""
    queries = [{"_id": letter, "text": f"question {letter}", "lang": "en"} for letter in _LETTERS]
    documents = [{"_id": f"d{i}", "text": f"answer {i}", "lang": "en"} for i in range(8)]
    judged = [(letter, f"d{(i + more) % 8}", 1) for i, letter in enumerate(_LETTERS) for more in (0, 3)]
    return write_beir(tmp_path / "quora", [*documents, *queries], queries, judged)


def _vectors(collection: Collection) -> tuple[np.ndarray, np.ndarray]:
    """Vectors in which every query is nearest to itself."""
    draw = np.random.default_rng(3)
    documents = draw.normal(size=(len(collection.corpus), 6)).astype(np.float32)
    documents /= np.linalg.norm(documents, axis=1, keepdims=True)
    rows = {text: row for row, text in enumerate(collection.corpus.texts)}
    return documents[[rows[text] for text in collection.queries.texts]], documents


def _by_trec_eval(collection: Collection, ignore: bool) -> dict[str, float]:
    queries, documents = _vectors(collection)
    ids = [text.replace("question ", "") for text in collection.corpus.texts]
    run = {
        query: {doc: float(s) for doc, s in zip(ids, line, strict=True) if not (ignore and doc == query)}
        for query, line in zip(collection.queries.questions, queries @ documents.T, strict=True)
    }
    judged: dict[str, dict[str, int]] = {}
    for query, doc in zip(collection.qrels.queries, collection.qrels.documents, strict=True):
        judged.setdefault(collection.queries.questions[query], {})[ids[doc]] = 1
    scores = pytrec_eval.RelevanceEvaluator(judged, {"map", "ndcg_cut_10", "success_1"}).evaluate(run)
    return {
        name: float(np.mean([one[name] for one in scores.values()])) for name in ("map", "ndcg_cut_10", "success_1")
    }


@pytest.mark.parametrize("ignore", [True, False])
def test_scores_are_those_of_trec_eval_on_runs_without_the_query_itself(folder: Path, ignore: bool) -> None:
    collection = read_collection(folder)
    collection = collection if ignore else collection.with_identical_ids()
    ranks, _ = rank_collection(*_vectors(collection), collection)
    row = by_query_language(ranks).row(0, named=True)
    expected = _by_trec_eval(collection, ignore)
    assert [row["map"], row["ndcg@10"], row["hit@1"]] == pytest.approx(list(expected.values()), abs=1e-6)
    assert (row["hit@1"] == 0) is not ignore


@pytest.mark.parametrize("index", ["Flat", "HNSW32"])
def test_no_list_holds_the_query_itself(folder: Path, index: str) -> None:
    collection = read_collection(folder)
    vectors = _vectors(collection)
    _, top = rank_collection(*vectors, collection, top_k=5, index=index)
    lists = [top, *(frame for _, frame in ranked_lists(*vectors, collection, 16))]
    for frame in lists:
        rows = frame.select("question", "doc").rows()
        assert not any(collection.corpus.texts[doc] == f"question {question}" for question, doc in rows)
    assert top.group_by("question").len()["len"].to_list() == [5] * 8


def test_a_document_of_the_same_id_that_answers_the_query_stays(tmp_path: Path) -> None:
    texts = [{"_id": str(i), "text": f"text {i}", "lang": "en"} for i in range(3)]
    folder = write_beir(tmp_path / "numbered", texts, texts, [("0", "0", 1), ("1", "2", 1)])
    collection = read_collection(folder)
    assert collection.own is not None
    assert collection.own.tolist() == [-1, 1]
    assert collection.identical_ids == 1


def test_a_smaller_collection_keeps_to_the_same_documents(folder: Path) -> None:
    collection = read_collection(folder)
    kept = np.array([not text.endswith(("0", " a")) for text in collection.corpus.texts])
    smaller = collection.restrict(kept, "smaller")
    assert smaller.own is not None
    assert [row >= 0 and smaller.corpus.texts[row] for row in smaller.own] == [
        f"question {question}" if question != "a" else False for question in smaller.queries.questions
    ]


def test_only_shared_ids_change_the_digest(folder: Path) -> None:
    collection = read_collection(folder)
    without = replace(collection, own=None)
    assert collection_digest(collection) != collection_digest(without)
    assert collection_digest(without) == collection_digest(replace(without, own=np.full(8, -1)))


@pytest.mark.parametrize("by", ["collection", "map"])
@pytest.mark.parametrize("keep", [False, True])
def test_an_imported_run_is_scored_without_the_query_itself(folder: Path, store: Store, by: str, keep: bool) -> None:
    collection = read_collection(folder)
    queries, documents = _vectors(collection)
    ids = beir_ids(folder)
    lines = [
        f"{query} Q0 {document} 0 {score:.9g} mine\n"
        for query, line in zip(ids[0], queries @ documents.T, strict=True)
        for document, score in zip(ids[1], line, strict=True)
    ]
    run = folder.parent / "theirs" / "mine.run"
    run.parent.mkdir()
    run.write_text("".join(lines))
    if by == "map":
        rows = [("query", query, query) for query in ids[0]] + [("document", document, "") for document in ids[1]]
        lines = ["kind\tid\tlang\tquestion", *(f"{kind}\t{name}\ten\t{question}" for kind, name, question in rows)]
        (run.parent / "languages.tsv").write_text("\n".join(lines))
        judged = "".join(f"{line}\n" for line in (folder / "qrels" / "test.tsv").read_text().splitlines())
        (run.parent / "mine.qrels").write_text(judged)
    more = {"collection": str(folder)} if by == "collection" else {}
    found = exchange.import_file(run, store, keep_identical_ids=keep, **more)
    evaluation = find_evaluation(store, found.key)
    expected = _by_trec_eval(collection, ignore=not keep)
    scores = evaluation.figures()["settings"]["multi"]
    assert [scores[name] for name in ("map", "ndcg@10", "hit@1")] == pytest.approx(list(expected.values()), abs=1e-6)
    assert evaluation.manifest.collection.identical_ids == (0 if keep else 8)
    assert [note.partition(" in the corpus")[0] for note in found.notes] == ([] if keep else ["8 of 8 queries are"])
    again = exchange.import_file(run, store, keep_identical_ids=not keep, **more)
    assert again.new
    if by == "collection":
        assert open_evaluated(evaluation, store).identical_ids == (0 if keep else 8)


def test_what_a_short_run_lacks_is_last_among_the_others(folder: Path, store: Store) -> None:
    """A query that is out of its own ranking leaves a place fewer."""
    run = folder.parent / "short.run"
    run.write_text("a Q0 a 1 2.0 short\na Q0 d1 2 1.0 short\n")
    ranks = find_evaluation(store, exchange.import_file(run, store, collection=str(folder)).key).ranks()
    places = ranks.filter(ranks["question"] == "a").sort("doc")
    assert places["rank_in_pool"].to_list() == places["rank_in_language"].to_list() == [14, 15]


def test_the_command_says_it_and_can_keep_them(folder: Path, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    from engine.evaluation.evaluate import evaluations
    from tests.checkpoints import tiny_bert

    line = ["evaluate", "--encoder", str(tiny_bert(folder.parent / "bert")), "--collection", str(folder)]
    assert main(line) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "8 of 8 queries stand in the corpus under their own id and are left out of their own ranking" in said
    assert main([*line, "--keep-identical-ids"]) == 0
    assert "under their own id" not in capsys.readouterr().err
    ignoring, keeping = evaluations(store)
    assert [one.manifest.collection.identical_ids for one in (ignoring, keeping)] == [8, 0]
    assert [open_evaluated(one, store).identical_ids for one in (ignoring, keeping)] == [8, 0]
