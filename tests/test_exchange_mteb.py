"""MTEB's result files: the old and the new layout are read, ours are written as mteb reads them, faults are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ir_measures
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_measures import AP, RR, R, nDCG

from engine import exchange
from engine.collections.languages import from_tag, to_tag
from engine.collections.structures import Collection
from engine.errors import InputError
from engine.exchange.mteb import DIRECTIONS, NoRetrievalError, read_result
from engine.ranks.schema import PUBLISHED_PAIRS, read_frame
from tests import builders, oracle
from tests.exchange_builders import SCORES, evaluated, new_layout, old_layout, scores, subset, write_result


def test_a_pair_of_mlqa_is_documents_first(tmp_path) -> None:
    rows = [subset("zho-ara", "zho-Hans", "ara-Arab"), subset("eng-eng", "eng-Latn", "eng-Latn", shift=0.1)]
    found = read_result(write_result(tmp_path, new_layout(test=rows)))
    first, second = found.pairs.to_dicts()
    assert (first["query_lang"], first["doc_lang"]) == ("ar", "zh")
    assert (second["query_lang"], second["doc_lang"], second["recall@1"]) == ("en", "en", 0.6)
    assert first | {"query_lang": "", "doc_lang": ""} == {
        "task": "MLQARetrieval",
        "model": "org/m",
        "revision": "r1",
        "version": "1.18.0",
        "query_lang": "",
        "doc_lang": "",
        "recall@1": 0.5,
        "recall@10": 0.75,
        "ndcg@10": 0.625,
        "map@100": 0.6,
    }
    assert (found.split, found.notes) == ("test", ())


@pytest.mark.parametrize("task", DIRECTIONS)
def test_each_known_task_has_its_direction(tmp_path, task) -> None:
    """As the loaders have it: CURE's corpus is English, the sources of semantic discrimination are its queries."""
    queries_first = task in (
        "CUREv1",
        "CrossLingualSemanticDiscriminationWMT19",
        "CrossLingualSemanticDiscriminationWMT21",
    )
    content = new_layout(test=[subset("es", "spa-Latn", "eng-Latn")]) | {"task_name": task}
    pair = read_result(write_result(tmp_path, content)).pairs.select("query_lang", "doc_lang").row(0)
    assert pair == (("es", "en") if queries_first else ("en", "es"))


def test_the_direction_of_an_unknown_task_is_not_guessed(tmp_path) -> None:
    rows = [subset("deu-eng", "deu-Latn", "eng-Latn"), subset("deu-deu", "deu-Latn", "deu-Latn")]
    content = new_layout(test=rows) | {"task_name": "NewRetrieval"}
    found = read_result(write_result(tmp_path, content))
    assert found.pairs.select("query_lang", "doc_lang").rows() == [("de", "de")]
    assert found.notes == (
        "left out: 1 of 2 subsets, such as deu-eng (which of de and en is the query's language is not known for the "
        "task NewRetrieval)",
    )
    content["scores"]["test"].pop()
    with pytest.raises(InputError, match="the languages of no subset are known: deu-eng"):
        read_result(write_result(tmp_path, content))


def test_a_subset_of_many_languages_is_of_the_one_that_its_name_says(tmp_path) -> None:
    content = new_layout(train=[subset("no", "nor-Latn", "nno-Latn", "nob-Latn")]) | {"task_name": "MKQARetrieval"}
    pairs = read_result(write_result(tmp_path, content)).pairs
    assert pairs.select("query_lang", "doc_lang").rows() == [("no", "no")]


@pytest.mark.parametrize(
    ("name", "tags", "pair"),
    [
        ("cmn-eng", ("cmn-Hans", "eng-Latn"), ("en", "zh")),
        ("jpn-jpn", ("jpn-Hira", "jpn-Hira"), ("ja", "ja")),
        ("sqi", ("sqi-Latn",), ("sq", "sq")),
        ("zh-CN", (), ("zh", "zh")),
        ("deu-Latn-eng-Latn", (), ("en", "de")),
    ],
)
def test_tags_are_those_of_any_standard(tmp_path, name: str, tags: tuple[str, ...], pair: tuple[str, str]) -> None:
    content = new_layout(test=[subset(name, *tags)]) | {"task_name": "XPQARetrieval"}
    assert read_result(write_result(tmp_path, content)).pairs.select("query_lang", "doc_lang").rows() == [pair]


