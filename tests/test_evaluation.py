"""One evaluation from end to end on a tiny collection with tiny checkpoints: the figures, the store, the JSON."""

from __future__ import annotations

import errno
import json
import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

import engine
from engine.collections.opening import open_collection
from engine.collections.structures import Collection, Corpus, Qrels, Queries
from engine.encoders.encoder import SentenceEncoder
from engine.errors import InputError
from engine.evaluation import evaluate as module
from engine.evaluation.evaluate import (
    FIGURES,
    as_json,
    evaluate,
    evaluation_key,
    evaluations,
    find_evaluation,
    open_evaluated,
    summarise,
)
from engine.evaluation.manifest import EvaluationManifest, OpenedAs
from engine.ranks.metrics import METRICS
from engine.ranks.schema import RANKS, TOP
from engine.storage.store import Store
from tests import oracle
from tests.builders import manifest_of
from tests.checkpoints import tiny_bert, tiny_xlm_roberta


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    prompts = {"query": "Where ", "document": "The "}
    return tiny_bert(tmp_path_factory.mktemp("checkpoint") / "bert", as_sentence_transformer=True, prompts=prompts)


@pytest.fixture(scope="module")
def encoder(folder: Path) -> SentenceEncoder:
    return SentenceEncoder(folder, "tiny-bert")


