"""The tables that ship: what was published, row for row, in the direction and under the names that they claim."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from engine.collections.languages import from_tag
from engine.errors import InputError
from engine.published import build
from engine.reference import FOLDER, IMAGES, SPLITS

SOURCES = ("mteb_pairs.parquet", "hybrid_batch_paper_tables.csv", "openclip_multilingual_retrieval.csv")


@pytest.fixture
def reference(shared: Path) -> Path:
    folder = shared / "reference"
    if not all((folder / name).is_file() for name in SOURCES):
        pytest.skip("../shared has no published files")
    return folder


@pytest.fixture
def published(reference: Path) -> pl.DataFrame:
    return pl.read_parquet(reference / "mteb_pairs.parquet")


def shipped(name: str) -> pl.DataFrame:
    return pl.read_parquet(FOLDER / f"{name}.parquet")


def results(*rows: dict[str, object]) -> pl.DataFrame:
    """Rows as MTEB published them, with what does not matter filled in."""
    scores = dict.fromkeys(("recall_at_1", "recall_at_10", "ndcg_at_10", "map_at_100"), 0.5)
    base = {
        "task": "MLQARetrieval",
        "split": "test",
        "model": "org__m",
        "rev": "r",
        "subset": "ara-deu",
        "mteb": "1.2.3",
    }
    return pl.DataFrame([{**base, **scores, **row} for row in rows])


def test_what_ships_is_what_the_published_files_give(reference, tmp_path):
    build.main(["--from", str(reference), "--to", str(tmp_path)])
    built = sorted(tmp_path.iterdir())
    assert len(built) == 3
    for file in built:
        assert pl.read_parquet(file).equals(pl.read_parquet(FOLDER / file.name)), file.name


def test_equal_input_gives_equal_bytes_in_any_order_of_its_rows(reference, tmp_path):
    for folder in ("one", "two", "shuffled"):
        (tmp_path / folder).mkdir()
    for name in SOURCES:
        read, write = (pl.read_csv, "write_csv") if name.endswith("csv") else (pl.read_parquet, "write_parquet")
        getattr(read(reference / name).sample(fraction=1, shuffle=True, seed=1), write)(tmp_path / "shuffled" / name)
    build.build(reference, tmp_path / "one")
    build.build(tmp_path / "shuffled", tmp_path / "two")
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name


def test_all_that_ships_is_small():
    assert sum(file.stat().st_size for file in FOLDER.glob("*.parquet")) < 3_000_000


def test_a_missing_file_is_named_in_one_line(tmp_path):
    (tmp_path / SOURCES[0]).touch()
    with pytest.raises(InputError) as caught:
        build.build(tmp_path, tmp_path)
    assert f"lacks {SOURCES[1]}, {SOURCES[2]}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_subset_names_the_document_language_first():
    row = build.mteb_pairs(results({"subset": "zho-ara"})).row(0, named=True)
    assert (row["query_lang"], row["doc_lang"]) == ("ar", "zh")


def test_a_lexical_baseline_agrees_that_the_document_comes_first():
    # Chinese passages hold names in Latin letters that an English question can match; Chinese questions hold few.
    bm25 = shipped("mteb").filter(task="MLQARetrieval", model="mteb/baseline-bm25s")
    score = {(row["query_lang"], row["doc_lang"]): row["recall@1"] for row in bm25.iter_rows(named=True)}
    assert score["en", "zh"] > 3 * score["zh", "en"]
    assert score["en", "hi"] > 1.5 * score["hi", "en"]


def test_scripts_are_kept_apart_and_image_tasks_have_no_document_language():
    rows = results(
        {"task": "BelebeleRetrieval", "subset": "hin_Deva-hin_Latn"}, {"task": "XM3600T2IRetrieval", "subset": "mi"}
    )
    made = build.mteb_pairs(rows).select("query_lang", "doc_lang").rows()
    assert made == [("hi-Latn", "hi"), ("mi", "image")]


def test_only_the_chosen_split_of_a_chosen_task_ships():
    rows = results({}, {"split": "validation", "subset": "ara-eng"}, {"task": "Other", "subset": "ara-zho"})
    assert build.mteb_pairs(rows)["query_lang"].to_list() == ["de"]


def test_of_several_runs_the_fullest_then_the_latest_then_the_first_by_revision_is_kept():
    def chosen(*rows: dict[str, object]) -> set[tuple[str, str]]:
        return set(build.mteb_pairs(results(*rows)).select("revision", "version").rows())

    fuller = [
        {"rev": "a", "mteb": "1.9.0"},
        {"rev": "a", "mteb": "1.9.0", "subset": "ara-eng"},
        {"rev": "b", "mteb": "2.0.0"},
    ]
    assert chosen(*fuller) == {("a", "1.9.0")}
    assert chosen({"rev": "a", "mteb": "1.9.0"}, {"rev": "b", "mteb": "1.10.0"}) == {("b", "1.10.0")}
    assert chosen({"rev": "b"}, {"rev": "a"}) == {("a", "1.2.3")}
    assert chosen({"rev": "a", "mteb": None}, {"rev": "b", "mteb": "0.0.1"}) == {("b", "0.0.1")}


def test_a_version_that_nobody_told_is_unknown():
    assert build.mteb_pairs(results({"mteb": None}))["version"].to_list() == ["unknown"]


def test_no_task_and_model_has_two_runs_and_no_pair_two_rows():
    mteb = shipped("mteb")
    assert set(mteb["task"]) == set(SPLITS)
    runs = mteb.select("task", "model", "revision", "version").unique()
    assert runs.height == runs.select("task", "model").unique().height
    assert not mteb.select("task", "model", "query_lang", "doc_lang").is_duplicated().any()


def test_every_language_is_known():
    mteb, clip = shipped("mteb"), shipped("clip")
    codes = {*mteb["query_lang"], *mteb.filter(~pl.col("task").is_in(IMAGES))["doc_lang"], *clip["language"]}
    assert codes == {from_tag(code) for code in codes}
    belebele = set(mteb.filter(task="BelebeleRetrieval")["query_lang"])
    assert len(belebele) == 122
    assert codes - belebele == {"fil", "no", "quz"}


def test_where_recall_is_shown_as_r_at_1_queries_have_one_relevant_passage(published):
    # With one relevant passage average precision is the reciprocal rank; ties alone may part the two.
    one = published.filter(
        (pl.col("split") == pl.col("task").replace_strict(SPLITS)) & ~pl.col("task").str.starts_with("MIRACL")
    )
    assert (one["map_at_10"] - one["mrr_at_10"]).abs().max() < 0.006
    many = published.filter(pl.col("task").str.starts_with("MIRACL"))
    assert (many["map_at_10"] - many["mrr_at_10"]).mean() < -0.05


def test_all_figures_of_the_paper_ship_and_its_means_are_those_of_its_rows():
    papers = shipped("papers")
    paper = papers.filter(source="hybrid-batch")
    assert (paper.height, papers.height) == (1032, 1040)
    keys = ["collection", "model", "strategy", "setting", "measure"]
    rows = paper.filter(pl.col("query_lang") != "mean").group_by(keys).agg(pl.col("value").mean().alias("made"))
    both = paper.filter(query_lang="mean").join(rows, on=keys)
    assert both.height == 96
    unit = pl.when(pl.col("measure") == "rank_distance").then(0.05).otherwise(0.00005)  # half the last digit printed
    assert both.filter((pl.col("value") - pl.col("made")).abs() > 1.01 * unit).is_empty()


def test_known_figures_stand_where_they_should():
    arabic = shipped("papers").filter(
        collection="xquad-r", model="XLM-R", setting="cross", measure="map", query_lang="ar"
    )
    values = dict(arabic.select("strategy", "value").rows())
    assert (values["x-x-mono"], values["x-y"]) == (0.6064, 0.6607)
    lareqa = shipped("papers").filter(source="lareqa", collection="xquad-r")
    assert dict(lareqa.select("strategy", "value").rows()) == {
        "en-en": 0.29,
        "x-x": 0.23,
        "x-x-mono": 0.52,
        "x-y": 0.66,
    }


def test_averages_that_open_clip_published_are_the_means_of_our_rows(reference):
    theirs = pl.read_csv(reference / SOURCES[2])
    names = {"crossmodal-3600": "crossmodal3600", "xtd10": "multilingual_mscoco_captions"}
    sides = {"text-to-image": "image_retrieval", "image-to-text": "text_retrieval"}
    clip = shipped("clip")
    assert clip.height == 123 * 2 * (36 + 11)
    means = clip.group_by("dataset", "direction", "model", "pretrained").agg(pl.col("^hit@.*$").mean())
    for (dataset, side), rows in means.group_by("dataset", "direction"):
        both = rows.join(theirs, left_on=["model", "pretrained"], right_on=["model", "version"])
        assert both.height == 123
        for cut in (1, 5, 10):
            average = both[f"{names[dataset]} {sides[side]}_recall@{cut} avg"]
            assert (both[f"hit@{cut}"] - average).abs().max() < 0.000051  # half the last digit printed
