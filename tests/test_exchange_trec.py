"""TREC runs and judgements: ir_measures finds our figures in what is written, and what is read is ranked as it does."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import exchange
from engine.collections.structures import Collection
from engine.errors import InputError
from engine.evaluation.evaluate import find_evaluation
from engine.evaluation.summary import summarise
from engine.exchange.ids import Names
from engine.exchange.trec import own_passages, place_run, read_qrels, read_run
from engine.ranks.metrics import METRICS, per_query
from engine.storage.store import Store
from tests import builders, oracle
from tests.builders import manifest_of
from tests.exchange_builders import evaluated, figures_agree, judged_by_ir_measures, per_topic, same_ranks

LANGUAGES = ("de", "en", "zh-Hant")
SETTINGS = ("mono", "cross", "multi")


@pytest.fixture(scope="module")
def collection() -> Collection:
    return oracle.random_collection(np.random.default_rng(3), LANGUAGES, questions=7, candidates=15, most_relevant=3)


@pytest.fixture(scope="module")
def folder(collection: Collection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection as a BEIR folder, with ids of its own."""
    return builders.write_beir(tmp_path_factory.mktemp("trec") / "by hand", *builders.beir_rows(collection))


@pytest.fixture
def written(collection: Collection, folder: Path, store: Store, tmp_path: Path) -> Callable[..., Path]:
    """Exports an evaluation of the collection as TREC files; gives their folder."""

    def write(**options: object) -> Path:
        evaluation = evaluated(collection, store, opened_as=str(folder), **options)
        out = tmp_path / f"out-{evaluation.key}"
        exchange.export_evaluation(evaluation, store, out, ["trec"])
        return out

    return write


def rewrite(file: Path, change: Callable[[list[str]], object]) -> Path:
    """Change a file's lines in place."""
    lines = file.read_text(encoding="utf-8").splitlines()
    lines = change(lines) or lines
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("seed", range(3))
def test_ir_measures_finds_our_figures_in_the_exported_files(collection, store, written, setting, seed) -> None:
    out = written(seed=seed)
    evaluation = evaluated(collection, store, seed=seed)
    theirs = judged_by_ir_measures(out / f"{setting}.run", out / f"{setting}.qrels")
    ours = per_topic(per_query(evaluation.ranks(), setting))
    assert {topic: pytest.approx(values, abs=1e-9) for topic, values in theirs.items()} == {
        "/".join(["-".join(key[:2]), *key[2:]]): values for key, values in ours.items()
    }


def test_the_scores_have_many_ties_of_which_none_is_left_in_the_run(collection, store, written) -> None:
    out = written()
    scores = evaluated(collection, store).top()
    per = ["question", "query_lang"]
    assert scores.select(pl.struct(*per, "score").is_duplicated().mean()).item() > 0.5
    assert scores["score"].min() < 0 < scores["score"].max()
    run, _ = read_run(out / "multi.run")
    falls = run.sort("query_id", "rank").select(pl.col("score").diff().over("query_id").drop_nulls())
    assert (falls["score"] < 0).all()
    assert (
        run.select(pl.col("score").cast(pl.Float32).n_unique().over("query_id") == pl.len().over("query_id"))
        .to_series()
        .all()
    )
    assert set(run["rank"]) == set(range(1, len(collection.corpus) + 1))


def test_a_run_line_and_a_judgement_are_as_trec_has_them(written, collection) -> None:
    out = written(name="a model, by name")
    line = (out / "multi.run").read_text(encoding="utf-8").splitlines()[0]
    assert re.fullmatch(r"q\d-de Q0 d\d+ 1 -?[\d.e-]+ a_model,_by_name", line)
    judgements = (out / "multi.qrels").read_text(encoding="utf-8").splitlines()
    assert len(judgements) == len(collection.qrels)
    assert all(re.fullmatch(r"q\d-\S+ 0 d\d+ 1", judgement) for judgement in judgements)


def test_a_full_run_comes_back_as_the_same_evaluation(collection, store, written) -> None:
    out = written(seed=4)
    found = exchange.import_file(out / "multi.run", store)
    back, origin = find_evaluation(store, found.key), evaluated(collection, store, seed=4)
    assert (found.kind, found.new, found.notes) == ("evaluation", True, ())
    assert same_ranks(origin, back)
    assert figures_agree(origin, back)
    assert back.manifest.collection == origin.manifest.collection
    assert back.manifest.imported.missing == 0
    assert all(set(exact) == set(METRICS) for exact in back.manifest.imported.exact.values())
    assert not exchange.import_file(out / "multi.run", store).new


