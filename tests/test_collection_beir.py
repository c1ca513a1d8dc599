"""BEIR folders: what is parallel by `question`, several relevant documents, and every fault by its line."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.collections.beir import beir_ids
from engine.collections.reading import read_collection
from engine.collections.splits import SplitChoice
from engine.errors import InputError
from tests.builders import beir_rows, contents, parallel_collection, relevant_texts, write_beir

_CORPUS = [
    {"_id": "d1", "title": "Bees", "text": "Bees make honey.", "lang": "en"},
    {"_id": "d2", "text": "Honey is sweet.", "lang": "en"},
    {"_id": "d3", "text": "Bienen machen Honig.", "lang": "de"},
]
_QUERIES = [
    {"_id": "a-en", "question": "a", "text": "Who makes honey?", "lang": "en"},
    {"_id": "a-de", "question": "a", "text": "Wer macht Honig?", "lang": "de"},
    {"_id": "b-en", "text": "How does honey taste?", "lang": "en"},
]
_QRELS = [("a-en", "d1", 1), ("a-en", "d3", 2), ("a-en", "d2", 0), ("a-de", "d3", 1), ("b-en", "d2", 1)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_beir(tmp_path / "bees", _CORPUS, _QUERIES, _QRELS)


def _message(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_collection(folder)
    message = str(caught.value)
    assert "\n" not in message
    return message


def _append(file: Path, line: object) -> None:
    content = line if isinstance(line, bytes) else json.dumps(line, ensure_ascii=False).encode()
    file.write_bytes(file.read_bytes() + content + b"\n")


def test_a_small_folder_reads_as_what_was_written(folder: Path):
    collection = read_collection(folder)
    assert collection.name == "bees"
    assert collection.languages == ("de", "en")
    assert collection.queries.questions == ("a", "a", "b-en")
    assert collection.queries.languages == ("de", "en", "en")
    assert collection.corpus.texts == ("Bienen machen Honig.", "Bees Bees make honey.", "Honey is sweet.")
    assert collection.corpus.passages == ("d3", "d1", "d2")
    assert collection.skipped == ()


def test_tags_of_one_language_are_one_language(folder: Path):
    for file in (folder / "corpus.jsonl", folder / "queries.jsonl"):
        file.write_text(file.read_text().replace('"lang": "en"', '"lang": "en-GB"', 1).replace('"de"', '"deu-Latn"'))
    collection = read_collection(folder)
    assert collection.languages == ("de", "en")
    assert collection.corpus.languages == ("de", "en", "en")


def test_a_question_asked_again_in_its_language_stands_as_a_question_of_its_own(folder: Path):
    again = {"_id": "a-2", "question": "a", "text": "What makes honey?", "lang": "EN"}
    unjudged = {"_id": "a-3", "question": "b-en", "text": "Sweet?", "lang": "en-GB"}
    write_beir(folder, _CORPUS, [*_QUERIES, again, unjudged], [*_QRELS, ("a-2", "d2", 1)])
    collection = read_collection(folder)
    assert collection.queries.questions == ("a", "a", "b-en", "a-2")
    assert relevant_texts(collection)["a-2", "en"] == {("en", "Honey is sweet.")}
    assert collection.restatements == 1
    assert collection.without_questions({"a-2"}).restatements == 0
    assert read_collection(write_beir(folder.parent / "plain", _CORPUS, _QUERIES, _QRELS)).restatements == 0


def test_a_query_may_have_several_relevant_documents_and_a_score_of_zero_is_none(folder: Path):
    assert relevant_texts(read_collection(folder)) == {
        ("a", "de"): {("de", "Bienen machen Honig.")},
        ("a", "en"): {("de", "Bienen machen Honig."), ("en", "Bees Bees make honey.")},
        ("b-en", "en"): {("en", "Honey is sweet.")},
    }


def test_a_query_without_a_relevant_document_is_left_out_and_counted(folder: Path):
    _append(folder / "queries.jsonl", {"_id": "c-en", "text": "Why?", "lang": "en"})
    _append(folder / "queries.jsonl", {"_id": "d-en", "text": "When?", "lang": "en"})
    _append(folder / "qrels" / "test.tsv", b"d-en\td1\t0")
    collection = read_collection(folder)
    assert collection.queries.questions == ("a", "a", "b-en")
    assert collection.skipped == (("a query has no relevant document", 2),)


@pytest.mark.parametrize(
    "fields", [{"lang": "en"}, {"language": "en"}, {"metadata": {"lang": "en"}}, {"lang": "en", "metadata": ["de"]}]
)
def test_the_language_may_stand_in_the_metadata(folder: Path, fields: dict[str, object]):
    _append(folder / "corpus.jsonl", {"_id": "d4", "text": "Wax.", **fields})
    assert read_collection(folder).corpus.languages == ("de", "en", "en", "en")


def test_passages_of_several_candidates_are_kept(folder: Path):
    rows = [{**row, "passage": "p"} for row in _CORPUS]
    write_beir(folder, rows, _QUERIES, _QRELS)
    assert read_collection(folder).corpus.passages == ("p", "p", "p")


def test_the_test_split_is_read_where_there_are_several(folder: Path):
    write_beir(folder, _CORPUS, _QUERIES, [("a-en", "d2", 1)], split="dev")
    assert len(read_collection(folder).queries) == 3
    (folder / "qrels" / "test.tsv").unlink()
    assert relevant_texts(read_collection(folder)) == {("a", "en"): {("en", "Honey is sweet.")}}


def test_empty_lines_byte_order_marks_and_a_missing_header_do_no_harm(folder: Path):
    expected = contents(read_collection(folder))
    for file in (folder / "corpus.jsonl", folder / "queries.jsonl"):
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    qrels = folder / "qrels" / "test.tsv"
    qrels.write_bytes(b"\xef\xbb\xbf" + qrels.read_bytes() + b"\n")
    assert contents(read_collection(folder)) == expected
    qrels.write_bytes(b"\xef\xbb\xbf" + qrels.read_bytes().partition(b"\n")[2])
    assert contents(read_collection(folder)) == expected


@pytest.mark.parametrize("missing", ["queries.jsonl", "qrels/test.tsv"])
def test_a_missing_file_is_named(folder: Path, missing: str):
    (folder / missing).unlink()
    assert _message(folder).startswith(f"{folder / missing.removesuffix('/test.tsv')}: ")


def test_a_missing_qrels_folder_is_named(folder: Path):
    (folder / "qrels" / "test.tsv").unlink()
    (folder / "qrels").rmdir()
    assert _message(folder).startswith(f"{folder / 'qrels'}: holds no <split>.tsv; expected query-id, corpus-id, score")


_ROW = {"_id": "new", "text": "New.", "lang": "en"}
_ROW_FAULTS: list[tuple[Any, str]] = [
    (b"{", "a line is not a JSON object"),
    (b'["new", "New.", "en"]', "a line is not a JSON object"),
    (b'{"_id": "new", "text": "\xff", "lang": "en"}', "a line is not a JSON object"),
    ({**_ROW, "_id": 7}, "a row lacks `_id` or `text`"),
    ({**_ROW, "text": None}, "a row lacks `_id` or `text`"),
    ({"_id": "new", "lang": "en"}, "a row lacks `_id` or `text`"),
    ({**_ROW, "lang": "xx"}, "language 'xx' is unknown"),
    ({**_ROW, "lang": ["en"]}, "language ['en'] is unknown"),
    ({**_ROW, "lang": None, "metadata": "en"}, "language None is unknown"),
    ({"_id": "new", "text": "New."}, "language None is unknown"),
    ({**_ROW, "text": " "}, "a text is empty"),
    ({**_ROW, "title": 7}, "a `title` is not a string"),
    ({**_ROW, "question": ["a"]}, "a `question` or `passage` is not a string"),
    (b'{"_id": "new", "text": "\\ud83d", "lang": "en"}', "a text has a lone surrogate"),
    (b'{"_id": "new", "text": "New", "title": "\\ude00", "lang": "en"}', "a text has a lone surrogate"),
    (b"[" * 100_000, "a line is not a JSON object"),
]
_FILE_FAULTS = [(file, line, reason) for file in ("corpus.jsonl", "queries.jsonl") for line, reason in _ROW_FAULTS]
_FILE_FAULTS += [
    ("corpus.jsonl", {**_ROW, "_id": "d1"}, "an _id occurs twice"),
    ("queries.jsonl", {**_ROW, "_id": "a-en"}, "an _id occurs twice"),
    ("queries.jsonl", {**_ROW, "_id": "a", "question": "a"}, "a question occurs twice in one language"),
]
_QRELS_FAULTS = [
    (b"a-en\td2", "a line is not query-id, corpus-id, score"),
    (b"a-en d2 1", "a line is not query-id, corpus-id, score"),
    (b"a-en\td2\tyes", "a line is not query-id, corpus-id, score"),
    (b"a-en\td2\t--1", "a line is not query-id, corpus-id, score"),
    ("a-en\td2\t²".encode(), "a line is not query-id, corpus-id, score"),
    (b"a-\xff\td2\t1", "a line is not query-id, corpus-id, score"),
    (b'"a-en\td2\t1', "a judgement names an unknown query"),
    (b"z-en\td2\t1", "a judgement names an unknown query"),
    (b"a-en\td2\tnan", "a line is not query-id, corpus-id, score"),
    (b"a-en\td2\tinf", "a line is not query-id, corpus-id, score"),
]
_FAULTS = [(file, len(_CORPUS) + 1, line, reason) for file, line, reason in _FILE_FAULTS]
_FAULTS += [("qrels/test.tsv", len(_QRELS) + 2, line, reason) for line, reason in _QRELS_FAULTS]


@pytest.mark.parametrize(("file", "number", "line", "reason"), _FAULTS)
def test_a_line_that_cannot_be_used_is_named_with_its_number(folder: Path, file: str, number: int, line, reason: str):
    _append(folder / file, line)
    message = _message(folder)
    assert message.startswith(f"{folder / file}:{number}: {reason}; ")
    assert message.endswith("--skip-invalid")


@pytest.mark.parametrize(("file", "_number", "line", "reason"), _FAULTS)
def test_a_line_that_cannot_be_used_is_left_out_on_request_and_counted(folder: Path, file, _number, line, reason: str):
    expected = contents(read_collection(folder))
    _append(folder / file, line)
    _append(folder / file, line)
    collection = read_collection(folder, skip_invalid=True)
    assert collection.skipped == ((reason, 2),)
    assert contents(collection) == expected


def test_a_fault_in_the_middle_costs_no_line_but_its_own(folder: Path):
    lines = (folder / "qrels" / "test.tsv").read_bytes().splitlines(keepends=True)
    (folder / "qrels" / "test.tsv").write_bytes(b"".join([*lines[:2], b'"a-en\td2\t1\n', *lines[2:]]))
    collection = read_collection(folder, skip_invalid=True)
    assert collection.skipped == (("a judgement names an unknown query", 1),)
    assert len(collection.qrels) == 4


def test_float_scores_are_relevant_above_zero(folder: Path):
    expected = relevant_texts(read_collection(folder))
    scores = {0: "0.0", 1: "1.0", 2: "0.5"}
    write_beir(folder, _CORPUS, _QUERIES, [(query, document, scores[score]) for query, document, score in _QRELS])
    assert relevant_texts(read_collection(folder)) == expected


def test_a_relevant_document_that_is_not_in_the_corpus_is_counted(folder: Path):
    expected = contents(read_collection(folder))
    for line in (b"a-en\td8\t1", b"a-en\td9\t1.0", b"b-en\td9\t0"):
        _append(folder / "qrels" / "test.tsv", line)
    collection = read_collection(folder)
    assert contents(collection) == expected
    assert collection.skipped == ()
    assert collection.absent is not None
    assert dict(zip(collection.queries.questions, collection.absent, strict=True)) == {"a": 2, "b-en": 0}


@pytest.mark.parametrize("mark", ["%", "%20", "\u3000", "\u00a0", "\u2028", "\x85", " "])
def test_ids_with_percent_signs_and_wide_spaces_survive(tmp_path: Path, mark: str):
    document, query = f"{mark}d{mark}1{mark}", f"{mark}q{mark}1{mark}"
    corpus = [{"_id": document, "text": "Honey.", "lang": "en"}, {"_id": "d 1", "text": "Wax.", "lang": "en"}]
    folder = write_beir(tmp_path, corpus, [{"_id": query, "text": "What?", "lang": "en"}], [(query, document, 1)])
    assert relevant_texts(read_collection(folder)) == {(query, "en"): {("en", "Honey.")}}
    assert beir_ids(folder) == ((query,), (document, "d 1"))


def test_a_question_called_0_is_not_taken_for_none(folder: Path):
    write_beir(folder, _CORPUS, [{**row, "question": 0} for row in _QUERIES[:2]], _QRELS[:-1])
    assert read_collection(folder).queries.questions == ("0", "0")


_SPLITS = [
    ("evaluation", None, ("train", "test", "dev"), "test"),
    ("evaluation", None, ("train", "dev"), "dev"),
    ("evaluation", None, ("train", "validation"), "validation"),
    ("evaluation", None, ("train",), "train"),
    ("evaluation", "train", ("train", "test"), "train"),
    ("training", None, ("train", "test", "dev"), "train"),
    ("training", None, ("test",), "test"),
    ("training", "dev", ("train", "dev"), "dev"),
]


@pytest.mark.parametrize(("purpose", "asked", "existing", "expected"), _SPLITS)
def test_the_split_is_the_one_asked_for_or_the_usual_one(folder: Path, purpose, asked, existing, expected):
    (folder / "qrels" / "test.tsv").unlink()
    for i, split in enumerate(existing):
        write_beir(folder, _CORPUS, _QUERIES, [(_QUERIES[i]["_id"], "d1", 1)], split=split)
    collection = read_collection(folder, split=SplitChoice(asked, purpose))
    assert collection.split == expected
    assert collection.queries.texts == (_QUERIES[existing.index(expected)]["text"],)


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        (SplitChoice("dev"), "there is no split 'dev'; allowed are a, b (--split)"),
        (SplitChoice(), "holds a, b, none of them usual for evaluation; choose one with --split"),
        (SplitChoice(None, "training"), "holds a, b, none of them usual for training; choose one with --train-split"),
    ],
)
def test_a_split_that_cannot_be_chosen_is_told_with_those_that_exist(folder: Path, choice: SplitChoice, reason: str):
    (folder / "qrels" / "test.tsv").rename(folder / "qrels" / "a.tsv")
    write_beir(folder, _CORPUS, _QUERIES, _QRELS, split="b")
    with pytest.raises(InputError) as caught:
        read_collection(folder, split=choice)
    assert str(caught.value) == f"{folder / 'qrels'}: {reason}"


def test_a_split_of_a_folder_that_has_none_is_refused(tiny_folder: Path):
    with pytest.raises(InputError, match="has no splits, but 'dev' was asked for"):
        read_collection(tiny_folder, split=SplitChoice("dev"))


def test_an_empty_collection_is_refused(folder: Path):
    write_beir(folder, _CORPUS, _QUERIES, [])
    assert "bees: it has no queries" in _message(folder)


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).map(str.strip).filter(bool)


@settings(deadline=None, max_examples=40)
@given(st.data(), st.lists(st.sampled_from(["ar", "de", "en", "zh"]), min_size=1, max_size=3, unique=True))
def test_a_collection_written_as_a_beir_folder_reads_back_the_same(data: st.DataObject, codes: list[str]):
    sentences = st.lists(_TEXT, min_size=2, max_size=3)
    languages = {
        code: [
            (data.draw(sentences), [(question, data.draw(_TEXT), data.draw(st.integers(0, 1)))])
            for question in ("p", "q")
        ]
        for code in codes
    }
    collection = parallel_collection("random", languages)
    with tempfile.TemporaryDirectory() as folder:
        found = read_collection(write_beir(Path(folder), *beir_rows(collection)))
    assert contents(found) == contents(collection)