@pytest.fixture
def no_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on, a text that is encoded fails the test."""

    def refuse(*_: object) -> None:
        pytest.fail("a text was encoded although its vector is in the store")

    monkeypatch.setattr(SentenceEncoder, "encode", refuse)


def test_ranks_and_top_are_those_of_a_slow_search(encoder, tiny_collection: Collection, store: Store) -> None:
    found = evaluate(encoder, tiny_collection, store, top_k=7)
    queries = encoder.encode(tiny_collection.queries.texts, "query")
    documents = encoder.encode(tiny_collection.corpus.texts, "document")
    scores = queries @ documents.T
    for frame, expected in (
        (found.ranks(), oracle.ranks(scores, tiny_collection)),
        (found.top(), oracle.top(scores, tiny_collection, 7)),
    ):
        assert frame.drop("score").equals(expected.drop("score"))
        assert (frame["score"] - expected["score"]).abs().max() < 1e-5
    assert found.ranks().schema == RANKS
    assert found.top().schema == TOP


def test_the_manifest_tells_what_was_evaluated(
    encoder, folder: Path, tiny_collection: Collection, store: Store
) -> None:
    found = evaluate(encoder, tiny_collection, store, opened_as=OpenedAs(collection="tiny", encoder="x"))
    assert found.languages == list(tiny_collection.languages)
    assert found.pool == len(tiny_collection.corpus)
    assert found.manifest.collection.name == "tiny"
    assert found.manifest.collection.queries == len(tiny_collection.queries)
    told = found.manifest.encoder
    assert (told.name, told.fingerprint) == ("tiny-bert", encoder.fingerprint)
    assert (told.prompts, told.folder) == ({"query": "Where ", "document": "The "}, str(folder))
    assert found.manifest.opened_as == OpenedAs(collection="tiny", encoder="x")
    assert found.manifest.top_k == 100
    assert found.manifest.seconds > 0


def test_it_is_found_again_without_encoding(encoder, folder: Path, tiny_collection, store, no_encoding: None) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SentenceEncoder, "encode", _ENCODE)
        first = evaluate(encoder, tiny_collection, store)
    again = evaluate(SentenceEncoder(folder, "tiny-bert"), tiny_collection, Store(store.root))
    assert again.key == first.key
    assert again.ranks().equals(first.ranks())
    assert again.manifest == first.manifest


_ENCODE = SentenceEncoder.encode


def test_what_is_found_again_bears_the_names_of_now(encoder, folder: Path, tiny_collection: Collection, store) -> None:
    first = evaluate(encoder, tiny_collection, store)
    again = evaluate(SentenceEncoder(folder, "other"), replace(tiny_collection, name="another"), store)
    assert again.key == first.key
    result = as_json(again, summarise(again))
    assert (result["encoder"], result["collection"]) == ("other", "another")


def test_ranks_are_made_again_from_the_vectors_without_encoding(
    encoder, tiny_collection: Collection, store: Store, monkeypatch
) -> None:
    first = evaluate(encoder, tiny_collection, store)
    before = first.ranks()
    store.delete("ranks", first.key)
    monkeypatch.setattr(SentenceEncoder, "encode", lambda *_: pytest.fail("the vectors are in the store"))
    assert evaluate(encoder, tiny_collection, store).ranks().equals(before)


def with_texts(collection: Collection, texts: tuple[str, ...]) -> Collection:
    return replace(collection, corpus=replace(collection.corpus, texts=texts))


def test_the_key_changes_with_all_that_counts(encoder, folder: Path, tiny_collection: Collection, tmp_path) -> None:
    texts = tiny_collection.corpus.texts
    queries, qrels = tiny_collection.queries, tiny_collection.qrels
    other = tiny_xlm_roberta(tmp_path / "other")
    keys = {
        "base": evaluation_key(encoder, tiny_collection),
        "query prompt": evaluation_key(SentenceEncoder(folder, "x", prompts={"query": "q "}), tiny_collection),
        "document prompt": evaluation_key(SentenceEncoder(folder, "x", prompts={"document": "q "}), tiny_collection),
        "max length": evaluation_key(SentenceEncoder(folder, "x", max_length=8), tiny_collection),
        "checkpoint of the same name": evaluation_key(SentenceEncoder(other, "tiny-bert"), tiny_collection),
        "a passage": evaluation_key(encoder, with_texts(tiny_collection, ("changed", *texts[1:]))),
        "a question": evaluation_key(
            encoder, replace(tiny_collection, queries=replace(queries, texts=("changed", *queries.texts[1:])))
        ),
        "a judgement": evaluation_key(
            encoder, replace(tiny_collection, qrels=Qrels(qrels.queries[1:], qrels.documents[1:]))
        ),
        "top k": evaluation_key(encoder, tiny_collection, top_k=5),
        "index": evaluation_key(encoder, tiny_collection, index="HNSW32"),
    }
    assert len(set(keys.values())) == len(keys), keys


def test_the_manifest_never_tells_how_another_collection_was_read(encoder, tiny_collection: Collection, store) -> None:
    for change in ({}, {"split": "dev"}, {"split": "test"}, {"skipped": (("a text is empty", 2),)}):
        read = replace(tiny_collection, **change)
        part = evaluate(encoder, read, store).manifest.collection
        assert (part.split, part.skipped) == (read.split, dict(read.skipped))
    usual = (replace(tiny_collection, split=split) for split in (None, "test"))
    assert len({evaluation_key(encoder, read) for read in usual}) == 1  # entries of earlier versions stay


def test_the_key_does_not_depend_on_names(encoder, folder: Path, tiny_collection: Collection, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "another-name")
    renamed = replace(tiny_collection, name="another")
    assert evaluation_key(SentenceEncoder(copy, "other"), renamed) == evaluation_key(encoder, tiny_collection)


def test_two_recipes_that_led_to_the_same_weights_have_an_evaluation_each(
    encoder, folder: Path, tiny_collection: Collection, tmp_path: Path
) -> None:
    keys = {module.evaluation_key(encoder, tiny_collection)}
    for alpha in (0.98, 0.99):
        copy = tmp_path / str(alpha)
        shutil.copytree(folder, copy)
        (copy / "recipe.json").write_text(json.dumps({"alpha": alpha}), encoding="utf-8")
        trained = SentenceEncoder(copy, "trained")
        assert trained.fingerprint == encoder.fingerprint
        keys.add(module.evaluation_key(trained, tiny_collection))
    assert len(keys) == 3


def test_a_parquet_that_is_broken_is_set_aside_and_made_again(
    encoder, tiny_collection: Collection, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    first = evaluate(encoder, tiny_collection, store)
    before = first.ranks()
    file = store.path("ranks", first.key) / "ranks.parquet"
    file.write_bytes(file.read_bytes()[:-20])
    again = evaluate(encoder, tiny_collection, store)
    assert again.ranks().equals(before)
    assert "ranks.parquet has" in caplog.text
    assert len(list((store.root / "ranks").glob(".broken-*"))) == 1
    assert [found.key for found in evaluations(store)] == [first.key]


def test_a_broken_evaluation_is_not_found(encoder, tiny_collection: Collection, store: Store) -> None:
    found = evaluate(encoder, tiny_collection, store)
    assert find_evaluation(store, found.key).manifest == found.manifest
    (store.path("ranks", found.key) / "top.parquet").unlink()
    with pytest.raises(InputError, match=f"evaluation {found.key} is not in the store"):
        find_evaluation(store, found.key)
    with pytest.raises(InputError, match="evaluation nothing is not in the store"):
        find_evaluation(store, "nothing")


def test_all_evaluations_are_listed_oldest_first(encoder, tiny_collection: Collection, store: Store) -> None:
    assert list(evaluations(store)) == []
    keys = [evaluate(encoder, tiny_collection, store, top_k=k).key for k in (3, 1, 2)]
    assert [found.key for found in evaluations(store)] == keys


@pytest.fixture(scope="module")
def evaluated(encoder, tmp_path_factory: pytest.TempPathFactory) -> module.Evaluation:
    from tests.builders import tiny_collection

    return evaluate(encoder, tiny_collection(), Store(tmp_path_factory.mktemp("evaluated")))


def test_the_summary_agrees_with_slow_loops(evaluated: module.Evaluation) -> None:
    summary, ranks = summarise(evaluated), evaluated.ranks()
    for setting in ("mono", "cross", "multi"):
        for metric in METRICS:
            assert summary.value(setting, metric) == pytest.approx(oracle.macro_mean(ranks, setting, metric))
    distances = oracle.rank_distance(ranks)
    found = dict(summary.rank_distance.select("query_lang", "rank_distance").iter_rows())
    assert found == pytest.approx(distances)
    assert summary.mean_rank_distance() == pytest.approx(sum(distances.values()) / len(distances))


def test_the_json_has_the_documented_shape(evaluated: module.Evaluation) -> None:
    result = json.loads(json.dumps(as_json(evaluated, summarise(evaluated)), allow_nan=False))
    assert list(result) == ["collection", "encoder", "fingerprint", "languages", "settings", "pairs", "query_langs"]
    assert (result["collection"], result["encoder"]) == ("tiny", "tiny-bert")
    assert result["fingerprint"] == evaluated.manifest.encoder.fingerprint
    languages = result["languages"]
    assert languages == evaluated.languages
    assert {name: set(scores) for name, scores in result["settings"].items()} == {
        "mono": set(METRICS),
        "cross": set(METRICS),
        "multi": {*METRICS, "rank_distance"},
    }
    assert all(isinstance(value, float) for scores in result["settings"].values() for value in scores.values())
    assert [(row["query_lang"], row["doc_lang"]) for row in result["pairs"]] == [
        (query, doc) for query in languages for doc in languages
    ]
    assert all(set(row) == {"query_lang", "doc_lang", "queries", *METRICS} for row in result["pairs"])
    assert all(row["queries"] == 4 for row in result["pairs"])
    expected = {f"{setting}_{metric}" for setting in ("mono", "cross", "multi") for metric in METRICS}
    expected |= {"query_lang", "queries", "rank_distance", "random_rank_distance"}
    assert [row["query_lang"] for row in result["query_langs"]] == languages
    assert all(set(row) == expected for row in result["query_langs"])


def test_the_jsons_figures_are_those_of_slow_loops(evaluated: module.Evaluation) -> None:
    result, ranks = as_json(evaluated, summarise(evaluated)), evaluated.ranks()
    for setting in ("mono", "cross", "multi"):
        for metric in METRICS:
            cells = oracle.cell_means(ranks, setting, metric)
            if setting != "multi":
                rows = {(row["query_lang"], row["doc_lang"]): row[metric] for row in result["pairs"]}
                assert {pair: rows[pair] for pair in cells} == pytest.approx(cells)
            for row in result["query_langs"]:
                of_language = [value for key, value in cells.items() if key[0] == row["query_lang"]]
                assert row[f"{setting}_{metric}"] == pytest.approx(sum(of_language) / len(of_language))
            assert result["settings"][setting][metric] == pytest.approx(oracle.macro_mean(ranks, setting, metric))
    distances = oracle.rank_distance(ranks)
    assert {row["query_lang"]: row["rank_distance"] for row in result["query_langs"]} == pytest.approx(distances)
    mean = sum(distances.values()) / len(distances)
    assert result["settings"]["multi"]["rank_distance"] == pytest.approx(mean)
    # 18 candidates, 3 of them relevant: the range of 3 draws of 18 is (18 + 1)(3 - 1)/(3 + 1) on average.
    assert {row["random_rank_distance"] for row in result["query_langs"]} == {9.5}


def test_the_stored_pairs_are_those_of_the_ranks(evaluated: module.Evaluation) -> None:
    assert evaluated.pairs().equals(summarise(evaluated).pairs)


def test_the_stored_figures_are_those_of_the_ranks(evaluated: module.Evaluation) -> None:
    assert evaluated.figures() == json.loads(json.dumps(as_json(evaluated, summarise(evaluated))))


def test_with_one_language_there_is_no_cross_and_no_rank_distance(encoder, store: Store) -> None:
    collection = Collection(
        name="english only",
        languages=("en",),
        queries=Queries(("q0", "q1"), ("en", "en"), ("Where is it?", "What is it?")),
        corpus=Corpus(("p0", "p0"), ("en", "en"), ("It is here.", "It is a mill.")),
        qrels=Qrels(*pl.DataFrame({"q": [0, 1], "d": [0, 1]}).to_numpy().T),
    )
    found = evaluate(encoder, collection, store)
    result = json.loads(json.dumps(as_json(found, summarise(found)), allow_nan=False))
    assert result["settings"]["cross"]["map"] is None
    assert result["settings"]["multi"]["rank_distance"] is None
    assert result["settings"]["mono"]["map"] == result["settings"]["multi"]["map"] is not None
    assert [row["rank_distance"] for row in result["query_langs"]] == [None]


def test_a_top_k_below_one_is_refused_before_anything_is_encoded(
    encoder, tiny_collection: Collection, store: Store, no_encoding: None
) -> None:
    with pytest.raises(InputError, match="top k must be an integer >= 1, got 0"):
        evaluate(encoder, tiny_collection, store, top_k=0)


def test_the_public_names_are_the_modules_own() -> None:
    assert engine.evaluate is evaluate
    assert engine.Store is Store
    assert {"evaluate", "open_encoder", "open_collection", "summarise"} <= set(dir(engine))
    with pytest.raises(AttributeError, match=r"no attribute 'nonsense'; public are .*evaluate"):
        _ = engine.nonsense


def test_an_old_manifest_without_later_fields_is_read(encoder, tiny_collection: Collection, store: Store) -> None:
    evaluation = evaluate(encoder, tiny_collection, store)
    old = {name: value for name, value in evaluation.manifest.values().items() if name not in ("version", "imported")}
    assert EvaluationManifest.read(old | {"schema": 3, "files": {}}, "it") == evaluation.manifest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "it: its manifest has version 2, this program reads 1"),
        ({"top_k": "many"}, "it: field top_k of its manifest is wrong"),
        ({"collection": {"name": "x"}}, "it: field collection.digest of its manifest is wrong"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_one_line(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        EvaluationManifest.read(manifest_of().values() | change, "it")


def test_an_evaluation_of_a_later_version_is_passed_over(
    encoder, tiny_collection: Collection, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    kept = evaluate(encoder, tiny_collection, store)
    with store.writing("ranks", "later", kept.manifest.values() | {"version": 2}):
        pass
    assert [evaluation.key for evaluation in evaluations(store)] == [kept.key]
    assert "version 2" in caplog.text


@pytest.mark.parametrize("content", ["", "{", "[" * 10**5, "[]", '{"settings": {}}', None], ids=lambda c: str(c)[:9])
def test_damaged_scores_are_one_line_and_computed_again(
    encoder, tiny_collection: Collection, store: Store, caplog: pytest.LogCaptureFixture, content: str | None
) -> None:
    made = evaluate(encoder, tiny_collection, store)
    scores, file = made.figures(), store.path("ranks", made.key) / FIGURES
    whole = file.read_bytes()

    def damage() -> None:
        file.unlink()
        if content is not None:
            file.write_text(content)

    damage()
    assert made.figures() == scores
    assert len(caplog.records) == 1
    assert "the scores were computed again from the ranks" in caplog.text
    assert file.read_bytes() == whole, "the same bytes are written again"
    damage()
    assert find_evaluation(store, made.key).figures() == scores
    assert store.leftovers() == []


def test_damaged_scores_and_ranks_set_the_entry_aside(
    encoder, tiny_collection: Collection, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    made = evaluate(encoder, tiny_collection, store)
    for name in (FIGURES, "ranks.parquet"):
        (store.path("ranks", made.key) / name).write_bytes(b"damaged")
    with pytest.raises(InputError, match="it was broken and set aside; evaluate again"):
        find_evaluation(store, made.key)


def test_scores_of_a_cache_that_cannot_be_written_are_computed_each_time(
    encoder, tiny_collection: Collection, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = evaluate(encoder, tiny_collection, store)
    scores = made.figures()
    (store.path("ranks", made.key) / FIGURES).write_bytes(b"")

    def read_only(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "write_bytes", read_only)
    assert made.figures() == made.figures() == scores


@pytest.mark.parametrize("reorder", [True, False])
def test_texts_that_changed_since_the_evaluation_are_refused(
    encoder, tiny_folder: Path, store: Store, *, reorder: bool
) -> None:
    collection = open_collection(str(tiny_folder), store)
    evaluation = evaluate(encoder, collection, store, opened_as=OpenedAs(collection=str(tiny_folder)))
    assert open_evaluated(evaluation, store).corpus == collection.corpus
    for file in tiny_folder.glob("*.json"):
        content = json.loads(file.read_text(encoding="utf-8"))
        paragraphs = content["data"][0]["paragraphs"]
        content["data"][0]["paragraphs"] = paragraphs[::-1] if reorder else paragraphs[:1]
        content["data"] = content["data"][::-1] if reorder else content["data"][:1]
        file.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match="has changed since it was evaluated"):
        open_evaluated(evaluation, store)