def test_a_run_is_read_with_a_collection_in_place_of_a_map(collection, folder, store, written) -> None:
    out = written(seed=5)
    (out / "languages.tsv").unlink()
    (out / "multi.qrels").unlink()
    found = exchange.import_file(out / "multi.run", store, collection=str(folder), name="theirs")
    back = find_evaluation(store, found.key)
    assert same_ranks(evaluated(collection, store, seed=5), back)
    assert back.manifest.encoder.name == "theirs"
    assert back.manifest.opened_as.collection == str(folder.resolve())


def test_ids_of_a_collection_without_any_are_made_and_read_back(tiny_collection, tiny_folder, store, tmp_path) -> None:
    evaluation = evaluated(tiny_collection, store, opened_as=str(tiny_folder))
    exchange.export_evaluation(evaluation, store, tmp_path / "out", ["trec"])
    run, _ = read_run(tmp_path / "out" / "multi.run")
    assert {"q0-ar", "q3-en"} <= set(run["query_id"])
    assert {"ar-0", "en-17"} <= set(run["doc_id"])
    found = exchange.import_file(tmp_path / "out" / "multi.run", store, collection=str(tiny_folder))
    assert same_ranks(evaluation, find_evaluation(store, found.key))


def test_an_imported_run_is_exported_with_its_own_ids(collection, store, written, tmp_path) -> None:
    out = written(seed=6)
    found = exchange.import_file(out / "multi.run", store, collection=None, name="again")
    again = tmp_path / "again"
    exchange.export_evaluation(find_evaluation(store, found.key), store, again, ["trec"])
    for name in ("multi.qrels", "cross.qrels", "languages.tsv"):
        assert sorted((again / name).read_text().splitlines()) == sorted((out / name).read_text().splitlines())


@pytest.mark.parametrize("depth", [1, 4, 20])
def test_of_a_short_run_the_metrics_said_to_be_exact_are_and_the_others_are_lower_bounds(
    collection, store, written, depth
) -> None:
    out = written(seed=7, top_k=depth)
    back = find_evaluation(store, exchange.import_file(out / "multi.run", store).key)
    told, whole = back.manifest.imported, evaluated(collection, store, seed=7)
    for setting in SETTINGS:
        ours, theirs = (per_query(e.ranks(), setting) for e in (whole, back))
        for metric in METRICS:
            difference = ours[metric] - theirs[metric]
            assert difference.min() >= -1e-12, (setting, metric)
            assert metric not in told.exact[setting] or difference.abs().max() < 1e-12, (setting, metric)
    assert told.relevant == len(collection.qrels)
    assert told.missing == back.ranks()["score"].is_nan().sum() > 0
    assert summarise(back).mean_rank_distance() is None
    assert back.figures()["settings"]["multi"]["rank_distance"] is None
    listed = back.ranks().filter(pl.col("score").is_not_nan()).drop("score")
    assert listed.join(whole.ranks(), on=listed.columns, how="anti").is_empty()


def test_what_is_exact_follows_from_the_depth(store, written) -> None:
    told = {}
    for depth in (1, 10):
        out = written(seed=8, top_k=depth)
        told[depth] = find_evaluation(store, exchange.import_file(out / "multi.run", store).key).manifest.imported.exact
    assert told[1]["multi"] == ("hit@1", "recall@1")
    assert {"hit@1", "hit@5", "hit@10", "ndcg@10", "recall@1", "recall@10"} <= set(told[10]["multi"])
    assert not {"map", "recall@100"} & set(told[10]["multi"])
    assert told[1]["cross"] == ()


def test_ir_measures_agrees_with_the_imported_figures_of_a_short_run(store, written) -> None:
    out = written(seed=9, top_k=10)
    back = find_evaluation(store, exchange.import_file(out / "multi.run", store).key)
    ours = per_topic(per_query(back.ranks(), "multi"))
    theirs = judged_by_ir_measures(out / "multi.run", out / "multi.qrels")
    assert ours
    for key, values in ours.items():
        found = theirs["-".join(key)]
        for metric in ("hit@1", "hit@5", "ndcg@10", "recall@1", "recall@10"):
            assert values[metric] == pytest.approx(found[metric], abs=1e-9)
        assert found["map"] <= values["map"] + 1e-12  # trec_eval counts nothing for what is missing