def test_a_task_of_another_kind_is_no_retrieval(tmp_path) -> None:
    sts = {"hf_subset": "de-en", "languages": ["deu-Latn", "eng-Latn"], "cosine_spearman": 0.6}
    for content in (
        new_layout(test=[sts]) | {"task_name": "STS22"},
        new_layout(test=[subset("de", "deu-Latn")]) | {"task_name": "MIRACLReranking"},
    ):
        with pytest.raises(NoRetrievalError, match=f"task {content['task_name']} has no retrieval scores"):
            read_result(write_result(tmp_path, content))


def test_the_order_is_that_of_published_results(shared) -> None:
    """MTEB's own subsets, whose languages are told beside the names, are read as the shipped table has them."""
    pairs = pl.read_parquet(shared / "reference" / "mteb_pairs.parquet", columns=["task", "subset", "langs"]).unique()
    pairs = pairs.filter(pl.col("task").is_in(["MLQARetrieval", "BelebeleRetrieval"]))
    assert pairs.height == 49 + 376
    for row in pairs.iter_rows(named=True):
        document, query = row["langs"].split("|")
        assert [from_tag(tag) for tag in row["subset"].split("-")] == [from_tag(document), from_tag(query)]


@pytest.mark.parametrize(
    ("split", "pair"),
    [
        ({"de": scores(), "evaluation_time": 3.0}, ("de", "de")),
        ({"deu-deu_Latn": scores()}, ("de", "de")),
        ({"jp": scores()}, ("ja", "ja")),
    ],
)
def test_the_layout_before_1_11_is_read(tmp_path, split, pair) -> None:
    found = read_result(write_result(tmp_path, old_layout(dev=split)))
    assert found.pairs.select("query_lang", "doc_lang").rows() == [pair]
    assert found.pairs.select("task", "version").row(0) == ("MIRACLRetrieval", "1.2.0")
    assert found.split == "dev"


def test_the_test_split_comes_first_and_the_others_are_told(tmp_path) -> None:
    row = subset("de", "deu-Latn")
    found = read_result(write_result(tmp_path, new_layout(validation=[row], test=[{**row, "recall_at_1": 0.125}])))
    assert found.pairs["recall@1"].to_list() == [0.125]
    assert found.notes == ("only the split test is taken; validation left out",)
    assert read_result(write_result(tmp_path, new_layout(validation=[row], train=[]))).split == "validation"


def test_subsets_of_unknown_or_many_languages_are_left_out_and_told(tmp_path) -> None:
    rows = [
        subset("xx-de", "xxx-Latn", "deu-Latn"),
        subset("default", "deu-Latn", "eng-Latn", "spa-Latn"),
        subset("de", "deu-Latn"),
    ]
    found = read_result(write_result(tmp_path, new_layout(test=rows)))
    assert found.pairs["query_lang"].to_list() == ["de"]
    [note] = found.notes
    assert note.startswith("left out: 2 of 3 subsets, such as xx-de (language 'xxx-Latn' is unknown")


def test_images_stand_for_documents_and_not_for_queries(tmp_path) -> None:
    content = new_layout(test=[subset("de", "deu-Latn")]) | {"task_name": "XM3600T2IRetrieval"}
    assert read_result(write_result(tmp_path, content)).pairs.select("query_lang", "doc_lang").row(0) == ("de", "image")
    with pytest.raises(InputError, match="queries are images"):
        read_result(write_result(tmp_path, content | {"task_name": "XM3600I2TRetrieval"}))


@pytest.mark.parametrize(
    ("place", "meta", "given", "expected"),
    [
        ("x", ("org/m", "r1"), None, ("org/m", "r1")),
        ("org__some__model/rev9", None, None, ("org/some__model", "rev9")),
        ("org__model/rev9", {"name": None, "revision": None}, None, ("org/model", "rev9")),
        ("x", None, "mine", ("mine", "unknown")),
        ("x", ("org/m", "r1"), "mine", ("mine", "r1")),
    ],
)
def test_the_model_is_told_beside_the_file_by_its_folders_or_by_the_user(
    tmp_path, place, meta, given, expected
) -> None:
    file = write_result(tmp_path / place, new_layout(test=[subset("de", "deu-Latn")]), meta=meta)
    assert read_result(file, given).pairs.select("model", "revision").row(0) == expected


def test_without_a_version_it_is_unknown(tmp_path) -> None:
    content = new_layout(test=[subset("de", "deu-Latn")])
    del content["mteb_version"]
    assert read_result(write_result(tmp_path, content)).pairs["version"].to_list() == ["unknown"]


