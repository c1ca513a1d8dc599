"""Prompts go with the model: from its configuration under any name in use, or from the table by its id on the Hub."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sentence_transformers import SentenceTransformer

from engine.encoders import resolve
from engine.encoders.encoder import SentenceEncoder
from engine.encoders.folder import ModelFolder
from engine.encoders.prompts import KNOWN, known_prompts
from engine.encoders.resolve import open_encoder
from engine.storage.store import Store
from tests.checkpoints import change_json, tiny_bert

E5 = {"query": "query: ", "document": "passage: "}
NONE = {"query": "", "document": ""}


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as sentence-transformers saves it without prompts: empty ones are listed."""
    return tiny_bert(tmp_path_factory.mktemp("bare") / "m", as_sentence_transformer=True)


@pytest.fixture
def saved(bare: Path, tmp_path: Path) -> Path:
    return shutil.copytree(bare, tmp_path / "saved")


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ({"Retrieval-query": "q ", "Retrieval-document": "d "}, {"query": "q ", "document": "d "}),
        ({"retrieval.query": "q ", "retrieval.passage": "d "}, {"query": "q ", "document": "d "}),
        ({"search_query": "q ", "search_document": "d "}, {"query": "q ", "document": "d "}),
        ({"web_search_query": "q ", "sts_query": "x "}, {"query": "q ", "document": ""}),
        ({"s2p_query": "q ", "s2s_query": "x "}, {"query": "q ", "document": ""}),
        ({"query": "q ", "search_query": "x ", "corpus": "d "}, {"query": "q ", "document": "d "}),
    ],
)
def test_prompts_are_found_under_the_names_in_use(saved: Path, listed, expected) -> None:
    change_json(saved / "config_sentence_transformers.json", prompts=listed)
    assert SentenceEncoder(saved, "x").prompts == expected


@pytest.mark.parametrize("listed", [{"all": "a "}, {"all": "a ", "query": "q "}, {"all": "a ", "document": ""}])
def test_the_default_prompt_holds_for_a_role_without_one(saved: Path, listed: dict[str, str]) -> None:
    file = saved / "config_sentence_transformers.json"
    change_json(file, prompts=listed, default_prompt_name="all")
    encoder, model = SentenceEncoder(saved, "x"), SentenceTransformer(str(saved), device="cpu")
    model.prompts = listed  # the library adds empty ones
    assert (encoder.encode(["river"], "query") * model.encode_query(["river"])).sum() == pytest.approx(1, abs=1e-5)
    assert (encoder.encode(["river"], "document") * model.encode_document(["river"])).sum() == pytest.approx(
        1, abs=1e-5
    )


SEARCH = "Represent this sentence for searching relevant passages: "
WEB_SEARCH = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"


@pytest.mark.parametrize(
    ("hub_id", "query", "document"),
    [
        ("intfloat/multilingual-e5-small", "query: ", "passage: "),
        ("INTFLOAT/e5-base-v2", "query: ", "passage: "),
        ("intfloat/multilingual-e5-large-instruct", f"{WEB_SEARCH} ", ""),
        ("Qwen/Qwen3-Embedding-0.6B", WEB_SEARCH, ""),
        ("BAAI/bge-small-en-v1.5", SEARCH, ""),
        ("mixedbread-ai/mxbai-embed-large-v1", SEARCH, ""),
        ("BAAI/bge-base-zh", "为这个句子生成表示以用于检索相关文章：", ""),
        ("Snowflake/snowflake-arctic-embed-m-v1.5", SEARCH, ""),
        ("Snowflake/snowflake-arctic-embed-l-v2.0", "query: ", ""),
        ("nomic-ai/nomic-embed-text-v1.5", "search_query: ", "search_document: "),
        ("BAAI/bge-m3", "", ""),
        ("sentence-transformers/LaBSE", "", ""),
    ],
)
def test_a_hub_id_brings_its_cards_prompts_without_a_warning(
    bare: Path, store: Store, monkeypatch, caplog, hub_id: str, query: str, document: str
) -> None:
    monkeypatch.setattr(resolve, "fetch_from_hub", lambda _: bare)
    assert open_encoder(hub_id, store).prompts == {"query": query, "document": document}
    assert open_encoder(hub_id, store, prompts={"query": ""}).prompts == {"query": "", "document": document}
    assert caplog.text == ""


def test_the_name_in_a_folders_configuration_counts(saved: Path, store: Store) -> None:
    change_json(saved / "config.json", _name_or_path="intfloat/multilingual-e5-small")
    assert open_encoder(str(saved), store).prompts == E5


def test_a_snapshot_in_the_hubs_cache_is_known_by_its_folder(saved: Path, tmp_path: Path, store: Store) -> None:
    snapshot = tmp_path / "models--intfloat--e5-small" / "snapshots" / "aaaa"
    shutil.copytree(saved, snapshot)
    assert open_encoder(str(snapshot), store).prompts == E5


def test_a_raw_transformer_has_its_cards_prompts_too(tmp_path: Path, store: Store, monkeypatch) -> None:
    raw = tiny_bert(tmp_path / "raw")
    monkeypatch.setattr(resolve, "fetch_from_hub", lambda _: raw)
    assert open_encoder("intfloat/e5-small", store).prompts == E5


def test_the_models_own_prompts_win(saved: Path, store: Store, monkeypatch) -> None:
    change_json(saved / "config_sentence_transformers.json", prompts={"query": "own "})
    monkeypatch.setattr(resolve, "fetch_from_hub", lambda _: saved)
    assert open_encoder("intfloat/e5-small", store).prompts == {"query": "own ", "document": ""}


def test_a_trained_checkpoint_keeps_the_empty_prompts_of_its_recipe(saved: Path) -> None:
    change_json(saved / "config.json", _name_or_path="intfloat/e5-small")
    (saved / "recipe.json").write_text("{}", encoding="utf-8")
    assert known_prompts(ModelFolder(saved), "x") == {}


@pytest.mark.parametrize(
    ("hub_id", "warns"),
    [
        ("someone/my-e5-tuned", True),
        ("someone/bge-tuned", True),
        ("someone/Mistral-7B-Instruct", True),
        ("someone/nomic-embed-x", True),
        ("someone/plain-model", False),
        ("someone/bridge5-model", False),
    ],
)
def test_a_name_that_looks_like_it_needs_prompts_is_warned_of(
    bare: Path, store: Store, monkeypatch, caplog, hub_id: str, warns: bool
) -> None:
    monkeypatch.setattr(resolve, "fetch_from_hub", lambda _: bare)
    assert open_encoder(hub_id, store).prompts == NONE
    assert len(caplog.records) == int(warns)
    if warns:
        assert hub_id in caplog.text
        assert "--query-prompt" in caplog.text


def test_no_model_stands_twice_in_the_table_and_each_has_a_source() -> None:
    models = [model.lower() for known in KNOWN for model in known.models]
    assert len(models) == len(set(models))
    assert all(known.source for known in KNOWN)
