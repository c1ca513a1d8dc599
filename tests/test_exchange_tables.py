"""Our frames in parquet and CSV: read back as the same evaluation, and refused where they contradict themselves."""

from __future__ import annotations

import contextlib
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
from engine.escaping import csv_guarded
from engine.evaluation.evaluate import find_evaluation
from engine.evaluation.summary import summarise
from engine.exchange.files import read_json
from engine.exchange.tables import read_ranks
from engine.ranks.metrics import METRICS
from engine.ranks.schema import RANKS, TOP
from engine.storage.store import Store
from engine.sweeps.results import families
from tests import builders, oracle
from tests.builders import manifest_of
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
    assert back.manifest.collection == origin.manifest.collection
    assert back.manifest.imported.missing == 0
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
    found = [e for e in (find_evaluation(store, key) for key, _ in store.entries("ranks")) if e.manifest.imported]
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
    about = back.manifest.collection
    assert about.name == "given"
    assert about.languages == ("de", "en", "zh")
    assert about.queries == len(collection.queries)
    assert about.candidates <= len(collection.corpus)
    assert back.manifest.encoder.name == "mine"
    assert back.top().is_empty()
    assert back.manifest.opened_as is None
    assert [note.split(":")[0] for note in found.notes] == [
        "The collection is not known",
        "There is no frame `top` beside it",
    ]
    told = exchange.limits(back.manifest)
    assert told[-2:] == list(found.notes)


def test_with_a_collection_every_judgement_must_have_its_row(collection, store, written, tmp_path) -> None:
    folder = builders.write_beir(tmp_path / "beir", *builders.beir_rows(collection))
    file = written(seed=4)
    back = find_evaluation(store, exchange.import_file(file, store, collection=str(folder), name="x").key)
    assert back.manifest.opened_as.collection == str(folder)
    assert back.manifest.collection.name == "beir"
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
    with pytest.raises(InputError, match=rf"ranks\.parquet: row \d+: expected that {expected}"):
        exchange.import_file(file, store)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("rank_in_pool", "first", r"row 3: rank_in_pool must be Int32, got 'first'"),
        ("rank_in_pool", "2.5", r"row 3: rank_in_pool must be Int32, got '2.5'"),
        ("rank_in_pool", "", r"row 3: rank_in_pool must be Int32, got ''"),
        ("score", "high", r"row 3: score must be Float32, got 'high'"),
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


_SOUND = [
    ("q", "de", "de", 0, 1, 1, 0.9),
    ("q", "de", "de", 1, 2, 3, 0.5),
    ("q", "de", "en", 7, 1, 2, 0.7),
    ("r", "en", "en", 7, 1, 1, 0.2),
]
_CONTRADICTIONS = {
    "a score that rises": ([*_SOUND[:1], ("q", "de", "de", 1, 2, 3, 0.95), *_SOUND[2:]], "scores fall as ranks grow"),
    "two orders": (
        [("q", "de", "de", 0, 2, 2, 0.9), ("q", "de", "de", 1, 1, 3, 0.5)],
        "passages of a language rank in it as in the pool",
    ),
    "one position in two languages": ([*_SOUND[:3], ("r", "en", "de", 7, 1, 1, 0.2)], "passage 7 is in de and in en"),
}


@pytest.mark.parametrize(("rows", "message"), _CONTRADICTIONS.values(), ids=_CONTRADICTIONS)
def test_ranks_that_contradict_each_other_are_refused(tmp_path, rows, message) -> None:
    pl.DataFrame(_SOUND, schema=RANKS, orient="row").write_parquet(tmp_path / "ranks.parquet")
    assert read_ranks(tmp_path / "ranks.parquet")[0].height == 4
    pl.DataFrame(rows, schema=RANKS, orient="row").write_parquet(tmp_path / "ranks.parquet")
    with pytest.raises(InputError, match=rf"ranks\.parquet: .*{message}"):
        read_ranks(tmp_path / "ranks.parquet")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [("q", "de", 1, 0, "de", 0.9), ("q", "de", 2, 5, "de", 0.95)],
            "row 1: expected that scores fall as ranks grow",
        ),
        (
            [("q", "de", 1, 0, "de", 0.9), ("q", "de", 2, 0, "de", 0.8)],
            "expected that a passage occurs once for a query",
        ),
        ([("q", "de", 1, 0, "de", 0.9), ("q", "de", 1, 5, "de", 0.8)], "expected that a rank occurs once for a query"),
        ([("q", "de", 4, 7, "de", 0.1)], "passage 7 is in de and in en"),
        ([("q", "de", 2, 0, "de", 0.9)], "passage 0 has rank 2, but 1 in the ranks"),
    ],
)
def test_lists_that_contradict_themselves_or_the_ranks_are_refused(tmp_path, rows, message) -> None:
    pl.DataFrame(_SOUND, schema=RANKS, orient="row").write_parquet(tmp_path / "ranks.parquet")
    pl.DataFrame(rows, schema=TOP, orient="row").write_parquet(tmp_path / "top.parquet")
    with pytest.raises(InputError, match=rf"top\.parquet: .*{message}"):
        read_ranks(tmp_path / "ranks.parquet")