_FAULTS = {
    "no JSON": ("{", "not JSON"),
    "a list": ([], "must be the JSON object of an MTEB result, got a list"),
    "no task": ({"scores": {}}, "names no task; expected `task_name`"),
    "no scores": (new_layout(), "has no scores"),
    "no splits": (old_layout(), "has no scores"),
    "scores in a list": ({**new_layout(), "scores": []}, "scores: must be lists of subsets by split, got a list"),
    "a subset that is none": (new_layout(test=["x"]), r"scores\.test\[0\]: expected an object with hf_subset"),
    "languages in words": (
        new_layout(test=[subset("de") | {"languages": "de"}]),
        r"scores\.test\[0\]: expected an object",
    ),
    "no language": (
        old_layout(test=scores()),
        r"scores\.test: the languages of no subset are known: default \(language",
    ),
    "no retrieval": (
        new_layout(test=[{"hf_subset": "de", "languages": ["deu-Latn"], "accuracy": 0.5}]),
        "task MLQARetrieval has no retrieval scores",
    ),
    "a measure that is missing": (
        new_layout(test=[{"hf_subset": "de", "languages": ["deu-Latn"], "recall_at_1": 0.5}]),
        r"recall_at_10: must be a score from 0 to 1, got nothing",
    ),
    "percent": (
        new_layout(test=[subset("de", "deu-Latn") | {"ndcg_at_10": 62.5}]),
        r"ndcg_at_10: must be a score from 0 to 1, got 62.5",
    ),
    "a word": (
        new_layout(test=[subset("de", "deu-Latn") | {"map_at_100": "x"}]),
        r"map_at_100: must be a score from 0 to 1, got 'x'",
    ),
    "not a number": (
        new_layout(test=[subset("de", "deu-Latn") | {"map_at_100": float("nan")}]),
        r"map_at_100: must be a score from 0 to 1, got nan",
    ),
    "true": (
        new_layout(test=[subset("de", "deu-Latn") | {"recall_at_1": True}]),
        r"recall_at_1: must be a score from 0 to 1, got True",
    ),
    "a pair twice": (
        new_layout(test=[subset("a", "deu-Latn"), subset("b", "deu-Latn")]),
        r"scores\.test: queries in de on documents in de occur twice",
    ),
}


@pytest.mark.parametrize(("content", "message"), list(_FAULTS.values()), ids=list(_FAULTS))
def test_a_fault_is_told_with_its_file_and_place(store, tmp_path, content, message) -> None:
    with pytest.raises(InputError, match=rf"task\.json: (scores\.test\.de\.)?{message}"):
        exchange.import_file(write_result(tmp_path, content), store)
    assert not list(store.entries("imports"))


def test_a_file_without_a_model_says_how_to_give_one(tmp_path) -> None:
    file = write_result(tmp_path / "x", new_layout(test=[subset("de", "deu-Latn")]), meta=None)
    with pytest.raises(InputError, match=r"task\.json: names no model; give its name, put model_meta\.json beside it"):
        read_result(file)


def test_an_imported_result_is_kept_once(store, tmp_path) -> None:
    file = write_result(tmp_path, new_layout(test=[subset("zho-ara", "zho-Hans", "ara-Arab")]))
    first, second = exchange.import_file(file, store), exchange.import_file(file, store)
    assert (first.kind, first.new, second.new, first.key) == ("result", True, False, second.key)
    assert first.title == "org/m on MLQARetrieval (test), 1 language pair"
    [(key, about)] = store.entries("imports")
    assert (key, about["task"], about["model"], about["split"], about["source"]) == (
        first.key,
        "MLQARetrieval",
        "org/m",
        "test",
        "task.json",
    )
    assert read_frame(store.path("imports", key) / "pairs.parquet", PUBLISHED_PAIRS).equals(read_result(file).pairs)
    other = exchange.import_file(file, store, name="other")
    assert other.new
    assert other.key != first.key


def test_a_folder_stands_for_the_results_in_it(tmp_path, store) -> None:
    for name in ("org__a/r1", "org__b/r2"):
        write_result(tmp_path / name, new_layout(test=[subset("de", "deu-Latn")]), name="X.json")
    found = exchange.import_paths([tmp_path], store)
    assert [Path(one.file).relative_to(tmp_path).parts[0] for one in found.imported] == ["org__a", "org__b"]
    (tmp_path / "empty").mkdir()
    assert exchange.import_paths([tmp_path / "empty"], store) == exchange.Outcome()