def test_a_limit_is_told_in_words(store, written) -> None:
    out = written(seed=1, top_k=5)
    about = find_evaluation(store, exchange.import_file(out / "multi.run", store).key).manifest
    told = " ".join(exchange.limits(about))
    for part in (
        "multi.run",
        "TREC run",
        "at most 5 passages",
        f"{about.imported.missing:,} of",
        "lower bounds",
        "multi: R@1",
    ):
        assert part in told
    assert exchange.limits(manifest_of()) == []


def test_scores_count_and_equal_ones_are_ordered_by_rank(collection, store, written) -> None:
    out = written(seed=2)
    whole = exchange.import_file(out / "multi.run", store, name="whole").key

    def flatten(lines: list[str]) -> list[str]:
        cells = [line.split() for line in lines]
        return [" ".join([*row[:4], "0.5", *row[5:]]) for row in reversed(cells)]

    ties = exchange.import_file(rewrite(out / "multi.run", flatten), store, name="ties").key
    assert same_ranks(find_evaluation(store, whole), find_evaluation(store, ties))

    def swap_ranks(lines: list[str]) -> list[str]:
        cells = [line.split() for line in lines]
        return [" ".join([*row[:3], str(1000 - int(row[3])), str(-int(row[3])), row[5]]) for row in cells]

    scored = exchange.import_file(rewrite(out / "multi.run", swap_ranks), store, name="scores").key
    assert same_ranks(find_evaluation(store, whole), find_evaluation(store, scored))


def test_tabs_packed_files_and_beir_judgements_are_read_too(collection, store, written) -> None:
    out = written(seed=3)
    whole = exchange.import_file(out / "multi.run", store, name="whole").key
    packed = out / "other.run.gz"
    packed.write_bytes(gzip.compress((out / "multi.run").read_text().replace(" ", "\t").replace("\n", "\r\n").encode()))
    lines = [line.split() for line in (out / "multi.qrels").read_text().splitlines()]
    rows = ["query-id\tcorpus-id\tscore", *("\t".join([row[0], row[2], row[3]]) for row in lines)]
    (out / "other.tsv").write_text("\n".join([*rows, f"{lines[0][0]}\td9\t0"]))
    found = exchange.import_file(packed, store, qrels=out / "other.tsv", name="whole")
    assert same_ranks(find_evaluation(store, whole), find_evaluation(store, found.key))


def test_queries_without_judgements_or_lists_are_counted(store, written) -> None:
    out = written(seed=3)
    rewrite(out / "multi.run", lambda lines: [line for line in lines if not line.startswith("q0-de ")])
    rewrite(out / "multi.qrels", lambda lines: [line for line in lines if not line.startswith(("q1-en ", "q2-en "))])
    found = exchange.import_file(out / "multi.run", store)
    assert found.notes == (
        "2 queries of the run have no relevant passage and were left out.",
        "1 of 19 judged queries are not in the run: nothing was found for them.",
    )
    back = find_evaluation(store, found.key)
    assert per_query(back.ranks(), "multi").filter(question="q0", query_lang="de")["hit@10"].item() == 0


def test_lists_of_one_language_each_are_remarked(store, written) -> None:
    out = written(seed=3)
    pool = {line.split("\t")[1]: line.split("\t")[2] for line in (out / "languages.tsv").read_text().splitlines()}
    rewrite(
        out / "multi.run",
        lambda lines: [line for line in lines if line.split()[0].endswith(f"-{pool[line.split()[2]]}")],
    )
    [note] = exchange.import_file(out / "multi.run", store).notes
    assert "one language only" in note


