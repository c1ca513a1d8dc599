"""Tables of pairs as training collections."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.collections.opening import open_collection
from engine.collections.reading import read_collection
from engine.collections.structures import Collection
from engine.errors import InputError
from engine.storage.store import Store
from engine.training.negatives import HardNegatives
from engine.training.sampler import Batch, HybridBatchSampler, TrainingPairs
from engine.training.training_set import TrainingSet
from tests.builders import write_xquad_r
from tests.checkpoints import tiny_bert
from tests.command_line import runner, the_error
from tests.training_builders import made_up_collection

ROWS = [
    {"query": "Wo?", "passage": "Dort.", "lang": "de", "question": "1", "negative": "Nie."},
    {"query": "Where?", "passage": "There.", "lang": "en", "question": "1", "negative": "There, again."},
    {"query": "Wer?", "passage": "Ich.", "lang": "de", "question": "2", "negative": "Dort."},
    {"query": "Who?", "passage": "There, again.", "lang": "en", "question": "3", "negative": ""},
]


def write_lines(file: Path, rows: list[dict]) -> None:
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


def write_delimited(file: Path, rows: list[dict]) -> None:
    with file.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, rows[0], delimiter="\t" if file.suffix == ".tsv" else ",")
        writer.writeheader()
        writer.writerows(rows)


WRITERS: dict[str, Callable[[Path, list[dict]], None]] = {
    "jsonl": write_lines,
    "csv": write_delimited,
    "tsv": write_delimited,
    "parquet": lambda file, rows: pl.DataFrame(rows).write_parquet(file),
}


def judged(collection: Collection) -> set[tuple[str, str, str, str]]:
    """Language and text of every query and of what answers it."""
    queries, corpus = collection.queries, collection.corpus
    return {
        (queries.languages[row], queries.texts[row], corpus.languages[doc], corpus.texts[doc])
        for row, doc in zip(collection.qrels.queries, collection.qrels.documents, strict=True)
    }


@pytest.mark.parametrize("as_folder", [True, False], ids=["folder", "file"])
@pytest.mark.parametrize("ending", list(WRITERS))
def test_each_format_gives_the_same_collection(tmp_path: Path, store: Store, ending: str, as_folder: bool) -> None:
    file = tmp_path / "table" / f"pairs.{ending}"
    file.parent.mkdir()
    WRITERS[ending](file, ROWS)
    collection = open_collection(str(file.parent if as_folder else file), store, purpose="training")
    assert collection.name == ("table" if as_folder else "pairs")
    assert collection.languages == ("de", "en")
    assert collection.queries.questions == ("1", "2", "1", "3")
    assert collection.corpus.texts == ("Dort.", "Ich.", "Nie.", "There.", "There, again.")
    assert judged(collection) == {(row["lang"], row["query"], row["lang"], row["passage"]) for row in ROWS}
    assert TrainingSet(collection).pair_counts() == {("de", "de"): 2, ("de", "en"): 1, ("en", "de"): 1, ("en", "en"): 2}


def test_files_of_a_folder_are_one_table_by_name(tmp_path: Path) -> None:
    write_lines(tmp_path / "train-00001-of-00002.jsonl", ROWS[2:])
    WRITERS["parquet"](tmp_path / "train-00000-of-00002.parquet", ROWS[:2])
    write_lines(tmp_path / "other.jsonl", [{"nothing": 1}])
    assert judged(read_collection(tmp_path)) == {(r["lang"], r["query"], r["lang"], r["passage"]) for r in ROWS}


def test_names_of_other_tables_and_two_languages(tmp_path: Path) -> None:
    rows = [
        {"anchor": "Wo?", "positive": "There.", "query_lang": "deu-Latn", "passage_lang": "en-US", "negative_1": "No."},
        {
            "anchor": "Wo?",
            "positive": "Here.",
            "query_lang": "de",
            "passage_lang": "en",
            "negatives": ["Never.", "No."],
        },
    ]
    write_lines(tmp_path / "pairs.jsonl", rows)
    collection = read_collection(tmp_path)
    assert judged(collection) == {("de", "Wo?", "en", "There."), ("de", "Wo?", "en", "Here.")}
    assert len(collection.queries) == 1
    assert Counter(collection.corpus.texts) == {"There.": 1, "Here.": 1, "No.": 2, "Never.": 1}
    assert TrainingSet(collection).pair_counts() == {("de", "en"): 1}


def test_a_language_for_all_comes_from_the_option(tmp_path: Path, store: Store) -> None:
    write_lines(tmp_path / "pairs.jsonl", [{"anchor": "Wo?", "positive": "Dort."}])
    assert open_collection(f"{tmp_path}:lang=de", store).languages == ("de",)
    with pytest.raises(InputError, match=r"a row has no known language; .* or give --lang"):
        open_collection(str(tmp_path), store)
    with pytest.raises(InputError, match="has no metadata of pairs to choose by"):
        open_collection(f"{tmp_path}:lang=de:similarity=0.2", store)


def test_negatives_are_drawn_for_the_passage_of_their_row(tmp_path: Path) -> None:
    write_lines(tmp_path / "pairs.jsonl", ROWS)
    collection = read_collection(tmp_path)
    at = {text: row for row, text in enumerate(collection.corpus.texts)}
    negatives = HardNegatives(collection, 1, seed=0)
    batch = Batch(np.array([0]), np.array([at["Dort."]]), np.array([0]), np.array([0]), "mono")
    assert collection.corpus.texts[negatives.by_pair(batch, 0)[0, 0]] == "Nie."
    assert negatives.texts() == ["Nie."], "what answers another query is nobody's negative"


GOOD = {"query": "Wo?", "passage": "Dort.", "lang": "de"}
FAULTS = [
    ({**GOOD, "passage": None}, "a row lacks `query` or `passage`"),
    ({"query": "Wo?", "lang": "de"}, "a row lacks `query` or `passage`"),
    ({**GOOD, "query": 5}, "a row lacks `query` or `passage`"),
    ({**GOOD, "query": "  "}, "a query or a passage is empty"),
    ({**GOOD, "lang": "nolang"}, "a row has no known language"),
    ({**GOOD, "lang": "zxx"}, "a row has no known language"),
    ({"query": "Wo?", "passage": "Dort.", "query_lang": "de"}, "a row has no known language"),
    ({**GOOD, "question": ["1"]}, "a `question` or a `negative` is no text"),
    ({**GOOD, "negative": 3}, "a `question` or a `negative` is no text"),
    ({**GOOD, "passage": "half \ud83d"}, "a text has a lone surrogate"),
    ({**GOOD, "question": "1", "query": "Wohin?"}, "a question has two texts in one language"),
]


@pytest.mark.parametrize(("row", "reason"), FAULTS, ids=str)
def test_a_row_that_cannot_be_used_is_one_line_or_left_out(tmp_path: Path, row: dict, reason: str) -> None:
    file = tmp_path / "pairs.jsonl"
    write_lines(file, [{**GOOD, "question": "1"}, row])
    with pytest.raises(InputError, match=rf"^{file}:2: {reason}; .* --skip-invalid$"):
        read_collection(tmp_path)
    collection = read_collection(tmp_path, skip_invalid=True)
    assert collection.skipped == ((reason, 1),)
    assert judged(collection) == {("de", "Wo?", "de", "Dort.")}


def test_a_table_without_a_usable_row_says_why(tmp_path: Path) -> None:
    write_lines(tmp_path / "pairs.jsonl", [{"text": "x"}] * 3)
    with pytest.raises(InputError, match="no row can be used \\(3 times a row lacks `query` or `passage`\\)"):
        read_collection(tmp_path, skip_invalid=True)
    (tmp_path / "pairs.jsonl").write_text("")
    with pytest.raises(InputError, match="no row can be used \\(there is none\\)"):
        read_collection(tmp_path)
    (tmp_path / "pairs.parquet").write_text("no parquet")
    with pytest.raises(InputError, match=r"pairs.parquet: cannot be read"):
        read_collection(tmp_path / "pairs.parquet")


word, code = st.sampled_from("abc"), st.sampled_from(["de", "en", "fr"])
rows = st.lists(st.tuples(word, word, code, code, st.lists(word, max_size=2)), min_size=1, max_size=12)


@settings(deadline=None, max_examples=60)
@given(rows=rows)
def test_whatever_the_rows_each_pair_is_judged_and_counted(tmp_path_factory, rows) -> None:
    """Queries without `question`: a text in a language is one query; a passage is one candidate."""
    folder = tmp_path_factory.mktemp("pairs")
    names = ("query", "passage", "query_lang", "passage_lang", "negatives")
    write_lines(folder / "pairs.jsonl", [dict(zip(names, row, strict=True)) for row in rows])
    collection = read_collection(folder)
    assert judged(collection) == {(asked, query, answered, passage) for query, passage, asked, answered, _ in rows}
    assert set(collection.queries.versions()) == {
        *zip(collection.queries.questions, collection.queries.languages, strict=True)
    }
    expected = Counter((asked, answered) for _, asked, answered in {(row[0], row[2], row[3]) for row in rows})
    assert TrainingSet(collection).pair_counts() == expected
    answers = {(row[3], row[1]) for row in rows}
    others = {(row[3], row[1], wrong) for row in rows for wrong in row[4] if (row[3], wrong) not in answers}
    assert len(collection.corpus) == len(answers) + len(others)


def test_batches_can_be_drawn_and_the_commands_count_first(
    tmp_path: Path, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    parallel = made_up_collection(4, ("de", "en"))
    rows = [
        {
            "question": parallel.queries.questions[query],
            "query": parallel.queries.texts[query],
            "passage": parallel.corpus.texts[doc],
            "query_lang": parallel.queries.languages[query],
            "passage_lang": parallel.corpus.languages[doc],
        }
        for query, doc in zip(parallel.qrels.queries, parallel.qrels.documents, strict=True)
    ]
    write_lines(tmp_path / "pairs.jsonl", [*rows, {"query": " ", "passage": "x", "lang": "de"}])
    table = read_collection(tmp_path / "pairs.jsonl", skip_invalid=True)
    assert TrainingSet(table).pair_counts() == TrainingSet(parallel).pair_counts()
    sampler = HybridBatchSampler(TrainingPairs.from_collection(table), alpha=0.5, batch_size=4, batches=4)
    for batch in sampler:
        assert (batch.query_languages == batch.document_languages).all() == (batch.kind == "mono")

    tiny_bert(tmp_path / "bert", "ar", "de", "en", as_sentence_transformer=True)
    write_xquad_r(tmp_path / "one", made_up_collection(4, ("de", "en"), first=100))
    run = runner(capsys)
    given = ["--encoder", str(tmp_path / "bert"), "--train", str(tmp_path / "pairs.jsonl"), "--batch-size", "4"]
    given += ["--steps", "4"]
    assert "pairs.jsonl:33: a query or a passage is empty" in the_error(run("train", *given, "--alpha", "0.5"))
    for command in (["train", "--alpha", "0.5"], ["sweep", "--alphas", "0,1", "--eval", str(tmp_path / "one")]):
        status, _, err = run(*command, *given, "--skip-invalid")
        assert status == 0, err
        assert "pairs: left out: 1 times a query or a passage is empty" in err
        assert "pairs: 16 queries: de 8, en 8" in err
        assert "pairs: 16 passages: de 8, en 8" in err
        assert "pairs: questions by pair: de → de 8, de → en 8, en → de 8, en → en 8" in err
