"""The literature's figures as frames: what they come to, which cells are faulty, and what was imported beside them."""

from __future__ import annotations

from statistics import mean, stdev

import polars as pl
import pytest

from engine import published
from engine.errors import InputError
from engine.ranks.metrics import label
from engine.ranks.schema import PUBLISHED_PAIRS
from engine.reference import SPLITS
from engine.storage.store import Store

MLQA = published.find_task("MLQARetrieval")


@pytest.fixture(scope="module")
def mlqa() -> pl.DataFrame:
    return published.of_task(MLQA, published.shipped())


def made_up(scores: dict[str, dict[str, float]], version: str = "1.2.3") -> pl.DataFrame:
    """Results by model and pair, a pair being written "query-document"."""
    rows = [
        (model, "r", version, *pair.split("-"), value)
        for model, pairs in scores.items()
        for pair, value in pairs.items()
    ]
    return pl.DataFrame(rows, schema=["model", "revision", "version", "query_lang", "doc_lang", "hit@1"], orient="row")


SCORES = {"de-de": 0.9, "de-en": 0.5, "en-de": 0.3, "en-en": 0.7}


def row_of(points: pl.DataFrame, model: str) -> dict[str, float]:
    return points.row(by_predicate=pl.col("model") == model, named=True)


def test_means_are_macro_over_query_languages():
    uneven = {"de-de": 0.9, "en-de": 0.3, "en-en": 0.7, "en-fr": 0.2}
    row = row_of(published.points(made_up({"m": uneven}), "hit@1"), "m")
    english = mean([0.3, 0.7, 0.2])
    assert row["mean"] == pytest.approx(mean([0.9, english]))
    assert row["spread"] == pytest.approx(stdev([0.9, english]))
    assert row["mono"] == pytest.approx(mean([0.9, 0.7]))
    assert row["cross"] == pytest.approx(mean([0.3, 0.2]))


def test_a_model_with_a_gap_has_no_mean():
    points = published.points(made_up({"whole": SCORES, "gap": {"de-de": 0.9, "en-en": 0.7}}), "hit@1")
    row = row_of(points, "gap")
    assert [row[name] for name in ("mono", "cross", "mean", "spread")] == [None] * 4
    assert (row["cells"], row["expected"]) == (2, 4)
    assert row_of(points, "whole")["cross"] == pytest.approx(0.4)


def test_pairs_can_be_left_out_of_everyones_means():
    results = made_up({"whole": SCORES, "gap": {pair: 0.5 for pair in SCORES if pair != "de-en"}})
    points = published.points(results, "hit@1", [("de", "en")])
    assert row_of(points, "whole")["cross"] == pytest.approx(0.3)
    assert row_of(points, "whole")["mean"] == pytest.approx(mean([0.9, mean([0.3, 0.7])]))
    assert row_of(points, "gap")["cross"] == pytest.approx(0.5)
    assert points["expected"].unique().to_list() == [3]


def test_a_task_of_single_languages_has_no_cross():
    row = row_of(published.points(made_up({"m": {"de-image": 0.2, "en-image": 0.4}}), "hit@1"), "m")
    assert row["mono"] is None
    assert row["mean"] == pytest.approx(0.3)


def test_a_models_pairs_have_the_shape_of_ours_without_queries(mlqa):
    pairs = published.pairs(mlqa, "BAAI/bge-m3")
    assert pairs.columns == ["query_lang", "doc_lang", "queries", *MLQA.measures]
    assert pairs.height == 49
    assert pairs["queries"].null_count() == 49
    assert pairs.select("query_lang", "doc_lang").rows() == sorted(pairs.select("query_lang", "doc_lang").rows())


def test_a_published_figure_stands_at_its_pair(mlqa):
    # MTEB's subset ara-deu of bge-m3, revision 5617a9f61b02, mteb 1.12.75
    row = published.pairs(mlqa, "BAAI/bge-m3").filter(query_lang="de", doc_lang="ar").row(0, named=True)
    assert row["hit@1"] == 0.56523


def test_an_unknown_model_is_refused_in_one_line(mlqa):
    with pytest.raises(InputError, match=r"model 'gpt': no published result; allowed are .* and 193 more") as caught:
        published.pairs(mlqa, "gpt")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="published task 'mkqa' is unknown"):
        published.find_task("mkqa")