_FAULTS = {
    "a short line": ("multi.run", 2, "q0-de Q0 d1 1 0.5", r":3: expected query, Q0, .*; got 'q0-de Q0 d1 1 0.5'"),
    "a score in words": (
        "multi.run",
        0,
        "q0-de Q0 d1 1 high tag",
        r":1: expected query, Q0, passage, rank, score, tag$",
    ),
    "no finite score": ("multi.run", 0, "q0-de Q0 d1 1 nan tag", r":1: the score must be a finite number, got nan"),
    "a passage twice": ("multi.run", 1, None, r":2: passage 'd\d+' occurs twice for query 'q0-de'"),
    "an unknown passage": (
        "multi.run",
        3,
        "q0-de Q0 d999 4 -9 tag",
        r":4: passage 'd999' is unknown; expected an id",
    ),
    "an unknown judged query": ("multi.qrels", 1, "q9-de 0 d1 1", r":2: query 'q9-de' is unknown"),
    "no judgement": ("multi.qrels", 5, "q0-de d1", r":6: expected query, 0, passage, relevance; got 'q0-de d1'"),
    "relevance in words": ("multi.qrels", 5, "q0-de 0 d1 yes", r":6: expected query, 0, passage, relevance; got"),
    "a kind that is none": ("languages.tsv", 2, "passage\td1\tde\t", r":3: .*kind is query or document"),
    "a language that is none": ("languages.tsv", 3, "query\tx\tklingon\tx", r":4: language 'klingon' is unknown"),
    "an id twice": ("languages.tsv", 2, None, r":3: query 'q0-de' occurs twice"),
    "a question twice": ("languages.tsv", 2, "query\tother\tde\tq0", r":3: question 'q0' occurs twice in de"),
}


@pytest.mark.parametrize(("name", "row", "line", "message"), list(_FAULTS.values()), ids=list(_FAULTS))
def test_a_fault_is_told_with_its_file_and_line(store, written, name, row, line, message) -> None:
    out = written(seed=0)

    def spoil(lines: list[str]) -> None:
        lines[row] = lines[row - 1] if line is None else line

    rewrite(out / name, spoil)
    with pytest.raises(InputError, match=f"{re.escape(str(out / name))}{message}"):
        exchange.import_file(out / "multi.run", store)
    assert len(list(store.entries("ranks"))) == 1


def test_what_is_missing_beside_a_run_is_told(store, written) -> None:
    out = written(seed=0)
    (out / "multi.qrels").unlink()
    with pytest.raises(InputError, match=r"multi\.run: judgements are missing; give them as well"):
        exchange.import_file(out / "multi.run", store)
    (out / "languages.tsv").unlink()
    with pytest.raises(InputError, match=r"multi\.run: a run alone names no languages"):
        exchange.import_file(out / "multi.run", store)


@pytest.mark.parametrize("mark", ["%", "%20", "\u3000", "\u00a0", "é"])
def test_ids_with_any_mark_are_read_from_files_of_others_and_from_ours(collection, store, tmp_path, mark) -> None:
    texts, queries, qrels = builders.beir_rows(collection)
    for row in [*texts, *queries]:
        row["_id"] = f"a{mark}{row['_id']}"
    judged = [(f"a{mark}{query}", f"a{mark}{document}", score) for query, document, score in qrels]
    folder = builders.write_beir(tmp_path / "marked", texts, queries, judged)
    evaluation = evaluated(collection, store, opened_as=str(folder))
    exchange.export_evaluation(evaluation, store, tmp_path / "out", ["trec"])
    ours = tmp_path / "out" / "multi.run"
    theirs = tmp_path / "theirs.run"
    raw = re.sub("a(%25|%E3%80%80|%C2%A0)", lambda found: "a" + ("%" if "%" in mark else mark), ours.read_text())
    theirs.write_text(raw)
    assert (raw != ours.read_text()) == (mark != "é")
    for file, more in ((ours, {}), (theirs, {"collection": str(folder)})):
        found = exchange.import_file(file, store, name=file.name, **more)
        assert same_ranks(evaluation, find_evaluation(store, found.key))


def test_judged_passages_that_are_not_in_the_corpus_are_counted(store, written) -> None:
    out = written(seed=3)
    whole = find_evaluation(store, exchange.import_file(out / "multi.run", store).key)
    rewrite(out / "multi.qrels", lambda lines: [*lines, "q0-de 0 gone-1 1", "q0-en 0 gone-2 1", "q0-en 0 gone-3 0"])
    found = exchange.import_file(out / "multi.run", store, name="more")
    [note] = found.notes
    judged, theirs = whole.ranks().height, find_evaluation(store, found.key)
    assert note.startswith(f"2 of {judged + 2} relevant passages are not in the corpus, such as 'gone-1'")
    assert theirs.manifest.collection.absent == 2
    assert theirs.ranks().filter(pl.col("doc") >= 0).equals(whole.ranks())
    rewrite(out / "multi.qrels", lambda _: ["q0-de 0 gone-1 1"])
    with pytest.raises(InputError, match="'gone-1' and all other judged passages are not in the corpus"):
        exchange.import_file(out / "multi.run", store)


