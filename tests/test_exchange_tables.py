"""Our frames in parquet and CSV: read back as the same evaluation, and refused where they contradict themselves."""

from __future__ import annotations

import json
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
from engine.evaluation.evaluate import find_evaluation, summarise
from engine.exchange.tables import read_ranks
from engine.ranks.metrics import METRICS
from engine.ranks.schema import RANKS
from engine.storage.store import Store
from engine.sweeps.results import families
from tests import builders, oracle
from tests.exchange_builders import evaluated, figures_agree, same_ranks

KINDS = ("parquet", "csv")


@pytest.fixture(scope="module")
def collection() -> Collection:
    return oracle.random_collection(np.random.default_rng(5), ("de", "en", "zh"), 6, 12, 2)


@pytest.fixture
def written(collection: Collection, store: Store, tmp_path: Path) -> Callable[..., Path]:
    """Exports an evaluation of the collection as tables; gives the file of ranks."""

    def write(kind: str = "parquet", **options: object) -> Path:
        evaluation = evaluated(collection, store, **options)
        out = tmp_path / f"out-{kind}-{evaluation.key}"
        exchange.export_evaluation(evaluation, store, out, [kind])
        return out / f"ranks.{kind}"

    return write


@pytest.mark.parametrize("kind", KINDS)
def test_an_evaluation_comes_back_whole(collection, store, written, kind) -> None:
    file, origin = written(kind, seed=1), evaluated(collection, store, seed=1)
    found = exchange.import_file(file, store)
    back = find_evaluation(store, found.key)
    assert (found.kind, found.notes) == ("evaluation", ())
    assert back.ranks().equals(origin.ranks())
    assert back.top().equals(origin.top().sort("query_lang", "question", "rank"))
    assert figures_agree(origin, back)
    assert back.about["collection"] == origin.about["collection"]
    assert back.about["imported"]["missing"] == 0
    assert back.key != origin.key


def test_the_written_scores_are_ours(collection, store, written) -> None:
    folder, origin = written("csv").parent, evaluated(collection, store)
    summary = summarise(origin)
    pairs, settings_ = pl.read_csv(folder / "pairs.csv"), pl.read_csv(folder / "settings.csv")
    assert pairs.rows() == summary.pairs.rows()
    assert settings_["setting"].to_list() == ["mono", "cross", "multi"]
    assert settings_["map"].to_list() == summary.settings["map"].to_list()


def test_an_imported_sweep_does_not_join_one_of_ours(store, written) -> None:
    recipe = {"encoder": "e" * 32, "prompts": {}, "collection": "c", "method": "head", "alpha": 0.5, "settings": {}}
    exchange.import_file(written(recipe=recipe), store)
    found = [e for e in (find_evaluation(store, key) for key, _ in store.entries("ranks")) if "imported" in e.about]
    assert families(found) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_with_wider_types_and_other_language_codes_is_read(store, written, kind) -> None:
    file = written(kind, seed=2)
    same = read_ranks(file)[0]
    other = same.with_columns(
        pl.col("query_lang", "doc_lang").replace({"de": "deu", "en": "eng_Latn", "zh": "zho-Hans"}),
        pl.col("rank_in_pool").cast(pl.Float64),
        pl.col("doc", "rank_in_language").cast(pl.Int64),
        pl.col("score").cast(pl.Float64),
    ).select(pl.lit("x").alias("more"), *reversed(list(RANKS)))
    alone = file.parent / "alone"
    alone.mkdir()
    other.write_parquet(alone / "ranks.parquet") if kind == "parquet" else other.write_csv(alone / "ranks.csv")
    assert read_ranks(alone / f"ranks.{kind}")[0].equals(same)