def test_the_pair_that_mteb_2_broke_is_found_for_its_models_and_no_other_pair(mlqa):
    low = published.low_cells(MLQA, mlqa, "hit@1")
    assert set(low.select("query_lang", "doc_lang").rows()) == {("de", "ar")}
    versions = mlqa.filter(pl.col("model").is_in(low["model"].implode()))["version"].unique()
    assert {published.major(version) for version in versions} == {"2"}
    assert (low["expected"] > 0.1).all()


def test_a_fault_is_counted_by_version(mlqa):
    faults = published.faults(mlqa, "hit@1", published.low_cells(MLQA, mlqa, "hit@1"))
    assert faults.rows() == [("de", "ar", "1", 0, 163, 0.74545), ("de", "ar", "2", 30, 33, 0.00182)]


def test_a_cell_low_for_few_models_or_for_less_than_half_is_no_fault():
    def faults(low: int, models: int) -> pl.DataFrame:
        results = made_up({f"m{i}": SCORES for i in range(models)}, "2.0.0")
        names = [f"m{i}" for i in range(low)]
        cells = pl.DataFrame({"model": names, "query_lang": ["de"] * low, "doc_lang": ["en"] * low})
        return published.faults(results, "hit@1", cells)

    assert faults(5, 10).rows() == [("de", "en", "2", 5, 10, 0.5)]
    assert faults(4, 4).is_empty()
    assert faults(5, 11).is_empty()


def test_around_a_pivot_nothing_is_predicted():
    belebele = published.find_task("BelebeleRetrieval")
    assert published.low_cells(belebele, published.of_task(belebele, published.shipped()), "hit@1").is_empty()


@pytest.mark.parametrize("task", published.TASKS.values(), ids=published.TASKS)
def test_every_task_says_whether_ones_own_checkpoints_belong_to_it(task):
    assert bool(task.collection) != bool(task.apart)


def test_passages_and_sentences_never_share_a_task():
    ours = {task.key: task.collection for task in published.TASKS.values() if task.collection}
    assert ours == {"xquad-r": "xquad-r", "mlqa-r": "mlqa-r", "miracl-dev": "miracl"}
    assert not ours.keys() & set(published.shipped()["task"])
    assert "sentences" in MLQA.apart


def test_metrics_keep_their_cut_offs_and_only_one_relevant_passage_makes_recall_a_hit():
    assert [label(measure) for measure in MLQA.measures] == ["R@1", "mAP@100", "nDCG@10", "Hit@10"]
    assert "recall@1" in published.find_task("MIRACLRetrieval").measures
    assert "hit@1" not in published.find_task("MIRACLRetrieval").measures
    assert all("map" not in task.measures for task in published.TASKS.values() if task.key in SPLITS)


def test_the_papers_points_are_its_printed_means_in_the_order_of_alpha():
    points = published.paper_points("xquad-r", "multi_map")
    assert [point[:2] for point in points] == [
        (0.0, 0.5934),
        (0.5, 0.5927),
        (1.0, 0.5479),
        (0.0, 0.6791),
        (0.5, 0.6817),
        (1.0, 0.6517),
    ]
    assert [point[2].split()[0] for point in points] == ["XLM-R"] * 3 + ["LaBSE"] * 3
    assert published.paper_points("mlqa-r", "rank_distance")[0][:2] == (0.0, 226.7)
    assert published.paper_points("xquad-r", "mono_hit@1")[1][:2] == (0.5, 0.7086)


@pytest.mark.parametrize(
    ("collection", "column"), [("demo", "multi_map"), ("xquad-r", "multi_hit@1"), ("xquad-r", "utility")]
)
def test_where_the_paper_printed_nothing_there_is_no_point(collection, column):
    assert published.paper_points(collection, column) == []


def test_a_papers_scores_come_by_model_and_alpha_with_lareqa_after():
    models = published.scores("xquad-r", "multi", "map")["model"].unique(maintain_order=True).to_list()
    assert models[:4] == ["LaBSE X-Y", "LaBSE Hybrid", "LaBSE X-X-mono", "XLM-R X-Y"]
    assert models[6:] == ["mBERT X-Y", "mBERT X-X-mono", "mBERT En-En", "mBERT X-X"]
    assert published.measures("xquad-r", "multi") == ["map", "rank_distance", "recall@10"]