def test_columns_of_lists_and_packed_tables_without_end_are_refused(tmp_path, monkeypatch) -> None:
    frame = pl.DataFrame(_SOUND, schema=RANKS, orient="row")
    frame.with_columns(doc=pl.concat_list("doc")).write_parquet(tmp_path / "lists.parquet")
    with pytest.raises(InputError, match=r"lists\.parquet: column doc must be Int32, got List"):
        read_ranks(tmp_path / "lists.parquet")
    many = pl.DataFrame({name: pl.repeat(1, 3_000_000, dtype=pl.Int8, eager=True) for name in RANKS})
    many.write_parquet(tmp_path / "bomb.parquet")
    monkeypatch.setattr(pl, "read_parquet", lambda *_: pytest.fail("it was read"))
    with pytest.raises(InputError, match=r"bomb\.parquet: [\d,]+ bytes unpack to more than"):
        read_ranks(tmp_path / "bomb.parquet")


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_no_damaged_parquet_brings_down_the_reader(tmp_path_factory, data) -> None:
    file = tmp_path_factory.getbasetemp() / "damaged.parquet"
    pl.DataFrame(_SOUND, schema=RANKS, orient="row").write_parquet(file)
    content = bytearray(file.read_bytes())
    for place in data.draw(st.lists(st.integers(4, len(content) - 1), min_size=1, max_size=3)):
        content[place] ^= data.draw(st.integers(1, 255))
    file.write_bytes(content)
    with contextlib.suppress(InputError):
        read_ranks(file)


def test_no_cell_of_a_written_csv_is_a_formula_and_all_come_back(store, tmp_path) -> None:
    questions = ["=1+1", "+1", "-1", "@sum", "'=1", "'", "plain"]
    rows = [(question, "de", "de", place, 1, 1, -0.5) for place, question in enumerate(questions)]
    frame = pl.DataFrame(rows, schema=RANKS, orient="row")
    csv_guarded(frame).write_csv(tmp_path / "ranks.csv")
    cells = [line.split(",")[0] for line in (tmp_path / "ranks.csv").read_text().splitlines()[1:]]
    assert cells == ["'=1+1", "'+1", "'-1", "'@sum", "''=1", "''", "plain"]
    assert read_ranks(tmp_path / "ranks.csv")[0].equals(frame)


@pytest.mark.parametrize(
    ("part", "name", "value", "message"),
    [
        ("collection", "queries", "12", "collection.queries must be an integer >= 0, got str"),
        ("collection", "languages", ["de", "xx"], "collection.languages must be a list of language codes, got list"),
        ("collection", "name", 3, "collection.name must be a text, got int"),
        ("encoder", "name", [], "encoder.name must be a text, got list"),
        ("opened_as", "every", "2", "opened_as.every must be an integer >= 1, got str"),
    ],
)
def test_a_field_of_the_wrong_type_in_an_export_is_told(store, written, part, name, value, message) -> None:
    file = written(seed=11, opened_as="demo")
    place = file.parent / "evaluation.json"
    content = json.loads(place.read_text())
    content[part][name] = value
    place.write_text(json.dumps(content))
    with pytest.raises(InputError, match=rf"evaluation\.json: {message}"):
        exchange.import_file(file, store)


def test_json_that_no_one_can_read_is_refused_with_its_place(tmp_path) -> None:
    file = tmp_path / "task.json"
    for content, message in (
        ("[" * 10**5, "nested too deeply"),
        ('{"a": 1,\n"b": "\\ud83d"}', "task.json:2: half a surrogate pair"),
        ('{"a": "\\ud83d\\ude00 \\\\ud83d",\n\n"b": "\\ude00\\ud83d"}', "task.json:3: half a surrogate pair"),
    ):
        file.write_text(content)
        with pytest.raises(InputError, match=message):
            read_json(file)
    file.write_text('{"a": "\\ud83d\\ude00", "b": "\\\\ud83d"}')
    assert read_json(file) == {"a": "😀", "b": "\\ud83d"}


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
    with pytest.raises(InputError, match=r"top\.parquet: .* but \d+ in the ranks; expected frames of one evaluation"):
        exchange.import_file(file, store)


def test_what_was_not_retrieved_stays_so_when_it_goes_through_a_table(collection, store, written, tmp_path) -> None:
    folder = builders.write_beir(tmp_path / "by hand", *builders.beir_rows(collection))
    short = evaluated(collection, store, seed=1, top_k=4, opened_as=str(folder))
    exchange.export_evaluation(short, store, tmp_path / "trec", ["trec"])
    run = find_evaluation(store, exchange.import_file(tmp_path / "trec" / "multi.run", store).key)
    for kind in KINDS:
        exchange.export_evaluation(run, store, tmp_path / kind, [kind])
        back = find_evaluation(store, exchange.import_file(tmp_path / kind / f"ranks.{kind}", store).key)
        assert back.manifest.imported.missing == run.manifest.imported.missing > 0
        assert back.manifest.imported.exact == run.manifest.imported.exact
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
        found = sorted(data.draw(st.lists(_ROW, min_size=1, max_size=5)), key=lambda row: -row[1])
        seen = {"de": 0, "en": 0}
        for place, (code, score) in enumerate(found, 1):
            seen[code] += 1
            rows.append((question, "de", code, 2 * place + (code == "en"), seen[code], place, score))
    frame = pl.DataFrame(rows, schema=RANKS, orient="row")
    folder = tmp_path_factory.mktemp("any")
    frame.write_parquet(folder / "ranks.parquet")
    csv_guarded(frame).write_csv(folder / "ranks.csv")
    for kind in KINDS:
        assert read_ranks(folder / f"ranks.{kind}")[0].equals(frame)


def test_metrics_are_all_exact_for_a_whole_frame(store, written) -> None:
    told = find_evaluation(store, exchange.import_file(written(), store).key).manifest.imported
    assert told.exact == {setting: tuple(METRICS) for setting in ("mono", "cross", "multi")}
    assert exchange.limits(manifest_of(imported=told, top_k=3)) == [
        "Imported from ranks.parquet (frame of ranks); nothing of it was measured here."
    ]