def test_the_content_of_a_file_of_another_kind_is_never_quoted(store, written, tmp_path) -> None:
    out = written(seed=0)
    secret = tmp_path / "passwords"
    for content in ("root:x:0:0:hunter2", '{"hunter2": 1', "a\thunter2\tb", "hunter2,a,b", "x hunter2 y z", "[hunter2"):
        secret.write_text(f"{content}\n{content}\n")
        for paths in ({}, {"qrels": secret}, {"languages": secret}):
            with pytest.raises(InputError) as caught:
                exchange.import_file(out / "multi.run" if paths else secret, store, **paths)
            assert "hunter2" not in str(caught.value)


def test_other_files_are_refused(store, written, tmp_path) -> None:
    out = written(seed=0)
    for content in (b"", b"\xff\xfe\x00", b"\n\n"):
        (out / "multi.run").write_bytes(content)
        with pytest.raises(InputError, match=r"multi\.run(:1)?: (is empty|not text)"):
            exchange.import_file(out / "multi.run", store)
    rewrite(out / "multi.run", lambda _: ["x Q0 d1 1 0.5 tag"])
    with pytest.raises(InputError, match=r"multi\.run:1: query 'x' and all others of the run have no judgements"):
        exchange.import_file(out / "multi.run", store)


def test_a_collection_that_has_changed_is_not_named(collection, folder, store, tmp_path) -> None:
    texts, queries, qrels = builders.beir_rows(collection)
    other = builders.write_beir(
        tmp_path / "changed", [{**row, "text": row["text"] + "!"} for row in texts], queries, qrels
    )
    evaluation = evaluated(collection, store, opened_as=str(other))
    with pytest.raises(InputError, match="has changed since it was evaluated"):
        exchange.export_evaluation(evaluation, store, tmp_path / "out", ["trec"])
    assert not (tmp_path / "out").exists()


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_run_places_what_it_lists_as_a_slow_search_does(data) -> None:
    pool = [("a", "de"), ("b", "de"), ("c", "en"), ("d", "en"), ("e", "en")]
    names = Names.of([("q", "question", "de")], pool)
    relevant = data.draw(st.sets(st.sampled_from("abcde"), min_size=1))
    listed = data.draw(st.permutations("abcde"))[: data.draw(st.integers(1, 5))]
    rows = [("q", name, i, -float(i), "run:1") for i, name in enumerate(listed, 1)]
    run = pl.DataFrame(rows, ["query_id", "doc_id", "rank", "score", "place"], orient="row")
    qrels = pl.DataFrame(
        [("q", name, "qrels:1") for name in sorted(relevant)], ["query_id", "doc_id", "place"], orient="row"
    )
    ranks, top = place_run(run, qrels, qrels.clear(), own_passages(qrels, names), names)
    rest = [name for name, _ in pool if name not in listed]
    order = [
        *listed,
        *(n for n in rest if n not in relevant),
        *(n for n in rest if n in relevant),
    ]  # the worst that can be
    code = dict(pool)
    for row in ranks.iter_rows(named=True):
        name = "abcde"[row["doc"]]
        own = [other for other in order if code[other] == code[name]]
        assert row["rank_in_pool"] == order.index(name) + 1
        assert row["rank_in_language"] == own.index(name) + 1
        assert np.isnan(row["score"]) == (name not in listed)
    assert ["abcde"[doc] for doc in top["doc"]] == list(listed)
    assert len(ranks) == len(relevant)


def test_judgements_of_no_relevance_do_not_count(tmp_path) -> None:
    file = tmp_path / "x.qrels"
    file.write_text("q 0 a 1\nq 0 b 0\nq 0 c -1\nq 0 a 2\n")
    assert read_qrels(file).rows() == [("q", "a", f"{file}:1")]
    file.write_text("q 0 a 0\n")
    with pytest.raises(InputError, match="has no relevant passage"):
        read_qrels(file)