def test_a_printed_mean_counts_and_else_the_mean_over_languages():
    rows = [
        ("p", "mean", 0.7),
        ("p", "de", 0.2),
        ("p", "en", 0.4),
        ("o", "de", 0.1),
        ("o", "en", 0.2),
        ("q", "mean", 0.5),
    ]
    means = published.means(pl.DataFrame(rows, schema=["model", "query_lang", "value"], orient="row"))
    assert means["model"].to_list() == ["p", "o", "q"]
    assert means["mean"].to_list() == pytest.approx([0.7, 0.15, 0.5])
    assert means["spread"].to_list()[:2] == pytest.approx([stdev([0.2, 0.4]), stdev([0.1, 0.2])])
    assert means["spread"][2] is None


@pytest.mark.parametrize("pair", published.CLIP_PAIRS, ids=lambda pair: pair.name)
def test_each_pair_of_clip_models_is_known_everywhere(pair):
    assert "laion2b" in pair.english[1]
    assert "laion5b" in pair.multilingual[1]
    for dataset, languages in (("crossmodal-3600", 36), ("xtd10", 11)):
        for direction in published.DIRECTIONS:
            frame = published.compare(pair, dataset, direction, "hit@5")
            assert frame["language"].n_unique() == frame.height == languages
            assert frame.null_count().sum_horizontal().item() == 0


def test_clip_models_are_compared_by_language():
    frame = published.compare(published.CLIP_PAIRS[0], "crossmodal-3600", "text-to-image")
    english = frame.filter(language="en").row(0, named=True)
    assert (english["english"], english["multilingual"]) == (0.4636, 0.47)
    assert english["difference"] == pytest.approx(0.0064)
    others = published.english_and_others("crossmodal-3600", "text-to-image")
    row = others.filter(model="roberta-ViT-B-32").row(0, named=True)
    assert row["english"] == 0.4636
    assert row["others"] == pytest.approx(frame.filter(pl.col("language") != "en")["english"].mean())


@pytest.mark.parametrize(
    ("dataset", "direction", "measure"),
    [("coco", "text-to-image", "hit@1"), ("xtd10", "up", "hit@1"), ("xtd10", "text-to-image", "map")],
)
def test_an_unknown_choice_is_refused(dataset, direction, measure):
    with pytest.raises(InputError, match="is unknown; allowed are"):
        published.compare(published.CLIP_PAIRS[0], dataset, direction, measure)


def put(
    store: Store, key: str, task: str, pairs: list[tuple[str, str]], *, model: str = "org/m", split: str = "test"
) -> None:
    """Store a result as an import leaves it."""
    rows = [(task, model, "r", "2.0.0", *pair, 0.5, 0.6, 0.7, 0.8) for pair in pairs]
    about = {"task": task, "model": "org/m", "revision": "r", "version": "2.0.0", "split": split}
    with store.writing("imports", key, about) as folder:
        pl.DataFrame(rows, schema=PUBLISHED_PAIRS, orient="row").write_parquet(folder / "pairs.parquet")


def test_without_imports_there_is_an_empty_frame(store):
    assert published.imported(store).equals(PUBLISHED_PAIRS.to_frame())


def test_what_is_imported_stands_in_its_task_under_a_name_of_its_own(store):
    put(store, "k" * 32, "MLQARetrieval", [("de", "ar"), ("en", "en")])
    found = published.imported(store)
    assert found.select("task", "model").unique().rows() == [("MLQARetrieval", "org/m (imported)")]
    put(store, "x" * 32, "MLQARetrieval", [("de", "ar")])
    assert set(published.imported(store)["model"]) == {"org/m (imported kkkkkk)", "org/m (imported xxxxxx)"}


def test_pairs_that_no_published_result_has_do_not_make_the_others_incomplete(store):
    put(store, "k" * 32, "MLQARetrieval", [("de", "ar"), ("fr", "fr")])
    assert published.imported(store).select("query_lang", "doc_lang").rows() == [("de", "ar")]


def test_another_split_or_task_stands_apart(store):
    put(store, "a" * 32, "MLQARetrieval", [("de", "ar")], split="validation")
    put(store, "b" * 32, "xquad-r", [("de", "de"), ("en", "en")])
    found = published.imported(store)
    assert set(found["task"]) == {"MLQARetrieval, validation", "xquad-r, test"}
    assert published.task_of("MLQARetrieval, validation", found).shape == "pairs"
    other = published.task_of("xquad-r, test", found)
    assert (other.shape, other.collection) == ("languages", None)
    assert published.of_task(other, found).columns[-4:] == list(other.measures)


def test_an_imported_image_task_stands_beside_the_published_rows(store):
    put(store, "k" * 32, "XM3600T2IRetrieval", [("de", "de"), ("en", "en")])
    assert set(published.imported(store)["doc_lang"]) == {"image"}
