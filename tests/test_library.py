"""Names to things: collections and encoders by catalog name, folder, checkpoint key or id on the Hub."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.collections.catalog import COLLECTIONS
from engine.collections.opening import open_collection
from engine.collections.structures import Collection
from engine.encoders import resolve
from engine.encoders.catalog import ENCODERS
from engine.encoders.encoder import SentenceEncoder
from engine.encoders.resolve import open_encoder
from engine.errors import EngineError, FetchError, InputError
from engine.storage.digest import digest
from engine.storage.store import Store
from tests.builders import contents, write_xquad_r
from tests.checkpoints import SENTENCES, tiny_bert, tiny_xlm_roberta

TEXTS = [sentence for pair in SENTENCES.values() for sentence in pair]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids that are asked of the Hub, which gives a tiny model for each."""
    asked = []

    def fetch(hub_id: str) -> Path:
        asked.append(hub_id)
        folder = tmp_path / "hub" / hub_id
        return folder if folder.is_dir() else tiny_bert(folder, as_sentence_transformer=True, prompts={"query": "own "})

    monkeypatch.setattr(resolve, "fetch_from_hub", fetch)
    return asked


def says(error: pytest.ExceptionInfo[EngineError], *parts: str) -> None:
    assert "\n" not in str(error.value)
    for part in parts:
        assert part in str(error.value)


def test_a_folder_is_read_under_its_own_name(tiny_folder: Path, tiny_collection: Collection, store: Store) -> None:
    found = open_collection(str(tiny_folder), store)
    assert found.name == tiny_folder.name
    assert contents(found) == contents(tiny_collection)


def test_only_every_second_paragraph_is_kept_on_request(tiny_folder: Path, store: Store) -> None:
    found = open_collection(str(tiny_folder), store, every=2)
    assert set(found.corpus.passages) == {"0.1"}
    assert len(found.corpus) == 9


@pytest.mark.parametrize("every", [0, -2])
def test_a_step_below_one_is_refused(tiny_folder: Path, store: Store, every: int) -> None:
    with pytest.raises(InputError) as error:
        open_collection(str(tiny_folder), store, every=every)
    says(error, f"every must be an integer >= 1, got {every}")


def test_unusable_rows_are_left_out_on_request(tiny_folder: Path, store: Store) -> None:
    file = tiny_folder / "en.json"
    text = file.read_text(encoding="utf-8").replace("Where does the mill stand?", " ")
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="--skip-invalid"):
        open_collection(str(tiny_folder), store)
    assert sum(count for _, count in open_collection(str(tiny_folder), store, skip_invalid=True).skipped) == 1


@pytest.mark.parametrize("name", list(COLLECTIONS))
def test_a_named_collection_that_is_not_fetched_says_how_to_fetch_it(store: Store, name: str) -> None:
    with pytest.raises(InputError) as error:
        open_collection(name, store)
    says(error, "not fetched yet", f"python -m engine fetch {name}", "--from DIR")


@pytest.mark.parametrize("name", ["nothing", "/no/such/folder", "xquad_r"])
def test_an_unknown_collection_names_the_known_ones(store: Store, name: str) -> None:
    with pytest.raises(InputError) as error:
        open_collection(name, store)
    says(error, repr(name), *COLLECTIONS)


def test_a_file_is_no_collection(tiny_folder: Path, store: Store) -> None:
    with pytest.raises(InputError, match="neither a folder nor one of"):
        open_collection(str(tiny_folder / "en.json"), store)


def test_a_folder_beats_nothing_in_the_catalog(
    tmp_path: Path, tiny_collection: Collection, store: Store, monkeypatch
) -> None:
    write_xquad_r(tmp_path / "xquad-r", tiny_collection)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="not fetched yet"):
        open_collection("xquad-r", store)
    assert open_collection("./xquad-r", store).name == "xquad-r"


def test_an_encoders_folder_gives_its_name_and_its_own_prompts(tmp_path: Path, store: Store) -> None:
    prompts = {"query": "q: ", "document": "d: "}
    tiny_bert(tmp_path / "my-model", as_sentence_transformer=True, prompts=prompts)
    found = open_encoder(str(tmp_path / "my-model"), store)
    assert (found.name, found.prompts, found.max_length) == ("my-model", prompts, None)
    given = open_encoder(str(tmp_path / "my-model"), store, prompts={"query": "other "}, max_length=9)
    assert (given.prompts, given.max_length) == ({"query": "other ", "document": "d: "}, 9)


@pytest.mark.parametrize("make", [tiny_bert, tiny_xlm_roberta])
def test_a_raw_transformer_is_opened_with_mean_pooling_and_made_a_model_once(make, tmp_path: Path, store) -> None:
    folder = make(tmp_path / "raw")
    before = sorted(path.name for path in folder.iterdir())
    found, again = open_encoder(str(folder), store), open_encoder(str(folder), store)
    assert found.fingerprint == again.fingerprint
    assert found.name == "raw"
    assert sorted(path.name for path in folder.iterdir()) == before
    assert len(list(store.entries("encoders"))) == 1
    expected = SentenceEncoder(folder, "raw").encode(TEXTS, "query")
    np.testing.assert_allclose(found.encode(TEXTS, "query"), expected, atol=1e-6)


@pytest.mark.parametrize("name", ["labse", "xlm-r"])
def test_a_catalog_name_comes_from_the_hub_under_that_name(store: Store, hub: list[str], name: str) -> None:
    found = open_encoder(name, store)
    assert hub == [ENCODERS[name].hub_id]
    assert found.name == name
    assert found.prompts["query"] == "own "


def test_an_id_of_the_hub_is_asked_of_the_hub(store: Store, hub: list[str]) -> None:
    assert open_encoder("someone/some-model.v2", store).name == "someone/some-model.v2"
    assert hub == ["someone/some-model.v2"]


def test_a_checkpoint_is_opened_by_its_key(store: Store, hub: list[str]) -> None:
    key = digest("a checkpoint")
    with store.writing("checkpoints", key, {"name": "alpha 0.5"}) as folder:
        tiny_bert(folder, as_sentence_transformer=True)
    found = open_encoder(key, store)
    assert (found.name, found.folder) == ("alpha 0.5", store.path("checkpoints", key))
    assert hub == []


@pytest.mark.parametrize("name", ["nothing", "0123456789abcdef0123456789abcdef", "a/b/c", "no spaces/allowed"])
def test_an_unknown_encoder_names_what_is_allowed(store: Store, hub: list[str], name: str) -> None:
    with pytest.raises(InputError) as error:
        open_encoder(name, store)
    says(error, repr(name), "neither a folder", "id on the Hub", *ENCODERS)
    assert hub == []


def test_a_folder_without_a_model_is_refused_by_name(tmp_path: Path, store: Store) -> None:
    with pytest.raises(InputError) as error:
        open_encoder(str(tmp_path), store)
    says(error, str(tmp_path), "no model is there")


def test_without_a_network_the_hub_is_one_line(store: Store, tmp_path: Path, monkeypatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    with pytest.raises(FetchError) as error:
        open_encoder("someone/some-model", store)
    says(error, "someone/some-model", "Hugging Face Hub", "give a model's folder")