def test_without_anything_beside_it_the_collection_is_guessed_and_it_is_told(
    collection, store, written, tmp_path
) -> None:
    file = tmp_path / "given" / "mine.csv"
    file.parent.mkdir()
    file.write_bytes(written("csv", seed=3).read_bytes())
    found = exchange.import_file(file, store)
    back = find_evaluation(store, found.key)
    about = back.about["collection"]
    assert about["name"] == "given"
    assert about["languages"] == ["de", "en", "zh"]
    assert about["queries"] == len(collection.queries)
    assert about["candidates"] <= len(collection.corpus)
    assert back.about["encoder"]["name"] == "mine"
    assert back.top().is_empty()
    assert "opened_as" not in back.about
    assert [note.split(":")[0] for note in found.notes] == [
        "The collection is not known",
        "No frame `top` came with it",
    ]
    told = exchange.limits(back.about)
    assert told[-2:] == list(found.notes)


def test_with_a_collection_every_judgement_must_have_its_row(collection, store, written, tmp_path) -> None:
    folder = builders.write_beir(tmp_path / "beir", *builders.beir_rows(collection))
    file = written(seed=4)
    back = find_evaluation(store, exchange.import_file(file, store, collection=str(folder), name="x").key)
    assert back.about["opened_as"]["collection"] == str(folder)
    assert back.about["collection"]["name"] == "beir"
    whole = pl.read_parquet(file)
    row = whole.row(3, named=True)
    whole.filter(pl.int_range(pl.len()) != 3).write_parquet(file)
    place = f"question {row['question']!r} in {row['query_lang']} with passage {row['doc']} in {row['doc_lang']}"
    with pytest.raises(InputError, match=f"ranks.parquet: 1 rows do not fit beir: {place} is missing"):
        exchange.import_file(file, store, collection=str(folder))
    pl.concat([whole, whole.head(1).with_columns(question=pl.lit("other"))]).write_parquet(file)
    with pytest.raises(InputError, match="question 'other' in de with passage 0 in de is no judgement of it"):
        exchange.import_file(file, store, collection=str(folder))


def change(file: Path, frame: pl.DataFrame, row: int = 0, **values: pl.Expr) -> None:
    """Write a frame with other values in one row."""
    here = pl.int_range(pl.len()) == row
    frame.with_columns(
        pl.when(here).then(to).otherwise(pl.col(name)).alias(name) for name, to in values.items()
    ).write_parquet(file)


_FAULTS = {
    "ranks count from 1": {"rank_in_language": pl.lit(0)},
    "no passage ranks lower in its language than in the pool": {"rank_in_language": pl.col("rank_in_pool") + 1},
    "a passage is judged once for a query": {"doc": pl.col("doc").shift(-1)},
    "two passages of a query have two ranks in the pool": {
        "rank_in_pool": pl.col("rank_in_pool").shift(-1),
        "rank_in_language": pl.lit(1),
    },
    "positions count from 0": {"doc": pl.lit(-1)},
}


@pytest.mark.parametrize("expected", _FAULTS)
def test_ranks_that_cannot_be_are_refused_with_their_row(store, written, expected) -> None:
    file = written(seed=5)
    change(file, pl.read_parquet(file), **_FAULTS[expected])
    with pytest.raises(InputError, match=rf"ranks\.parquet: row \d+: expected is that {expected}"):
        exchange.import_file(file, store)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("rank_in_pool", "first", r"row 3: rank_in_pool 'first' came; expected is Int32"),
        ("rank_in_pool", "2.5", r"row 3: rank_in_pool '2.5' came; expected is Int32"),
        ("rank_in_pool", "", r"row 3: rank_in_pool '' came; expected is Int32"),
        ("score", "high", r"row 3: score 'high' came; expected is Float32"),
        ("doc_lang", "klingon", r"row 3: doc_lang: language 'klingon' is unknown"),
        ("doc", "4000", r"a rank or a position is above 36, the candidates of the collection"),
    ],
)
def test_a_cell_of_another_type_is_told_with_its_row(store, written, column, value, message) -> None:
    file = written("csv", seed=6)
    frame = pl.read_csv(file, infer_schema=False)
    cells = [value if row == 2 else cell for row, cell in enumerate(frame[column])]
    frame.with_columns(pl.Series(column, cells)).write_csv(file)
    with pytest.raises(InputError, match=rf"ranks\.csv: {message}"):
        exchange.import_file(file, store)