LANGUAGE_SET = ("ar", "de", "zh-Hant")


@pytest.fixture(scope="module")
def collection() -> Collection:
    return oracle.random_collection(np.random.default_rng(8), LANGUAGE_SET, 6, 14, 3)


@pytest.fixture
def result(collection, store, tmp_path) -> tuple[Path, dict[str, Any]]:
    """Our own result of an evaluation: its file and what it holds."""
    evaluation = evaluated(collection, store, name="org/a model, by name")
    exchange.export_evaluation(evaluation, store, tmp_path / "out", ["mteb"])
    [file] = (tmp_path / "out").rglob("by-hand.json")
    return file, json.loads(file.read_text(encoding="utf-8"))


def test_our_result_has_the_fields_of_a_task_result(result) -> None:
    file, content = result
    assert list(content) == [
        "dataset_revision",
        "task_name",
        "mteb_version",
        "evaluation_time",
        "kg_co2_emissions",
        "scores",
    ]
    assert (content["mteb_version"], content["evaluation_time"]) == (None, 1.5)
    assert len(content["scores"]["test"]) == 9
    for row in content["scores"]["test"]:
        assert isinstance(row["main_score"], float)
        assert row["hf_subset"] == "-".join(tag.replace("-", "_") for tag in row["languages"])
        assert all(from_tag(tag) in LANGUAGE_SET and len(tag.split("-")[0]) == 3 for tag in row["languages"])
    meta = json.loads((file.parent / "model_meta.json").read_text(encoding="utf-8"))
    assert meta["name"] == "org/a model, by name"
    assert (file.parent.parent.name, file.parent.name) == ("org__a-model-by-name", meta["revision"])


def test_ir_measures_finds_the_figures_of_our_result(collection, store, result, tmp_path) -> None:
    folder = builders.write_beir(tmp_path / "by hand", *builders.beir_rows(collection))
    evaluation = evaluated(collection, store, name="trec", opened_as=str(folder))
    exchange.export_evaluation(evaluation, store, tmp_path / "trec", ["trec"])
    measures = {"ndcg_at_10": nDCG @ 10, "map_at_5": AP @ 5, "mrr_at_3": RR @ 3, "recall_at_20": R @ 20}
    for row in result[1]["scores"]["test"]:
        document, query = map(from_tag, row["languages"])
        name = "mono" if document == query else "cross"
        judged = [
            q
            for q in ir_measures.read_trec_qrels(str(tmp_path / "trec" / f"{name}.qrels"))
            if q.query_id.endswith(f"-{query}/{document}")
        ]
        run = list(ir_measures.read_trec_run(str(tmp_path / "trec" / f"{name}.run")))
        found = ir_measures.calc_aggregate(list(measures.values()), judged, run)
        assert {ours: row[ours] for ours in measures} == pytest.approx({ours: found[m] for ours, m in measures.items()})


def test_our_result_comes_back(store, result) -> None:
    found = exchange.import_file(result[0], store)
    back = read_frame(store.path("imports", found.key) / "pairs.parquet", PUBLISHED_PAIRS)
    assert back.select("model", "version").row(0) == ("org/a model, by name", "unknown")
    rows = {tuple(map(from_tag, reversed(row["languages"]))): row for row in result[1]["scores"]["test"]}
    for row in back.iter_rows(named=True):
        theirs = rows[row["query_lang"], row["doc_lang"]]
        assert (row["recall@1"], row["map@100"]) == (theirs["recall_at_1"], theirs["map_at_100"])
    assert back.height == len(rows)


def test_standard_varieties_are_written_as_mteb_has_them() -> None:
    codes = ("ar", "ja", "zh-Hant", "ko", "ms", "uz")
    tags = ("ara-Arab", "jpn-Jpan", "zho-Hant", "kor-Kore", "zsm-Latn", "uzn-Latn")
    assert tuple(map(to_tag, codes)) == tags


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["hf_subset", "languages", "test", *SCORES]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None, max_examples=150)
@given(
    content=st.dictionaries(
        st.sampled_from(["task_name", "mteb_dataset_name", "mteb_version", "scores", "test"]), _JSON
    )
)
def test_no_content_brings_down_the_reader(tmp_path_factory, content) -> None:
    file = write_result(tmp_path_factory.getbasetemp() / "fuzz", content)
    try:
        read_result(file)
    except InputError as error:
        assert "task.json" in str(error)
