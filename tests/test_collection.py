"""XQuAD-R folders: the published counts, folders small enough to check by hand, every fault with its file and place."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.collections.digest import collection_digest
from engine.collections.reading import read_collection
from engine.collections.structures import Collection
from engine.errors import InputError
from tests.builders import contents, parallel_collection, relevant_texts, write_xquad_r

_XQUAD_R = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")
_MLQA_R = ("ar", "de", "en", "es", "hi", "vi", "zh")
_QUERIES = {
    "xquad-r": dict.fromkeys(_XQUAD_R, 1190),
    "mlqa-r": dict(zip(_MLQA_R, (517, 512, 1148, 500, 507, 511, 504), strict=True)),
}
_CANDIDATES = {
    "xquad-r": dict(
        zip(_XQUAD_R, (1222, 1276, 1234, 1180, 1215, 1244, 1219, 852, 1167, 1209, 1196), strict=True),
    ),
    "mlqa-r": dict(zip(_MLQA_R, (2545, 2362, 6264, 1787, 2426, 2828, 2322), strict=True)),
}
_POOLS = {"xquad-r": (13090, 13014), "mlqa-r": (4199, 20534)}

_DIGESTS = {"xquad-r": "6e3dd94d53e8d920ab022ba083b04495", "mlqa-r": "6de8a9a2f3c082763ecd6bdab0bcfa60"}

both = pytest.mark.parametrize("name", ["xquad-r", "mlqa-r"])


def _message(folder: Path, *, skip_invalid: bool = False) -> str:
    with pytest.raises(InputError) as caught:
        read_collection(folder, skip_invalid=skip_invalid)
    message = str(caught.value)
    assert "\n" not in message
    return message


def _change(file: Path, change: Callable[[Any], object]) -> None:
    content = json.loads(file.read_bytes())
    change(content)
    file.write_text(json.dumps(content), encoding="utf-8")


# the real collections


@both
def test_the_real_collections_have_the_published_counts(shared: Path, name: str):
    collection = read_collection(shared / "data" / name)
    assert collection.skipped == ()
    assert collection_digest(collection) == _DIGESTS[name]
    ranges = {code: (collection.query_range(code), collection.document_range(code)) for code in collection.languages}
    assert {code: end - start for code, ((start, end), _) in ranges.items()} == _QUERIES[name]
    assert {code: end - start for code, (_, (start, end)) in ranges.items()} == _CANDIDATES[name]
    assert (len(collection.queries), len(collection.corpus)) == _POOLS[name]
    assert collection.skipped == ()
    assert collection.name == name


@both
def test_the_real_judgements_are_those_of_a_slow_second_reader(shared: Path, name: str):
    answers: dict[str, dict[str, tuple[int, int, int]]] = {}
    for file in (shared / "data" / name).glob("*.json"):
        position = 0
        for article in json.loads(file.read_text(encoding="utf-8"))["data"]:
            for paragraph in article["paragraphs"]:
                for item in paragraph["qas"]:
                    at = item["answers"][0]["answer_start"]
                    before = sum(1 for _start, end in paragraph["sentence_breaks"] if end <= at)
                    answers.setdefault(item["id"], {})[file.stem] = position + before
                position += len(paragraph["sentence_breaks"])
    collection = read_collection(shared / "data" / name)
    starts = {code: collection.document_range(code)[0] for code in collection.languages}
    found: dict[tuple[str, str], set[tuple[str, int]]] = {}
    for row, document in zip(collection.qrels.queries, collection.qrels.documents, strict=True):
        code = collection.corpus.languages[document]
        key = collection.queries.questions[row], collection.queries.languages[row]
        found.setdefault(key, set()).add((code, int(document) - starts[code]))
    assert found == {(question, code): set(texts.items()) for question, texts in answers.items() for code in texts}


def test_pairs_of_mlqa_r_have_161_to_517_questions(shared: Path):
    collection = read_collection(shared / "data" / "mlqa-r")
    asked = {code: set(collection.queries.questions[slice(*collection.query_range(code))]) for code in _MLQA_R}
    sizes = [len(asked[a] & asked[b]) for a, b in permutations(_MLQA_R, 2)]
    assert (len(sizes), min(sizes), max(sizes)) == (42, 161, 517)


# XQuAD-R folders


def test_a_small_folder_reads_as_what_was_written(tiny_folder: Path, tiny_collection: Collection):
    collection = read_collection(tiny_folder)
    assert contents(collection) == contents(tiny_collection)
    assert collection.name == "tiny"
    assert relevant_texts(collection)["q0", "de"] == {
        ("ar", "تقف الطاحونة القديمة بجانب النهر."),
        ("de", "Die alte Mühle steht am Fluss."),
        ("en", "The old mill stands by the river."),
    }


def test_a_given_name_replaces_the_folders(tiny_folder: Path):
    assert read_collection(tiny_folder, "mine").name == "mine"


def test_a_question_that_some_languages_lack_is_answered_in_those_that_have_it(tiny_folder: Path):
    _change(tiny_folder / "de.json", lambda content: content["data"][0]["paragraphs"][0]["qas"].pop(0))
    collection = read_collection(tiny_folder)
    assert collection.skipped == ()
    assert len(collection.queries) == 11
    relevant = relevant_texts(collection)
    assert ("q0", "de") not in relevant
    assert {language for language, _ in relevant["q0", "en"]} == {"ar", "en"}
    assert {passage.partition(":")[0] for passage in collection.corpus.passages} == {"ar", "de", "en"}


@pytest.mark.parametrize(("start", "sentence"), [(0, "One."), (3, "One."), (5, "Two."), (8, "Two.")])
def test_the_first_answers_start_decides_which_sentence_is_relevant(tmp_path: Path, start: int, sentence: str):
    folder = write_xquad_r(tmp_path, parallel_collection("two", {"en": [(["One.", "Two."], [("q", "Which?", 0)])]}))
    answers = [{"answer_start": start}, {"answer_start": 0}, {"answer_start": 99}]
    _change(folder / "en.json", lambda content: content["data"][0]["paragraphs"][0]["qas"][0].update(answers=answers))
    assert relevant_texts(read_collection(folder)) == {("q", "en"): {("en", sentence)}}


def _with_sentences(folder: Path, sentences: object) -> Path:
    folder = write_xquad_r(folder, parallel_collection("two", {"en": [(["One.", "Two."], [("q", "Which?", 1)])]}))
    _change(folder / "en.json", lambda content: content["data"][0]["paragraphs"][0].update(sentences=sentences))
    return folder


def test_without_a_list_of_sentences_the_breaks_are_enough(tmp_path: Path):
    assert read_collection(_with_sentences(tmp_path, None)).corpus.texts == ("One.", "Two.")


@pytest.mark.parametrize("sentences", [["One."], ["One.", "Two.", "Three."], "One. Two.", {}, []])
def test_sentences_that_are_not_one_for_each_break_are_refused(tmp_path: Path, sentences: object):
    folder = _with_sentences(tmp_path, sentences)
    place = f"{folder / 'en.json'}: data[0].paragraphs[0].sentences"
    assert _message(folder).startswith(f"{place}: the sentences do not match the sentence breaks; expected a list of 2")


@pytest.mark.parametrize("sentences", [["One.", 2], ["One.", ""], ["One.", "One."], ["One.", "wo. T"]])
def test_a_sentence_that_is_not_the_text_between_its_breaks_is_refused(tmp_path: Path, sentences: object):
    folder = _with_sentences(tmp_path, sentences)
    place = f"{folder / 'en.json'}: data[0].paragraphs[0].sentence_breaks[1]"
    assert _message(folder).startswith(f"{place}: a sentence is not the text between its breaks; ")


_OFFSETS = [("utf-8", 1, "UTF-8 bytes"), ("utf-16-le", 2, "UTF-16 units")]


@pytest.mark.parametrize(("encoding", "width", "unit"), _OFFSETS)
def test_an_offset_in_another_unit_is_named_with_the_unit(tmp_path: Path, encoding: str, width: int, unit: str):
    sentences = ["Größe 😀😀😀😀.", "Mühle am Fluss."]
    folder = write_xquad_r(tmp_path, parallel_collection("two", {"de": [(sentences, [("q", "Wo?", 1)])]}))
    context = " ".join(sentences)
    start = context.index("Mühle")

    def answer(offset: int) -> Callable[[Any], object]:
        answers = [{"text": "Mühle", "answer_start": offset}]
        return lambda content: content["data"][0]["paragraphs"][0]["qas"][0].update(answers=answers)

    _change(folder / "de.json", answer(start))
    assert read_collection(folder).skipped == ()
    _change(folder / "de.json", answer(len(context[:start].encode(encoding)) // width))
    message = _message(folder)
    assert message.startswith(f"{folder / 'de.json'}: data[0].paragraphs[0].qas[0]: an answer's text is not at its ")
    assert f"answer_start counts {unit} here, but must count characters" in message


def test_json_that_is_nested_too_deeply_is_one_line_with_the_file(tiny_folder: Path):
    (tiny_folder / "de.json").write_text("[" * 100_000 + "]" * 100_000)
    assert _message(tiny_folder).startswith(f"{tiny_folder / 'de.json'}: not JSON (it is nested too deeply)")


def test_a_pipe_is_refused_before_it_is_read(tiny_folder: Path):
    os.mkfifo(tiny_folder / "fr.json")
    assert _message(tiny_folder) == f"{tiny_folder / 'fr.json'}: is a pipe; give a regular file"


def test_a_folder_that_is_missing_is_named(tmp_path: Path):
    assert _message(tmp_path / "nowhere").startswith(f"{tmp_path / 'nowhere'}: no such folder")


def test_a_file_in_place_of_a_folder_is_refused(tmp_path: Path):
    (tmp_path / "en.json").write_text("{}")
    assert "no such folder" in _message(tmp_path / "en.json")


def test_a_folder_without_a_collection_is_named(tmp_path: Path):
    (tmp_path / "README.txt").write_text("nothing here")
    assert _message(tmp_path).startswith(f"{tmp_path}: holds no <language>.json and no corpus.jsonl")


def test_an_unknown_language_code_is_named_with_its_file(tiny_folder: Path):
    (tiny_folder / "en.json").rename(tiny_folder / "english.json")
    message = _message(tiny_folder)
    assert message.startswith(f"{tiny_folder / 'english.json'}: language 'english' is unknown; expected a tag")


def test_a_file_may_be_named_by_any_tag_of_its_language(tiny_folder: Path):
    usual = read_collection(tiny_folder)
    (tiny_folder / "en.json").rename(tiny_folder / "ENG_Latn.json")
    collection = read_collection(tiny_folder)
    assert (collection.languages, collection.queries) == (usual.languages, usual.queries)


def test_two_files_of_one_language_are_refused_and_both_are_named(tiny_folder: Path):
    (tiny_folder / "en-GB.json").write_bytes((tiny_folder / "en.json").read_bytes())
    assert _message(tiny_folder) == (
        f"{tiny_folder / 'en.json'}: the language is en, which en-GB.json has already; keep one file per language"
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"data": [', "not JSON"),
        (b"", "not JSON"),
        (b'{"data": ["M\xfchle"]}', "not JSON ('utf-8' codec"),
        (b"[]", "has no list `data`"),
        (b'{"data": {}}', "has no list `data`"),
        (b'{"data": [{}]}', "data[0]: `paragraphs` is missing"),
        (b'{"data": ["text"]}', "data[0]: `paragraphs` is missing"),
    ],
)
@pytest.mark.parametrize("skip_invalid", [False, True])
def test_a_file_of_another_form_is_named_and_never_skipped(
    tiny_folder: Path, content: bytes, reason: str, skip_invalid
):
    (tiny_folder / "de.json").write_bytes(content)
    message = _message(tiny_folder, skip_invalid=skip_invalid)
    assert message.startswith(f"{tiny_folder / 'de.json'}: ")
    assert reason in message


def test_a_folder_called_like_a_languages_file_is_refused(tiny_folder: Path):
    (tiny_folder / "fr.json").mkdir()
    assert _message(tiny_folder).startswith(f"{tiny_folder / 'fr.json'}: is a folder; give a regular file")


@pytest.mark.parametrize(
    ("field", "place"),
    [
        ("context", "data[0].paragraphs[1]"),
        ("sentence_breaks", "data[0].paragraphs[1]"),
        ("qas", "data[0].paragraphs[1]"),
        ("id", "data[0].paragraphs[1].qas[0]"),
        ("question", "data[0].paragraphs[1].qas[0]"),
        ("answers", "data[0].paragraphs[1].qas[0]"),
        ("answer_start", "data[0].paragraphs[1].qas[0].answers[0]"),
    ],
)
@pytest.mark.parametrize("missing", [True, False])
def test_a_field_that_is_missing_or_of_another_type_is_named_with_its_place(
    tiny_folder: Path, field: str, place: str, missing: bool
):
    def damage(content: dict[str, Any]) -> None:
        paragraph = content["data"][0]["paragraphs"][1]
        item = paragraph["qas"][0]
        holder = next(part for part in (paragraph, item, item["answers"][0]) if field in part)
        holder.pop(field) if missing else holder.update({field: {"of": "another type"}})

    _change(tiny_folder / "en.json", damage)
    assert _message(tiny_folder).startswith(f"{tiny_folder / 'en.json'}: {place}: `{field}` is missing or no ")


def _question(**fields: object) -> Callable[[Any], object]:
    return lambda content: content["data"][0]["paragraphs"][1]["qas"][0].update(fields)


def _break(span: object) -> Callable[[Any], object]:
    return lambda content: content["data"][0]["paragraphs"][1]["sentence_breaks"].__setitem__(0, span)


_ROW_FAULTS = [
    (_question(answers=[{"answer_start": 9999}]), "qas[0]", "an answer is outside all sentences"),
    (_question(answers=[{"answer_start": -1}]), "qas[0]", "an answer is outside all sentences"),
    (_question(answers=[]), "qas[0]", "the question has no answer"),
    (_question(is_impossible=True), "qas[0]", "the question has no answer"),
    (_question(answers=[{"text": "mill", "answer_start": 0}]), "qas[0]", "an answer's text is not at its answer_start"),
    (_question(question="What \ud83d?"), "qas[0]", "a text has a lone surrogate"),
    (_question(id="q0"), "qas[0]", "a question id occurs twice"),
    (_question(question=" \n"), "qas[0]", "a question is empty"),
    *(
        (_break(span), "sentence_breaks[0]", "a sentence break is empty or outside the context")
        for span in ([5, 5], [9, 5], [0, 9999], [-999, 5], [0], [0, 1, 2], ["0", "5"], None)
    ),
]


@pytest.mark.parametrize(("damage", "place", "reason"), _ROW_FAULTS)
def test_a_row_that_cannot_be_used_is_named_with_its_place(tiny_folder: Path, damage, place: str, reason: str):
    _change(tiny_folder / "en.json", damage)
    message = _message(tiny_folder)
    assert message.startswith(f"{tiny_folder / 'en.json'}: data[0].paragraphs[1].{place}: {reason}; ")
    assert message.endswith("--skip-invalid")


@pytest.mark.parametrize(("damage", "_place", "reason"), _ROW_FAULTS)
def test_a_row_that_cannot_be_used_is_left_out_on_request_and_counted(tiny_folder: Path, damage, _place, reason: str):
    _change(tiny_folder / "en.json", damage)
    collection = read_collection(tiny_folder, skip_invalid=True)
    assert collection.skipped == ((reason, 1),)
    assert (len(collection.queries) - 12) + (len(collection.corpus) - 18) == -1
    relevant = relevant_texts(collection)
    if "question" in reason or "answer" in reason:
        assert ("q2", "en") not in relevant
        assert {language for language, _ in relevant["q2", "de"]} == {"ar", "de"}
    assert {len(texts) for (question, _), texts in relevant.items() if question != "q2"} == {3}


def test_an_answer_in_a_sentence_that_was_left_out_is_left_out_and_counted_too(tiny_folder: Path):
    def damage(content: dict[str, Any]) -> None:
        content["data"][0]["paragraphs"][1]["sentence_breaks"][1] = [7, 7]

    _change(tiny_folder / "en.json", damage)
    collection = read_collection(tiny_folder, skip_invalid=True)
    assert dict(collection.skipped) == {
        "a sentence break is empty or outside the context": 1,
        "an answer is outside all sentences": 1,
    }
    assert (len(collection.queries), len(collection.corpus)) == (11, 17)
    assert ("en", "The journey to the coast takes seven hours.") in relevant_texts(collection)["q3", "en"]


# round trip

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(str.strip)


@st.composite
def _parallel_collections(draw: st.DrawFn) -> Collection:
    """1 to 4 languages, 1 to 4 parallel paragraphs; sentences, texts and answers differ from language to language."""
    codes = draw(st.lists(st.sampled_from(_XQUAD_R), min_size=1, max_size=4, unique=True))
    asked = draw(st.lists(st.integers(0, 3), min_size=1, max_size=4).filter(any))
    languages = {}
    for code in codes:
        paragraphs = []
        for number, questions in enumerate(asked):
            sentences = draw(st.lists(_TEXT, min_size=1, max_size=4))
            answer = st.integers(0, len(sentences) - 1)
            paragraphs.append((sentences, [(f"{number}/{i}", draw(_TEXT), draw(answer)) for i in range(questions)]))
        languages[code] = paragraphs
    return parallel_collection("random", languages)


@settings(deadline=None, max_examples=60)
@given(_parallel_collections(), st.booleans())
def test_a_collection_written_as_an_xquad_r_folder_reads_back_the_same(collection: Collection, sentences: bool):
    with tempfile.TemporaryDirectory() as folder:
        found = read_collection(write_xquad_r(Path(folder), collection, sentences=sentences))
    assert contents(found) == contents(collection)
    assert found.skipped == ()