def test_missing_columns_and_other_files_are_refused(store, written, tmp_path) -> None:
    file = written("csv", seed=7)
    pl.read_csv(file).drop("rank_in_pool", "doc").write_csv(file)
    with pytest.raises(InputError, match=r"ranks\.csv: lacks the columns doc, rank_in_pool; expected are question, "):
        exchange.import_file(file, store)
    for name, content in (("a.parquet", b"PAR0"), ("b.csv", b""), ("c.csv", b"question,query_lang\n")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name}: (cannot be read|has no row)"):
            exchange.import_file(tmp_path / name, store)
    with pytest.raises(InputError, match=r"gone\.csv: cannot be read"):
        exchange.import_file(tmp_path / "gone.csv", store)


def test_lists_of_another_evaluation_are_refused(store, written) -> None:
    file, other = written(seed=8), written(seed=9)
    (file.parent / "top.parquet").write_bytes((other.parent / "top.parquet").read_bytes())
    with pytest.raises(
        InputError, match=r"top\.parquet: .* but \d+ in the ranks; expected are frames of one evaluation"
    ):
        exchange.import_file(file, store)


def test_what_was_not_retrieved_stays_so_when_it_goes_through_a_table(collection, store, written, tmp_path) -> None:
    folder = builders.write_beir(tmp_path / "by hand", *builders.beir_rows(collection))
    short = evaluated(collection, store, seed=1, top_k=4, opened_as=str(folder))
    exchange.export_evaluation(short, store, tmp_path / "trec", ["trec"])
    run = find_evaluation(store, exchange.import_file(tmp_path / "trec" / "multi.run", store).key)
    for kind in KINDS:
        exchange.export_evaluation(run, store, tmp_path / kind, [kind])
        back = find_evaluation(store, exchange.import_file(tmp_path / kind / f"ranks.{kind}", store).key)
        assert back.about["imported"]["missing"] == run.about["imported"]["missing"] > 0
        assert back.about["imported"]["exact"] == run.about["imported"]["exact"]
        assert same_ranks(run, back)


def test_a_sidecar_that_is_none_of_ours_is_not_heeded(store, written) -> None:
    file = written(seed=10)
    for content in ("[]", '{"collection": "x"}', '{"collection": {"name": "x"}}'):
        (file.parent / "evaluation.json").write_text(content)
        assert "The collection is not known" in exchange.import_file(file, store, name=content).notes[0]


_ROW = st.tuples(st.sampled_from(["de", "en"]), st.floats(-1, 1, width=32))


@settings(deadline=None, max_examples=25)
@given(questions=st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=4, unique=True), data=st.data())
def test_any_ranks_come_back_from_either_kind_of_file(tmp_path_factory, questions, data) -> None:
    rows = []
    for question in questions:
        found = data.draw(st.lists(_ROW, min_size=1, max_size=5))
        seen = {"de": 0, "en": 0}
        for place, (code, score) in enumerate(found, 1):
            seen[code] += 1
            rows.append((question, "de", code, place, seen[code], place, score))
    frame = pl.DataFrame(rows, schema=RANKS, orient="row")
    folder = tmp_path_factory.mktemp("any")
    frame.write_parquet(folder / "ranks.parquet")
    frame.write_csv(folder / "ranks.csv")
    for kind in KINDS:
        assert read_ranks(folder / f"ranks.{kind}")[0].equals(frame)


def test_metrics_are_all_exact_for_a_whole_frame(store, written) -> None:
    told = json.loads(json.dumps(find_evaluation(store, exchange.import_file(written(), store).key).about["imported"]))
    assert told["exact"] == {setting: list(METRICS) for setting in ("mono", "cross", "multi")}
    assert exchange.limits({"imported": told, "top_k": 3}) == [
        "Imported from ranks.parquet (frame of ranks); nothing of it was measured here."
    ]
