"""Exports as folders: BEIR reads back equal, nothing is written over or left half, evaluations are found by names."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import exchange
from engine.collections.digest import collection_digest
from engine.collections.reading import read_collection
from engine.collections.structures import Collection, Corpus, Qrels, Queries
from engine.errors import InputError
from engine.exchange import exporting
from engine.exchange.beir import write_beir
from engine.exchange.ids import names_of, read_map, write_map
from tests import builders
from tests.exchange_builders import evaluated


def files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_collection_reads_back_equal(tiny_collection, tiny_folder, store, tmp_path) -> None:
    written = exchange.export_collection(str(tiny_folder), store, tmp_path / "beir")
    assert [str(file.relative_to(tmp_path / "beir")) for file in written] == [
        "corpus.jsonl",
        "qrels/test.tsv",
        "queries.jsonl",
    ]
    back = read_collection(tmp_path / "beir")
    assert builders.contents(back) == builders.contents(tiny_collection)
    assert collection_digest(back) == collection_digest(tiny_collection)


def test_a_beir_folder_keeps_its_ids(tiny_collection, store, tmp_path) -> None:
    source = builders.write_beir(tmp_path / "source", *builders.beir_rows(tiny_collection))
    exchange.export_collection(str(source), store, tmp_path / "out")
    for name in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"):
        assert len((tmp_path / "out" / name).read_text().splitlines()) == len((source / name).read_text().splitlines())
    assert '"_id": "d17"' in (tmp_path / "out" / "corpus.jsonl").read_text()
    assert '"_id": "q3-en"' in (tmp_path / "out" / "queries.jsonl").read_text()


def test_the_real_collection_reads_back_equal(shared, tmp_path) -> None:
    collection = read_collection(shared / "data" / "xquad-r").every(8)
    assert any(text != text.strip() for text in collection.queries.texts), "white space is part of a text"
    tmp_path.joinpath("out").mkdir()
    write_beir(collection, names_of(collection), tmp_path / "out")
    assert builders.contents(read_collection(tmp_path / "out")) == builders.contents(collection)


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6).filter(str.strip)


@settings(deadline=None, max_examples=60)
@given(data=st.data(), questions=st.lists(_TEXT, min_size=1, max_size=3, unique=True))
def test_any_collection_reads_back_equal_and_so_does_its_map(tmp_path_factory, data, questions) -> None:
    codes = sorted(
        data.draw(st.sets(st.sampled_from(["ar", "en", "hi-Latn", "zh", "zh-Hant"]), min_size=1, max_size=3))
    )
    pool = [(data.draw(_TEXT), code, data.draw(_TEXT)) for code in codes for _ in range(data.draw(st.integers(1, 2)))]
    asked = [(question, code, data.draw(_TEXT)) for code in codes for question in questions]
    relevant = st.sets(st.integers(0, len(pool) - 1), min_size=1, max_size=3)
    judged = [(query, document) for query in range(len(asked)) for document in sorted(data.draw(relevant))]
    collection = Collection(
        "any",
        tuple(codes),
        Queries(*zip(*asked, strict=True)),
        Corpus(*zip(*pool, strict=True)),
        Qrels(*np.array(judged, np.int64).T),
    )
    folder = tmp_path_factory.mktemp("any")
    names = names_of(collection)
    write_beir(collection, names, folder)
    assert builders.contents(read_collection(folder)) == builders.contents(collection)
    write_map(names, folder / "languages.tsv")
    back = read_map(folder / "languages.tsv")
    assert back.queries.rows() == names.queries.rows()
    assert back.documents.rows() == names.documents.rows()


def test_several_formats_stand_in_folders_of_their_own(tiny_collection, tiny_folder, store, tmp_path) -> None:
    evaluation = evaluated(tiny_collection, store, opened_as=str(tiny_folder))
    written = exchange.export_evaluation(evaluation, store, tmp_path / "out")
    assert {file.relative_to(tmp_path / "out").parts[0] for file in written} == set(exchange.FORMATS)
    assert builders.contents(read_collection(tmp_path / "out" / "beir")) == builders.contents(tiny_collection)
    assert [path.name for path in tmp_path.glob(".*")] == []
    told = (tmp_path / "out" / "trec" / "evaluation.json").read_text()
    assert str(tmp_path) not in told, "a path of this machine is nobody's business"


def test_nothing_is_written_over_without_force(tiny_collection, tiny_folder, store, tmp_path) -> None:
    out = tmp_path / "out"
    first, second = (evaluated(tiny_collection, store, seed=seed) for seed in (0, 1))
    exchange.export_evaluation(first, store, out, ["csv"])
    before = files(out)
    with pytest.raises(InputError, match="out: already exists; give another folder, or --force to replace it"):
        exchange.export_evaluation(second, store, out, ["csv"])
    assert files(out) == before
    exchange.export_evaluation(second, store, out, ["csv"], force=True)
    assert files(out).keys() == before.keys()
    assert files(out) != before


def test_force_takes_nothing_away_that_is_not_written_again(tiny_collection, store, tmp_path) -> None:
    out = tmp_path / "out"
    evaluation = evaluated(tiny_collection, store)
    exchange.export_evaluation(evaluation, store, out, ["csv"])
    (out / "thesis.tex").write_text("years of work")
    before = files(out)
    with pytest.raises(InputError, match=r"holds files that would not be written again \(thesis\.tex\)"):
        exchange.export_evaluation(evaluation, store, out, ["csv"], force=True)
    assert files(out) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "out"]


def test_an_export_that_fails_leaves_nothing_and_harms_nothing(
    tiny_collection, tiny_folder, store, tmp_path, monkeypatch
) -> None:
    evaluation = evaluated(tiny_collection, store, opened_as=str(tiny_folder))

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exporting, "write_beir", fail)
    with pytest.raises(InputError, match=r"out: cannot be written \(No space left on device\)"):
        exchange.export_evaluation(evaluation, store, tmp_path / "out", ["csv", "beir"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "tiny"]
    exchange.export_evaluation(evaluation, store, tmp_path / "out", ["csv"])
    before = files(tmp_path / "out")
    with pytest.raises(InputError, match="No space left"):
        exchange.export_evaluation(evaluation, store, tmp_path / "out", ["beir"], force=True)
    assert files(tmp_path / "out") == before


def test_an_unknown_format_is_refused(tiny_collection, store, tmp_path) -> None:
    with pytest.raises(InputError, match="format 'xml' is unknown; allowed are trec, beir, mteb, parquet, csv"):
        exchange.export_evaluation(evaluated(tiny_collection, store), store, tmp_path / "out", ["csv", "xml"])


def test_without_its_collection_the_formats_that_need_it_are_refused(tiny_collection, store, tmp_path) -> None:
    evaluation = evaluated(tiny_collection, store)
    for name in ("trec", "beir"):
        with pytest.raises(InputError, match="its texts did not come with the import"):
            exchange.export_evaluation(evaluation, store, tmp_path / "out", [name])
    exchange.export_evaluation(evaluation, store, tmp_path / "out", ["mteb", "parquet"])


def test_a_collection_that_is_gone_is_told(tiny_collection, tiny_folder, store, tmp_path) -> None:
    evaluation = evaluated(tiny_collection, store, opened_as=str(tiny_folder))
    shutil.rmtree(tiny_folder)
    with pytest.raises(InputError, match="neither a folder nor one of"):
        exchange.export_evaluation(evaluation, store, tmp_path / "out", ["beir"])


def test_an_evaluation_is_found_by_the_start_of_its_key_or_by_names(tiny_collection, tiny_folder, store) -> None:
    first = evaluated(tiny_collection, store, name="one", opened_as=str(tiny_folder))
    evaluated(tiny_collection, store, name="two", seed=1)
    evaluated(tiny_collection, store, name="two", seed=2)
    assert exchange.find_stored(store, key=first.key).key == first.key
    assert exchange.find_stored(store, key=first.key[:6]).key == first.key
    assert exchange.find_stored(store, encoder="one", collection="tiny").key == first.key
    assert exchange.find_stored(store, encoder="one", collection=str(tiny_folder)).key == first.key
    for key in (first.key[:5], "nothing"):
        with pytest.raises(InputError, match=f"evaluation '{key}': none is stored"):
            exchange.find_stored(store, key=key)
    with pytest.raises(
        InputError, match=r"evaluation of two on tiny: 2 are stored: .* \(two on tiny\); give one's key"
    ):
        exchange.find_stored(store, encoder="two", collection="tiny")
    with pytest.raises(InputError, match="evaluation of three on tiny: none is stored; evaluate first"):
        exchange.find_stored(store, encoder="three", collection="tiny")
